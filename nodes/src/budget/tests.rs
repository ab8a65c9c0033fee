use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn arcs(names: &[&str]) -> Vec<Arc<str>> {
    names.iter().map(|name| (*name).into()).collect()
}

fn one(limit: Limit) -> Charge {
    Charge { bucket: "b".into(), limit, cost: 1 }
}

#[test]
fn the_published_limits_are_those_of_the_documentation() {
    let limits = published(LETS_ENCRYPT);
    assert_eq!(limits.orders, Some(Limit { capacity: 300, interval_ms: 36_000 }));
    assert_eq!(limits.domain, Some(Limit { capacity: 50, interval_ms: 12_096_000 }));
    assert_eq!(limits.set, Some(Limit { capacity: 5, interval_ms: 120_960_000 }));
    assert_eq!(limits.failures, Some(Limit { capacity: 5, interval_ms: 720_000 }));
    assert_eq!(published("https://ca.test/directory"), Limits::default());
}

#[test]
fn limits_can_be_set_and_mistakes_are_told() {
    let set = configured(r#"{"newOrders": {"count": 10, "per": "1h"}}"#).expect("it is sound");
    assert_eq!(set.orders, Some(Limit { capacity: 10, interval_ms: 360_000 }));
    assert_eq!(set.domain, None);
    assert_eq!(configured("none"), Ok(Limits::default()));
    for broken in ["", "[]", r#"{"orders": 1}"#, r#"{"newOrders": {"count": 0, "per": "1h"}}"#] {
        assert!(configured(broken).is_err(), "{broken}");
    }
}

#[test]
fn an_order_takes_of_each_domain_once() {
    let dns = arcs(&["a.example.co.uk", "*.example.co.uk", "b.example.com"]);
    let spend = Spend {
        directory: LETS_ENCRYPT,
        account: "acct",
        dns: &dns,
        ips: &arcs(&["2001:db8::1"]),
        purpose: Purpose::New,
    };
    let all = charges(&published(LETS_ENCRYPT), &spend);
    let of = |kind: &str| all.iter().filter(|charge| charge.bucket.starts_with(kind)).count();
    assert_eq!((of("o:"), of("d:"), of("s:"), of("f:")), (1, 3, 1, 4));
    let renewal = charges(&published(LETS_ENCRYPT), &Spend { purpose: Purpose::SameSet, ..spend });
    let paid: Vec<_> = renewal.iter().filter(|charge| charge.cost > 0).collect();
    assert!(paid.len() == 1 && paid[0].bucket.starts_with("s:"), "{paid:?}");
    let ari = charges(&published(LETS_ENCRYPT), &Spend { purpose: Purpose::Replaces, ..spend });
    assert!(ari.iter().all(|charge| charge.cost == 0));
    assert!(charges(&Limits::default(), &spend).is_empty());
}

#[test]
fn sets_are_the_same_in_any_order_and_case() {
    assert_eq!(same_set(&arcs(&["A.b", "c"]), &[]), same_set(&arcs(&["c", "a.b", "c"]), &[]));
    assert_ne!(same_set(&arcs(&["a.b"]), &[]), same_set(&arcs(&["a.b", "c"]), &[]));
}

#[test]
fn addresses_count_as_the_ca_counts_them() {
    assert_eq!(registered_domain("::ffff:192.0.2.1"), "192.0.2.1");
    assert_eq!(registered_domain("2001:db8:1:2:3::4"), "2001:db8:1:2::/64");
    assert_eq!(registered_domain("*.Shop.Example.co.uk"), "example.co.uk");
    assert_eq!(registered_domain("localhost"), "localhost");
}

#[test]
fn an_answer_moves_the_bucket_that_it_names() {
    let spend = Spend {
        directory: LETS_ENCRYPT,
        account: "acct",
        dns: &arcs(&["a.example.com", "b.example.org"]),
        ips: &[],
        purpose: Purpose::New,
    };
    let all = charges(&published(LETS_ENCRYPT), &spend);
    let moved = |detail: &str| {
        let mut ledger = Ledger::default();
        ledger.correct_by_answer(&all, detail, at(5_000));
        assert_eq!(ledger.free_at(&all), at(5_000), "{detail}");
        let names: Vec<String> = ledger.buckets().keys().map(ToString::to_string).collect();
        names.join(" ")
    };
    let set = moved("too many certificates (5) already issued for this exact set of domains");
    assert!(set.starts_with("s:"));
    let domain = moved("too many certificates already issued for \"example.org\" in the last 168h");
    assert!(domain.starts_with("d:") && domain.ends_with(":example.org"));
    assert!(moved("too many new orders (300) from this account").starts_with("o:"));
    assert!(moved("slow down").starts_with("o:"));
    assert!(moved("too many failed authorizations (5) for \"a.example.com\"").starts_with("f:"));
}

#[test]
fn a_ledger_is_bounded_and_keeps_the_deepest_debts() {
    let buckets = (0..=MAX_BUCKETS).map(|n| (format!("b{n}").into(), at(1 + n as i64))).collect();
    let text = Ledger::new(buckets).to_text(at(0));
    let read = Ledger::parse(&text).expect("it is as it was written");
    assert_eq!(read.buckets().len(), MAX_BUCKETS);
    assert!(!read.buckets().contains_key("b0"));
    assert!(matches!(Ledger::parse(&"x".repeat(MAX_LEDGER + 1)), Err(LedgerError::TooLong(_))));
    assert_eq!(Ledger::parse("a 1\nb\n"), Err(LedgerError::Line(2)));
}

/// The naive model: a bucket as a real number of tokens, in parts of a token.
struct Naive {
    limit: Limit,
    /// Tokens times the interval, so that no fraction is lost.
    parts: i64,
    seen: i64,
}

impl Naive {
    fn take(&mut self, now: i64) -> bool {
        let full = self.limit.capacity * self.limit.interval_ms;
        self.parts = (self.parts + now - self.seen).min(full);
        self.seen = now;
        let has = self.parts >= self.limit.interval_ms;
        self.parts -= if has { self.limit.interval_ms } else { 0 };
        has
    }
}

proptest! {
    #[test]
    fn a_bucket_lets_pass_what_the_naive_bucket_lets_pass(
        capacity in 1_i64..20, interval_ms in 1_i64..1_000,
        pauses in proptest::collection::vec(0_i64..3_000, 1..200),
    ) {
        let limit = Limit { capacity, interval_ms };
        let mut naive = Naive { limit, parts: capacity * interval_ms, seen: 0 };
        let (mut ledger, mut now) = (Ledger::default(), 1_000_000);
        naive.seen = now;
        for pause in pauses {
            now += pause;
            let free = ledger.free_at(&[one(limit)]);
            let passed = ledger.consume(&[one(limit)], at(now));
            prop_assert_eq!(passed.is_ok(), naive.take(now));
            prop_assert_eq!(passed.is_ok(), free <= at(now));
            if let Err(until) = passed {
                // It is the first instant at which it would pass.
                prop_assert!(ledger.clone().consume(&[one(limit)], until).is_ok());
                let before = until.plus_millis(-1);
                prop_assert!(ledger.clone().consume(&[one(limit)], before).is_err());
            }
            ledger = Ledger::parse(&ledger.to_text(at(now))).expect("it is as it was written");
        }
    }

    #[test]
    fn no_window_of_a_period_lets_more_than_twice_the_capacity_pass(
        capacity in 1_i64..10, interval_ms in 1_i64..100,
        pauses in proptest::collection::vec(0_i64..50, 1..300),
    ) {
        let limit = Limit { capacity, interval_ms };
        let (mut ledger, mut now) = (Ledger::default(), 0);
        let mut window = VecDeque::new();
        for pause in pauses {
            now += pause;
            if ledger.consume(&[one(limit)], at(now)).is_ok() {
                window.push_back(now);
            }
            while window.front().is_some_and(|then| now - then >= capacity * interval_ms) {
                window.pop_front();
            }
            prop_assert!(window.len() as i64 <= 2 * capacity);
        }
    }

    #[test]
    fn a_refund_gives_back_what_was_taken(
        capacity in 1_i64..20, interval_ms in 1_i64..1_000, taken in 1_usize..20,
    ) {
        let limit = Limit { capacity, interval_ms };
        let mut ledger = Ledger::default();
        let taken = (0..taken).filter(|_| ledger.consume(&[one(limit)], at(9)).is_ok()).count();
        for _ in 0..taken {
            ledger.refund(&[one(limit)]);
        }
        prop_assert_eq!(limit.left(ledger.buckets()["b"], at(9)), capacity);
    }

    #[test]
    fn a_ca_that_counts_within_the_allowance_never_refuses(
        kind in prop::sample::select(vec!["o:1", "d:1:example.com", "s:1:2"]),
        capacity in 1_i64..8, interval_ms in 1_i64..1_500_000,
        claims in prop::collection::vec((0_i64..900_000, 0_i64..1_000, 0_i64..1_000), 1..80),
    ) {
        let limit = Limit { capacity, interval_ms };
        let charge = Charge { bucket: kind.into(), limit, cost: 1 };
        let allowance = charge.allowance_ms();
        let (mut ledger, mut now) = (Ledger::default(), 1_000_000);
        // What the CA does, and when: it looks as newOrder comes, and counts then or as it issues.
        let mut events = Vec::new();
        for (number, (pause, order, issue)) in claims.into_iter().enumerate() {
            now = ledger.free_at(std::slice::from_ref(&charge)).as_millis().max(now + pause % 3);
            now += if pause % 2 == 0 { 0 } else { pause };
            prop_assert!(ledger.consume(std::slice::from_ref(&charge), at(now)).is_ok());
            let (order, issue) = (order.min(issue), order.max(issue));
            events.push((now + allowance * order / 1_000, number, false));
            events.push((now + allowance * issue / 1_000, number, true));
            ledger = Ledger::parse(&ledger.to_text(at(now))).expect("it is as it was written");
        }
        events.sort_by_key(|(at, number, counts)| (*at, *counts, *number));
        let mut tat = Timestamp::default();
        for (time, number, counts) in events {
            if counts {
                tat = tat.max(at(time)).plus_millis(interval_ms);
            } else {
                let free = limit.free_at(tat, 1);
                prop_assert!(free <= at(time), "order {number} is refused: {free:?} > {time}");
            }
        }
    }

    #[test]
    fn a_burst_is_one_token_smaller_at_most(
        kind in prop::sample::select(vec!["o:1", "d:1:example.com", "s:1:2", "f:1:a.b"]),
        capacity in 1_i64..50, interval_ms in 1_i64..2_000_000,
    ) {
        let charge =
            Charge { bucket: kind.into(), limit: Limit { capacity, interval_ms }, cost: 1 };
        let mut ledger = Ledger::default();
        let taken = std::iter::repeat_with(|| ledger.consume(std::slice::from_ref(&charge), at(9)))
            .take_while(Result::is_ok)
            .count() as i64;
        prop_assert!((capacity - 1).max(1) <= taken && taken <= capacity);
    }

    #[test]
    fn all_is_taken_or_nothing(spent in 0_i64..3) {
        let (wide, narrow) = (Limit::per(10, 1000), Limit::per(2, 1000));
        let both = [
            Charge { bucket: "wide".into(), limit: wide, cost: 1 },
            Charge { bucket: "narrow".into(), limit: narrow, cost: 1 },
        ];
        let mut ledger = Ledger::default();
        for _ in 0..spent {
            prop_assert!(ledger.consume(&both[1..], at(0)).is_ok() || spent > 2);
        }
        let before = ledger.clone();
        match ledger.consume(&both, at(0)) {
            Ok(()) => prop_assert!(spent < 2),
            Err(_) => prop_assert_eq!(ledger, before),
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in any::<String>()) {
        let _ = Ledger::parse(&text);
        let _ = configured(&text);
    }
}
