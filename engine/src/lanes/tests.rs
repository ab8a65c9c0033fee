use super::*;

fn owner(n: usize) -> Owner {
    (n.to_string().into(), 0, "".into())
}

fn lane(name: &str) -> Lane {
    name.into()
}

fn fill(lanes: &mut Lanes, name: &str, rank: u8, numbers: std::ops::Range<usize>) {
    for n in numbers {
        lanes.push(&lane(name), rank, owner(n));
    }
}

/// All that go out now, as the numbers of their owners.
fn numbers(lanes: &mut Lanes) -> Vec<usize> {
    let number = |(_, (uid, ..)): (Lane, Owner)| uid.parse().expect("it was made of a number");
    std::iter::from_fn(|| lanes.pop()).map(number).collect()
}

/// How many of a lane go out if nothing comes back.
fn hang(lanes: &mut Lanes, name: &str) -> usize {
    let lane = lane(name);
    fill(lanes, name, 0, 0..1000);
    std::iter::from_fn(|| lanes.pop()).filter(|(other, _)| *other == lane).count()
}

/// Serves one at a time and gives its slot back at once.
fn serve(lanes: &mut Lanes, count: usize) -> Vec<usize> {
    let one = |_| {
        let (lane, (uid, ..)) = lanes.pop().expect("something waits and all slots are free");
        lanes.done(&lane);
        uid.parse().expect("it was made of a number")
    };
    (0..count).map(one).collect()
}

#[test]
fn a_long_lane_does_not_hold_the_others_up() {
    let mut lanes = Lanes::new(8, 2);
    let (big, small) = (lane("big"), lane("small"));
    for n in 0..10 {
        lanes.push(&big, 0, owner(n));
    }
    lanes.push(&small, 0, owner(99));
    let order: Vec<_> = std::iter::from_fn(|| lanes.pop()).map(|(l, _)| l).collect();
    assert_eq!(order, [big.clone(), small, big]);
}

#[test]
fn a_lane_that_hangs_holds_three_eighths_of_the_slots_and_its_tenant_half() {
    let mut lanes = Lanes::new(256, 256);
    assert_eq!(hang(&mut lanes, "a/one"), 96);
    let others: usize = (0..50).map(|n| hang(&mut lanes, &format!("a/{n}"))).sum();
    assert_eq!((lanes.in_flight(), others), (128, 32));
    assert_eq!(hang(&mut lanes, "b/one"), 32, "another tenant finds room at once");
}

#[test]
fn whoever_comes_new_finds_a_slot_though_sixty_tenants_hang_in_all_their_lanes() {
    let mut lanes = Lanes::new(256, 128);
    for tenant in 0..60 {
        let took: usize = (0..5).map(|n| hang(&mut lanes, &format!("{tenant}/{n}"))).sum();
        assert!(took > 0, "tenant {tenant} found none");
    }
    let (hung, fine) = (lanes.in_flight(), lane("fine"));
    assert!(hung < 256);
    for n in 0..100 {
        lanes.push(&fine, 0, owner(n));
        assert_eq!(lanes.pop().map(|(lane, _)| lane), Some(fine.clone()));
        lanes.done(&fine);
    }
}

#[test]
fn the_shares_of_tenants_that_hang_even_out_at_their_deadlines() {
    let mut lanes = Lanes::new(256, 128);
    let names: Vec<_> = (0..6).map(|n| lane(&format!("tenant-{n}"))).collect();
    for name in &names {
        hang(&mut lanes, name);
    }
    for _ in 0..10 {
        let held = names.iter().map(|name| lanes.tenants[name].in_flight).collect::<Vec<_>>();
        for (name, held) in names.iter().zip(held) {
            (0..held).for_each(|_| lanes.done(name));
        }
        while lanes.pop().is_some() {}
    }
    let held: Vec<_> = names.iter().map(|name| lanes.tenants[name].in_flight).collect();
    assert!(held.iter().all(|held| (25..=35).contains(held)), "{held:?}");
}

#[test]
fn what_is_nearer_to_its_end_goes_first_but_every_32nd_turn_is_the_oldests() {
    let mut lanes = Lanes::new(1, 1);
    fill(&mut lanes, "a", 0, 0..20);
    fill(&mut lanes, "a", 3, 20..80);
    fill(&mut lanes, "a", 7, 80..85);
    let order = serve(&mut lanes, 85);
    assert_eq!(order[..7], [80, 81, 82, 83, 84, 20, 21]);
    assert_eq!(order[30..33], [45, 0, 46]);
    assert_eq!(order[63], 1);
    let mut all = order.clone();
    all.sort_unstable();
    assert_eq!(all, (0..85).collect::<Vec<_>>(), "each goes out, and once");
}

#[test]
fn rank_counts_across_the_lanes_of_a_tenant_and_not_across_tenants() {
    let mut lanes = Lanes::new(1, 1);
    lanes.push(&lane("a/new"), 0, owner(1));
    lanes.push(&lane("a/old"), 1, owner(2));
    lanes.push(&lane("b/new"), 0, owner(3));
    fill(&mut lanes, "a/old", 9, 4..7);
    assert_eq!(serve(&mut lanes, 6), [4, 3, 5, 6, 2, 1]);
}

#[test]
fn lanes_of_one_rank_take_turns() {
    let mut lanes = Lanes::new(1, 1);
    fill(&mut lanes, "a/x", 5, 0..3);
    fill(&mut lanes, "a/y", 5, 10..13);
    assert_eq!(serve(&mut lanes, 6), [0, 10, 1, 11, 2, 12]);
}

#[test]
fn work_in_flight_stays_small_however_much_waits_to_be_begun() {
    const STEPS: u8 = 10;
    let mut lanes = Lanes::new(30, 30);
    let lane = lane("app/Issuer/ca");
    let mut at = vec![0_u8; 2000];
    fill(&mut lanes, &lane, 0, 0..at.len());
    let (mut most, mut flying) = (0, std::collections::VecDeque::new());
    loop {
        flying.extend(numbers(&mut lanes));
        let Some(n) = flying.pop_front() else { break };
        lanes.done(&lane);
        at[n] += 1;
        if at[n] < STEPS {
            lanes.push(&lane, at[n], owner(n));
        }
        most = most.max(at.iter().filter(|step| (1..STEPS).contains(step)).count());
    }
    assert!(at.iter().all(|step| *step == STEPS));
    assert!(most <= 100, "{most} were begun and not ended at one time");
}

#[test]
fn a_slot_given_back_is_used_again() {
    let mut lanes = Lanes::new(1, 1);
    let lane = lane("a");
    lanes.push(&lane, 0, owner(1));
    lanes.push(&lane, 0, owner(2));
    assert!(lanes.pop().is_some());
    assert!(lanes.pop().is_none());
    lanes.done(&lane);
    assert!(lanes.pop().is_some());
    lanes.done(&lane);
    assert_eq!((lanes.in_flight(), lanes.waiting()), (0, 0));
}

#[test]
fn what_is_withdrawn_leaves_nothing_behind() {
    let mut lanes = Lanes::new(1, 1);
    let lane = lane("a/b");
    let first = lanes.push(&lane, 3, owner(1));
    lanes.push(&lane, 0, owner(2));
    lanes.withdraw(&lane, first);
    lanes.withdraw(&lane, first);
    assert_eq!(lanes.pop().map(|(_, owner)| owner), Some(owner(2)));
    lanes.done(&lane);
    assert!(lanes.tenants.is_empty());
}

#[test]
fn a_slot_given_back_twice_counts_once() {
    let mut lanes = Lanes::new(4, 4);
    let lane = lane("a");
    for n in 0..3 {
        lanes.push(&lane, 0, owner(n));
    }
    assert!(lanes.pop().is_some() && lanes.pop().is_some());
    lanes.done(&lane);
    lanes.done(&"no such lane".into());
    assert_eq!(lanes.in_flight(), 1);
}
