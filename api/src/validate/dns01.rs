//! Rules for DNS-01 solvers.

use super::format::{is_host_maybe_port, is_host_port, is_https_url};
use super::issuer::{one_of, secret_key};
use super::{Found, Path, ViolationKind};
use crate::types::dns01::{
    AcmeDnsProvider, AcmeSolverDns01, AkamaiProvider, AzureDnsProvider, AzureManagedIdentity,
    CloudDnsProvider, CloudflareProvider, Rfc2136Provider, Route53Provider,
};

const TSIG_ALGORITHMS: [&str; 4] = ["HMACMD5", "HMACSHA1", "HMACSHA256", "HMACSHA512"];

pub(super) fn solver(found: &mut Found, solver: &AcmeSolverDns01, path: &Path) {
    for (i, server) in solver.nameservers.iter().enumerate() {
        if !is_host_port(server) && !is_https_url(server) {
            let why = "must be host:port or an https:// URL, as in 1.1.1.1:53 or \
                https://1.1.1.1/dns-query";
            found.invalid(path.child("nameservers").index(i), server, why);
        }
    }
    let set = [
        ("acmeDNS", solver.acme_dns.is_some()),
        ("akamai", solver.akamai.is_some()),
        ("azureDNS", solver.azure_dns.is_some()),
        ("cloudDNS", solver.cloud_dns.is_some()),
        ("cloudflare", solver.cloudflare.is_some()),
        ("digitalocean", solver.digitalocean.is_some()),
        ("rfc2136", solver.rfc2136.is_some()),
        ("route53", solver.route53.is_some()),
        ("webhook", solver.webhook.is_some()),
    ];
    one_of(found, &set, path, "provider type");
    providers(found, solver, path);
}

fn providers(found: &mut Found, solver: &AcmeSolverDns01, path: &Path) {
    if let Some(provider) = &solver.acme_dns {
        acme_dns(found, provider, &path.child("acmeDNS"));
    }
    if let Some(provider) = &solver.akamai {
        akamai(found, provider, &path.child("akamai"));
    }
    if let Some(provider) = &solver.azure_dns {
        azure(found, provider, &path.child("azureDNS"));
    }
    if let Some(provider) = &solver.cloud_dns {
        cloud_dns(found, provider, &path.child("cloudDNS"));
    }
    if let Some(provider) = &solver.cloudflare {
        cloudflare(found, provider, &path.child("cloudflare"));
    }
    if let Some(provider) = &solver.digitalocean {
        let path = path.child("digitalocean").child("tokenSecretRef");
        secret_key(found, &provider.token_secret_ref, &path);
    }
    if let Some(provider) = &solver.rfc2136 {
        rfc2136(found, provider, &path.child("rfc2136"));
    }
    if let Some(provider) = &solver.route53 {
        route53(found, provider, &path.child("route53"));
    }
    if let Some(provider) = &solver.webhook {
        found.text(path.child("webhook").child("solverName"), &provider.solver_name);
    }
}

fn acme_dns(found: &mut Found, provider: &AcmeDnsProvider, path: &Path) {
    secret_key(found, &provider.account_secret_ref, &path.child("accountSecretRef"));
    found.text(path.child("host"), &provider.host);
}

fn akamai(found: &mut Found, provider: &AkamaiProvider, path: &Path) {
    secret_key(found, &provider.access_token_secret_ref, &path.child("accessTokenSecretRef"));
    secret_key(found, &provider.client_secret_secret_ref, &path.child("clientSecretSecretRef"));
    secret_key(found, &provider.client_token_secret_ref, &path.child("clientTokenSecretRef"));
    found.text(path.child("serviceConsumerDomain"), &provider.service_consumer_domain);
}

fn azure(found: &mut Found, provider: &AzureDnsProvider, path: &Path) {
    found.text(path.child("subscriptionID"), &provider.subscription_id);
    found.text(path.child("resourceGroupName"), &provider.resource_group_name);
    if let Some(secret) = &provider.client_secret_secret_ref {
        secret_key(found, secret, &path.child("clientSecretSecretRef"));
    }
    let principal = [
        ("clientID", provider.client_id.is_some()),
        ("clientSecretSecretRef", provider.client_secret_secret_ref.is_some()),
        ("tenantID", provider.tenant_id.is_some()),
    ];
    let identity = path.child("managedIdentity");
    if principal.iter().any(|(_, set)| *set) {
        for (name, _) in principal.iter().filter(|(_, set)| !*set) {
            let why = "clientID, clientSecretSecretRef and tenantID are needed together";
            found.required(path.child(name), why);
        }
        if provider.managed_identity.is_some() {
            let why = "must not be set beside clientID, clientSecretSecretRef or tenantID";
            found.forbidden(identity, why);
        }
    } else if let Some(managed) = &provider.managed_identity {
        azure_identity(found, managed, &identity);
    }
}

fn azure_identity(found: &mut Found, identity: &AzureManagedIdentity, path: &Path) {
    let AzureManagedIdentity { client_id, resource_id, tenant_id } = identity;
    if client_id.is_some() && resource_id.is_some() {
        found.forbidden(path.clone(), "set at most one of clientID and resourceID");
    }
    if tenant_id.is_some() && resource_id.is_some() {
        found.forbidden(path.clone(), "set at most one of tenantID and resourceID");
    }
    if tenant_id.is_some() && client_id.is_none() {
        found.required(path.child("clientID"), "needed with tenantID");
    }
}

fn cloud_dns(found: &mut Found, provider: &CloudDnsProvider, path: &Path) {
    found.text(path.child("project"), &provider.project);
    if let Some(secret) = &provider.service_account_secret_ref {
        secret_key(found, secret, &path.child("serviceAccountSecretRef"));
    }
}

fn cloudflare(found: &mut Found, provider: &CloudflareProvider, path: &Path) {
    let set = [
        ("apiTokenSecretRef", provider.api_token_secret_ref.is_some()),
        ("apiKeySecretRef", provider.api_key_secret_ref.is_some()),
    ];
    one_of(found, &set, path, "credential");
    if let Some(token) = &provider.api_token_secret_ref {
        secret_key(found, token, &path.child("apiTokenSecretRef"));
    }
    if let Some(key) = &provider.api_key_secret_ref {
        secret_key(found, key, &path.child("apiKeySecretRef"));
        if provider.email.is_none() {
            found.required(path.child("email"), "needed with apiKeySecretRef");
        }
    }
}

fn rfc2136(found: &mut Found, provider: &Rfc2136Provider, path: &Path) {
    let nameserver = path.child("nameserver");
    if found.text(nameserver.clone(), &provider.nameserver)
        && !is_host_maybe_port(&provider.nameserver)
    {
        let why = "must be host or host:port, an IPv6 address in brackets";
        found.invalid(nameserver, &provider.nameserver, why);
    }
    if let Some(algorithm) = &provider.tsig_algorithm
        && !TSIG_ALGORITHMS.contains(&algorithm.to_ascii_uppercase().as_str())
    {
        let why = format!("must be one of {}", TSIG_ALGORITHMS.join(", "));
        let value = Some(algorithm.clone());
        found.add(path.child("tsigAlgorithm"), ViolationKind::NotSupported, value, why);
    }
    let secret = path.child("tsigSecretSecretRef");
    match (&provider.tsig_key_name, &provider.tsig_secret_secret_ref) {
        (Some(_), None) => found.required(secret, "needed with tsigKeyName"),
        (Some(_), Some(selector)) => secret_key(found, selector, &secret),
        (None, Some(selector)) if !selector.name.is_empty() && selector.key.is_some() => {
            found.required(path.child("tsigKeyName"), "needed with tsigSecretSecretRef");
        }
        _ => {}
    }
}

fn route53(found: &mut Found, provider: &Route53Provider, path: &Path) {
    if provider.access_key_id.is_some() && provider.access_key_id_secret_ref.is_some() {
        found.forbidden(path.clone(), "set at most one of accessKeyID and accessKeyIDSecretRef");
    }
    if let Some(secret) = &provider.access_key_id_secret_ref {
        secret_key(found, secret, &path.child("accessKeyIDSecretRef"));
    }
    if let Some(secret) = &provider.secret_access_key_secret_ref {
        secret_key(found, secret, &path.child("secretAccessKeySecretRef"));
    }
}
