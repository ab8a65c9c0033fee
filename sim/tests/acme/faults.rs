//! The faults: each does what its name says, once, and nothing else.

use everleaf_sim::acme::*;

use super::bench::*;

fn strike(bench: &mut Bench, kind: CallKind, fault: Fault) {
    bench.ca.set_faults(Some(Box::new(Script::default().then(kind, fault))));
}

fn ready(bench: &mut Bench) -> OrderView {
    let order = bench.order(&["a.example.com"]);
    bench.prove(&order);
    bench.look(order.id)
}

#[test]
fn bad_nonce_once_or_five_times_and_nothing_is_done() {
    let mut bench = Bench::lenient();
    for times in [1, 5] {
        let script = Script::default().times(times, CallKind::NewOrder, Fault::BadNonce);
        bench.ca.set_faults(Some(Box::new(script)));
        for _ in 0..times {
            let refused = bench.order_refused(NewOrder::dns(&["a.example.com"]));
            assert_eq!((refused.kind, refused.status), (ErrorKind::BadNonce, 400));
        }
        bench.order(&["a.example.com"]);
    }
    assert_eq!(bench.ca.open_orders(bench.now, bench.account).len(), 2);
}

#[test]
fn too_many_requests_and_unavailable_say_when_in_either_way() {
    for style in [RetryStyle::Seconds, RetryStyle::Date, RetryStyle::Absent] {
        let mut bench = Bench::lenient();
        strike(&mut bench, CallKind::NewOrder, Fault::TooManyRequests { seconds: 3600, style });
        let call = bench.order_call(NewOrder::dns(&["a.example.com"]));
        let answer = bench.call(call.clone());
        let retry = RetryAfter { at: bench.now + HOUR, style };
        assert_eq!(answer.retry_after, (style != RetryStyle::Absent).then_some(retry));
        assert_eq!(answer.result.unwrap_err().status, 429);
        strike(&mut bench, CallKind::NewOrder, Fault::Unavailable { seconds: 60, style });
        let problem = bench.refused(call.clone());
        assert_eq!((problem.kind, problem.status), (ErrorKind::RateLimited, 503));
        bench.ok(call);
        assert_eq!(bench.ca.open_orders(bench.now, bench.account).len(), 1);
    }
}

#[test]
fn five_hundred_comes_before_or_after_the_work_is_done() {
    let mut bench = Bench::lenient();
    for (fault, orders) in [(Fault::Internal, 0), (Fault::InternalAfterCommit, 1)] {
        strike(&mut bench, CallKind::NewOrder, fault);
        let refused = bench.order_refused(NewOrder::dns(&["a.example.com"]));
        assert_eq!((refused.kind, refused.status), (ErrorKind::ServerInternal, 500));
        assert_eq!(bench.ca.open_orders(bench.now, bench.account).len(), orders, "{fault:?}");
    }
}

#[test]
fn an_answer_is_lost_before_or_after_the_work_is_done_or_cut_off_or_slow() {
    let mut bench = Bench::lenient();
    for (fault, seen, orders) in [
        (Fault::Lost { applied: false }, Err(Failure::Lost), 0),
        (Fault::Lost { applied: true }, Err(Failure::Lost), 1),
        (Fault::Truncated, Err(Failure::Truncated), 2),
        (Fault::Slow(30 * SECOND), Ok(Delivery::Slow(30 * SECOND)), 3),
    ] {
        strike(&mut bench, CallKind::NewOrder, fault);
        let call = bench.order_call(NewOrder::dns(&["a.example.com"]));
        let answer = bench.call(call);
        let delivery = answer.delivery;
        assert_eq!(answer.seen().map(|_| delivery), seen);
        assert_eq!(bench.ca.open_orders(bench.now, bench.account).len(), orders, "{fault:?}");
    }
}

#[test]
fn authorizations_and_orders_are_reused_though_the_configuration_says_no() {
    let mut bench = Bench::lenient();
    let first = bench.order(&["a.example.com"]);
    strike(&mut bench, CallKind::NewOrder, Fault::ReuseAuthorizations);
    let second = bench.order(&["a.example.com"]);
    assert!(second.id != first.id && second.authorizations == first.authorizations);
    strike(&mut bench, CallKind::NewOrder, Fault::ReuseOrder);
    assert_eq!(bench.order(&["a.example.com"]).id, second.id);
    assert_ne!(bench.order(&["a.example.com"]).authorizations, first.authorizations, "once");
}

#[test]
fn an_order_jumps_to_valid_from_any_state() {
    let mut bench = Bench::new(Config { issuance: (HOUR, HOUR), ..Config::lenient(1) });
    let order = bench.order(&["a.example.com"]);
    strike(&mut bench, CallKind::Order, Fault::OrderValid);
    assert_eq!(bench.look(order.id).status, Status::Valid, "from pending");
    assert_eq!(bench.download(order.id).wrong, Some(Wrong::OtherKey), "nobody knows its key");

    let order = ready(&mut bench);
    strike(&mut bench, CallKind::Finalize, Fault::OrderValid);
    let call = bench.finalize_call(&order);
    assert_eq!(as_order(bench.ok(call)).status, Status::Valid, "from ready");
    assert_eq!(bench.download(order.id).wrong, None);

    let order = ready(&mut bench);
    let call = bench.finalize_call(&order);
    assert_eq!(as_order(bench.ok(call)).status, Status::Processing);
    strike(&mut bench, CallKind::Order, Fault::OrderValid);
    let valid = bench.look(order.id);
    assert_eq!(valid.status, Status::Valid, "from processing");
    bench.pass(2 * HOUR);
    assert_eq!(bench.look(order.id).certificate, valid.certificate, "issued once");
}

#[test]
fn an_order_turns_invalid_from_any_state_but_valid() {
    let mut bench = Bench::new(Config { issuance: (HOUR, HOUR), ..Config::lenient(1) });
    let order = bench.order(&["a.example.com"]);
    strike(&mut bench, CallKind::Order, Fault::OrderInvalid);
    let seen = bench.look(order.id);
    assert_eq!(seen.status, Status::Invalid);
    assert_eq!(seen.error.unwrap().kind, ErrorKind::ServerInternal);

    let order = ready(&mut bench);
    strike(&mut bench, CallKind::Finalize, Fault::OrderInvalid);
    let call = bench.finalize_call(&order);
    assert_eq!(as_order(bench.ok(call)).status, Status::Invalid);
    bench.pass(2 * HOUR);
    assert_eq!(bench.look(order.id).status, Status::Invalid, "and stays so");

    bench.ca.reconfigure(|config| config.issuance = (0, 0));
    let leaf = bench.issue(&["b.example.com"]);
    strike(&mut bench, CallKind::Order, Fault::OrderInvalid);
    assert_eq!(bench.look(leaf.order).status, Status::Valid);
}

#[test]
fn an_outage_lets_nobody_through_from_its_start_to_its_end() {
    let mut bench = Bench::lenient();
    bench.ca.outage(bench.now + HOUR, bench.now + 8 * DAY);
    let order = ready(&mut bench);
    let end = NEW_YEAR + 8 * DAY;
    bench.now = NEW_YEAR + HOUR - 1;
    bench.look(order.id);
    for now in [NEW_YEAR + HOUR, end - 1] {
        bench.now = now;
        let call = bench.order_call(NewOrder::dns(&["b.example.com"]));
        assert_eq!(bench.call(call).seen(), Err(Failure::Lost));
        assert_eq!(bench.call(Call::Directory).seen(), Err(Failure::Lost));
    }
    bench.now = end;
    assert_eq!(bench.look(order.id).status, Status::Invalid, "time passes all the same");
    bench.issue(&["a.example.com"]);
}

#[test]
fn a_wrong_certificate_is_wrong_in_the_way_that_was_asked_for() {
    for wrong in [
        Wrong::OtherKey,
        Wrong::OtherNames,
        Wrong::Expired,
        Wrong::NotYetValid,
        Wrong::Shorter,
        Wrong::Backdated,
    ] {
        let mut bench = Bench::lenient();
        let order = ready(&mut bench);
        strike(&mut bench, CallKind::Finalize, Fault::Wrong(wrong));
        let call = bench.finalize_call(&order);
        bench.ok(call);
        let leaf = bench.download(order.id);
        let (start, end) = (leaf.not_before * 1000, (leaf.not_after + 1) * 1000);
        let (now, life) = (bench.now, 90 * DAY);
        let expected = match wrong {
            Wrong::OtherKey | Wrong::OtherNames => (now, now + life),
            Wrong::Expired => (now - DAY - life, now - DAY),
            Wrong::NotYetValid => (now + DAY, now + DAY + life),
            Wrong::Shorter => (now, now + life / 10),
            Wrong::Backdated => (now - HOUR, now - HOUR + life),
        };
        assert_eq!((start, end), expected, "{wrong:?}");
        assert_eq!(leaf.key.is_empty(), wrong == Wrong::OtherKey);
        assert_eq!(leaf.identifiers != order.identifiers, wrong == Wrong::OtherNames);
        assert_eq!(leaf.wrong, Some(wrong));
    }
}

#[test]
fn drawn_faults_repeat_with_their_seed_fit_their_request_and_end() {
    let run = |seed| {
        let mut bench = Bench::lenient();
        let rates = [(Fault::BadNonce, 300), (Fault::Internal, 200), (Fault::OrderValid, 900)];
        let drawn = Drawn::new(seed, rates.into(), bench.now + HOUR);
        bench.ca.set_faults(Some(Box::new(drawn)));
        let seen = |bench: &mut Bench| -> Vec<Option<ErrorKind>> {
            let call = bench.order_call(NewOrder::dns(&["a.example.com"]));
            (0..100).map(|_| bench.call(call.clone()).error()).collect()
        };
        let during = seen(&mut bench);
        bench.now += HOUR;
        assert!(seen(&mut bench).iter().all(Option::is_none), "seed {seed}: over");
        during
    };
    let (first, other) = (run(1), run(2));
    assert_eq!(first, run(1));
    assert_ne!(first, other);
    let bad = first.iter().filter(|error| **error == Some(ErrorKind::BadNonce)).count();
    assert!((10..60).contains(&bad), "{bad} of 100 at a rate of 300 in a thousand");
}
