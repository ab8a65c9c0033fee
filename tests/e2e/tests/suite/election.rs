//! Two operators at once.

use everleaf_e2e::{History, Operator, Scope, World, data, eventually, name_of, scenario, text};
use serde_json::json;
use std::collections::BTreeMap;

/// A term that ends soon after its holder has died.
const SHORT: [&str; 4] = [
    "--leader-elect=true",
    "--leader-election-lease-duration=6s",
    "--leader-election-renew-deadline=4s",
    "--leader-election-retry-period=1s",
];

/// cert-manager's own Lease, so that both never act at once.
const LEASE: &str = "cert-manager-controller";

async fn holder(world: &World) -> Option<String> {
    let lease = world.find("Lease", LEASE).await?;
    let holder = text(&lease, "/spec/holderIdentity").to_owned();
    (!holder.is_empty()).then_some(holder)
}

async fn secrets(world: &World) -> BTreeMap<String, Vec<u8>> {
    let all = world.list("Secret").await;
    all.iter().map(|secret| (name_of(secret).to_owned(), data(secret, "tls.crt"))).collect()
}

#[test]
fn two_operators_issue_nothing_twice_and_one_takes_over_from_the_other() {
    scenario("election", Scope::Namespace, async |world| {
        let requests = History::watch(&world.cluster, "CertificateRequest", &world.namespace);
        let first = world.operator(&SHORT);
        let leader = eventually("the first leads", 60, async || {
            holder(world).await.ok_or_else(|| "nobody".to_owned())
        })
        .await;
        let _second = world.operator(&SHORT);
        world.ca().await;
        issue(world, "early", 20).await;
        assert_eq!(holder(world).await.as_deref(), Some(leader.as_str()), "the second waits");
        let names = requests.names();
        assert_eq!(names.len(), 21, "{names:?}");
        for name in &names {
            assert_eq!(requests.uids(name).len(), 1, "{name} was requested twice");
        }

        let before = secrets(world).await;
        first.kill();
        issue(world, "late", 10).await;
        let successor = holder(world).await.expect("somebody leads");
        assert_ne!(successor, leader);
        let after = secrets(world).await;
        for (name, chain) in &before {
            assert_eq!(after.get(name), Some(chain), "{name} was issued again");
        }
        for name in requests.names() {
            assert_eq!(requests.uids(&name).len(), 1, "{name} was requested twice");
        }
    });
}

#[test]
fn a_leader_that_ends_in_order_hands_over_at_once() {
    scenario("hand-over", Scope::Namespace, async |world| {
        // A term that would outlast this test if it were not given up.
        let long = [
            "--leader-elect=true",
            "--leader-election-lease-duration=600s",
            "--leader-election-renew-deadline=400s",
            "--leader-election-retry-period=1s",
        ];
        let first = world.operator(&long);
        world.ca().await;
        let second: Operator = world.operator(&long);
        assert!(first.stop().success());
        issue(world, "late", 3).await;
        assert!(second.stop().success());
    });
}

async fn issue(world: &World, stem: &str, count: usize) {
    for number in 0..count {
        world.certificate(&format!("{stem}-{number}"), json!({})).await;
    }
    for number in 0..count {
        world.revision(&format!("{stem}-{number}"), 1).await;
    }
}
