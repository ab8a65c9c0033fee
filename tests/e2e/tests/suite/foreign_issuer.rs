//! Issuers of another group, with a controller of their own that knows nothing of Everleaf: it does
//! what cert-manager's sample external issuer does, and signs with `openssl`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use everleaf_e2e::{
    Scope, World, condition, data, eventually, has_condition, name_of, rfc3339, scenario, text,
};
use kube::Api;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use std::time::Duration;

const NO_APPROVER: &str = "--controllers=*,-certificaterequests-approver";
const KIND: &str = "SampleIssuer";
/// The field manager of the sample's controller.
const MANAGER: &str = "sample-issuer";
/// The Secret without which a sample issuer is not Ready.
const CREDENTIALS: &str = "sample-credentials";

/// The sample issuer: its group, its CA and its controller.
struct Sample<'a> {
    world: &'a World,
    group: String,
}

impl<'a> Sample<'a> {
    /// One of a group of its own, whose definition is not installed yet.
    fn new(world: &'a World) -> Self {
        let ca = (world.openssl.path("sample-ca.key"), world.openssl.path("sample-ca.crt"));
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        let subject = ["-subj", "/CN=sample CA", "-days", "3650"];
        let files = ["-keyout", &ca.0, "-out", &ca.1];
        world.openssl.run(&[&["req", "-x509"][..], &curve, &subject, &files].concat()).unwrap();
        Self { world, group: format!("{}.sample-issuer.example.com", world.namespace) }
    }

    fn reference(&self) -> Value {
        json!({ "group": self.group, "kind": KIND, "name": "sample" })
    }

    async fn install(&self) {
        let schema = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
        self.world
            .create(json!({
                "apiVersion": "apiextensions.k8s.io/v1",
                "kind": "CustomResourceDefinition",
                "metadata": { "name": format!("sampleissuers.{}", self.group) },
                "spec": {
                    "group": self.group,
                    "scope": "Namespaced",
                    "names": { "kind": KIND, "plural": "sampleissuers", "singular": "sampleissuer" },
                    "versions": [{
                        "name": "v1alpha1",
                        "served": true,
                        "storage": true,
                        "subresources": { "status": {} },
                        "schema": { "openAPIV3Schema": schema },
                    }],
                },
            }))
            .await;
        eventually("the sample's kind is served", 60, async || {
            let listed = self.issuers().list(&<_>::default()).await;
            listed.map(|_| ()).map_err(|error| error.to_string())
        })
        .await;
    }

    fn issuers(&self) -> Api<DynamicObject> {
        let resource = ApiResource {
            group: self.group.clone(),
            version: "v1alpha1".to_owned(),
            api_version: format!("{}/v1alpha1", self.group),
            kind: KIND.to_owned(),
            plural: "sampleissuers".to_owned(),
        };
        Api::namespaced_with(self.world.cluster.client(), &self.world.namespace, &resource)
    }

    async fn create_issuer(&self) {
        let issuer = json!({
            "apiVersion": format!("{}/v1alpha1", self.group),
            "kind": KIND,
            "metadata": { "name": "sample" },
            "spec": { "url": "https://ca.example.com", "authSecretName": CREDENTIALS },
        });
        let issuer = serde_json::from_value(issuer).unwrap();
        self.issuers().create(&PostParams::default(), &issuer).await.unwrap();
    }

    async fn give_credentials(&self) {
        self.world
            .create(json!({
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": { "name": CREDENTIALS },
                "stringData": { "token": "sample" },
            }))
            .await;
    }

    /// The controller. It goes on for ever; what it fails at, it does again.
    async fn run(&self) {
        loop {
            self.look_after_issuers().await;
            for request in self.world.list("CertificateRequest").await {
                if text(&request, "/spec/issuerRef/group") == self.group {
                    self.reconcile(&request).await;
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn look_after_issuers(&self) {
        let Ok(all) = self.issuers().list(&<_>::default()).await else { return };
        let ready = self.world.find("Secret", CREDENTIALS).await.is_some();
        for issuer in all {
            let issuer = serde_json::to_value(issuer).unwrap();
            let (status, reason) = if ready { ("True", "Checked") } else { ("False", "Checked") };
            if has_condition(&issuer, "Ready", status) {
                continue;
            }
            let condition = json!({
                "type": "Ready", "status": status, "reason": reason, "message": "looked",
                "lastTransitionTime": rfc3339(0),
            });
            let patch = Patch::Merge(json!({ "status": { "conditions": [condition] } }));
            let params = PatchParams { field_manager: Some(MANAGER.into()), ..<_>::default() };
            let _ = self.issuers().patch_status(name_of(&issuer), &params, &patch).await;
        }
    }

    async fn reconcile(&self, request: &Value) {
        let ready = condition(request, "Ready").map(|ready| text(ready, "/reason"));
        let over = has_condition(request, "InvalidRequest", "True")
            || matches!(ready, Some("Issued" | "Failed" | "Denied"));
        if over {
            return;
        }
        if has_condition(request, "Denied", "True") {
            let failed = json!({ "failureTime": rfc3339(0) });
            return self.say(request, ("False", "Denied"), "denied by an approver", failed).await;
        }
        if !has_condition(request, "Approved", "True") {
            return;
        }
        if ready.is_none() {
            let message = "the sample has seen it";
            return self.say(request, ("False", "Pending"), message, json!({})).await;
        }
        let issuer = self.issuers().get_opt(text(request, "/spec/issuerRef/name")).await;
        let issuer = issuer.ok().flatten().map(|issuer| serde_json::to_value(issuer).unwrap());
        if issuer.is_some_and(|issuer| has_condition(&issuer, "Ready", "True")) {
            self.sign(request).await;
        }
    }

    async fn sign(&self, request: &Value) {
        let csr = STANDARD.decode(text(request, "/spec/request")).unwrap();
        let told = self.world.openssl.file(&format!("{}.csr", name_of(request)), &csr);
        let asked = self.world.openssl.run(&["req", "-noout", "-text", "-in", &told]).unwrap();
        if asked.contains("DNS:refused.") {
            let failed = json!({ "failureTime": rfc3339(0) });
            let message = "the sample CA refuses this name";
            return self.say(request, ("False", "Failed"), message, failed).await;
        }
        if asked.contains("DNS:invalid.") {
            let condition = json!({
                "type": "InvalidRequest", "status": "True", "reason": "SampleInvalid",
                "message": "the sample CA has no such form",
            });
            let at = ("CertificateRequest", name_of(request));
            return self.world.set_condition(at, MANAGER, condition).await;
        }
        let openssl = &self.world.openssl;
        let (key, ca) = (openssl.path("sample-ca.key"), openssl.path("sample-ca.crt"));
        let with = ["-CA", &ca, "-CAkey", &key, "-CAcreateserial", "-days", "90"];
        let what = ["x509", "-req", "-in", &told, "-copy_extensions", "copy"];
        let leaf = openssl.run(&[&what[..], &with].concat()).unwrap();
        let issued =
            json!({ "certificate": STANDARD.encode(leaf), "ca": STANDARD.encode(self.ca()) });
        self.say(request, ("True", "Issued"), "Signed", issued).await;
    }

    fn ca(&self) -> Vec<u8> {
        std::fs::read(self.world.openssl.path("sample-ca.crt")).unwrap()
    }

    async fn say(
        &self,
        request: &Value,
        (status, reason): (&str, &str),
        message: &str,
        mut more: Value,
    ) {
        let mut all = request["status"]["conditions"].as_array().cloned().unwrap_or_default();
        all.retain(|condition| condition["type"] != "Ready");
        all.push(json!({
            "type": "Ready", "status": status, "reason": reason, "message": message,
            "lastTransitionTime": rfc3339(0),
        }));
        more["conditions"] = json!(all);
        // A conflict, as any controller that read an older version would meet.
        let patch = json!({
            "metadata": { "resourceVersion": request["metadata"]["resourceVersion"] },
            "status": more,
        });
        let api = self.world.cluster.api("CertificateRequest", &self.world.namespace);
        let params = PatchParams { field_manager: Some(MANAGER.into()), ..<_>::default() };
        let _ = api.patch_status(name_of(request), &params, &Patch::Merge(patch)).await;
    }
}

/// Runs the steps beside the sample's controller.
async fn beside(sample: &Sample<'_>, steps: impl Future<Output = ()>) {
    tokio::select! {
        () = sample.run() => unreachable!("the controller goes on for ever"),
        () = steps => {}
    }
}

async fn failure(world: &World, name: &str) -> Value {
    let failed = |object: &Value| {
        condition(object, "Issuing").is_some_and(|issuing| issuing["status"] == "False")
    };
    let certificate = world.until(("Certificate", name), "says that it failed", failed).await;
    assert_eq!(certificate["status"]["failedIssuanceAttempts"], 1, "{}", certificate["status"]);
    assert!(!text(&certificate, "/status/lastFailureTime").is_empty());
    condition(&certificate, "Issuing").unwrap().clone()
}

fn ready_reason<'a>(request: &'a Value, reason: &str) -> bool {
    condition(request, "Ready").is_some_and(|ready: &'a Value| ready["reason"] == reason)
}

#[test]
fn a_foreign_issuer_serves_a_certificate_and_its_renewal() {
    scenario("foreign", Scope::Namespace, async |world| {
        let _operator = world.operator(&[]);
        let sample = Sample::new(world);
        sample.install().await;
        sample.create_issuer().await;
        beside(&sample, async {
            world.certificate("web", json!({ "issuerRef": sample.reference() })).await;
            let pending = |request: &Value| ready_reason(request, "Pending");
            let at = ("CertificateRequest", "web-1");
            let request = world.until(at, "is pending at the sample", pending).await;
            let approved = condition(&request, "Approved").unwrap();
            assert_eq!(approved["reason"], "cert-manager.io");
            let issuing = |object: &Value| has_condition(object, "Issuing", "True");
            world.until(("Certificate", "web"), "says that it is being issued", issuing).await;
            assert!(world.find("Secret", "web-tls").await.is_none());

            sample.give_credentials().await;
            world.revision("web", 1).await;
            let request = world.get("CertificateRequest", "web-1").await;
            let ready = condition(&request, "Ready").unwrap();
            assert_eq!((&ready["reason"], &ready["message"]), (&json!("Issued"), &json!("Signed")));
            let secret = world.get("Secret", "web-tls").await;
            let (chain, key) = (data(&secret, "tls.crt"), data(&secret, "tls.key"));
            assert_eq!(data(&secret, "ca.crt"), sample.ca(), "as the sample's status has it");
            world.openssl.verify(&sample.ca(), &chain);
            world.openssl.assert_pair(&chain, &key);
            let said = &secret["metadata"]["annotations"];
            assert_eq!(said["cert-manager.io/issuer-kind"], KIND);
            assert_eq!(said["cert-manager.io/issuer-name"], "sample");
            assert_eq!(said["cert-manager.io/issuer-group"], *sample.group);

            // As `cmctl renew` asks.
            let asked = json!({
                "type": "Issuing", "status": "True", "reason": "ManuallyTriggered",
                "message": "renew, please",
            });
            world.set_condition(("Certificate", "web"), "cmctl", asked).await;
            world.revision("web", 2).await;
            let renewed = world.get("Secret", "web-tls").await;
            assert_ne!(data(&renewed, "tls.key"), key, "another key");
            world.openssl.verify(&sample.ca(), &data(&renewed, "tls.crt"));
        })
        .await;
    });
}

#[test]
fn what_a_foreign_issuer_refuses_is_told_and_tried_again_once_the_spec_changed() {
    scenario("foreign-refuses", Scope::Namespace, async |world| {
        let _operator = world.operator(&[]);
        let sample = Sample::new(world);
        sample.install().await;
        sample.create_issuer().await;
        sample.give_credentials().await;
        beside(&sample, async {
            let spec = |name: &str| json!({ "issuerRef": sample.reference(), "dnsNames": [name] });
            world.certificate("web", spec("refused.example.test")).await;
            let issuing = failure(world, "web").await;
            assert_eq!(issuing["reason"], "Failed");
            assert!(text(&issuing, "/message").contains("the sample CA refuses this name"));

            world.certificate("odd", spec("invalid.example.test")).await;
            let issuing = failure(world, "odd").await;
            assert_eq!(issuing["reason"], "SampleInvalid");
            assert!(text(&issuing, "/message").contains("the sample CA has no such form"));

            for name in ["web", "odd"] {
                let names = json!({ "spec": { "dnsNames": [format!("{name}.example.test")] } });
                world.patch("Certificate", name, names).await;
                let mended = world.revision(name, 1).await;
                assert!(mended["status"].get("lastFailureTime").is_none(), "{}", mended["status"]);
            }
        })
        .await;
    });
}

#[test]
fn a_foreign_issuer_waits_for_approval_and_a_denial_ends_its_request() {
    scenario("foreign-denied", Scope::Namespace, async |world| {
        let _operator = world.operator(&[NO_APPROVER]);
        let sample = Sample::new(world);
        sample.install().await;
        sample.create_issuer().await;
        sample.give_credentials().await;
        let decide = async |request: &str, decision: &str| {
            let at = ("CertificateRequest", request);
            world.until(at, "is there", |_| true).await;
            let condition = json!({
                "type": decision, "status": "True", "reason": "TestPolicy", "message": "decided",
            });
            world.set_condition(at, "approver", condition).await;
        };
        beside(&sample, async {
            world.certificate("web", json!({ "issuerRef": sample.reference() })).await;
            world.certificate("other", json!({ "issuerRef": sample.reference() })).await;
            decide("other-1", "Approved").await;
            world.revision("other", 1).await;
            let waiting = world.get("CertificateRequest", "web-1").await;
            assert!(condition(&waiting, "Ready").is_none(), "{}", waiting["status"]);

            decide("web-1", "Denied").await;
            let issuing = failure(world, "web").await;
            assert_eq!(issuing["reason"], "TestPolicy");
            let denied = |request: &Value| ready_reason(request, "Denied");
            let at = ("CertificateRequest", "web-1");
            world.until(at, "was denied by the sample", denied).await;
            assert!(world.find("Secret", "web-tls").await.is_none());
        })
        .await;
    });
}

#[test]
fn a_kind_that_nobody_defined_holds_up_nobody_and_is_served_once_it_is_there() {
    scenario("foreign-unknown", Scope::Namespace, async |world| {
        let _operator = world.operator(&[]);
        let sample = Sample::new(world);
        world.certificate("web", json!({ "issuerRef": sample.reference() })).await;
        let approved = |request: &Value| has_condition(request, "Approved", "True");
        world.until(("CertificateRequest", "web-1"), "is approved", approved).await;
        world.ca().await;
        world.settled().await;
        let waiting = world.get("CertificateRequest", "web-1").await;
        assert!(condition(&waiting, "Ready").is_none(), "that is its own controller's to say");
        let uid = waiting["metadata"]["uid"].clone();

        sample.install().await;
        sample.create_issuer().await;
        sample.give_credentials().await;
        beside(&sample, async {
            world.revision("web", 1).await;
        })
        .await;
        assert_eq!(world.get("CertificateRequest", "web-1").await["metadata"]["uid"], uid);
    });
}
