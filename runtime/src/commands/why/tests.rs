//! Against the modelled API server, as `kube` speaks to it; the running operator's own engine
//! says what is true.

mod recorded;
mod stories;

use super::*;
use crate::operator::{self, Running, Setup};
use clap::FromArgMatches as _;
use everleaf_api::names::CopiedAnnotations;
use everleaf_engine::Config;
use everleaf_pki::Limits;
use everleaf_sim::apiserver::{self, ApiServer, Ask, Fault, Request, Verb};
use everleaf_sim::http::ApiService;
use serde_json::{Value, json};
use std::sync::Arc;

pub(in crate::commands) struct World {
    pub(in crate::commands) service: ApiService,
    pub(in crate::commands) running: Running,
}

fn projector() -> Projector {
    Projector::new(CopiedAnnotations::default(), Limits::default())
}

impl World {
    fn new() -> Self {
        Self::with(Options::default())
    }

    fn with(options: Options) -> Self {
        Self::recorded(options, None)
    }

    /// The same, with a journal in a directory.
    pub(in crate::commands) fn recorded(options: Options, record: Option<PathBuf>) -> Self {
        let crds = everleaf_api::crds().iter().map(|(_, yaml)| (*yaml).to_owned()).collect();
        let namespaces = ["demo", "kube-system"].map(str::to_owned).to_vec();
        let now = crate::ports::now().as_millis();
        let config = apiserver::Config { crds, namespaces, now, ..Default::default() };
        let server = ApiServer::new(config).unwrap();
        let service = ApiService::collecting(server, || crate::ports::now().as_millis());
        let setup = Setup {
            client: kube::Client::new(service.clone(), "demo"),
            pace: None,
            options,
            config: Config::default(),
            projector: projector(),
            namespace: String::new(),
            record,
            acme: crate::ports::AcmeOptions::default(),
            fence: Arc::new(|| true),
        };
        let leads = crate::lease::unelected().leadership();
        let running = operator::start(setup, leads).unwrap();
        Self { service, running }
    }

    fn apply(&self, resource: &str, object: Value) {
        let text = |path| object.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
        let request = Request::apply(resource, namespace, name, "test", object.clone());
        let answer = self.service.with(|server, now| server.handle(now, &request));
        assert!(answer.is_success(), "{}", answer.body);
    }

    pub(in crate::commands) fn own(
        &self,
        resource: &str,
        kind: &str,
        metadata: Value,
        spec: Value,
    ) {
        let object = json!({"apiVersion": "cert-manager.io/v1", "kind": kind,
            "metadata": metadata, "spec": spec});
        self.apply(&format!("{resource}.cert-manager.io"), object);
    }

    pub(in crate::commands) fn certificate(&self, namespace: &str, name: &str, mut spec: Value) {
        spec["secretName"] = json!(name);
        spec["privateKey"] = json!({"algorithm": "ECDSA"});
        self.own(
            "certificates",
            "Certificate",
            json!({"name": name, "namespace": namespace}),
            spec,
        );
    }

    fn ingress(&self, annotations: Value) {
        let object = json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"name": "web", "namespace": "demo", "annotations": annotations},
            "spec": {
                "tls": [{"hosts": ["a.example.test"], "secretName": "web"}],
                "defaultBackend": {"service": {"name": "web", "port": {"number": 80}}},
            },
        });
        self.apply("ingresses.networking.k8s.io", object);
    }

    /// Runs until the operator has an object in a state; the engine's time then.
    pub(in crate::commands) async fn until(
        &self,
        key: &ObjectKey<Kind>,
        state: &'static str,
    ) -> Timestamp {
        let mut turn = self.running.turn.clone();
        loop {
            let key = key.clone();
            let reached = self.running.ask(move |engine| {
                let status = engine.status(&key)?;
                let machine = &engine.program().plan().machines[status.machine];
                (machine.states[status.state].name == state).then(|| engine.now())
            });
            if let Some(at) = reached.await.expect("the driver runs") {
                return at;
            }
            turn.changed().await.expect("the driver runs");
        }
    }

    /// Runs until the operator has seen a condition of a Certificate whose message says that.
    async fn until_told(&self, key: &ObjectKey<Kind>, condition: &'static str, says: &'static str) {
        let mut turn = self.running.turn.clone();
        loop {
            let key = key.clone();
            let told = self.running.ask(move |engine| {
                let facts = engine.world().get(&key)?.facts.certificate()?;
                let mut all = facts.status.conditions.iter();
                Some(all.any(|one| *one.kind == *condition && one.message.contains(says)))
            });
            if told.await.expect("the driver runs") == Some(true) {
                return;
            }
            turn.changed().await.expect("the driver runs");
        }
    }

    /// From now on, requests of that verb for that resource are refused.
    fn forbid(&self, forbidden: &'static [(Verb, &'static str)]) {
        let refuse = move |_: i64, ask: Ask<'_>| match ask {
            Ask::Request(asked) => {
                let is = |(verb, resource): &(Verb, &str)| {
                    asked.verb == *verb && asked.resource == *resource
                };
                if forbidden.iter().any(is) { Fault::Forbidden } else { Fault::None }
            }
            _ => Fault::None,
        };
        self.service.with(|server, _| server.set_faults(Some(Box::new(refuse))));
    }

    async fn why(&self, key: &ObjectKey<Kind>, options: Options, now: Timestamp) -> Told {
        let kube = Kube::new(kube::Client::new(self.service.clone(), "demo"));
        let with = || (projector(), options.clone());
        let (projector, options) = with();
        let text = explain(&kube, (&projector, options), (key, "text"), now).await;
        let (projector, options) = with();
        let json = explain(&kube, (&projector, options), (key, "json"), now).await;
        let (text, json) = (text.expect("it is there"), json.expect("it is there"));
        let json = serde_json::from_str(&json.text).expect("it is JSON");
        Told { text: text.text, unknown: text.unknown, json }
    }

    /// A CA in kube-system that ends before its leaves would, a ClusterIssuer that signs with it,
    /// and a Certificate that it issued.
    pub(in crate::commands) async fn issued(&self) -> ObjectKey<Kind> {
        let by = |name: &str| json!({"name": name, "kind": "ClusterIssuer"});
        self.own(
            "clusterissuers",
            "ClusterIssuer",
            json!({"name": "self"}),
            json!({"selfSigned": {}}),
        );
        let ca =
            json!({"isCA": true, "commonName": "CA", "duration": "24h", "issuerRef": by("self")});
        self.certificate("kube-system", "ca", ca);
        let spec = json!({"ca": {"secretName": "ca"}});
        self.own("clusterissuers", "ClusterIssuer", json!({"name": "ca"}), spec);
        let web = json!({"dnsNames": ["a.example.test"], "issuerRef": by("ca")});
        self.certificate("demo", "web", web);
        web_certificate()
    }
}

struct Told {
    text: String,
    unknown: Option<String>,
    json: Value,
}

impl Told {
    fn state(&self) -> &str {
        self.json["state"].as_str().unwrap_or_default()
    }
}

fn web_certificate() -> ObjectKey<Kind> {
    ObjectKey::new(Kind::Certificate, "demo", "web")
}

#[tokio::test]
async fn a_certificate_whose_issuer_is_not_ready_awaits_it_and_its_request_is_not_called_spare() {
    let world = World::new();
    let spec = json!({"ca": {"secretName": "missing"}});
    world.own("issuers", "Issuer", json!({"name": "ca", "namespace": "demo"}), spec);
    let web = json!({"dnsNames": ["a.example.test"], "issuerRef": {"name": "ca"}});
    world.certificate("demo", "web", web);
    let key = web_certificate();
    let at = world.until(&key, "awaiting").await;
    let told = world.why(&key, Options::default(), at).await;
    assert_eq!(told.state(), "awaiting", "{}", told.text);
    let assumed = "taken for granted:\n  the operator holds the private key of request \"web-1\"";
    assert!(told.text.contains(assumed), "{}", told.text);
}

#[tokio::test]
async fn a_certificate_that_its_ca_clamped_is_fresh_though_the_ca_is_in_another_namespace() {
    let world = World::new();
    let key = world.issued().await;
    let at = world.until(&key, "fresh").await;
    let told = world.why(&key, Options::default(), at).await;
    assert_eq!(told.state(), "fresh", "{}", told.text);
    let issuer = ObjectKey::new(Kind::ClusterIssuer, "", "ca");
    let told = world.why(&issuer, Options::default(), at).await;
    assert_eq!(told.state(), "ready", "{}", told.text);
}

#[tokio::test]
async fn an_order_is_explained_and_what_it_shares_with_others_has_to_be_seen() {
    let world = World::new();
    let order = json!({
        "apiVersion": "acme.cert-manager.io/v1",
        "kind": "Order",
        "metadata": {"name": "web-1", "namespace": "demo"},
        "spec": {
            "request": "Y3Ny",
            "dnsNames": ["a.example.test"],
            "issuerRef": {"name": "gone"},
        },
    });
    world.apply("orders.acme.cert-manager.io", order);
    let key = ObjectKey::new(Kind::Order, "demo", "web-1");
    let at = world.until(&key, "unserved").await;
    let told = world.why(&key, Options::default(), at).await;
    assert_eq!((told.state(), &told.json["machine"]), ("unserved", &json!("order")));
    assert_eq!(told.json["attempt"], Value::Null, "nothing was asked of a CA: {}", told.text);
    world.forbid(&[(Verb::List, "orders.acme.cert-manager.io")]);
    let told = world.why(&key, Options::default(), at).await;
    assert!(told.unknown.is_some_and(|why| why.contains("`list orders`")), "{}", told.text);
}

#[tokio::test]
async fn without_the_right_to_list_secrets_no_state_is_made_up() {
    let world = World::new();
    let key = world.issued().await;
    let at = world.until(&key, "fresh").await;
    world.forbid(&[(Verb::List, "secrets")]);
    let told = world.why(&key, Options::default(), at).await;
    assert_eq!(
        told.unknown.as_deref(),
        Some(
            "where Certificate/demo/web is cannot be told without `list secrets` in namespace \
             \"demo\""
        )
    );
    assert_eq!(told.json["state"], Value::Null);
    assert!(told.text.contains("Ready=True"), "{}", told.text);
    assert!(!told.text.contains("keying"), "{}", told.text);
}

#[tokio::test]
async fn rights_to_what_an_object_does_not_rest_on_are_not_needed() {
    let world = World::new();
    world.own(
        "issuers",
        "Issuer",
        json!({"name": "self", "namespace": "demo"}),
        json!({"selfSigned": {}}),
    );
    let web = json!({"dnsNames": ["a.example.test"], "issuerRef": {"name": "self"}});
    world.certificate("demo", "web", web);
    let key = web_certificate();
    let at = world.until(&key, "fresh").await;
    world.forbid(&[
        (Verb::List, "clusterissuers.cert-manager.io"),
        (Verb::Get, "clusterissuers.cert-manager.io"),
        (Verb::List, "issuers.cert-manager.io"),
        (Verb::List, "ingresses.networking.k8s.io"),
    ]);
    let told = world.why(&key, Options::default(), at).await;
    assert_eq!((told.state(), &told.unknown), ("fresh", &None), "{}", told.text);
}

#[tokio::test]
async fn what_is_wrong_with_an_ingress_is_printed_though_it_was_said_already() {
    let world = World::new();
    world.ingress(json!({"cert-manager.io/issuer": "a", "cert-manager.io/cluster-issuer": "b"}));
    let key = ObjectKey::new(Kind::Ingress, "demo", "web");
    let at = world.until(&key, "invalid").await;
    let told = world.why(&key, Options::default(), at).await;
    assert_eq!(told.state(), "invalid", "{}", told.text);
    let problem = "both issuer and cluster-issuer may not be set";
    assert!(told.text.contains(problem), "{}", told.text);
    assert!(told.json["problems"].to_string().contains(problem), "{}", told.json);
}

fn parsed(line: &[&str]) -> WhyArgs {
    parsed_of("ingress/web", line)
}

fn parsed_of(object: &str, line: &[&str]) -> WhyArgs {
    let command = WhyArgs::augment_args(clap::Command::new("why"));
    command.clone().debug_assert();
    let matches = command.try_get_matches_from([&["why", object], line].concat());
    WhyArgs::from_arg_matches(&matches.expect("they are flags")).expect("they have values")
}

#[tokio::test]
async fn the_operators_own_flags_decide_here_as_they_do_there() {
    let world = World::new();
    world.ingress(json!({"example.com/auto": "true"}));
    let key = ObjectKey::new(Kind::Ingress, "demo", "web");
    let now = crate::ports::now();
    let told = world.why(&key, Options::default(), now).await;
    assert_eq!(told.state(), "ignored");
    let args = parsed(&[
        "-n",
        "demo",
        "--auto-certificate-annotations=example.com/auto",
        "--default-issuer-name=ca",
        "--leader-elect=false",
        "-v=4",
        "-o",
        "json",
    ]);
    assert_eq!((args.operator.namespace(), &*args.output), (Some("demo"), "json"));
    let options = crate::commands::operator::options(&args.operator.checked().unwrap());
    let told = world.why(&key, options, now).await;
    assert_eq!(told.state(), "drifted", "{}", told.text);
    let unapproved = parsed(&["--controllers=*,-certificaterequests-approver"]);
    let unapproved = crate::commands::operator::options(&unapproved.operator.checked().unwrap());
    assert!(!unapproved.approve);
}

#[tokio::test]
async fn an_object_that_is_not_there_and_one_that_may_not_be_read_are_told_apart() {
    let world = World::new();
    let kube = Kube::new(kube::Client::new(world.service.clone(), "demo"));
    let key = web_certificate();
    let now = crate::ports::now();
    let blind = async || {
        let asked = (&key, "text");
        let read = explain(&kube, (&projector(), Options::default()), asked, now).await;
        read.err().expect("there is nothing to read").told_of("https://x")
    };
    assert!(blind().await.starts_with("there is no Certificate/demo/web: "));
    world.forbid(&[(Verb::Get, "certificates.cert-manager.io")]);
    assert!(blind().await.starts_with("you may not read Certificate/demo/web: "));
}

#[tokio::test]
async fn an_api_server_that_does_not_answer_is_told_once_with_its_address() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{free}");
    let path = std::env::temp_dir().join(format!("everleaf-why-{}", std::process::id()));
    let text = format!(
        "{{apiVersion: v1, kind: Config, current-context: x, \
         clusters: [{{name: c, cluster: {{server: '{url}'}}}}], \
         contexts: [{{name: x, context: {{cluster: c, user: u}}}}], \
         users: [{{name: u, user: {{}}}}]}}"
    );
    std::fs::write(&path, text).unwrap();
    let args = parsed(&["--kubeconfig", &path.display().to_string()]);
    let failed = run(&args).await.expect_err("nobody listens there");
    std::fs::remove_file(&path).unwrap();
    let told = failed.to_string();
    assert_eq!(failed.exit_code(), 1);
    assert!(told.starts_with(&format!("the API server at {url}")), "{told}");
    assert!(told.contains("Connection refused") && !told.contains('\n'), "{told}");
}
