//! Subjects as strings (RFC 4514), for `spec.literalSubject`.

/// One attribute of a subject as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// The key as it was written.
    pub key: String,
    /// The object identifier of the key, dotted; `None` if the key is unknown.
    pub oid: Option<String>,
    /// The value, unescaped.
    pub value: String,
}

/// A subject: relative distinguished names in the order of the DER encoding (the last one written
/// comes first), each a list of attributes in the order written.
pub type Rdns<T> = Vec<Vec<T>>;

/// A text that is no subject.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// A part has no `=` or no key.
    #[error("{0:?} is no attribute: write key=value")]
    NoKey(String),
    /// A backslash is not followed by a special character or two hexadecimal digits.
    #[error("a lone backslash at byte {0}: write \\\\ for a backslash")]
    Escape(usize),
    /// A value is not UTF-8 once unescaped.
    #[error("the value of {0} is not UTF-8")]
    Utf8(String),
    /// A value after `#` is not the hexadecimal BER encoding of a string.
    #[error("the value of {0} after # must be the hexadecimal BER encoding of a string")]
    Hex(String),
    /// A key is neither known nor an object identifier.
    #[error(
        "Literal subject contains unrecognized key with value [{value}]: {key} is none of C, O, \
        OU, CN, SERIALNUMBER, L, ST, STREET, DC, UID, nor a dotted object identifier"
    )]
    UnknownKey {
        /// The key.
        key: String,
        /// Its value.
        value: String,
    },
    /// The text is longer than 16 KiB or has more than 256 attributes.
    #[error("too long: a subject has at most 256 attributes in 16 KiB")]
    Long,
}

/// The object identifier of the common name.
pub const COMMON_NAME: &str = "2.5.4.3";

const MAX_TEXT: usize = 16 * 1024;
const MAX_ATTRIBUTES: usize = 256;

const KEYS: [(&str, &str); 10] = [
    ("C", "2.5.4.6"),
    ("O", "2.5.4.10"),
    ("OU", "2.5.4.11"),
    ("CN", COMMON_NAME),
    ("SERIALNUMBER", "2.5.4.5"),
    ("L", "2.5.4.7"),
    ("ST", "2.5.4.8"),
    ("STREET", "2.5.4.9"),
    ("DC", "0.9.2342.19200300.100.1.25"),
    ("UID", "0.9.2342.19200300.100.1.1"),
];

/// Reads a subject; returns pairs of object identifier and value, in DER order.
pub fn parse(text: &str) -> Result<Rdns<(String, String)>, SubjectError> {
    let known = |a: Attribute| match a.oid {
        Some(oid) => Ok((oid, a.value)),
        None => Err(SubjectError::UnknownKey { key: a.key, value: a.value }),
    };
    let rdns = parse_attributes(text)?;
    rdns.into_iter().map(|rdn| rdn.into_iter().map(known).collect()).collect()
}

/// Reads a subject whose keys may be unknown, in DER order.
///
/// Keys are known in any case (RFC 4512, 2.5), which cert-manager does not accept. A semicolon
/// separates like a comma, as in RFC 2253, 4.
pub fn parse_attributes(text: &str) -> Result<Rdns<Attribute>, SubjectError> {
    if text.len() > MAX_TEXT {
        return Err(SubjectError::Long);
    }
    let mut rdns = vec![vec![]];
    if text.trim().is_empty() {
        return Ok(vec![]);
    }
    let (mut at, mut count) = (0, 0);
    loop {
        let end = at + part_length(&text[at..]);
        count += 1;
        if count > MAX_ATTRIBUTES {
            return Err(SubjectError::Long);
        }
        if let Some(last) = rdns.last_mut() {
            last.push(attribute(&text[at..end], at)?);
        }
        match text.as_bytes().get(end) {
            None => break,
            Some(b'+') => {}
            Some(_) => rdns.push(vec![]),
        }
        at = end + 1;
    }
    rdns.reverse();
    Ok(rdns)
}

/// The bytes until an unescaped separator, or all.
fn part_length(text: &str) -> usize {
    let mut escaped = false;
    let end = text.bytes().position(|b| {
        let separates = !escaped && matches!(b, b',' | b';' | b'+');
        escaped = !escaped && b == b'\\';
        separates
    });
    end.unwrap_or(text.len())
}

fn attribute(part: &str, at: usize) -> Result<Attribute, SubjectError> {
    let missing = || SubjectError::NoKey(part.trim().into());
    let (key, value) = part.split_once('=').ok_or_else(missing)?;
    let name = key.trim();
    if name.is_empty() {
        return Err(missing());
    }
    let start = at + key.len() + 1;
    let value = match value.trim_start_matches(' ').strip_prefix('#') {
        Some(digits) => hex_value(digits.trim()).ok_or_else(|| SubjectError::Hex(name.into()))?,
        None => unescape(value, start, name)?,
    };
    Ok(Attribute { key: name.into(), oid: oid_of(name), value })
}

fn oid_of(key: &str) -> Option<String> {
    let known = KEYS.iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
    known.map(|(_, oid)| (*oid).to_owned()).or_else(|| is_oid(key).then(|| key.to_owned()))
}

/// Whether a text is an object identifier: at least two dotted numbers without leading zeros, each
/// below 2^63, the first at most 2, the second below 40 unless the first is 2.
#[must_use]
pub fn is_oid(text: &str) -> bool {
    let arcs: Option<Vec<i64>> = text.split('.').map(arc).collect();
    match arcs.as_deref() {
        Some([0 | 1, second, ..]) => *second < 40,
        Some([2, _, ..]) => true,
        _ => false,
    }
}

fn arc(text: &str) -> Option<i64> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let plain = text == "0" || !text.starts_with('0');
    if digits && plain { text.parse().ok() } else { None }
}

/// Removes escapes and the spaces around a value; `at` is where it starts in the whole text.
fn unescape(value: &str, at: usize, key: &str) -> Result<String, SubjectError> {
    let lead = value.len() - value.trim_start_matches(' ').len();
    let (bytes, mut i) = (value.as_bytes(), lead);
    let (mut out, mut keep) = (Vec::new(), 0);
    while let Some(&byte) = bytes.get(i) {
        if byte == b'\\' {
            let (meant, length) = escape(&bytes[i + 1..]).ok_or(SubjectError::Escape(at + i))?;
            out.push(meant);
            keep = out.len();
            i += 1 + length;
        } else {
            out.push(byte);
            if byte != b' ' {
                keep = out.len();
            }
            i += 1;
        }
    }
    out.truncate(keep);
    String::from_utf8(out).map_err(|_| SubjectError::Utf8(key.into()))
}

/// What an escape means, and how many bytes it has after the backslash.
fn escape(after: &[u8]) -> Option<(u8, usize)> {
    match after {
        [c, ..] if b" \"#+,;<=>\\".contains(c) => Some((*c, 1)),
        [high, low, ..] => Some((hex_digit(*high)? << 4 | hex_digit(*low)?, 2)),
        _ => None,
    }
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The text of a string in BER, written as hexadecimal digits.
fn hex_value(digits: &str) -> Option<String> {
    let pairs = digits.as_bytes().chunks(2);
    let bytes: Option<Vec<u8>> = pairs
        .map(|pair| match pair {
            [high, low] => Some(hex_digit(*high)? << 4 | hex_digit(*low)?),
            _ => None,
        })
        .collect();
    let bytes = bytes?;
    let (tag, content) = tag_and_content(&bytes)?;
    // OCTET STRING, UTF8String, PrintableString, TeletexString, IA5String.
    let is_text = matches!(tag, 0x04 | 0x0c | 0x13 | 0x14 | 0x16);
    if is_text { String::from_utf8(content.to_vec()).ok() } else { None }
}

fn tag_and_content(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (tag, length, content) = match bytes {
        [tag, length @ 0..=0x7f, content @ ..] => (*tag, usize::from(*length), content),
        [tag, 0x81, length, content @ ..] => (*tag, usize::from(*length), content),
        [tag, 0x82, h, l, content @ ..] => {
            (*tag, usize::from(u16::from_be_bytes([*h, *l])), content)
        }
        _ => return None,
    };
    (content.len() == length).then_some((tag, content))
}

#[cfg(test)]
mod tests;
