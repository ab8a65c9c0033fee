//! A scenario's namespace, its operators, and the steps that most scenarios begin with.

use crate::operator::tail;
use crate::{Cluster, OpenSsl, Operator, Scope, condition, eventually, has_condition, name_of};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// How long an ordinary step may take, in seconds. Generous, for busy machines.
const STEP: u64 = 90;

/// One scenario's part of the cluster.
pub struct World {
    /// The whole cluster.
    pub cluster: Cluster,
    /// The scenario's own namespace.
    pub namespace: String,
    /// A folder for the scenario's files.
    pub folder: PathBuf,
    /// `openssl`, with files in that folder.
    pub openssl: OpenSsl,
    scope: Scope,
    logs: RefCell<Vec<PathBuf>>,
    canaries: Cell<u32>,
    outside: RefCell<Vec<(String, String)>>,
}

impl World {
    pub(crate) async fn new(cluster: Cluster, name: &str, scope: Scope) -> Self {
        let namespace = format!("e2e-{name}-{}", suffix());
        let folder = std::env::temp_dir().join(&namespace);
        let openssl = OpenSsl::new(folder.join("openssl"));
        let object = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": { "name": namespace, "labels": { "everleaf.dev/e2e": name } },
        });
        cluster.create(&object).await.expect("a namespace of our own");
        let (logs, canaries, outside) = Default::default();
        Self { cluster, namespace, folder, openssl, scope, logs, canaries, outside }
    }

    /// Starts an operator with the suite's flags and these after them.
    pub fn operator(&self, flags: &[&str]) -> Operator {
        self.operator_with(flags, &[])
    }

    /// The same with these variables in its environment.
    pub fn operator_with(&self, flags: &[&str], environment: &[(&str, &str)]) -> Operator {
        let ours = ["leader-elect=false", "metrics-listen-address=0"];
        let ours = ours.into_iter().chain(["internal-healthz-listen-address=0", "v=4"]);
        let mut all: Vec<String> = ours.map(|flag| format!("--{flag}")).collect();
        let namespace = &self.namespace;
        all.push(format!("--cluster-resource-namespace={namespace}"));
        all.push(format!("--leader-election-namespace={namespace}"));
        if self.scope == Scope::Namespace {
            all.push(format!("--namespace={namespace}"));
        }
        all.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let number = self.logs.borrow().len() + 1;
        let log = self.folder.join(format!("operator-{number}.log"));
        self.logs.borrow_mut().push(log.clone());
        Operator::start(&all, environment, log)
    }

    /// Creates an object, in the scenario's namespace if it is of a namespaced kind; one that is
    /// not is deleted with the scenario.
    pub async fn create(&self, mut object: Value) -> Value {
        let (kind, name) = (crate::text(&object, "/kind").to_owned(), name_of(&object).to_owned());
        if Cluster::is_namespaced(&kind) {
            object["metadata"]["namespace"] = self.namespace.as_str().into();
        } else {
            self.outside.borrow_mut().push((kind.clone(), name.clone()));
        }
        let created = self.cluster.create(&object).await;
        created.unwrap_or_else(|error| panic!("creating {kind} {name}: {error}"))
    }

    /// An object, if it is there.
    pub async fn find(&self, kind: &str, name: &str) -> Option<Value> {
        let found = self.cluster.find(kind, (&self.namespace, name)).await;
        found.unwrap_or_else(|error| panic!("reading {kind} {name}: {error}"))
    }

    /// An object that has to be there.
    pub async fn get(&self, kind: &str, name: &str) -> Value {
        self.find(kind, name).await.unwrap_or_else(|| panic!("there is no {kind} {name}"))
    }

    /// All objects of a kind in the scenario's namespace.
    pub async fn list(&self, kind: &str) -> Vec<Value> {
        let all = self.cluster.list(kind, &self.namespace).await;
        all.unwrap_or_else(|error| panic!("listing {kind}: {error}"))
    }

    /// Merges a patch into an object.
    pub async fn patch(&self, kind: &str, name: &str, patch: Value) -> Value {
        let api = self.cluster.api(kind, &self.namespace);
        let params =
            PatchParams { field_manager: Some(crate::TEST_MANAGER.into()), ..<_>::default() };
        let patched = api.patch(name, &params, &Patch::Merge(patch)).await;
        crate::cluster::plain(patched.unwrap_or_else(|error| panic!("{kind} {name}: {error}")))
    }

    /// Merges a patch into an object's status, as this field manager.
    pub async fn patch_status(
        &self,
        (kind, name): (&str, &str),
        manager: &str,
        status: Value,
    ) -> Value {
        let api = self.cluster.api(kind, &self.namespace);
        let params = PatchParams { field_manager: Some(manager.to_owned()), ..<_>::default() };
        let patch = Patch::Merge(json!({ "status": status }));
        let patched = api.patch_status(name, &params, &patch).await;
        crate::cluster::plain(patched.unwrap_or_else(|error| panic!("{kind} {name}: {error}")))
    }

    /// Adds or replaces a condition, as this field manager.
    pub async fn set_condition(&self, at: (&str, &str), manager: &str, mut condition: Value) {
        let object = self.get(at.0, at.1).await;
        let mut all = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        all.retain(|other| other["type"] != condition["type"]);
        condition["lastTransitionTime"] = crate::rfc3339(0).into();
        all.push(condition);
        self.patch_status(at, manager, json!({ "conditions": all })).await;
    }

    /// Deletes an object, and waits until it is gone.
    pub async fn delete(&self, kind: &str, name: &str) {
        self.cluster.delete(kind, (&self.namespace, name)).await;
        eventually(&format!("{kind} {name} is gone"), STEP, async || {
            match self.find(kind, name).await {
                None => Ok(()),
                Some(found) => Err(found["metadata"].to_string()),
            }
        })
        .await;
    }

    /// Waits until an object satisfies `good`.
    pub async fn until(
        &self,
        (kind, name): (&str, &str),
        what: &str,
        good: impl Fn(&Value) -> bool,
    ) -> Value {
        eventually(&format!("{kind} {name} {what}"), STEP, async || {
            let found = self.find(kind, name).await.ok_or("there is none")?;
            if good(&found) { Ok(found) } else { Err(brief(&found)) }
        })
        .await
    }

    /// Waits until an object is Ready.
    pub async fn ready(&self, kind: &str, name: &str) -> Value {
        let ready = |object: &Value| has_condition(object, "Ready", "True");
        self.until((kind, name), "is Ready", ready).await
    }

    /// Waits until a Certificate is Ready at this revision, with no issuance under way.
    pub async fn revision(&self, name: &str, revision: i64) -> Value {
        let what = format!("is Ready at revision {revision}");
        let reached = |object: &Value| {
            object["status"]["revision"] == revision
                && has_condition(object, "Ready", "True")
                && !has_condition(object, "Issuing", "True")
        };
        self.until(("Certificate", name), &what, reached).await
    }

    /// Creates a CA of our own: the Issuer `ca`, which signs with the Certificate `ca`.
    pub async fn ca(&self) {
        self.create(issuer("root", json!({ "selfSigned": {} }))).await;
        let spec = json!({
            "isCA": true,
            "commonName": "e2e CA",
            "secretName": "ca",
            "dnsNames": null,
            "issuerRef": { "name": "root" },
        });
        self.certificate("ca", spec).await;
        self.create(issuer("ca", json!({ "ca": { "secretName": "ca" } }))).await;
        self.ready("Issuer", "ca").await;
    }

    /// Creates a Certificate: `<name>.example.test` in the Secret `<name>-tls`, signed by the
    /// Issuer `ca`, with an ECDSA key; `spec` overrides what it names.
    pub async fn certificate(&self, name: &str, spec: Value) -> Value {
        let mut whole = json!({
            "secretName": format!("{name}-tls"),
            "dnsNames": [format!("{name}.example.test")],
            "issuerRef": { "name": "ca" },
            "privateKey": { "algorithm": "ECDSA", "size": 256 },
        });
        for (field, value) in spec.as_object().into_iter().flatten() {
            whole[field] = value.clone();
        }
        whole.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
        self.create(json!({
            "apiVersion": "cert-manager.io/v1",
            "kind": "Certificate",
            "metadata": { "name": name },
            "spec": whole,
        }))
        .await
    }

    /// The CertificateRequests that a Certificate owns.
    pub async fn requests_of(&self, certificate: &str) -> Vec<Value> {
        let mut all = self.list("CertificateRequest").await;
        all.retain(|request| {
            crate::text(request, "/metadata/ownerReferences/0/name") == certificate
        });
        all
    }

    /// Waits until what was asked before has been decided: a Certificate that is created now is
    /// Ready. It is the positive sign behind "and nothing else happens".
    pub async fn settled(&self) {
        let number = self.canaries.replace(self.canaries.get() + 1);
        let name = format!("canary-{number}");
        self.certificate(&name, json!({})).await;
        self.ready("Certificate", &name).await;
    }

    pub(crate) async fn report(&self) -> String {
        let mut report = format!("--- namespace {}\n", self.namespace);
        for kind in ["Issuer", "Certificate", "CertificateRequest", "Order", "Challenge"] {
            let found = self.cluster.list(kind, &self.namespace).await.unwrap_or_default();
            report.extend(found.iter().take(40).map(|object| brief(object) + "\n"));
        }
        let secrets = self.cluster.list("Secret", &self.namespace).await.unwrap_or_default();
        let named = |secret: &Value| format!("Secret {} {}\n", name_of(secret), secret["type"]);
        report.extend(secrets.iter().take(40).map(named));
        let events = self.cluster.list("Event", &self.namespace).await.unwrap_or_default();
        report.extend(events.iter().rev().take(40).map(|event| {
            let on = crate::text(event, "/involvedObject/name");
            format!("Event on {on}: {} {}\n", event["reason"], event["message"])
        }));
        for log in self.logs.borrow().iter().rev().take(3) {
            let bytes = std::fs::read(log).unwrap_or_default();
            let said = tail(&String::from_utf8_lossy(&bytes), 60);
            report += &format!("--- the end of {}\n{said}\n", log.display());
        }
        report
    }

    pub(crate) async fn clean_up(self) {
        for (kind, name) in self.outside.take() {
            self.cluster.delete(&kind, ("", &name)).await;
        }
        self.cluster.delete("Namespace", ("", &self.namespace)).await;
        if crate::variable("EVERLEAF_E2E_KEEP").is_none() {
            // What is left in the temporary folder does no harm.
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// An Issuer of that name and spec.
pub fn issuer(name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "cert-manager.io/v1",
        "kind": "Issuer",
        "metadata": { "name": name },
        "spec": spec,
    })
}

/// An object in one line: what its status says.
fn brief(object: &Value) -> String {
    let mut line = format!("{} {}:", crate::text(object, "/kind"), name_of(object));
    for kind in ["Approved", "Denied", "Ready", "Issuing", "InvalidRequest"] {
        if let Some(found) = condition(object, kind) {
            line += &format!(
                " {kind}={}/{} {};",
                crate::text(found, "/status"),
                crate::text(found, "/reason"),
                found["message"]
            );
        }
    }
    let mut rest = object["status"].clone();
    if let Some(fields) = rest.as_object_mut() {
        fields.retain(|name, _| !["conditions", "certificate", "ca"].contains(&name.as_str()));
    }
    format!("{line} {rest}")
}

/// Something that no other scenario, now or before, is likely to have.
fn suffix() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let count = u128::from(COUNT.fetch_add(1, Ordering::Relaxed));
    let process = u128::from(std::process::id());
    format!("{:07x}", (nanos / 1000 + process * 65_537 + count) & 0x0fff_ffff)
}
