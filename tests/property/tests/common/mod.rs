//! What a cluster comes to in the end.

use everleaf_nodes::facts::Kind;
use everleaf_sim::world::World;
use serde_json::{Value, json};
use std::sync::Arc;

fn conditions(object: &Value) -> Vec<Value> {
    let all = object["status"]["conditions"].as_array();
    let one = |c: &Value| json!([c["type"], c["status"], c["reason"], c["observedGeneration"]]);
    let mut all: Vec<Value> = all.into_iter().flatten().map(one).collect();
    all.sort_by_key(Value::to_string);
    all
}

fn certificate(world: &World, certificate: &Arc<Value>) -> Value {
    let metadata = &certificate["metadata"];
    let namespace = metadata["namespace"].as_str().unwrap_or_default();
    let secret = certificate["spec"]["secretName"].as_str().unwrap_or_default();
    let stored = world.server.peek("secrets", namespace, secret);
    let stored = stored.map(|secret| {
        let fields = secret["data"].as_object().map(|data| data.keys().cloned());
        let fields: Vec<String> = fields.into_iter().flatten().collect();
        let metadata = &secret["metadata"];
        json!([fields, metadata["annotations"], metadata["labels"], metadata["ownerReferences"]])
    });
    json!({ "name": metadata["name"], "conditions": conditions(certificate),
        "revision": certificate["status"]["revision"], "secret": stored })
}

fn name_and_conditions(object: &Arc<Value>) -> Value {
    let metadata = &object["metadata"];
    json!([metadata["namespace"], metadata["name"], conditions(object)])
}

/// The cluster without what may differ between two runs: versions, UIDs, times, the bytes of keys
/// and certificates, and attempts.
pub fn outcome(world: &World) -> Vec<Value> {
    let certificates = world.all(Kind::Certificate);
    let certificates = certificates.iter().map(|c| certificate(world, c));
    let requests = world.all(Kind::CertificateRequest);
    let secrets = world.all(Kind::Secret);
    let names = secrets.iter().filter(|s| s["type"] == "kubernetes.io/tls");
    let requests = requests.iter().map(name_and_conditions);
    let out = certificates.chain(requests).chain(names.map(name_and_conditions));
    out.chain([json!(secrets.len())]).collect()
}
