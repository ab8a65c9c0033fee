//! Makes what a server says fit for a status.

use crate::Secret;

/// Long enough for any sentence of the providers', short enough for a condition.
const LONGEST: usize = 300;

/// One line without the given credentials, without words that look like tokens, and without
/// identifiers that are new with each request.
pub(crate) fn scrub(text: &str, hidden: &[Secret]) -> String {
    let mut text = text.to_owned();
    for secret in hidden.iter().filter(|secret| secret.expose().len() >= 4) {
        text = text.replace(secret.expose(), "…");
    }
    let words: Vec<_> = text.split_whitespace().map(word).collect();
    cut(&words.join(" "))
}

fn word(word: &str) -> String {
    let is_edge = |c: char| !c.is_ascii_alphanumeric();
    let core = word.trim_matches(is_edge);
    if core.split(['=', ':']).any(is_token) { word.replace(core, "…") } else { printable(word) }
}

fn printable(word: &str) -> String {
    word.chars().filter(|c| !c.is_control()).collect()
}

/// A UUID, a long hexadecimal number, or a long word that mixes digits and letters as no name does.
fn is_token(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let letters = text.bytes().filter(u8::is_ascii_alphabetic).count();
    let hexadecimal = text.bytes().all(|c| c.is_ascii_hexdigit() || c == b'-');
    (hexadecimal && text.len() >= 16 && digits > 0)
        || (text.len() >= 20 && digits >= 3 && letters > 0 && !text.contains(['.', '_', '/']))
        || (text.len() > 60 && !text.contains('.'))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_fault_has_the_same_message_each_time() {
        let said = "Denied (Request ID: 7d2a5f4c-7b1e-4f8e-9f0b-3c5d6e7f8a9b)";
        assert_eq!(scrub(said, &[]), "Denied (Request ID: …)");
        assert_eq!(scrub("trace=4bf92f3577b34da6a3ce929d0e0e4736.", &[]), "….");
    }

    #[test]
    fn a_credential_that_a_server_repeats_is_not_repeated() {
        let secret = Secret::new("hunter2x");
        assert_eq!(scrub("key 'hunter2x' is wrong", &[secret]), "key '…' is wrong");
        assert_eq!(
            scrub("token v1.0-abcdefghij0123456789klmn bad", &[]),
            "token v1.0-abcdefghij0123456789klmn bad"
        );
        assert_eq!(scrub("token ghpABCDEFGHIJ0123456789klmn bad", &[]), "token … bad");
    }

    #[test]
    fn names_and_roles_stay_readable() {
        let said = "User: arn:aws:iam::123456789012:user/cert is not authorized on _acme-challenge.a.example.com";
        assert_eq!(scrub(said, &[]), said);
    }

    #[test]
    fn a_page_in_place_of_an_error_is_cut() {
        assert_eq!(scrub(&"word ".repeat(500), &[]).chars().count(), LONGEST + 1);
    }
}
