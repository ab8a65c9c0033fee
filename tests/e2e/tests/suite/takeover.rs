//! Taking over what cert-manager left behind, as it was recorded.

use everleaf_e2e::{
    Scope, World, condition, data, has_condition, name_of, rfc3339, scenario, skip, text, uid_of,
    variable,
};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;

/// Kinds in the order in which owners come before what they own.
const ORDER: [&str; 8] = [
    "ClusterIssuer",
    "Issuer",
    "Ingress",
    "Certificate",
    "Secret",
    "CertificateRequest",
    "Order",
    "Challenge",
];

/// Secrets that were issued carry this annotation.
const ISSUED: &str = "cert-manager.io/certificate-name";

/// What was recorded, owners first; `None`, said aloud, if it is not there.
fn recorded() -> Option<Vec<Value>> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/recordings/cert-manager");
    let folder = variable("EVERLEAF_RECORDINGS").unwrap_or_else(|| beside.to_owned());
    let file = format!("{folder}/left-behind.json");
    let Ok(text) = fs::read_to_string(&file) else {
        skip("takeover", "set EVERLEAF_RECORDINGS to the folder with left-behind.json");
        return None;
    };
    let list: Value = serde_json::from_str(&text).expect("left-behind.json is JSON");
    let mut objects = list["items"].as_array().expect("a list").clone();
    objects.sort_by_key(|object| ORDER.iter().position(|kind| object["kind"] == *kind));
    Some(objects)
}

/// Puts the objects into the scenario's namespace, with status, under their new owners.
async fn restore(world: &World, objects: &[Value]) {
    let mut uids = BTreeMap::new();
    let failed_at = rfc3339(-60);
    for object in objects {
        let (kind, name) = (text(object, "/kind"), name_of(object));
        if kind == "ClusterIssuer" && world.find(kind, name).await.is_some() {
            continue;
        }
        let mut copy = object.clone();
        copy.as_object_mut().expect("an object").remove("status");
        let meta = &object["metadata"];
        copy["metadata"] = json!({ "name": meta["name"] });
        for field in ["labels", "annotations", "finalizers"] {
            copy["metadata"][field] = meta[field].clone();
        }
        let owners = meta["ownerReferences"].as_array().into_iter().flatten().cloned();
        let owners = owners.map(|mut owner| {
            let new: &String = &uids[text(&owner, "/uid")];
            owner["uid"] = new.as_str().into();
            owner
        });
        copy["metadata"]["ownerReferences"] = owners.collect();
        let issued = kind == "Secret" && !meta["annotations"][ISSUED].is_null();
        let created = match issued {
            true => apply(world, copy).await,
            false => world.create(copy).await,
        };
        uids.insert(uid_of(object).to_owned(), uid_of(&created).to_owned());
        if let Some(status) = object.get("status").filter(|_| kind != "Ingress") {
            let status = freshened(name, status, &failed_at);
            world.patch_status((kind, name), "cert-manager", status).await;
        }
    }
}

/// Writes an issued Secret as cert-manager did, so that what is in it is its field manager's.
async fn apply(world: &World, object: Value) -> Value {
    let api = world.cluster.api("Secret", &world.namespace);
    let params = PatchParams::apply("cert-manager-certificates-issuing").force();
    let applied = api.patch(name_of(&object), &params, &Patch::Apply(&object)).await;
    serde_json::to_value(applied.expect("it is applied")).expect("it is JSON")
}

/// What failed, failed at this time: the recording is older than its back-off.
fn freshened(name: &str, status: &Value, failed_at: &str) -> Value {
    let mut status = status.clone();
    if name.starts_with("blocked") {
        for field in ["lastFailureTime", "failureTime"] {
            if status.get(field).is_some() {
                status[field] = failed_at.into();
            }
        }
    }
    status
}

/// Whether it was Ready, and is not due for renewal yet.
fn is_good(certificate: &Value) -> bool {
    let good = has_condition(certificate, "Ready", "True");
    good && text(certificate, "/status/renewalTime") > rfc3339(600).as_str()
}

#[test]
fn what_cert_manager_left_behind_is_taken_over_without_a_new_issuance() {
    let Some(objects) = variable("KUBECONFIG").and_then(|_| recorded()) else {
        return scenario("takeover", Scope::Namespace, async |_| {});
    };
    scenario("takeover", Scope::Namespace, async |world| {
        restore(world, &objects).await;
        let certificates = world.list("Certificate").await;
        let good: Vec<&Value> = certificates.iter().filter(|one| is_good(one)).collect();
        if good.is_empty() {
            skip("takeover", "every recorded certificate is due for renewal by now: record anew");
        }
        let requests = world.list("CertificateRequest").await;
        let _operator = world.operator(&[]);
        waits(world).await;
        goes_on(world).await;
        world.certificate("canary", json!({ "issuerRef": { "name": "missing" } })).await;
        world.revision("canary", 1).await;
        for was in &good {
            assert_untouched(world, &objects, was).await;
        }
        for was in requests.iter().filter(|request| name_of(request) != "no-issuer-1") {
            assert_kept(world, was, &good).await;
        }
    });
}

/// `twin`, `external` and `blocked` wait, each for a reason that it is told.
async fn waits(world: &World) {
    let told = |object: &Value| {
        let ready = condition(object, "Ready");
        ready.is_some_and(|ready| text(ready, "/message").contains("plain"))
    };
    world.until(("Certificate", "twin"), "is told who owns the Secret", told).await;
    let approved = |object: &Value| has_condition(object, "Approved", "True");
    let external = world.until(("CertificateRequest", "external-1"), "is approved", approved).await;
    assert!(text(&external, "/status/certificate").is_empty());
    let blocked = world.get("Certificate", "blocked").await;
    assert_eq!(blocked["status"]["failedIssuanceAttempts"], 1, "{}", blocked["status"]);
    let requests = world.requests_of("blocked").await;
    let names: Vec<&str> = requests.iter().map(name_of).collect();
    assert!(names.iter().all(|name| *name == "blocked-1"), "{names:?}");
    for secret in ["external-tls", "blocked-tls", "no-issuer-tls"] {
        assert!(world.find("Secret", secret).await.is_none(), "{secret}");
    }
}

/// `no-issuer` is issued, with the key and the request that were left, once its issuer is there.
async fn goes_on(world: &World) {
    let key = world.list("Secret").await;
    let key = key.iter().find(|secret| name_of(secret).starts_with("no-issuer-"));
    let key = data(key.expect("the next private key was left"), "tls.key");
    let uid = world.get("CertificateRequest", "no-issuer-1").await["metadata"]["uid"].clone();
    let issuer = json!({
        "apiVersion": "cert-manager.io/v1",
        "kind": "Issuer",
        "metadata": { "name": "missing" },
        "spec": { "ca": { "secretName": "shop-root" } },
    });
    world.create(issuer).await;
    world.revision("no-issuer", 1).await;
    let request = world.get("CertificateRequest", "no-issuer-1").await;
    assert_eq!(request["metadata"]["uid"], uid, "the pending request was used");
    let secret = world.get("Secret", "no-issuer-tls").await;
    let (left, stored) = (key, data(&secret, "tls.key"));
    assert_eq!(world.openssl.public_key(&left), world.openssl.public_key(&stored));
    world.openssl.verify(&data(&secret, "ca.crt"), &data(&secret, "tls.crt"));
    let secrets = world.list("Secret").await;
    let keys: Vec<&str> =
        secrets.iter().map(name_of).filter(|name| name.starts_with("no-issuer-")).collect();
    assert_eq!(keys, ["no-issuer-tls"], "the next private key is removed");
}

async fn assert_untouched(world: &World, objects: &[Value], was: &Value) {
    let name = name_of(was);
    let is = world.get("Certificate", name).await;
    assert_eq!(is["status"]["revision"], was["status"]["revision"], "{name} was issued again");
    assert!(has_condition(&is, "Ready", "True"), "{name}: {}", is["status"]);
    let secret_name = text(was, "/spec/secretName");
    let recorded = objects.iter().find(|o| o["kind"] == "Secret" && name_of(o) == secret_name);
    let secret = world.get("Secret", secret_name).await;
    assert_eq!(Some(&secret["data"]), recorded.map(|recorded| &recorded["data"]), "{name}");
}

async fn assert_kept(world: &World, was: &Value, good: &[&Value]) {
    let owner = text(was, "/metadata/ownerReferences/0/name");
    if good.iter().any(|certificate| name_of(certificate) == owner) {
        let is = world.find("CertificateRequest", name_of(was)).await;
        assert_eq!(is.map(|is| is["status"].clone()), Some(was["status"].clone()), "{owner}");
    }
}
