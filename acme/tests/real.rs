//! Whole issuances at Pebble and at step-ca, with every kind of account key.
//!
//! Wants `TESTBED_PEBBLE` and `TESTBED_CA`, `TESTBED_STEPCA` and `TESTBED_STEPCA_ROOT` (URLs of
//! directories, files with the servers' roots), and for dns-01 `TESTBED_DNS` (an address and port
//! that takes dynamic updates for `example.test`) with `TESTBED_TSIG_NAME`, `_ALGORITHM` and
//! `_FILE` (which holds the secret); `nsupdate` must be there. A server that demands an external
//! account gets Pebble's usual one, or that of `TESTBED_EAB_KID` and `TESTBED_EAB_KEY`. What is not
//! there is skipped, aloud.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use everleaf_acme::{
    Account, AccountKey, Action, Answer, AuthorizationStatus, CertId, CertificateChain, Choice,
    Class, Client, ExternalAccount, HttpOptions, HttpTransport, Identifier, Limits, NewAccount,
    NewOrder, Order, OrderStatus, PlacedOrder, ServerTrust, Tally,
};
use everleaf_pki::{CsrSpec, Curve, KeyKind, PrivateKey};
use jiff::Timestamp;

/// The external account that Pebble's own example configuration knows.
const PEBBLE_EAB: (&str, &str) =
    ("kid-1", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W");

const KINDS: [KeyKind; 6] = [
    KeyKind::Rsa { bits: 2048 },
    KeyKind::Rsa { bits: 4096 },
    KeyKind::Ecdsa(Curve::P256),
    KeyKind::Ecdsa(Curve::P384),
    KeyKind::Ecdsa(Curve::P521),
    KeyKind::Ed25519,
];

/// How often an order or authorization is read before the test gives up.
const MAX_READS: u32 = 60;

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

struct Ca {
    client: Client,
    tally: Arc<Tally>,
}

fn ca(url: &str, root: &str) -> Option<Ca> {
    let (Some(url), Some(root)) = (variable(url), variable(root)) else {
        eprintln!("SKIPPED: {url} and {root} do not name an ACME server");
        return None;
    };
    if variable("TESTBED_DNS").is_none() || variable("TESTBED_TSIG_FILE").is_none() {
        eprintln!("SKIPPED: TESTBED_DNS and TESTBED_TSIG_FILE do not name a DNS server");
        return None;
    }
    let trust = ServerTrust::Bundle(std::fs::read(root).unwrap());
    let options = HttpOptions { trust, ..HttpOptions::new("everleaf-test/0.1") };
    let tally = Arc::new(Tally::default());
    let transport = HttpTransport::new(&options).unwrap();
    let client = Client::new(&url, transport, tally.clone(), Limits::default()).unwrap();
    Some(Ca { client, tally })
}

fn generated(kind: KeyKind) -> Arc<AccountKey> {
    Arc::new(AccountKey::new(PrivateKey::generate(kind).unwrap()).unwrap())
}

async fn registered(client: &Client, key: &Arc<AccountKey>) -> Result<Account, Class> {
    let kid = variable("TESTBED_EAB_KID").unwrap_or(PEBBLE_EAB.0.to_owned());
    let hmac = variable("TESTBED_EAB_KEY").unwrap_or(PEBBLE_EAB.1.to_owned());
    let external = ExternalAccount::new(&kid, hmac.as_bytes()).unwrap();
    let wanted = client.directory().await.unwrap().meta.external_account_required;
    let new = NewAccount {
        contact: vec!["mailto:ops@example.test".to_owned()],
        terms_of_service_agreed: true,
        external_account: wanted.then_some(&external),
    };
    match client.new_account(key, &new).await {
        Ok(answer) => {
            assert!(!answer.value.existed);
            Ok(answer.value.account)
        }
        Err(error) => {
            eprintln!("{}: {error}", key.kind());
            Err(error.class)
        }
    }
}

/// A name that no other order of this run or of an earlier one has.
fn fresh_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("n{count}-{:x}.example.test", Timestamp::now().as_nanosecond())
}

fn update(commands: &str) {
    let server = variable("TESTBED_DNS").unwrap();
    let (address, port) = server.rsplit_once(':').unwrap();
    let mut nsupdate = Command::new("nsupdate").stdin(Stdio::piped()).spawn().unwrap();
    let key = format!("{}:{}", variable("TESTBED_TSIG_ALGORITHM").unwrap(), tsig_name());
    let secret = std::fs::read_to_string(variable("TESTBED_TSIG_FILE").unwrap()).unwrap();
    let script =
        format!("server {address} {port}\nkey {key} {}\n{commands}\nsend\n", secret.trim());
    nsupdate.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(nsupdate.wait().unwrap().success(), "{commands}");
}

fn tsig_name() -> String {
    variable("TESTBED_TSIG_NAME").unwrap()
}

/// Waits as long as the server asked for, or else a quarter of a second.
async fn wait<T>(answer: &Answer<T>) {
    let asked = answer.retry_after.map(|after| after.delay(Timestamp::now()));
    tokio::time::sleep(asked.unwrap_or(Duration::from_millis(250))).await;
}

/// Proves every authorization of an order that is not proved yet.
async fn prove(account: &Account, order: &Order) {
    for url in &order.authorizations {
        let mut answer = account.authorization(url).await.unwrap();
        if answer.value.status == AuthorizationStatus::Valid {
            continue;
        }
        let challenges = &answer.value.challenges;
        let challenge = challenges.iter().find(|one| one.kind == "dns-01").unwrap().clone();
        let value = account.key().key_authorization(challenge.token.as_ref().unwrap()).dns_value();
        let record =
            format!("_acme-challenge.{}. 1 TXT \"{value}\"", answer.value.identifier.value);
        update(&format!("update add {record}"));
        account.accept_challenge(&challenge.url).await.unwrap();
        for _ in 0..MAX_READS {
            answer = account.authorization(url).await.unwrap();
            match answer.value.status {
                AuthorizationStatus::Pending => wait(&answer).await,
                _ => break,
            }
        }
        update(&format!("update delete {}", record.replace(" 1 TXT", " TXT")));
        assert_eq!(answer.value.status, AuthorizationStatus::Valid, "{answer:?}");
        assert_eq!(account.challenge(&challenge.url).await.unwrap().value.kind, "dns-01");
    }
}

async fn until(account: &Account, url: &str, wanted: OrderStatus) -> Order {
    for _ in 0..MAX_READS {
        let answer = account.order(url).await.unwrap();
        match answer.value.status {
            status if status == wanted => return answer.value,
            OrderStatus::Pending | OrderStatus::Processing => wait(&answer).await,
            _ => panic!("{answer:?}"),
        }
    }
    panic!("{url} did not become {}", wanted.as_str());
}

async fn placed(account: &Account, new: &NewOrder) -> PlacedOrder {
    account.new_order(new).await.unwrap_or_else(|error| panic!("{error}")).value
}

/// From order to the URL of a certificate, and the certificate.
async fn issued(account: &Account, new: &NewOrder) -> (String, CertificateChain) {
    let PlacedOrder { url, order } = placed(account, new).await;
    prove(account, &order).await;
    let order = until(account, &url, OrderStatus::Ready).await;
    let names = new.identifiers.iter().map(|one| one.value.clone()).collect::<Vec<_>>();
    let key = PrivateKey::generate(KeyKind::Ecdsa(Curve::P256)).unwrap();
    let csr = CsrSpec { dns_names: names.clone(), ..CsrSpec::default() }.build(&key).unwrap();
    account.finalize(&order.finalize, &csr).await.unwrap();
    let order = until(account, &url, OrderStatus::Valid).await;
    let location = order.certificate.unwrap();
    let chain = account.certificate(&location).await.unwrap().value;
    let leaf = &chain.certificates[0];
    assert_eq!(leaf.public_key.der(), key.public_key_der());
    let got: BTreeSet<String> = leaf.alt_names.dns_names.iter().cloned().collect();
    assert_eq!(got, names.into_iter().collect());
    (location, chain)
}

fn order_for(names: &[&str]) -> NewOrder {
    let identifiers = names.iter().copied().map(Identifier::dns).collect();
    NewOrder { identifiers, ..NewOrder::default() }
}

/// What every account can do at every server.
async fn life_of_an_account(ca: &Ca, kind: KeyKind) -> Result<(), Class> {
    let key = generated(kind);
    let gone = ca.client.find_account(&key).await.unwrap_err();
    if !matches!(gone.class, Class::AccountGone) {
        eprintln!("{kind}: {gone}");
        return Err(gone.class);
    }
    let account = registered(&ca.client, &key).await?;
    let found = ca.client.find_account(&key).await.unwrap().value;
    assert!(found.existed && found.account.url() == account.url());
    let contact = ["mailto:other@example.test".to_owned()];
    assert_eq!(account.update_contact(&contact).await.unwrap().value.contact, contact);
    let apex = fresh_name();
    let (_, chain) = issued(&account, &order_for(&[&apex, &format!("*.{apex}")])).await;
    for (lower, upper) in chain.certificates.iter().zip(&chain.certificates[1..]) {
        lower.verify_issued_by(upper).unwrap();
    }
    account.revoke(&chain.certificates[0].der, Some(4)).await.unwrap();
    assert_eq!(account.deactivate().await.unwrap().value.status.as_str(), "deactivated");
    assert!(account.new_order(&order_for(&[&apex])).await.is_err());
    eprintln!("{kind}: a whole life at {}", ca.client.directory_url());
    Ok(())
}

#[tokio::test]
async fn every_kind_of_account_key_serves_a_whole_issuance_at_pebble() {
    let Some(ca) = ca("TESTBED_PEBBLE", "TESTBED_CA") else { return };
    for kind in KINDS {
        let lived = life_of_an_account(&ca, kind).await;
        // Pebble takes no Ed25519 account keys and says so; the others have to work.
        let refused = matches!(lived, Err(Class::NeedsMending)) && kind == KeyKind::Ed25519;
        assert!(refused || lived == Ok(()), "{kind}: {lived:?}");
    }
    for ((action, endpoint, status), count) in ca.tally.counts() {
        eprintln!("{count:4} x {action} to {endpoint}: {status}");
    }
}

#[tokio::test]
async fn every_kind_of_account_key_serves_a_whole_issuance_at_step_ca() {
    let Some(ca) = ca("TESTBED_STEPCA", "TESTBED_STEPCA_ROOT") else { return };
    for kind in KINDS {
        assert_eq!(life_of_an_account(&ca, kind).await, Ok(()), "{kind}");
    }
    let id = CertId::from_parts(b"a", b"b");
    let error = ca.client.renewal_info(&id).await.unwrap_err();
    assert!(matches!(error.class, Class::NotOffered { .. }), "{error}");
}

#[tokio::test]
async fn alternate_chains_are_downloaded_and_chosen_by_their_root() {
    let Some(ca) = ca("TESTBED_PEBBLE", "TESTBED_CA") else { return };
    let account = registered(&ca.client, &generated(KINDS[2])).await.unwrap();
    let (url, default) = issued(&account, &order_for(&[&fresh_name()])).await;
    assert!(!default.alternates.is_empty(), "Pebble was started without alternate roots");
    let mut roots = BTreeSet::new();
    for alternate in &default.alternates {
        let chain = account.alternate(alternate).await.unwrap().value;
        assert_eq!(chain.certificates[0], default.certificates[0]);
        let root = chain.certificates.last().unwrap().issuer.common_name().to_owned();
        let chosen = account.preferred_certificate(&url, Some(&root)).await.unwrap().value;
        assert_eq!((chosen.choice, &chosen.chain.pem), (Choice::EndsBelow, &chain.pem));
        roots.insert(root);
    }
    let root = default.certificates.last().unwrap().issuer.common_name();
    assert!(!roots.contains(root), "each chain has a root of its own");
    for (preferred, choice) in
        [(None, Choice::Default), (Some(root), Choice::EndsBelow), (Some("x"), Choice::NotFound)]
    {
        let chosen = account.preferred_certificate(&url, preferred).await.unwrap().value;
        assert_eq!((chosen.choice, &chosen.chain.pem), (choice, &default.pem));
    }
}

#[tokio::test]
async fn renewal_information_is_read_and_a_certificate_is_replaced_once() {
    let Some(ca) = ca("TESTBED_PEBBLE", "TESTBED_CA") else { return };
    let account = registered(&ca.client, &generated(KINDS[3])).await.unwrap();
    let name = fresh_name();
    let short = NewOrder { profile: Some("shortlived".to_owned()), ..order_for(&[&name]) };
    let (_, chain) = issued(&account, &short).await;
    let leaf = &chain.certificates[0];
    assert!(leaf.not_after - leaf.not_before <= 160 * 3600, "the profile's lifetime");
    let id = CertId::of(leaf).unwrap();
    let answer = ca.client.renewal_info(&id).await.unwrap();
    assert!(answer.retry_after.is_some());
    let window = answer.value.suggested_window;
    assert!(window.start.as_second() > leaf.not_before && window.end.as_second() < leaf.not_after);
    let replacing = NewOrder { replaces: Some(id.to_string()), ..order_for(&[&name]) };
    issued(&account, &replacing).await;
    let again = account.new_order(&replacing).await.unwrap_err();
    assert_eq!(again.class, Class::AlreadyReplaced, "{again}");
}

#[tokio::test]
async fn a_key_is_changed_and_orders_are_listed_page_by_page() {
    let Some(ca) = ca("TESTBED_PEBBLE", "TESTBED_CA") else { return };
    let account = registered(&ca.client, &generated(KINDS[0])).await.unwrap();
    let (_, chain) = issued(&account, &order_for(&[&fresh_name()])).await;
    assert!(!chain.certificates.is_empty());
    for _ in 0..6 {
        placed(&account, &order_for(&[&fresh_name()])).await;
    }
    let list = account.get().await.unwrap().value.orders.expect("Pebble lists orders");
    let all = account.orders(&list, 64).await.unwrap().value;
    assert_eq!((all.orders.len(), all.complete), (7, true));
    let some = account.orders(&list, 1).await.unwrap().value;
    assert!(!some.complete && some.orders.len() < 7);
    let changed = account.change_key(&generated(KINDS[4])).await.unwrap().value;
    assert_eq!(changed.get().await.unwrap().value.status.as_str(), "valid");
    assert_eq!(account.get().await.map(|_| ()).unwrap_err().action, Action::GetRegistration);
    assert_eq!(
        ca.client.find_account(changed.key()).await.unwrap().value.account.url(),
        account.url()
    );
}

#[tokio::test]
async fn what_the_ca_refuses_is_told_with_its_reason() {
    let Some(ca) = ca("TESTBED_PEBBLE", "TESTBED_CA") else { return };
    let account = registered(&ca.client, &generated(KINDS[2])).await.unwrap();
    let blocked = account.new_order(&order_for(&["blocked.example.test"])).await.unwrap_err();
    assert_eq!(blocked.class, Class::NeedsMending, "{blocked}");
    assert!(blocked.problem().unwrap().is("rejectedIdentifier"), "{blocked}");
    let placed = placed(&account, &order_for(&[&fresh_name()])).await;
    let key = PrivateKey::generate(KINDS[2]).unwrap();
    let csr = CsrSpec::default().build(&key).unwrap();
    let early = account.finalize(&placed.order.finalize, &csr).await.unwrap_err();
    assert_eq!(early.class, Class::OutOfStep, "{early}");
    let stranger = ca.client.account(generated(KINDS[2]), format!("{}0", account.url()));
    let unknown = stranger.order(&placed.url).await.unwrap_err();
    assert_eq!(unknown.class, Class::AccountGone, "{unknown}");
}

#[tokio::test]
async fn a_binding_is_demanded_and_checked_where_the_directory_says_so() {
    let Some(ca) = ca("TESTBED_PEBBLE", "TESTBED_CA") else { return };
    if !ca.client.directory().await.unwrap().meta.external_account_required {
        eprintln!("SKIPPED: this server demands no external account binding");
        return;
    }
    let wrong = ExternalAccount::new(PEBBLE_EAB.0, b"d3Jvbmc").unwrap();
    for external_account in [None, Some(&wrong)] {
        let terms_of_service_agreed = true;
        let new = NewAccount { external_account, terms_of_service_agreed, ..NewAccount::default() };
        let error = ca.client.new_account(&generated(KINDS[2]), &new).await.unwrap_err();
        assert_eq!(error.class, Class::NeedsMending, "{error}");
        eprintln!("{error}");
    }
    registered(&ca.client, &generated(KINDS[2])).await.unwrap();
}
