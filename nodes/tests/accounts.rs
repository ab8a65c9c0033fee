//! ACME accounts: when the CA is asked, and what the issuer says.
#![allow(clippy::unwrap_used, reason = "a test that finds nothing to unwrap has failed")]

mod bed;

use bed::{Bed, Reply, key};
use everleaf_nodes::effect::Acme;
use everleaf_nodes::facts::Class;
use everleaf_nodes::{Do, Kind};
use serde_json::{Value, json};

const CA: &str = "https://ca.test/directory";

fn issuer() -> bed::Key {
    key(Kind::Issuer, "acme")
}

fn ready(bed: &Bed) -> (&str, &str, &str) {
    let conditions = &bed.status(&issuer())["conditions"][0];
    let text = |field: &str| conditions[field].as_str().unwrap_or("");
    (text("status"), text("reason"), text("message"))
}

#[test]
fn an_account_is_registered_once_and_a_restart_asks_for_nothing() {
    let mut bed = Bed::new();
    bed.issuer("acme", CA, json!({}));
    bed.run(60);
    let (status, reason, message) = ready(&bed);
    assert_eq!((status, reason), ("True", "ACMEAccountRegistered"));
    assert_eq!(message, "The ACME account was registered with the ACME server");
    assert_eq!(bed.asked, ["register acme"]);
    let writes = bed.writes;
    let mut bed = bed.restarted();
    bed.run(24 * 3600);
    assert_eq!((bed.asked.len(), bed.writes, bed.log.len()), (0, writes, 0));
}

#[test]
fn cert_managers_account_is_taken_over_without_a_request() {
    let mut bed = Bed::new();
    bed.secret("acme-key");
    bed.issuer("acme", CA, json!({"email": "A@shop.test"}));
    bed.change(&issuer(), |issuer| {
        issuer["status"] = json!({
            "acme": {
                "uri": "https://ca.test/acct/7", "lastRegisteredEmail": "a@shop.test",
                "lastPrivateKeyHash": "hash",
            },
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "ACMEAccountRegistered",
                "message": "The ACME account was registered with the ACME server",
                "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 0,
            }],
        });
    });
    bed.run(60);
    assert_eq!(bed.asked, [""; 0]);
    assert_eq!(bed.status(&issuer())["acme"]["uri"], "https://ca.test/acct/7");
}

#[test]
fn another_address_or_directory_asks_again() {
    let mut bed = Bed::new();
    bed.issuer("acme", CA, json!({}));
    bed.run(60);
    bed.change(&issuer(), |issuer| issuer["spec"]["acme"]["email"] = json!("b@shop.test"));
    bed.run(60);
    assert_eq!(bed.asked.len(), 2);
    assert_eq!(bed.status(&issuer())["acme"]["lastRegisteredEmail"], "b@shop.test");
    // The same host: another path is another directory all the same.
    bed.change(&issuer(), |issuer| {
        issuer["spec"]["acme"]["server"] = json!("https://ca.test/other/directory");
    });
    bed.run(60);
    assert_eq!(bed.asked.len(), 3);
}

#[test]
fn a_key_secret_that_changed_is_verified_and_asks_only_if_the_key_is_another() {
    let mut bed = Bed::new();
    bed.issuer("acme", CA, json!({}));
    bed.run(60);
    bed.secret("acme-key");
    bed.run(60);
    assert_eq!(bed.asked.len(), 1, "the bed's key has the same hash always");
    let mut trusted = bed.effects.iter().filter_map(|effect| match &effect.action {
        Do::Acme(Acme::Register(it)) => Some(it.trusted_hash.is_some()),
        _ => None,
    });
    assert_eq!(trusted.next_back(), Some(true));
}

/// The condition of an issuer that was made with this in its spec, after a minute.
fn condition_of(server: &str, acme: Value, prepare: impl Fn(&mut Bed)) -> (String, String, Bed) {
    let mut bed = Bed::new();
    prepare(&mut bed);
    bed.issuer("acme", server, acme);
    bed.run(60);
    let (_, reason, message) = ready(&bed);
    let (reason, message) = (reason.to_owned(), message.to_owned());
    (reason, message, bed)
}

#[test]
fn what_a_person_has_to_mend_is_said_and_nothing_is_asked() {
    let old = "https://acme-v01.api.letsencrypt.org/directory";
    let eab = json!({"externalAccountBinding": {
        "keyID": "1", "keySecretRef": {"name": "eab", "key": "k"},
    }});
    let solvers = json!({"solvers": [{"dns01": {"digitalocean": {
        "tokenSecretRef": {"name": "token", "key": "t"},
    }}}]});
    let table = [
        (old, json!({}), "InvalidConfig", "https://acme-v02.api.letsencrypt.org/directory"),
        ("ca.test", json!({}), "InvalidURL", "no URL"),
        (CA, json!({"disableAccountKeyGeneration": true}), "ErrVerifyACMEAccount", "acme-key"),
        (CA, eab, "ErrRegisterACMEAccount", "eab"),
        (CA, solvers, "InvalidSolver", "token"),
    ];
    for (server, acme, wanted, hint) in table {
        let (reason, message, bed) = condition_of(server, acme, |_| {});
        assert_eq!(reason, wanted);
        assert!(message.contains(hint), "{message}");
        assert_eq!(bed.asked, [""; 0]);
    }
}

#[test]
fn a_secret_that_comes_lets_the_registration_go_on() {
    let keep = json!({"disableAccountKeyGeneration": true});
    let (_, _, mut bed) = condition_of(CA, keep, |_| {});
    bed.secret("acme-key");
    bed.run(60);
    assert_eq!(ready(&bed).0, "True");
}

#[test]
fn a_refused_registration_waits_for_a_change() {
    let (reason, message, mut bed) = condition_of(CA, json!({}), |bed| {
        bed.tell("register", Reply::Ill(Class::User, "contact is not accepted", None));
    });
    assert_eq!(reason, "ErrRegisterACMEAccount");
    assert!(
        message.contains("contact is not accepted") && message.contains("changes"),
        "{message}"
    );
    bed.run(1000 * 3600);
    assert_eq!(bed.asked.len(), 1);
    bed.change(&issuer(), |issuer| issuer["spec"]["acme"]["email"] = json!("b@shop.test"));
    bed.run(60);
    assert_eq!(ready(&bed).0, "True");
}

#[test]
fn a_rate_limited_registration_names_its_time_and_keeps_it() {
    let (_, message, mut bed) = condition_of(CA, json!({}), |bed| {
        bed.tell("register", Reply::Ill(Class::RateLimited, "too many accounts", Some(1800)));
    });
    assert!(message.contains("too many accounts; the CA asks for patience until"), "{message}");
    bed.run(1700);
    assert_eq!(bed.asked.len(), 1);
    let mut bed = bed.restarted();
    bed.run(20);
    assert_eq!(bed.asked.len(), 0, "a restart does not forget it");
    bed.run(120);
    assert_eq!((bed.asked.len(), ready(&bed).0), (1, "True"));
}

#[test]
fn a_registration_that_nobody_answers_is_tried_again() {
    let (reason, _, mut bed) = condition_of(CA, json!({}), |bed| {
        for _ in 0..4 {
            bed.tell("register", Reply::Ill(Class::Transient, "connection refused", None));
        }
    });
    assert_eq!(reason, "ErrRegisterACMEAccount");
    bed.run(3600);
    assert_eq!((bed.asked.len(), ready(&bed).0), (5, "True"));
}

#[test]
fn a_rest_that_a_clock_days_ahead_wrote_is_not_sat_out_for_days() {
    let mut bed = Bed::new();
    bed.tell("register", Reply::Ill(Class::Transient, "connection reset by peer", None));
    bed.issuer("acme", CA, json!({}));
    bed.run(1);
    assert_eq!(bed.asked.len(), 1);
    let uid = bed.objects[&issuer()].uid.clone();
    let days = 5 * 24 * 3600;
    let note = |value: &Value| {
        let text = value["metadata"]["annotations"]["everleaf.dev/acme-attempt"].as_str();
        serde_json::from_str::<Value>(text.unwrap()).unwrap()
    };
    let mut ahead = note(bed.json(&issuer()));
    ahead["at"] = json!(bed::time(bed.seconds() + days));
    ahead["notBefore"] = json!(bed::time(bed.seconds() + days + 1800));
    bed.change(&issuer(), |issuer| {
        issuer["metadata"]["annotations"]["everleaf.dev/acme-attempt"] = json!(ahead.to_string());
    });
    assert_eq!(bed.objects[&issuer()].uid, uid);
    let mut bed = bed.restarted();
    bed.run(60);
    assert_eq!(ready(&bed).0, "True", "{}", bed.status(&issuer()));
}
