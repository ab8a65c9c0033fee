//! `Link` headers (RFC 8288), as much of them as ACME uses.

use http::HeaderMap;
use http::header::LINK;
use url::Url;

/// Most links read from one answer; what follows is ignored.
pub(crate) const MAX_LINKS: usize = 32;

/// Targets of the links with relation `rel`, in order, relative ones resolved against `base`. What
/// is not a link, or leads elsewhere than to HTTP, is left out.
pub(crate) fn targets(headers: &HeaderMap, rel: &str, base: &Url) -> Vec<String> {
    let values = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    let links = values.flat_map(links).take(MAX_LINKS);
    let wanted = links.filter(|(_, relations)| {
        relations.split_ascii_whitespace().any(|one| one.eq_ignore_ascii_case(rel))
    });
    wanted.filter_map(|(target, _)| follow(base, target)).map(String::from).collect()
}

/// The URL that `reference` means in an answer of `base`'s, if it is one of HTTP.
pub(crate) fn follow(base: &Url, reference: &str) -> Option<Url> {
    let url = base.join(reference).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
}

/// Target and relations of each link in a header's value.
fn links(value: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = value;
    while let Some(start) = rest.find('<')
        && let Some(length) = rest[start..].find('>')
        && found.len() < MAX_LINKS
    {
        let target = &rest[start + 1..start + length];
        let (parameters, after) = split_at_comma(&rest[start + length + 1..]);
        found.push((target, relation(parameters)));
        rest = after;
    }
    found
}

/// What stands before and after the first comma outside of quotes.
fn split_at_comma(text: &str) -> (&str, &str) {
    match outside_quotes(text, ',') {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, ""),
    }
}

fn outside_quotes(text: &str, wanted: char) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let was_escaped = std::mem::take(&mut escaped);
        match c {
            '\\' if quoted && !was_escaped => escaped = true,
            '"' if !was_escaped => quoted = !quoted,
            _ => {}
        }
        (c == wanted && !quoted).then_some(at)
    })
}

/// The first `rel` parameter; later ones do not count (RFC 8288 section 3.3).
fn relation(mut parameters: &str) -> &str {
    while let Some(at) = outside_quotes(parameters, ';') {
        parameters = &parameters[at + 1..];
        let one = &parameters[..outside_quotes(parameters, ';').unwrap_or(parameters.len())];
        if let Some((name, value)) = one.split_once('=')
            && name.trim().eq_ignore_ascii_case("rel")
        {
            return value.trim().trim_matches('"');
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str], rel: &str) -> Vec<String> {
        let headers = values.iter().map(|v| (LINK, v.parse().unwrap())).collect();
        targets(&headers, rel, &"https://ca.test/cert/1".parse().unwrap())
    }

    #[test]
    fn links_are_found_in_one_header_and_in_several() {
        let one =
            r#"<https://ca.test/dir>;rel="index", <https://ca.test/cert/1/1>; rel="alternate""#;
        let two = "<https://ca.test/cert/1/2>; title=\"a, <b>; rel=x\"; rel=alternate";
        let found = read(&[one, two], "alternate");
        assert_eq!(found, ["https://ca.test/cert/1/1", "https://ca.test/cert/1/2"]);
    }

    #[test]
    fn relative_targets_are_followed_and_other_schemes_are_not() {
        let header =
            "<2>; rel=\"next alternate\", <javascript:x>; rel=next, <file:///etc>; rel=next";
        assert_eq!(read(&[header], "next"), ["https://ca.test/cert/2"]);
    }

    #[test]
    fn nonsense_yields_nothing() {
        for bad in ["", "<", "<>", "<a", "a>; rel=next", "<a>; rel=\"next", ";;;,,,", "<a>; rel"] {
            assert!(read(&[bad], "up").is_empty(), "{bad}");
        }
        let many = "<a>; rel=next,".repeat(1000);
        assert_eq!(read(&[&many], "next").len(), MAX_LINKS);
    }
}
