//! Lists in one annotation: a CSV record (RFC 4180) as Go's `encoding/csv` writes and reads it.

/// A text that is not exactly one CSV record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CsvError {
    /// The text holds no record.
    #[error("no value: give at least one")]
    Empty,
    /// The text holds a line break outside quotes.
    #[error("more than one line: put all values on one, separated by commas")]
    Lines,
    /// A quote stands inside an unquoted value, or text follows a closing quote.
    #[error("a stray quote at byte {0}: put the whole value in quotes and double those inside")]
    Quote(usize),
    /// A quoted value does not end.
    #[error("a quoted value does not end: close the quote")]
    Open,
    /// The text is longer than 256 KiB, which no annotation can be.
    #[error("too long for an annotation")]
    Long,
}

const MAX_TEXT: usize = 256 * 1024;

/// Writes values as one record, without a line break at its end.
#[must_use]
pub fn join<S: AsRef<str>>(values: &[S]) -> String {
    let quoted: Vec<String> = values.iter().map(|value| quote(value.as_ref())).collect();
    quoted.join(",")
}

fn quote(value: &str) -> String {
    if needs_quotes(value) {
        format!("\"{}\"", value.replace('"', "\"\""))
    } else {
        value.to_owned()
    }
}

/// Go's rule: besides what must be quoted, a leading space and the lone `\.` of PostgreSQL.
fn needs_quotes(value: &str) -> bool {
    value == r"\."
        || value.contains([',', '"', '\r', '\n'])
        || value.starts_with(char::is_whitespace)
}

/// Reads one record; at most 256 KiB.
pub fn split(text: &str) -> Result<Vec<String>, CsvError> {
    if text.len() > MAX_TEXT {
        return Err(CsvError::Long);
    }
    let text = text.trim_start_matches(['\r', '\n']);
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(CsvError::Empty);
    }
    let (mut values, mut at) = (Vec::new(), 0);
    loop {
        let (value, end) = if text[at..].starts_with('"') {
            quoted_value(text, at + 1)?
        } else {
            plain_value(text, at)?
        };
        values.push(value);
        if end == text.len() {
            return Ok(values);
        }
        at = end + 1;
    }
}

/// An unquoted value from `at`; returns it and where it ends (at a comma, or the end of the text).
fn plain_value(text: &str, at: usize) -> Result<(String, usize), CsvError> {
    let end = text[at..].find(',').map_or(text.len(), |comma| at + comma);
    let value = &text[at..end];
    match value.find(['"', '\n']) {
        Some(bad) if value.as_bytes()[bad] == b'"' => Err(CsvError::Quote(at + bad)),
        Some(_) => Err(CsvError::Lines),
        None => Ok((value.to_owned(), end)),
    }
}

/// A quoted value whose text starts at `at`; returns it and where it ends.
fn quoted_value(text: &str, mut at: usize) -> Result<(String, usize), CsvError> {
    let mut value = String::new();
    loop {
        let close = at + text[at..].find('"').ok_or(CsvError::Open)?;
        value.push_str(&text[at..close]);
        match text.as_bytes().get(close + 1) {
            None | Some(b',') => return Ok((value.replace("\r\n", "\n"), close + 1)),
            Some(b'"') => value.push('"'),
            Some(b'\n') => return Err(CsvError::Lines),
            Some(_) => return Err(CsvError::Quote(close)),
        }
        at = close + 2;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_needs_quotes_gets_them_or_secrets_would_be_rewritten() {
        assert_eq!(join(&["a", "b c"]), "a,b c");
        assert_eq!(join(&["Shop, Inc.", "say \"hi\""]), r#""Shop, Inc.","say ""hi""""#);
        assert_eq!(join(&[" a", "", "a\nb", r"\."]), "\" a\",,\"a\nb\",\"\\.\"");
        assert_eq!(join::<&str>(&[]), "");
    }

    #[test]
    fn a_record_reads_back() {
        assert_eq!(split(r#"a,"b, c",,"d""e""#).unwrap(), ["a", "b, c", "", "d\"e"]);
        assert_eq!(split("a\n").unwrap(), ["a"]);
    }

    #[test]
    fn what_is_not_one_record_is_refused() {
        assert_eq!(split(""), Err(CsvError::Empty));
        assert_eq!(split("a\nb"), Err(CsvError::Lines));
        assert_eq!(split("\"a\"\nb"), Err(CsvError::Lines));
        assert_eq!(split("a\"b"), Err(CsvError::Quote(1)));
        assert_eq!(split("\"a\"b"), Err(CsvError::Quote(2)));
        assert_eq!(split("\"a"), Err(CsvError::Open));
    }

    proptest! {
        #[test]
        fn joined_values_split_again(
            values in prop::collection::vec("[a\", \n\u{e9}]{0,6}", 1..5),
        ) {
            // A record of one empty value is an empty line, which Go does not read back either.
            prop_assume!(values != [""]);
            prop_assert_eq!(split(&join(&values)).unwrap(), values);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in ".*") {
            let _ = split(&text);
        }
    }
}
