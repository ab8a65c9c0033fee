//! Each rule of the API once: a manifest that breaks it, told at its line, and the same mended.

use super::{certificate, finds, issuer, lint};

/// A Certificate with `bad` on line 10 has one error there at `path`; with `good` it has none.
#[track_caller]
fn refused(bad: &str, path: &str, says: &str, good: &str) {
    let of = |line: &str| certificate(&["dnsNames: [a.test]", line]);
    finds(&of(bad), &format!("10: error: {path}: "), says, &of(good));
}

#[test]
fn references_and_names() {
    let with = |old: &str, new: &str| certificate(&["dnsNames: [a.test]"]).replace(old, new);
    let good = certificate(&["dnsNames: [a.test]"]);
    let secret = with("web-tls", "Web_tls");
    finds(&secret, "6: error: spec.secretName: Invalid value: \"Web_tls\"", "lower case", &good);
    let kind = with("    name: ca", "    name: ca\n    kind: Isuer");
    finds(&kind, "9: error: spec.issuerRef.kind: Invalid value", "spec.issuerRef.group", &good);
    let nameless = with("  name: web\n", "  namespace: a\n");
    finds(&nameless, "3: error: metadata.name: Required", "generateName", &good.clone());
    let nobody = certificate(&["usages: [server auth]"]);
    finds(&nobody, "5: error: spec: Invalid value", "at least one of", &good);
}

#[test]
fn subjects() {
    let long = format!("commonName: {}", "a".repeat(65));
    finds(
        &certificate(&[&long]),
        "9: error: spec.commonName: Too long",
        "64 bytes",
        &certificate(&["commonName: me"]),
    );
    let path = "spec.literalSubject";
    let good = "literalSubject: CN=a,O=b";
    refused("literalSubject: FOO=a", path, "contains unrecognized key with value [a]", good);
    let both = certificate(&["literalSubject: CN=a", "subject: {countries: [DE]}"]);
    finds(
        &both,
        "10: error: spec.subject: Forbidden",
        "literalSubject",
        &certificate(&["literalSubject: 'CN=a,C=DE'"]),
    );
}

#[test]
fn alternative_names() {
    refused("ipAddresses: [fe80::1%eth0]", "spec.ipAddresses[0]", "zone", "ipAddresses: [fe80::1]");
    let good = "emailAddresses: [me@a.test]";
    refused("emailAddresses: [Me <me@a.test>]", "spec.emailAddresses[0]", "bare", good);
    let good = "otherNames: [{oid: 1.3.6.1.4.1.311.20.2.3, utf8Value: a}]";
    refused("otherNames: [{oid: a.b, utf8Value: a}]", "spec.otherNames[0].oid", "oid syntax", good);
    let empty = "otherNames: [{oid: 1.3.6.1.4.1.311.20.2.3}]";
    refused(empty, "spec.otherNames[0].utf8Value", "valid non-empty UTF8", good);
}

#[test]
fn keys_and_signatures() {
    let good = "privateKey: {algorithm: ECDSA, size: 384}";
    refused("privateKey: {algorithm: ECDSA, size: 512}", "spec.privateKey.size", "521", good);
    let good = "privateKey: {size: 4096}";
    refused("privateKey: {size: 16384}", "spec.privateKey.size", "8192", good);
    refused("privateKey: {size: '4096'}", "spec.privateKey.size", "without quotes", good);
    let good = "signatureAlgorithm: SHA384WithRSA";
    refused("signatureAlgorithm: PureEd25519", "spec.signatureAlgorithm", "signs with", good);
    refused("signatureAlgorithm: SHA1WithRSA", "spec.signatureAlgorithm", "supported values", good);
    refused("usages: [server_auth]", "spec.usages[0]", "\"server auth\"?", "usages: [server auth]");
}

#[test]
fn durations_and_renewal() {
    refused("duration: 90d", "spec.duration", "unknown unit", "duration: 2160h");
    refused("duration: 30m", "spec.duration", "at least 1h", "duration: 1h");
    refused("renewBefore: 1m", "spec.renewBefore", "at least 5m", "renewBefore: 720h");
    refused("renewBefore: 2160h", "spec.renewBefore", "shorter than", "renewBefore: 720h");
    let path = "spec.renewBeforePercentage";
    refused("renewBeforePercentage: 100", path, "1 and 99", "renewBeforePercentage: 33");
    refused("revisionHistoryLimit: 0", "spec.revisionHistoryLimit", "1", "revisionHistoryLimit: 1");
    let window = |cron: &str, zone: &str, length: &str| {
        format!(
            "renewal: {{policy: RenewBefore, windows: [{{cron: {cron:?}, timezone: {zone}, \
             windowDuration: {length}}}]}}"
        )
    };
    let good = window("0 3 * * *", "Europe/Berlin", "4h");
    let at = |field: &str| format!("spec.renewal.windows[0].{field}");
    refused(&window("0 25 * * *", "UTC", "4h"), &at("cron"), "", &good);
    refused(&window("0 3 * * *", "Mars/Base", "4h"), &at("timezone"), "", &good);
    refused(&window("0 3 * * *", "UTC", "4d"), &at("windowDuration"), "unit", &good);
    let none = "renewal: {windows: []}";
    refused(none, "spec.renewal.policy", "RenewBefore or", "renewal: {policy: RenewBefore}");
}

#[test]
fn both_ways_to_say_when_to_renew_exclude_each_other() {
    let both =
        certificate(&["dnsNames: [a.test]", "renewBefore: 720h", "renewBeforePercentage: 33"]);
    let found = lint(&both);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found.iter().all(|line| line.contains("set only one of")), "{found:#?}");
}

#[test]
fn secrets_and_keystores() {
    let good = "secretTemplate: {labels: {a: b}, annotations: {cert-manager.io/allow-direct-injection: 'true'}}";
    let bad = "secretTemplate: {annotations: {cert-manager.io/issuer-name: a}}";
    refused(bad, "spec.secretTemplate.annotations", "set by the controller", good);
    refused(
        "secretTemplate: {labels: {a b: c}}",
        "spec.secretTemplate.labels",
        "example.com",
        good,
    );
    let good = "additionalOutputFormats: [{type: DER}, {type: CombinedPEM}]";
    let twice = "additionalOutputFormats: [{type: DER}, {type: DER}]";
    refused(twice, "spec.additionalOutputFormats[1].type", "Duplicate value", good);
    let store = |fields: &str| {
        format!("keystores: {{pkcs12: {{create: true, profile: Modern2023{fields}}}}}")
    };
    let good = store(", passwordSecretRef: {name: p}");
    refused(&store(""), "spec.keystores.pkcs12", "exactly one", &good);
    let empty = store(", passwordSecretRef: {name: p}").replace("Modern2023", "Modern");
    refused(&empty, "spec.keystores.pkcs12.profile", "Unsupported value", &good);
}

#[test]
fn name_constraints() {
    let of = |constraints: &str, is_ca: &str| {
        certificate(&["commonName: root", "duration: 87600h", constraints, is_ca])
    };
    let good = of("nameConstraints: {permitted: {ipRanges: [10.0.0.0/8]}}", "isCA: true");
    let no_ca = of("nameConstraints: {permitted: {ipRanges: [10.0.0.0/8]}}", "isCA: false");
    finds(&no_ca, "11: error: spec.nameConstraints: Forbidden", "set isCA", &good);
    let range = of("nameConstraints: {permitted: {ipRanges: [10.0.0.0]}}", "isCA: true");
    finds(&range, "11: error: spec.nameConstraints.permitted.ipRanges[0]", "CIDR", &good);
    let none = of("nameConstraints: {critical: true}", "isCA: true");
    finds(&none, "11: error: spec.nameConstraints: Required", "permitted", &good);
}

#[test]
fn issuers() {
    let plain =
        ["acme:", "  server: https://acme.test/", "  privateKeySecretRef: {name: k}", "  solvers:"];
    let acme = |rest: &[&str]| issuer(&[&plain[..], rest].concat());
    let good = acme(&["  - http01: {ingress: {ingressClassName: c}}"]);
    finds(
        &issuer(&["ca: {secretName: s}", "selfSigned: {}"]),
        "7: error: spec.selfSigned: Forbidden",
        "all but one",
        &issuer(&["selfSigned: {}"]),
    );
    finds(
        &acme(&["  - selector: {dnsZones: [a.test]}"]),
        "10: error: spec.acme.solvers[0]: Required",
        "http01",
        &good,
    );
    let both = acme(&["  - http01: {ingress: {class: a, name: b}}"]);
    assert!(lint(&both)[0].contains("at most one of class"), "{:#?}", lint(&both));
    let dns = acme(&[
        "  - dns01:",
        "      route53: {region: r, accessKeyID: a, secretAccessKeySecretRef: {name: s}}",
    ]);
    finds(
        &dns,
        "11: error: spec.acme.solvers[0].dns01.route53.secretAccessKeySecretRef.key",
        "key",
        &dns.replace("{name: s}", "{name: s, key: k}"),
    );
    let bundle = acme(&["  - http01: {ingress: {ingressClassName: c}}", "  caBundle: '!'"]);
    finds(&bundle, "11: error: spec.acme.caBundle", "base64", &good);
    finds(
        &issuer(&["ca: {secretName: s, ocspServers: ['']}"]),
        "6: error: spec.ca.ocspServers[0]",
        "URL",
        &issuer(&["ca: {secretName: s, ocspServers: ['http://o.test']}"]),
    );
}

#[test]
fn annotations_that_the_operator_reads() {
    let of = |list: &str| {
        certificate(&["dnsNames: [a.test]"]).replace(
            "  name: web\n",
            &format!("  name: web\n  annotations:\n    everleaf.dev/issuer-fallbacks: {list}\n"),
        )
    };
    let path = "6: error: metadata.annotations[everleaf.dev/issuer-fallbacks]: ";
    finds(&of("a/b/c/d"), path, "names no issuer", &of("other, ClusterIssuer/third"));
}

#[test]
fn signing_requests_say_what_their_object_says() {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
    params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    let pem = params.serialize_request(&key).unwrap().pem().unwrap();
    use base64::Engine as _;
    let pem = base64::engine::general_purpose::STANDARD.encode(pem);
    let of = |request: &str, usage: &str| {
        format!(
            "apiVersion: cert-manager.io/v1\nkind: CertificateRequest\nmetadata: {{name: a}}\nspec:\n  \
             issuerRef: {{name: ca}}\n  usages: [{usage}]\n  request: {request}\n"
        )
    };
    let good = of(&pem, "digital signature");
    finds(&of(&pem, "cert sign"), "6: error: spec.usages: ", "signing request", &good);
    finds(
        &of("bm9uc2Vuc2U=", "digital signature"),
        "7: error: spec.request: ",
        "no signing",
        &good,
    );
}

#[test]
fn versions_and_kinds_that_are_not_served() {
    let good = certificate(&["dnsNames: [a.test]"]);
    let old = good.replace("cert-manager.io/v1", "cert-manager.io/v1alpha2");
    finds(&old, "1: error: apiVersion: ", "write cert-manager.io/v1", &good);
    let older = good.replace("cert-manager.io/v1", "certmanager.k8s.io/v1alpha1");
    finds(&older, "1: error: apiVersion: ", "write cert-manager.io/v1", &good);
    let typo = good.replace("cert-manager.io/v1", "certmanager.io/v1");
    finds(&typo, "1: error: apiVersion: ", "write cert-manager.io/v1", &good);
    let kind = good.replace("kind: Certificate", "kind: Certficate");
    finds(&kind, "2: error: kind: ", "did you mean Certificate?", &good);
}

#[test]
fn ingress_annotations() {
    let of = |annotations: &str, tls: &str| {
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: web\n  annotations:\n    \
             cert-manager.io/issuer: ca\n    {annotations}\nspec:\n  rules: [{{host: a.test}}]\n  tls:\n  {tls}\n"
        )
    };
    let block = "- {secretName: s, hosts: [a.test]}";
    let good = of("cert-manager.io/duration: 2160h", block);
    let at = "7: error: metadata.annotations[cert-manager.io/duration]: ";
    finds(&of("cert-manager.io/duration: 90d", block), at, "unit", &good);
    let both = of("cert-manager.io/cluster-issuer: b", block);
    finds(&both, "5: error: metadata.annotations: ", "may not be set", &good);
    let twice = of("cert-manager.io/duration: 2160h", &format!("{block}\n  {block}"));
    finds(&twice, "10: error: spec.tls: ", "two TLS blocks", &good);
    let skipped = of("cert-manager.io/duration: 2160h", "- {hosts: [a.test]}");
    finds(&skipped, "11: warning: spec.tls[0]: ", "no secretName", &good);
}
