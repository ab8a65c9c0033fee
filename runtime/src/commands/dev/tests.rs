use super::*;

struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let name = format!("everleaf-dev-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A folder that goes with it.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn new(name: &str) -> Self {
        let name = format!("everleaf-dev-{}-{name}.d", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn outcome_of(name: &str, text: &str) -> Result<(), Failure> {
    let file = File::new(name, text);
    let manifests = vec![file.0.clone()];
    run(&DevArgs { manifests, once: true, ..DevArgs::default() }).await
}

/// The message of a failure that was told as soon as everything rested.
async fn failure(name: &str, text: &str) -> String {
    let failed = outcome_of(name, text).await.expect_err("it cannot come to be");
    assert_eq!(failed.exit_code(), 1, "{failed}");
    let told = failed.to_string();
    assert!(told.starts_with("nothing more will come of it by itself"), "{told}");
    told
}

async fn refusal(name: &str, text: &str) -> String {
    let refused = outcome_of(name, text).await.expect_err("it cannot be applied");
    assert_eq!(refused.exit_code(), 2, "{refused}");
    refused.to_string()
}

const INGRESS: &str = "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  namespace: shop
  annotations: {cert-manager.io/ISSUER: letsencrypt, cert-manager.io/private-key-algorithm: ECDSA}
spec:
  tls: [{hosts: ['*.example.test'], secretName: web-tls}]
  defaultBackend: {service: {name: web, port: {number: 80}}}
";

#[tokio::test]
async fn the_demonstration_serves_what_it_issued() {
    let args = DevArgs { once: true, ..DevArgs::default() };
    run(&args).await.expect("it needs nothing");
}

#[tokio::test]
async fn an_issuer_that_manifests_only_name_is_made_so_that_they_can_be_tried_as_they_are() {
    let cluster = INGRESS.replace("ISSUER", "cluster-issuer");
    outcome_of("cluster", &cluster).await.expect("a CA stands in for the ClusterIssuer");
    let own = INGRESS.replace("ISSUER", "issuer");
    outcome_of("own", &own).await.expect("a CA stands in for the Issuer");
}

#[test]
fn only_issuers_of_our_group_that_nobody_defines_are_made() {
    let text = "
{kind: Issuer, metadata: {name: defined, namespace: a}}
---
{kind: Certificate, metadata: {namespace: a}, spec: {issuerRef: {name: defined}}}
---
{kind: Certificate, metadata: {namespace: b}, spec: {issuerRef: {name: defined, kind: Issuer}}}
---
{kind: Certificate, spec: {issuerRef: {name: wide, kind: ClusterIssuer}}}
---
{kind: Certificate, spec: {issuerRef: {name: foreign, group: example.com}}}
---
{kind: Ingress, metadata: {annotations: {cert-manager.io/issuer: i, cert-manager.io/issuer-kind: X}}}
";
    let manifests = input::manifest(Path::new("x.yaml"), text).unwrap();
    let undefined = issuers::undefined(&manifests);
    let told: Vec<String> = undefined.iter().map(issuers::Named::told).collect();
    assert_eq!(told, ["ClusterIssuer/wide", "Issuer/b/defined"]);
    let made = issuers::made(&undefined);
    let kinds: Vec<_> = made.iter().map(|made| made.object["kind"].as_str().unwrap()).collect();
    let expected = ["ClusterIssuer", "Certificate", "Certificate", "ClusterIssuer", "Issuer"];
    assert_eq!(kinds, expected, "a CA where each issuer looks for its Secret");
    assert!(issuers::made(&Default::default()).is_empty(), "nothing is made for nobody");
}

#[tokio::test]
async fn manifests_without_a_certificate_are_no_failure() {
    let issuer = "{apiVersion: cert-manager.io/v1, kind: Issuer, metadata: {name: a}, \
                  spec: {selfSigned: {}}}";
    outcome_of("issuer", issuer).await.expect("the issuer is ready, and nothing else was asked");
}

#[tokio::test]
async fn an_issuer_that_cannot_sign_is_told_with_the_request_that_waits_for_it() {
    let text = "
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: vault, namespace: shop}
spec: {vault: {server: https://v.example.test, path: pki/sign/web, auth: {tokenSecretRef: {name: k}}}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: web, namespace: shop}
spec: {secretName: web, dnsNames: [a.example.test], issuerRef: {name: vault}}
";
    let told = failure("vault", text).await;
    for part in [
        "Certificate/shop/web: awaiting",
        "CertificateRequest/shop/web-1: ",
        "Ready=False Pending: ",
        "Issuer/shop/vault: ",
        "Ready=False NotSupported: ",
        "Event Warning NotSupported: ",
    ] {
        assert!(told.contains(part), "{part:?} in {told}");
    }
}

#[tokio::test]
async fn an_acme_issuer_asks_nobody_on_the_network() {
    let text = "
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: letsencrypt}
spec:
  acme:
    server: https://acme.example.test/dir
    privateKeySecretRef: {name: k}
    solvers: [{http01: {ingress: {}}}]
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: web, namespace: shop}
spec:
  secretName: web
  dnsNames: [a.example.test]
  issuerRef: {name: letsencrypt, kind: ClusterIssuer}
";
    outcome_of("acme", text).await.expect("the CA of the process answers");
    let dns = text
        .replace("http01: {ingress: {}}", "dns01: {cloudflare: {apiTokenSecretRef: {name: t}}}");
    outcome_of("acme-dns", &dns).await.expect("a CA stands in where a solver is not here");
    let mut manifests = input::manifest(Path::new("x.yaml"), text).unwrap();
    let acme = issuers::lead_acme(&mut manifests, "http://127.0.0.1:1/directory");
    assert_eq!((acme.led.len(), acme.replaced.len(), manifests.len()), (1, 0, 2));
    assert_eq!(manifests[0].object["spec"]["acme"]["server"], "http://127.0.0.1:1/directory");
    let mut manifests = input::manifest(Path::new("x.yaml"), &dns).unwrap();
    let acme = issuers::lead_acme(&mut manifests, "http://127.0.0.1:1/directory");
    assert_eq!((acme.led.len(), acme.replaced.len(), manifests.len()), (0, 1, 1));
}

#[tokio::test]
async fn a_cluster_that_was_kept_goes_on_with_what_it_had() {
    let folder = Folder::new("kept");
    let args = || DevArgs { once: true, data: Some(folder.0.clone()), ..DevArgs::default() };
    let kept = || {
        let data = data::Data::open(&folder.0).expect("nobody has it");
        data.read().expect("it is whole").expect("it was kept")
    };
    run(&args()).await.expect("it needs nothing");
    let secret = |kept: &Value| {
        let secrets = kept["cluster"]["objects"]["secrets"].as_array().cloned().unwrap();
        secrets.into_iter().find(|secret| secret["metadata"]["name"] == "web-tls").unwrap()
    };
    let first = kept();
    run(&args()).await.expect("it goes on, and the root is the same");
    let second = kept();
    assert_eq!(secret(&first), secret(&second), "nothing was issued again");
    assert_eq!(first["ports"], second["ports"], "issuers and kubeconfigs name them");
    std::fs::write(folder.0.join("cluster.json"), "{}").unwrap();
    let told = run(&args()).await.expect_err("it is damaged");
    assert_eq!(told.exit_code(), 2);
    assert!(told.to_string().contains("move it away"), "{told}");
}

#[tokio::test]
async fn what_is_wrong_with_an_ingress_is_told_though_it_has_no_conditions() {
    let text =
        INGRESS.replace("cert-manager.io/ISSUER: letsencrypt", "kubernetes.io/tls-acme: 'true'");
    let told = failure("ingress", &text).await;
    assert!(told.contains("Ingress/shop/web: invalid"), "{told}");
    assert!(told.contains("BadConfig: ") && told.contains("no default issuer"), "{told}");
}

#[tokio::test]
async fn what_cannot_be_applied_is_told_with_file_line_object_and_remedy() {
    let unknown = refusal("pod", "\n{apiVersion: v1, kind: Pod, metadata: {name: a}}").await;
    assert!(unknown.contains(":2: Pod/a: \"v1\" has no such kind here; served are "), "{unknown}");
    assert!(unknown.contains("cert-manager.io/v1 (Certificate, CertificateRequest, "), "{unknown}");
    let nameless = refusal("nameless", "{apiVersion: v1, kind: Secret}").await;
    assert!(nameless.contains(":1: Secret: metadata.name is missing"), "{nameless}");
    let kindless = refusal("kindless", "a: 1").await;
    assert!(kindless.contains(":1: this object lacks apiVersion or kind"), "{kindless}");
    let text = "kind: List\nitems:\n- apiVersion: cert-manager.io/v1\n  kind: Certificate\n  \
                metadata: {name: c}\n  spec: {secretName: 5, issuerRef: {name: a}}\n";
    let schema = refusal("schema", text).await;
    assert!(schema.contains(":1: Certificate/c: "), "{schema}");
    assert!(schema.contains("spec.secretName"), "{schema}");
    assert!(schema.ends_with("`everleaf crds` prints which fields there are"), "{schema}");
    let empty = refusal("empty", "# nothing\n").await;
    assert!(empty.contains("there is no object in it"), "{empty}");
}

#[test]
fn only_a_servers_certificate_is_served() {
    let ready = json!({"conditions": [{"type": "Ready", "status": "True"}]});
    let host = |spec: Value| host_of(&json!({"spec": spec, "status": ready}));
    assert_eq!(host(json!({"dnsNames": ["*.a.test"]})).as_deref(), Some("www.a.test"));
    let usages = json!(["digital signature", "server auth"]);
    assert_eq!(host(json!({"dnsNames": ["a.test"], "usages": usages})).as_deref(), Some("a.test"));
    assert_eq!(host(json!({"dnsNames": ["a.test"], "usages": ["client auth"]})), None);
    assert_eq!(host(json!({"dnsNames": ["a.test"], "isCA": true})), None);
    assert_eq!(host(json!({"ipAddresses": ["10.0.0.1"]})), None);
}
