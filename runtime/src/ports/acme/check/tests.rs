use super::*;

#[test]
fn a_bodys_start_is_one_short_line_without_the_token() {
    let body = b"<html>\r\n\t<h1>No  file</h1> /.well-known/acme-challenge/tok-en\x1b[31m";
    let told = start(body, "tok-en");
    assert_eq!(told, "<html> <h1>No file</h1> /.well-known/acme-challenge/… [31m");
    assert_eq!(start("ü".repeat(1000).as_bytes(), "t").chars().count(), TOLD);
    assert_eq!(start(b"\xff\xfe", "t"), "\u{fffd}\u{fffd}");
    assert_eq!(start(b" \n", "t"), "");
}

#[test]
fn only_the_url_that_was_asked_for_is_told_of() {
    let asked = |url: &str| is_asked(&url.parse().unwrap(), "a.test");
    assert!(asked("http://a.test/.well-known/acme-challenge/t"));
    assert!(!asked("https://a.test/.well-known/acme-challenge/t"));
    assert!(!asked("http://metadata.internal/latest"));
    assert!(is_asked(&"http://[2001:db8::1]/x".parse().unwrap(), &authority("2001:db8::1")));
}

#[test]
fn addresses_are_told_and_only_so_many() {
    assert_eq!(in_words("192.0.2.1", &Ok(vec![])), "it is an address");
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    assert_eq!(in_words("a.test", &Ok(vec![])), "DNS has no address of the name");
    assert_eq!(in_words("a.test", &Err("SERVFAIL".to_owned())), "DNS: SERVFAIL");
    let many: Vec<IpAddr> = (1..=9).map(|last| ip(&format!("192.0.2.{last}"))).collect();
    assert_eq!(
        in_words("a.test", &Ok(many)),
        "DNS says 192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4"
    );
}
