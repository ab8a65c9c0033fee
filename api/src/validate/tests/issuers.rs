use serde_json::{Value, json};

use super::paths;
use crate::types::issuer::IssuerSpec;
use crate::validate::{issuer, message};

#[track_caller]
fn issuer_faults(json: Value, want: &[&str]) {
    let spec: IssuerSpec = serde_json::from_value(json).unwrap();
    let found = issuer(&spec);
    assert_eq!(paths(&found), want, "{}", message(&found));
}

#[test]
fn an_issuer_is_exactly_one() {
    issuer_faults(json!({}), &["spec"]);
    issuer_faults(json!({"selfSigned": {}}), &[]);
    issuer_faults(json!({"selfSigned": {}, "ca": {"secretName": "s"}}), &["spec.selfSigned"]);
    let urls = json!({"ca": {"ocspServers": ["x", ""], "issuingCertificateURLs": [""]}});
    let want =
        ["spec.ca.secretName", "spec.ca.ocspServers[1]", "spec.ca.issuingCertificateURLs[0]"];
    issuer_faults(urls, &want);
}

const SEQUENCE: &str = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";

fn packed(text: &str) -> Value {
    serde_json::to_value(crate::Bytes::from(text)).unwrap()
}

#[test]
fn acme_issuers() {
    let acme = |json: Value| {
        let mut acme = json!({"server": "https://a", "privateKeySecretRef": {"name": "k"}});
        for (key, value) in json.as_object().unwrap() {
            acme[key] = value.clone();
        }
        json!({"acme": acme})
    };
    issuer_faults(acme(json!({"caBundle": packed(SEQUENCE)})), &[]);
    issuer_faults(acme(json!({"caBundle": packed("x")})), &["spec.acme.caBundle"]);
    let both = json!({"caBundle": packed(SEQUENCE), "skipTLSVerify": true});
    issuer_faults(acme(both), &["spec.acme.caBundle", "spec.acme.skipTLSVerify"]);
    issuer_faults(json!({"acme": {}}), &["spec.acme.privateKeySecretRef.name", "spec.acme.server"]);
    let at = "spec.acme.externalAccountBinding.";
    let binding = json!({"externalAccountBinding": {"keyAlgorithm": "HS256"}});
    let want = ["keyID", "keySecretRef.name", "keySecretRef.key"].map(|f| format!("{at}{f}"));
    issuer_faults(acme(binding), &want.each_ref().map(String::as_str));
}

#[track_caller]
fn solver_faults(json: Value, want: &[&str]) {
    let acme =
        json!({"server": "https://a", "privateKeySecretRef": {"name": "k"}, "solvers": [json]});
    let spec: IssuerSpec = serde_json::from_value(json!({"acme": acme})).unwrap();
    let found = issuer(&spec);
    let short: Vec<&str> =
        paths(&found).into_iter().map(|p| p.trim_start_matches("spec.acme.solvers[0]")).collect();
    assert_eq!(short, want, "{}", message(&found));
}

#[test]
fn a_solver_is_exactly_one() {
    solver_faults(json!({}), &[""]);
    let both = json!({"http01": {"ingress": {}}, "dns01": {"route53": {}}});
    solver_faults(both, &[".dns01"]);
    solver_faults(json!({"tlsALPN01": {}}), &[]);
    solver_faults(json!({"http01": {"ingress": {}}, "tlsALPN01": {}}), &[".tlsALPN01"]);
    let wait = json!({"http01": {"ingress": {}}, "waitInsteadOfSelfCheck": "-1s"});
    solver_faults(wait, &[".waitInsteadOfSelfCheck"]);
}

#[test]
fn http01_solvers() {
    let ingress = |json: Value| json!({"http01": {"ingress": json}});
    solver_faults(json!({"http01": {}}), &[".http01"]);
    let both = json!({"http01": {"ingress": {}, "gatewayHTTPRoute": {}}});
    solver_faults(both, &[".http01.gatewayHTTPRoute"]);
    solver_faults(ingress(json!({"class": "a/b"})), &[]);
    solver_faults(ingress(json!({"class": "a", "name": "b"})), &[".http01.ingress"]);
    let class = ".http01.ingress.ingressClassName";
    solver_faults(ingress(json!({"ingressClassName": "a/b"})), &[class]);
    solver_faults(ingress(json!({"ingressClassName": ""})), &[class]);
    solver_faults(ingress(json!({"serviceType": "ClusterIP"})), &[]);
    solver_faults(ingress(json!({"serviceType": "X"})), &[".http01.ingress.serviceType"]);
    let route = |json: Value| json!({"http01": {"gatewayHTTPRoute": {"parentRefs": json}}});
    solver_faults(route(json!([])), &[]);
    let refs = json!([{"name": "g", "kind": "Gateway"}, {"name": "g"}, {"kind": "Gateway"}]);
    let at = ".http01.gatewayHTTPRoute.parentRefs";
    solver_faults(route(refs), &[&format!("{at}[1].kind"), &format!("{at}[2].name")]);
}

#[track_caller]
fn dns_faults(json: Value, want: &[&str]) {
    let want: Vec<String> = want.iter().map(|path| format!(".dns01{path}")).collect();
    solver_faults(json!({"dns01": json}), &want.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn a_dns_solver_has_one_provider_whichever_they_are() {
    let key = json!({"name": "s", "key": "k"});
    dns_faults(json!({}), &[""]);
    let two = json!({
        "acmeDNS": {"accountSecretRef": key, "host": "h"},
        "akamai": {
            "accessTokenSecretRef": key, "clientSecretSecretRef": key,
            "clientTokenSecretRef": key, "serviceConsumerDomain": "d",
        },
    });
    dns_faults(two, &[".akamai"]);
    let servers = json!({"route53": {}, "nameservers": ["1.1.1.1:53", "1.1.1.1", "https://a/q"]});
    dns_faults(servers, &[".nameservers[1]"]);
}

#[test]
fn dns_providers_need_their_fields() {
    let key = json!({"name": "s", "key": "k"});
    let acme_dns =
        [".acmeDNS.accountSecretRef.name", ".acmeDNS.accountSecretRef.key", ".acmeDNS.host"];
    dns_faults(json!({"acmeDNS": {}}), &acme_dns);
    let akamai = json!({"akamai": {
        "accessTokenSecretRef": key, "clientSecretSecretRef": {"name": "s"},
        "clientTokenSecretRef": {"key": "k"},
    }});
    let want = [
        ".akamai.clientSecretSecretRef.key",
        ".akamai.clientTokenSecretRef.name",
        ".akamai.serviceConsumerDomain",
    ];
    dns_faults(akamai, &want);
    dns_faults(json!({"cloudDNS": {}}), &[".cloudDNS.project"]);
    let token = [".digitalocean.tokenSecretRef.name", ".digitalocean.tokenSecretRef.key"];
    dns_faults(json!({"digitalocean": {}}), &token);
    dns_faults(json!({"webhook": {"groupName": ""}}), &[".webhook.solverName"]);
    let route53 = json!({"accessKeyID": "a", "accessKeyIDSecretRef": key});
    dns_faults(json!({"route53": route53}), &[".route53"]);
    dns_faults(json!({"route53": {"secretAccessKeySecretRef": {"name": ""}}}), &[]);
    dns_faults(json!({"cloudflare": {}}), &[".cloudflare"]);
    dns_faults(json!({"cloudflare": {"apiKeySecretRef": key}}), &[".cloudflare.email"]);
    let both = json!({"apiKeySecretRef": key, "apiTokenSecretRef": key, "email": "a@b"});
    dns_faults(json!({"cloudflare": both}), &[".cloudflare.apiKeySecretRef"]);
}

#[test]
fn azure_takes_a_principal_or_an_identity() {
    let azure = |json: Value| {
        let mut azure = json!({"subscriptionID": "s", "resourceGroupName": "r"});
        for (key, value) in json.as_object().unwrap() {
            azure[key] = value.clone();
        }
        json!({"azureDNS": azure})
    };
    dns_faults(azure(json!({})), &[]);
    dns_faults(
        json!({"azureDNS": {}}),
        &[".azureDNS.subscriptionID", ".azureDNS.resourceGroupName"],
    );
    let part = [".azureDNS.clientSecretSecretRef", ".azureDNS.tenantID"];
    dns_faults(azure(json!({"clientID": "c"})), &part);
    let key = json!({"name": "s", "key": "k"});
    let all = json!({
        "clientID": "c", "tenantID": "t", "clientSecretSecretRef": key, "managedIdentity": {},
    });
    dns_faults(azure(all), &[".azureDNS.managedIdentity"]);
    let identity = |json: Value| azure(json!({"managedIdentity": json}));
    dns_faults(identity(json!({"clientID": "c", "tenantID": "t"})), &[]);
    let at = ".azureDNS.managedIdentity";
    dns_faults(identity(json!({"clientID": "c", "resourceID": "r"})), &[at]);
    dns_faults(identity(json!({"tenantID": "t"})), &[&format!("{at}.clientID")]);
    let none = format!("{at}.clientID");
    dns_faults(identity(json!({"tenantID": "t", "resourceID": "r"})), &[at, &none]);
}

#[test]
fn dynamic_updates_are_signed_with_a_whole_key_or_not_at_all() {
    let key = json!({"name": "s", "key": "k"});
    let rfc2136 = |json: Value| {
        let mut provider = json!({"nameserver": "ns.test"});
        for (name, value) in json.as_object().unwrap() {
            provider[name] = value.clone();
        }
        json!({"rfc2136": provider})
    };
    for server in ["10.0.0.1", "10.0.0.1:5353", "[::1]", "[::1]:53"] {
        dns_faults(rfc2136(json!({"nameserver": server})), &[]);
    }
    dns_faults(rfc2136(json!({"nameserver": "::1"})), &[".rfc2136.nameserver"]);
    dns_faults(rfc2136(json!({"nameserver": ""})), &[".rfc2136.nameserver"]);
    dns_faults(rfc2136(json!({"tsigAlgorithm": "hmacsha512"})), &[]);
    dns_faults(rfc2136(json!({"tsigAlgorithm": "HMACSHA384"})), &[".rfc2136.tsigAlgorithm"]);
    let secret = ".rfc2136.tsigSecretSecretRef";
    dns_faults(rfc2136(json!({"tsigKeyName": "n"})), &[secret]);
    dns_faults(rfc2136(json!({"tsigSecretSecretRef": key})), &[".rfc2136.tsigKeyName"]);
    dns_faults(rfc2136(json!({"tsigKeyName": "n", "tsigSecretSecretRef": key})), &[]);
    let half = json!({"tsigKeyName": "n", "tsigSecretSecretRef": {"name": "s"}});
    dns_faults(rfc2136(half), &[&format!("{secret}.key")]);
}

#[test]
fn vault_issuers() {
    let vault = |json: Value| {
        let mut vault = json!({
            "server": "https://v", "path": "pki/sign/r", "auth": {"tokenSecretRef": {"name": "t"}},
        });
        for (key, value) in json.as_object().unwrap() {
            vault[key] = value.clone();
        }
        json!({"vault": vault})
    };
    issuer_faults(vault(json!({})), &[]);
    issuer_faults(
        json!({"vault": {}}),
        &["spec.vault.server", "spec.vault.path", "spec.vault.auth"],
    );
    issuer_faults(vault(json!({"path": "a/../b"})), &["spec.vault.path"]);
    issuer_faults(vault(json!({"path": "a/..b"})), &[]);
    let two = json!({"caBundle": packed(SEQUENCE), "caBundleSecretRef": {"name": "s"}});
    issuer_faults(vault(two), &["spec.vault.caBundle", "spec.vault.caBundleSecretRef"]);
    let half = json!({"clientCertSecretRef": {"name": "s"}});
    issuer_faults(vault(half), &["spec.vault.clientKeySecretRef"]);

    let auth = |json: Value| vault(json!({"auth": json}));
    let several = json!({"tokenSecretRef": {"name": "t"}, "clientCertificate": {}});
    issuer_faults(auth(several), &[]);
    let role = ["roleId", "secretRef.name", "path"].map(|f| format!("spec.vault.auth.appRole.{f}"));
    issuer_faults(auth(json!({"appRole": {"path": ".."}})), &role.each_ref().map(String::as_str));
    let certificate = json!({"clientCertificate": {"mountPath": "/v1/../x"}});
    issuer_faults(auth(certificate), &["spec.vault.auth.clientCertificate.mountPath"]);
    let at = "spec.vault.auth.kubernetes";
    issuer_faults(
        auth(json!({"kubernetes": {"secretRef": {"name": ""}}})),
        &[&format!("{at}.role"), at],
    );
    let both = json!({"role": "r", "secretRef": {"name": "s"}, "serviceAccountRef": {"name": ""}});
    let want = [format!("{at}.serviceAccountRef"), format!("{at}.serviceAccountRef.name")];
    issuer_faults(auth(json!({"kubernetes": both})), &want.each_ref().map(String::as_str));
    let aws = json!({"aws": {"role": "r", "serviceAccountRef": {"name": "a"}}});
    issuer_faults(auth(aws), &["spec.vault.auth.aws.iamRoleArn"]);
}

#[test]
fn venafi_issuers() {
    let venafi = |json: Value| {
        let mut venafi = json!({"zone": "z"});
        for (key, value) in json.as_object().unwrap() {
            venafi[key] = value.clone();
        }
        json!({"venafi": venafi})
    };
    issuer_faults(json!({"venafi": {}}), &["spec.venafi.zone", "spec.venafi"]);
    issuer_faults(venafi(json!({"cloud": {}})), &[]);
    issuer_faults(venafi(json!({"tpp": {"url": "u"}, "cloud": {}})), &["spec.venafi.cloud"]);
    let tpp = json!({"tpp": {"caBundle": packed("x"), "caBundleSecretRef": {"name": "s"}}});
    issuer_faults(venafi(tpp), &["spec.venafi.tpp.url", "spec.venafi.tpp"]);
    let want = ["spec.venafi.ngts.tsgID", "spec.venafi.ngts.credentialsRef.name"];
    issuer_faults(venafi(json!({"ngts": {}})), &want);
}
