//! Cloudflare: <https://developers.cloudflare.com/api/resources/dns/subresources/records/>.

use async_trait::async_trait;
use everleaf_api::types::dns01::CloudflareProvider;
use http::header::HeaderName;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use crate::http::{Answer, Call, address};
use crate::record::{Presented, Provider, Record, unquoted};
use crate::{Context, Error, Mend, Secret, Secrets};

const WHO: &str = "Cloudflare";
const BASE: &str = "https://api.cloudflare.com/client/v4";
/// Records of one name; no zone has that many pages of them.
const MOST_PAGES: u32 = 100;
/// "An identical record already exists."
const IDENTICAL: [u32; 2] = [81057, 81058];

/// Writes records in Cloudflare's zones.
#[derive(Debug)]
pub(crate) struct Cloudflare {
    context: Context,
    login: Login,
}

#[derive(Debug)]
enum Login {
    Token(Secret),
    Key { email: String, key: Secret },
}

#[derive(Deserialize)]
struct Envelope<T> {
    #[serde(default)]
    success: bool,
    #[serde(default)]
    errors: Vec<Problem>,
    result: Option<T>,
    result_info: Option<Pages>,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    code: u32,
    #[serde(default)]
    message: String,
    #[serde(default)]
    error_chain: Vec<Problem>,
}

#[derive(Deserialize)]
struct Pages {
    total_pages: Option<u32>,
}

#[derive(Deserialize)]
struct Zone {
    id: String,
}

#[derive(Deserialize)]
struct Entry {
    id: String,
    #[serde(default)]
    content: String,
}

impl Cloudflare {
    pub(crate) fn new(
        config: &CloudflareProvider,
        secrets: &Secrets,
        context: &Context,
    ) -> Result<Self, Error> {
        let login = match (&config.api_token_secret_ref, &config.api_key_secret_ref) {
            (Some(token), None) => Login::Token(secrets.get(token)?),
            (None, Some(key)) => {
                let email = config.email.clone().unwrap_or_default();
                if email.is_empty() {
                    return Err(Error::configuration(
                        "Cloudflare: an API key needs the account's email",
                    ));
                }
                Login::Key { email, key: secrets.get(key)? }
            }
            _ => {
                let wants = "Cloudflare: either an API token or an API key is needed";
                return Err(Error::configuration(wants));
            }
        };
        Ok(Self { context: context.clone(), login })
    }

    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Url, Error> {
        let base = self.context.endpoints.cloudflare.as_deref().unwrap_or(BASE);
        address(base, path, query)
    }

    async fn send(&self, call: Call) -> Result<Answer, Error> {
        let call = match &self.login {
            Login::Token(token) => call.bearer(token)?,
            Login::Key { email, key } => call
                .header(HeaderName::from_static("x-auth-email"), email)?
                .secret_header(HeaderName::from_static("x-auth-key"), key)?,
        };
        self.context.http.send(call).await
    }

    fn result<T: for<'de> Deserialize<'de>>(&self, answer: &Answer) -> Result<Envelope<T>, Error> {
        if answer.is_ok() {
            let envelope: Envelope<T> = answer.json(WHO)?;
            return if envelope.success { Ok(envelope) } else { Err(self.refusal(answer)) };
        }
        Err(self.refusal(answer))
    }

    fn refusal(&self, answer: &Answer) -> Error {
        let problems = problems(answer);
        let said: Vec<_> =
            problems.iter().map(|(code, message)| format!("{message} ({code})")).collect();
        let said = said.join("; ");
        // Cloudflare answers some malformed or unknown credentials with 400 and 403.
        if problems
            .iter()
            .any(|(code, _)| matches!(code, 6003 | 6103 | 6111 | 9103 | 9106 | 9109 | 10000))
        {
            return answer.mend(Mend::Credentials, WHO, &said);
        }
        answer.refusal(WHO, &said, self.context.now())
    }

    /// The closest zone upwards that the credentials see; the zone that DNS tells is tried first.
    async fn zone(&self, record: &Record) -> Result<String, Error> {
        let (name, told) = (record.name(), record.zone_name());
        let upwards = name.match_indices('.').map(|(at, _)| &name[at + 1..]);
        let candidates = std::iter::once(told.as_str()).chain([name.as_str()]).chain(upwards);
        for candidate in candidates.filter(|candidate| candidate.contains('.')) {
            let url = self.url(&["zones"], &[("name", candidate)])?;
            let answer = self.send(Call::new(Method::GET, url)).await?;
            let zones = self.result::<Vec<Zone>>(&answer)?.result.unwrap_or_default();
            if let Some(zone) = zones.into_iter().next() {
                return Ok(zone.id);
            }
        }
        Err(Error::zone(format!("{WHO}: the credentials see no zone that holds {name}")))
    }

    /// The records of the name, page by page, that have the value.
    async fn find(&self, zone: &str, record: &Record) -> Result<Vec<Entry>, Error> {
        let mut found = Vec::new();
        let name = record.name();
        for page in 1..=MOST_PAGES {
            let number = page.to_string();
            let query = [("type", "TXT"), ("name", &name), ("per_page", "100"), ("page", &number)];
            let url = self.url(&["zones", zone, "dns_records"], &query)?;
            let answer = self.send(Call::new(Method::GET, url)).await?;
            let envelope = self.result::<Vec<Entry>>(&answer)?;
            let entries = envelope.result.unwrap_or_default();
            found.extend(
                entries.into_iter().filter(|entry| unquoted(&entry.content) == record.value),
            );
            let pages = envelope.result_info.and_then(|info| info.total_pages).unwrap_or(1);
            if page >= pages {
                return Ok(found);
            }
        }
        Err(Error::configuration(format!("{WHO}: {name} has more records than can be listed")))
    }
}

fn problems(answer: &Answer) -> Vec<(u32, String)> {
    let envelope: Option<Envelope<serde_json::Value>> = serde_json::from_slice(&answer.body).ok();
    let errors = envelope.map(|envelope| envelope.errors).unwrap_or_default();
    let all = errors.into_iter().flat_map(|problem| {
        let chain = problem.error_chain.into_iter().map(|below| (below.code, below.message));
        std::iter::once((problem.code, problem.message)).chain(chain)
    });
    all.take(8).collect()
}

#[async_trait]
impl Provider for Cloudflare {
    async fn present(&self, record: &Record) -> Result<Presented, Error> {
        let zone = self.zone(record).await?;
        if !self.find(&zone, record).await?.is_empty() {
            return Ok(Presented::default());
        }
        let body = json!({
            "type": "TXT",
            "name": record.name(),
            "content": record.quoted(),
            "ttl": record.ttl,
        });
        let url = self.url(&["zones", &zone, "dns_records"], &[])?;
        let answer = self.send(Call::new(Method::POST, url).json(&body)?).await?;
        if !answer.is_ok() && problems(&answer).iter().any(|(code, _)| IDENTICAL.contains(code)) {
            return Ok(Presented::default());
        }
        self.result::<serde_json::Value>(&answer).map(|_| Presented::default())
    }

    async fn clean_up(&self, record: &Record) -> Result<(), Error> {
        let zone = self.zone(record).await?;
        for entry in self.find(&zone, record).await? {
            let url = self.url(&["zones", &zone, "dns_records", &entry.id], &[])?;
            let answer = self.send(Call::new(Method::DELETE, url)).await?;
            if answer.status != StatusCode::NOT_FOUND {
                self.result::<serde_json::Value>(&answer)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
