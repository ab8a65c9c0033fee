//! The policy chain: the first reason why what is stored does not satisfy the spec. Reasons are
//! cert-manager's own, for scripts wait for them.

use super::{Case, is_missing};
use crate::facts::{
    CertificateFacts, Csr, IssuerRef, KeyKind, Leaf, Names, Parsed, RequestFacts, SecretFacts,
    Subject,
};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The reasons for which we say `Issuing=True` ourselves. What each speaks of is looked at anew
/// every time, so the condition asks for nothing: it may have been written under a clock that was
/// wrong, or by a leader that saw too little.
pub(super) const OUR_REASONS: [&str; 10] = [
    "DoesNotExist",
    "IncorrectCertificate",
    "IncorrectIssuer",
    "InvalidCertificate",
    "InvalidCertificateRequest",
    "InvalidKeyPair",
    "MissingData",
    "Renewing",
    "RequestChanged",
    "SecretMismatch",
];

/// Why what is stored does not satisfy the spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// cert-manager's reason.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

fn violation(reason: &'static str, message: impl Into<String>) -> Option<Violation> {
    Some(Violation { reason, message: message.into() })
}

impl Case<'_> {
    /// The first violation, the clock left aside.
    pub(super) fn find_violation(&self) -> Option<Violation> {
        let Some(secret) = self.secret else {
            return violation("DoesNotExist", "Issuing certificate as Secret does not exist");
        };
        let material = secret.facts.material()?;
        self.missing_data(&material.key, &material.leaf)
            .or_else(|| self.broken_pair(&material.key, &material.leaf))
            .or_else(|| self.no_issuer())
            .or_else(|| self.other_issuer(secret.facts))
            .or_else(|| self.other_certificate(secret.facts))
            .or_else(|| self.other_key())
            .or_else(|| self.other_request())
    }

    fn missing_data<K>(&self, key: &Parsed<K>, leaf: &Parsed<Leaf>) -> Option<Violation> {
        let what = match (is_missing(key), is_missing(leaf)) {
            (true, true) => "Secret does not contain any data",
            (true, false) => "Secret does not contain a private key",
            (false, true) => "Secret does not contain a certificate",
            (false, false) => return None,
        };
        violation("MissingData", format!("Issuing certificate as {what}"))
    }

    fn broken_pair<K>(&self, key: &Parsed<K>, leaf: &Parsed<Leaf>) -> Option<Violation> {
        let name = &self.cert.secret_name;
        if let Parsed::Broken(why) = key {
            let message = format!(
                "Issuing certificate as Secret {name:?} contains an invalid private key: {why}"
            );
            return violation("InvalidKeyPair", message);
        }
        if let Parsed::Broken(why) = leaf {
            let message = format!(
                "Issuing certificate as Secret {name:?} contains an invalid certificate: {why}"
            );
            return violation("InvalidCertificate", message);
        }
        if self.stored_key().is_none() {
            let message = format!(
                "Issuing certificate as Secret {name:?} contains a private key that is not the \
                 certificate's"
            );
            return violation("InvalidKeyPair", message);
        }
        None
    }

    /// What was stored to be served in the meantime satisfies nothing.
    fn no_issuer(&self) -> Option<Violation> {
        let message = "Issuing certificate as Secret holds a temporary certificate";
        self.is_temporary().then(|| violation("IncorrectIssuer", message))?
    }

    /// The name is compared only if the Secret says anything of its issuer; kind and group are
    /// compared always, for a Secret without annotations counts as an `Issuer`'s.
    fn other_issuer(&self, secret: &SecretFacts) -> Option<Violation> {
        let said = |name: &str| -> Arc<str> { secret.annotation(name).unwrap_or_default().into() };
        let before = IssuerRef {
            name: said("issuer-name"),
            kind: said("issuer-kind"),
            group: said("issuer-group"),
        };
        let annotated = ["issuer-name", "issuer-kind", "issuer-group"];
        let annotated = annotated.iter().any(|name| secret.annotation(name).is_some());
        let same = |wanted: &IssuerRef| {
            (!annotated || before.name == wanted.name)
                && before.kind_or_default() == wanted.kind_or_default()
                && before.group_or_default() == wanted.group_or_default()
        };
        if self.cert.issuers().any(same) {
            return None;
        }
        let before =
            format!("{}.{}/{}", before.kind_or_default(), before.group_or_default(), before.name);
        violation(
            "IncorrectIssuer",
            format!("Issuing certificate as Secret was previously issued by {before:?}"),
        )
    }

    fn other_certificate(&self, secret: &SecretFacts) -> Option<Violation> {
        let named = secret.annotation("certificate-name")?;
        if named == &*self.view.key.name {
            return None;
        }
        let message = format!(
            "Secret was issued for {named:?}. If this message is not transient, you might have \
             two conflicting Certificates pointing to the same secret."
        );
        violation("IncorrectCertificate", message)
    }

    fn other_key(&self) -> Option<Violation> {
        let key = self.stored_key()?;
        if key.kind == self.cert.key.kind {
            return None;
        }
        let path = match (key.kind, self.cert.key.kind) {
            (KeyKind::Rsa(_), KeyKind::Rsa(_)) | (KeyKind::Ecdsa(_), KeyKind::Ecdsa(_)) => {
                "[spec.privateKey.size]"
            }
            _ => "[spec.privateKey.algorithm]",
        };
        let message = format!("Existing private key is not up to date for spec: {path}");
        violation("SecretMismatch", message)
    }

    fn other_request(&self) -> Option<Violation> {
        let Some(request) = self.current_request() else { return self.other_names() };
        match &request.facts.csr {
            Parsed::Good(csr) => {
                let key = self.stored_key()?;
                if key.fingerprint != csr.fingerprint {
                    let message = "Secret contains a private key that does not match the current \
                                   CertificateRequest";
                    return violation("SecretMismatch", message);
                }
            }
            Parsed::Missing | Parsed::Broken(_) => {
                let message = "Failed to decode the certificate signing request of the current \
                               CertificateRequest";
                return violation("InvalidCertificateRequest", message);
            }
        }
        let paths = request_differences(self.cert, request.facts).ok()?;
        if paths.is_empty() {
            return None;
        }
        let message = format!(
            "Fields on existing CertificateRequest resource not up to date: [{}]",
            paths.join(" ")
        );
        violation("RequestChanged", message)
    }

    /// Without a request to compare with, the leaf's own names are; the common name may stand
    /// among the DNS names and the other way round.
    fn other_names(&self) -> Option<Violation> {
        let leaf = self.leaf()?;
        let paths = name_differences(self.cert, leaf);
        if paths.is_empty() {
            return None;
        }
        let message =
            format!("Existing issued Secret is not up to date for spec: [{}]", paths.join(" "));
        violation("SecretMismatch", message)
    }
}

fn set(values: &[Arc<str>]) -> BTreeSet<&str> {
    values.iter().map(|value| &**value).collect()
}

/// The paths of a Certificate's fields that its request does not agree with.
///
/// # Errors
/// Why the request's CSR cannot be read.
pub(crate) fn request_differences(
    cert: &CertificateFacts,
    request: &RequestFacts,
) -> Result<Vec<&'static str>, Arc<str>> {
    let csr = match &request.csr {
        Parsed::Good(csr) => csr,
        Parsed::Missing => return Err("there is none".into()),
        Parsed::Broken(why) => return Err(why.clone()),
    };
    let mut paths = csr_differences(cert, csr);
    let wish = &cert.wish;
    let mut differs = |path, differs: bool| {
        if differs {
            paths.push(path);
        }
    };
    differs("spec.isCA", wish.is_ca != request.is_ca);
    differs("spec.usages", usages(&wish.usages) != usages(&request.usages));
    let durations = cert.duration.as_ref().map(|(_, ms)| *ms).zip(request.duration_ms);
    differs("spec.duration", durations.is_some_and(|(a, b)| a != b));
    differs("spec.issuerRef", cert.listed(&request.issuer).is_none());
    Ok(paths)
}

/// Usages as a set; none stand for the default.
fn usages(written: &[Arc<str>]) -> BTreeSet<&str> {
    if written.is_empty() { ["digital signature", "key encipherment"].into() } else { set(written) }
}

fn csr_differences(cert: &CertificateFacts, csr: &Csr) -> Vec<&'static str> {
    let wish = &cert.wish;
    let mut paths = names_that_differ(&wish.names, &csr.names);
    if let Some(der) = wish.literal_subject_der {
        if der != csr.subject_der {
            paths.push("spec.literalSubject");
        }
        return paths;
    }
    if wish.common_name != csr.common_name {
        paths.push("spec.commonName");
    }
    paths.extend(subject_differences(&wish.subject, &csr.subject));
    paths
}

fn names_that_differ(wish: &Names, given: &Names) -> Vec<&'static str> {
    let pairs = [
        ("spec.ipAddresses", set(&wish.ips) != set(&given.ips)),
        ("spec.uris", set(&wish.uris) != set(&given.uris)),
        ("spec.emailAddresses", set(&wish.emails) != set(&given.emails)),
        ("spec.dnsNames", set(&wish.dns) != set(&given.dns)),
        ("spec.otherNames", !wish.others.is_empty() && others(wish) != others(given)),
    ];
    pairs.into_iter().filter_map(|(path, differs)| differs.then_some(path)).collect()
}

fn others(names: &Names) -> BTreeSet<&(Arc<str>, Arc<str>)> {
    names.others.iter().collect()
}

fn subject_differences(wish: &Subject, given: &Subject) -> Vec<&'static str> {
    let same = |a: &[Arc<str>], b: &[Arc<str>]| set(a) == set(b);
    let pairs = [
        ("spec.subject.serialNumber", wish.serial_number == given.serial_number),
        ("spec.subject.organizations", same(&wish.organizations, &given.organizations)),
        ("spec.subject.countries", same(&wish.countries, &given.countries)),
        ("spec.subject.localities", same(&wish.localities, &given.localities)),
        (
            "spec.subject.organizationalUnits",
            same(&wish.organizational_units, &given.organizational_units),
        ),
        ("spec.subject.postCodes", same(&wish.postal_codes, &given.postal_codes)),
        ("spec.subject.provinces", same(&wish.provinces, &given.provinces)),
        ("spec.subject.streetAddresses", same(&wish.street_addresses, &given.street_addresses)),
    ];
    pairs.into_iter().filter_map(|(path, same)| (!same).then_some(path)).collect()
}

/// The paths of names that a leaf lacks or has beyond the spec.
pub(crate) fn name_differences(cert: &CertificateFacts, leaf: &Leaf) -> Vec<&'static str> {
    let wish = &cert.wish;
    let mut paths = Vec::new();
    let with_common_name = |names: &Names, common_name: &Arc<str>| -> BTreeSet<String> {
        let common = (!common_name.is_empty()).then(|| common_name.to_lowercase());
        names.dns.iter().map(|name| name.to_lowercase()).chain(common).collect()
    };
    let wanted = with_common_name(&wish.names, &wish.common_name);
    let given = with_common_name(&leaf.names, &leaf.common_name);
    let named = !wish.common_name.is_empty() || wish.literal_subject.is_empty();
    if named && wanted != given {
        paths.push(if set(&wish.names.dns) == set(&leaf.names.dns) {
            "spec.commonName"
        } else {
            "spec.dnsNames"
        });
    }
    let others = names_that_differ(&wish.names, &leaf.names);
    paths.extend(others.into_iter().filter(|path| *path != "spec.dnsNames"));
    paths
}

/// A kind of key, as people say it.
pub(crate) fn key_text(kind: KeyKind) -> String {
    match kind {
        KeyKind::Rsa(bits) => format!("RSA of {bits} bits"),
        KeyKind::Ecdsa(bits) => format!("ECDSA P-{bits}"),
        KeyKind::Ed25519 => "Ed25519".to_owned(),
    }
}
