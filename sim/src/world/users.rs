//! What people and their tools do to the cluster.

use super::config::{HOUR, MINUTE};
use super::event::Actor;
use super::project::{self, text};
use super::setup::NAMESPACES;
use super::{Action, World};
use crate::apiserver::{Request, rfc3339};
use everleaf_engine::ObjectKey;
use everleaf_nodes::facts::Kind;
use serde_json::{Value, json};
use std::sync::Arc;

/// Lifetimes that users ask for, in hours.
const DURATIONS: [i64; 8] = [2160, 2160, 2160, 720, 720, 240, 168, 48];

impl World {
    pub(super) fn schedule_act(&mut self) {
        let mean = self.config.act_every_ms.max(1000);
        let delay = self.users.between(mean / 10, mean * 2);
        self.after(delay, Action::UserActs);
    }

    pub(super) fn user_acts(&mut self) {
        // Users stop some time before the faults do, so that what they did last meets faults too.
        if !self.faulty {
            return;
        }
        self.schedule_act();
        let on = self.config.habits;
        let acts: [(bool, fn(&mut Self)); 9] = [
            (true, Self::create_some_certificate),
            (on.edit, Self::edit_some),
            (on.delete_secret, Self::delete_some_secret),
            (on.delete_request, Self::delete_some_request),
            (on.renew, Self::renew_some),
            (on.share_secret, Self::share_some_secret),
            (on.ingress, Self::change_some_ingress),
            (on.rotate_ca, Self::rotate_some_ca),
            (on.delete_certificate, Self::delete_some_certificate),
        ];
        let on: Vec<fn(&mut Self)> = acts.into_iter().filter(|a| a.0).map(|a| a.1).collect();
        if let Some(act) = self.users.pick(&on).copied() {
            self.counts.acts += 1;
            act(self);
        }
    }

    fn some(&mut self, kind: Kind) -> Option<Arc<Value>> {
        let all = self.all(kind);
        self.users.pick(&all).cloned()
    }

    pub(super) fn create_some_certificate(&mut self) {
        let crowd = self.config.certificates.max(1) * 2;
        if self.all(Kind::Certificate).len() >= crowd {
            return;
        }
        self.names += 1;
        let name = format!("c{}", self.names);
        let namespace = *self.users.pick(&NAMESPACES).unwrap_or(&"app");
        let acme = self.config.acme > 0 && self.users.chance(self.config.acme);
        let spec = if acme { self.some_acme_spec(&name) } else { self.some_spec(&name) };
        self.create_certificate_as_user(namespace, &name, spec);
    }

    fn some_spec(&mut self, name: &str) -> Value {
        let mut spec = json!({ "secretName": format!("{name}-tls"), "issuerRef": self.some_issuer(),
            "dnsNames": self.some_names(name) });
        self.wish_for_times(&mut spec);
        if self.users.chance(300) {
            spec["commonName"] = json!(format!("{name}.example.com"));
        }
        if self.users.chance(500) {
            let policy = if self.users.chance(300) { "Never" } else { "Always" };
            let size = *self.users.pick(&[256, 384]).unwrap_or(&256);
            spec["privateKey"] =
                json!({ "algorithm": "ECDSA", "size": size, "rotationPolicy": policy });
        }
        if self.users.chance(100) {
            spec["revisionHistoryLimit"] = json!(self.users.between(1, 3));
        }
        if self.users.chance(50) {
            spec["isCA"] = json!(true);
        }
        spec
    }

    /// What an ACME CA is asked for: of its own names, never a CA, for the CA's own time.
    fn some_acme_spec(&mut self, name: &str) -> Value {
        let names = self.some_acme_names();
        let mut spec = self.some_spec(name);
        if let Some(spec) = spec.as_object_mut() {
            spec.remove("isCA");
            spec.remove("commonName");
        }
        if self.users.chance(300) && !names[0].starts_with('*') {
            spec["commonName"] = json!(*names[0]);
        }
        spec["dnsNames"] = json!(names);
        spec["issuerRef"] = self.some_acme_issuer();
        spec
    }

    fn wish_for_times(&mut self, spec: &mut Value) {
        let hours = *self.users.pick(&DURATIONS).unwrap_or(&2160);
        if hours != 2160 || self.users.chance(500) {
            spec["duration"] = json!(format!("{hours}h"));
        }
        match self.users.below(4) {
            0 => spec["renewBefore"] = json!(format!("{}h", self.users.between(1, hours - 1))),
            1 => spec["renewBeforePercentage"] = json!(self.users.between(5, 90)),
            _ => {}
        }
        if self.config.faulty_ms <= 3 * 24 * HOUR && self.users.chance(100) {
            spec["duration"] = json!("1h");
            if let Some(spec) = spec.as_object_mut() {
                spec.remove("renewBefore");
                spec.remove("renewBeforePercentage");
            }
        }
    }

    fn some_issuer(&mut self) -> Value {
        if self.config.foreign_only {
            return Self::foreign_issuer();
        }
        match self.users.below(10) {
            0..=4 => json!({ "name": "ca" }),
            5 | 6 => json!({ "name": "cluster-ca", "kind": "ClusterIssuer" }),
            7 => json!({ "name": "self", "kind": "Issuer", "group": "cert-manager.io" }),
            _ => Self::foreign_issuer(),
        }
    }

    fn some_names(&mut self, name: &str) -> Value {
        let count = self.users.between(1, 3);
        (0..count).map(|n| json!(format!("{n}.{name}.example.com"))).collect()
    }

    fn merge(&mut self, actor: Actor, kind: Kind, object: &Value, patch: Value) {
        let key = project::identity(kind, object).key;
        let request = Request::merge(project::resource(kind), &key.namespace, &key.name, patch);
        self.call(actor, None, request.from_agent("kubectl"));
    }

    fn edit_some(&mut self) {
        let Some(found) = self.some(Kind::Certificate) else { return };
        let name = text(&found, "/metadata/name").to_owned();
        let acme = super::acme::is_acme_name(text(&found, "/spec/dnsNames/0"));
        let spec = match self.users.below(6) {
            0 | 1 if acme => json!({ "dnsNames": self.some_acme_names(), "commonName": null }),
            2 if acme => json!({ "issuerRef": self.some_acme_issuer() }),
            0 | 1 => json!({ "dnsNames": self.some_names(&format!("new-{name}")) }),
            2 => json!({ "issuerRef": self.some_issuer() }),
            3 => json!({ "privateKey": { "algorithm": "ECDSA", "size": 384 } }),
            4 => {
                let mut times = json!({});
                self.wish_for_times(&mut times);
                if let Some(times) = times.as_object_mut() {
                    for field in ["renewBefore", "renewBeforePercentage"] {
                        times.entry(field).or_insert(Value::Null);
                    }
                }
                times
            }
            _ => json!({ "privateKey": { "rotationPolicy": "Always" } }),
        };
        // An issuerRef is replaced as a whole: what the new one leaves out is taken away.
        let mut spec = spec;
        if let Some(issuer) = spec.get_mut("issuerRef").and_then(Value::as_object_mut) {
            for field in ["kind", "group"] {
                issuer.entry(field).or_insert(Value::Null);
            }
        }
        self.merge(Actor::User, Kind::Certificate, &found, json!({ "spec": spec }));
    }

    fn delete_some(&mut self, kind: Kind) {
        if let Some(found) = self.some(kind) {
            let key = project::identity(kind, &found).key;
            self.delete_as(Actor::User, &key);
        }
    }

    fn delete_some_secret(&mut self) {
        let Some(found) = self.some(Kind::Secret) else { return };
        let key = project::identity(Kind::Secret, &found).key;
        if !key.name.ends_with("-pair") {
            self.delete_as(Actor::User, &key);
        }
    }

    fn delete_some_request(&mut self) {
        self.delete_some(Kind::CertificateRequest);
    }

    fn delete_some_certificate(&mut self) {
        self.delete_some(Kind::Certificate);
    }

    /// `cmctl renew`: the condition is added by a status update.
    fn renew_some(&mut self) {
        if let Some(found) = self.some(Kind::Certificate) {
            self.renew(&found);
        }
    }

    /// Sets `Issuing=True`, as cmctl does.
    pub fn renew(&mut self, certificate: &Value) {
        let mut new = certificate.clone();
        let mut conditions = new["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.retain(|condition| condition["type"] != "Issuing");
        conditions.push(json!({ "type": "Issuing", "status": "True",
            "reason": "ManuallyTriggered",
            "message": "Certificate re-issuance manually triggered",
            "lastTransitionTime": rfc3339(self.now),
            "observedGeneration": new["metadata"]["generation"] }));
        new["status"]["conditions"] = json!(conditions);
        let key = project::identity(Kind::Certificate, certificate).key;
        let resource = project::resource(Kind::Certificate);
        let request = Request::update(resource, &key.namespace, &key.name, new).on_status();
        self.call(Actor::User, None, request.from_agent("cmctl"));
    }

    fn share_some_secret(&mut self) {
        let all = self.all(Kind::Certificate);
        let (Some(one), Some(two)) = (self.users.pick(&all), self.users.pick(&all)) else { return };
        if text(one, "/metadata/namespace") == text(two, "/metadata/namespace") {
            let patch = json!({ "spec": { "secretName": two["spec"]["secretName"] } });
            let one = one.clone();
            self.merge(Actor::User, Kind::Certificate, &one, patch);
        }
    }

    fn change_some_ingress(&mut self) {
        let ingresses = self.all(Kind::Ingress);
        let known = self.users.pick(&ingresses).cloned().filter(|_| self.users.chance(600));
        if let Some(found) = known {
            let key = project::identity(Kind::Ingress, &found).key;
            if self.users.chance(200) {
                self.delete_as(Actor::User, &key);
                return;
            }
            let host = format!("v{}.{}.example.com", self.users.below(9), key.name);
            let tls = json!([{ "hosts": [host], "secretName": format!("{}-tls", key.name) }]);
            return self.merge(
                Actor::User,
                Kind::Ingress,
                &found,
                json!({ "spec": { "tls": tls } }),
            );
        }
        self.names += 1;
        let name = format!("i{}", self.names);
        let namespace = *self.users.pick(&NAMESPACES).unwrap_or(&"app");
        let object = json!({ "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": { "name": name, "namespace": namespace,
                "annotations": { "cert-manager.io/issuer": "ca" } },
            "spec": {
                "tls": [{ "hosts": [format!("{name}.example.com")],
                    "secretName": format!("{name}-tls") }],
                "rules": [{ "host": format!("{name}.example.com") }],
            } });
        let request = Request::create(project::resource(Kind::Ingress), namespace, object);
        self.call(Actor::User, None, request);
    }

    fn rotate_some_ca(&mut self) {
        let namespace = *self.users.pick(&NAMESPACES).unwrap_or(&"app");
        self.put_ca(namespace, "ca-pair", 5 * 365 * 24 * HOUR);
    }

    /// A controller that is not ours edits a Secret of ours.
    pub(super) fn meddle(&mut self) {
        let Some(found) = self.some(Kind::Secret) else { return };
        if text(&found, "/metadata/name").ends_with("-pair") {
            return;
        }
        let patch = match self.faults.below(5) {
            0 => json!({ "metadata": { "labels": { "controller.cert-manager.io/fao": null } } }),
            1 => json!({ "metadata": { "annotations": { "cert-manager.io/common-name": "x" } } }),
            2 => json!({ "metadata": { "annotations": { "example.com/theirs": "kept" } } }),
            3 => json!({ "data": { "theirs": "a2VwdA==" } }),
            _ => json!({ "data": { "tls.crt": "bm90IGEgY2VydGlmaWNhdGU=" } }),
        };
        self.merge(Actor::Meddler, Kind::Secret, &found, patch);
    }

    /// Something is deleted and comes back under the same name.
    pub(super) fn recreate_something(&mut self) {
        let kinds = [Kind::Certificate, Kind::Certificate, Kind::Secret, Kind::Issuer];
        let kind = *self.faults.pick(&kinds).unwrap_or(&Kind::Certificate);
        let Some(found) = self.some(kind) else { return };
        let key = project::identity(kind, &found).key;
        if self.delete_as(Actor::User, &key) {
            let delay = self.faults.between(1, 2 * MINUTE);
            let object = Box::new(Value::clone(&found));
            self.after(delay, Action::Recreate { kind, object });
        }
    }

    pub(super) fn recreate(&mut self, kind: Kind, mut object: Value) {
        let key = project::identity(kind, &object).key;
        if let Some(object) = object.as_object_mut() {
            object.remove("status");
        }
        let kept = ["name", "namespace", "labels", "annotations"];
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.retain(|field, _| kept.contains(&field.as_str()));
        }
        let request = Request::create(project::resource(kind), &key.namespace, object);
        self.call(Actor::User, None, request);
    }

    /// Deletes an object, as a user.
    pub fn delete_as_user(&mut self, key: &ObjectKey<Kind>) -> bool {
        self.delete_as(Actor::User, key)
    }

    /// Creates an object.
    pub fn create_as(&mut self, actor: Actor, resource: &str, namespace: &str, object: Value) {
        self.call(actor, None, Request::create(resource, namespace, object));
    }

    /// Merge-patches an object, as a user.
    pub fn patch_as_user(&mut self, key: &ObjectKey<Kind>, patch: Value) {
        let request = Request::merge(project::resource(key.kind), &key.namespace, &key.name, patch);
        self.call(Actor::User, None, request.from_agent("kubectl"));
    }
}
