//! Credentials, which the caller has read.

use std::collections::BTreeMap;
use std::fmt;

use everleaf_api::types::reference::SecretKeySelector;
use zeroize::Zeroizing;

use crate::Error;

/// A credential. Neither `Debug` nor anything else but [`Secret::expose`] shows it; its memory is
/// overwritten when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a credential as it is.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The credential.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub(crate) fn trimmed(&self) -> Self {
        Self::new(self.expose().trim())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The values that a solver's configuration refers to, as [`crate::needs`] lists them.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    values: BTreeMap<(String, String), Secret>,
    service_account_token: Option<Secret>,
}

impl Secrets {
    /// Adds the value of a key of a Secret.
    pub fn insert(&mut self, name: impl Into<String>, key: impl Into<String>, value: Secret) {
        self.values.insert((name.into(), key.into()), value);
    }

    /// Sets the token of the service account that Route 53's `auth.kubernetes` names.
    pub fn set_service_account_token(&mut self, token: Secret) {
        self.service_account_token = Some(token);
    }

    pub(crate) fn service_account_token(&self) -> Option<&Secret> {
        self.service_account_token.as_ref()
    }

    /// The value without the white space around it.
    pub(crate) fn get(&self, selector: &SecretKeySelector) -> Result<Secret, Error> {
        let key = selector.key.clone().unwrap_or_default();
        let named = (selector.name.clone(), key);
        match self.values.get(&named).map(Secret::trimmed) {
            Some(secret) if !secret.expose().is_empty() => Ok(secret),
            Some(_) => {
                Err(Error::credentials(format!("Secret {:?}: {:?} is empty", named.0, named.1)))
            }
            None => {
                Err(Error::credentials(format!("Secret {:?} has no key {:?}", named.0, named.1)))
            }
        }
    }
}
