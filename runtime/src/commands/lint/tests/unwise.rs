//! Each warning that needs a file, or several objects, once: bad and mended. Those about one object
//! alone have their tests beside them, in `everleaf_api::validate`.

use super::{certificate, finds, issuer, lint};

fn both(one: &str, other: &str) -> String {
    format!("{one}---\n{other}")
}

fn acme(solvers: &[&str]) -> String {
    let plain =
        ["acme:", "  server: https://acme.test/", "  privateKeySecretRef: {name: k}", "  solvers:"];
    issuer(&[&plain[..], solvers].concat())
}

const HTTP01: &str = "  - http01: {ingress: {ingressClassName: c}}";

#[test]
fn unknown_fields_are_told_with_what_was_meant() {
    let good = certificate(&["dnsNames: [a.test]"]);
    let with = |line: &str| certificate(&["dnsNames: [a.test]", line]);
    for (line, says) in [
        ("dnsnames: [a.test]", "did you mean dnsNames?"),
        ("commonname: a.test", "did you mean commonName?"),
        ("renewbefor: 1h", "did you mean renewBefore?"),
        ("keySize: 4096", "did you mean privateKey.size?"),
        ("organization: [a]", "did you mean subject.organizations?"),
        ("rotationPolicy: Always", "it is a field of spec.privateKey"),
        ("nonsense: 1", "remove it"),
    ] {
        let (name, _) = line.split_once(':').unwrap();
        finds(&with(line), &format!("10: warning: spec.{name}: unknown field"), says, &good);
    }
    let bad = acme(&["  - dns01:", "      clouddns: {project: p}"]);
    assert!(lint(&bad).iter().any(|line| line.contains("did you mean cloudDNS?")));
}

#[test]
fn misspelt_annotations_are_told_with_what_was_meant() {
    let of = |key: &str| {
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: web\n  annotations:\n    \
             {key}: ca\nspec:\n  rules: [{{host: a.test}}]\n  tls: [{{secretName: s, hosts: [a.test]}}]\n"
        )
    };
    let good = of("cert-manager.io/cluster-issuer");
    let says = "did you mean cert-manager.io/cluster-issuer?";
    let at = "6: warning: metadata.annotations[";
    finds(&of("cert-manager.io/clusterissuer"), at, says, &good);
    finds(&of("certmanager.io/cluster-issuer"), at, says, &good);
    finds(&of("cert-manager.io/invented"), at, "nothing reads", &good);
    finds(&of("certmanager.k8s.io/issuer"), at, "write cert-manager.io/issuer", &good);
}

#[test]
fn one_secret_has_one_certificate() {
    let one = certificate(&["dnsNames: [a.test]"]);
    let other = one.replace("name: web\n", "name: other\n");
    let found = lint(&both(&one, &other));
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].starts_with("6: warning: spec.secretName: Certificate other (x.yaml:11)"));
    assert!(found[1].starts_with("16: warning: spec.secretName: Certificate web (x.yaml:1)"));
    let mended = other.replace("web-tls", "other-tls");
    assert_eq!(lint(&both(&one, &mended)), [""; 0]);
    let elsewhere = other.replace("name: other\n", "name: other\n  namespace: there\n");
    assert_eq!(lint(&both(&one, &elsewhere)), [""; 0]);
}

#[test]
fn an_ingress_and_a_certificate_may_write_one_secret_as_little() {
    let ingress = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: web\n  \
                   annotations: {cert-manager.io/issuer: ca}\nspec:\n  rules: [{host: a.test}]\n  \
                   tls: [{secretName: web-tls, hosts: [a.test]}]\n";
    let found = lint(&both(&certificate(&["dnsNames: [a.test]"]), ingress));
    assert!(
        found.iter().any(|l| l.starts_with("18: warning: spec.tls[0].secretName")),
        "{found:#?}"
    );
    let other = ingress.replace("web-tls", "ingress-tls");
    assert_eq!(lint(&both(&certificate(&["dnsNames: [a.test]"]), &other)), [""; 0]);
}

#[test]
fn an_object_is_written_once() {
    let one = certificate(&["dnsNames: [a.test]"]);
    let begins = "14: warning: metadata.name: this object is written twice, first at x.yaml:1";
    finds(&both(&one, &one), begins, "", &one);
}

#[test]
fn wildcards_want_dns01() {
    let wild = certificate(&["dnsNames: ['*.a.test']"]);
    let dns = "  - dns01: {cloudflare: {apiTokenSecretRef: {name: s, key: k}}}";
    let good = both(&acme(&[HTTP01, dns]), &wild);
    finds(&both(&acme(&[HTTP01]), &wild), "20: warning: spec.dnsNames[0]: ", "only DNS-01", &good);
}

#[test]
fn a_solver_is_for_each_name() {
    let solver = |zone: &str| {
        acme(&[&format!("  - {{http01: {{ingress: {{}}}}, selector: {{dnsZones: [{zone}]}}}}")])
    };
    let one = certificate(&["dnsNames: [web.a.test]"]);
    let (bad, good) = (both(&solver("b.test"), &one), both(&solver("a.test"), &one));
    finds(&bad, "20: warning: spec.dnsNames[0]: ", "no solver of ca", &good);
}

#[test]
fn acme_has_no_word_for_some_fields() {
    let of = |line: &str| both(&acme(&[HTTP01]), &certificate(&["dnsNames: [a.test]", line]));
    let good = of("privateKey: {algorithm: ECDSA}");
    for (line, path) in [
        ("uris: ['spiffe://a']", "spec.uris"),
        ("emailAddresses: [me@a.test]", "spec.emailAddresses"),
        ("subject: {organizations: [a]}", "spec.subject"),
    ] {
        finds(&of(line), &format!("21: warning: {path}: "), "DNS names and IP addresses", &good);
    }
    finds(&of("duration: 240h"), "21: warning: spec.duration: ", "enableDurationFeature", &good);
    let ca = lint(&of("isCA: true"));
    assert!(ca.iter().any(|line| line.contains("no ACME CA signs another CA")), "{ca:#?}");
}

#[test]
fn public_cas_know_public_names() {
    let public = acme(&[HTTP01]).replace(
        "https://acme.test/",
        "https://acme-v02.api.letsencrypt.org/directory, email: me@a.example",
    );
    let public = public.replace(", email", "\n    email");
    let bad = both(&public, &certificate(&["dnsNames: [web.shop.svc]"]));
    let good = both(&public, &certificate(&["dnsNames: [web.example.com]"]));
    finds(&bad, "21: warning: spec.dnsNames[0]: ", "not public", &good);
}

#[test]
fn an_issuer_of_the_other_kind_or_namespace_is_not_meant() {
    let one = certificate(&["dnsNames: [a.test]", "usages: [server auth]"]);
    let cluster = issuer(&["ca: {secretName: s}"]).replace("kind: Issuer", "kind: ClusterIssuer");
    let good = one.replace("    name: ca\n", "    name: ca\n    kind: ClusterIssuer\n");
    finds(
        &both(&cluster, &one),
        "14: warning: spec.issuerRef: ",
        "set kind: ClusterIssuer",
        &both(&cluster, &good),
    );
    let placed = |text: &str, namespace: &str| {
        text.replacen("metadata:\n", &format!("metadata:\n  namespace: {namespace}\n"), 1)
    };
    let own = placed(&issuer(&["ca: {secretName: s}"]), "b");
    finds(
        &both(&own, &placed(&one, "a")),
        "17: warning: spec.issuerRef.name: ",
        "ClusterIssuer",
        &both(&own, &placed(&one, "b")),
    );
}

#[test]
fn a_ca_is_not_overwritten_by_what_it_signs() {
    let ca = |secret: &str| issuer(&[&format!("ca: {{secretName: {secret}}}")]);
    let one = certificate(&["dnsNames: [a.test]", "usages: [server auth]"]);
    finds(
        &both(&ca("web-tls"), &one),
        "13: warning: spec.secretName: ",
        "overwritten",
        &both(&ca("root"), &one),
    );
}

#[test]
fn a_self_signed_certificate_has_a_subject() {
    let own = issuer(&["selfSigned: {}"]);
    let bad = certificate(&["dnsNames: [a.test]", "usages: [server auth]"]);
    let good = certificate(&["dnsNames: [a.test]", "usages: [server auth]", "commonName: a.test"]);
    finds(&both(&own, &bad), "12: warning: spec: ", "4.1.2.4", &both(&own, &good));
}

#[test]
fn a_server_certificate_of_ones_own_ca_says_so() {
    let ca = issuer(&["ca: {secretName: root}"]);
    let bad = certificate(&["dnsNames: [a.test]"]);
    let good = certificate(&["dnsNames: [a.test]", "usages: [digital signature, server auth]"]);
    finds(&both(&ca, &bad), "12: warning: spec: ", "server auth", &both(&ca, &good));
}

#[test]
fn accounts_at_two_cas_have_two_keys() {
    let (one, other) = (acme(&[HTTP01]), acme(&[HTTP01]).replace("acme.test", "other.test"));
    let other = other.replace("name: ca\n", "name: other\n");
    let begins = "19: warning: spec.acme.privateKeySecretRef.name: ";
    let good = other.replace("{name: k}", "{name: k2}");
    finds(&both(&one, &other), begins, "Issuer ca", &both(&one, &good));
}

#[test]
fn the_hosts_of_an_ingress_are_served() {
    let of = |host: &str| {
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: web\n  annotations:\n    \
             cert-manager.io/issuer: ca\nspec:\n  rules: [{{host: www.a.test}}]\n  tls:\n  - secretName: s\n    \
             hosts: [{host}]\n"
        )
    };
    let good = of("www.a.test");
    finds(&of("a.test"), "11: warning: spec.tls[0].hosts[0]: ", "no rule serves", &good);
    assert_eq!(lint(&of("'*.a.test'")), [""; 0]);
    let bare = good.split("  tls:").next().unwrap();
    assert!(lint(bare)[0].contains("nothing is issued"), "{:#?}", lint(bare));
}

#[test]
fn what_is_not_built_yet_is_said() {
    let gateway = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata:\n  name: a\n  \
                   annotations: {cert-manager.io/issuer: ca}\nspec: {}\n";
    let plain = gateway.replace("{cert-manager.io/issuer: ca}", "{}");
    finds(
        gateway,
        "5: warning: metadata.annotations[cert-manager.io/issuer]",
        "Gateway API",
        &plain,
    );
    let placed = issuer(&["ca: {secretName: s}"]).replace("kind: Issuer", "kind: ClusterIssuer");
    let bad = placed.replace("  name: ca\n", "  name: ca\n  namespace: a\n");
    finds(&bad, "5: warning: metadata.namespace: ", "has no namespace", &placed);
}
