//! acme-dns: <https://github.com/joohoi/acme-dns#update-endpoint>.

use std::collections::BTreeMap;

use async_trait::async_trait;
use everleaf_api::types::dns01::AcmeDnsProvider;
use http::Method;
use http::header::HeaderName;
use serde::Deserialize;
use serde_json::json;

use crate::http::{Call, address};
use crate::record::{Presented, Provider, Record, bare};
use crate::{Context, Error, Secret, Secrets};

const WHO: &str = "acme-dns";

/// Writes records at an acme-dns server, which keeps the last two values of an account.
#[derive(Debug)]
pub(crate) struct AcmeDns {
    context: Context,
    base: String,
    accounts: BTreeMap<String, Account>,
}

#[derive(Clone, Debug)]
struct Account {
    username: Secret,
    password: Secret,
    subdomain: String,
}

/// An account as acme-dns's clients store it.
#[derive(Deserialize)]
struct Stored {
    username: String,
    password: String,
    subdomain: String,
}

#[derive(Deserialize)]
struct Problem {
    error: String,
}

impl AcmeDns {
    pub(crate) fn new(
        config: &AcmeDnsProvider,
        secrets: &Secrets,
        context: &Context,
    ) -> Result<Self, Error> {
        let text = secrets.get(&config.account_secret_ref)?;
        let stored: BTreeMap<String, Stored> = serde_json::from_str(text.expose())
            .map_err(|_| Error::credentials("acme-dns: the accounts are not JSON by domain"))?;
        let account = |stored: Stored| Account {
            username: Secret::new(stored.username),
            password: Secret::new(stored.password),
            subdomain: stored.subdomain,
        };
        let accounts = stored.into_iter().map(|(domain, stored)| (bare(&domain), account(stored)));
        let base = match config.host.contains("://") {
            true => config.host.clone(),
            false => format!("https://{}", config.host),
        };
        Ok(Self { context: context.clone(), base, accounts: accounts.collect() })
    }
}

#[async_trait]
impl Provider for AcmeDns {
    async fn present(&self, record: &Record) -> Result<Presented, Error> {
        let domain = bare(&record.domain);
        let account = self
            .accounts
            .get(&domain)
            .ok_or_else(|| Error::credentials(format!("{WHO}: no account for {domain}")))?;
        let body = json!({ "subdomain": account.subdomain, "txt": record.value });
        let call = Call::new(Method::POST, address(&self.base, &["update"], &[])?)
            .json(&body)?
            .secret_header(HeaderName::from_static("x-api-user"), &account.username)?
            .secret_header(HeaderName::from_static("x-api-key"), &account.password)?;
        let answer = self.context.http.send(call).await?;
        if answer.is_ok() {
            return Ok(Presented::default());
        }
        let problem: Option<Problem> = serde_json::from_slice(&answer.body).ok();
        let said = problem.map(|problem| problem.error).unwrap_or_default();
        Err(answer.refusal(WHO, &said, self.context.now()))
    }

    /// acme-dns has no removal: a value goes when two newer ones are there.
    async fn clean_up(&self, _: &Record) -> Result<(), Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
