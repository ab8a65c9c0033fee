//! DigitalOcean: <https://docs.digitalocean.com/reference/api/digitalocean/#tag/Domain-Records>.

use async_trait::async_trait;
use everleaf_api::types::dns01::DigitalOceanProvider;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use crate::http::{Answer, Call, address};
use crate::record::{Presented, Provider, Record, unquoted};
use crate::{Context, Error, Mend, Secret, Secrets};

const WHO: &str = "DigitalOcean";
const BASE: &str = "https://api.digitalocean.com";
/// Pages of 200 records of one name.
const MOST_PAGES: u32 = 100;

/// Writes records in DigitalOcean's domains.
#[derive(Debug)]
pub(crate) struct DigitalOcean {
    context: Context,
    token: Secret,
}

#[derive(Deserialize)]
struct Listing {
    #[serde(default)]
    domain_records: Vec<Entry>,
    #[serde(default)]
    links: Links,
}

#[derive(Deserialize)]
struct Entry {
    id: u64,
    #[serde(default)]
    data: String,
}

#[derive(Default, Deserialize)]
struct Links {
    #[serde(default)]
    pages: Pages,
}

#[derive(Default, Deserialize)]
struct Pages {
    next: Option<String>,
}

/// An error's body; its `request_id` is new each time and not read.
#[derive(Deserialize)]
struct Problem {
    message: String,
}

impl DigitalOcean {
    pub(crate) fn new(
        config: &DigitalOceanProvider,
        secrets: &Secrets,
        context: &Context,
    ) -> Result<Self, Error> {
        Ok(Self { context: context.clone(), token: secrets.get(&config.token_secret_ref)? })
    }

    fn url(&self, record: &Record, id: Option<u64>, query: &[(&str, &str)]) -> Result<Url, Error> {
        let base = self.context.endpoints.digital_ocean.as_deref().unwrap_or(BASE);
        let (zone, id) = (record.zone_name(), id.map(|id| id.to_string()));
        let path = ["v2", "domains", &zone, "records"].into_iter().chain(id.as_deref());
        address(base, &path.collect::<Vec<_>>(), query)
    }

    async fn send(&self, call: Call) -> Result<Answer, Error> {
        self.context.http.send(call.bearer(&self.token)?).await
    }

    fn refusal(&self, answer: &Answer, record: &Record) -> Error {
        let problem: Option<Problem> = serde_json::from_slice(&answer.body).ok();
        let said = problem.map(|problem| problem.message).unwrap_or_default();
        match answer.status {
            StatusCode::NOT_FOUND => answer.mend(
                Mend::ZoneNotFound,
                WHO,
                &format!("the credentials see no domain {}", record.zone_name()),
            ),
            _ => answer.refusal(WHO, &said, self.context.now()),
        }
    }

    async fn find(&self, record: &Record) -> Result<Vec<u64>, Error> {
        let mut found = Vec::new();
        let name = record.name();
        for page in 1..=MOST_PAGES {
            let number = page.to_string();
            let query = [("type", "TXT"), ("name", &name), ("per_page", "200"), ("page", &number)];
            let answer = self.send(Call::new(Method::GET, self.url(record, None, &query)?)).await?;
            if !answer.is_ok() {
                return Err(self.refusal(&answer, record));
            }
            let listing: Listing = answer.json(WHO)?;
            let same =
                listing.domain_records.iter().filter(|entry| unquoted(&entry.data) == record.value);
            found.extend(same.map(|entry| entry.id));
            if listing.links.pages.next.is_none() {
                return Ok(found);
            }
        }
        Err(Error::configuration(format!("{WHO}: {name} has more records than can be listed")))
    }
}

#[async_trait]
impl Provider for DigitalOcean {
    async fn present(&self, record: &Record) -> Result<Presented, Error> {
        if !self.find(record).await?.is_empty() {
            return Ok(Presented::default());
        }
        // A name with a last dot is taken as a whole one.
        let body = json!({
            "type": "TXT",
            "name": format!("{}.", record.name()),
            "data": record.value,
            "ttl": record.ttl,
        });
        let answer =
            self.send(Call::new(Method::POST, self.url(record, None, &[])?).json(&body)?).await?;
        if answer.is_ok() { Ok(Presented::default()) } else { Err(self.refusal(&answer, record)) }
    }

    async fn clean_up(&self, record: &Record) -> Result<(), Error> {
        for id in self.find(record).await? {
            let answer =
                self.send(Call::new(Method::DELETE, self.url(record, Some(id), &[])?)).await?;
            if !answer.is_ok() && answer.status != StatusCode::NOT_FOUND {
                return Err(self.refusal(&answer, record));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
