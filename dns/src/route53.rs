//! AWS Route 53: <https://docs.aws.amazon.com/Route53/latest/APIReference/Welcome.html>.

use std::fmt::Write;

use async_trait::async_trait;
use everleaf_api::types::dns01::Route53Provider;
use http::{Method, StatusCode};
use serde::Deserialize;

use crate::aws::{self, Credentials, Identity, sig_v4, xml};
use crate::http::{Answer, Call, address};
use crate::record::{Presented, Provider, Record, bare, unquoted};
use crate::{Context, Error, Mend, Secrets};

const WHO: &str = "Route 53";
const API: &str = "2013-04-01";
/// Pages of a hundred sets of one name.
const MOST_PAGES: usize = 100;

/// Writes records in Route 53's hosted zones.
///
/// A value is a set of its own (multivalue answer routing), as with cert-manager, so nobody's
/// change can lose it. Where the name has a simple set already, Route 53 takes no others beside it:
/// then the value goes into that set, by a change that fails if the set is not as it was read.
#[derive(Debug)]
pub(crate) struct Route53 {
    context: Context,
    identity: Identity,
    zone: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ZoneList {
    hosted_zones: Zones,
}

#[derive(Deserialize)]
struct Zones {
    #[serde(rename = "HostedZone", default)]
    zones: Vec<Zone>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Zone {
    id: String,
    name: String,
    config: Option<ZoneConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ZoneConfig {
    #[serde(default)]
    private_zone: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SetList {
    resource_record_sets: Sets,
    #[serde(default)]
    is_truncated: bool,
    next_record_name: Option<String>,
    next_record_type: Option<String>,
    next_record_identifier: Option<String>,
}

#[derive(Deserialize)]
struct Sets {
    #[serde(rename = "ResourceRecordSet", default)]
    sets: Vec<Set>,
}

/// A set of records of one name, type and identifier.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Set {
    name: String,
    #[serde(rename = "Type")]
    kind: String,
    set_identifier: Option<String>,
    #[serde(default)]
    multi_value_answer: bool,
    #[serde(rename = "TTL", default)]
    ttl: u32,
    #[serde(default)]
    resource_records: Values,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Values {
    #[serde(rename = "ResourceRecord", default)]
    records: Vec<Value>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Value {
    value: String,
}

impl Set {
    fn has(&self, value: &str) -> bool {
        self.resource_records.records.iter().any(|record| unquoted(&record.value) == value)
    }

    fn is_simple(&self) -> bool {
        self.set_identifier.is_none()
    }

    /// The set of one value, as cert-manager writes it.
    fn of(record: &Record) -> Self {
        Self {
            name: format!("{}.", record.name()),
            kind: "TXT".to_owned(),
            set_identifier: Some(record.quoted()),
            multi_value_answer: true,
            ttl: record.ttl,
            resource_records: Values { records: vec![Value { value: record.quoted() }] },
        }
    }

    fn xml(&self) -> String {
        let mut text = String::from("<ResourceRecordSet>");
        let mut put = |name: &str, value: &str| {
            let _ = write!(text, "<{name}>{}</{name}>", xml::escape(value));
        };
        put("Name", &self.name);
        put("Type", &self.kind);
        if let Some(identifier) = &self.set_identifier {
            put("SetIdentifier", identifier);
        }
        if self.multi_value_answer {
            put("MultiValueAnswer", "true");
        }
        put("TTL", &self.ttl.to_string());
        let records = self.resource_records.records.iter();
        let values: String = records
            .map(|record| {
                format!(
                    "<ResourceRecord><Value>{}</Value></ResourceRecord>",
                    xml::escape(&record.value)
                )
            })
            .collect();
        let _ = write!(text, "<ResourceRecords>{values}</ResourceRecords></ResourceRecordSet>");
        text
    }
}

impl Route53 {
    pub(crate) fn new(
        config: &Route53Provider,
        secrets: &Secrets,
        context: &Context,
    ) -> Result<Self, Error> {
        let identity = Identity::new(config, secrets, context)?;
        let zone = config.hosted_zone_id.clone().filter(|zone| !zone.is_empty());
        Ok(Self { context: context.clone(), identity, zone: zone.as_deref().map(short) })
    }

    async fn keys(&self) -> Result<Credentials, Error> {
        self.identity.credentials(&self.context).await
    }

    fn base(&self) -> &str {
        let other = self.context.endpoints.route53.as_deref();
        let other = other.or_else(|| self.context.variable("AWS_ENDPOINT_URL_ROUTE_53"));
        let other = other.or_else(|| self.context.variable("AWS_ENDPOINT_URL"));
        other.unwrap_or(self.identity.partition().route53)
    }

    async fn send(
        &self,
        keys: &Credentials,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<String>,
    ) -> Result<Answer, Error> {
        let path: Vec<_> = [API].into_iter().chain(path.iter().copied()).collect();
        let mut call = Call::new(method, address(self.base(), &path, query)?);
        if let Some(body) = body {
            // The address of changes is documented with a slash at its end.
            if let Ok(mut path) = call.url.path_segments_mut() {
                path.push("");
            }
            call = call.content("application/xml", body.into_bytes());
        }
        let region = self.identity.partition().route53_region;
        let call = sig_v4::sign(call, keys, region, "route53", self.context.now())?;
        let answer = self.context.http.send(call).await?;
        let refusal = |answer| aws::refusal(answer, WHO, self.context.now());
        let credentials = |error| matches!(error, Error::Mend { what: Mend::Credentials, .. });
        if !answer.is_ok() && credentials(refusal(&answer)) {
            self.context.aws.forget(keys);
        }
        Ok(answer)
    }

    fn checked(&self, answer: Answer) -> Result<String, Error> {
        if answer.is_ok() {
            Ok(answer.text())
        } else {
            Err(aws::refusal(&answer, WHO, self.context.now()))
        }
    }

    /// The given zone; otherwise the closest public one upwards, the zone that DNS tells first.
    async fn zone(&self, keys: &Credentials, record: &Record) -> Result<String, Error> {
        if let Some(zone) = &self.zone {
            return Ok(zone.clone());
        }
        let (name, told) = (record.name(), record.zone_name());
        let upwards = name.match_indices('.').map(|(at, _)| &name[at + 1..]);
        let candidates = std::iter::once(told.as_str()).chain(upwards);
        for candidate in candidates.filter(|candidate| candidate.contains('.')) {
            // Sorted from this name on: its own zones, if any, are the first.
            let query = [("dnsname", candidate), ("maxitems", "100")];
            let answer = self.send(keys, Method::GET, &["hostedzonesbyname"], &query, None).await?;
            let list: ZoneList = xml::read(&self.checked(answer)?, WHO)?;
            let public = list.hosted_zones.zones.into_iter().find(|zone| {
                let private = zone.config.as_ref().is_some_and(|config| config.private_zone);
                bare(&zone.name) == candidate && !private
            });
            if let Some(zone) = public {
                return Ok(short(&zone.id));
            }
        }
        Err(Error::zone(format!(
            "{WHO}: the credentials see no public hosted zone that holds {name}"
        )))
    }

    /// The name's TXT sets.
    async fn sets(
        &self,
        keys: &Credentials,
        zone: &str,
        record: &Record,
    ) -> Result<Vec<Set>, Error> {
        let mut found = Vec::new();
        let name = record.name();
        let mut from: Vec<(&str, String)> =
            vec![("name", name.clone()), ("type", "TXT".to_owned())];
        for _ in 0..MOST_PAGES {
            let query: Vec<_> = from.iter().map(|(key, value)| (*key, value.as_str())).collect();
            let answer =
                self.send(keys, Method::GET, &["hostedzone", zone, "rrset"], &query, None).await?;
            let list: SetList = xml::read(&self.checked(answer)?, WHO)?;
            let same = |set: &Set| bare(&set.name) == name && set.kind == "TXT";
            // Sorted from this name on, so the first that is another's ends it.
            let passed = list.resource_record_sets.sets.iter().any(|set| !same(set));
            found.extend(list.resource_record_sets.sets.into_iter().filter(same));
            match (list.is_truncated && !passed, list.next_record_name) {
                (true, Some(next)) => {
                    from = vec![("name", next)];
                    from.extend(list.next_record_type.map(|kind| ("type", kind)));
                    from.extend(list.next_record_identifier.map(|id| ("identifier", id)));
                }
                _ => return Ok(found),
            }
        }
        Err(Error::configuration(format!("{WHO}: {name} has more records than can be listed")))
    }

    async fn change(
        &self,
        keys: &Credentials,
        zone: &str,
        changes: &[(&str, &Set)],
    ) -> Result<Answer, Error> {
        let changes: String = changes
            .iter()
            .map(|(action, set)| format!("<Change><Action>{action}</Action>{}</Change>", set.xml()))
            .collect();
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
             <ChangeResourceRecordSetsRequest xmlns=\"https://route53.amazonaws.com/doc/{API}/\">\
             <ChangeBatch><Changes>{changes}</Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"
        );
        self.send(keys, Method::POST, &["hostedzone", zone, "rrset"], &[], Some(body)).await
    }

    fn presented(&self, answer: Answer) -> Result<Presented, Error> {
        let is_swap_lost = is_invalid_batch(&answer);
        let text = match self.checked(answer) {
            // The set was not as it was read: somebody else has changed it.
            Err(Error::Mend { message, .. }) if is_swap_lost => {
                return Err(Error::Transient(message));
            }
            checked => checked?,
        };
        let id = xml::first(&text, "Id").map(|id| short(&id));
        Ok(Presented { sync: id.filter(|id| !id.is_empty()) })
    }
}

/// The last part of `/hostedzone/Z1` and `/change/C1`.
fn short(id: &str) -> String {
    id.rsplit('/').next().unwrap_or(id).to_owned()
}

fn is_invalid_batch(answer: &Answer) -> bool {
    answer.status == StatusCode::BAD_REQUEST && answer.text().contains("InvalidChangeBatch")
}

#[async_trait]
impl Provider for Route53 {
    async fn present(&self, record: &Record) -> Result<Presented, Error> {
        let keys = self.keys().await?;
        let zone = self.zone(&keys, record).await?;
        let sets = match self.sets(&keys, &zone, record).await {
            // Who may change and not list writes as cert-manager does.
            Err(Error::Mend { what: Mend::Denied, .. }) => Vec::new(),
            sets => sets?,
        };
        let Some(simple) = sets.into_iter().find(Set::is_simple) else {
            let answer = self.change(&keys, &zone, &[("UPSERT", &Set::of(record))]).await?;
            return self.presented(answer);
        };
        if simple.has(&record.value) {
            return Ok(Presented::default());
        }
        let mut wider = simple.clone();
        wider.resource_records.records.push(Value { value: record.quoted() });
        let swap = [("DELETE", &simple), ("CREATE", &wider)];
        self.presented(self.change(&keys, &zone, &swap).await?)
    }

    async fn clean_up(&self, record: &Record) -> Result<(), Error> {
        let keys = self.keys().await?;
        let zone = self.zone(&keys, record).await?;
        let sets = match self.sets(&keys, &zone, record).await {
            Err(Error::Mend { what: Mend::Denied, .. }) => vec![Set::of(record)],
            sets => sets?,
        };
        for set in sets.into_iter().filter(|set| set.has(&record.value)) {
            let mut narrower = set.clone();
            narrower
                .resource_records
                .records
                .retain(|value| unquoted(&value.value) != record.value);
            let mut changes = vec![("DELETE", &set)];
            if !narrower.resource_records.records.is_empty() {
                changes.push(("CREATE", &narrower));
            }
            let answer = self.change(&keys, &zone, &changes).await?;
            // Gone already.
            if is_invalid_batch(&answer) && answer.text().contains("not found") {
                continue;
            }
            self.presented(answer)?;
        }
        Ok(())
    }

    async fn in_sync(&self, sync: &str) -> Result<bool, Error> {
        let keys = self.keys().await?;
        let answer = self.send(&keys, Method::GET, &["change", sync], &[], None).await?;
        // Route 53 forgets changes after a while, and then they are everywhere.
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(true);
        }
        Ok(xml::first(&self.checked(answer)?, "Status").as_deref() == Some("INSYNC"))
    }
}

#[cfg(test)]
mod tests;
