//! AWS's XML, read as far as it is needed. Entities other than XML's own five are not expanded.

use quick_xml::events::{BytesRef, Event};
use quick_xml::reader::Reader;
use serde::de::DeserializeOwned;

use crate::Error;

/// The text of the first element of this name.
pub(crate) fn first(text: &str, name: &str) -> Option<String> {
    let mut reader = Reader::from_str(text);
    let mut found = false;
    let mut collected = String::new();
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => found = found || start.local_name().as_ref() == name,
            Event::Text(text) if found => collected.push_str(&text),
            Event::GeneralRef(entity) if found => collected.push(char_of(&entity)?),
            Event::End(_) if found => return Some(collected),
            Event::Eof => return None,
            _ => {}
        }
    }
}

fn char_of(entity: &BytesRef<'_>) -> Option<char> {
    match &**entity {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => entity.resolve_char_ref().ok().flatten(),
    }
}

pub(crate) fn read<T: DeserializeOwned>(text: &str, who: &str) -> Result<T, Error> {
    quick_xml::de::from_str(text)
        .map_err(|_| Error::transient(format!("{who} sent an answer that is not as its API says")))
}

pub(crate) fn escape(text: &str) -> String {
    quick_xml::escape::escape(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errors_message_is_found_with_and_without_a_namespace() {
        let said = r#"<?xml version="1.0"?><ErrorResponse xmlns="https://x/"><Error><Type>Sender</Type>
            <Code>AccessDenied</Code><Message>No &quot;r&quot; &#38; no &lt;w&gt;</Message></Error></ErrorResponse>"#;
        assert_eq!(first(said, "Code").as_deref(), Some("AccessDenied"));
        assert_eq!(first(said, "Message").as_deref(), Some(r#"No "r" & no <w>"#));
        assert_eq!(first(said, "Nothing"), None);
        assert_eq!(first("<Code>cut", "Code"), None);
    }
}
