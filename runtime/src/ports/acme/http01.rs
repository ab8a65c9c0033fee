//! Routes to our responder: an Ingress or an HTTPRoute in the Challenge's namespace, owned by the
//! Challenge, that leads to the namespace's gate. By choice, and where that is seen by nobody, to a
//! Pod ([`pod`]).

mod pod;
mod replicas;

pub use pod::SolverPods;
pub(super) use replicas::Replicas;

use super::super::{Ports, owner_reference};
use super::controller_uid;
use super::fault::{Fault, Halt};
use super::gate::{Gate, PORT};
use super::solve::solver;
use crate::http01::path;
use crate::kube_api::{HTTP_ROUTES, Resource, resource};
use everleaf_api::names;
use everleaf_api::types::http01::{
    AcmeSolverHttp01, Http01GatewayHttpRoute, Http01Ingress, TemplateMeta,
};
use everleaf_engine::digest_of;
use everleaf_nodes::facts::Class;
use everleaf_nodes::{Effect, Kind};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What the names of objects begin with, as with cert-manager.
pub(super) const PREFIX: &str = "cm-acme-http-solver-";
const INGRESSES: Resource = resource(Kind::Ingress);

const ALLOW_FROM: &str = "nginx.ingress.kubernetes.io/whitelist-source-range";
const INGRESS_CLASS: &str = "kubernetes.io/ingress.class";

/// What a route is for.
struct Way<'a> {
    effect: &'a Effect,
    /// The name of the Ingress or HTTPRoute that is made.
    name: String,
    /// The Service that it leads to.
    service: String,
    /// The name or address that is proved.
    host: &'a str,
    token: &'a str,
    labels: BTreeMap<String, String>,
    exact: bool,
}

impl Way<'_> {
    fn metadata(&self, name: &str) -> Value {
        json!({
            "name": name,
            "namespace": self.effect.subject.namespace,
            "labels": self.labels,
            "ownerReferences": [owner_reference(self.effect)],
        })
    }

    /// The host of a rule; none for an address, for which rules have no form.
    fn rule_host(&self) -> Option<&str> {
        self.host.parse::<IpAddr>().is_err().then_some(self.host)
    }

    fn ingress_path(&self) -> Value {
        json!({
            "path": path(self.token),
            "pathType": if self.exact { "Exact" } else { "ImplementationSpecific" },
            "backend": { "service": { "name": self.service, "port": { "number": PORT } } },
        })
    }

    fn ingress_rule(&self) -> Value {
        let mut rule = json!({ "http": { "paths": [self.ingress_path()] } });
        if let Some(host) = self.rule_host() {
            rule["host"] = json!(host);
        }
        rule
    }

    fn ingress(&self, config: &Http01Ingress) -> Value {
        let none = TemplateMeta::default();
        let template = config.ingress_template.as_ref().and_then(|one| one.metadata.as_ref());
        let TemplateMeta { annotations: extra, labels } = template.unwrap_or(&none);
        let mut annotations = BTreeMap::new();
        if !extra.keys().any(|key| key.ends_with("/whitelist-source-range")) {
            annotations.insert(ALLOW_FROM.to_owned(), "0.0.0.0/0,::/0".to_owned());
        }
        if let Some(class) = config.class.as_ref().filter(|class| !class.is_empty()) {
            annotations.insert(INGRESS_CLASS.to_owned(), class.clone());
        }
        annotations.extend(extra.clone());
        let mut metadata = self.metadata(&self.name);
        metadata["annotations"] = json!(annotations);
        merge(&mut metadata["labels"], labels);
        let mut spec = json!({ "rules": [self.ingress_rule()] });
        if let Some(class) = config.ingress_class_name.as_ref().filter(|class| !class.is_empty()) {
            spec["ingressClassName"] = json!(class);
        }
        json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": metadata,
            "spec": spec,
        })
    }

    fn route(&self, config: &Http01GatewayHttpRoute) -> Value {
        let mut metadata = self.metadata(&self.name);
        merge(&mut metadata["labels"], &config.labels);
        let mut spec = json!({
            "parentRefs": config.parent_refs,
            "rules": [{
                "matches": [{ "path": { "type": "Exact", "value": path(self.token) } }],
                "backendRefs": [{
                    "group": "", "kind": "Service", "name": self.service, "port": PORT, "weight": 1,
                }],
            }],
        });
        if let Some(host) = self.rule_host() {
            spec["hostnames"] = json!([host]);
        }
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": metadata,
            "spec": spec,
        })
    }

    /// Puts our path first into a rule of the host of somebody's Ingress. Whether that changed it.
    fn enter(&self, ingress: &mut Value) -> bool {
        let ours = self.ingress_path();
        let host = self.rule_host();
        let rules = array(&mut ingress["spec"]["rules"]);
        let Some(rule) = rules.iter_mut().find(|rule| rule["host"].as_str() == host) else {
            rules.push(self.ingress_rule());
            return true;
        };
        let paths = array(&mut rule["http"]["paths"]);
        if paths.contains(&ours) {
            return false;
        }
        paths.retain(|one| one["path"] != ours["path"]);
        paths.insert(0, ours);
        true
    }

    /// Takes our path out again, and rules that are left empty by that. Whether that changed it.
    fn leave(&self, ingress: &mut Value) -> bool {
        let is_ours = |one: &Value| {
            one["path"] == json!(path(self.token))
                && one
                    .pointer("/backend/service/name")
                    .and_then(Value::as_str)
                    .is_some_and(|name| name.starts_with(PREFIX))
        };
        let mut changed = false;
        let rules = array(&mut ingress["spec"]["rules"]);
        rules.retain_mut(|rule| {
            let Some(paths) = rule.pointer_mut("/http/paths").and_then(Value::as_array_mut) else {
                return true;
            };
            let before = paths.len();
            paths.retain(|one| !is_ours(one));
            changed |= paths.len() < before;
            paths.len() == before || !paths.is_empty()
        });
        changed
    }
}

fn array(value: &mut Value) -> &mut Vec<Value> {
    if !value.is_array() {
        *value = json!([]);
    }
    value.as_array_mut().expect("it was made one")
}

fn merge(labels: &mut Value, more: &BTreeMap<String, String>) {
    for (key, value) in more {
        labels[key] = json!(value);
    }
}

/// Adler-32 (RFC 1950, section 8.2): what cert-manager puts names and tokens into labels with.
fn adler32(text: &str) -> u32 {
    let step = |(a, b): (u32, u32), byte: u8| {
        let a = (a + u32::from(byte)) % 65_521;
        (a, (b + a) % 65_521)
    };
    let (a, b) = text.bytes().fold((1, 0), step);
    b << 16 | a
}

/// The labels of everything that is made for HTTP-01.
pub(super) fn labels_of_solvers(extra: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut labels = extra.clone();
    labels.insert(names::HTTP01_SOLVER.to_owned(), "true".to_owned());
    labels
}

fn labels(host: &str, token: &str, extra: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut labels = labels_of_solvers(extra);
    labels.insert(names::HTTP_DOMAIN.to_owned(), adler32(host).to_string());
    labels.insert(names::HTTP_TOKEN.to_owned(), adler32(token).to_string());
    labels
}

fn config(text: &str) -> Result<AcmeSolverHttp01, Halt> {
    let missing = || Fault::new(Class::User, "spec.solver has no http01").into();
    solver(text)?.http01.ok_or_else(missing)
}

/// The gate that a solver's routes lead to.
fn gate_of(config: &AcmeSolverHttp01, effect: &Effect, extra: &BTreeMap<String, String>) -> Gate {
    Gate::new(&effect.subject.namespace, service_type(config), extra)
}

/// What became of a route that nobody saw.
pub(super) struct Moved {
    /// Whether it leads elsewhere now.
    pub changed: bool,
    /// What is wrong with the Pod that should answer, if something is.
    pub note: Option<String>,
}

impl Ports {
    fn way<'a>(
        &self,
        effect: &'a Effect,
        (host, token): (&'a str, &'a str),
        config: &AcmeSolverHttp01,
    ) -> (Way<'a>, Gate) {
        let options = self.acme.options();
        // One name for each life of the Challenge: what another left behind is not taken for ours.
        let digest = digest_of(&(&effect.subject.name, &effect.base.uid));
        let gate = gate_of(config, effect, &options.extra_labels);
        let way = Way {
            effect,
            name: format!("{PREFIX}{digest}"),
            service: gate.name.clone(),
            host,
            token,
            labels: labels(host, token, &options.extra_labels),
            exact: options.exact_path,
        };
        (way, gate)
    }

    /// Leads requests for the token to this process and its replicas, or to a Pod.
    pub(super) async fn route(
        &self,
        effect: &Effect,
        at: (&str, &str),
        (key, text): (&str, &str),
    ) -> Result<(), Halt> {
        let config = config(text)?;
        let (way, gate) = self.way(effect, at, &config);
        if self.by_pod(&config) {
            return self.route_to_pod(&way, key, &config).await.map(drop);
        }
        if self.replicas().await.is_empty() {
            let detail = "it is not known at which address this process answers HTTP-01 \
                          challenges; set --acme-http01-responder-ip";
            return Err(Fault::new(Class::User, detail).into());
        }
        self.open_gate(effect, &gate).await?;
        self.lead(&way, &config).await
    }

    /// Makes the Ingress or the HTTPRoute to a way's Service.
    async fn lead(&self, way: &Way<'_>, config: &AcmeSolverHttp01) -> Result<(), Halt> {
        match (&config.ingress, &config.gateway_http_route) {
            (Some(ingress), _) => match named(ingress) {
                Some(name) => self.edit(way, name, false).await,
                None => self.ensure(way.effect, INGRESSES, &way.ingress(ingress)).await,
            },
            (None, Some(gateway)) => {
                self.ensure(way.effect, HTTP_ROUTES, &way.route(gateway)).await
            }
            (None, None) => {
                Err(Fault::new(Class::User, "the HTTP-01 solver names neither ingress nor gateway")
                    .into())
            }
        }
    }

    /// Takes back what [`lead`](Self::lead) made.
    async fn unlead(&self, way: &Way<'_>, config: &AcmeSolverHttp01) -> Result<(), Halt> {
        match (&config.ingress, &config.gateway_http_route) {
            (Some(ingress), _) => match named(ingress) {
                Some(name) => self.edit(way, name, true).await,
                None => self.remove(way.effect, INGRESSES, &way.name).await,
            },
            (None, Some(_)) => self.remove(way.effect, HTTP_ROUTES, &way.name).await,
            (None, None) => Ok(()),
        }
    }

    /// Leads requests here if they are led elsewhere, or nowhere; to a Pod if nobody saw the answer
    /// so far.
    pub(super) async fn move_route(
        &self,
        effect: &Effect,
        at: (&str, &str),
        (key, text, fall_back): (&str, &str, bool),
    ) -> Result<Moved, Halt> {
        let config = config(text)?;
        let (way, gate) = self.way(effect, at, &config);
        if self.by_pod(&config) || (fall_back && self.acme.options().solver_pods.is_some()) {
            let note = self.route_to_pod(&way, key, &config).await?;
            return Ok(Moved { changed: false, note });
        }
        let changed = self.mend_gate(effect, &gate).await?;
        if changed {
            self.route(effect, at, (key, text)).await?;
        }
        let why = "no Pod answers instead, for --acme-http01-solver-image is not set";
        Ok(Moved { changed, note: fall_back.then(|| why.to_owned()) })
    }

    /// Removes what [`route`](Self::route) made, the road before the house.
    pub(super) async fn unroute(
        &self,
        effect: &Effect,
        at: (&str, &str),
        (text, fall_back): (&str, bool),
    ) -> Result<(), Halt> {
        let config = config(text)?;
        let (way, gate) = self.way(effect, at, &config);
        if self.acme.options().solver_pods.is_some() && (fall_back || self.by_pod(&config)) {
            self.remove_pod(&way, &config).await?;
        }
        self.unlead(&way, &config).await?;
        self.close_gate(effect, &gate).await
    }

    /// Creates an object; one of that name that the Challenge owns is it.
    async fn ensure(&self, effect: &Effect, of: Resource, object: &Value) -> Result<(), Halt> {
        let namespace = &effect.subject.namespace;
        let manager = super::super::events::MANAGER;
        match self.kube.create_at(of, namespace, object, manager).await {
            Ok(made) => {
                let meta = crate::edge::meta_of(&made);
                self.acme.made_route(&effect.base.uid, (of, &meta.name), &meta.uid);
                return Ok(());
            }
            Err(error) if error.is_taken() => {}
            Err(error) => return Err(self.unsolved(&error)),
        }
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let found = self.kube.get_at(of, (namespace, name)).await;
        let found = found.map_err(|error| self.unsolved(&error))?;
        if controller_uid(&found).as_deref() == Some(&*effect.base.uid) {
            return Ok(());
        }
        let detail = format!("{} {name} exists and is not the Challenge's", of.kind);
        Err(Fault::new(Class::User, detail).into())
    }

    /// Deletes the object of that name, if the Challenge owns it.
    async fn remove(&self, effect: &Effect, of: Resource, name: &str) -> Result<(), Halt> {
        let at = (&*effect.subject.namespace, name);
        let uid = match self.acme.route_made(&effect.base.uid, of, name) {
            Some(uid) => uid,
            None => match self.kube.get_at(of, at).await {
                Ok(found) if controller_uid(&found).as_deref() == Some(&*effect.base.uid) => {
                    crate::edge::meta_of(&found).uid
                }
                Ok(_) => return Ok(()),
                Err(error) if error.is_absent() => return Ok(()),
                Err(error) => return Err(self.unsolved(&error)),
            },
        };
        match self.kube.delete_at(of, at, &uid).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_absent() => Ok(()),
            Err(error) => Err(self.unsolved(&error)),
        }
    }

    /// Puts our path into somebody's Ingress, or takes it out; one that is gone needs no clean-up.
    async fn edit(&self, way: &Way<'_>, name: &str, leaving: bool) -> Result<(), Halt> {
        let at = (&*way.effect.subject.namespace, name);
        let mut found = match self.kube.get_at(INGRESSES, at).await {
            Ok(found) => found,
            Err(error) if error.is_absent() && leaving => return Ok(()),
            Err(error) if error.is_absent() => {
                let detail = format!("the Ingress {name:?} that the solver names does not exist");
                return Err(Fault::new(Class::User, detail).into());
            }
            Err(error) => return Err(self.unsolved(&error)),
        };
        let changed = if leaving { way.leave(&mut found) } else { way.enter(&mut found) };
        if !changed {
            return Ok(());
        }
        if let Some(spec) = found["spec"].as_object_mut() {
            drop_empty(spec, "rules");
        }
        let written = self.kube.replace_at(INGRESSES, at, &found).await;
        written.map(|_| ()).map_err(|error| self.unsolved(&error))
    }
}

fn service_type(config: &AcmeSolverHttp01) -> Option<&str> {
    let of_ingress = config.ingress.as_ref().and_then(|one| one.service_type.as_deref());
    let gateway = config.gateway_http_route.as_ref();
    of_ingress.or_else(|| gateway.and_then(|one| one.service_type.as_deref()))
}

fn named(ingress: &Http01Ingress) -> Option<&str> {
    ingress.name.as_deref().filter(|name| !name.is_empty())
}

fn drop_empty(map: &mut Map<String, Value>, field: &str) {
    if map.get(field).and_then(Value::as_array).is_some_and(Vec::is_empty) {
        map.remove(field);
    }
}

#[cfg(test)]
mod tests;
