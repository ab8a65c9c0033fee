//! Accounts, orders, authorizations and certificates by direct calls.

use everleaf_sim::acme::*;

use super::bench::*;

#[test]
fn a_certificate_is_issued_by_direct_calls() {
    let mut bench = Bench::new(Config {
        validation: (2 * SECOND, 2 * SECOND),
        issuance: (3 * SECOND, 3 * SECOND),
        ..Config::lenient(1)
    });
    let order = bench.order(&["a.example.com", "b.example.com"]);
    assert_eq!((order.status, order.created), (Status::Pending, true));
    assert_eq!(order.expires, bench.now + 7 * DAY);
    for id in order.authorizations.clone() {
        let view = bench.authorization(id);
        assert_eq!((view.status, view.challenges.len()), (Status::Pending, 3));
        bench.present(&view, ChallengeKind::Http01);
        bench.trigger(id, ChallengeKind::Http01);
        assert_eq!(bench.authorization(id).challenges[0].status, Status::Processing);
    }
    assert_eq!(bench.ca.next_due(), Some(bench.now + 2 * SECOND));
    bench.pass(2 * SECOND - 1);
    assert_eq!(bench.look(order.id).status, Status::Pending, "validation takes its time");
    bench.pass(1);
    assert_eq!(bench.look(order.id).status, Status::Ready);
    let view = bench.authorization(order.authorizations[0]);
    assert_eq!((view.status, view.challenges.len()), (Status::Valid, 1));

    let call = bench.finalize_call(&order);
    let answer = bench.call(call);
    let retry = RetryAfter { at: bench.now + 3 * SECOND, style: RetryStyle::Seconds };
    assert_eq!(answer.retry_after, Some(retry), "processing says when to look again");
    assert_eq!(as_order(answer.result.unwrap()).status, Status::Processing);
    bench.pass(3 * SECOND);
    assert_eq!(bench.look(order.id).status, Status::Valid);
    let leaf = bench.download(order.id);
    assert_eq!(leaf.identifiers, order.identifiers);
    assert_eq!(leaf.key, "certificate-key-1");
    assert_eq!(leaf.not_before * 1000, bench.now);
    assert_eq!(leaf.lifetime(), 90 * DAY);
    assert_eq!(bench.ca.audit().total(CallKind::NewOrder), 1);
}

#[test]
fn the_same_seed_and_calls_give_the_same_answers() {
    let run = |seed| {
        let mut bench = Bench::new(Config::lets_encrypt(seed));
        let order = bench.order(&["a.example.com"]);
        let token = bench.authorization(order.authorizations[0]).challenges[0].token.clone();
        (token, bench.complete(&order).serial, bench.ca.fresh_nonce())
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn profiles_decide_validity_and_life() {
    let mut bench = Bench::lenient();
    for (profile, lifetime) in [
        ("classic", 90 * DAY),
        ("tlsserver", 45 * DAY),
        ("shortlived", 160 * HOUR),
        ("fleeting", 10 * MINUTE),
    ] {
        let new = NewOrder { profile: Some(profile.into()), ..NewOrder::dns(&["a.example.com"]) };
        let order = bench.new_order(new);
        assert_eq!(order.profile, profile);
        assert_eq!(bench.complete(&order).lifetime(), lifetime);
    }
    let new = NewOrder { profile: Some("none".into()), ..NewOrder::dns(&["a.example.com"]) };
    assert_eq!(bench.order_refused(new).kind, ErrorKind::InvalidProfile);
}

#[test]
fn orders_and_authorizations_expire() {
    let mut bench = Bench::lenient();
    let order = bench.order(&["a.example.com"]);
    bench.pass(7 * DAY - 1);
    assert_eq!(bench.look(order.id).status, Status::Pending);
    bench.pass(1);
    assert_eq!(bench.look(order.id).status, Status::Invalid);
    assert_eq!(bench.authorization(order.authorizations[0]).status, Status::Expired);
    let call = bench.challenge_call(order.authorizations[0], ChallengeKind::Http01);
    assert_eq!(bench.refused(call).kind, ErrorKind::Malformed);
}

#[test]
fn an_order_ends_with_the_first_of_its_authorizations() {
    let mut bench = Bench::lenient();
    bench.issue(&["a.example.com"]);
    let order = bench.order(&["a.example.com"]);
    assert_eq!(order.status, Status::Ready, "its authorization is reused");
    let end = bench.authorization(order.authorizations[0]).expires;
    assert!(end < bench.now + HOUR && order.expires == end);
    bench.now = end;
    assert_eq!(bench.look(order.id).status, Status::Invalid);
}

#[test]
fn valid_authorizations_are_reused_for_as_long_as_the_profile_says() {
    let mut bench = Bench::lets_encrypt();
    let leaf = bench.issue(&["a.example.com"]);
    let validated = bench.now - MINUTE - MINUTE;
    bench.now = validated + 30 * DAY - SECOND;
    assert_eq!(bench.order(&["a.example.com", "b.example.com"]).status, Status::Pending);
    assert_eq!(bench.order(&["a.example.com"]).status, Status::Ready);
    bench.pass(MINUTE);
    assert_eq!(bench.order(&["a.example.com"]).status, Status::Pending, "{leaf:?}");
}

#[test]
fn a_wildcard_authorization_is_another_than_that_of_its_base() {
    let mut bench = Bench::lenient();
    let order = bench.order(&["*.example.com", "example.com"]);
    assert_eq!(order.authorizations.len(), 2);
    bench.complete(&order);
    let order = bench.order(&["*.example.com"]);
    let view = bench.authorization(order.authorizations[0]);
    assert_eq!(view.challenges.len(), 1);
    assert_eq!(view.challenges[0].kind, ChallengeKind::Dns01);
    assert_eq!(view.identifier.base(), "example.com");
}

#[test]
fn pending_and_ready_orders_are_reused_by_account_set_and_profile() {
    let mut bench = Bench::lets_encrypt();
    let first = bench.order(&["a.example.com", "b.example.com"]);
    let again = bench.order(&["B.example.com", "a.example.com"]);
    assert_eq!((again.id, again.created), (first.id, false));
    assert_ne!(bench.order(&["a.example.com"]).id, first.id);
    let profile = Some("tlsserver".to_owned());
    let other = NewOrder { profile, ..NewOrder::dns(&["a.example.com", "b.example.com"]) };
    assert_ne!(bench.new_order(other).id, first.id);
    bench.prove(&first);
    let ready = bench.order(&["a.example.com", "b.example.com"]);
    assert_eq!((ready.id, ready.status), (first.id, Status::Ready));
    bench.complete(&first);
    assert_ne!(bench.order(&["a.example.com", "b.example.com"]).id, first.id, "it is valid");
    let owner = bench.account;
    bench.account = bench.new_account("another key");
    let others = bench.order(&["a.example.com", "b.example.com"]);
    assert!(others.id != first.id && others.authorizations != first.authorizations);
    let look = Call::Order { account: bench.account, order: first.id };
    assert_eq!(bench.refused(look).status, 404, "account {owner}'s");
}

#[test]
fn without_reuse_every_order_and_pending_authorization_is_new() {
    let mut bench = Bench::lenient();
    let (first, second) = (bench.order(&["a.example.com"]), bench.order(&["a.example.com"]));
    assert_ne!(first.id, second.id);
    assert_ne!(first.authorizations, second.authorizations);
    bench.ca.reconfigure(|config| config.reuses_pending = true);
    let third = bench.order(&["a.example.com"]);
    assert_ne!(third.id, second.id);
    assert_eq!(third.authorizations, second.authorizations);
    bench.ca.reconfigure(|config| config.reuses_orders = true);
    assert_eq!(bench.order(&["a.example.com"]).id, third.id);
}

#[test]
fn a_deactivated_authorization_ends_its_orders() {
    let mut bench = Bench::lenient();
    let order = bench.order(&["a.example.com"]);
    let (account, authorization) = (bench.account, order.authorizations[0]);
    bench.ok(Call::Authorization { account, authorization, deactivate: true });
    assert_eq!(bench.look(order.id).status, Status::Invalid);
    let again = Call::Authorization { account, authorization, deactivate: true };
    assert_eq!(bench.refused(again).kind, ErrorKind::Malformed);
}

#[test]
fn a_request_must_name_what_the_order_is_for_and_bring_another_key() {
    let mut bench = Bench::lenient();
    let order = bench.order(&["a.example.com", "b.example.com"]);
    let (account, id) = (bench.account, order.id);
    let early = bench.finalize_call(&order);
    assert_eq!(bench.refused(early).kind, ErrorKind::OrderNotReady);
    bench.prove(&order);
    let finalize = |csr: Csr| Call::Finalize { account, order: id, csr };
    let csr = bench.csr(&order);
    let fewer = Csr { identifiers: [Identifier::dns("a.example.com")].into(), ..csr.clone() };
    assert_eq!(bench.refused(finalize(fewer.clone())).kind, ErrorKind::BadCsr);
    let more = Csr { common_name: Some("c.example.com".into()), ..csr.clone() };
    assert_eq!(bench.refused(finalize(more)).kind, ErrorKind::BadCsr);
    let own = Csr { key: "account-key".into(), ..csr };
    assert_eq!(bench.refused(finalize(own)).kind, ErrorKind::Malformed);
    let by_name = Csr { common_name: Some("b.example.com".into()), ..fewer };
    bench.ok(finalize(by_name.clone()));
    let status = bench.look(id).status;
    assert_eq!(status, Status::Valid, "a refused request leaves the order ready");
    assert_eq!(bench.refused(finalize(by_name)).kind, ErrorKind::OrderNotReady);
}

#[test]
fn names_that_make_no_sense_together_or_at_all_are_refused() {
    let mut bench = Bench::lenient();
    bench.ca.reconfigure(|config| {
        config.forbidden.insert("forbidden.example".into());
        config.profiles.get_mut("classic").unwrap().ip = false;
    });
    let mut kind = |names: &[&str]| bench.order_refused(NewOrder::dns(names)).kind;
    assert_eq!(kind(&[]), ErrorKind::Malformed);
    assert_eq!(kind(&["*.example.com", "www.example.com"]), ErrorKind::Malformed);
    assert_eq!(kind(&["a.forbidden.example"]), ErrorKind::RejectedIdentifier);
    assert_eq!(kind(&["com"]), ErrorKind::RejectedIdentifier);
    let many: Vec<String> = (0..101).map(|at| format!("a{at}.example.com")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(kind(&many), ErrorKind::Malformed);
    let ip = NewOrder::ip("192.0.2.1".parse().unwrap());
    assert_eq!(bench.order_refused(ip).kind, ErrorKind::UnsupportedIdentifier);
    let both =
        bench.order_refused(NewOrder::dns(&["bad_name.test", "forbidden.example", "a.test"]));
    assert_eq!(both.subproblems.len(), 2, "{both}");
    assert_eq!(both.subproblems[1].0, Identifier::dns("forbidden.example"));
}

#[test]
fn validity_may_be_asked_for_only_where_the_ca_says_so() {
    let mut bench = Bench::lenient();
    let asked = |bench: &Bench, days: i64| NewOrder {
        not_after: Some(bench.now + days * DAY),
        ..NewOrder::dns(&["a.example.com"])
    };
    let new = asked(&bench, 10);
    assert_eq!(bench.order_refused(new.clone()).kind, ErrorKind::Malformed);
    bench.ca.reconfigure(|config| config.validity = Some(90 * DAY));
    let too_long = asked(&bench, 91);
    assert_eq!(bench.order_refused(too_long).kind, ErrorKind::Malformed);
    let order = bench.new_order(new.clone());
    let leaf = bench.complete(&order);
    assert_eq!((leaf.not_after + 1) * 1000, new.not_after.unwrap());
}

#[test]
fn accounts_are_found_by_key_bound_deactivated_and_their_contacts_checked() {
    let keys = [("kid-1".to_owned(), ExternalKey(b"secret".to_vec()))].into();
    let config = Config { external_keys: keys, ..Config::lenient(1) };
    assert!(!format!("{config:?}").contains(&format!("{:?}", b"secret")));
    let mut bench = Bench::new(config);
    bench.ca.reconfigure(|config| config.external_required = true);
    let new =
        |key: &str| NewAccount { key: key.into(), terms_agreed: true, ..NewAccount::default() };
    let kind = |bench: &mut Bench, new: NewAccount| bench.refused(Call::NewAccount(new)).kind;
    assert_eq!(kind(&mut bench, new("k")), ErrorKind::ExternalAccountRequired);
    let external = |kid: &str| NewAccount { external: Some(kid.into()), ..new("k") };
    assert_eq!(kind(&mut bench, external("other")), ErrorKind::Unauthorized);
    let unknown = NewAccount { only_existing: true, ..new("k") };
    assert_eq!(kind(&mut bench, unknown), ErrorKind::AccountDoesNotExist);
    let unread = NewAccount { terms_agreed: false, ..external("kid-1") };
    assert_eq!(kind(&mut bench, unread), ErrorKind::Malformed);
    let contact = |it: &str| NewAccount { contacts: vec![it.into()], ..external("kid-1") };
    assert_eq!(kind(&mut bench, contact("tel:1")), ErrorKind::UnsupportedContact);
    assert_eq!(kind(&mut bench, contact("mailto:nobody")), ErrorKind::InvalidContact);
    let Reply::Account(made) = bench.ok(Call::NewAccount(external("kid-1"))) else { panic!() };
    let Reply::Account(found) = bench.ok(Call::NewAccount(new("k"))) else { panic!() };
    assert_eq!((made.created, found.created, found.id), (true, false, made.id));
    let contacts = Some(vec!["mailto:me@example.com".to_owned()]);
    bench.ok(Call::Account { account: made.id, contacts, deactivate: true });
    assert_eq!(kind(&mut bench, new("k")), ErrorKind::Unauthorized);
    bench.account = made.id;
    let order = bench.order_refused(NewOrder::dns(&["a.example.com"]));
    assert_eq!(order.kind, ErrorKind::Unauthorized);
    bench.account = 99;
    let order = bench.order_refused(NewOrder::dns(&["a.example.com"]));
    assert_eq!(order.kind, ErrorKind::AccountDoesNotExist);
}

#[test]
fn an_account_has_a_list_of_orders_only_where_configured() {
    let mut bench = Bench::lenient();
    for at in 0..60 {
        bench.order(&[&format!("a{at}.example.com")]);
    }
    let list = |after| Call::Orders { account: 1, after };
    assert_eq!(bench.refused(list(0)).status, 404);
    bench.ca.reconfigure(|config| config.lists_orders = true);
    let Reply::Orders(first, true) = bench.ok(list(0)) else { panic!("a page and more") };
    let Reply::Orders(last, false) = bench.ok(list(*first.last().unwrap())) else { panic!() };
    assert_eq!((first.len(), last.len()), (50, 10));
    assert_eq!(bench.ca.open_orders(bench.now, 1).len(), 60);
}

#[test]
fn a_nonce_is_good_once_and_only_so_many_are_remembered() {
    let config = Config { nonce_capacity: 3, ..Config::lenient(1) };
    let mut ca = Ca::new(config, b"issuer");
    let nonce = ca.fresh_nonce();
    ca.redeem_nonce(&nonce).unwrap();
    assert_eq!(ca.redeem_nonce(&nonce).unwrap_err().kind, ErrorKind::BadNonce);
    let nonces: Vec<String> = (0..4).map(|_| ca.fresh_nonce()).collect();
    assert!(ca.redeem_nonce(&nonces[0]).is_err(), "forgotten");
    assert!(nonces[1..].iter().all(|nonce| ca.redeem_nonce(nonce).is_ok()));
    ca.reconfigure(|config| config.nonce_rejection = 50);
    let mut redeem = || {
        let nonce = ca.fresh_nonce();
        ca.redeem_nonce(&nonce).is_err()
    };
    let rejected = (0..10_000).filter(|_| redeem()).count();
    assert!((400..600).contains(&rejected), "{rejected} of 10,000 good nonces");
}

#[test]
fn what_is_over_is_forgotten_and_what_is_full_says_so() {
    let mut bench = Bench::new(Config { capacity: 3, ..Config::lenient(1) });
    for name in ["a.test", "b.test", "c.test"] {
        bench.order(&[name]);
    }
    let full = bench.order_refused(NewOrder::dns(&["d.test"]));
    assert_eq!((full.kind, full.status), (ErrorKind::ServerInternal, 503));
    bench.pass(38 * DAY);
    bench.order(&["d.test"]);
    let old = Call::Order { account: bench.account, order: 1 };
    assert_eq!(bench.refused(old).status, 404);
}
