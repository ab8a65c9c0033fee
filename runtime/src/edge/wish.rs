//! What a Certificate wishes for, in the terms of X.509.

use super::literal_name;
use everleaf_nodes::facts::{ConstraintNames, KeyKind, Subject, Wish};
use everleaf_pki as pki;
use pki::{CsrSpec, Name, NameConstraints, OtherName, SubjectFields, Subtrees};
use std::str::FromStr;
use std::sync::Arc;

/// The kind of a key as facts have it.
pub fn key_kind(kind: pki::KeyKind) -> KeyKind {
    match kind {
        pki::KeyKind::Rsa { bits } => KeyKind::Rsa(bits),
        pki::KeyKind::Ecdsa(curve) => KeyKind::Ecdsa(curve.bits()),
        pki::KeyKind::Ed25519 => KeyKind::Ed25519,
    }
}

/// The kind of a key to be made.
///
/// # Errors
/// If there is no such kind.
pub fn pki_key_kind(kind: KeyKind) -> Result<pki::KeyKind, String> {
    let (algorithm, size) = match kind {
        KeyKind::Rsa(bits) => ("RSA", bits),
        KeyKind::Ecdsa(bits) => ("ECDSA", bits),
        KeyKind::Ed25519 => ("Ed25519", 0),
    };
    pki::KeyKind::from_api(Some(algorithm), size).map_err(|error| error.to_string())
}

fn strings(values: &[Arc<str>]) -> Vec<String> {
    values.iter().map(|value| value.to_string()).collect()
}

fn parsed<T: FromStr>(what: &str, values: &[Arc<str>]) -> Result<Vec<T>, String> {
    let one = |value: &Arc<str>| value.parse().map_err(|_| format!("{value:?} is no {what}"));
    values.iter().map(one).collect()
}

fn subject(wish: &Wish) -> Result<Name, String> {
    if !wish.literal_subject.is_empty() {
        let name = literal_name(&wish.literal_subject);
        return name.ok_or_else(|| "spec.literalSubject cannot be read".to_owned());
    }
    let Subject { serial_number, .. } = &wish.subject;
    Ok(Name::from_fields(&SubjectFields {
        countries: strings(&wish.subject.countries),
        organizations: strings(&wish.subject.organizations),
        organizational_units: strings(&wish.subject.organizational_units),
        localities: strings(&wish.subject.localities),
        provinces: strings(&wish.subject.provinces),
        street_addresses: strings(&wish.subject.street_addresses),
        postal_codes: strings(&wish.subject.postal_codes),
        common_name: wish.common_name.to_string(),
        serial_number: serial_number.to_string(),
    }))
}

fn subtrees(names: &ConstraintNames) -> Result<Subtrees, String> {
    Ok(Subtrees {
        dns_domains: strings(&names.dns_domains),
        ip_ranges: parsed("range in CIDR notation", &names.ip_ranges)?,
        email_addresses: strings(&names.emails),
        uri_domains: strings(&names.uri_domains),
    })
}

fn constraints(wish: &Wish) -> Result<Option<NameConstraints>, String> {
    let Some(given) = &wish.constraints else { return Ok(None) };
    Ok(Some(NameConstraints {
        critical: given.critical,
        permitted: subtrees(&given.permitted)?,
        excluded: subtrees(&given.excluded)?,
    }))
}

/// What a request for this wish asks for.
///
/// # Errors
/// Which field cannot be put into a request, and why.
pub fn csr_spec(wish: &Wish) -> Result<CsrSpec, String> {
    let other = |(oid, value): &(Arc<str>, Arc<str>)| {
        let oid = oid.parse().map_err(|_| format!("{oid:?} is no object identifier"))?;
        Ok::<_, String>(OtherName { oid, utf8_value: value.to_string() })
    };
    let algorithm = match &*wish.signature_algorithm {
        "" => None,
        name => Some(name.parse().map_err(|_| format!("{name:?} is no signature algorithm"))?),
    };
    Ok(CsrSpec {
        subject: subject(wish)?,
        dns_names: strings(&wish.names.dns),
        ip_addresses: parsed("IP address", &wish.names.ips)?,
        uris: strings(&wish.names.uris),
        email_addresses: strings(&wish.names.emails),
        other_names: wish.names.others.iter().map(other).collect::<Result<_, _>>()?,
        usages: parsed("usage", &wish.usages)?,
        is_ca: wish.is_ca,
        encode_usages: wish.encode_usages,
        encode_basic_constraints: false,
        name_constraints: constraints(wish)?,
        signature_algorithm: algorithm,
    })
}
