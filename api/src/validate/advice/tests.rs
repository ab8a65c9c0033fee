//! Each rule once: what it finds, and the same mended.

use serde_json::{Value, json};

use super::{Warning, certificate_warnings, issuer_warnings};
use crate::types::certificate::CertificateSpec;
use crate::types::issuer::IssuerSpec;

fn merged(mut into: Value, from: &Value) -> Value {
    for (key, value) in from.as_object().unwrap() {
        into[key] = value.clone();
    }
    into
}

fn of_certificate(json: &Value) -> Vec<Warning> {
    let plain = json!({"secretName": "s", "issuerRef": {"name": "i"}, "dnsNames": ["a.test"]});
    let spec: CertificateSpec = serde_json::from_value(merged(plain, json)).unwrap();
    certificate_warnings(&spec)
}

fn of_acme(json: &Value) -> Vec<Warning> {
    let plain = json!({
        "server": "https://acme.test/", "privateKeySecretRef": {"name": "k"},
        "solvers": [{"http01": {"ingress": {"ingressClassName": "c"}}}],
    });
    let spec = json!({"acme": merged(plain, json)});
    let spec: IssuerSpec = serde_json::from_value(spec).unwrap();
    issuer_warnings(&spec, true)
}

#[track_caller]
fn one(found: &[Warning], path: &str, says: &str) {
    let [only] = found else { panic!("not one warning: {found:?}") };
    assert_eq!(only.path, path, "{only}");
    assert!(only.message.contains(says), "{only}");
}

/// `bad` has one warning, and `good` none.
#[track_caller]
fn certificate(bad: Value, path: &str, says: &str, good: Value) {
    one(&of_certificate(&bad), path, says);
    assert_eq!(of_certificate(&good), []);
}

#[track_caller]
fn acme(bad: Value, path: &str, says: &str, good: Value) {
    one(&of_acme(&bad), path, says);
    assert_eq!(of_acme(&good), []);
}

#[test]
fn a_common_name_is_one_of_the_names() {
    let good = json!({"commonName": "a.test"});
    certificate(json!({"commonName": "b.test"}), "spec.commonName", "clients look there", good);
    let good = json!({"commonName": "a.test", "dnsNames": ["a.test", "b.test"]});
    certificate(json!({"commonName": "My site"}), "spec.commonName", "none of the names", good);
    let only = json!({"commonName": "b.test", "dnsNames": []});
    certificate(only, "spec.commonName", "add it", json!({"commonName": "me", "dnsNames": []}));
    assert_eq!(of_certificate(&json!({"commonName": "Root", "isCA": true, "duration": "9h"})), []);
}

#[test]
fn names_are_such_as_clients_look_for() {
    let cases = [
        ("10.0.0.1", "ipAddresses"),
        ("https://a.test", "is a URL"),
        ("a.test:443", "has a port"),
        ("b\u{fc}cher.test", "xn--"),
        ("a.*.test", "first label"),
        ("a*.test", "first label"),
        ("a.test.", "ends with a dot"),
        ("A.test", "upper case"),
        ("a..test", "no DNS name"),
        ("-a.test", "no DNS name"),
    ];
    for (name, says) in cases {
        one(&of_certificate(&json!({"dnsNames": [name]})), "spec.dnsNames[0]", says);
    }
    let fine = ["*.a.test", "a_b.test", "localhost", "xn--bcher-kva.test", "1.a.test"];
    assert_eq!(of_certificate(&json!({"dnsNames": fine})), []);
}

#[test]
fn a_name_is_listed_once_and_a_uri_has_a_scheme() {
    let bad = json!({"dnsNames": ["a.test", "b.test", "a.test"]});
    certificate(bad, "spec.dnsNames[2]", "twice", json!({"dnsNames": ["a.test", "b.test"]}));
    let good = json!({"uris": ["spiffe://a.test/b"]});
    certificate(json!({"uris": ["a.test/b"]}), "spec.uris[0]", "no scheme", good);
}

#[test]
fn keys_change_and_are_of_a_size_that_is_made() {
    let key = |key| json!({"privateKey": key});
    let never = key(json!({"rotationPolicy": "Never"}));
    let always = key(json!({"rotationPolicy": "Always"}));
    certificate(never, "spec.privateKey.rotationPolicy", "Always", always);
    let size = "spec.privateKey.size";
    certificate(key(json!({"size": 8192})), size, "slows", key(json!({"size": 3072})));
    certificate(key(json!({"size": 2500})), size, "refused", key(json!({"size": 4096})));
}

#[test]
fn a_renewal_is_neither_at_once_nor_at_the_last_moment() {
    let good = json!({"duration": "24h", "renewBefore": "8h"});
    let early = json!({"duration": "24h", "renewBefore": "23h"});
    certificate(early, "spec.renewBefore", "renews 1h0m0s after issuance", good.clone());
    let late = json!({"duration": "24h", "renewBefore": "10m"});
    certificate(late, "spec.renewBefore", "10m0s before the end", good);
    let percent = |percent| json!({"renewBeforePercentage": percent});
    let path = "spec.renewBeforePercentage";
    certificate(percent(95), path, "after issuance", percent(33));
    let short = json!({"duration": "1h", "renewBefore": "20m"});
    assert_eq!(of_certificate(&short), []);
}

#[test]
fn lives_are_such_as_clients_accept() {
    let path = "spec.duration";
    certificate(json!({"duration": "87600h"}), path, "825", json!({"duration": "8760h"}));
    let ca = json!({"isCA": true, "duration": "87600h"});
    certificate(json!({"isCA": true}), "spec.isCA", "90 days", ca);
    let bad = json!({"renewal": {"policy": "Disabled"}});
    let good = json!({"renewal": {"policy": "RenewBefore"}});
    certificate(bad, "spec.renewal.policy", "nothing renews", good);
}

#[test]
fn usages_do_for_what_they_are_meant() {
    let usages = |usages: &[&str]| json!({"usages": usages});
    let good = usages(&["digital signature", "server auth"]);
    let bad = usages(&["key encipherment", "server auth"]);
    certificate(bad, "spec.usages", "TLS 1.3", good.clone());
    certificate(usages(&["cert sign"]), "spec.usages", "isCA", good.clone());
    let bad = merged(good.clone(), &json!({"encodeUsagesInRequest": false}));
    certificate(bad, "spec.encodeUsagesInRequest", "will not see", good);
}

#[test]
fn keystores_are_written_and_keep_their_secret() {
    let of = |kind: &str, fields: Value| {
        let plain = json!({"create": true, "passwordSecretRef": {"name": "p"}});
        json!({"keystores": {kind: merged(plain, &fields)}})
    };
    let literal = json!({"passwordSecretRef": null, "password": "changeit"});
    let path = "spec.keystores.jks.password";
    certificate(of("jks", literal), path, "passwordSecretRef", of("jks", json!({})));
    let idle = of("jks", json!({"create": false}));
    certificate(idle, "spec.keystores.jks.create", "no keystore", of("jks", json!({})));
    let good = of("pkcs12", json!({"profile": "Modern2023"}));
    let path = "spec.keystores.pkcs12.profile";
    certificate(of("pkcs12", json!({})), path, "-legacy", good);
}

#[test]
fn an_acme_server_is_reached_over_tls_that_is_verified() {
    let server = |server| json!({"server": server});
    let v1 = server("https://acme-v01.api.letsencrypt.org/directory");
    acme(v1, "spec.acme.server", "ACMEv1", server("https://acme.test/"));
    let plain = server("http://acme.test/");
    acme(plain, "spec.acme.server", "HTTPS", server("https://acme.test/"));
    let blind = json!({"skipTLSVerify": true});
    acme(blind, "spec.acme.skipTLSVerify", "caBundle", json!({"skipTLSVerify": false}));
}

#[test]
fn lets_encrypt_knows_whom_to_write_to() {
    let server = "https://acme-v02.api.letsencrypt.org/directory";
    let good = json!({"server": server, "email": "a@b.test"});
    acme(json!({"server": server}), "spec.acme", "set email", good);
    let staging = "https://acme-staging-v02.api.letsencrypt.org/directory";
    assert_eq!(of_acme(&json!({"server": staging})), []);
}

#[test]
fn the_hash_of_an_account_binding_cannot_be_chosen() {
    let binding = |algorithm: Value| {
        json!({"externalAccountBinding": {
            "keyID": "k", "keySecretRef": {"name": "s"}, "keyAlgorithm": algorithm}})
    };
    let path = "spec.acme.externalAccountBinding.keyAlgorithm";
    acme(binding(json!("HS256")), path, "without effect", binding(Value::Null));
}

fn solvers(solvers: Value) -> Value {
    json!({"solvers": solvers})
}

fn http01(selector: Value) -> Value {
    json!({"http01": {"ingress": {}}, "selector": selector})
}

#[test]
fn there_is_a_solver_and_none_that_another_hides() {
    let good = solvers(json!([http01(Value::Null)]));
    acme(solvers(json!([])), "spec.acme.solvers", "without a solver", good.clone());
    let twice = solvers(json!([http01(Value::Null), http01(Value::Null)]));
    acme(twice, "spec.acme.solvers[1]", "never chosen", good);
    let zone = |zone| http01(json!({"dnsZones": [zone]}));
    let good = solvers(json!([zone("a.test"), zone("b.test")]));
    acme(solvers(json!([zone("a.test"), zone("a.test")])), "spec.acme.solvers[1]", "this", good);
}

#[test]
fn selectors_match_something() {
    let of = |selector| solvers(json!([http01(selector)]));
    let at = |rest: &str| format!("spec.acme.solvers[0].selector.{rest}");
    let good = of(json!({"dnsNames": ["a.b.test"], "dnsZones": ["b.test"]}));
    let bad = of(json!({"dnsNames": ["a.test"], "dnsZones": ["b.test"]}));
    acme(bad, &at("dnsNames[0]"), "none of dnsZones", good.clone());
    let bad = of(json!({"dnsNames": ["*.b.test"]}));
    acme(bad, &at("dnsNames[0]"), "only DNS-01", good.clone());
    let bad = of(json!({"dnsNames": ["A.test"]}));
    acme(bad, &at("dnsNames[0]"), "lower case", good.clone());
    for zone in [".b.test", "b.test.", "B.test"] {
        acme(of(json!({"dnsZones": [zone]})), &at("dnsZones[0]"), "lower case", good.clone());
    }
    acme(of(json!({"dnsZones": ["*.b.test"]})), &at("dnsZones[0]"), "wildcards", good);
}

#[test]
fn an_ingress_class_is_a_field() {
    let class = |field: &str| solvers(json!([{"http01": {"ingress": {field: "c"}}}]));
    let path = "spec.acme.solvers[0].http01.ingress.class";
    acme(class("class"), path, "deprecated", class("ingressClassName"));
}

#[test]
fn dns_providers_are_asked_with_keys_that_are_theirs_and_strong() {
    let of = |provider: Value| solvers(json!([{"dns01": provider}]));
    let at = |rest: &str| format!("spec.acme.solvers[0].dns01.{rest}");
    let secret = json!({"name": "s", "key": "k"});
    let rfc = |algorithm: Value, key: Value| {
        of(json!({"rfc2136": {"nameserver": "ns.test", "tsigAlgorithm": algorithm,
            "tsigKeyName": key, "tsigSecretSecretRef": secret}}))
    };
    let good = rfc(json!("HMACSHA256"), json!("key"));
    acme(rfc(Value::Null, json!("key")), &at("rfc2136.tsigAlgorithm"), "HMACMD5", good.clone());
    acme(rfc(Value::Null, Value::Null), &at("rfc2136"), "without a TSIG key", good);
    let key = of(json!({"cloudflare": {"apiKeySecretRef": secret, "email": "a@b.test"}}));
    let token = of(json!({"cloudflare": {"apiTokenSecretRef": secret}}));
    acme(key, &at("cloudflare.apiKeySecretRef"), "API token", token);
    let azure = |environment| {
        of(json!({"azureDNS": {"subscriptionID": "s", "resourceGroupName": "g",
            "clientSecretSecretRef": secret, "environment": environment}}))
    };
    let (bad, good) = (azure("AzureGermanCloud"), azure("AzurePublicCloud"));
    acme(bad, &at("azureDNS.environment"), "closed", good);
}

#[test]
fn only_cluster_issuers_are_lent_the_operators_credentials() {
    let bad = solvers(json!([{"dns01": {"route53": {"region": "r"}}}]));
    let secret = json!({"name": "s", "key": "k"});
    let good = solvers(json!([{"dns01": {"route53": {
        "region": "r", "accessKeyID": "a", "secretAccessKeySecretRef": secret}}}]));
    let path = "spec.acme.solvers[0].dns01.route53";
    acme(bad.clone(), path, "--issuer-ambient-credentials", good);
    let spec = json!({"acme": merged(bad, &json!({
        "server": "https://acme.test/", "privateKeySecretRef": {"name": "k"}}))});
    assert_eq!(issuer_warnings(&serde_json::from_value(spec).unwrap(), false), []);
}

#[test]
fn vault_has_one_way_in_and_is_told_not_to_be_built() {
    let vault = |auth: Value, server: &str| {
        let spec = json!({"vault": {"server": server, "path": "pki/sign/x", "auth": auth}});
        issuer_warnings(&serde_json::from_value(spec).unwrap(), true)
    };
    let one_way = json!({"tokenSecretRef": {"name": "t"}});
    one(&vault(one_way.clone(), "https://v"), "spec.vault", "does not issue");
    let two = json!({"tokenSecretRef": {"name": "t"}, "kubernetes": {"role": "r"}});
    assert_eq!(vault(two, "https://v")[1].path, "spec.vault.auth");
    assert_eq!(vault(one_way, "http://v")[1].path, "spec.vault.server");
}
