use super::*;

fn strings(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

fn rdn(attributes: &[(&str, &str)]) -> Vec<(Oid, String)> {
    attributes.iter().map(|(oid, value)| (oid.parse().unwrap(), (*value).to_owned())).collect()
}

fn full() -> SubjectFields {
    SubjectFields {
        countries: strings(&["DE", "AT"]),
        organizations: strings(&["Zoo", "Ärzte & Söhne"]),
        organizational_units: strings(&["b", "aa"]),
        localities: strings(&["Köln"]),
        provinces: strings(&["NRW"]),
        street_addresses: strings(&["Weg 1", "*"]),
        postal_codes: strings(&["50667"]),
        common_name: "example.test".into(),
        serial_number: "42".into(),
    }
}

// The expected bytes of the next three are what Go 1.26's encoding/asn1 writes for the same names.

#[test]
fn subject_fields_become_the_bytes_go_writes() {
    let expected = "3081c1311630090603550406130241543009060355040613024445310c300a060355040813034e52\
        57310e300c06035504070c054bc3b66c6e3118300806035504090c012a300c060355040913055765\
        672031310e300c0603550411130535303636373124300a060355040a13035a6f6f3016060355040a\
        0c0fc384727a746520262053c3b6686e6531153008060355040b1301623009060355040b13026161\
        311530130603550403130c6578616d706c652e74657374310b3009060355040513023432";
    assert_eq!(hex(Name::from_fields(&full()).as_der()), expected);
}

#[test]
fn a_star_makes_a_utf8_string_and_no_field_makes_an_empty_sequence() {
    let fields = SubjectFields { common_name: "*.example.test".into(), ..Default::default() };
    let expected = "30193117301506035504030c0e2a2e6578616d706c652e74657374";
    assert_eq!(hex(Name::from_fields(&fields).as_der()), expected);
    assert_eq!(Name::from_fields(&SubjectFields::default()), Name::empty());
    assert_eq!(hex(Name::empty().as_der()), "3000");
}

#[test]
fn relative_names_keep_their_order_and_sort_only_inside() {
    let dc = "0.9.2342.19200300.100.1.25";
    let name = Name::from_rdns(&[
        rdn(&[(dc, "example")]),
        rdn(&[(dc, "corp")]),
        rdn(&[("2.5.4.11", "Two"), ("2.5.4.3", "x@y")]),
    ]);
    let expected = "304931173015060a0992268993f22c64011913076578616d706c6531143012060a0992268993f22c\
        6401191304636f72703118300a06035504030c03784079300a060355040b130354776f";
    assert_eq!(hex(name.as_der()), expected);
    assert_eq!(name.to_string(), "CN=x@y+OU=Two,DC=corp,DC=example");
}

#[test]
fn fields_come_back_with_repeated_values_in_der_order() {
    let name = Name::from_fields(&full());
    let fields = Name::from_der(name.as_der()).unwrap().fields();
    let sorted = SubjectFields {
        countries: strings(&["AT", "DE"]),
        organizational_units: strings(&["b", "aa"]),
        street_addresses: strings(&["*", "Weg 1"]),
        ..full()
    };
    assert_eq!(fields, sorted);
    assert_eq!(name.common_name(), "example.test");
}

#[test]
fn every_string_type_is_read_and_what_is_none_is_shown_as_hex() {
    let attribute = |tag: u8, value: &[u8]| {
        let text = tlv::element(tag, &[value]);
        let pair = tlv::sequence(&[&Oid::known(id::COMMON_NAME).to_der(), &text]);
        let name = tlv::sequence_of(&[tlv::set_of(vec![pair])]);
        Name::from_der(&name).unwrap().common_name().to_owned()
    };
    assert_eq!(attribute(tag::PRINTABLE_STRING, b"*_@"), "*_@");
    assert_eq!(attribute(tag::TELETEX_STRING, b"\xe4"), "ä");
    assert_eq!(attribute(tag::BMP_STRING, b"\x20\xac"), "€");
    assert_eq!(attribute(tag::UNIVERSAL_STRING, b"\0\x01\xf5\x11"), "🔑");
    assert_eq!(attribute(tag::UTF8_STRING, b"\xff"), "#0c01ff");
    assert_eq!(attribute(tag::BMP_STRING, b"\x20"), "#1e0120");
    assert_eq!(attribute(tag::INTEGER, b"\x05"), "#020105");
}

#[test]
fn a_set_out_of_order_keeps_its_bytes() {
    let pair = |value: &[u8]| {
        let text = tlv::element(tag::PRINTABLE_STRING, &[value]);
        tlv::sequence(&[&Oid::known(id::ORGANIZATIONAL_UNIT).to_der(), &text])
    };
    let unsorted = tlv::element(tag::SET, &[&pair(b"b"), &pair(b"a")]);
    let der = tlv::sequence(&[&unsorted]);
    assert_eq!(Name::from_der(&der).unwrap().as_der(), der);
}

#[test]
fn names_match_across_string_types_but_are_equal_only_as_bytes() {
    let name = |tag: u8| {
        let text = tlv::element(tag, &[b"same"]);
        let pair = tlv::sequence(&[&Oid::known(id::COMMON_NAME).to_der(), &text]);
        Name::from_der(&tlv::sequence_of(&[tlv::set_of(vec![pair])])).unwrap()
    };
    let (utf8, printable) = (name(tag::UTF8_STRING), name(tag::PRINTABLE_STRING));
    assert!(utf8.matches(&printable));
    assert_ne!(utf8, printable);
    assert!(!utf8.matches(&Name::empty()));
}

#[test]
fn special_characters_are_escaped_when_shown() {
    let name = Name::from_rdns(&[rdn(&[("2.5.4.10", " a, \"b\"+c\n ")])]);
    assert_eq!(name.to_string(), r#"O=\ a\, \"b\"\+c\0a\ "#);
}
