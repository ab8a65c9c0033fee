//! From a solver's configuration to a provider.

use std::sync::Arc;

use everleaf_api::types::dns01::AcmeSolverDns01;
use everleaf_api::types::reference::{SecretKeySelector, ServiceAccountRef};

use crate::acme_dns::AcmeDns;
use crate::akamai::Akamai;
use crate::azure::AzureDns;
use crate::cloud_dns::CloudDns;
use crate::cloudflare::Cloudflare;
use crate::digital_ocean::DigitalOcean;
use crate::record::Provider;
use crate::rfc2136::Rfc2136;
use crate::route53::Route53;
use crate::webhook::{self, Webhook};
use crate::{Context, Error, Secrets};

/// What the caller reads from the cluster before it makes a provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Keys of Secrets, in the issuer's namespace or that of cluster resources.
    pub secrets: Vec<SecretKeySelector>,
    /// The token of a service account there.
    pub token: Option<TokenNeed>,
}

/// A service account's token (TokenRequest API).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenNeed {
    /// The service account.
    pub service_account: String,
    /// Whom the token is for: AWS STS, and what the issuer adds.
    pub audiences: Vec<String>,
    /// In seconds.
    pub lifetime: i64,
}

/// Lists what a solver's configuration refers to. A rfc2136 secret without a key's name is not
/// needed, nor are keys of Route 53 that are given in place.
pub fn needs(config: &AcmeSolverDns01) -> Needs {
    let mut needs = Needs::default();
    let mut secret = |selector: &SecretKeySelector| needs.secrets.push(selector.clone());
    if let Some(c) = &config.acme_dns {
        secret(&c.account_secret_ref);
    }
    if let Some(c) = &config.akamai {
        secret(&c.client_token_secret_ref);
        secret(&c.client_secret_secret_ref);
        secret(&c.access_token_secret_ref);
    }
    if let Some(c) = &config.azure_dns {
        c.client_secret_secret_ref.iter().for_each(&mut secret);
    }
    if let Some(c) = &config.cloud_dns {
        c.service_account_secret_ref.iter().for_each(&mut secret);
    }
    if let Some(c) = &config.cloudflare {
        c.api_key_secret_ref.iter().chain(&c.api_token_secret_ref).for_each(&mut secret);
    }
    if let Some(c) = &config.digitalocean {
        secret(&c.token_secret_ref);
    }
    if let Some(c) = &config.rfc2136 {
        let named = c.tsig_key_name.as_deref().is_some_and(|name| !name.is_empty());
        c.tsig_secret_secret_ref.iter().filter(|_| named).for_each(&mut secret);
    }
    if let Some(c) = &config.route53 {
        let plain = c.access_key_id.as_deref().is_some_and(|id| !id.trim().is_empty());
        c.access_key_id_secret_ref.iter().filter(|_| !plain).for_each(&mut secret);
        c.secret_access_key_secret_ref.iter().for_each(&mut secret);
        needs.token = c.auth.as_ref().map(|auth| token(&auth.kubernetes.service_account_ref));
    }
    needs
}

fn token(account: &ServiceAccountRef) -> TokenNeed {
    let mut audiences = account.audiences.clone();
    audiences.push("sts.amazonaws.com".to_owned());
    TokenNeed { service_account: account.name.clone(), audiences, lifetime: 600 }
}

/// The TTL that each provider's records get, in seconds: cert-manager's.
pub fn ttl(config: &AcmeSolverDns01) -> u32 {
    match config {
        AcmeSolverDns01 { route53: Some(_), .. } => 10,
        AcmeSolverDns01 { akamai: Some(_), .. } => 300,
        _ => 60,
    }
}

/// What a provider is made of.
pub struct Setting<'a> {
    /// The solver, with exactly one provider.
    pub config: &'a AcmeSolverDns01,
    /// What [`needs`] lists.
    pub secrets: &'a Secrets,
    /// What all providers share.
    pub context: &'a Context,
    /// What a webhook is told besides the record.
    pub challenge: &'a webhook::Challenge,
    /// How webhooks are asked.
    pub transport: &'a Arc<dyn webhook::Transport>,
}

/// Makes the provider that a solver names. Makes no request.
pub fn provider(setting: &Setting<'_>) -> Result<Arc<dyn Provider>, Error> {
    let Setting { config, secrets, context, .. } = setting;
    Ok(if let Some(c) = &config.acme_dns {
        Arc::new(AcmeDns::new(c, secrets, context)?)
    } else if let Some(c) = &config.akamai {
        Arc::new(Akamai::new(c, secrets, context)?)
    } else if let Some(c) = &config.azure_dns {
        Arc::new(AzureDns::new(c, secrets, context)?)
    } else if let Some(c) = &config.cloud_dns {
        Arc::new(CloudDns::new(c, secrets, context)?)
    } else if let Some(c) = &config.cloudflare {
        Arc::new(Cloudflare::new(c, secrets, context)?)
    } else if let Some(c) = &config.digitalocean {
        Arc::new(DigitalOcean::new(c, secrets, context)?)
    } else if let Some(c) = &config.rfc2136 {
        Arc::new(Rfc2136::new(c, secrets, context)?)
    } else if let Some(c) = &config.route53 {
        Arc::new(Route53::new(c, secrets, context)?)
    } else if let Some(c) = &config.webhook {
        Arc::new(Webhook::new(c, setting.challenge, setting.transport)?)
    } else {
        return Err(Error::configuration("the solver names no DNS provider"));
    })
}

#[cfg(test)]
mod tests;
