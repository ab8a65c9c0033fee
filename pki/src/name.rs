//! Distinguished names (RFC 5280 section 4.1.2.4): kept as DER, readable as attributes.

use std::fmt;

use crate::oid::{Oid, id};
use crate::public_key::hex;
use crate::tlv::{self, Element, Elements, Malformed, tag};

/// The fields of `spec.subject` and the common name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectFields {
    /// `C` values.
    pub countries: Vec<String>,
    /// `O` values.
    pub organizations: Vec<String>,
    /// `OU` values.
    pub organizational_units: Vec<String>,
    /// `L` values.
    pub localities: Vec<String>,
    /// `ST` values.
    pub provinces: Vec<String>,
    /// `STREET` values.
    pub street_addresses: Vec<String>,
    /// `postalCode` values.
    pub postal_codes: Vec<String>,
    /// `CN`; empty for none.
    pub common_name: String,
    /// The subject's serial number, not the certificate's; empty for none.
    pub serial_number: String,
}

/// One attribute of a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attribute {
    /// The attribute's type.
    pub oid: Oid,
    /// Its text; `#` and the DER in hex (RFC 4514 section 2.4) where it is not a readable string.
    pub value: String,
}

/// A distinguished name. Equality is that of the DER bytes.
#[derive(Clone)]
pub struct Name {
    der: Vec<u8>,
    rdns: Vec<Vec<Attribute>>,
}

impl Name {
    /// The name of subject fields, as Go's `pkix.Name` writes it: country, province, locality,
    /// street address, postal code, organization, organizational unit, common name, serial number;
    /// several values of one field share one relative name.
    pub fn from_fields(fields: &SubjectFields) -> Self {
        let single = |value: &String| match value.is_empty() {
            true => Vec::new(),
            false => vec![value.clone()],
        };
        let groups = [
            (id::COUNTRY, fields.countries.clone()),
            (id::PROVINCE, fields.provinces.clone()),
            (id::LOCALITY, fields.localities.clone()),
            (id::STREET_ADDRESS, fields.street_addresses.clone()),
            (id::POSTAL_CODE, fields.postal_codes.clone()),
            (id::ORGANIZATION, fields.organizations.clone()),
            (id::ORGANIZATIONAL_UNIT, fields.organizational_units.clone()),
            (id::COMMON_NAME, single(&fields.common_name)),
            (id::SERIAL_NUMBER, single(&fields.serial_number)),
        ];
        let rdn = |(oid, values): (&'static [u8], Vec<String>)| {
            values.into_iter().map(|value| (Oid::known(oid), value)).collect::<Vec<_>>()
        };
        Self::from_rdns(&groups.map(rdn))
    }

    /// The name of relative names in DER order, the reverse of RFC 4514's. Empty ones are left out.
    ///
    /// Values are written as PrintableString where its alphabet suffices and as UTF8String
    /// otherwise, as Go does; so are those of `DC`.
    pub fn from_rdns(rdns: &[Vec<(Oid, String)>]) -> Self {
        let encode = |(oid, value): &(Oid, String)| {
            let text = tlv::element(string_tag(value), &[value.as_bytes()]);
            tlv::sequence(&[&oid.to_der(), &text])
        };
        let sets: Vec<_> = rdns
            .iter()
            .filter(|rdn| !rdn.is_empty())
            .map(|rdn| tlv::set_of(rdn.iter().map(encode).collect()))
            .collect();
        Self::from_der(&tlv::sequence_of(&sets)).expect("what was written here can be read")
    }

    /// Reads a DER Name and keeps its bytes.
    pub fn from_der(der: &[u8]) -> Result<Self, Malformed> {
        const FIELD: &str = "Name";
        let mut sets = tlv::only(der, tag::SEQUENCE, FIELD)?.children(FIELD);
        let mut rdns = Vec::new();
        while let Some(set) = sets.optional(tag::SET)? {
            rdns.push(attributes(set)?);
        }
        sets.finish()?;
        Ok(Name { der: der.to_vec(), rdns })
    }

    /// The name without any attribute.
    pub fn empty() -> Self {
        Name { der: tlv::sequence(&[]), rdns: Vec::new() }
    }

    /// The DER bytes: the original ones of a name that was read.
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// Whether it has no attribute.
    pub fn is_empty(&self) -> bool {
        self.rdns.is_empty()
    }

    /// The relative names in DER order, each with its attributes in DER order.
    pub fn rdns(&self) -> &[Vec<Attribute>] {
        &self.rdns
    }

    /// The last common name, or "" for none.
    pub fn common_name(&self) -> &str {
        let mut names = self.attributes().filter(|a| a.oid.as_bytes() == id::COMMON_NAME);
        names.next_back().map_or("", |attribute| attribute.value.as_str())
    }

    /// The attributes that are subject fields; of common name and serial number the last.
    pub fn fields(&self) -> SubjectFields {
        let mut fields = SubjectFields::default();
        for Attribute { oid, value } in self.attributes() {
            let value = value.clone();
            match oid.as_bytes() {
                id::COUNTRY => fields.countries.push(value),
                id::ORGANIZATION => fields.organizations.push(value),
                id::ORGANIZATIONAL_UNIT => fields.organizational_units.push(value),
                id::LOCALITY => fields.localities.push(value),
                id::PROVINCE => fields.provinces.push(value),
                id::STREET_ADDRESS => fields.street_addresses.push(value),
                id::POSTAL_CODE => fields.postal_codes.push(value),
                id::COMMON_NAME => fields.common_name = value,
                id::SERIAL_NUMBER => fields.serial_number = value,
                _ => {}
            }
        }
        fields
    }

    /// Whether both are the same name: the same bytes, or the same attributes in the same order
    /// under other string types.
    pub fn matches(&self, other: &Name) -> bool {
        self.der == other.der || self.rdns == other.rdns
    }

    fn attributes(&self) -> impl DoubleEndedIterator<Item = &Attribute> {
        self.rdns.iter().flatten()
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Name {}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

impl fmt::Display for Name {
    /// RFC 4514: last relative name first, special characters escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, rdn) in self.rdns.iter().rev().enumerate() {
            f.write_str(if position == 0 { "" } else { "," })?;
            for (position, attribute) in rdn.iter().enumerate() {
                f.write_str(if position == 0 { "" } else { "+" })?;
                write!(f, "{}={}", keyword(&attribute.oid), escaped(&attribute.value))?;
            }
        }
        Ok(())
    }
}

fn keyword(oid: &Oid) -> String {
    let known = match oid.as_bytes() {
        id::COUNTRY => "C",
        id::ORGANIZATION => "O",
        id::ORGANIZATIONAL_UNIT => "OU",
        id::LOCALITY => "L",
        id::PROVINCE => "ST",
        id::STREET_ADDRESS => "STREET",
        id::COMMON_NAME => "CN",
        id::SERIAL_NUMBER => "SERIALNUMBER",
        id::DOMAIN_COMPONENT => "DC",
        id::USER_ID => "UID",
        _ => return oid.to_string(),
    };
    known.to_owned()
}

fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let escape = |(position, c): (usize, char)| match c {
        ',' | '+' | '"' | '\\' | '<' | '>' | ';' => format!("\\{c}"),
        ' ' if position == 0 || position == last => "\\ ".to_owned(),
        c if c.is_control() => c.to_string().bytes().map(|byte| format!("\\{byte:02x}")).collect(),
        c => c.to_string(),
    };
    value.chars().enumerate().map(escape).collect()
}

fn attributes(set: Element<'_>) -> Result<Vec<Attribute>, Malformed> {
    const FIELD: &str = "RelativeDistinguishedName";
    let mut elements = set.children(FIELD);
    let mut found = Vec::new();
    while let Some(element) = elements.optional(tag::SEQUENCE)? {
        let mut fields = element.children("AttributeTypeAndValue");
        let oid = Oid::from_content(fields.expect(tag::OID)?.value)?;
        let Some(value) = fields.next()? else {
            return Err(Malformed::new("AttributeTypeAndValue", "it has no value"));
        };
        fields.finish()?;
        found.push(Attribute { oid, value: text_of(value) });
    }
    elements.finish()?;
    match found.is_empty() {
        true => Err(Malformed::new(FIELD, "it is empty")),
        false => Ok(found),
    }
}

/// PrintableString as Go chooses it: its alphabet (X.680 41.4) and nothing else.
fn string_tag(value: &str) -> u8 {
    let printable = |byte: u8| byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&byte);
    match value.bytes().all(printable) {
        true => tag::PRINTABLE_STRING,
        false => tag::UTF8_STRING,
    }
}

fn text_of(element: Element<'_>) -> String {
    let bytes = element.value;
    let text = match element.tag {
        tag::UTF8_STRING
        | tag::PRINTABLE_STRING
        | tag::IA5_STRING
        | tag::NUMERIC_STRING
        | tag::VISIBLE_STRING => String::from_utf8(bytes.to_vec()).ok(),
        // As everybody writes it: Latin-1.
        tag::TELETEX_STRING => Some(bytes.iter().map(|&byte| char::from(byte)).collect()),
        tag::BMP_STRING => utf_16(bytes),
        tag::UNIVERSAL_STRING => utf_32(bytes),
        _ => None,
    };
    text.unwrap_or_else(|| format!("#{}", hex(element.raw)))
}

fn utf_16(bytes: &[u8]) -> Option<String> {
    let (units, rest) = bytes.as_chunks::<2>();
    let units = units.iter().map(|unit| u16::from_be_bytes(*unit));
    let text: Result<String, _> = char::decode_utf16(units).collect();
    text.ok().filter(|_| rest.is_empty())
}

fn utf_32(bytes: &[u8]) -> Option<String> {
    let (units, rest) = bytes.as_chunks::<4>();
    let text: Option<String> =
        units.iter().map(|unit| char::from_u32(u32::from_be_bytes(*unit))).collect();
    text.filter(|_| rest.is_empty())
}

/// Reads the Name at the cursor.
pub(crate) fn next_name(elements: &mut Elements<'_>) -> Result<Name, Malformed> {
    Name::from_der(elements.expect(tag::SEQUENCE)?.raw)
}

#[cfg(test)]
mod tests;
