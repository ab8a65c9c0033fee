//! What is written into a Secret beside the pair: keystores and other formats.

use super::{Ports, Report, Undone, now, rejected, undone};
use crate::edge::{decoded, meta_of};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use everleaf_api::Certificate;
use everleaf_api::types::certificate::CertificateKeystores;
use everleaf_engine::{FailureClass, ObjectKey};
use everleaf_keystores::pkcs12::Profile;
use everleaf_keystores::{Entries, Identity, Material, Password, Salts, StoreError, Wanted};
use everleaf_nodes::effect::{Beside, Event};
use everleaf_nodes::facts::{Outputs, PasswordFrom, StoreProfile};
use everleaf_nodes::{Effect, Kind, project};
use everleaf_pki::{CertInfo, Encoding, Limits, PrivateKey, Zeroizing};
use serde::Deserialize as _;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// cert-manager's reason where the password of a keystore is not there.
const NO_PASSWORD: &str = "KeystorePasswordSecretNotFound";

/// Everything that the entries are made of.
struct Work {
    outputs: Outputs,
    pkcs12: Option<Password>,
    jks: Option<Password>,
    key: Zeroizing<Vec<u8>>,
    chain: Vec<u8>,
    ca: Vec<u8>,
    limits: Limits,
    created: i64,
}

impl Ports {
    /// Adds to a Secret's `data`, which holds the pair, what is to lie beside it. Without every
    /// password nothing is added and an Event says why.
    pub(super) async fn add_beside(
        &self,
        effect: &Effect,
        beside: Option<&Beside>,
        data: &mut Map<String, Value>,
    ) -> Result<(), Undone> {
        let Some(Beside { outputs, .. }) = beside else { return Ok(()) };
        let (pkcs12, jks) = self.passwords(effect, outputs).await?;
        let of = |name: &str| STANDARD.decode(data.get(name)?.as_str()?).ok();
        let work = Work {
            outputs: outputs.clone(),
            pkcs12,
            jks,
            key: Zeroizing::new(of("tls.key").unwrap_or_default()),
            chain: of("tls.crt").unwrap_or_default(),
            ca: of("ca.crt").unwrap_or_default(),
            limits: self.projector.limits,
            created: now().as_millis(),
        };
        // Deriving keys from passwords takes long on purpose.
        let made = tokio::task::spawn_blocking(move || work.entries()).await;
        let made = made.map_err(|error| {
            Report::failed(FailureClass::Transient, "Aborted", error.to_string())
        })?;
        for (name, content) in made? {
            data.insert(name.to_owned(), json!(STANDARD.encode(&*content)));
        }
        Ok(())
    }

    /// The passwords of the PKCS#12 and the Java keystore, read live.
    async fn passwords(
        &self,
        effect: &Effect,
        outputs: &Outputs,
    ) -> Result<(Option<Password>, Option<Password>), Undone> {
        let pkcs12 = outputs.pkcs12.as_ref().map(|(_, from)| from);
        let jks = outputs.jks.as_ref().map(|(_, from)| from);
        let literal = [pkcs12, jks].contains(&Some(&PasswordFrom::Literal));
        let told = if literal { self.told(effect, outputs).await? } else { <_>::default() };
        let of_pkcs12 = told.pkcs12.and_then(|store| store.password);
        let of_jks = told.jks.and_then(|store| store.password);
        Ok((
            self.password(effect, pkcs12, of_pkcs12).await?,
            self.password(effect, jks, of_jks).await?,
        ))
    }

    /// The keystores of the Certificate as it is now, if it still asks for these entries.
    async fn told(
        &self,
        effect: &Effect,
        outputs: &Outputs,
    ) -> Result<CertificateKeystores, Undone> {
        let at = &effect.subject;
        let found = self.kube.get(at.kind, &at.namespace, &at.name).await;
        let found = found.map_err(|error| undone(&error, std::slice::from_ref(at)))?;
        let same = meta_of(&found).uid == *effect.base.uid;
        let spec = Certificate::deserialize(&found).ok().filter(|_| same).map(|found| found.spec);
        spec.filter(|spec| project::outputs(spec) == *outputs)
            .and_then(|spec| spec.keystores)
            .ok_or_else(|| Report::stale(vec![at.clone()]))
    }

    async fn password(
        &self,
        effect: &Effect,
        from: Option<&PasswordFrom>,
        literal: Option<String>,
    ) -> Result<Option<Password>, Undone> {
        let bytes = match from {
            None => return Ok(None),
            Some(PasswordFrom::Literal) => literal.unwrap_or_default().into_bytes(),
            Some(PasswordFrom::Secret { name, key }) => self.password_in(effect, name, key).await?,
        };
        Password::new(&Zeroizing::new(bytes)).map(Some).map_err(unwritten)
    }

    async fn password_in(
        &self,
        effect: &Effect,
        name: &Arc<str>,
        key: &str,
    ) -> Result<Vec<u8>, Undone> {
        let namespace = &effect.subject.namespace;
        let why = match self.kube.get(Kind::Secret, namespace, name).await {
            Ok(found) => match decoded(&found, key) {
                Some(password) => return Ok(password),
                None => format!("Secret {name:?}, the password of a keystore, has no key {key:?}"),
            },
            Err(error) if error.is_absent() => {
                format!(
                    "Secret {name:?}, which is to hold the password of a keystore, is not there"
                )
            }
            Err(error) => {
                let at = ObjectKey::new(Kind::Secret, namespace.clone(), name.clone());
                return Err(undone(&error, &[at]));
            }
        };
        let said = format!("{why}; nothing is written to the Certificate's Secret without it");
        let event = Event::warning(NO_PASSWORD, said.as_str());
        self.events.send(&effect.subject, &effect.base.uid, &event);
        Err(rejected(NO_PASSWORD, format!("{NO_PASSWORD}: {said}")))
    }
}

impl Work {
    fn entries(&self) -> Result<Entries, Undone> {
        let broken =
            |error: &dyn std::fmt::Display| rejected("InvalidCertificate", error.to_string());
        let chain = CertInfo::parse_chain(&self.chain, &self.limits);
        let chain = chain.map_err(|error| broken(&error))?;
        let authorities = match self.ca.is_empty() {
            true => Vec::new(),
            false => CertInfo::parse_bundle(&self.ca, &self.limits)
                .map_err(|error| broken(&format!("ca.crt: {error}")))?,
        };
        let unusable = |error| rejected("CannotEncodeKey", format!("{error}"));
        let key = PrivateKey::from_pem(&self.key, &self.limits);
        let key = key.and_then(|key| key.to_der(Encoding::Pkcs8)).map_err(unusable)?;
        let material = Material {
            key_pem: &self.key,
            certificates_pem: &self.chain,
            identity: Identity::new(&key, &chain).map_err(unwritten)?,
            authorities: &authorities,
        };
        self.wanted().entries(&material, drawn()?, self.created).map_err(unwritten)
    }

    fn wanted(&self) -> Wanted<'_> {
        let Self { outputs, pkcs12, jks, .. } = self;
        let profile = outputs.pkcs12.as_ref().map(|(wanted, _)| profile(*wanted));
        let alias = outputs.jks.as_ref().map(|(alias, _)| &**alias);
        Wanted {
            pkcs12: profile.zip(pkcs12.as_ref()),
            jks: alias.zip(jks.as_ref()),
            combined_pem: outputs.combined_pem,
            der: outputs.der,
        }
    }
}

fn profile(wanted: StoreProfile) -> Profile {
    match wanted {
        StoreProfile::LegacyRc2 => Profile::LegacyRc2,
        StoreProfile::LegacyDes => Profile::LegacyDes,
        StoreProfile::Modern2023 => Profile::Modern2023,
        StoreProfile::Modern2026 => Profile::Modern2026,
    }
}

/// The random numbers of three stores.
fn drawn() -> Result<[Salts; 3], Undone> {
    let mut bytes = [[0; Salts::LENGTH]; 3];
    let filled = bytes.iter_mut().try_for_each(|bytes| aws_lc_rs::rand::fill(bytes));
    let failed = |_| Report::failed(FailureClass::Transient, "NoRandomness", "nothing was drawn");
    filled.map_err(failed)?;
    Ok(bytes.map(Salts::new))
}

fn unwritten(error: StoreError) -> Undone {
    let message = format!("the keystores and formats asked for cannot be written: {error}");
    rejected("KeystoreNotWritten", message)
}
