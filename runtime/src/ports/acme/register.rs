//! Accounts: made, found, verified, kept up to date.

use super::super::{Ports, Report, Undone, undone};
use super::fault::{Fault, Halt};
use super::{Told, place};
use crate::edge::decoded;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use everleaf_acme::{AccountKey, AccountStatus, Client, ExternalAccount, NewAccount, Registered};
use everleaf_api::names::everleaf as ours;
use everleaf_engine::{FailureClass, ObjectKey};
use everleaf_nodes::acme::notes;
use everleaf_nodes::effect::{Eab, Register};
use everleaf_nodes::facts::Class;
use everleaf_nodes::{Effect, Kind};
use everleaf_pki::{Encoding, KeyKind, PrivateKey};
use serde_json::{Value, json};
use std::sync::Arc;

const VERIFY: &str = "ErrVerifyACMEAccount";
const REGISTER: &str = "ErrRegisterACMEAccount";
const UPDATE: &str = "ErrUpdateACMEAccount";

/// The length of the keys that are made, in bits, as cert-manager's.
const KEY_BITS: u32 = 2048;

fn because(reason: &'static str) -> impl Fn(everleaf_acme::AcmeError) -> Halt {
    move |error| {
        let bad_url = matches!(error.class, everleaf_acme::Class::Unusable { .. });
        Fault::of(&error).because(if bad_url { "InvalidURL" } else { reason }).into()
    }
}

impl Ports {
    pub(super) async fn register(&self, effect: &Effect, it: &Register) -> Told {
        let client = self.ca_client(&it.account).await?;
        let (key, made) = self.key_to_register(it).await?;
        let hash = key_hash(&key)?;
        let mut report = if it.trusted_hash.as_deref() == Some(&*hash) {
            self.note_verified(effect, it).await?
        } else {
            let registered = self.find_or_register(&client, &key, it).await?;
            self.write_account(effect, it, &registered, &hash).await?
        };
        report.seen.extend(made.into_iter().flat_map(|made| made.seen));
        Ok(report)
    }

    /// The account's key; a new one where there is none and that is wanted.
    async fn key_to_register(
        &self,
        it: &Register,
    ) -> Result<(Arc<AccountKey>, Option<Report>), Halt> {
        if let Some(key) = self.account_key(&it.account).await? {
            return Ok((key, None));
        }
        if !it.generate {
            let secret = &it.account.key.secret;
            let secret = place(Kind::Secret, &secret.namespace, &secret.name);
            return Err(Fault::new(Class::User, format!("{secret} does not exist"))
                .because(VERIFY)
                .into());
        }
        let made = self.make_account_key(it).await?;
        match self.account_key(&it.account).await? {
            Some(key) => Ok((key, Some(made))),
            None => Err(Report::stale(vec![it.account.key.secret.clone()]).into()),
        }
    }

    async fn make_account_key(&self, it: &Register) -> Result<Report, Undone> {
        let transient =
            |why: String| Report::failed(FailureClass::Transient, "CannotGenerateKey", why);
        let kind = KeyKind::Rsa { bits: KEY_BITS };
        let key = tokio::task::spawn_blocking(move || PrivateKey::generate(kind)).await;
        let key = key.map_err(|error| transient(error.to_string()))?;
        let key = key.map_err(|error| transient(error.to_string()))?;
        let pem = key.to_pem(Encoding::Pkcs1).map_err(|error| transient(error.to_string()))?;
        let ObjectKey { namespace, name, .. } = &it.account.key.secret;
        let object = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": { "app.kubernetes.io/managed-by": "cert-manager" },
            },
            "type": "Opaque",
            "data": { &*it.account.key.key: STANDARD.encode(pem.as_bytes()) },
        });
        let made =
            self.kube.create(Kind::Secret, namespace, &object, super::super::events::MANAGER);
        let at = it.account.key.secret.clone();
        match made.await {
            Ok(made) => Ok(self.saw(Kind::Secret, &made, vec![at])),
            // Another was first: its key is as good.
            Err(error) if error.is_taken() => Ok(Report::done(Vec::new(), Vec::new())),
            Err(error) => Err(undone(&error, &[at])),
        }
    }

    async fn find_or_register(
        &self,
        client: &Client,
        key: &Arc<AccountKey>,
        it: &Register,
    ) -> Result<Registered, Halt> {
        let external = match &it.eab {
            Some(eab) => Some(self.external_account(eab).await?),
            None => None,
        };
        let contact: Vec<String> = match it.email.to_ascii_lowercase() {
            email if email.is_empty() => Vec::new(),
            email => vec![format!("mailto:{email}")],
        };
        let new = NewAccount {
            contact: contact.clone(),
            terms_of_service_agreed: true,
            external_account: external.as_ref(),
        };
        let found = client.new_account(key, &new).await.map_err(because(REGISTER))?.value;
        if !matches!(found.object.status, AccountStatus::Valid | AccountStatus::Unknown) {
            let status = found.object.status.as_str();
            let detail =
                format!("the account {} is {status}; use another key", found.account.url());
            return Err(Fault::new(Class::User, detail).because(VERIFY).into());
        }
        if found.existed && found.object.contact != contact {
            found.account.update_contact(&contact).await.map_err(because(UPDATE))?;
        }
        Ok(found)
    }

    async fn external_account(&self, eab: &Eab) -> Result<ExternalAccount, Halt> {
        let ObjectKey { namespace, name, .. } = &eab.key.secret;
        let wrong = |why: String| {
            let secret = place(Kind::Secret, namespace, name);
            let detail = format!("the external account binding: {secret}: {why}");
            Halt::from(Fault::new(Class::User, detail).because(REGISTER))
        };
        let found = self.kube.get(Kind::Secret, namespace, name).await;
        let found = found.map_err(|error| match error.is_absent() {
            true => wrong("it does not exist".to_owned()),
            false => undone(&error, &[]).into(),
        })?;
        let entry = &eab.key.key;
        let key = decoded(&found, entry).ok_or_else(|| wrong(format!("it has no {entry:?}")))?;
        ExternalAccount::new(&eab.key_id, &key).map_err(|error| wrong(error.to_string()))
    }

    async fn note_verified(&self, effect: &Effect, it: &Register) -> Result<Report, Undone> {
        let text = notes::verified_text(it.verified, &effect.base.uid);
        let noted = self.annotate(effect, ours::ACME_ACCOUNT, &text).await?;
        Ok(self.saw_subject(effect, &noted))
    }

    async fn write_account(
        &self,
        effect: &Effect,
        it: &Register,
        registered: &Registered,
        hash: &str,
    ) -> Result<Report, Undone> {
        let conditions: Value = serde_json::from_str(&it.conditions).unwrap_or_default();
        let status = json!({
            "acme": {
                "uri": registered.account.url(),
                "lastRegisteredEmail": it.email,
                "lastPrivateKeyHash": hash,
            },
            "conditions": conditions,
        });
        self.write_status(effect, status).await?;
        self.note_verified(effect, it).await
    }
}

/// The hash of the key as cert-manager has it in the status: SHA-256 over the DER of the
/// algorithm's own structure, in base64.
fn key_hash(key: &AccountKey) -> Result<String, Halt> {
    let der = key.private_key().to_der(Encoding::Pkcs1);
    let der = der.map_err(|error| Fault::new(Class::User, error.to_string()).because(VERIFY))?;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &der);
    Ok(STANDARD.encode(digest.as_ref()))
}
