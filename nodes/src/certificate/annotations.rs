//! The annotations that a Secret carries about the certificate in it, as cert-manager writes them.

use super::Case;
use crate::effect::Strings;
use crate::facts::{Csr, IssuerRef, Leaf, Names, Subject};
use std::sync::Arc;

/// cert-manager's prefix.
const PREFIX: &str = "cert-manager.io/";

fn key(name: &str) -> Arc<str> {
    format!("{PREFIX}{name}").into()
}

fn comma_list(values: &[Arc<str>]) -> Arc<str> {
    let values: Vec<&str> = values.iter().map(|value| &**value).collect();
    values.join(",").into()
}

fn csv(values: &[Arc<str>]) -> Arc<str> {
    everleaf_api::names::csv::join(values).into()
}

/// What the leaf itself says: names always, even if empty; subject fields where there are any.
pub(super) fn details(leaf: &Leaf) -> Strings {
    describe(&leaf.common_name, &leaf.names, &leaf.subject)
}

fn describe(common_name: &Arc<str>, names: &Names, subject: &Subject) -> Strings {
    let mut out = Strings::new();
    out.insert(key("common-name"), common_name.clone());
    out.insert(key("alt-names"), comma_list(&names.dns));
    out.insert(key("ip-sans"), comma_list(&names.ips));
    out.insert(key("uri-sans"), comma_list(&names.uris));
    let optional = [
        ("email-sans", comma_list(&names.emails)),
        ("subject-organizations", csv(&subject.organizations)),
        ("subject-organizationalunits", csv(&subject.organizational_units)),
        ("subject-countries", csv(&subject.countries)),
        ("subject-provinces", csv(&subject.provinces)),
        ("subject-localities", csv(&subject.localities)),
        ("subject-postalcodes", csv(&subject.postal_codes)),
        ("subject-streetaddresses", csv(&subject.street_addresses)),
        ("subject-serialnumber", subject.serial_number.clone()),
    ];
    out.extend(optional.into_iter().filter(|(_, v)| !v.is_empty()).map(|(n, v)| (key(n), v)));
    out
}

/// Who issued it, and for which Certificate.
fn origin(certificate: &Arc<str>, issuer: &IssuerRef) -> Strings {
    [
        (key("certificate-name"), certificate.clone()),
        (key("issuer-name"), issuer.name.clone()),
        (key("issuer-kind"), issuer.kind.clone()),
        (key("issuer-group"), issuer.group.clone()),
    ]
    .into()
}

impl Case<'_> {
    /// All annotations of ours for a leaf that an issuer answered with.
    pub(super) fn secret_annotations(&self, leaf: &Leaf, issuer: &IssuerRef) -> Strings {
        let mut all = origin(&self.view.key.name, issuer);
        all.extend(details(leaf));
        all
    }

    /// All annotations of ours for a certificate that no issuer vouches for.
    pub(super) fn temporary_annotations(&self, csr: &Csr) -> Strings {
        let mut all = describe(&csr.common_name, &csr.names, &csr.subject);
        all.insert(key("certificate-name"), self.view.key.name.clone());
        all
    }

    /// Whether the Secret holds such a one, ours or cert-manager's: it names its Certificate, and no
    /// issuer.
    pub(super) fn is_temporary(&self) -> bool {
        let Some(secret) = self.secret else { return false };
        let said = |name: &str| secret.facts.annotation(name).is_some();
        said("certificate-name") && !said("issuer-name")
    }

    /// The annotations that the Secret should carry as it is: its origin is left as it is said.
    pub(super) fn tended_annotations(&self) -> Option<Strings> {
        let (secret, leaf) = (self.secret?, self.leaf()?);
        let said = |name: &str| secret.facts.annotation(name);
        let issuer = IssuerRef {
            name: said("issuer-name").unwrap_or(&self.cert.issuer.name).into(),
            kind: said("issuer-kind").unwrap_or(&self.cert.issuer.kind).into(),
            group: said("issuer-group").unwrap_or(&self.cert.issuer.group).into(),
        };
        Some(self.secret_annotations(leaf, &issuer))
    }

    /// Whether the Secret's metadata is as it should be; true where that is not ours to say.
    pub(super) fn is_tended(&self) -> bool {
        let Some(secret) = self.secret.filter(|_| self.stored_key().is_some()) else {
            return true;
        };
        let Some(wanted) = self.tended_annotations() else { return true };
        let labelled = secret.facts.label.as_deref() == Some("true");
        let carried =
            |(key, value): (&Arc<str>, &Arc<str>)| secret.facts.annotations.get(key) == Some(value);
        let stale = |key: &&Arc<str>| is_detail(key) && !wanted.contains_key(*key);
        labelled
            && wanted.iter().all(carried)
            && !secret.facts.annotations.keys().any(|k| stale(&k))
    }
}

/// Whether an annotation is one of those that tell of the leaf.
fn is_detail(key: &str) -> bool {
    let name = key.strip_prefix(PREFIX).unwrap_or_default();
    name.starts_with("subject-") || name == "email-sans"
}
