//! The renewal time against a second author's reading of the documentation.

use everleaf_engine::{Command, Config, Delta, Engine, Input, Program as _, Timestamp};
use everleaf_nodes::facts::{Facts, KeyKind, Kind, Names};
use everleaf_nodes::{Do, Everleaf, Options};
use everleaf_sim::world::material::{SymCert, SymKey, encode};
use everleaf_sim::world::project;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::OnceLock;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const BEGIN: i64 = 1_767_225_600;

/// What a Certificate wishes for.
#[derive(Clone, Debug)]
enum Wish {
    Nothing,
    Before(i64),
    Percentage(i64),
}

/// cert-manager's documentation: renewBefore if it lies within the life that was issued, else the
/// percentage of that life, else a third. Ours: not within five minutes nor a twentieth of the
/// life after the beginning, unless a third of what is left leaves no room. All in seconds.
fn model(wish: &Wish, begin: i64, end: i64) -> i64 {
    let life = end - begin;
    let before = match wish {
        Wish::Before(before) if 0 < *before && *before < life => *before * 1000,
        Wish::Percentage(percent) => life * 1000 * percent / 100,
        Wish::Before(_) | Wish::Nothing => life * 1000 / 3,
    };
    let desired = (end * 1000 - before).div_euclid(1000) * 1000;
    let floor = begin * 1000 + (5 * MINUTE * 1000).max(life * 1000 / 20);
    let late = end * 1000 - life * 1000 / 3;
    desired.max(floor.min(late)) / 1000
}

fn objects(wish: &Wish, begin: i64, end: i64) -> (Value, Value) {
    let key = SymKey::new("k1", KeyKind::Rsa(2048));
    let names = Names { dns: vec!["a.example.com".into()], ..Names::default() };
    let leaf = SymCert {
        serial: 1,
        fp: key.fp.clone(),
        kind: key.kind,
        signer: "ca".into(),
        common_name: "".into(),
        names,
        not_before: begin,
        not_after: end,
        is_ca: false,
        usages: Vec::new(),
        ari: None,
    };
    let mut spec = json!({ "secretName": "a-tls", "dnsNames": ["a.example.com"],
        "duration": "87600h", "issuerRef": { "name": "ca" } });
    match wish {
        Wish::Before(seconds) => spec["renewBefore"] = json!(format!("{seconds}s")),
        Wish::Percentage(percent) => spec["renewBeforePercentage"] = json!(percent),
        Wish::Nothing => {}
    }
    let certificate = json!({ "apiVersion": "cert-manager.io/v1", "kind": "Certificate",
        "metadata": { "name": "a", "namespace": "app", "uid": "u1", "generation": 1,
            "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z" },
        "spec": spec });
    let secret = json!({ "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": "a-tls", "namespace": "app", "uid": "s1", "resourceVersion": "2",
            "labels": { "controller.cert-manager.io/fao": "true" },
            "annotations": { "cert-manager.io/certificate-name": "a",
                "cert-manager.io/issuer-name": "ca" } },
        "data": { "tls.crt": encode(&[&leaf]), "tls.key": encode(&key) } });
    (certificate, secret)
}

fn applied(feed: u8, kind: Kind, object: &Value) -> Input<Kind, Facts> {
    let identity = project::identity(kind, object);
    let facts = project::facts(kind, object, true).expect("the object is well made");
    let (key, uid, rv) = (identity.key, identity.uid, identity.rv);
    Input::Observed(Delta::Applied { feed, key, uid, rv, live: false, facts })
}

/// A CA issuer and what it signs with, until then.
fn ca(begin: i64, end: i64) -> (Value, Value) {
    let key = SymKey::new("ca-key", KeyKind::Rsa(2048));
    let own = SymCert {
        serial: 7,
        fp: key.fp.clone(),
        kind: key.kind,
        signer: "ca".into(),
        common_name: "ca".into(),
        names: Names::default(),
        not_before: begin,
        not_after: end,
        is_ca: true,
        usages: Vec::new(),
        ari: None,
    };
    let ready = json!({ "type": "Ready", "status": "True", "reason": "KeyPairVerified",
        "message": "Signing CA verified", "lastTransitionTime": "2026-01-01T00:00:00Z" });
    let issuer = json!({ "apiVersion": "cert-manager.io/v1", "kind": "Issuer",
        "metadata": { "name": "ca", "namespace": "app", "uid": "i1", "generation": 1,
            "resourceVersion": "3" },
        "spec": { "ca": { "secretName": "ca-pair" } }, "status": { "conditions": [ready] } });
    let secret = json!({ "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": "ca-pair", "namespace": "app", "uid": "s2", "resourceVersion": "4",
            "labels": { "controller.cert-manager.io/fao": "true" } },
        "data": { "tls.crt": encode(&[&own]), "tls.key": encode(&key) } });
    (issuer, secret)
}

/// What the machine writes as the renewal time, right after the beginning.
fn told(wish: &Wish, begin: i64, end: i64) -> Option<i64> {
    told_at(wish, (begin, end), begin + 1, None)
}

/// What it writes at another time, where the issuer's CA lives from then to then.
fn told_at(
    wish: &Wish,
    (begin, end): (i64, i64),
    now: i64,
    ca_life: Option<(i64, i64)>,
) -> Option<i64> {
    static PROGRAM: OnceLock<Everleaf> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| Everleaf::new(Options::default())).clone();
    let feeds = program.feeds().len() as u8;
    let mut engine = Engine::new(program, Config::default());
    let now = Timestamp::from_seconds(now);
    let (certificate, secret) = objects(wish, begin, end);
    let signer = ca_life.map(|(begin, end)| ca(begin, end));
    engine.handle(now, Input::Leadership(Some(1)));
    for feed in 0..feeds {
        engine.handle(now, Input::Observed(Delta::ListBegin { feed }));
        let shown: Vec<(Kind, &Value)> = match feed {
            everleaf_nodes::feed::CERTIFICATES => vec![(Kind::Certificate, &certificate)],
            everleaf_nodes::feed::ISSUERS => {
                signer.iter().map(|(issuer, _)| (Kind::Issuer, issuer)).collect()
            }
            everleaf_nodes::feed::LABELLED_SECRETS => {
                let pair = signer.iter().map(|(_, pair)| (Kind::Secret, pair));
                pair.chain([(Kind::Secret, &secret)]).collect()
            }
            _ => Vec::new(),
        };
        for (kind, object) in shown {
            engine.handle(now, applied(feed, kind, object));
        }
        engine.handle(now, Input::Observed(Delta::ListEnd { feed, rv: 9 }));
    }
    while let Some(command) = engine.poll_effect() {
        let Command::Perform(_, effect) = command else { continue };
        if effect.subject.kind != Kind::Certificate {
            continue;
        }
        if let Do::PatchStatus { patch } = effect.action {
            let patch: Value = serde_json::from_str(&patch).expect("a patch is JSON");
            let time = patch["status"]["renewalTime"].as_str()?.parse::<everleaf_api::Time>();
            return time.ok().map(|time| time.unix());
        }
    }
    None
}

fn wishes() -> impl Strategy<Value = Wish> {
    prop_oneof![
        Just(Wish::Nothing),
        (5 * MINUTE..400 * 24 * HOUR).prop_map(Wish::Before),
        (1_i64..100).prop_map(Wish::Percentage),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_renewal_time_is_the_documented_one(
        wish in wishes(),
        life in prop_oneof![HOUR..10 * HOUR, HOUR..400 * 24 * HOUR],
    ) {
        let (begin, end) = (BEGIN, BEGIN + life);
        let wanted = model(&wish, begin, end);
        let told = told(&wish, begin, end);
        // Percentages and shares of seconds may be rounded either way.
        let near = told.is_some_and(|told| (told - wanted).abs() <= 1);
        prop_assert!(near, "told {told:?}, wanted {wanted}: {wish:?}, a life of {life} s");
    }

    #[test]
    fn the_clock_does_not_move_the_renewal_time(
        wish in wishes(),
        life in 2 * HOUR..400 * 24 * HOUR,
        share in 0..1000_i64,
    ) {
        let (begin, end) = (BEGIN, BEGIN + life);
        let wanted = model(&wish, begin, end);
        // Anywhere before it is due; and up to five minutes before the beginning, by a clock that
        // is behind.
        let now = begin - 5 * MINUTE + (wanted - begin + 5 * MINUTE - 2) * share / 1000;
        let told = told_at(&wish, (begin, end), now, None);
        let near = told.is_some_and(|told| (told - wanted).abs() <= 1);
        prop_assert!(near, "told {told:?} at {now}, wanted {wanted}: {wish:?}, a life of {life} s");
    }

    #[test]
    fn a_leaf_that_ends_with_its_ca_is_renewed_when_the_ca_is(
        wish in wishes(),
        life in 2 * HOUR..400 * 24 * HOUR,
        more in 24 * HOUR..400 * 24 * HOUR,
        renewed_at in 1..1000_i64,
    ) {
        let (begin, end) = (BEGIN, BEGIN + life);
        let clamped = told_at(&wish, (begin, end), begin + 1, Some((begin - HOUR, end)));
        prop_assert_eq!(clamped, None, "the same CA would give no more");
        // The CA is renewed in the leaf's life: the leaf keeps its time, or gets one of its own soon
        // after, and never outlives what it has.
        let renewal = begin + life * renewed_at / 1000;
        let ca = (renewal, end + more);
        let told = told_at(&wish, (begin, end), renewal, Some(ca)).expect("it is told");
        prop_assert!(told < end);
        prop_assert!(told >= model(&wish, begin, end) - 1, "not before its documented time");
        let latest = model(&wish, begin, end).max(renewal + HOUR.min((end - renewal) / 4));
        prop_assert!(told <= latest + 1, "told {told}, latest {latest}");
    }

    #[test]
    fn the_renewal_time_lies_within_the_life(wish in wishes(), life in HOUR..400 * 24 * HOUR) {
        let told = told(&wish, BEGIN, BEGIN + life).expect("it is told");
        prop_assert!(told < BEGIN + life);
        prop_assert!(told >= BEGIN + (5 * MINUTE).max(life / 20) - 1);
    }
}

#[test]
fn a_wish_longer_than_the_issued_life_counts_as_none() {
    let wish = Wish::Before(90 * HOUR);
    assert_eq!(told(&wish, BEGIN, BEGIN + 30 * HOUR), Some(BEGIN + 20 * HOUR));
}

#[test]
fn a_wish_of_nearly_the_whole_life_is_held_off() {
    let wish = Wish::Before(100 * HOUR - 1);
    assert_eq!(told(&wish, BEGIN, BEGIN + 100 * HOUR), Some(BEGIN + 5 * HOUR));
}
