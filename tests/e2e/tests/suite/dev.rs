//! `everleaf dev` as a newcomer meets it: one process, and the real kubectl against it. It needs no
//! cluster, but kubectl.

use everleaf_e2e::{Dev, has_kubectl};
use serde_json::Value;
use std::process::Command;

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("kubectl prints JSON")
}

/// The words of the line of a table that begins so.
fn row<'a>(table: &'a str, first: &[&str]) -> Vec<&'a str> {
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut found = rows.filter(|words| words.starts_with(first));
    found.next().unwrap_or_else(|| panic!("no {first:?} in\n{table}"))
}

#[test]
fn the_first_certificate_comes_by_acme_and_each_of_the_four_things_to_try_works() {
    if !has_kubectl("the things that everleaf dev says to try") {
        return;
    }
    let mut dev = Dev::start("try");
    let log = dev.log();
    for part in ["Challenge/demo/", "Order/demo/", "verified web.example.test against the root of"]
    {
        assert!(log.contains(part), "{part:?} in\n{log}");
    }
    let tries: Vec<&str> = log.lines().filter(|line| line.starts_with("  ")).collect();
    let tries: Vec<&str> = tries.into_iter().filter(|line| line.contains("kubeconfig")).collect();
    assert_eq!(tries.len(), 4, "{log}");
    let outcomes = tries.iter().map(|line| {
        let answer = Command::new("sh").args(["-c", line.trim()]).output().expect("a shell");
        let told = String::from_utf8_lossy(&answer.stderr).into_owned();
        assert!(answer.status.success(), "{line}\n{told}");
        String::from_utf8_lossy(&answer.stdout).into_owned()
    });
    let outcomes: Vec<String> = outcomes.collect();
    assert!(outcomes[0].contains("certificate.cert-manager.io/web-tls"), "{}", outcomes[0]);
    assert!(outcomes[1].contains("Certificate/demo/web-tls"), "{}", outcomes[1]);
    let wait = |what: &str, name: &str| {
        dev.kubectl(&["wait", "-n", "demo", what, "--timeout=60s", name]);
    };
    wait("--for=condition=Ready", "certificate/another");
    wait("--for=jsonpath={.status.revision}=2", "certificate/web-tls");
    assert!(dev.interrupt().success(), "Ctrl-C is no failure");
}

const SHOP: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80}, {name: more, port: 81}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
data: {color: red, size: large}
---
apiVersion: v1
kind: Secret
metadata: {name: password, namespace: shop}
stringData: {password: hidden}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: shop}
addressType: IPv4
endpoints: [{addresses: [10.1.2.3]}]
ports: [{port: 8080}]
---
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: leader, namespace: shop}
spec: {holderIdentity: me}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: shop}
spec:
  rules: [{host: shop.example.test, http: {paths: [{path: /, pathType: Prefix,
    backend: {service: {name: web, port: {number: 80}}}}]}}]
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: shop, namespace: shop}
spec: {secretName: shop-tls, dnsNames: [shop.example.test],
  issuerRef: {name: letsencrypt, kind: ClusterIssuer}}
";

#[test]
fn kubectl_applies_edits_shows_and_deletes_every_kind_that_is_served() {
    if !has_kubectl("kubectl against everleaf dev") {
        return;
    }
    let dev = Dev::start("kinds");
    let file = dev.file("shop.yaml", SHOP);
    assert_eq!(dev.apply(&file, &[]).matches(" created").count(), 8);
    // Of a Secret's stringData and a slice's lists, kubectl cannot tell that they are there.
    assert_eq!(dev.apply(&file, &[]).matches(" unchanged").count(), 6);
    dev.kubectl(&[
        "wait",
        "-n",
        "shop",
        "--for=condition=Ready",
        "--timeout=60s",
        "certificate/shop",
    ]);

    // A strategic merge patch: one port changes, one goes, one is new.
    let changed = SHOP
        .replace(
            "{name: http, port: 80}, {name: more, port: 81}",
            "{name: new, port: 82}, {name: http, port: 80, targetPort: 8080}",
        )
        .replace("size: large", "");
    let file = dev.file("changed.yaml", &changed);
    dev.apply(&file, &[]);
    let service = json(&dev.kubectl(&["get", "service", "web", "-n", "shop", "-o", "json"]));
    let ports = service["spec"]["ports"].as_array().expect("ports");
    let told: Vec<_> =
        ports.iter().map(|port| (port["port"].as_i64(), port["targetPort"].as_i64())).collect();
    assert_eq!(told, [(Some(82), Some(82)), (Some(80), Some(8080))]);
    let settings = dev.kubectl(&["get", "cm", "settings", "-n", "shop", "-o", "jsonpath={.data}"]);
    assert_eq!(settings, r#"{"color":"red"}"#);
    dev.apply(&file, &["--server-side", "--force-conflicts"]);

    let wide = dev.kubectl(&["get", "certificates", "-n", "shop", "-o", "wide"]);
    assert_eq!(row(&wide, &["NAME"])[..5], ["NAME", "READY", "SECRET", "ISSUER", "STATUS"]);
    assert_eq!(row(&wide, &["shop"])[..4], ["shop", "True", "shop-tls", "letsencrypt"]);
    let table =
        dev.kubectl(&["get", "service,ingress,secret,cm,endpointslice,lease", "-n", "shop"]);
    assert_eq!(row(&table, &["service/web"])[4], "82/TCP,80/TCP");
    assert_eq!(row(&table, &["ingress.networking.k8s.io/web"])[2], "shop.example.test");
    assert_eq!(row(&table, &["secret/shop-tls"])[1..3], ["kubernetes.io/tls", "2"]);
    assert_eq!(row(&table, &["lease.coordination.k8s.io/leader"])[1], "me");
    assert!(dev.kubectl(&["get", "events", "-n", "shop"]).contains("certificate/shop"));
    assert_eq!(row(&dev.kubectl(&["get", "ns"]), &["shop"])[1], "Active");

    let told = dev.kubectl(&["describe", "certificate", "shop", "-n", "shop"]);
    assert!(told.contains("Events:") && told.contains("Issuing"), "{told}");
    for kind in ["ns/shop", "service/web", "ingress/web", "secret/password", "cm/settings"] {
        assert!(dev.kubectl(&["describe", kind, "-n", "shop"]).contains("Name:"), "{kind}");
    }
    edits(&dev);
    let list = dev.kubectl(&["get", "cm,service", "-n", "shop", "-o", "yaml"]);
    assert!(list.contains("kind: List"), "{list}");
    dev.apply(&dev.file("list.yaml", &list), &["--dry-run=server"]);
    dev.kubectl(&["label", "ns/shop", "team=a"]);
    dev.kubectl(&["annotate", "-n", "shop", "ingress/web", "a.test/b=c"]);
    dev.kubectl(&["delete", "-n", "shop", "certificate/shop", "cm/settings", "--timeout=60s"]);
    dev.kubectl(&["delete", "ns/shop", "--timeout=60s"]);
    let gone = dev.ask(&["get", "ns/shop"]);
    assert!(String::from_utf8_lossy(&gone.stderr).contains("(NotFound)"), "{gone:?}");
}

/// `kubectl edit` with an editor that replaces a word.
fn edits(dev: &Dev) {
    for (kind, from, to) in
        [("cm/settings", "red", "blue"), ("certificate/shop", "shop-tls", "other-tls")]
    {
        let mut command = Command::new("kubectl");
        command.arg("--kubeconfig").arg(dev.kubeconfig()).args(["edit", "-n", "shop", kind]);
        command.env("KUBE_EDITOR", format!("sed -i s/{from}/{to}/"));
        let edited = command.output().expect("kubectl runs");
        assert!(edited.status.success(), "{}", String::from_utf8_lossy(&edited.stderr));
        assert!(dev.kubectl(&["get", "-n", "shop", kind, "-o", "yaml"]).contains(to), "{kind}");
    }
}

#[test]
fn what_is_not_served_is_refused_with_a_reason() {
    if !has_kubectl("what everleaf dev does not serve") {
        return;
    }
    let dev = Dev::start("refused");
    let refused = |arguments: &[&str], reason: &str| {
        let answer = dev.ask(arguments);
        let told = String::from_utf8_lossy(&answer.stderr).into_owned();
        assert!(!answer.status.success() && told.contains(reason), "{arguments:?}: {told}");
    };
    refused(&["get", "--raw", "/api/v1/pods"], "/api/v1/pods is not served");
    refused(&["get", "pods"], "the server doesn't have a resource type \"pods\"");
    let patch = r#"{"spec":{"secretName":"x"}}"#;
    let strategic = ["patch", "certificate/web-tls", "-n", "demo", "--type=strategic", "-p", patch];
    refused(&strategic, "application/strategic-merge-patch+json is not supported");
    let bad = "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: x}\n\
               spec: {secretNam: y, secretName: x, issuerRef: {name: a}}\n";
    let bad = dev.file("bad.yaml", bad);
    refused(&["apply", "-f", &bad.display().to_string()], "unknown field \"spec.secretNam\"");
}

#[test]
fn a_cluster_is_there_again_after_a_restart_and_goes_on() {
    if !has_kubectl("a restart of everleaf dev") {
        return;
    }
    let dev = Dev::start("restart");
    let file = dev.file("shop.yaml", SHOP);
    dev.apply(&file, &[]);
    let ready =
        ["wait", "-n", "shop", "--for=condition=Ready", "--timeout=60s", "certificate/shop"];
    dev.kubectl(&ready);
    let secret = |dev: &Dev| dev.kubectl(&["get", "secret/shop-tls", "-n", "shop", "-o", "json"]);
    let before = json(&secret(&dev));
    let dev = dev.restart();
    assert_eq!(json(&secret(&dev)), before, "as it was, and nothing was issued again");
    // The CA has forgotten its accounts: the operator registers again by itself.
    dev.kubectl(&["delete", "secret/shop-tls", "-n", "shop"]);
    dev.kubectl(&[
        "wait",
        "-n",
        "shop",
        "--for=jsonpath={.status.revision}=2",
        "--timeout=60s",
        "certificate/shop",
    ]);
}
