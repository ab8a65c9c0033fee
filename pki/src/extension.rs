//! X.509 extensions (RFC 5280 section 4.2), read raw and written.

use std::collections::BTreeSet;

use crate::oid::Oid;
use crate::tlv::{self, Element, Malformed, tag};

/// One extension as found.
#[derive(Clone, Debug)]
pub(crate) struct Extension {
    pub oid: Oid,
    pub critical: bool,
    /// Content of the OCTET STRING.
    pub value: Vec<u8>,
}

/// Reads `Extensions`. An identifier that occurs twice is refused, because readers differ in which
/// of the two they believe.
pub(crate) fn parse(sequence: Element<'_>) -> Result<Vec<Extension>, Malformed> {
    const FIELD: &str = "Extensions";
    let mut elements = sequence.children(FIELD);
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    while let Some(element) = elements.optional(tag::SEQUENCE)? {
        let extension = parse_one(element)?;
        if !seen.insert(extension.oid.clone()) {
            return Err(Malformed::new(FIELD, format!("{} occurs twice", extension.oid)));
        }
        found.push(extension);
    }
    elements.finish()?;
    Ok(found)
}

fn parse_one(element: Element<'_>) -> Result<Extension, Malformed> {
    const FIELD: &str = "Extension";
    let mut fields = element.children(FIELD);
    let oid = Oid::from_content(fields.expect(tag::OID)?.value)?;
    let critical = match fields.optional(tag::BOOLEAN)? {
        Some(flag) => flag.boolean(FIELD)?,
        None => false,
    };
    let value = fields.expect(tag::OCTET_STRING)?.value.to_vec();
    fields.finish()?;
    Ok(Extension { oid, critical, value })
}

/// Writes one extension around the DER of its value.
pub(crate) fn encode(oid: &'static [u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let flag = if critical { tlv::element(tag::BOOLEAN, &[&[0xff]]) } else { Vec::new() };
    let value = tlv::element(tag::OCTET_STRING, &[value]);
    tlv::sequence(&[&Oid::known(oid).to_der(), &flag, &value])
}

/// The value of the extension with this identifier.
pub(crate) fn find<'a>(extensions: &'a [Extension], oid: &[u8]) -> Option<&'a Extension> {
    extensions.iter().find(|extension| extension.oid.as_bytes() == oid)
}
