//! Rules for Issuers and ClusterIssuers.

use super::format::{holds_certificate, is_subdomain};
use super::{Found, Path, Violation, dns01};
use crate::types::acme::{AcmeExternalAccountBinding, AcmeIssuer, AcmeSolver};
use crate::types::http01::{AcmeSolverHttp01, Http01GatewayHttpRoute, Http01Ingress};
use crate::types::issuer::{CaIssuer, IssuerSpec};
use crate::types::reference::{SecretKeySelector, ServiceAccountRef};
use crate::types::vault::{VaultAuth, VaultAwsAuth, VaultIssuer, VaultKubernetesAuth};
use crate::types::venafi::{VenafiIssuer, VenafiTpp};
use crate::wire::Bytes;

/// The violations of an Issuer's or ClusterIssuer's spec.
#[must_use]
pub fn issuer(spec: &IssuerSpec) -> Vec<Violation> {
    let (mut found, root) = (Found::default(), Path::new("spec"));
    let set = [
        ("acme", spec.acme.is_some()),
        ("ca", spec.ca.is_some()),
        ("selfSigned", spec.self_signed.is_some()),
        ("vault", spec.vault.is_some()),
        ("venafi", spec.venafi.is_some()),
    ];
    one_of(&mut found, &set, &root, "issuer type");
    if let Some(issuer) = &spec.acme {
        acme(&mut found, issuer, &root.child("acme"));
    }
    if let Some(issuer) = &spec.ca {
        ca(&mut found, issuer, &root.child("ca"));
    }
    if let Some(issuer) = &spec.vault {
        vault(&mut found, issuer, &root.child("vault"));
    }
    if let Some(issuer) = &spec.venafi {
        venafi(&mut found, issuer, &root.child("venafi"));
    }
    found.0
}

/// Exactly one of several must be set; each one after the first is named.
pub(super) fn one_of(found: &mut Found, fields: &[(&str, bool)], path: &Path, what: &str) {
    let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let mut set = fields.iter().filter(|(_, set)| *set);
    if set.next().is_none() {
        found.required(path.clone(), format!("set one {what}: {}", names.join(", ")));
    }
    for (name, _) in set {
        found.forbidden(path.child(name), format!("one {what} is set already: remove all but one"));
    }
}

/// A selector must name a Secret and a key.
pub(super) fn secret_key(found: &mut Found, selector: &SecretKeySelector, path: &Path) {
    if selector.name.is_empty() {
        found.required(path.child("name"), "name the Secret");
    }
    if selector.key.is_none() {
        found.required(path.child("key"), "name the key within the Secret");
    }
}

fn ca_bundle(found: &mut Found, bundle: Option<&Bytes>, path: &Path) {
    if bundle.is_some_and(|bundle| !bundle.0.is_empty() && !holds_certificate(&bundle.0)) {
        found.forbidden(path.clone(), "must hold at least one PEM certificate");
    }
}

fn is_given(bundle: Option<&Bytes>) -> bool {
    bundle.is_some_and(|bundle| !bundle.0.is_empty())
}

fn acme(found: &mut Found, issuer: &AcmeIssuer, path: &Path) {
    let bundle = path.child("caBundle");
    if is_given(issuer.ca_bundle.as_ref()) && issuer.skip_tls_verify == Some(true) {
        let why = "set only one of caBundle and skipTLSVerify";
        found.forbidden(bundle.clone(), why);
        found.forbidden(path.child("skipTLSVerify"), why);
    }
    ca_bundle(found, issuer.ca_bundle.as_ref(), &bundle);
    found
        .text(path.child("privateKeySecretRef").child("name"), &issuer.private_key_secret_ref.name);
    found.text(path.child("server"), &issuer.server);
    if let Some(binding) = &issuer.external_account_binding {
        account_binding(found, binding, &path.child("externalAccountBinding"));
    }
    for (i, solver) in issuer.solvers.iter().enumerate() {
        acme_solver(found, solver, &path.child("solvers").index(i));
    }
}

fn account_binding(found: &mut Found, binding: &AcmeExternalAccountBinding, path: &Path) {
    found.text(path.child("keyID"), &binding.key_id);
    secret_key(found, &binding.key_secret_ref, &path.child("keySecretRef"));
}

fn acme_solver(found: &mut Found, solver: &AcmeSolver, path: &Path) {
    let set = [
        ("http01", solver.http01.is_some()),
        ("dns01", solver.dns01.is_some()),
        ("tlsALPN01", solver.tls_alpn01.is_some()),
    ];
    one_of(found, &set, path, "solver type");
    if let Some(http01) = &solver.http01 {
        http01_solver(found, http01, &path.child("http01"));
    }
    if let Some(solver) = &solver.dns01 {
        dns01::solver(found, solver, &path.child("dns01"));
    }
    if let Some(wait) = solver.wait_instead_of_self_check.as_ref().filter(|d| d.nanos() < 0) {
        found.invalid(path.child("waitInsteadOfSelfCheck"), wait, "must be 0s or longer");
    }
}

fn http01_solver(found: &mut Found, solver: &AcmeSolverHttp01, path: &Path) {
    let set = [
        ("ingress", solver.ingress.is_some()),
        ("gatewayHTTPRoute", solver.gateway_http_route.is_some()),
    ];
    one_of(found, &set, path, "HTTP01 solver type");
    if let Some(ingress) = &solver.ingress {
        http01_ingress(found, ingress, &path.child("ingress"));
    }
    if let Some(route) = &solver.gateway_http_route {
        http01_route(found, route, &path.child("gatewayHTTPRoute"));
    }
}

fn http01_ingress(found: &mut Found, ingress: &Http01Ingress, path: &Path) {
    let set =
        [ingress.class.is_some(), ingress.ingress_class_name.is_some(), ingress.name.is_some()];
    if set.into_iter().filter(|set| *set).count() > 1 {
        found.forbidden(path.clone(), "set at most one of class, ingressClassName and name");
    }
    if let Some(class) = ingress.ingress_class_name.as_deref().filter(|class| !is_subdomain(class))
    {
        let why = "must be the name of an IngressClass: lower case letters, digits, '-' and '.'; \
            any other text can only be a 'class'";
        found.invalid(path.child("ingressClassName"), class, why);
    }
    service_type(found, ingress.service_type.as_deref(), path);
}

fn service_type(found: &mut Found, given: Option<&str>, path: &Path) {
    if let Some(other) = given.filter(|given| !matches!(*given, "ClusterIP" | "NodePort")) {
        let why = "must be ClusterIP, NodePort or absent";
        found.invalid(path.child("serviceType"), other, why);
    }
}

fn http01_route(found: &mut Found, route: &Http01GatewayHttpRoute, path: &Path) {
    service_type(found, route.service_type.as_deref(), path);
    for (i, parent) in route.parent_refs.iter().enumerate() {
        let at = path.child("parentRefs").index(i);
        match (&parent.kind, parent.name.as_str()) {
            (Some(_), "") => found.required(at.child("name"), "name is required with kind"),
            (None, name) if !name.is_empty() => {
                found.required(at.child("kind"), "kind is required with name");
            }
            _ => {}
        }
    }
}

fn ca(found: &mut Found, issuer: &CaIssuer, path: &Path) {
    found.text(path.child("secretName"), &issuer.secret_name);
    let lists = [
        ("ocspServers", &issuer.ocsp_servers),
        ("issuingCertificateURLs", &issuer.issuing_certificate_urls),
    ];
    for (name, urls) in lists {
        for (i, url) in urls.iter().enumerate().filter(|(_, url)| url.is_empty()) {
            let why = "must be a URL, as in http://ocsp.example.com";
            found.invalid(path.child(name).index(i), url, why);
        }
    }
}

fn vault(found: &mut Found, issuer: &VaultIssuer, path: &Path) {
    found.text(path.child("server"), &issuer.server);
    found.text(path.child("path"), &issuer.path);
    plain_path(found, &issuer.path, path.child("path"));
    let bundle = path.child("caBundle");
    ca_bundle(found, issuer.ca_bundle.as_ref(), &bundle);
    if is_given(issuer.ca_bundle.as_ref()) && issuer.ca_bundle_secret_ref.is_some() {
        let why = "set only one of caBundle and caBundleSecretRef";
        found.forbidden(bundle, why);
        found.forbidden(path.child("caBundleSecretRef"), why);
    }
    match (&issuer.client_cert_secret_ref, &issuer.client_key_secret_ref) {
        (Some(_), None) => {
            found.required(path.child("clientKeySecretRef"), "needed with clientCertSecretRef");
        }
        (None, Some(_)) => {
            found.required(path.child("clientCertSecretRef"), "needed with clientKeySecretRef");
        }
        _ => {}
    }
    vault_auth(found, &issuer.auth, &path.child("auth"));
}

/// A path goes into URLs: it must not climb out of its mount.
fn plain_path(found: &mut Found, given: &str, path: Path) {
    if given.split('/').any(|segment| segment == "..") {
        found.invalid(path, given, "must not climb: remove every '..' between slashes");
    }
}

/// Several methods are accepted, as cert-manager accepts them; setting the issuer up reports them.
fn vault_auth(found: &mut Found, auth: &VaultAuth, path: &Path) {
    if *auth == VaultAuth::default() {
        let why = "set one of: tokenSecretRef, appRole, clientCertificate, kubernetes, aws";
        found.required(path.clone(), why);
    }
    if let Some(role) = &auth.app_role {
        let path = path.child("appRole");
        found.text(path.child("roleId"), &role.role_id);
        found.text(path.child("secretRef").child("name"), &role.secret_ref.name);
        plain_path(found, &role.path, path.child("path"));
    }
    if let Some(mount) = auth.client_certificate.as_ref().and_then(|c| c.mount_path.as_deref()) {
        plain_path(found, mount, path.child("clientCertificate").child("mountPath"));
    }
    if let Some(kubernetes) = &auth.kubernetes {
        vault_kubernetes(found, kubernetes, &path.child("kubernetes"));
    }
    if let Some(aws) = &auth.aws {
        vault_aws(found, aws, &path.child("aws"));
    }
}

fn vault_kubernetes(found: &mut Found, auth: &VaultKubernetesAuth, path: &Path) {
    found.text(path.child("role"), &auth.role);
    plain_path(found, auth.mount_path.as_deref().unwrap_or_default(), path.child("mountPath"));
    let secret = auth.secret_ref.as_ref().is_some_and(|secret| !secret.name.is_empty());
    let set = [("secretRef", secret), ("serviceAccountRef", auth.service_account_ref.is_some())];
    one_of(found, &set, path, "credential");
    service_account(found, auth.service_account_ref.as_ref(), path);
}

fn service_account(found: &mut Found, account: Option<&ServiceAccountRef>, path: &Path) {
    if let Some(account) = account {
        found.text(path.child("serviceAccountRef").child("name"), &account.name);
    }
}

fn vault_aws(found: &mut Found, auth: &VaultAwsAuth, path: &Path) {
    found.text(path.child("role"), &auth.role);
    plain_path(found, auth.mount_path.as_deref().unwrap_or_default(), path.child("mountPath"));
    service_account(found, auth.service_account_ref.as_ref(), path);
    if auth.service_account_ref.is_some() && auth.iam_role_arn.is_none() {
        found.required(path.child("iamRoleArn"), "needed with serviceAccountRef");
    }
}

fn venafi(found: &mut Found, issuer: &VenafiIssuer, path: &Path) {
    found.text(path.child("zone"), &issuer.zone);
    let set = [
        ("tpp", issuer.tpp.is_some()),
        ("cloud", issuer.cloud.is_some()),
        ("ngts", issuer.ngts.is_some()),
    ];
    one_of(found, &set, path, "backend");
    if let Some(tpp) = &issuer.tpp {
        venafi_tpp(found, tpp, &path.child("tpp"));
    }
    if let Some(ngts) = &issuer.ngts {
        let path = path.child("ngts");
        found.text(path.child("tsgID"), &ngts.tsg_id);
        found.text(path.child("credentialsRef").child("name"), &ngts.credentials_ref.name);
    }
}

fn venafi_tpp(found: &mut Found, tpp: &VenafiTpp, path: &Path) {
    found.text(path.child("url"), &tpp.url);
    if is_given(tpp.ca_bundle.as_ref()) && tpp.ca_bundle_secret_ref.is_some() {
        found.forbidden(path.clone(), "set at most one of caBundle and caBundleSecretRef");
    }
}
