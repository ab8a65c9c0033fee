//! The operator against the modelled API server, in one process.

use super::*;
use crate::metrics::Metrics;
use crate::{lease, ports};
use everleaf_api::gates::{Component, FeatureGates};
use everleaf_api::names::CopiedAnnotations;
use everleaf_nodes::{Kind, Switches};
use everleaf_pki::{CsrInfo, Limits};
use everleaf_sim::apiserver::{self, ApiServer};
use everleaf_sim::http::ApiService;
use serde_json::{Value, json};
use std::sync::Arc;

#[test]
fn every_feed_keeps_to_the_namespace_and_budgets_to_the_operators_own() {
    for feed in feeds("shop", "own") {
        let kept = match feed.kind {
            Kind::ClusterIssuer => "",
            Kind::ConfigMap => "own",
            _ => "shop",
        };
        assert_eq!(feed.selection.namespace, kept, "{feed:?}");
    }
    let mut shown: Vec<u8> = feeds("", "own").iter().map(|feed| feed.number).collect();
    shown.sort_unstable();
    let program = Everleaf::new(Options::default());
    let all = 0..u8::try_from(program.feeds().len()).unwrap();
    let of_api: Vec<u8> = all.filter(|number| *number != everleaf_nodes::feed::KEYS).collect();
    assert_eq!(shown, of_api, "a machine starts only once all that it reads was listed");
}

struct World {
    kube: Kube,
    running: Running,
}

/// What an operator is told, in the few things that the tests differ in.
#[derive(Default)]
struct Told {
    runs: Switches,
    namespace: &'static str,
    gates: &'static str,
}

/// A modelled API server with cert-manager's kinds.
fn service() -> ApiService {
    let crds = everleaf_api::crds().iter().map(|(_, yaml)| (*yaml).to_owned()).collect();
    let namespaces = ["default", "shop", "kube-system"].map(str::to_owned).to_vec();
    let now = ports::now().as_millis();
    let config = apiserver::Config { crds, namespaces, now, ..Default::default() };
    let server = ApiServer::new(config).unwrap();
    ApiService::collecting(server, || ports::now().as_millis())
}

fn operate(client: kube::Client, told: &Told) -> Running {
    let gates = FeatureGates::parse(Component::Controller, told.gates).unwrap();
    let setup = Setup {
        client,
        pace: None,
        options: Options { runs: told.runs, ..Options::default() },
        config: Config::default(),
        projector: Projector::new(CopiedAnnotations::default(), Limits::default()).gated(gates),
        namespace: told.namespace.to_owned(),
        record: None,
        acme: ports::AcmeOptions::default(),
        fence: Arc::new(|| true),
    };
    start(setup, lease::unelected().leadership()).unwrap()
}

impl World {
    fn new(told: Told) -> Self {
        let client = kube::Client::new(service(), "default");
        let running = operate(client.clone(), &told);
        Self { kube: Kube::new(client), running }
    }

    async fn create(&self, kind: Kind, object: Value) {
        let namespace = if kind == Kind::ClusterIssuer { "" } else { "shop" };
        let made = self.kube.create(kind, namespace, &object, "test").await;
        made.unwrap_or_else(|error| panic!("{object}: {error}"));
    }

    async fn issuer(&self, name: &str, spec: Value) {
        self.create(Kind::Issuer, issuer("Issuer", name, spec)).await;
    }

    async fn certificate(&self, name: &str, issuer: Value, more: Value) {
        let mut spec = json!({
            "secretName": format!("{name}-tls"),
            "dnsNames": [format!("{name}.example.test")],
            "issuerRef": issuer,
            "privateKey": { "algorithm": "ECDSA", "size": 256 },
        });
        for (field, value) in more.as_object().into_iter().flatten() {
            spec[field] = value.clone();
        }
        let object = json!({
            "apiVersion": "cert-manager.io/v1",
            "kind": "Certificate",
            "metadata": { "name": name },
            "spec": spec,
        });
        self.create(Kind::Certificate, object).await;
    }

    /// The Issuer `ca`, which signs with the self-signed Certificate `ca`.
    async fn ca(&self) {
        self.issuer("root", json!({ "selfSigned": {} })).await;
        let ca = json!({ "isCA": true, "commonName": "a CA", "secretName": "ca" });
        self.certificate("ca", json!({ "name": "root" }), ca).await;
        self.issuer("ca", json!({ "ca": { "secretName": "ca" } })).await;
        self.until((Kind::Issuer, "ca"), |issuer| is(issuer, "Ready", "True")).await;
    }

    async fn find(&self, (kind, name): (Kind, &str)) -> Option<Value> {
        let namespace = if kind == Kind::ClusterIssuer { "" } else { "shop" };
        match self.kube.get(kind, namespace, name).await {
            Ok(found) => Some(found),
            Err(error) if error.is_absent() => None,
            Err(error) => panic!("{name}: {error}"),
        }
    }

    /// Waits, turn by turn, until an object satisfies `good`. Two minutes mean that it never will.
    async fn until(&self, at: (Kind, &str), good: impl Fn(&Value) -> bool) -> Value {
        let mut turn = self.running.turn.clone();
        let look = async {
            loop {
                match self.find(at).await.filter(|found| good(found)) {
                    Some(found) => return found,
                    None => turn.changed().await.unwrap(),
                }
            }
        };
        let found = tokio::time::timeout(Duration::from_secs(120), look).await;
        match found {
            Ok(found) => found,
            Err(_) => panic!("{at:?} never came about: {:?}", self.find(at).await),
        }
    }

    /// Waits until what was asked before has been decided: a Certificate that is created now, of an
    /// issuer that signs for itself, is Ready.
    async fn settled(&self) {
        self.issuer("canaries", json!({ "selfSigned": {} })).await;
        self.certificate("canary", json!({ "name": "canaries" }), json!({})).await;
        self.until((Kind::Certificate, "canary"), |found| is(found, "Ready", "True")).await;
    }
}

fn issuer(kind: &str, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "cert-manager.io/v1",
        "kind": kind,
        "metadata": { "name": name },
        "spec": spec,
    })
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|condition| condition["type"] == kind)
}

fn is(object: &Value, kind: &str, status: &str) -> bool {
    condition(object, kind).is_some_and(|condition| condition["status"] == status)
}

#[tokio::test]
async fn in_one_namespace_a_cluster_issuer_is_neither_seen_nor_judged() {
    let told = Told { namespace: "shop", ..Told::default() };
    let world = World::new(told);
    let healthy =
        issuer("ClusterIssuer", "healthy", json!({ "ca": { "secretName": "elsewhere" } }));
    world.create(Kind::ClusterIssuer, healthy).await;
    let status = json!({ "status": { "conditions": [{
        "type": "Ready", "status": "True", "reason": "KeyPairVerified", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }] } });
    let at = ("", "healthy");
    let before = world.kube.patch_status(Kind::ClusterIssuer, at, &status).await.unwrap();
    let reference = json!({ "kind": "ClusterIssuer", "name": "healthy" });
    world.certificate("web", reference, json!({})).await;
    let at = (Kind::CertificateRequest, "web-1");
    let request = world.until(at, |request| condition(request, "Ready").is_some()).await;
    let ready = condition(&request, "Ready").unwrap();
    assert_eq!(ready["reason"], "Pending");
    assert!(ready["message"].as_str().unwrap().contains("\"healthy\" not found"), "{ready}");
    world.ca().await;
    let after = world.find((Kind::ClusterIssuer, "healthy")).await.unwrap();
    assert_eq!(before["metadata"]["resourceVersion"], after["metadata"]["resourceVersion"]);
}

#[tokio::test]
async fn requests_of_a_signer_that_is_off_are_approved_and_left_to_somebody_else() {
    let runs = Switches { ca: false, ..Switches::default() };
    let world = World::new(Told { runs, ..Told::default() });
    world.ca().await;
    world.certificate("web", json!({ "name": "ca" }), json!({})).await;
    let at = (Kind::CertificateRequest, "web-1");
    world.until(at, |request| is(request, "Approved", "True")).await;
    world.settled().await;
    let request = world.find(at).await.unwrap();
    assert!(condition(&request, "Ready").is_none(), "{request}");
    let certificate = world.find((Kind::Certificate, "web")).await.unwrap();
    let key = certificate["status"]["nextPrivateKeySecretName"].as_str().unwrap_or_default();
    assert!(world.find((Kind::Secret, key)).await.is_some(), "its key survives a restart: {key:?}");
}

#[tokio::test]
async fn a_machine_that_is_off_leaves_its_objects_alone() {
    let runs = Switches { ingress_shim: false, ..Switches::default() };
    let world = World::new(Told { runs, ..Told::default() });
    let ingress = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": { "name": "web", "annotations": { "cert-manager.io/issuer": "ca" } },
        "spec": {
            "tls": [{ "hosts": ["web.example.test"], "secretName": "web-tls" }],
            "defaultBackend": { "service": { "name": "web", "port": { "number": 80 } } },
        },
    });
    world.create(Kind::Ingress, ingress).await;
    world.settled().await;
    assert_eq!(world.find((Kind::Certificate, "web-tls")).await, None);

    let runs = Switches { certificates: false, issuers: false, ..Switches::default() };
    let world = World::new(Told { runs, ..Told::default() });
    world.issuer("root", json!({ "selfSigned": {} })).await;
    world.certificate("web", json!({ "name": "root" }), json!({})).await;
    let cluster = issuer("ClusterIssuer", "root", json!({ "selfSigned": {} }));
    world.create(Kind::ClusterIssuer, cluster).await;
    world.until((Kind::ClusterIssuer, "root"), |found| is(found, "Ready", "True")).await;
    for at in [(Kind::Certificate, "web"), (Kind::Issuer, "root")] {
        let found = world.find(at).await.unwrap();
        assert!(condition(&found, "Ready").is_none(), "{found}");
    }
}

#[tokio::test]
async fn a_gate_that_is_off_refuses_its_field_by_name_and_leaves_others_alone() {
    let world = World::new(Told { gates: "NameConstraints=false", ..Told::default() });
    world.issuer("root", json!({ "selfSigned": {} })).await;
    let constraints = json!({ "permitted": { "dnsDomains": ["example.test"] } });
    let more = json!({ "isCA": true, "nameConstraints": constraints });
    world.certificate("ca", json!({ "name": "root" }), more).await;
    let at = (Kind::Certificate, "ca");
    let refused = world.until(at, |found| condition(found, "Issuing").is_some()).await;
    let issuing = condition(&refused, "Issuing").unwrap();
    assert_eq!((&issuing["status"], &issuing["reason"]), (&json!("False"), &json!("InvalidSpec")));
    let message = issuing["message"].as_str().unwrap();
    assert!(message.contains("spec.nameConstraints"), "{message}");
    assert!(message.contains("feature gate NameConstraints"), "{message}");
    world.settled().await;
}

#[tokio::test]
async fn requests_carry_basic_constraints_if_the_gate_says_so() {
    for (gates, expected) in
        [("UseCertificateRequestBasicConstraints=true", Some(false)), ("", None)]
    {
        let world = World::new(Told { gates, ..Told::default() });
        world.settled().await;
        let request = world.find((Kind::CertificateRequest, "canary-1")).await.unwrap();
        let pem = crate::edge::decoded(&json!({ "data": request["spec"] }), "request").unwrap();
        let csr = CsrInfo::parse(&pem, &Limits::default()).unwrap();
        assert_eq!(csr.is_ca(), expected, "{gates:?}");
    }
}

#[tokio::test]
async fn a_signature_counts_for_the_controller_of_its_issuers_type() {
    let (_sender, samples) = tokio_watch::channel(Arc::default());
    let (recorder, metrics) = Metrics::build(samples).unwrap();
    let _guard = ::metrics::set_default_local_recorder(&recorder);
    let world = World::new(Told::default());
    world.ca().await;
    world.certificate("web", json!({ "name": "ca" }), json!({})).await;
    world.until((Kind::Certificate, "web"), |found| is(found, "Ready", "True")).await;
    let bytes = metrics.render(jiff::Timestamp::now()).collect::<Vec<_>>().concat();
    let text = String::from_utf8(bytes).unwrap();
    for signer in ["ca", "selfsigned"] {
        let name = format!("controller=\"certificaterequests-issuer-{signer}\"}} ");
        assert!(text.contains(&name), "{name} is not in\n{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_stops_within_one_bound_also_while_writes_hang() {
    let service = service();
    let kube = Kube::new(kube::Client::new(service.clone(), "default"));
    let root = issuer("Issuer", "root", json!({ "selfSigned": {} }));
    kube.create(Kind::Issuer, "shop", &root, "test").await.unwrap();
    let hanging = tower::service_fn(move |request: http::Request<kube::client::Body>| {
        let service = service.clone();
        async move {
            match request.method() {
                &http::Method::GET => tower::ServiceExt::oneshot(service, request).await,
                _ => std::future::pending().await,
            }
        }
    });
    let running = operate(kube::Client::new(hanging, "default"), &Told::default());
    running.turn.clone().wait_for(|turn| turn.queues.0 > 0).await.unwrap();
    let since = Instant::now();
    running.stop().await;
    let took = since.elapsed();
    assert!(took < LAST_WORDS + Duration::from_secs(1), "{took:?}");
}
