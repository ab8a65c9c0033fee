//! Friendly names of trusted certificates: their subjects, written as Go's `pkix.Name` does.

use std::collections::{BTreeMap, BTreeSet};

use der::asn1::{PrintableStringRef, Utf8StringRef};
use everleaf_pki::{Attribute, Name, SubjectFields};

use crate::asn1::der;

/// A name for each subject. Of those that Java would not tell apart, for it lowers aliases, each but
/// the first has the lowest free number, from 1, behind it: `CN=root-1`.
pub(crate) fn friendly_names<'a>(subjects: impl Iterator<Item = &'a Name>) -> Vec<String> {
    let mut taken = BTreeSet::new();
    // The last number behind each name: a bundle may hold a thousand certificates of one subject.
    let mut last: BTreeMap<String, u32> = BTreeMap::new();
    let name = |subject| {
        let plain = subject_text(subject);
        let lowered = plain.to_lowercase();
        if taken.insert(lowered.clone()) {
            return plain;
        }
        let last = last.entry(lowered).or_default();
        loop {
            *last += 1;
            let numbered = format!("{plain}-{last}");
            if taken.insert(numbered.to_lowercase()) {
                return numbered;
            }
        }
    };
    subjects.map(name).collect()
}

/// The fields that Go knows, in its fixed order and the last one first; behind them the attributes
/// that it does not know, the last one first, as OIDs with the DER of the value in hex.
fn subject_text(subject: &Name) -> String {
    let fields = subject.fields();
    let known = known(&fields).into_iter().rev().filter(|(_, values)| !values.is_empty());
    let known = known.map(|(keyword, values)| {
        let pairs = values.iter().map(|value| format!("{keyword}={}", escaped(value)));
        pairs.collect::<Vec<_>>().join("+")
    });
    let attributes = subject.rdns().iter().flatten().rev();
    let unknown = attributes
        .filter(|attribute| !is_known(attribute))
        .map(|attribute| format!("{}={}", attribute.oid, hex_of(&attribute.value)));
    known.chain(unknown).collect::<Vec<_>>().join(",")
}

/// Go's order when it writes a name.
fn known(fields: &SubjectFields) -> [(&'static str, &[String]); 9] {
    fn one(value: &String) -> &[String] {
        if value.is_empty() { &[] } else { std::slice::from_ref(value) }
    }
    [
        ("C", &fields.countries),
        ("ST", &fields.provinces),
        ("L", &fields.localities),
        ("STREET", &fields.street_addresses),
        ("POSTALCODE", &fields.postal_codes),
        ("O", &fields.organizations),
        ("OU", &fields.organizational_units),
        ("CN", one(&fields.common_name)),
        ("SERIALNUMBER", one(&fields.serial_number)),
    ]
}

fn is_known(attribute: &Attribute) -> bool {
    matches!(attribute.oid.as_bytes(), [0x55, 4, 3 | 5..=11 | 17])
}

/// Texts are written anew, as Go does, whatever their type was; what is no text comes as hex.
fn hex_of(value: &str) -> String {
    if value.starts_with('#') {
        return value.to_owned();
    }
    let printable = |byte: u8| byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&byte);
    let encoded = match value.bytes().all(printable) {
        true => PrintableStringRef::new(value).map(|text| der(&text)),
        false => Utf8StringRef::new(value).map(|text| der(&text)),
    };
    let encoded = encoded.expect("a subject is shorter than its certificate");
    std::iter::once("#".to_owned())
        .chain(encoded.iter().map(|byte| format!("{byte:02x}")))
        .collect()
}

fn escaped(value: &str) -> String {
    let last = value.len().saturating_sub(1);
    let escape = |(position, c): (usize, char)| match c {
        ',' | '+' | '"' | '\\' | '<' | '>' | ';' => format!("\\{c}"),
        ' ' if position == 0 || position == last => "\\ ".to_owned(),
        '#' if position == 0 => "\\#".to_owned(),
        c => c.to_string(),
    };
    value.char_indices().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(rdns: &[&[(&str, &str)]]) -> Name {
        let rdn = |pairs: &&[(&str, &str)]| {
            let pair = |(oid, value): &(&str, &str)| (oid.parse().unwrap(), (*value).to_owned());
            pairs.iter().map(pair).collect::<Vec<_>>()
        };
        Name::from_rdns(&rdns.iter().map(rdn).collect::<Vec<_>>())
    }

    fn text(rdns: &[&[(&str, &str)]]) -> String {
        friendly_names([name(rdns)].iter()).remove(0)
    }

    #[test]
    fn fields_stand_in_the_order_of_go_and_not_of_the_certificate() {
        let scattered = text(&[
            &[("2.5.4.3", "root")],
            &[("2.5.4.11", "b")],
            &[("2.5.4.6", "DE")],
            &[("2.5.4.11", "a"), ("2.5.4.10", "o")],
        ]);
        assert_eq!(scattered, "CN=root,OU=b+OU=a,O=o,C=DE");
    }

    #[test]
    fn what_go_does_not_know_comes_last_and_in_hex() {
        let dc = "0.9.2342.19200300.100.1.25";
        let found = text(&[&[(dc, "corp")], &[(dc, "exämple")], &[("2.5.4.3", "root")]]);
        let expected = format!("CN=root,{dc}=#0c086578c3a46d706c65,{dc}=#1304636f7270");
        assert_eq!(found, expected);
    }

    #[test]
    fn special_characters_are_escaped_where_they_would_be_misread() {
        assert_eq!(text(&[&[("2.5.4.3", "#a, b#+\"\\<>; ")]]), r##"CN=\#a\, b#\+\"\\\<\>\;\ "##);
        assert_eq!(text(&[]), "");
    }

    #[test]
    fn subjects_that_java_takes_for_one_get_numbers() {
        let cn = |value| name(&[&[("2.5.4.3", value)]]);
        let subjects = [cn("root"), cn("other"), cn("root-1"), cn("ROOT"), cn("root")];
        let names = friendly_names(subjects.iter());
        assert_eq!(names, ["CN=root", "CN=other", "CN=root-1", "CN=ROOT-2", "CN=root-3"]);
    }
}
