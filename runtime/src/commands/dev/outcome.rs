//! What came of the manifests: whether everything rests, and why something is not as it was
//! asked for.

use crate::commands::why;
use crate::edge::{Projector, meta_of, version};
use crate::kube_api::{Kube, Resource, resource};
use crate::operator::Running;
use everleaf_api::names::CopiedAnnotations;
use everleaf_engine::{Engine, ObjectKey, Timestamp, Wake};
use everleaf_nodes::{Everleaf, Kind, Options};
use everleaf_pki::Limits;
use everleaf_sim::apiserver::Selector;
use everleaf_sim::http::ApiService;
use serde_json::Value;
use std::sync::Arc;

/// What is to happen later than this is not waited for: longer than an issuer may come after
/// what names it.
const SOON_MS: i64 = 6_000;

const KINDS: [Kind; 8] = [
    Kind::Certificate,
    Kind::CertificateRequest,
    Kind::Issuer,
    Kind::ClusterIssuer,
    Kind::Ingress,
    Kind::Secret,
    Kind::Order,
    Kind::Challenge,
];

/// Those that say whether they are ready, or have Events to tell of it.
fn speaks(kind: &Kind) -> bool {
    !matches!(kind, Kind::Secret | Kind::Order | Kind::Challenge)
}

fn key_of(resource: Resource) -> String {
    match resource.api_version.split_once('/') {
        Some((group, _)) => format!("{}.{group}", resource.plural),
        None => resource.plural.to_owned(),
    }
}

/// The objects of a kind.
pub(super) fn objects(service: &ApiService, kind: Kind) -> Vec<Arc<Value>> {
    let resource = key_of(resource(kind));
    service.read(|server| server.objects(&resource, &Selector::all(None)))
}

fn key(kind: Kind, object: &Value) -> (ObjectKey<Kind>, u64) {
    let meta = meta_of(object);
    let key = ObjectKey::new(kind, meta.namespace.as_str(), meta.name.as_str());
    (key, version(&meta))
}

/// Whether the operator has seen everything that is there, does nothing, and will do nothing soon.
pub(super) async fn rests(service: &ApiService, running: &Running) -> bool {
    let all = KINDS
        .into_iter()
        .flat_map(|kind| objects(service, kind).into_iter().map(move |object| key(kind, &object)));
    let all: Vec<_> = all.collect();
    let now = crate::ports::now();
    running.ask(move |engine| engine_rests(engine, &all, now)).await.unwrap_or(true)
}

fn engine_rests(engine: &Engine<Everleaf>, all: &[(ObjectKey<Kind>, u64)], now: Timestamp) -> bool {
    let (in_flight, queued, _) = engine.queue_sizes();
    let idle = (in_flight, queued, engine.writes_awaited()) == (0, 0, 0);
    let seen = |(key, rv): &(ObjectKey<Kind>, u64)| {
        engine.world().get(key).is_some_and(|known| known.rv >= *rv)
    };
    let later = match engine.poll_wake() {
        Wake::Now => false,
        Wake::At(at) => at.since(now) > SOON_MS,
        Wake::OnlyWhenTold => true,
    };
    idle && later && engine.is_fully_synced() && all.iter().all(seen)
}

/// Whether an object of cert-manager's says that it is ready.
pub(super) fn is_ready(object: &Value) -> bool {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// Something that is not as it was asked for.
#[derive(Debug)]
pub(super) struct Trouble {
    key: ObjectKey<Kind>,
    /// Its state and conditions.
    text: String,
    /// Whether it alone is a reason to call the whole a failure: an old request is not.
    pub fails: bool,
}

/// Everything that is not as it was asked for.
pub(super) async fn troubles(
    service: &ApiService,
    running: &Running,
    client: kube::Client,
) -> Vec<Trouble> {
    let mut all = Vec::new();
    for kind in KINDS.into_iter().filter(speaks) {
        for object in objects(service, kind) {
            let (key, _) = key(kind, &object);
            let problems = match kind {
                Kind::Ingress => problems(client.clone(), &key).await,
                _ => Vec::new(),
            };
            let sound = if kind == Kind::Ingress { problems.is_empty() } else { is_ready(&object) };
            if sound {
                continue;
            }
            let asked = key.clone();
            let text = running.ask(move |engine| why::in_short(engine, &asked, &problems)).await;
            let text = text.flatten().unwrap_or_else(|| format!("{key}: not seen yet\n"));
            let child = kind == Kind::CertificateRequest && meta_of(&object).controller().is_some();
            all.push(Trouble { key, text, fails: !child });
        }
    }
    all
}

/// What the operator says of an Ingress in Events.
async fn problems(client: kube::Client, key: &ObjectKey<Kind>) -> Vec<String> {
    let projector = Projector::new(CopiedAnnotations::default(), Limits::default());
    let (kube, now) = (Kube::new(client), crate::ports::now());
    let sight = why::look(&kube, (&projector, Options::default()), key, now).await;
    sight.map(|sight| sight.problems).unwrap_or_default()
}

/// The troubles in lines, each with the Events about its object.
pub(super) fn told(service: &ApiService, troubles: &[Trouble]) -> String {
    let events = service.read(|server| server.objects("events", &Selector::all(None)));
    let mut text = String::new();
    for Trouble { key, text: head, .. } in troubles {
        text.push_str(head);
        for event in events.iter().filter(|event| is_about(event, key)) {
            let field = |name: &str| event[name].as_str().unwrap_or_default();
            let (kind, reason, message) = (field("type"), field("reason"), field("message"));
            text.push_str(&format!("  Event {kind} {reason}: {message}\n"));
        }
    }
    text.trim_end().to_owned()
}

fn is_about(event: &Value, key: &ObjectKey<Kind>) -> bool {
    let about = |field: &str| event["involvedObject"][field].as_str().unwrap_or_default();
    (about("kind"), about("namespace"), about("name"))
        == (key.kind.name(), &*key.namespace, &*key.name)
}
