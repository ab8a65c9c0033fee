use super::*;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn election() -> Election {
    Election::new(LeaseConfig::controller("kube-system", "me"))
}

fn wall(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

/// A Lease as another holder wrote it for the `renewals`th time.
fn held_by(holder: &str, transitions: i32, renewals: i64) -> Lease {
    let spec = LeaseSpec {
        holder_identity: Some(holder.into()),
        lease_duration_seconds: Some(60),
        lease_transitions: Some(transitions),
        renew_time: Some(MicroTime(wall(renewals))),
        ..LeaseSpec::default()
    };
    Lease { metadata: ObjectMeta::default(), spec: Some(spec) }
}

/// Does one write as the API server would, answered at once.
fn write(election: &mut Election, at: Duration) -> Write {
    let Step::Write(write) = election.decide(at) else { panic!("{:?}", election.decide(at)) };
    let lease = election.body(write, wall(at.as_secs() as i64));
    election.written(at, write, lease);
    write
}

#[test]
fn nothing_is_written_before_the_lease_was_read() {
    assert_eq!(election().decide(s(0)), Step::Read);
}

#[test]
fn an_absent_lease_is_created_with_epoch_0_and_an_empty_one_taken_with_the_next() {
    let mut fresh = election();
    fresh.observe(s(0), None);
    assert_eq!(write(&mut fresh, s(0)), Write::Create(0));
    assert_eq!(fresh.epoch(), Some(0));

    let mut second = election();
    second.observe(s(0), Some(held_by("", 7, 0)));
    assert_eq!(write(&mut second, s(0)), Write::Take(8));
}

#[test]
fn a_dead_holder_is_found_by_our_own_clock_however_wrong_its_wall_clock_is() {
    let mut election = election();
    // The renew time lies decades back, as by a machine with a dead battery.
    election.observe(s(100), Some(held_by("other", 2, -1_000_000_000)));
    let step = election.decide(s(100));
    assert_eq!(step, Step::Follow { holder: "other".into(), free_in: s(60) });
    election.observe(s(159), Some(held_by("other", 2, -1_000_000_000)));
    let step = election.decide(s(159));
    assert_eq!(step, Step::Follow { holder: "other".into(), free_in: s(1) });
    assert_eq!(election.decide(s(160)), Step::Write(Write::Take(3)));
}

#[test]
fn any_change_of_the_record_is_a_sign_of_life() {
    let mut election = election();
    election.observe(s(0), Some(held_by("other", 2, 0)));
    election.observe(s(59), Some(held_by("other", 2, 1)));
    let step = election.decide(s(118));
    assert_eq!(step, Step::Follow { holder: "other".into(), free_in: s(1) });
}

#[test]
fn a_label_on_the_lease_does_not_keep_a_dead_holder_alive() {
    let mut election = election();
    election.observe(s(0), Some(held_by("other", 2, 0)));
    let mut labelled = held_by("other", 2, 0);
    labelled.metadata.resource_version = Some("9".into());
    election.observe(s(59), Some(labelled));
    assert_eq!(election.decide(s(60)), Step::Write(Write::Take(3)));
}

#[test]
fn a_renewal_keeps_epoch_and_acquire_time() {
    let mut election = election();
    election.observe(s(0), Some(held_by("", 0, 0)));
    write(&mut election, s(5));
    assert_eq!(write(&mut election, s(20)), Write::Renew(1));
    let spec = election.body(Write::Renew(1), wall(35)).spec.unwrap();
    assert_eq!(spec.acquire_time, Some(MicroTime(wall(5))));
    assert_eq!(spec.renew_time, Some(MicroTime(wall(35))));
    assert_eq!((spec.lease_transitions, spec.lease_duration_seconds), (Some(1), Some(60)));
}

#[test]
fn a_term_ends_at_the_renew_deadline_counted_from_when_the_renewal_was_sent() {
    let mut election = election();
    election.observe(s(0), None);
    write(&mut election, s(10));
    election.doubt();
    assert_eq!(election.decide(s(49)), Step::Read);
    assert_eq!(election.decide(s(50)), Step::Lose);
}

#[test]
fn a_process_stopped_past_its_lease_loses_before_it_does_anything_else() {
    let mut election = election();
    election.observe(s(0), None);
    write(&mut election, s(0));
    // SIGSTOP, and SIGCONT an hour later.
    assert_eq!(election.decide(s(3600)), Step::Lose);
    election.lose();
    assert_eq!(election.decide(s(3600)), Step::Read);
    election.observe(s(3600), Some(held_by("other", 1, 0)));
    let step = election.decide(s(3600));
    assert_eq!(step, Step::Follow { holder: "other".into(), free_in: s(60) });
}

#[test]
fn an_answer_that_arrives_after_the_deadline_does_not_prolong_the_term() {
    let mut election = election();
    election.observe(s(0), None);
    let lease = election.body(Write::Create(0), wall(0));
    // Sent at 0, and the process was stopped until 100.
    election.written(s(0), Write::Create(0), lease);
    assert_eq!(election.decide(s(100)), Step::Lose);
}

#[test]
fn our_own_lost_term_is_taken_again_under_a_new_epoch() {
    let mut election = election();
    election.observe(s(0), None);
    write(&mut election, s(0));
    election.lose();
    election.observe(s(41), Some(held_by("me", 0, 0)));
    assert_eq!(election.decide(s(41)), Step::Write(Write::Take(1)));
}

#[test]
fn a_leader_that_sees_another_holder_or_none_has_lost() {
    let sights = [Some(held_by("other", 1, 0)), Some(held_by("", 0, 0)), None];
    for seen in sights {
        let mut election = election();
        election.observe(s(0), None);
        write(&mut election, s(0));
        election.observe(s(1), seen.clone());
        assert_eq!(election.decide(s(1)), Step::Lose, "{seen:?}");
    }
}

#[test]
fn a_deleted_lease_does_not_set_the_epoch_back() {
    let mut election = election();
    election.observe(s(0), Some(held_by("other", 41, 0)));
    election.observe(s(1), None);
    assert_eq!(election.decide(s(1)), Step::Write(Write::Create(42)));
}

#[test]
fn releasing_empties_the_holder_for_one_second_and_keeps_what_others_wrote() {
    let mut election = election();
    let mut lease = held_by("", 3, 0);
    lease.metadata.resource_version = Some("12".into());
    lease.metadata.labels = Some([("team".to_owned(), "a".to_owned())].into());
    election.observe(s(0), Some(lease));
    assert_eq!(election.release(), None, "it is not ours");
    write(&mut election, s(0));
    let release = election.release().unwrap();
    let body = election.body(release, wall(9));
    let spec = body.spec.clone().unwrap();
    assert_eq!(spec.holder_identity.as_deref(), Some(""));
    assert_eq!((spec.lease_duration_seconds, spec.lease_transitions), (Some(1), Some(4)));
    assert_eq!(body.metadata.resource_version.as_deref(), Some("12"));
    assert!(body.metadata.labels.as_ref().unwrap().contains_key("team"));
    election.written(s(1), release, body);
    assert_eq!(election.epoch(), None);
}

#[test]
fn odd_leases_are_read_without_a_panic() {
    let mut election = election();
    election.observe(s(0), Some(Lease { metadata: ObjectMeta::default(), spec: None }));
    assert_eq!(election.decide(s(0)), Step::Write(Write::Take(1)));
    let mut odd = held_by("other", -5, 0);
    odd.spec.as_mut().unwrap().lease_duration_seconds = Some(-1);
    election.observe(s(1), Some(odd));
    let step = election.decide(s(1));
    assert_eq!(step, Step::Follow { holder: "other".into(), free_in: s(60) }, "our duration");
    election.observe(s(2), Some(held_by("", i32::MAX, 0)));
    assert_eq!(election.decide(s(2)), Step::Write(Write::Take(i32::MAX as u64)));
}
