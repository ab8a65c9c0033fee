//! What the Secret holds and carries besides the pair and what tells of it: keystores, other
//! formats, and what the template asks for.

use super::Case;
use crate::effect::{Beside, PasswordSecret, Strings};
use crate::facts::{Kind, Managed, Material};
use everleaf_engine::ObjectKey;

impl Case<'_> {
    /// Which of cert-manager's reasons there is to write the Secret again, though the pair in it is
    /// good. Template and formats have to be there and ours, of keystores only presence counts:
    /// another password or alias has its effect with the next certificate.
    pub(super) fn differs(&self) -> Option<&'static str> {
        let secret = self.secret.filter(|_| self.stored_key().is_some())?;
        let (managed, material) = (secret.facts.managed(), secret.facts.material()?);
        if managed.template != *self.cert.template() {
            return Some("SecretTemplateMismatch");
        }
        if self.formats_differ(managed, material) {
            return Some("AdditionalOutputFormatsMismatch");
        }
        self.stores_differ(managed, material).then_some("SecretMismatch")
    }

    fn formats_differ(&self, managed: &Managed, material: &Material) -> bool {
        let wanted = self.cert.outputs().formats();
        let ours = |name: &str| managed.entries.iter().any(|entry| **entry == *name);
        let fits = |name: &&str| material.beside.get(*name) == Some(&true) && ours(name);
        let all = [crate::facts::COMBINED_PEM, crate::facts::KEY_DER];
        !wanted.iter().all(fits) || all.iter().any(|name| ours(name) && !wanted.contains(name))
    }

    fn stores_differ(&self, managed: &Managed, material: &Material) -> bool {
        let wanted = self.cert.outputs().stores(material.has_ca);
        let formats = [crate::facts::COMBINED_PEM, crate::facts::KEY_DER];
        let mut ours = managed.entries.iter().filter(|entry| !formats.contains(&&***entry));
        !wanted.iter().all(|name| material.beside.contains_key(*name))
            || ours.any(|entry| !wanted.contains(&&**entry))
    }

    /// The entries wanted beside the pair, with the passwords' Secrets as they were seen: a store
    /// that failed for want of one is tried again when that changes.
    pub(super) fn beside(&self) -> Option<Box<Beside>> {
        let outputs = self.cert.outputs.as_deref()?.clone();
        let names = outputs.password_secrets().into_iter().cloned();
        let sight = |name: std::sync::Arc<str>| {
            let key = ObjectKey::new(Kind::Secret, self.view.key.namespace.clone(), name.clone());
            let seen = self.view.get(&key).map(|object| (object.uid.clone(), object.rv));
            PasswordSecret { name, seen }
        };
        let passwords = names.map(sight).collect();
        Some(Box::new(Beside { outputs, passwords }))
    }

    /// The labels that the template asks for.
    pub(super) fn template_labels(&self) -> Strings {
        self.cert.template().labels.clone()
    }

    /// These annotations of ours, with those that the template asks for.
    pub(super) fn with_template(&self, ours: Strings) -> Strings {
        let mut all = self.cert.template().annotations.clone();
        all.extend(ours);
        all
    }
}
