//! Subject alternative names (RFC 5280 section 4.2.1.6).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;

use crate::extension::{self, Extension};
use crate::oid::{Oid, id};
use crate::tlv::{self, Element, Malformed, tag};

/// An otherName whose value is a UTF8String.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherName {
    /// The kind of name.
    pub oid: Oid,
    /// Its text.
    pub utf8_value: String,
}

/// The names of a SubjectAltName extension by kind, each kind in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AltNames {
    /// `dNSName`.
    pub dns_names: Vec<String>,
    /// `iPAddress`.
    pub ip_addresses: Vec<IpAddr>,
    /// `uniformResourceIdentifier`.
    pub uris: Vec<String>,
    /// `rfc822Name`.
    pub email_addresses: Vec<String>,
    /// `otherName` with a UTF8String in it.
    pub other_names: Vec<OtherName>,
    /// The DER of every name of another kind: directory names, registered identifiers, other
    /// otherNames. Kept for those who must not lose them.
    pub unread: Vec<Vec<u8>>,
}

/// A text that X.509 cannot hold where it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{kind} {value:?} is not ASCII")]
pub struct NotEncodable {
    /// What kind of name it is.
    pub kind: &'static str,
    /// The name.
    pub value: String,
}

const OTHER_NAME: u8 = tag::context_constructed(0);
const EMAIL: u8 = tag::context(1);
const DNS: u8 = tag::context(2);
const URI: u8 = tag::context(6);
const IP: u8 = tag::context(7);

impl AltNames {
    /// Whether there is no name of any kind.
    pub fn is_empty(&self) -> bool {
        *self == AltNames::default()
    }

    /// The value of the extension: GeneralNames in Go's order, which is cert-manager's: dNSName,
    /// rfc822Name, iPAddress, uniformResourceIdentifier, and the others behind.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, NotEncodable> {
        let texts = |kind, tag, texts: &[String]| -> Result<Vec<_>, NotEncodable> {
            texts.iter().map(|text| ascii(kind, tag, text)).collect()
        };
        let mut names = texts("DNS name", DNS, &self.dns_names)?;
        names.extend(texts("email address", EMAIL, &self.email_addresses)?);
        names.extend(self.ip_addresses.iter().map(|ip| tlv::element(IP, &[&ip_octets(*ip)])));
        names.extend(texts("URI", URI, &self.uris)?);
        names.extend(self.other_names.iter().map(encode_other));
        names.extend(self.unread.iter().cloned());
        Ok(tlv::sequence_of(&names))
    }

    pub(crate) fn parse(extensions: &[Extension]) -> Result<Self, Malformed> {
        let mut found = AltNames::default();
        let Some(extension) = extension::find(extensions, id::SUBJECT_ALT_NAME) else {
            return Ok(found);
        };
        let mut names =
            tlv::only(&extension.value, tag::SEQUENCE, "SubjectAltName")?.children("GeneralName");
        while let Some(name) = names.next()? {
            found.add(name)?;
        }
        Ok(found)
    }

    fn add(&mut self, name: Element<'_>) -> Result<(), Malformed> {
        match name.tag {
            EMAIL => self.email_addresses.push(ascii_of(name, "rfc822Name")?),
            DNS => self.dns_names.push(ascii_of(name, "dNSName")?),
            URI => self.uris.push(ascii_of(name, "uniformResourceIdentifier")?),
            IP => self.ip_addresses.push(ip_of(name.value)?),
            OTHER_NAME => match parse_other(name) {
                Some(other) => self.other_names.push(other),
                None => self.unread.push(name.raw.to_vec()),
            },
            // x400Address, directoryName, ediPartyName, registeredID.
            0xa3..=0xa5 | 0x88 => self.unread.push(name.raw.to_vec()),
            tag => {
                return Err(Malformed::new("GeneralName", format!("no such choice: {tag:#04x}")));
            }
        }
        Ok(())
    }
}

fn encode_other(name: &OtherName) -> Vec<u8> {
    let text = tlv::element(tag::UTF8_STRING, &[name.utf8_value.as_bytes()]);
    let value = tlv::element(tag::context_constructed(0), &[&text]);
    tlv::element(OTHER_NAME, &[&name.oid.to_der(), &value])
}

fn parse_other(name: Element<'_>) -> Option<OtherName> {
    const FIELD: &str = "otherName";
    let mut fields = name.children(FIELD);
    let oid = Oid::from_content(fields.expect(tag::OID).ok()?.value).ok()?;
    let value = fields.expect(tag::context_constructed(0)).ok()?.value;
    fields.finish().ok()?;
    let text = tlv::only(value, tag::UTF8_STRING, FIELD).ok()?.value.to_vec();
    Some(OtherName { oid, utf8_value: String::from_utf8(text).ok()? })
}

fn ascii_of(name: Element<'_>, field: &'static str) -> Result<String, Malformed> {
    match std::str::from_utf8(name.value) {
        Ok(text) if text.is_ascii() => Ok(text.to_owned()),
        _ => Err(Malformed::new(field, "it is not ASCII")),
    }
}

fn ip_of(octets: &[u8]) -> Result<IpAddr, Malformed> {
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        Ok(Ipv4Addr::from(octets).into())
    } else if let Ok(octets) = <[u8; 16]>::try_from(octets) {
        Ok(Ipv6Addr::from(octets).into())
    } else {
        Err(Malformed::new("iPAddress", format!("it has {} octets", octets.len())))
    }
}

/// The octets of an address; an IPv4 address in IPv6 clothes is written as IPv4, as Go does.
pub(crate) fn ip_octets(ip: IpAddr) -> Vec<u8> {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// An IA5String under an implicit tag.
pub(crate) fn ascii(kind: &'static str, tag: u8, text: &str) -> Result<Vec<u8>, NotEncodable> {
    match text.is_ascii() {
        true => Ok(tlv::element(tag, &[text.as_bytes()])),
        false => Err(NotEncodable { kind, value: text.to_owned() }),
    }
}

/// A uniformResourceIdentifier among GeneralNames.
pub(crate) fn uri(text: &str) -> Result<Vec<u8>, NotEncodable> {
    ascii("URI", URI, text)
}
