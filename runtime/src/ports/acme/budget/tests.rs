use super::*;
use crate::edge::Projector;
use crate::kube_api::Kube;
use crate::ports::{Events, KeyStore};
use bytes::Bytes;
use everleaf_api::names::CopiedAnnotations;
use everleaf_nodes::budget::Limit;
use everleaf_nodes::effect::{Account, Acme, Ahead, SecretKey, Trial};
use everleaf_nodes::{Base, Do};
use everleaf_pki::Limits;
use everleaf_sim::apiserver::{self, ApiServer};
use everleaf_sim::http::ApiService;
use http::{Request, Response};
use http_body_util::{Either, Full};
use kube::client::Body;

const HOUR: i64 = 3_600_000;

/// Ports to a modelled API server that answers writes of Orders with that status, if with one.
fn ports(refuses: Option<u16>) -> Ports {
    let crds = everleaf_api::crds().iter().map(|(_, yaml)| (*yaml).to_owned()).collect();
    let namespaces = ["shop", "cert-manager"].map(str::to_owned).to_vec();
    let now = crate::ports::now().as_millis();
    let config = apiserver::Config { crds, namespaces, now, ..Default::default() };
    let server = ApiServer::new(config).unwrap();
    let service = ApiService::collecting(server, || crate::ports::now().as_millis());
    let service = tower::service_fn(move |request: Request<Body>| {
        let service = service.clone();
        let claims = request.method() == http::Method::PATCH;
        async move {
            match refuses.filter(|_| claims) {
                Some(code) => {
                    let status = json!({
                        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
                        "reason": "Timeout", "message": "no",
                    });
                    let body = Either::Right(Full::new(Bytes::from(status.to_string())));
                    Ok(Response::builder().status(code).body(body).unwrap())
                }
                None => {
                    let answer = tower::ServiceExt::oneshot(service, request).await;
                    answer.map(|answer| answer.map(Either::Left))
                }
            }
        }
    });
    let kube = Kube::new(kube::Client::new(service, "default"));
    let (events, _) = Events::new(kube.clone());
    let projector = Projector::new(CopiedAnnotations::default(), Limits::default());
    let (keys, acme) = (KeyStore::default(), Default::default());
    Ports::new(kube, projector, keys, events, acme, Arc::new(|| true))
}

fn claim() -> ClaimOrder {
    let key = |kind, name: &str| ObjectKey::new(kind, "shop", name);
    let account = Account {
        issuer: key(Kind::Issuer, "acme"),
        base: Base { uid: "issuer".into(), rv: 1 },
        directory: "https://ca.test/directory".into(),
        uri: "https://ca.test/account/1".into(),
        key: SecretKey { secret: key(Kind::Secret, "key"), key: "tls.key".into() },
        skip_tls_verify: false,
        ca_bundle: None,
    };
    let trial = Trial { step: "new_order".into(), number: 1, rest_ms: 0 };
    let limit = Limit::per(3, 3 * HOUR);
    ClaimOrder {
        account: account.uri.clone(),
        set: everleaf_engine::digest_of("a.test"),
        beside: Vec::new(),
        // Told, so that nobody is asked for them.
        ahead: Ahead { account, caa_identities: vec!["ca.test".into()], proofs: Vec::new(), trial },
        namespace: "cert-manager".into(),
        charges: vec![Charge { bucket: "o:1".into(), limit, cost: 1 }],
    }
}

/// Creates an Order, and the effect that claims it.
async fn order(ports: &Ports, name: &str) -> Effect {
    let object = json!({
        "apiVersion": "acme.cert-manager.io/v1", "kind": "Order", "metadata": { "name": name },
        "spec": { "request": "Y3Ny", "issuerRef": { "name": "acme" }, "dnsNames": ["a.test"] },
    });
    let made = ports.kube.create(Kind::Order, "shop", &object, "test").await.unwrap();
    let meta = meta_of(&made);
    Effect {
        subject: ObjectKey::new(Kind::Order, "shop", name),
        base: Base { uid: meta.uid.as_str().into(), rv: version(&meta) },
        action: Do::Acme(Acme::Claim(Box::new(claim()))),
        events: Vec::new(),
    }
}

async fn left(ports: &Ports) -> i64 {
    let charge = &claim().charges[0];
    let shelf = ports.shelf(&"cert-manager".into(), &charge.shard()).await.unwrap();
    let tat = shelf.ledger.buckets().get(&charge.bucket).copied().unwrap_or_default();
    charge.limit.left(tat, crate::ports::now().plus_millis(HOUR / 2))
}

#[tokio::test]
async fn a_claim_that_may_stand_keeps_its_tokens_and_one_that_surely_failed_gives_them_back() {
    for (code, tokens) in [(504, 2), (409, 3)] {
        let ports = ports(Some(code));
        let effect = order(&ports, "a").await;
        let undone = ports.run(&effect).await.unwrap_err();
        assert_eq!(may_stand(&undone), code == 504);
        assert_eq!(left(&ports).await, tokens, "after {code}");
    }
}

#[tokio::test]
async fn a_second_order_of_the_same_names_does_not_claim_and_tells_of_the_first() {
    let ports = ports(None);
    let (first, second) = (order(&ports, "a").await, order(&ports, "b").await);
    ports.run(&first).await.unwrap();
    let stale = ports.run(&second).await.unwrap_err();
    assert_eq!(stale.outcome, Outcome::Stale { reread: vec![first.subject.clone()] });
    let seen = stale.seen.iter().any(|delta| {
        matches!(delta, Delta::Applied { facts: Facts::Order(order), .. } if order.claim.is_some())
    });
    assert!(seen, "{:?}", stale.seen);
    // Once the first is final, it is the second's turn.
    let at = ("shop", "a");
    let status = json!({ "status": { "state": "invalid" } });
    ports.kube.patch_status(Kind::Order, at, &status).await.unwrap();
    ports.run(&second).await.unwrap();
}
