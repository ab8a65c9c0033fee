use proptest::prelude::*;

use super::*;

fn flat(text: &str) -> Vec<(String, String)> {
    parse(text).unwrap().into_iter().flatten().collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

#[test]
fn the_last_written_comes_first_because_der_has_it_so() {
    let text = "CN=literal.example.test,OU=One,OU=Two,O=Shop,DC=corp,DC=example";
    let dc = "0.9.2342.19200300.100.1.25";
    let want = [
        (dc, "example"),
        (dc, "corp"),
        ("2.5.4.10", "Shop"),
        ("2.5.4.11", "Two"),
        ("2.5.4.11", "One"),
        ("2.5.4.3", "literal.example.test"),
    ];
    assert_eq!(flat(text), pairs(&want));
}

#[test]
fn attributes_joined_by_plus_are_one_name() {
    let rdns = parse("CN=a+UID=b,O=c").unwrap();
    assert_eq!(rdns.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(rdns[1][0], ("2.5.4.3".into(), "a".into()));
}

#[test]
fn escapes_and_spaces_follow_rfc_4514() {
    let value = |text: &str| flat(text)[0].1.clone();
    assert_eq!(value(r"O=Shop\, Inc."), "Shop, Inc.");
    assert_eq!(value(r"CN=James \22Jim\22 Smith"), "James \"Jim\" Smith");
    assert_eq!(value(r"CN=Lu\C4\8Di\C4\87"), "Lučić");
    assert_eq!(value(r"CN=Before\0dAfter"), "Before\rAfter");
    assert_eq!(value(r"CN=  a b  "), "a b");
    assert_eq!(value(r"CN=\ a\  "), " a ");
    assert_eq!(value(r"CN=a=b"), "a=b");
    assert_eq!(value("CN="), "");
    assert_eq!(value("CN=a\\\\,O=b"), "b");
}

#[test]
fn keys_may_be_object_identifiers_and_values_ber() {
    assert_eq!(flat("1.3.6.1.4.1.1466.0=#04024869"), pairs(&[("1.3.6.1.4.1.1466.0", "Hi")]));
    assert_eq!(flat("cn=a"), pairs(&[("2.5.4.3", "a")]));
    assert!(matches!(parse("CN=#0402"), Err(SubjectError::Hex(_))));
    assert!(matches!(parse("CN=#040248"), Err(SubjectError::Hex(_))));
    assert!(matches!(parse("CN=#zz"), Err(SubjectError::Hex(_))));
}

#[test]
fn an_unknown_key_is_reported_in_the_words_that_clients_look_for() {
    let error = parse("CN=a,EMAIL=b").unwrap_err().to_string();
    assert!(error.starts_with("Literal subject contains unrecognized key with value [b]"));
    let attributes = parse_attributes("X=1,Y=2").unwrap();
    assert!(attributes.iter().flatten().all(|a| a.oid.is_none()));
}

#[test]
fn what_is_no_subject_is_refused() {
    assert!(matches!(parse("CN=a,,O=b"), Err(SubjectError::NoKey(_))));
    assert!(matches!(parse("CN=a,"), Err(SubjectError::NoKey(_))));
    assert!(matches!(parse("=a"), Err(SubjectError::NoKey(_))));
    assert_eq!(parse(r"CN=a\"), Err(SubjectError::Escape(4)));
    assert_eq!(parse(r"CN=a\g1"), Err(SubjectError::Escape(4)));
    assert!(matches!(parse(r"CN=\ff"), Err(SubjectError::Utf8(_))));
    assert_eq!(parse(&"CN=a,".repeat(5000)), Err(SubjectError::Long));
    assert_eq!(parse(&"CN=a+".repeat(300)), Err(SubjectError::Long));
    assert_eq!(parse(""), Ok(vec![]));
}

#[test]
fn object_identifiers_are_checked_by_their_arcs() {
    for good in ["1.2", "2.999.3", "0.39", "1.3.6.1.4.1.311.20.2.3"] {
        assert!(is_oid(good), "{good}");
    }
    for bad in
        ["", "1", "1.", ".1", "3.1", "1.40", "1.2.-3", "1.02", "a.b", "1.2.99999999999999999999"]
    {
        assert!(!is_oid(bad), "{bad}");
    }
}

fn escaped(value: &str) -> String {
    value.bytes().map(|b| format!("\\{b:02x}")).collect()
}

proptest! {
    #[test]
    fn any_value_survives_when_escaped_byte_by_byte(
        values in prop::collection::vec(".{0,8}", 1..6),
    ) {
        let text: Vec<String> = values.iter().map(|v| format!("OU={}", escaped(v))).collect();
        let mut read: Vec<String> = flat(&text.join(",")).into_iter().map(|(_, v)| v).collect();
        read.reverse();
        prop_assert_eq!(read, values);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in ".*") {
        let _ = parse(&text);
    }

    #[test]
    fn no_near_miss_makes_the_parser_panic(
        text in "([A-Z0-9.]{0,3}[=+,;#\\\\ ]?[a-f0-9\u{e9}]{0,3}){0,8}",
    ) {
        let _ = parse(&text);
    }
}
