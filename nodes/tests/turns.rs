//! Orders of one account and set of names whose claims are on their way at once.
#![allow(clippy::unwrap_used, reason = "a test that finds nothing to unwrap has failed")]

mod bed;

use bed::{Bed, key};
use everleaf_engine::Outcome;
use everleaf_nodes::effect::Acme;
use everleaf_nodes::{Do, Kind};
use serde_json::json;

const CA: &str = "https://ca.test/directory";

fn is_claim(action: &Do) -> bool {
    matches!(action, Do::Acme(Acme::Claim(_)))
}

/// Two Orders, the later one seen first, so that both were told to claim.
fn both_claiming() -> Bed {
    let mut bed = Bed::new();
    bed.issuer("acme", CA, json!({}));
    bed.run(5);
    bed.log.clear();
    bed.held = Some((is_claim, Vec::new()));
    // Both are of the same second; the second comes first by name.
    bed.request("b-1", "acme", &["a.shop.test"]);
    bed.run(0);
    bed.request("a-1", "acme", &["a.shop.test"]);
    bed.run(0);
    let held = &bed.held.as_ref().unwrap().1;
    let names: Vec<&str> = held.iter().map(|(_, effect)| &*effect.subject.name).collect();
    assert!(names.len() == 2 && names[0].starts_with("b-1"), "both are in flight: {names:?}");
    bed
}

/// Lets both claims be written in that order, and their answers come in that order.
fn finished(written: [usize; 2], answered: [usize; 2]) {
    let mut bed = both_claiming();
    let (_, held) = bed.held.take().unwrap();
    let mut outcomes = [None, None];
    for index in written {
        outcomes[index] = Some(bed.attempted(&held[index].1));
    }
    for index in answered {
        bed.answered(&held[index].0, outcomes[index].take().unwrap());
    }
    bed.run(120);
    let at = |wanted: &str| -> Vec<(usize, &str)> {
        let all = bed.log.iter().enumerate();
        all.filter(|(_, (_, _, step))| step == wanted).map(|(n, (_, who, _))| (n, &**who)).collect()
    };
    let (placed, finalized) = (at("place"), at("finalize"));
    assert_eq!((placed.len(), finalized.len()), (2, 2), "{:?}", bed.log);
    assert!(finalized[0].0 < placed[1].0, "one is in flight at a time: {:?}", bed.log);
    assert_eq!(placed[0].1, &*held[written[0]].1.subject.name, "who claimed first goes first");
    for request in ["a-1", "b-1"] {
        let request = key(Kind::CertificateRequest, request);
        let ready = bed.status(&request)["conditions"].as_array().unwrap().iter();
        assert!(ready.clone().any(|one| one["reason"] == "Issued"), "{request}: {ready:?}");
    }
}

#[test]
fn two_claims_on_their_way_at_once_become_one_order_in_flight() {
    for written in [[0, 1], [1, 0]] {
        for answered in [[0, 1], [1, 0]] {
            finished(written, answered);
        }
    }
}

#[test]
fn a_claim_of_before_a_restart_bars_the_other_after_it() {
    let mut bed = both_claiming();
    let (_, held) = bed.held.take().unwrap();
    let outcome = bed.attempted(&held[0].1);
    assert!(matches!(outcome, Outcome::Done { .. }));
    let mut bed = bed.restarted();
    bed.run(120);
    let steps: Vec<_> = bed.log.iter().map(|(_, who, step)| (&**who, &**step)).collect();
    let at = |who: &str, wanted: &str| {
        steps.iter().position(|(name, step)| name.starts_with(who) && *step == wanted).unwrap()
    };
    assert!(at("b-1", "finalize") < at("a-1", "claim"), "{steps:?}");
}
