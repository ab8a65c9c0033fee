//! Let's Encrypt's limits: each reached, and refilled at the pace that is published.

use everleaf_sim::acme::*;

use super::bench::*;

fn limited(problem: &Problem, now: i64, wait: i64) {
    assert_eq!((problem.kind, problem.status), (ErrorKind::RateLimited, 429), "{problem}");
    assert_eq!(problem.retry_at, Some(now + wait), "{problem}");
}

fn name(at: usize) -> String {
    format!("a.name-{at}.com")
}

#[test]
fn three_hundred_new_orders_of_an_account_and_one_more_every_36_seconds() {
    let mut bench = Bench::lets_encrypt();
    // One by one over the edge's limits, which are others.
    bench.now += DAY;
    for at in 0..300 {
        bench.order(&[&name(at)]);
        bench.now += 10;
    }
    let spent = 300 * 10;
    let refused = bench.order_refused(NewOrder::dns(&[&name(300)]));
    limited(&refused, bench.now, 36 * SECOND - spent);
    let text = "too many new orders (300) from this account in the last 3h0m0s, retry after \
                2026-01-02 00:00:36 UTC: see https://letsencrypt.org/docs/rate-limits/";
    assert_eq!(refused.detail, text);
    bench.now += 36 * SECOND - spent - 1;
    bench.order_refused(NewOrder::dns(&[&name(300)]));
    bench.now += 1;
    bench.order(&[&name(300)]);
    bench.order_refused(NewOrder::dns(&[&name(301)]));
    let account = bench.account;
    bench.account = bench.new_account("another key");
    bench.order(&[&name(301)]);
    bench.account = account;
    bench.now += 3 * HOUR;
    assert_eq!(bench.ca.limiter().remaining(bench.now, Limit::NewOrders, "1"), Some(300));
}

#[test]
fn fifty_certificates_of_a_registered_domain_and_one_more_every_202_minutes() {
    let mut bench = Bench::lets_encrypt();
    let account = bench.account;
    let began = bench.now;
    for at in 0..50 {
        bench.issue(&[&format!("h{at}.example.co.uk")]);
    }
    bench.account = bench.new_account("another key");
    let refused = bench.order_refused(NewOrder::dns(&["new.example.co.uk"]));
    assert!(
        refused.detail.contains("too many certificates (50) already issued for \"example.co.uk\"")
    );
    let refill = 7 * DAY / 50;
    // A minute after it was proved.
    let first = began + MINUTE;
    assert_eq!(refused.retry_at, Some(first + refill), "all accounts together");
    bench.order(&["elsewhere.co.uk"]);
    bench.account = account;
    bench.issue(&["h1.example.co.uk"]);
    bench.now = first + refill;
    bench.issue(&["new.example.co.uk"]);
    bench.order_refused(NewOrder::dns(&["newer.example.co.uk"]));
}

#[test]
fn five_certificates_of_an_exact_set_and_one_more_every_34_hours() {
    let mut bench = Bench::lets_encrypt();
    let names = ["a.example.com", "b.example.com"];
    bench.issue(&names);
    let first = bench.ca.certificates().next().unwrap().issued;
    for _ in 0..4 {
        bench.issue(&names);
    }
    let refused = bench.order_refused(NewOrder::dns(&names));
    assert!(refused.detail.contains("(5) already issued for this exact set"), "{refused}");
    assert_eq!(refused.retry_at, Some(first + 7 * DAY / 5));
    bench.issue(&["a.example.com"]);
    bench.now = first + 7 * DAY / 5;
    bench.issue(&names);
    bench.order_refused(NewOrder::dns(&names));
}

#[test]
fn five_failures_of_an_identifier_an_hour_and_one_more_every_12_minutes() {
    let mut bench = Bench::lets_encrypt();
    for _ in 0..5 {
        let order = bench.order(&["a.example.com"]);
        bench.flunk(&order);
    }
    let refused = bench.order_refused(NewOrder::dns(&["a.example.com", "b.example.com"]));
    limited(&refused, bench.now, 12 * MINUTE);
    bench.order(&["b.example.com"]);
    let account = bench.account;
    bench.account = bench.new_account("another key");
    bench.order(&["a.example.com"]);
    bench.account = account;
    bench.now += 12 * MINUTE;
    let order = bench.order(&["a.example.com"]);
    bench.flunk(&order);
    bench.order_refused(NewOrder::dns(&["a.example.com"]));
    bench.now += HOUR;
    let key = "1:a.example.com";
    let limiter = bench.ca.limiter();
    assert_eq!(limiter.remaining(bench.now, Limit::FailedAuthorizations, key), Some(5));
}

/// Fails until paused, an hour between five tries; says how many failures that took.
fn fail_until_paused(bench: &mut Bench, name: &str) -> u32 {
    let mut failures = 0;
    while !bench.ca.is_paused(bench.account, &Identifier::dns(name)) {
        let order = bench.order(&[name]);
        bench.flunk(&order);
        failures += 1;
        bench.now += 12 * MINUTE;
    }
    failures
}

#[test]
fn consecutive_failures_pause_an_identifier_until_its_holder_unpauses_it() {
    let mut bench = Bench::lets_encrypt();
    let failures = fail_until_paused(&mut bench, "a.example.com");
    // 1,152, and the one a day that came back in those ten days.
    assert!((1152..=1162).contains(&failures), "{failures}");
    bench.now += 60 * DAY;
    let refused = bench.order_refused(NewOrder::dns(&["a.example.com"]));
    assert_eq!((refused.kind, refused.retry_at), (ErrorKind::RateLimited, None));
    assert!(refused.detail.contains("/sfe/v1/unpause"), "{refused}");
    bench.order(&["b.example.com"]);
    bench.ca.unpause(bench.account, &Identifier::dns("a.example.com"));
    bench.issue(&["a.example.com"]);
}

#[test]
fn a_success_forgives_the_failures_before_it() {
    let mut bench = Bench::lets_encrypt();
    let order = bench.order(&["a.example.com"]);
    bench.flunk(&order);
    let left = |bench: &Bench| {
        bench.ca.limiter().remaining(bench.now, Limit::ConsecutiveFailures, "1:a.example.com")
    };
    assert_eq!(left(&bench), Some(1151));
    bench.issue(&["a.example.com"]);
    assert_eq!(left(&bench), Some(1152));
}

#[test]
fn a_paused_name_is_refused_even_to_a_renewal_within_its_window() {
    let mut bench = Bench::lets_encrypt();
    let leaf = bench.issue(&["a.example.com"]);
    bench.net.sites.clear();
    bench.ca.reconfigure(|config| config.profiles.get_mut("classic").unwrap().reuse = 0);
    bench.now = bench.ca.window(&leaf).start - 10 * DAY;
    fail_until_paused(&mut bench, "a.example.com");
    bench.now = bench.now.max(bench.ca.window(&leaf).start);
    let replaces = Some(bench.ca.ari_id(leaf.serial));
    let new = NewOrder { replaces, ..NewOrder::dns(&["a.example.com"]) };
    assert!(bench.order_refused(new).detail.contains("unpause"));
}

#[test]
fn a_refused_order_costs_nothing_and_of_several_limits_the_longest_is_named() {
    let mut bench = Bench::lets_encrypt();
    bench.ca.reconfigure(|config| {
        config.forbidden.insert("forbidden.example".into());
    });
    let left = |bench: &Bench| bench.ca.limiter().remaining(bench.now, Limit::NewOrders, "1");
    let refused = bench.order_refused(NewOrder::dns(&["forbidden.example"]));
    assert_eq!(refused.kind, ErrorKind::RejectedIdentifier);
    assert_eq!(left(&bench), Some(300), "refunded");
    for _ in 0..5 {
        let order = bench.order(&["a.example.com"]);
        bench.flunk(&order);
    }
    let spent = left(&bench);
    for _ in 0..5 {
        bench.issue(&["b.example.com"]);
    }
    let refused = bench.order_refused(NewOrder::dns(&["b.example.com"]));
    assert!(refused.retry_at.unwrap() > bench.now + DAY, "34 hours: {refused}");
    let both = bench.order_refused(NewOrder::dns(&["a.example.com", "c.example.com"]));
    assert!(both.detail.contains("failed authorizations"), "{both}");
    assert!(left(&bench) >= spent, "renewals are exempt, refusals are free");
}

#[test]
fn a_plain_renewal_is_exempt_from_orders_and_domain_but_not_from_its_set() {
    let mut bench = Bench::lets_encrypt();
    bench.issue(&["h0.example.com"]);
    for at in 1..50 {
        bench.issue(&[&format!("h{at}.example.com")]);
    }
    let before = bench.ca.limiter().remaining(bench.now, Limit::NewOrders, "1");
    for _ in 0..4 {
        bench.issue(&["h0.example.com"]);
    }
    assert!(bench.ca.limiter().remaining(bench.now, Limit::NewOrders, "1") >= before);
    bench.order_refused(NewOrder::dns(&["h50.example.com"]));
    bench.order_refused(NewOrder::dns(&["h0.example.com"]));
    bench.now += 121 * DAY;
    let left = bench.ca.limiter().remaining(bench.now, Limit::NewOrders, "1").unwrap();
    bench.order(&["h1.example.com"]);
    let after = bench.ca.limiter().remaining(bench.now, Limit::NewOrders, "1").unwrap();
    assert_eq!(after, left - 1, "after 120 days it is a new one again");
}

#[test]
fn new_nonces_are_limited_at_the_edge_by_address_with_503() {
    let mut bench = Bench::lets_encrypt();
    for _ in 0..10 {
        bench.ok(Call::NewNonce);
    }
    let answer = bench.call(Call::NewNonce);
    assert_eq!(answer.retry_after.unwrap().at, bench.now + 50, "20 a second");
    let problem = answer.result.unwrap_err();
    assert_eq!((problem.kind, problem.status), (ErrorKind::RateLimited, 503));
    let other = bench.ca.handle(bench.now, "198.51.100.7", &Call::NewNonce);
    assert!(other.result.is_ok(), "another address");
    bench.ok(Call::Directory);
    bench.now += 50;
    bench.ok(Call::NewNonce);
    bench.refused(Call::NewNonce);
    bench.now += 500;
    for _ in 0..10 {
        bench.ok(Call::NewNonce);
    }
}

#[test]
fn ten_new_accounts_of_an_address_and_one_more_every_18_minutes() {
    let mut bench = Bench::lets_encrypt();
    for at in 1..10 {
        bench.now += SECOND;
        bench.new_account(&format!("key-{at}"));
    }
    let new = NewAccount { key: "k".into(), terms_agreed: true, ..NewAccount::default() };
    bench.now += SECOND;
    let refused = bench.refused(Call::NewAccount(new.clone()));
    assert_eq!(refused.retry_at, Some(NEW_YEAR + 18 * MINUTE));
    bench.now = NEW_YEAR + 18 * MINUTE;
    bench.ok(Call::NewAccount(new));
}

#[test]
fn an_override_takes_the_place_of_a_limit_for_one_key() {
    let mut limits = Limits::lets_encrypt();
    let bucket = Bucket { capacity: 2, interval: 1_000_000 };
    limits.overrides.insert((Limit::NewOrders, "7".into()), bucket);
    let mut limiter = Limiter::new(limits);
    let spend = |limiter: &mut Limiter, key: &str| limiter.spend(0, Limit::NewOrders, key);
    assert!(spend(&mut limiter, "7").is_ok() && spend(&mut limiter, "7").is_ok());
    assert_eq!(spend(&mut limiter, "7"), Err(1000));
    assert!((0..300).all(|_| spend(&mut limiter, "8").is_ok()));
    assert_eq!(spend(&mut limiter, "8"), Err(36_000));
    limiter.refund(Limit::NewOrders, "8");
    assert!(spend(&mut limiter, "8").is_ok());
    limiter.reset(Limit::NewOrders, "8");
    assert_eq!(limiter.remaining(0, Limit::NewOrders, "8"), Some(300));
}

#[test]
fn a_year_of_renewals_of_many_names_is_cheap_and_bounded() {
    let mut bench = Bench::lets_encrypt();
    let mut held: Vec<Leaf> = (0..100)
        .map(|at| {
            bench.now += MINUTE;
            bench.issue(&[&name(at)])
        })
        .collect();
    let until = bench.now + 365 * DAY;
    while bench.now < until {
        for leaf in &mut held {
            if bench.ca.window(leaf).start > bench.now {
                continue;
            }
            let new = NewOrder {
                identifiers: leaf.identifiers.clone(),
                replaces: Some(bench.ca.ari_id(leaf.serial)),
                ..NewOrder::default()
            };
            let order = bench.new_order(new);
            *leaf = bench.complete(&order);
        }
        bench.pass(6 * HOUR);
    }
    assert_eq!(bench.ca.audit().errors(ErrorKind::RateLimited), 0);
    assert!(bench.ca.issued() >= 700, "{}", bench.ca.issued());
    assert!(bench.ca.certificates().count() < 350, "those long over are forgotten");
}
