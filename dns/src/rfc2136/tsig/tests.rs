use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{Record, RecordSet, RecordType};

use super::*;

/// 1,700,000,000 seconds after the epoch, the time of the vectors.
const THEN: &str = "2023-11-14T22:13:20Z";

/// The MACs of one update, made with dnspython 2 from the same key.
const VECTORS: &[(&str, &str)] = &[
    ("HMACMD5", "cd2d129be4ce4502ee5b9b107324db72"),
    ("HMACSHA1", "ca4fecdc085821d00750de7869cfa46d4d0d6ab3"),
    ("HMACSHA224", "3cc35f5d9216c1d7cf73f5d2c81a42298f3d570dacb57607420a337a"),
    ("HMACSHA256", "312b6585cb58911ba308898d85c71da8e715bd84bcac5749da738d76c636acdb"),
    (
        "HMACSHA384",
        concat!(
            "8d5a70ba153c4b19e65c1d439d946de715c48f9aa665f6bcf5472ec7cef62a0d525a595e2060e1c8",
            "b36f89be33cb8ea8",
        ),
    ),
    (
        "HMACSHA512",
        concat!(
            "12b095828432af89e426d709bdff7d1991e4b83d2aea1eec582ea7263076c0fc870cc37bc7fbc17d",
            "f04236bf9a237774a9b6a985ba3ab3d25680491873a71b36",
        ),
    ),
];

/// dnspython's answer to the update under HMACMD5.
const ANSWER: &str = concat!(
    "1234a8000001000000000001076578616d706c650474657374000006000107746573746b65790000",
    "fa00ff00000000003a08686d61632d6d6435077369672d616c670372656703696e740000006553f1",
    "00012c0010708e2a9a73aa46b0ef1e579cd93a48b1123400000000",
);

fn key(algorithm: &str) -> Key {
    // The bytes 0 to 31.
    Key::new("TestKey", algorithm, &Secret::new("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="))
        .unwrap()
}

fn update() -> Message {
    let name = |text| Name::from_ascii(text).unwrap();
    let owner = name("_acme-challenge.www.example.test.");
    let mut set = RecordSet::new(owner.clone(), RecordType::TXT, 0);
    set.insert(Record::from_rdata(owner, 60, RData::TXT(TXT::new(vec!["value".to_owned()]))), 0);
    let mut message =
        hickory_proto::op::update_message::append(set, name("example.test."), false, false);
    message.metadata.id = 0x1234;
    message
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn check(octets: &[u8], now: &str) -> Result<(), Fault> {
    let mac = Mac(hex(VECTORS[0].1));
    let Ok(answer) = Message::from_vec(octets) else { return Err(Fault::Forged) };
    key("").verify(octets, &answer, &mac, now.parse().unwrap())
}

#[test]
fn every_algorithm_signs_as_another_implementation_does() {
    for (algorithm, mac) in VECTORS {
        let (signed, made) = key(algorithm).sign(update(), THEN.parse().unwrap()).unwrap();
        assert_eq!(made.0, hex(mac), "{algorithm}");
        assert_eq!(signed.signature().unwrap().data.mac, made.0);
    }
}

#[test]
fn another_implementations_answer_is_accepted_in_its_time_only() {
    assert_eq!(check(&hex(ANSWER), THEN), Ok(()));
    assert_eq!(check(&hex(ANSWER), "2023-11-14T22:18:20Z"), Ok(()));
    assert_eq!(check(&hex(ANSWER), "2023-11-14T22:18:21Z"), Err(Fault::Forged));
}

#[test]
fn an_answer_that_was_changed_on_its_way_is_not_accepted() {
    for at in [3, 20, hex(ANSWER).len() - 12] {
        let mut changed = hex(ANSWER);
        changed[at] ^= 1;
        assert_ne!(check(&changed, THEN), Ok(()), "byte {at}");
    }
}

#[test]
fn an_answer_to_another_request_is_not_accepted() {
    let octets = hex(ANSWER);
    let answer = Message::from_vec(&octets).unwrap();
    let other = Mac(vec![0; 16]);
    assert_eq!(key("").verify(&octets, &answer, &other, THEN.parse().unwrap()), Err(Fault::Forged));
}

#[test]
fn an_answer_without_a_signature_is_not_accepted() {
    let answer = Message::response(0x1234, hickory_proto::op::OpCode::Update);
    let octets = answer.to_vec().unwrap();
    assert_eq!(check(&octets, THEN), Err(Fault::Unsigned));
}

#[test]
fn algorithms_go_by_cert_managers_names() {
    assert_eq!(Algorithm::named(""), Some(Algorithm::Md5));
    assert_eq!(Algorithm::named("hmacsha512"), Some(Algorithm::Sha512));
    assert_eq!(Algorithm::named("HMACSHA3"), None);
}

#[test]
fn a_keys_debug_output_has_no_secret_and_a_bad_secret_is_not_repeated() {
    assert_eq!(format!("{:?}", key("")), "Key(TestKey. Md5)");
    let error = Key::new("k", "", &Secret::new("not base64!")).unwrap_err();
    assert!(!error.to_string().contains("base64!"));
}

/// RFC 2202 and RFC 4231, test case 2.
#[test]
fn macs_are_those_of_the_rfcs() {
    let mac = |algorithm: Algorithm| algorithm.mac(b"Jefe", b"what do ya want for nothing?");
    assert_eq!(mac(Algorithm::Md5), hex("750c783e6ab0b503eaa86e310a5db738"));
    assert_eq!(mac(Algorithm::Sha1), hex("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"));
    let sha224 = "a30e01098bc6dbbf45690f3a7e9e6d0f8bbea2a39e6148008fd05e44";
    assert_eq!(mac(Algorithm::Sha224), hex(sha224));
    let sha256 = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(mac(Algorithm::Sha256), hex(sha256));
}
