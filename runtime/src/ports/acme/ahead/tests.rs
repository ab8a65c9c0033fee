use super::*;
use everleaf_dns::resolver::caa::Record;
use everleaf_nodes::facts::Method;

const ACCOUNT: &str = "https://ca.test/account/1";

fn proof(wildcard: bool, method: Option<Method>) -> Proof {
    Proof { name: "www.example.test".into(), wildcard, method, reach: false }
}

fn said(proof: &Proof, records: &[(&str, &str)]) -> Option<(Class, String)> {
    let record = |(tag, value): &(&str, &str)| Record {
        critical: false,
        tag: (*tag).to_owned(),
        value: (*value).to_owned(),
    };
    let records =
        Records { owner: "example.test".to_owned(), records: records.iter().map(record).collect() };
    match forbidden(proof, &records, &["ca.test".to_owned()], ACCOUNT) {
        Ok(()) => None,
        Err(Halt::Fault(fault)) => Some((fault.class, fault.detail)),
        Err(Halt::Undone(_)) => panic!("nothing was asked of the API server"),
    }
}

#[test]
fn a_record_that_names_another_ca_is_told_with_its_owner() {
    let (class, detail) = said(&proof(false, Some(Method::Http01)), &[("issue", "other.test")])
        .expect("it is forbidden");
    assert_eq!(class, Class::User);
    for part in ["\"www.example.test\"", "example.test has CAA 0 issue \"other.test\"", "ca.test"] {
        assert!(detail.contains(part), "{detail}");
    }
}

#[test]
fn account_method_and_wildcard_are_weighed() {
    let http = proof(false, Some(Method::Http01));
    let wild = proof(true, Some(Method::Dns01));
    assert_eq!(said(&http, &[("issue", "ca.test")]), None);
    assert_eq!(said(&http, &[("issue", &format!("ca.test; accounturi={ACCOUNT}"))]), None);
    assert!(said(&http, &[("issue", "ca.test; accounturi=https://ca.test/account/2")]).is_some());
    assert!(said(&http, &[("issue", "ca.test; validationmethods=dns-01")]).is_some());
    assert_eq!(said(&wild, &[("issue", "ca.test; validationmethods=dns-01")]), None);
    assert!(said(&wild, &[("issue", "ca.test"), ("issuewild", ";")]).is_some());
    assert_eq!(said(&http, &[("issue", "ca.test"), ("issuewild", ";")]), None);
}

#[test]
fn without_a_solver_nothing_is_said_of_caa() {
    assert_eq!(said(&proof(false, None), &[("issue", "other.test")]), None);
}
