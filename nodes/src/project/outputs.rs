//! What is wanted in and on the Secret besides the pair, and what of that is ours by its
//! `managedFields`.

use super::{arc, strings};
use crate::facts::{ENTRIES, Managed, Outputs, PasswordFrom, StoreProfile, Template};
use everleaf_api::names;
use everleaf_api::types::certificate as api;
use everleaf_api::types::reference::SecretKeySelector;
use serde_json::Value;
use std::sync::Arc;

/// The field manager of what is in issued Secrets: cert-manager's own, so that what it wrote is
/// ours to change and to remove.
pub const SECRET_MANAGER: &str = "cert-manager-certificates-issuing";

/// The alias of a Java keystore's key where none is given.
const ALIAS: &str = "certificate";

fn password(secret: Option<&SecretKeySelector>) -> PasswordFrom {
    match secret.filter(|secret| !secret.name.is_empty()) {
        None => PasswordFrom::Literal,
        Some(secret) => PasswordFrom::Secret {
            name: secret.name.as_str().into(),
            key: arc(secret.key.as_ref()),
        },
    }
}

fn profile(profile: Option<api::Pkcs12Profile>) -> StoreProfile {
    match profile {
        None | Some(api::Pkcs12Profile::LegacyRc2) => StoreProfile::LegacyRc2,
        Some(api::Pkcs12Profile::LegacyDes) => StoreProfile::LegacyDes,
        Some(api::Pkcs12Profile::Modern2023) => StoreProfile::Modern2023,
        Some(api::Pkcs12Profile::Modern2026) => StoreProfile::Modern2026,
    }
}

/// The entries that a spec wants beside the pair.
pub fn outputs(spec: &api::CertificateSpec) -> Outputs {
    let stores = spec.keystores.as_ref();
    let pkcs12 = stores.and_then(|stores| stores.pkcs12.as_ref()).filter(|store| store.create);
    let jks = stores.and_then(|stores| stores.jks.as_ref()).filter(|store| store.create);
    let formats = &spec.additional_output_formats;
    let has = |kind| formats.iter().any(|format| format.type_ == kind);
    let alias = |store: &api::JksKeystore| match store.alias.as_deref() {
        None | Some("") => ALIAS.into(),
        Some(alias) => alias.into(),
    };
    Outputs {
        pkcs12: pkcs12.map(|s| (profile(s.profile), password(s.password_secret_ref.as_ref()))),
        jks: jks.map(|store| (alias(store), password(store.password_secret_ref.as_ref()))),
        combined_pem: has(api::OutputFormat::CombinedPem),
        der: has(api::OutputFormat::Der),
    }
}

/// The labels and annotations that a spec wants on the Secret; those that we write ourselves are
/// not for others to set.
pub(super) fn template(spec: &api::CertificateSpec) -> Template {
    let Some(template) = &spec.secret_template else { return Template::default() };
    let mut all =
        Template { labels: strings(&template.labels), annotations: strings(&template.annotations) };
    all.labels.retain(|key, _| is_free_label(key));
    all.annotations.retain(|key, _| is_free_annotation(key));
    all
}

fn is_free_label(key: &str) -> bool {
    key != names::FILTERED_CACHING
}

fn is_free_annotation(key: &str) -> bool {
    !key.starts_with(names::PREFIX) || key == names::ALLOW_DIRECT_INJECTION
}

/// What of a Secret we applied, by its `managedFields` (Kubernetes API, ManagedFieldsEntry); `None`
/// if there is nothing but the pair and what tells of it.
pub fn managed(secret: &Value) -> Option<Box<Managed>> {
    let entries = secret.pointer("/metadata/managedFields")?.as_array()?;
    let applied = |entry: &&Value| {
        let whole = entry["subresource"].as_str().unwrap_or_default().is_empty();
        entry["manager"] == SECRET_MANAGER && entry["operation"] == "Apply" && whole
    };
    let mut managed = Managed::default();
    for fields in entries.iter().filter(applied).map(|entry| &entry["fieldsV1"]) {
        let texts = |kind: &'static str| {
            let keys = keys_of(&fields["f:metadata"][format!("f:{kind}")]);
            keys.filter_map(move |key| {
                let value = secret["metadata"][kind].get(key)?.as_str()?;
                Some((Arc::<str>::from(key), Arc::<str>::from(value)))
            })
        };
        let template = &mut managed.template;
        template.labels.extend(texts("labels").filter(|(key, _)| is_free_label(key)));
        template.annotations.extend(texts("annotations").filter(|(k, _)| is_free_annotation(k)));
        let known = |name: &&str| ENTRIES.contains(name);
        managed.entries.extend(keys_of(&fields["f:data"]).filter(known).map(Arc::<str>::from));
    }
    managed.entries.sort();
    (managed != Managed::default()).then(|| Box::new(managed))
}

/// The keys of a map in a FieldsV1 set.
fn keys_of(fields: &Value) -> impl Iterator<Item = &str> {
    let fields = fields.as_object().into_iter().flatten();
    fields.filter_map(|(field, _)| field.strip_prefix("f:"))
}

#[cfg(test)]
mod tests;
