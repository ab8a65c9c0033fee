//! DNS-01 by a webhook solver: an extension API server by cert-manager's contract
//! (`webhook.acme.cert-manager.io/v1alpha1`), asked through the API server.

use bytes::Bytes;
use everleaf_e2e::acme::{Ca, Dns, swept};
use everleaf_e2e::{
    Authority, Handler, Reply, Scope, Server, World, eventually, has_condition, scenario, text,
};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{Method, Request};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The solver's name below its group.
const SOLVER: &str = "test-solver";

/// What happens to the solver's answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    /// It says no.
    Refusing,
    /// It does as it is told, and says so.
    Willing,
    /// It does as it is told, and nobody hears of it.
    Mute,
}

/// The solver: it writes into the test bed's DNS server.
struct Solver {
    group: String,
    mood: Mutex<Mood>,
    asked: Mutex<Vec<Value>>,
}

impl Solver {
    fn new(group: &str) -> Arc<Self> {
        let (mood, asked) = (Mutex::new(Mood::Refusing), Mutex::default());
        Arc::new(Self { group: group.to_owned(), mood, asked })
    }

    fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// The requests so far that asked for this.
    fn asked(&self, action: &str) -> Vec<Value> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|request| request["action"] == action).cloned().collect()
    }

    fn answer(self: Arc<Self>, request: Request<Bytes>) -> BoxFuture<'static, Reply> {
        let resources = format!("/apis/{}/v1alpha1", self.group);
        let path = request.uri().path().to_owned();
        if request.method() == Method::POST && path == format!("{resources}/{SOLVER}") {
            return self.solve(request).boxed();
        }
        let reply = if path == resources { self.resources() } else { not_found() };
        futures::future::ready(reply).boxed()
    }

    /// What the API server asks to see whether the group is served.
    fn resources(&self) -> Reply {
        let resource = json!({
            "name": SOLVER,
            "singularName": "",
            "namespaced": false,
            "kind": "ChallengePayload",
            "group": "webhook.acme.cert-manager.io",
            "version": "v1alpha1",
            "verbs": ["create"],
        });
        let list = json!({
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": format!("{}/v1alpha1", self.group),
            "resources": [resource],
        });
        Reply::new(200, "application/json", list.to_string())
    }

    async fn solve(self: Arc<Self>, request: Request<Bytes>) -> Reply {
        let mut payload: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let request = payload["request"].clone();
        self.asked.lock().unwrap().push(request.clone());
        let mood = *self.mood.lock().unwrap();
        let mut response = json!({ "uid": request["uid"], "success": mood != Mood::Refusing });
        if mood == Mood::Refusing {
            let status =
                json!({ "message": "the zone is locked", "reason": "Locked", "code": 423 });
            response["status"] = status;
        } else {
            apply(&request);
        }
        if mood == Mood::Mute {
            tokio::time::sleep(Duration::from_secs(120)).await;
        }
        payload["response"] = response;
        payload.as_object_mut().unwrap().remove("request");
        Reply::new(200, "application/json", payload.to_string())
    }
}

fn apply(request: &Value) {
    let dns = Dns::of_test_bed().expect("the test bed's DNS");
    let (name, value) = (text(request, "/resolvedFQDN"), text(request, "/key"));
    match text(request, "/action") {
        "Present" => dns.add(name, value),
        _ => dns.remove(name, value),
    }
}

fn not_found() -> Reply {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404,
    });
    Reply::new(404, "application/json", status.to_string())
}

/// Registers the solver's server as an extension API server, and waits until it is served.
async fn register(world: &World, authority: &Authority, solver: &Solver, server: &Server) {
    use base64::Engine as _;
    let bundle = base64::engine::general_purpose::STANDARD.encode(authority.pem());
    let port = server.address().port();
    world
        .create(json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": { "name": "solver" },
            "spec": { "ports": [{ "name": "https", "port": 443, "targetPort": port }] },
        }))
        .await;
    world
        .create(json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": "solver", "labels": { "kubernetes.io/service-name": "solver" },
            },
            "addressType": "IPv4",
            "endpoints": [{ "addresses": [server.address().ip().to_string()] }],
            "ports": [{ "name": "https", "port": port }],
        }))
        .await;
    let name = format!("v1alpha1.{}", solver.group);
    world
        .create(json!({
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": { "name": name },
            "spec": {
                "group": solver.group,
                "version": "v1alpha1",
                "groupPriorityMinimum": 1000,
                "versionPriority": 15,
                "caBundle": bundle,
                "service": { "name": "solver", "namespace": world.namespace, "port": 443 },
            },
        }))
        .await;
    let served = |service: &Value| has_condition(service, "Available", "True");
    world.until(("APIService", &name), "is served", served).await;
}

#[test]
fn a_webhook_solver_is_asked_by_cert_managers_contract_and_cleans_up_after_a_crash_too() {
    let (Some(ca), Some(dns)) = (Ca::pebble("acme-webhook"), Dns::open("acme-webhook")) else {
        return;
    };
    scenario("acme-webhook", Scope::Namespace, async |world| {
        let authority = Authority::new("solver");
        let solver = Solver::new(&format!("{}.example.test", world.namespace));
        let handler: Handler = {
            let solver = Arc::clone(&solver);
            Arc::new(move |request| Arc::clone(&solver).answer(request))
        };
        let shown = authority.server(&[&format!("solver.{}.svc", world.namespace)]);
        let server = Server::start(&ca.host, Some(shown), handler);
        register(world, &authority, &solver, &server).await;
        let operator = ca.operator(world, &[]);
        let config = json!({ "project": "a project", "depth": { "of": ["the", "config"] } });
        let webhook =
            json!({ "groupName": solver.group, "solverName": SOLVER, "config": config.clone() });
        ca.serve(world, &json!([{ "dns01": { "webhook": webhook } }]), json!({})).await;

        // What the solver refuses is told, and tried again.
        let name = format!("{}.other.test", world.namespace);
        let record = format!("_acme-challenge.{name}");
        let spec = json!({ "dnsNames": [name], "issuerRef": { "name": "acme" } });
        world.certificate("hooked", spec.clone()).await;
        told(world, "the zone is locked").await;
        solver.set(Mood::Willing);
        world.revision("hooked", 1).await;
        swept(world).await;
        assert!(dns.txt(&record).is_empty());
        assert_by_contract(world, &solver, (&name, &config));

        // Killed after the record was written, and before that could be noted.
        solver.set(Mood::Mute);
        let name = format!("again-{}.other.test", world.namespace);
        let record = format!("_acme-challenge.{name}");
        let spec = json!({ "dnsNames": [name], "issuerRef": { "name": "acme" } });
        world.certificate("again", spec).await;
        eventually("the record is there", 60, async || {
            if dns.txt(&record).is_empty() { Err("it is not".to_owned()) } else { Ok(()) }
        })
        .await;
        operator.kill();
        let challenges = world.list("Challenge").await;
        assert!(challenges.iter().all(|one| one["status"]["presented"] != true), "{challenges:?}");
        solver.set(Mood::Willing);
        world.delete("Certificate", "again").await;
        let _operator = ca.operator(world, &[]);
        swept(world).await;
        assert!(dns.txt(&record).is_empty(), "{record} is left");
        // Before its server ends: the API server answers for every group that it lists.
        world.delete("APIService", &format!("v1alpha1.{}", solver.group)).await;
    });
}

/// The last requests say what cert-manager's contract has them say.
fn assert_by_contract(world: &World, solver: &Solver, (name, config): (&str, &Value)) {
    let asked = solver.asked("Present").pop().expect("it was asked");
    assert_eq!(asked["type"], "dns-01");
    assert_eq!((text(&asked, "/dnsName"), &asked["config"]), (name, config));
    assert_eq!(text(&asked, "/resolvedFQDN"), format!("_acme-challenge.{name}."));
    assert_eq!(text(&asked, "/resolvedZone"), "other.test.");
    assert_eq!(text(&asked, "/resourceNamespace"), world.namespace);
    assert_eq!(asked["allowAmbientCredentials"], false);
    assert!(!text(&asked, "/uid").is_empty());
    let removed = solver.asked("CleanUp").pop().expect("it was asked");
    assert_eq!(removed["key"], asked["key"]);
}

async fn told(world: &World, what: &str) {
    eventually("the Challenge says what the solver said", 60, async || {
        let all = world.list("Challenge").await;
        let said: Vec<&str> = all.iter().map(|one| text(one, "/status/reason")).collect();
        if said.iter().any(|said| said.contains(what)) { Ok(()) } else { Err(said.join("; ")) }
    })
    .await;
}
