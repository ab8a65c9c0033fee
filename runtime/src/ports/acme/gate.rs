//! The gates to our responder: in each namespace with routes a Service without selector and its
//! EndpointSlices, made for the first route and removed after the last.
//!
//! Who uses a gate is remembered, so that most come and go without a request. What is remembered
//! is a hint only: before a gate is removed, the namespace's Challenges are looked at.

use super::super::Ports;
use super::fault::{Fault, Halt};
use super::http01::labels_of_solvers;
use crate::edge::meta_of;
use crate::kube_api::{ENDPOINT_SLICES, Resource, SERVICES, Selection};
use everleaf_api::names;
use everleaf_engine::{Uid, digest_of};
use everleaf_nodes::budget::LABEL;
use everleaf_nodes::facts::{Class, Method};
use everleaf_nodes::{Effect, Kind};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// The port of the Services.
pub(super) const PORT: u16 = 80;
/// The value of [`LABEL`] on what is ours.
const COMPONENT: &str = "acme-http01";
pub(super) const SERVICE_NAME: &str = "kubernetes.io/service-name";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
/// So many Challenges of a namespace are looked at; of more, one will need the gate.
const CHALLENGES_READ: u32 = 500;

/// What is known of a gate.
#[derive(Default)]
struct Known {
    /// Whether it was made, or found, by this process.
    stands: bool,
    users: BTreeSet<Uid>,
    /// Challenges that left it, though their finalizers may still be seen: two that leave at once
    /// would each take the other for one who stays.
    left: BTreeSet<Uid>,
}

/// By namespace and name.
type Place = (Arc<str>, String);

/// The gates that this process knows of. Bounded by the Challenges that are worked on.
#[derive(Default)]
pub(super) struct Gates(Mutex<BTreeMap<Place, Arc<tokio::sync::Mutex<Known>>>>);

impl Gates {
    /// One gate; whoever holds it alone makes or removes it.
    fn at(&self, place: &Place) -> Arc<tokio::sync::Mutex<Known>> {
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        gates.entry(place.clone()).or_default().clone()
    }

    /// The gates of a namespace.
    fn of(&self, namespace: &str) -> Vec<Arc<tokio::sync::Mutex<Known>>> {
        let gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let near = gates.iter().filter(|((place, _), _)| **place == *namespace);
        near.map(|(_, gate)| gate.clone()).collect()
    }

    /// Forgets a gate that is gone, unless somebody waits for it.
    fn forget(&self, place: &Place) {
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One is in the map, one is held by whoever asks.
        if gates.get(place).is_some_and(|gate| Arc::strong_count(gate) <= 2) {
            gates.remove(place);
        }
    }
}

/// A gate as it should be.
pub(super) struct Gate {
    namespace: Arc<str>,
    kind: String,
    /// The name of its Service.
    pub name: String,
    labels: BTreeMap<String, String>,
}

impl Gate {
    /// The gate of a namespace whose Services have that type; NodePort, as with cert-manager, if
    /// none is named.
    pub fn new(namespace: &Arc<str>, kind: Option<&str>, extra: &BTreeMap<String, String>) -> Self {
        let kind = kind.filter(|kind| !kind.is_empty()).unwrap_or("NodePort").to_owned();
        let mut labels = labels_of_solvers(extra);
        labels.insert(LABEL.to_owned(), COMPONENT.to_owned());
        let name = format!("{}{}", super::http01::PREFIX, digest_of(kind.as_str()));
        Self { namespace: namespace.clone(), kind, name, labels }
    }

    fn place(&self) -> Place {
        (self.namespace.clone(), self.name.clone())
    }

    fn service(&self, target: u16) -> Value {
        let metadata = json!({
            "name": self.name, "namespace": self.namespace, "labels": self.labels,
        });
        service(metadata, Some(&self.kind), target)
    }

    /// Slices of the addresses, one for each family; they go with their Service.
    fn slices(&self, service_uid: &str, ips: &[IpAddr], port: u16) -> Vec<Value> {
        let families: [(&str, &str, fn(&IpAddr) -> bool); 2] =
            [("IPv4", "v4", IpAddr::is_ipv4), ("IPv6", "v6", IpAddr::is_ipv6)];
        let owner = json!({
            "apiVersion": "v1", "kind": "Service", "name": self.name, "uid": service_uid,
            "controller": true,
        });
        let slice = |(family, suffix, of): (&str, &str, fn(&IpAddr) -> bool)| {
            let ips: Vec<String> =
                ips.iter().filter(|ip| of(ip)).map(ToString::to_string).collect();
            let mut labels = self.labels.clone();
            labels.insert(SERVICE_NAME.to_owned(), self.name.clone());
            labels.insert(MANAGED_BY.to_owned(), "everleaf".to_owned());
            let ready = json!({ "ready": true, "serving": true });
            let endpoint = |ip: &String| json!({ "addresses": [ip], "conditions": ready });
            (!ips.is_empty()).then(|| {
                json!({
                    "apiVersion": "discovery.k8s.io/v1",
                    "kind": "EndpointSlice",
                    "metadata": {
                        "name": format!("{}-{suffix}", self.name),
                        "namespace": self.namespace,
                        "labels": labels,
                        "ownerReferences": [owner],
                    },
                    "addressType": family,
                    "endpoints": ips.iter().map(endpoint).collect::<Vec<_>>(),
                    "ports": [{ "name": "http", "port": port, "protocol": "TCP" }],
                })
            })
        };
        families.into_iter().filter_map(slice).collect()
    }
}

/// A Service of that type, NodePort, as with cert-manager, if none is named.
pub(super) fn service(mut metadata: Value, kind: Option<&str>, target: u16) -> Value {
    metadata["annotations"] = json!({ "auth.istio.io/8089": "NONE" });
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {
            "type": kind.filter(|kind| !kind.is_empty()).unwrap_or("NodePort"),
            "ports": [{ "name": "http", "port": PORT, "targetPort": target, "protocol": "TCP" }],
        },
    })
}

impl Ports {
    /// Makes the gate for a Challenge, if it does not stand yet.
    pub(super) async fn open_gate(&self, effect: &Effect, gate: &Gate) -> Result<(), Halt> {
        let known = self.acme.0.gates.at(&gate.place());
        let mut known = known.lock().await;
        known.users.insert(effect.base.uid.clone());
        known.left.remove(&effect.base.uid);
        if !known.stands {
            self.raise_gate(gate).await?;
            known.stands = true;
        }
        Ok(())
    }

    /// Looks whether the gate stands and leads here, and mends it. Whether that was needed.
    pub(super) async fn mend_gate(&self, effect: &Effect, gate: &Gate) -> Result<bool, Halt> {
        let known = self.acme.0.gates.at(&gate.place());
        let mut known = known.lock().await;
        known.users.insert(effect.base.uid.clone());
        known.left.remove(&effect.base.uid);
        known.stands = false;
        let mended = self.raise_gate(gate).await?;
        known.stands = true;
        Ok(mended)
    }

    /// Removes the gate if the Challenge was the last that needed it.
    pub(super) async fn close_gate(&self, effect: &Effect, gate: &Gate) -> Result<(), Halt> {
        let (place, uid) = (gate.place(), &effect.base.uid);
        let known = self.acme.0.gates.at(&place);
        let mut known = known.lock().await;
        known.users.remove(uid);
        known.left.insert(uid.clone());
        while known.left.len() > CHALLENGES_READ as usize {
            known.left.pop_first();
        }
        if known.users.is_empty() && !self.is_gate_needed(&gate.namespace, &known.left).await? {
            known.stands = false;
            known.left.clear();
            self.take_down(gate).await?;
            self.acme.0.gates.forget(&place);
        }
        Ok(())
    }

    /// The Challenge needs no gate any more, and what it presented stays for another, who does.
    pub(super) async fn leave_gates(&self, effect: &Effect) {
        for gate in self.acme.0.gates.of(&effect.subject.namespace) {
            gate.lock().await.users.remove(&effect.base.uid);
        }
    }

    /// Whether another open HTTP-01 Challenge is there than those that left.
    async fn is_gate_needed(
        &self,
        namespace: &Arc<str>,
        left: &BTreeSet<Uid>,
    ) -> Result<bool, Halt> {
        let selection = Selection { namespace: namespace.to_string(), ..Selection::default() };
        let page = self.kube.list(Kind::Challenge, &selection, (CHALLENGES_READ, "")).await;
        let page = page.map_err(|error| self.unsolved(&error))?;
        let needs = |challenge: &Value| {
            let meta = meta_of(challenge);
            let guarded = meta
                .finalizers
                .iter()
                .any(|name| *name == names::FINALIZER || *name == names::LEGACY_FINALIZER);
            let method = challenge.pointer("/spec/type").and_then(Value::as_str);
            !left.contains(meta.uid.as_str()) && guarded && method == Some(Method::Http01.text())
        };
        Ok(!page.next.is_empty() || page.items.iter().any(needs))
    }

    /// Sees to it that Service and slices are there. Whether something was missing or wrong.
    async fn raise_gate(&self, gate: &Gate) -> Result<bool, Halt> {
        let options = self.acme.options();
        let (service, made) = self.make(SERVICES, &gate.service(options.responder_port)).await?;
        let uid = meta_of(&service).uid;
        let mut changed = made;
        for slice in gate.slices(&uid, &self.replicas().await, options.responder_port) {
            let (mut found, made) = self.make(ENDPOINT_SLICES, &slice).await?;
            changed |= made;
            let differs = |field: &str| found[field] != slice[field];
            if addresses(&found) != addresses(&slice) || differs("ports") || owner_of(&found) != uid
            {
                for field in ["endpoints", "ports"] {
                    found[field] = slice[field].clone();
                }
                found["metadata"]["ownerReferences"] = slice["metadata"]["ownerReferences"].clone();
                let name = slice["metadata"]["name"].as_str().unwrap_or_default();
                let at = (&*gate.namespace, name);
                let written = self.kube.replace_at(ENDPOINT_SLICES, at, &found).await;
                written.map_err(|error| self.unsolved(&error))?;
                changed = true;
            }
        }
        Ok(changed)
    }

    /// Creates an object of a gate, or finds ours; whether it was created.
    async fn make(&self, of: Resource, wanted: &Value) -> Result<(Value, bool), Halt> {
        let text = |field: &str| wanted["metadata"][field].as_str().unwrap_or_default();
        let (namespace, name) = (text("namespace"), text("name"));
        let manager = super::super::events::MANAGER;
        match self.kube.create_at(of, namespace, wanted, manager).await {
            Ok(made) => return Ok((made, true)),
            Err(error) if error.is_taken() => {}
            Err(error) => return Err(self.unsolved(&error)),
        }
        let found = self.kube.get_at(of, (namespace, name)).await;
        let found = found.map_err(|error| self.unsolved(&error))?;
        let meta = meta_of(&found);
        if !is_ours(&found) {
            let detail = format!("{} {name} exists and is not ours", of.kind);
            return Err(Fault::new(Class::User, detail).into());
        }
        if meta.is_deleting() {
            let detail = format!("{} {name} is being deleted", of.kind);
            return Err(Fault::new(Class::Transient, detail).into());
        }
        Ok((found, false))
    }

    async fn take_down(&self, gate: &Gate) -> Result<(), Halt> {
        let at = (&*gate.namespace, &*gate.name);
        let found = match self.kube.get_at(SERVICES, at).await {
            Ok(found) => found,
            Err(error) if error.is_absent() => return Ok(()),
            Err(error) => return Err(self.unsolved(&error)),
        };
        if !is_ours(&found) {
            return Ok(());
        }
        match self.kube.delete_at(SERVICES, at, &meta_of(&found).uid).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_absent() => Ok(()),
            Err(error) => Err(self.unsolved(&error)),
        }
    }
}

fn is_ours(object: &Value) -> bool {
    meta_of(object).labels.get(LABEL).is_some_and(|value| value == COMPONENT)
}

fn owner_of(object: &Value) -> String {
    super::controller_uid(object).unwrap_or_default()
}

/// The addresses of a slice's endpoints.
fn addresses(slice: &Value) -> Vec<&str> {
    let endpoints = slice["endpoints"].as_array().into_iter().flatten();
    endpoints.filter_map(|endpoint| endpoint["addresses"][0].as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_has_its_slice_and_goes_with_the_service() {
        let gate = Gate::new(&"shop".into(), None, &BTreeMap::new());
        let ips = ["10.0.0.1", "2001:db8::1", "10.0.0.2"].map(|ip| ip.parse().unwrap());
        let slices = gate.slices("uid", &ips, 8089);
        let types: Vec<_> = slices.iter().map(|slice| slice["addressType"].clone()).collect();
        assert_eq!(types, ["IPv4", "IPv6"]);
        assert_eq!(addresses(&slices[0]), ["10.0.0.1", "10.0.0.2"]);
        assert_eq!(slices[0]["metadata"]["labels"][SERVICE_NAME], gate.name);
        assert_eq!(owner_of(&slices[1]), "uid");
        assert!(is_ours(&slices[0]) && is_ours(&gate.service(8089)));
    }

    #[test]
    fn namespaces_share_a_name_and_types_do_not() {
        let gate = |namespace: &str, kind| Gate::new(&namespace.into(), kind, &BTreeMap::new());
        assert_eq!(gate("a", None).name, gate("b", Some("NodePort")).name);
        assert_ne!(gate("a", None).name, gate("a", Some("ClusterIP")).name);
    }
}
