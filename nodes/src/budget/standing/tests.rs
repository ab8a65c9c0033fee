use super::*;
use crate::budget::LETS_ENCRYPT;
use serde_json::json;

const HOUR: i64 = 3_600_000;

#[test]
fn buckets_are_told_by_limit_and_subject() {
    assert_eq!(named("o:1f"), Some(("newOrders", "")));
    assert_eq!(named("d:1f:example.com"), Some(("registeredDomain", "example.com")));
    assert_eq!(named("s:1f:2e"), Some(("identifierSet", "")));
    assert_eq!(named("f:1f:www.example.com"), Some(("failedAuthorizations", "www.example.com")));
    assert_eq!((named("x:1"), named("")), (None, None));
}

#[test]
fn an_empty_bucket_says_when_the_next_token_comes() {
    let now = Timestamp::from_seconds(1_000_000);
    let limit = Limit::per(2, 2 * HOUR);
    let charge = Charge { bucket: "o:1".into(), limit, cost: 1 };
    let full = standing(&charge, Timestamp::default(), now).expect("it is named");
    assert_eq!((full.left, full.capacity), (2, 2));
    assert!(full.next <= now);
    let empty = standing(&charge, now.plus_millis(2 * HOUR), now).expect("it is named");
    assert_eq!((empty.left, empty.next), (0, now.plus_millis(HOUR)));
}

#[test]
fn an_issuer_tells_its_accounts_limit_and_the_emptiest_of_its_own_directory() {
    let now = Timestamp::from_seconds(1_000_000);
    let mut buckets = BTreeMap::new();
    for (directory, domain, hours) in [
        (LETS_ENCRYPT, "a.com", 4),
        (LETS_ENCRYPT, "b.com", 100),
        (LETS_ENCRYPT, "c.com", 50),
        ("https://other.test/dir", "d.com", 100),
    ] {
        let bucket = domain_bucket(directory, domain);
        buckets.insert(Arc::from(bucket), now.plus_millis(hours * HOUR));
    }
    let spec = json!({"acme": {"server": LETS_ENCRYPT, "privateKeySecretRef": {"name": "key"}}});
    let spec = serde_json::from_value(spec).expect("an issuer's spec");
    let issuer = crate::project::issuer(&Default::default(), &spec, &Default::default());
    let found = of_issuer(&issuer, &Ledger::new(buckets), now, 2);
    let told: Vec<_> = found.iter().map(|one| (one.limit, &*one.subject, one.left)).collect();
    let expected = [
        ("newOrders", "", 300),
        ("registeredDomain", "b.com", 20),
        ("registeredDomain", "c.com", 35),
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_ledger_is_read_from_the_operators_own_shards_and_from_no_other_config_map() {
    use crate::facts::{BudgetFacts, Facts};
    use everleaf_engine::{Config, Delta, Engine, Input};
    let mut engine = Engine::new(Everleaf::new(Default::default()), Config::default());
    let own = engine.program().options.operator_namespace.clone();
    let at = Timestamp::from_seconds(1_000_000);
    let last = shards().last().expect("there are sixteen");
    for (place, bucket) in
        [((&*own, &*last), "o:own"), (("demo", &*last), "o:foreign"), ((&*own, "notes"), "o:notes")]
    {
        let buckets = BTreeMap::from([(Arc::from(bucket), at)]);
        let key = ObjectKey::new(Kind::ConfigMap, place.0, place.1);
        let facts = Facts::Budget(BudgetFacts { buckets });
        let (feed, uid) = (crate::feed::BUDGETS, bucket.into());
        let delta = Delta::Applied { feed, key, uid, rv: 1, live: false, facts };
        engine.handle(at, Input::Observed(delta));
    }
    let found = ledger(engine.world(), &own);
    let names: Vec<&str> = found.buckets().keys().map(|name| &**name).collect();
    assert_eq!(names, ["o:own"]);
}
