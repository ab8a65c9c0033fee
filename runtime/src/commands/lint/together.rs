//! What several objects of the same files make unwise together. Of an issuer that is not among them
//! nothing is known, and nothing is said.

use super::super::input::{Manifest, Place};
use super::object::{Known, ingress_path};
use super::report::{Finding, Sink};
use everleaf_api::Certificate;
use everleaf_api::types::issuer::IssuerSpec;
use everleaf_api::types::reference::IssuerRef;
use everleaf_nodes::acme::solver;
use everleaf_nodes::facts::{IssuerFacts, Signer};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// An object and where it was written.
pub type Placed<'a> = (&'a Manifest, &'a Place, Known);

/// A Certificate, written as such or by an Ingress.
struct Asked<'a> {
    at: (&'a Manifest, &'a Place),
    certificate: &'a Certificate,
    ingress: bool,
}

struct Signing<'a> {
    at: (&'a Manifest, &'a Place),
    kind: &'a str,
    namespace: &'a str,
    name: &'a str,
    spec: &'a IssuerSpec,
    facts: &'a IssuerFacts,
}

fn text<'a>(manifest: &'a Manifest, path: &str) -> &'a str {
    manifest.object.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

impl Asked<'_> {
    fn warn(&self, all: &mut Vec<Finding>, path: &str, message: String) {
        let (manifest, place) = self.at;
        let path = match self.ingress {
            true => ingress_path(&manifest.object, self.certificate, path),
            false => path.to_owned(),
        };
        Sink::new(manifest, place, all).warn(&path, message);
    }

    fn namespace(&self) -> &str {
        &self.certificate.metadata.namespace
    }

    fn told(&self) -> String {
        let (manifest, _) = self.at;
        let (kind, name) = (text(manifest, "/kind"), text(manifest, "/metadata/name"));
        format!("{kind} {name} ({}:{})", manifest.path, manifest.line)
    }
}

/// Judges what the objects make of each other.
pub fn judge(known: &[Placed<'_>], all: &mut Vec<Finding>) {
    let (mut asked, mut issuers) = (Vec::new(), Vec::new());
    for (manifest, place, known) in known {
        let at = (*manifest, *place);
        match known {
            Known::Certificate(certificate) => {
                asked.push(Asked { at, certificate, ingress: false });
            }
            Known::Ingress(certificates) => {
                asked.extend(certificates.iter().map(|certificate| Asked {
                    at,
                    certificate,
                    ingress: true,
                }))
            }
            Known::Issuer(spec, facts) => issuers.push(Signing {
                at,
                kind: text(manifest, "/kind"),
                namespace: text(manifest, "/metadata/namespace"),
                name: text(manifest, "/metadata/name"),
                spec,
                facts,
            }),
            Known::Other => {}
        }
    }
    twice(known, all);
    shared_secrets(&asked, all);
    shared_accounts(&issuers, all);
    for asked in &asked {
        match named(&issuers, asked) {
            Some(issuer) => fitting(asked, issuer, all),
            None => missed(&issuers, asked, all),
        }
    }
}

/// The same object twice: the second replaces the first.
fn twice(known: &[Placed<'_>], all: &mut Vec<Finding>) {
    let mut seen: BTreeMap<[&str; 4], &Manifest> = BTreeMap::new();
    for (manifest, place, _) in known {
        let paths = ["/apiVersion", "/kind", "/metadata/namespace", "/metadata/name"];
        let key = paths.map(|path| text(manifest, path));
        if key[3].is_empty() {
            continue;
        }
        match seen.get(&key) {
            Some(first) => {
                let (path, line) = (&first.path, first.line);
                let why = format!("this object is written twice, first at {path}:{line}");
                Sink::new(manifest, place, all).warn("metadata.name", why);
            }
            None => {
                seen.insert(key, manifest);
            }
        }
    }
}

/// Two Certificates that write one Secret: only one of them is served.
fn shared_secrets(asked: &[Asked<'_>], all: &mut Vec<Finding>) {
    let mut by_secret: BTreeMap<(&str, &str), Vec<&Asked<'_>>> = BTreeMap::new();
    for asked in asked.iter().filter(|asked| !asked.certificate.spec.secret_name.is_empty()) {
        let key = (asked.namespace(), asked.certificate.spec.secret_name.as_str());
        by_secret.entry(key).or_default().push(asked);
    }
    for (_, sharing) in by_secret.iter().filter(|(_, sharing)| sharing.len() > 1) {
        for (i, one) in sharing.iter().enumerate() {
            let other = sharing[usize::from(i == 0)];
            // The same Certificate twice is said already.
            if one.certificate.metadata.name == other.certificate.metadata.name && !one.ingress {
                continue;
            }
            let why = format!(
                "{} writes the same Secret: only one of the two is issued; give each its own",
                other.told()
            );
            one.warn(all, "spec.secretName", why);
        }
    }
}

/// Two ACME issuers of different CAs with one key.
fn shared_accounts(issuers: &[Signing<'_>], all: &mut Vec<Finding>) {
    let acme = |issuer: &&Signing<'_>| issuer.spec.acme.is_some();
    for (i, issuer) in issuers.iter().enumerate().filter(|(_, issuer)| acme(issuer)) {
        let Some(own) = &issuer.spec.acme else { continue };
        let shares = |other: &&Signing<'_>| {
            other.spec.acme.as_ref().is_some_and(|theirs| {
                other.kind == issuer.kind
                    && other.namespace == issuer.namespace
                    && other.name != issuer.name
                    && theirs.server != own.server
                    && theirs.private_key_secret_ref == own.private_key_secret_ref
            })
        };
        if let Some(other) = issuers[..i].iter().find(shares) {
            let why = format!(
                "{} {} keeps the key of its account at another CA in the same Secret; give each \
                 its own",
                other.kind, other.name
            );
            let (manifest, place) = issuer.at;
            Sink::new(manifest, place, all).warn("spec.acme.privateKeySecretRef.name", why);
        }
    }
}

fn is_named(issuer: &Signing<'_>, reference: &IssuerRef) -> bool {
    reference.is_own_group() && issuer.name == reference.name
}

/// The issuer that a Certificate names.
fn named<'a>(issuers: &'a [Signing<'a>], asked: &Asked<'_>) -> Option<&'a Signing<'a>> {
    let reference = &asked.certificate.spec.issuer_ref;
    let kind = reference.kind_or_default();
    let near =
        |issuer: &&Signing<'_>| kind == "ClusterIssuer" || issuer.namespace == asked.namespace();
    issuers.iter().filter(near).find(|issuer| issuer.kind == kind && is_named(issuer, reference))
}

/// An issuer of that name that is not the one which is named.
fn missed(issuers: &[Signing<'_>], asked: &Asked<'_>, all: &mut Vec<Finding>) {
    let reference = &asked.certificate.spec.issuer_ref;
    let kind = reference.kind_or_default();
    let Some(other) = issuers.iter().find(|issuer| is_named(issuer, reference)) else { return };
    if other.kind != kind {
        let why = format!("there is a {} of this name here, and no {kind}", other.kind);
        let path = if reference.kind.is_some() { "spec.issuerRef.kind" } else { "spec.issuerRef" };
        let hint = if asked.ingress {
            "; mind the difference between the annotations issuer and cluster-issuer".to_owned()
        } else {
            format!("; set kind: {}", other.kind)
        };
        asked.warn(all, path, why + &hint);
    } else if !other.namespace.is_empty() && !asked.namespace().is_empty() {
        let why = format!(
            "the Issuer of this name is in namespace {}, and serves only that; use a ClusterIssuer",
            other.namespace
        );
        asked.warn(all, "spec.issuerRef.name", why);
    }
}

/// What an issuer cannot do of what is asked, or does otherwise.
fn fitting(asked: &Asked<'_>, issuer: &Signing<'_>, all: &mut Vec<Finding>) {
    match &issuer.facts.signer {
        Signer::Acme(acme) => acme_fits(asked, issuer, &acme.solvers, all),
        Signer::Ca { secret, .. } => {
            if **secret == *asked.certificate.spec.secret_name
                && issuer.namespace == asked.namespace()
            {
                let why = "is the Secret with which this issuer signs: the CA would be \
                    overwritten by what it signed";
                asked.warn(all, "spec.secretName", why.to_owned());
            }
            serverless(asked, all);
        }
        Signer::SelfSigned { .. } => {
            let spec = &asked.certificate.spec;
            let nameless = spec.common_name.is_none()
                && spec.subject.is_none()
                && spec.literal_subject.is_none();
            if nameless {
                let why = "a self-signed certificate without a subject has no issuer either \
                    (RFC 5280, 4.1.2.4): many clients refuse it; set commonName";
                asked.warn(all, "spec", why.to_owned());
            }
            serverless(asked, all);
        }
        Signer::Other(_) | Signer::None => {}
    }
}

/// Names for a server, of which the certificate says nothing. An ACME CA sets usages by itself, and
/// Ingresses have none to set.
fn serverless(asked: &Asked<'_>, all: &mut Vec<Finding>) {
    let spec = &asked.certificate.spec;
    let serves = !spec.dns_names.is_empty() || !spec.ip_addresses.is_empty();
    if serves && spec.usages.is_empty() && spec.is_ca != Some(true) && !asked.ingress {
        let why = "without usages the certificate does not say that it is for a server, which \
            Apple's clients want; set digital signature, key encipherment and server auth";
        asked.warn(all, "spec", why.to_owned());
    }
}

fn acme_fits(
    asked: &Asked<'_>,
    issuer: &Signing<'_>,
    solvers: &[everleaf_nodes::facts::SolverFacts],
    all: &mut Vec<Finding>,
) {
    let spec = &asked.certificate.spec;
    let labels = asked.certificate.metadata.labels.iter();
    let labels = labels.map(|(k, v)| (Arc::from(k.as_str()), Arc::from(v.as_str()))).collect();
    for (i, name) in spec.dns_names.iter().enumerate() {
        let path = format!("spec.dnsNames[{i}]");
        if name.starts_with("*.") && !solver::can_prove_wildcard(solvers, name, &labels) {
            let why = "only DNS-01 proves a wildcard, and no such solver of the issuer is for it";
            asked.warn(all, &path, format!("{name:?}: {why}"));
        } else if solver::foresee(solvers, name, &labels).is_none() && !solvers.is_empty() {
            let why = format!("the selector of no solver of {} matches it", issuer.name);
            asked.warn(all, &path, format!("{name:?}: {why}"));
        } else if is_private(name) {
            let why = "no public CA issues for a name that is not public";
            if is_public(issuer) {
                asked.warn(all, &path, format!("{name:?}: {why}"));
            }
        }
    }
    ignored(asked, issuer, all);
}

fn is_public(issuer: &Signing<'_>) -> bool {
    let server = issuer.spec.acme.as_ref().map_or("", |acme| acme.server.as_str());
    ["letsencrypt.org/", "api.buypass.com/", "acme.zerossl.com/", "dv.acme-v02.api.pki.goog/"]
        .iter()
        .any(|public| server.contains(public))
}

fn is_private(name: &str) -> bool {
    let ends =
        [".local", ".internal", ".svc", ".localhost", ".lan", ".test", ".invalid", ".home.arpa"];
    !name.contains('.') || ends.iter().any(|end| name.ends_with(end))
}

/// What ACME has no word for.
fn ignored(asked: &Asked<'_>, issuer: &Signing<'_>, all: &mut Vec<Finding>) {
    let spec = &asked.certificate.spec;
    if spec.is_ca == Some(true) {
        asked.warn(all, "spec.isCA", "no ACME CA signs another CA".to_owned());
    }
    let fields = [
        ("uris", !spec.uris.is_empty()),
        ("emailAddresses", !spec.email_addresses.is_empty()),
        ("otherNames", !spec.other_names.is_empty()),
        ("subject", spec.subject.is_some()),
    ];
    for (field, _) in fields.iter().filter(|(_, given)| *given) {
        let why = "ACME knows DNS names and IP addresses only: the certificate will not have it";
        asked.warn(all, &format!("spec.{field}"), why.to_owned());
    }
    let dated = issuer.spec.acme.as_ref().is_some_and(|a| a.enable_duration_feature == Some(true));
    if spec.duration.is_some() && !dated {
        let why = "an ACME CA chooses how long a certificate lives; it is asked only where the \
            issuer sets enableDurationFeature, which few CAs take";
        asked.warn(all, "spec.duration", why.to_owned());
    }
}
