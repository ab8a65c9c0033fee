//! Akamai Edge DNS: <https://techdocs.akamai.com/edge-dns/reference/edge-dns-api>.

use async_trait::async_trait;
use everleaf_api::types::dns01::AkamaiProvider;
use http::header::AUTHORIZATION;
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use crate::http::{Answer, Call, address};
use crate::record::{Presented, Provider, Record, unquoted};
use crate::{Context, Error, Mend, Secret, Secrets};

mod edge_grid;

use edge_grid::Credentials;

const WHO: &str = "Akamai";

/// Writes records in Akamai's zones. The API has no condition on a change: what somebody else adds
/// between our reading and our writing is lost, as with every client of it.
#[derive(Debug)]
pub(crate) struct Akamai {
    context: Context,
    base: String,
    credentials: Credentials,
}

/// All records of a name and a type.
#[derive(Deserialize, Serialize)]
struct Set {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    ttl: u32,
    rdata: Vec<String>,
}

/// A problem (RFC 7807); its `instance` is new each time and not read.
#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    title: String,
    #[serde(default)]
    detail: String,
}

impl Akamai {
    pub(crate) fn new(
        config: &AkamaiProvider,
        secrets: &Secrets,
        context: &Context,
    ) -> Result<Self, Error> {
        let host =
            config.service_consumer_domain.trim_start_matches("https://").trim_end_matches('/');
        let base = context.endpoints.akamai.clone().unwrap_or_else(|| format!("https://{host}"));
        let credentials = Credentials {
            client_token: secrets.get(&config.client_token_secret_ref)?,
            client_secret: secrets.get(&config.client_secret_secret_ref)?,
            access_token: secrets.get(&config.access_token_secret_ref)?,
        };
        Ok(Self { context: context.clone(), base, credentials })
    }

    async fn send(
        &self,
        method: Method,
        record: &Record,
        set: Option<&Set>,
    ) -> Result<Answer, Error> {
        let (zone, name) = (record.zone_name(), record.name());
        let path = ["config-dns", "v2", "zones", &zone, "names", &name, "types", "TXT"];
        let mut call = Call::new(method, address(&self.base, &path, &[])?);
        if let Some(set) = set {
            call = call.json(set)?;
        }
        let signature = self.credentials.authorization(
            call.method.as_str(),
            &call.url,
            &call.body,
            &edge_grid::timestamp(self.context.now()),
            &edge_grid::nonce()?,
        );
        let call = call
            .secret_header(AUTHORIZATION, &Secret::new(signature))?
            .hide(&self.credentials.client_token)
            .hide(&self.credentials.access_token);
        self.context.http.send(call).await
    }

    async fn read(&self, record: &Record) -> Result<Option<Set>, Error> {
        let answer = self.send(Method::GET, record, None).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(None),
            _ if answer.is_ok() => answer.json(WHO).map(Some),
            _ => Err(self.refusal(&answer, record)),
        }
    }

    async fn write(&self, method: Method, record: &Record, set: Option<&Set>) -> Result<(), Error> {
        let answer = self.send(method, record, set).await?;
        if answer.is_ok() { Ok(()) } else { Err(self.refusal(&answer, record)) }
    }

    fn refusal(&self, answer: &Answer, record: &Record) -> Error {
        let problem: Option<Problem> = serde_json::from_slice(&answer.body).ok();
        let said = problem
            .map(|problem| format!("{} {}", problem.title, problem.detail))
            .unwrap_or_default();
        match answer.status {
            StatusCode::NOT_FOUND => answer.mend(
                Mend::ZoneNotFound,
                WHO,
                &format!("the credentials see no zone {}", record.zone_name()),
            ),
            _ => answer.refusal(WHO, &said, self.context.now()),
        }
    }
}

#[async_trait]
impl Provider for Akamai {
    async fn present(&self, record: &Record) -> Result<Presented, Error> {
        match self.read(record).await? {
            Some(set) if set.rdata.iter().any(|text| unquoted(text) == record.value) => {}
            Some(mut set) => {
                set.rdata.push(record.quoted());
                self.write(Method::PUT, record, Some(&set)).await?;
            }
            None => {
                let (name, kind) = (record.name(), "TXT".to_owned());
                let set = Set { name, kind, ttl: record.ttl, rdata: vec![record.quoted()] };
                self.write(Method::POST, record, Some(&set)).await?;
            }
        }
        Ok(Presented::default())
    }

    async fn clean_up(&self, record: &Record) -> Result<(), Error> {
        let Some(mut set) = self.read(record).await? else { return Ok(()) };
        let before = set.rdata.len();
        set.rdata.retain(|text| unquoted(text) != record.value);
        match set.rdata.len() {
            after if after == before => Ok(()),
            0 => self.write(Method::DELETE, record, None).await,
            _ => self.write(Method::PUT, record, Some(&set)).await,
        }
    }
}

#[cfg(test)]
mod tests;
