//! The annotations that describe a certificate on its Secret.

use std::collections::BTreeMap;

use crate::cert::CertInfo;

/// The `cert-manager.io/` annotations a Secret gets from its certificate, keyed in full. Common
/// name, DNS names, IP addresses and URIs are always there; the others only if not empty.
///
/// Names are joined by commas; subject fields with several values form one CSV record.
pub fn secret_annotations(leaf: &CertInfo) -> BTreeMap<&'static str, String> {
    let names = &leaf.alt_names;
    let subject = leaf.subject.fields();
    let ips: Vec<_> = names.ip_addresses.iter().map(|ip| ip.to_canonical().to_string()).collect();
    let always = [
        ("cert-manager.io/common-name", subject.common_name),
        ("cert-manager.io/alt-names", names.dns_names.join(",")),
        ("cert-manager.io/ip-sans", ips.join(",")),
        ("cert-manager.io/uri-sans", names.uris.join(",")),
    ];
    let sometimes = [
        ("cert-manager.io/email-sans", names.email_addresses.join(",")),
        ("cert-manager.io/subject-organizations", csv(&subject.organizations)),
        ("cert-manager.io/subject-organizationalunits", csv(&subject.organizational_units)),
        ("cert-manager.io/subject-countries", csv(&subject.countries)),
        ("cert-manager.io/subject-provinces", csv(&subject.provinces)),
        ("cert-manager.io/subject-localities", csv(&subject.localities)),
        ("cert-manager.io/subject-postalcodes", csv(&subject.postal_codes)),
        ("cert-manager.io/subject-streetaddresses", csv(&subject.street_addresses)),
        ("cert-manager.io/subject-serialnumber", subject.serial_number),
    ];
    always.into_iter().chain(sometimes.into_iter().filter(|(_, text)| !text.is_empty())).collect()
}

/// One record as Go's `encoding/csv` writes it, without the line end.
fn csv(values: &[String]) -> String {
    let fields: Vec<_> = values.iter().map(|value| csv_field(value)).collect();
    fields.join(",")
}

fn csv_field(value: &str) -> String {
    let special = |c: char| matches!(c, ',' | '"' | '\r' | '\n');
    // A lone `\.` ends the data for PostgreSQL, so Go quotes it.
    let quoted =
        value == r"\." || value.contains(special) || value.starts_with(char::is_whitespace);
    if quoted { format!("\"{}\"", value.replace('"', "\"\"")) } else { value.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_fields_are_quoted_exactly_where_go_quotes_them() {
        let cases = [
            ("plain", "plain"),
            ("", ""),
            ("inner space", "inner space"),
            (" leading", "\" leading\""),
            ("trailing ", "trailing "),
            ("Acme, Inc.", "\"Acme, Inc.\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            (r"\.", "\"\\.\""),
        ];
        for (value, expected) in cases {
            assert_eq!(csv_field(value), expected);
        }
        assert_eq!(csv(&["One".into(), "Two, Three".into()]), "One,\"Two, Three\"");
    }
}
