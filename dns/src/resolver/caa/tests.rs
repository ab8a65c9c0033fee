use super::*;

fn set(records: &[(bool, &str, &str)]) -> Records {
    let record = |(critical, tag, value): &(bool, &str, &str)| Record {
        critical: *critical,
        tag: (*tag).to_owned(),
        value: (*value).to_owned(),
    };
    Records { owner: "example.com".to_owned(), records: records.iter().map(record).collect() }
}

const ACCOUNT: &str = "https://ca.test/acct/1";

fn block(records: &[(bool, &str, &str)], wildcard: bool) -> Option<(String, Reason)> {
    let identities = ["ca.test".to_owned()];
    let wanted = Issuance { identities: &identities, account: ACCOUNT, method: "dns-01", wildcard };
    set(records).block(&wanted).map(|block| (block.record.value, block.reason))
}

fn reason(value: &str) -> Option<Reason> {
    block(&[(false, "issue", value)], false).map(|(_, reason)| reason)
}

#[test]
fn without_a_restriction_everybody_may_issue() {
    assert_eq!(block(&[], false), None);
    assert_eq!(block(&[(false, "iodef", "mailto:a@b")], true), None);
    assert_eq!(block(&[(false, "issuewild", ";")], false), None, "that is for wildcards");
}

#[test]
fn one_record_that_names_the_ca_is_enough() {
    assert_eq!(
        block(&[(false, "issue", "other.test"), (false, "issue", " CA.test ")], false),
        None
    );
    let forbidden = block(&[(false, "issue", "other.test")], false);
    assert_eq!(forbidden, Some(("other.test".to_owned(), Reason::Issuer)));
    assert_eq!(reason(";"), Some(Reason::Issuer));
    assert_eq!(reason(""), Some(Reason::Issuer));
}

#[test]
fn a_wildcard_goes_by_issuewild_and_by_issue_only_without_one() {
    let both = [(false, "issue", "ca.test"), (false, "issuewild", "other.test")];
    assert_eq!(block(&both, true), Some(("other.test".to_owned(), Reason::Issuer)));
    assert_eq!(block(&both, false), None);
    assert_eq!(block(&both[..1], true), None);
}

#[test]
fn the_account_and_the_method_count() {
    assert_eq!(reason("ca.test; accounturi=https://ca.test/acct/1"), None);
    assert_eq!(reason("ca.test; accounturi=https://ca.test/acct/2"), Some(Reason::Account));
    let twice = "ca.test; accounturi=https://ca.test/acct/1; accounturi=https://ca.test/acct/2";
    assert_eq!(reason(twice), Some(Reason::Account));
    assert_eq!(reason("ca.test; validationmethods=http-01,dns-01"), None);
    assert_eq!(reason("ca.test; ValidationMethods=http-01"), Some(Reason::Method));
    assert_eq!(reason("ca.test; unknown=1"), None);
    assert_eq!(reason("ca.test; what is this"), Some(Reason::Issuer), "malformed allows nobody");
}

#[test]
fn the_record_that_comes_closest_is_the_one_to_mend() {
    let records = [
        (false, "issue", "other.test"),
        (false, "issue", "ca.test; accounturi=https://ca.test/acct/2"),
    ];
    assert_eq!(block(&records, false).unwrap().1, Reason::Account);
}

#[test]
fn what_is_critical_and_unknown_forbids_all() {
    assert_eq!(
        block(&[(true, "future", "x"), (false, "issue", "ca.test")], false).unwrap().1,
        Reason::UnknownCritical
    );
    assert_eq!(block(&[(true, "issuemail", ";"), (true, "issue", "ca.test")], false), None);
}

#[test]
fn a_block_reads_as_the_zone_file_does() {
    let identities = ["ca.test".to_owned()];
    let wanted =
        Issuance { identities: &identities, account: ACCOUNT, method: "dns-01", wildcard: false };
    let block = set(&[(true, "issue", "other.test")]).block(&wanted).unwrap();
    assert_eq!(
        block.to_string(),
        "example.com has CAA 128 issue \"other.test\", which does not name this CA"
    );
}
