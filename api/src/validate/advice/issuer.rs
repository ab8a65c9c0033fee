//! What is unwise in an Issuer or ClusterIssuer.

use super::{Path, Warning, Warnings};
use crate::types::acme::{AcmeIssuer, AcmeSolver, CertificateDnsNameSelector};
use crate::types::dns01::{AcmeSolverDns01, AzureEnvironment};
use crate::types::issuer::IssuerSpec;
use crate::types::vault::VaultAuth;

const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/";
const LETS_ENCRYPT_V1: [&str; 2] =
    ["https://acme-v01.api.letsencrypt.org", "https://acme-staging.api.letsencrypt.org"];

/// What is allowed and unwise in an issuer's spec; `namespaced` is true for an Issuer.
#[must_use]
pub fn issuer_warnings(spec: &IssuerSpec, namespaced: bool) -> Vec<Warning> {
    let (mut found, root) = (Warnings::default(), Path::new("spec"));
    if let Some(issuer) = &spec.acme {
        acme(&mut found, issuer, namespaced, &root.child("acme"));
    }
    for (name, given) in [("vault", spec.vault.is_some()), ("venafi", spec.venafi.is_some())] {
        if given {
            let why = "Everleaf does not issue from this type yet: its certificates would not be \
                renewed";
            found.warn(&root.child(name), why);
        }
    }
    if let Some(vault) = &spec.vault {
        vault_auth(&mut found, &vault.auth, &root.child("vault").child("auth"));
        if vault.server.starts_with("http://") {
            let why = "without TLS everyone on the way reads the token";
            found.warn(&root.child("vault").child("server"), why);
        }
    }
    found.0
}

fn vault_auth(found: &mut Warnings, auth: &VaultAuth, path: &Path) {
    let set = [
        auth.token_secret_ref.is_some(),
        auth.app_role.is_some(),
        auth.client_certificate.is_some(),
        auth.kubernetes.is_some(),
        auth.aws.is_some(),
    ];
    if set.iter().filter(|set| **set).count() > 1 {
        found.warn(path, "has several ways to log in: the issuer does not get Ready; keep one");
    }
}

fn acme(found: &mut Warnings, issuer: &AcmeIssuer, namespaced: bool, path: &Path) {
    server(found, issuer, path);
    if issuer.skip_tls_verify == Some(true) {
        let why = "anyone on the way can pose as the CA; give its root as caBundle";
        found.warn(&path.child("skipTLSVerify"), why);
    }
    let binding = issuer.external_account_binding.as_ref();
    if binding.is_some_and(|binding| binding.key_algorithm.is_some()) {
        let why = "is deprecated and without effect: HS256 is always used; remove it";
        found.warn(&path.child("externalAccountBinding").child("keyAlgorithm"), why);
    }
    let solvers = path.child("solvers");
    if issuer.solvers.is_empty() {
        found.warn(&solvers, "without a solver no name can be proved, and nothing is issued");
    }
    for (i, solver) in issuer.solvers.iter().enumerate() {
        let path = solvers.index(i);
        unreachable(found, &issuer.solvers[..i], solver, &path);
        if let Some(selector) = &solver.selector {
            selects_nothing(found, selector, solver, &path.child("selector"));
        }
        if let Some(dns01) = &solver.dns01 {
            provider(found, dns01, namespaced, &path.child("dns01"));
        }
        let ingress = solver.http01.as_ref().and_then(|http01| http01.ingress.as_ref());
        if ingress.is_some_and(|ingress| ingress.class.is_some()) {
            let why = "sets the deprecated annotation kubernetes.io/ingress.class; use \
                ingressClassName where the controller knows it";
            found.warn(&path.child("http01").child("ingress").child("class"), why);
        }
    }
}

fn server(found: &mut Warnings, issuer: &AcmeIssuer, path: &Path) {
    let at = path.child("server");
    if LETS_ENCRYPT_V1.iter().any(|old| issuer.server.starts_with(old)) {
        let why = "Let's Encrypt turned ACMEv1 off: the issuer does not get Ready; use \
            https://acme-v02.api.letsencrypt.org/directory";
        found.warn(&at, why);
    } else if issuer.server.starts_with("http://") {
        found.warn(&at, "ACME needs HTTPS (RFC 8555, 6.1): most CAs and clients refuse this");
    }
    if issuer.server.starts_with(LETS_ENCRYPT) && issuer.email.is_none() {
        let why = "without an address Let's Encrypt cannot tell the account's owner of a \
            revocation or an incident; set email";
        found.warn(path, why);
    }
}

/// A solver that fits no better than one before it is never taken.
fn unreachable(found: &mut Warnings, before: &[AcmeSolver], solver: &AcmeSolver, path: &Path) {
    let kind = |s: &AcmeSolver| (s.http01.is_some(), s.dns01.is_some(), s.tls_alpn01.is_some());
    let same = |other: &&AcmeSolver| {
        kind(other) == kind(solver) && other.selector.as_ref() == solver.selector.as_ref()
    };
    if before.iter().any(|other| same(&other)) {
        let why = match &solver.selector {
            None => "is never chosen: another solver of this kind without a selector precedes it",
            Some(_) => "is never chosen: another solver of this kind with this selector precedes",
        };
        found.warn(path, why);
    }
}

/// Every part of a selector that is not empty must match.
fn selects_nothing(
    found: &mut Warnings,
    selector: &CertificateDnsNameSelector,
    solver: &AcmeSolver,
    path: &Path,
) {
    let proves_wildcards = solver.dns01.is_some();
    for (i, name) in selector.dns_names.iter().enumerate() {
        let at = path.child("dnsNames").index(i);
        if name.starts_with("*.") && !proves_wildcards {
            found.warn(&at, format!("{name:?} never matches: only DNS-01 proves wildcards"));
        } else if outside(name, &selector.dns_zones) {
            let why = "never matches: it lies in none of dnsZones, and both must match";
            found.warn(&at, format!("{name:?} {why}"));
        } else if !is_plain(name) {
            let why = "never matches: names are compared letter by letter, in lower case";
            found.warn(&at, format!("{name:?} {why}"));
        }
    }
    for (i, zone) in selector.dns_zones.iter().enumerate() {
        let at = path.child("dnsZones").index(i);
        if zone.starts_with('.') || zone.ends_with('.') || !is_plain(zone) {
            let why = "never matches: write a zone like example.com, in lower case, without a dot \
                at its ends";
            found.warn(&at, format!("{zone:?} {why}"));
        } else if zone.starts_with("*.") && !proves_wildcards {
            let why = "never matches: it stands for wildcards, which only DNS-01 proves";
            found.warn(&at, format!("{zone:?} {why}"));
        }
    }
}

fn is_plain(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.*".contains(c);
    !name.is_empty() && !name.ends_with('.') && name.chars().all(fits)
}

fn outside(name: &str, zones: &[String]) -> bool {
    let within = |zone: &String| {
        name.strip_suffix(zone.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    !zones.is_empty() && !zones.iter().any(within)
}

fn provider(found: &mut Warnings, solver: &AcmeSolverDns01, namespaced: bool, path: &Path) {
    if let Some(rfc2136) = &solver.rfc2136 {
        weak_tsig(found, rfc2136.tsig_algorithm.as_deref(), rfc2136.tsig_key_name.is_some(), path);
    }
    if solver.cloudflare.as_ref().is_some_and(|c| c.api_key_secret_ref.is_some()) {
        let why = "the account's key may do everything; an API token for DNS alone is enough: use \
            apiTokenSecretRef";
        found.warn(&path.child("cloudflare").child("apiKeySecretRef"), why);
    }
    let german = Some(AzureEnvironment::German);
    if solver.azure_dns.as_ref().is_some_and(|azure| azure.environment == german) {
        found.warn(&path.child("azureDNS").child("environment"), "this cloud was closed in 2021");
    }
    if namespaced {
        ambient(found, solver, path);
    }
}

fn weak_tsig(found: &mut Warnings, algorithm: Option<&str>, signed: bool, path: &Path) {
    let path = path.child("rfc2136");
    if !signed {
        let why = "updates without a TSIG key: whoever can reach the server from this address can \
            change the zone";
        found.warn(&path, why);
    } else if algorithm.is_none_or(|name| name.eq_ignore_ascii_case("HMACMD5")) {
        let why = "HMACMD5, the default, is broken; set HMACSHA256 here and at the server";
        found.warn(&path.child("tsigAlgorithm"), why);
    }
}

/// Credentials that an Issuer gets only where the operator was told to lend its own.
fn ambient(found: &mut Warnings, solver: &AcmeSolverDns01, path: &Path) {
    let route53 = solver.route53.as_ref().is_some_and(|p| {
        p.access_key_id.is_none() && p.access_key_id_secret_ref.is_none() && p.auth.is_none()
    });
    let google = solver.cloud_dns.as_ref().is_some_and(|p| p.service_account_secret_ref.is_none());
    let azure = solver.azure_dns.as_ref().is_some_and(|p| p.client_secret_secret_ref.is_none());
    for (name, lends) in [("route53", route53), ("cloudDNS", google), ("azureDNS", azure)] {
        if lends {
            let why = "has no credentials: an Issuer gets the operator's own only with \
                --issuer-ambient-credentials; name a Secret, or use a ClusterIssuer";
            found.warn(&path.child(name), why);
        }
    }
}
