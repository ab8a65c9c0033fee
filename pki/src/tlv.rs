//! DER elements (X.690), read with their original bytes and written from parts.
//!
//! Typed decoders re-sort sets and refuse rare strings; an element keeps what came. Lengths are
//! decoded by the `der` crate, strictly: definite and minimal.

use der::{Decode, Length};
use thiserror::Error;

/// Bytes that are not the DER structure they should be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{field} is malformed: {why}")]
pub struct Malformed {
    /// Which structure or field, by its name in RFC 5280 or RFC 2986.
    pub field: &'static str,
    /// What is wrong with it.
    pub why: String,
}

impl Malformed {
    pub(crate) fn new(field: &'static str, why: impl Into<String>) -> Self {
        Malformed { field, why: why.into() }
    }
}

/// Identifier octets.
pub(crate) mod tag {
    pub const BOOLEAN: u8 = 0x01;
    pub const INTEGER: u8 = 0x02;
    pub const BIT_STRING: u8 = 0x03;
    pub const OCTET_STRING: u8 = 0x04;
    pub const OID: u8 = 0x06;
    pub const UTF8_STRING: u8 = 0x0c;
    pub const NUMERIC_STRING: u8 = 0x12;
    pub const PRINTABLE_STRING: u8 = 0x13;
    pub const TELETEX_STRING: u8 = 0x14;
    pub const IA5_STRING: u8 = 0x16;
    pub const UTC_TIME: u8 = 0x17;
    pub const GENERALIZED_TIME: u8 = 0x18;
    pub const VISIBLE_STRING: u8 = 0x1a;
    pub const UNIVERSAL_STRING: u8 = 0x1c;
    pub const BMP_STRING: u8 = 0x1e;
    pub const SEQUENCE: u8 = 0x30;
    pub const SET: u8 = 0x31;

    /// `[n]` around a primitive value.
    pub const fn context(n: u8) -> u8 {
        0x80 | n
    }

    /// `[n]` around constructed content.
    pub const fn context_constructed(n: u8) -> u8 {
        0xa0 | n
    }
}

/// One element: identifier octet, content, and both with the length as they came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    pub tag: u8,
    pub value: &'a [u8],
    pub raw: &'a [u8],
}

impl<'a> Element<'a> {
    /// The elements inside; `field` names them in errors.
    pub fn children(self, field: &'static str) -> Elements<'a> {
        Elements { rest: self.value, field }
    }

    /// The content of a BIT STRING of whole octets.
    pub fn octets_of_bit_string(self, field: &'static str) -> Result<&'a [u8], Malformed> {
        match self.value.split_first() {
            Some((0, octets)) => Ok(octets),
            _ => Err(Malformed::new(field, "not a bit string of whole octets")),
        }
    }

    /// A BOOLEAN; DER allows 0x00 and 0xff only.
    pub fn boolean(self, field: &'static str) -> Result<bool, Malformed> {
        match self.value {
            [0x00] => Ok(false),
            [0xff] => Ok(true),
            _ => Err(Malformed::new(field, "not a DER boolean")),
        }
    }

    /// A non-negative INTEGER that fits 32 bits.
    pub fn small_integer(self, field: &'static str) -> Result<u32, Malformed> {
        u32::from_der(self.raw).map_err(|e| Malformed::new(field, e.to_string()))
    }
}

/// A cursor over consecutive elements.
#[derive(Clone, Debug)]
pub(crate) struct Elements<'a> {
    rest: &'a [u8],
    field: &'static str,
}

impl<'a> Elements<'a> {
    pub fn new(bytes: &'a [u8], field: &'static str) -> Self {
        Elements { rest: bytes, field }
    }

    fn error(&self, why: impl Into<String>) -> Malformed {
        Malformed::new(self.field, why)
    }

    /// The next element, or `None` at the end.
    pub fn next(&mut self) -> Result<Option<Element<'a>>, Malformed> {
        let Some((&tag, after_tag)) = self.rest.split_first() else { return Ok(None) };
        if tag & 0x1f == 0x1f {
            return Err(self.error("a tag number above 30"));
        }
        let (length, after_length) =
            Length::from_der_partial(after_tag).map_err(|e| self.error(e.to_string()))?;
        let length = usize::try_from(length).map_err(|e| self.error(e.to_string()))?;
        let Some((value, rest)) = after_length.split_at_checked(length) else {
            return Err(self.error("it ends early"));
        };
        let raw = &self.rest[..self.rest.len() - rest.len()];
        self.rest = rest;
        Ok(Some(Element { tag, value, raw }))
    }

    /// The next element, which must have this identifier octet.
    pub fn expect(&mut self, tag: u8) -> Result<Element<'a>, Malformed> {
        match self.next()? {
            Some(element) if element.tag == tag => Ok(element),
            Some(element) => {
                Err(self.error(format!("found tag {:#04x}, expected {tag:#04x}", element.tag)))
            }
            None => Err(self.error(format!("it ends where tag {tag:#04x} is expected"))),
        }
    }

    /// The next element if it has this identifier octet; otherwise nothing is consumed.
    pub fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>, Malformed> {
        if self.rest.first() == Some(&tag) { self.next() } else { Ok(None) }
    }

    /// Nothing may be left.
    pub fn finish(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.error("trailing data")) }
    }
}

/// The single element `bytes` consist of.
pub(crate) fn only<'a>(
    bytes: &'a [u8],
    tag: u8,
    field: &'static str,
) -> Result<Element<'a>, Malformed> {
    let mut elements = Elements::new(bytes, field);
    let element = elements.expect(tag)?;
    elements.finish()?;
    Ok(element)
}

/// Writes one element whose content is the concatenation of `parts`.
pub(crate) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(length + 6);
    out.push(tag);
    push_length(&mut out, length);
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

fn push_length(out: &mut Vec<u8>, length: usize) {
    if length < 0x80 {
        out.push(length as u8);
        return;
    }
    let bytes = length.to_be_bytes();
    let significant = &bytes[length.leading_zeros() as usize / 8..];
    out.push(0x80 | significant.len() as u8);
    out.extend_from_slice(significant);
}

/// SEQUENCE of the given encodings.
pub(crate) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(tag::SEQUENCE, parts)
}

/// SEQUENCE OF.
pub(crate) fn sequence_of(parts: &[Vec<u8>]) -> Vec<u8> {
    element(tag::SEQUENCE, &[&parts.concat()])
}

/// SET OF: DER sorts the encodings (X.690 11.6).
pub(crate) fn set_of(mut parts: Vec<Vec<u8>>) -> Vec<u8> {
    parts.sort();
    element(tag::SET, &[&parts.concat()])
}

/// A non-negative INTEGER from big-endian octets.
pub(crate) fn unsigned_integer(octets: &[u8]) -> Vec<u8> {
    let first = octets.iter().position(|&octet| octet != 0).unwrap_or(octets.len());
    let significant = &octets[first..];
    match significant.first() {
        Some(top) if top & 0x80 == 0 => element(tag::INTEGER, &[significant]),
        _ => element(tag::INTEGER, &[&[0], significant]),
    }
}

/// A BIT STRING of whole octets.
pub(crate) fn bit_string(octets: &[u8]) -> Vec<u8> {
    element(tag::BIT_STRING, &[&[0], octets])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_minimal_in_every_form_and_read_back() {
        for length in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let written = element(tag::OCTET_STRING, &[&vec![7; length]]);
            let read = only(&written, tag::OCTET_STRING, "test").unwrap();
            assert_eq!((read.value.len(), read.raw.len()), (length, written.len()));
        }
    }

    #[test]
    fn indefinite_overlong_and_truncated_lengths_are_refused() {
        for bytes in [&[0x30, 0x80, 0, 0][..], &[0x04, 0x81, 0x01, 0xaa], &[0x04, 0x02, 0xaa]] {
            assert!(Elements::new(bytes, "test").next().is_err(), "{bytes:x?}");
        }
    }

    #[test]
    fn unsigned_integers_are_minimal_and_never_negative() {
        assert_eq!(unsigned_integer(&[0, 0, 0x7f]), [2, 1, 0x7f]);
        assert_eq!(unsigned_integer(&[0x80]), [2, 2, 0, 0x80]);
        assert_eq!(unsigned_integer(&[0, 0]), [2, 1, 0]);
    }
}
