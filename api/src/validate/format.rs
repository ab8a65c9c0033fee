//! What texts must look like.

use std::net::{IpAddr, Ipv6Addr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The longest name of an object.
const MAX_SUBDOMAIN: usize = 253;
const MAX_LABEL: usize = 63;

/// Whether a text is an RFC 1123 subdomain, which most names of Kubernetes objects are.
pub(super) fn is_subdomain(text: &str) -> bool {
    text.len() <= MAX_SUBDOMAIN && text.split('.').all(is_subdomain_part)
}

fn is_subdomain_part(part: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !part.is_empty() && part.chars().all(inner) && !part.starts_with('-') && !part.ends_with('-')
}

/// Whether a text is a label's or annotation's key: a name of at most 63, perhaps after a domain.
pub(super) fn is_qualified_name(key: &str) -> bool {
    match key.split_once('/') {
        Some((domain, name)) => is_subdomain(domain) && is_label_name(name),
        None => is_label_name(key),
    }
}

fn is_label_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    name.len() <= MAX_LABEL
        && name.chars().all(inner)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric())
}

/// Whether a text is a label's value.
pub(super) fn is_label_value(value: &str) -> bool {
    value.is_empty() || is_label_name(value)
}

/// Whether a text is an IP range in CIDR notation.
pub(super) fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let limit = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    let digits = (1..=3).contains(&bits.len()) && bits.bytes().all(|b| b.is_ascii_digit());
    digits && bits.parse::<u32>().is_ok_and(|bits| bits <= limit)
}

/// Whether a text is a bare e-mail address: a dot-atom, `@`, and a dot-atom or an address literal
/// (RFC 5322, 3.4.1, with the UTF-8 of RFC 6532).
pub(super) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let literal = domain.strip_prefix('[').and_then(|d| d.strip_suffix(']'));
    let domain = match literal {
        Some(address) => {
            let address = address.strip_prefix("IPv6:").unwrap_or(address);
            address.parse::<IpAddr>().is_ok()
        }
        None => is_dot_atom(domain),
    };
    domain && is_dot_atom(local)
}

fn is_dot_atom(text: &str) -> bool {
    let atext = |c: char| {
        c.is_ascii_alphanumeric()
            || "!#$%&'*+-/=?^_`{|}~".contains(c)
            || (!c.is_ascii() && !c.is_control())
    };
    text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(atext))
}

/// Whether a text is `host:port` with a port, an IPv6 host in brackets.
pub(super) fn is_host_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    is_host(host) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Whether a text is `host` or `host:port`, an IPv6 host in brackets.
pub(super) fn is_host_maybe_port(text: &str) -> bool {
    is_host(text) || is_host_port(text)
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && !host.contains([':', '[', ']', '/', ' ']),
    }
}

/// Whether a text is an `https://` URL with a host.
pub(super) fn is_https_url(text: &str) -> bool {
    let host = text.strip_prefix("https://").and_then(|rest| rest.split('/').next());
    host.is_some_and(is_host_maybe_port)
}

/// Whether PEM text holds a block CERTIFICATE whose content is one DER SEQUENCE of its very length.
///
/// The certificates are parsed where they are used; this finds what is no bundle at all.
pub(super) fn holds_certificate(pem: &[u8]) -> bool {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let text = String::from_utf8_lossy(pem);
    text.split(BEGIN).skip(1).any(|block| {
        let body = block.split_once(END).map(|(body, _)| body);
        let packed = body.map(|b| b.split_whitespace().collect::<String>());
        packed.and_then(|p| STANDARD.decode(p).ok()).is_some_and(|der| is_sequence(&der))
    })
}

fn is_sequence(der: &[u8]) -> bool {
    match der {
        [0x30, length @ 0..=0x7f, content @ ..] => content.len() == usize::from(*length),
        [0x30, 0x81, length, content @ ..] => content.len() == usize::from(*length),
        [0x30, 0x82, h, l, content @ ..] => {
            content.len() == usize::from(u16::from_be_bytes([*h, *l]))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(check: fn(&str) -> bool, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(check(text), "{text} should be good");
        }
        for text in bad {
            assert!(!check(text), "{text} should be bad");
        }
    }

    #[test]
    fn names_follow_the_api_server() {
        let long = "a".repeat(254);
        all(is_subdomain, &["a", "a.b-c", "0"], &["", "A", "a..b", "-a", "a-", "a_b", "a.", &long]);
        all(
            is_qualified_name,
            &["a", "A_b.c-D", "x.io/a"],
            &["", "/a", "x.io/", "a/b/c", "-a", "X/a"],
        );
        all(is_label_value, &["", "a", "A.b_c"], &["-a", "a b", "a/b"]);
    }

    #[test]
    fn addresses_follow_go() {
        all(
            is_cidr,
            &["10.0.0.0/8", "::/0", "1.2.3.4/32"],
            &["10.0.0.0", "10.0.0.0/33", "a/8", "1.2.3.4/+8", "1.2.3.4/"],
        );
        all(
            is_email,
            &["a@b", "a.b+c@x.y", "\u{e9}@x.y", "a@[1.2.3.4]", "a@[IPv6:::1]"],
            &[
                "", "a", "@b", "a@", "A <a@b>", "a b@c", ".a@b", "a..b@c", "\"a\"@b", "a@b.",
                "a@b@c", "a@[x]",
            ],
        );
        all(
            is_host_port,
            &["1.1.1.1:53", "[::1]:53", "ns.x:53"],
            &["1.1.1.1", "::1:53", ":53", "a:0", "a:x"],
        );
        all(is_host_maybe_port, &["ns.x", "[::1]", "1.1.1.1:5353"], &["", "::1", "[x]", "a:99999"]);
        all(
            is_https_url,
            &["https://a/dns-query", "https://[::1]:8443"],
            &["http://a", "https://", "https:///x"],
        );
    }

    #[test]
    fn a_bundle_holds_at_least_one_certificate() {
        let block = |body: &str| {
            format!("x\n-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
        };
        assert!(holds_certificate(block("MAMC\nAQE=").as_bytes()));
        assert!(holds_certificate((block("!") + &block("MAMCAQE=")).as_bytes()));
        for bad in ["", "MAMC", "MQMCAQE=", "not base64"] {
            assert!(!holds_certificate(block(bad).as_bytes()), "{bad}");
        }
        assert!(!holds_certificate(b"\xff\x00"));
    }
}
