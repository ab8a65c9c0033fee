//! Google Cloud DNS: <https://cloud.google.com/dns/docs/reference/rest/v1>.

use async_trait::async_trait;
use everleaf_api::types::dns01::CloudDnsProvider;
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::google::{Account, Identity};
use crate::http::{Answer, Call, address};
use crate::record::{Presented, Provider, Record, unquoted};
use crate::{Context, Error, Mend, Secrets};

const WHO: &str = "Google Cloud DNS";
const BASE: &str = "https://dns.googleapis.com/dns/v1";
const MOST_PAGES: usize = 100;

/// Writes records in Cloud DNS's managed zones. A change takes the old set away and puts the new
/// one in its place; it fails where the old one is no longer as it was read.
#[derive(Debug)]
pub(crate) struct CloudDns {
    context: Context,
    identity: Identity,
    project: String,
    zone: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    managed_zones: Vec<Zone>,
    #[serde(default)]
    rrsets: Vec<Set>,
    next_page_token: Option<String>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Zone {
    name: String,
    #[serde(default)]
    visibility: String,
}

#[derive(Clone, Deserialize, Serialize)]
struct Set {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    ttl: u32,
    #[serde(default)]
    rrdatas: Vec<String>,
}

#[derive(Deserialize)]
struct Change {
    id: String,
    status: String,
}

#[derive(Deserialize)]
struct Envelope {
    error: Problem,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    message: String,
    #[serde(default)]
    errors: Vec<Cause>,
}

#[derive(Deserialize)]
struct Cause {
    #[serde(default)]
    reason: String,
}

impl CloudDns {
    pub(crate) fn new(
        config: &CloudDnsProvider,
        secrets: &Secrets,
        context: &Context,
    ) -> Result<Self, Error> {
        let identity = match &config.service_account_secret_ref {
            Some(selector) => Identity::Account(Box::new(Account::parse(&secrets.get(selector)?)?)),
            None => {
                context.ambient(WHO)?;
                Identity::Ambient
            }
        };
        let zone = config.hosted_zone_name.clone().filter(|zone| !zone.is_empty());
        Ok(Self { context: context.clone(), identity, project: config.project.clone(), zone })
    }

    async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<serde_json::Value>,
    ) -> Result<Answer, Error> {
        let base = self.context.endpoints.google_dns.as_deref().unwrap_or(BASE);
        let path: Vec<_> = ["projects", &self.project, "managedZones"]
            .into_iter()
            .chain(path.iter().copied())
            .collect();
        let mut call = Call::new(method, address(base, &path, query)?);
        if let Some(body) = body {
            call = call.json(&body)?;
        }
        let token = self.identity.token(&self.context).await?;
        let answer = self.context.http.send(call.bearer(&token)?).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            self.context.bearers.forget(&token);
        }
        Ok(answer)
    }

    fn refusal(&self, answer: &Answer) -> Error {
        let problem: Option<Envelope> = serde_json::from_slice(&answer.body).ok();
        let Some(Envelope { error }) = problem else {
            return answer.refusal(WHO, "", self.context.now());
        };
        let is = |reasons: &[&str]| {
            error.errors.iter().any(|cause| reasons.contains(&cause.reason.as_str()))
        };
        if is(&["rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded"]) {
            return answer.limited(answer.message(WHO, &error.message), self.context.now());
        }
        answer.refusal(WHO, &error.message, self.context.now())
    }

    /// A listing, all pages of it.
    async fn list(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Page, Error> {
        let mut whole = Page::default();
        let mut token = None::<String>;
        for _ in 0..MOST_PAGES {
            let mut query = query.to_vec();
            query.extend(token.as_deref().map(|token| ("pageToken", token)));
            let answer = self.send(Method::GET, path, &query, None).await?;
            if answer.status == StatusCode::NOT_FOUND {
                let said = "the project or the managed zone is not there, or the credentials do not see it";
                return Err(answer.mend(Mend::ZoneNotFound, WHO, said));
            }
            if !answer.is_ok() {
                return Err(self.refusal(&answer));
            }
            let page: Page = answer.json(WHO)?;
            whole.managed_zones.extend(page.managed_zones);
            whole.rrsets.extend(page.rrsets);
            token = page.next_page_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(whole);
            }
        }
        Err(Error::configuration(format!("{WHO}: more than can be listed")))
    }

    /// The given zone; otherwise the public one of the zone that DNS tells, or else any of it.
    async fn zone(&self, record: &Record) -> Result<String, Error> {
        if let Some(zone) = &self.zone {
            return Ok(zone.clone());
        }
        let zones = self
            .list(&[], &[("dnsName", &format!("{}.", record.zone_name()))])
            .await?
            .managed_zones;
        let public = zones.iter().find(|zone| zone.visibility == "public");
        let zone = public.or(zones.first()).map(|zone| zone.name.clone());
        zone.ok_or_else(|| {
            Error::zone(format!(
                "{WHO}: the project {} has no managed zone {}",
                self.project,
                record.zone_name()
            ))
        })
    }

    async fn set(&self, zone: &str, record: &Record) -> Result<Option<Set>, Error> {
        let name = format!("{}.", record.name());
        let page = self.list(&[zone, "rrsets"], &[("name", &name), ("type", "TXT")]).await?;
        Ok(page
            .rrsets
            .into_iter()
            .find(|set| set.kind == "TXT" && set.name.eq_ignore_ascii_case(&name)))
    }

    async fn change(
        &self,
        zone: &str,
        old: Option<&Set>,
        new: Option<&Set>,
    ) -> Result<Presented, Error> {
        let body = json!({
            "deletions": old.into_iter().collect::<Vec<_>>(),
            "additions": new.into_iter().collect::<Vec<_>>(),
        });
        let answer = self.send(Method::POST, &[zone, "changes"], &[], Some(body)).await?;
        if !answer.is_ok() {
            return Err(match (answer.status, old) {
                // What was to be deleted is not there as it was read.
                (StatusCode::NOT_FOUND, Some(_)) => {
                    Error::Transient(answer.message(WHO, "the set has changed"))
                }
                _ => self.refusal(&answer),
            });
        }
        let change: Change = answer.json(WHO)?;
        let is_done = change.status == "done";
        Ok(Presented { sync: (!is_done).then(|| format!("{zone}/{}", change.id)) })
    }
}

#[async_trait]
impl Provider for CloudDns {
    async fn present(&self, record: &Record) -> Result<Presented, Error> {
        let zone = self.zone(record).await?;
        let old = self.set(&zone, record).await?;
        let fresh = || Set {
            name: format!("{}.", record.name()),
            kind: "TXT".to_owned(),
            ttl: record.ttl,
            rrdatas: vec![],
        };
        let mut new = old.clone().unwrap_or_else(fresh);
        if new.rrdatas.iter().any(|text| unquoted(text) == record.value) {
            return Ok(Presented::default());
        }
        new.rrdatas.push(record.quoted());
        self.change(&zone, old.as_ref(), Some(&new)).await
    }

    async fn clean_up(&self, record: &Record) -> Result<(), Error> {
        let zone = self.zone(record).await?;
        let Some(old) = self.set(&zone, record).await? else { return Ok(()) };
        let mut new = old.clone();
        new.rrdatas.retain(|text| unquoted(text) != record.value);
        if new.rrdatas.len() == old.rrdatas.len() {
            return Ok(());
        }
        let rest = Some(&new).filter(|set| !set.rrdatas.is_empty());
        self.change(&zone, Some(&old), rest).await.map(drop)
    }

    async fn in_sync(&self, sync: &str) -> Result<bool, Error> {
        let wrong = || Error::configuration(format!("{WHO}: {sync:?} names no change"));
        let (zone, id) = sync.split_once('/').ok_or_else(wrong)?;
        let answer = self.send(Method::GET, &[zone, "changes", id], &[], None).await?;
        if !answer.is_ok() {
            return Err(self.refusal(&answer));
        }
        Ok(answer.json::<Change>(WHO)?.status == "done")
    }
}

#[cfg(test)]
mod tests;
