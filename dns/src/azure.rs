//! Azure DNS: <https://learn.microsoft.com/en-us/rest/api/dns/record-sets>.

use async_trait::async_trait;
use everleaf_api::types::dns01::{AzureDnsProvider, AzureEnvironment, AzureZoneType};
use http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::http::{Answer, Call, address};
use crate::record::{Presented, Provider, Record, bare};
use crate::{Context, Error, Mend, Secrets};

mod token;

use token::Identity;

const WHO: &str = "Azure DNS";

/// A cloud's addresses.
#[derive(Clone, Debug)]
struct Cloud {
    login: String,
    manager: String,
    /// What tokens are for.
    audience: String,
}

/// Writes records in Azure's zones. Each change names the version that it was made from.
#[derive(Debug)]
pub(crate) struct AzureDns {
    context: Context,
    cloud: Cloud,
    identity: Identity,
    subscription: String,
    group: String,
    zone: Option<String>,
    private: bool,
}

/// A set of records: its version, and the whole of it, so that what we do not know stays.
struct Set {
    version: String,
    properties: Value,
}

#[derive(Deserialize)]
struct Envelope {
    error: Problem,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl AzureDns {
    pub(crate) fn new(
        config: &AzureDnsProvider,
        secrets: &Secrets,
        context: &Context,
    ) -> Result<Self, Error> {
        let zone = config.hosted_zone_name.clone().filter(|zone| !zone.is_empty());
        Ok(Self {
            context: context.clone(),
            cloud: cloud(config.environment, context)?,
            identity: Identity::new(config, secrets, context)?,
            subscription: config.subscription_id.clone(),
            group: config.resource_group_name.clone(),
            zone: zone.as_deref().map(bare),
            private: config.zone_type == Some(AzureZoneType::Private),
        })
    }

    fn zone(&self, record: &Record) -> String {
        self.zone.clone().unwrap_or_else(|| record.zone_name())
    }

    async fn send(
        &self,
        method: Method,
        record: &Record,
        condition: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Answer, Error> {
        let zone = self.zone(record);
        let name = record.relative_to(&zone)?;
        let (kind, version) = match self.private {
            true => ("privateDnsZones", "2020-06-01"),
            false => ("dnsZones", "2018-05-01"),
        };
        let path = [
            "subscriptions",
            &self.subscription,
            "resourceGroups",
            &self.group,
            "providers",
            "Microsoft.Network",
            kind,
            &zone,
            "TXT",
            &name,
        ];
        let mut call =
            Call::new(method, address(&self.cloud.manager, &path, &[("api-version", version)])?);
        call = match condition {
            Some("*") => call.header(IF_NONE_MATCH, "*")?,
            Some(version) => call.header(IF_MATCH, version)?,
            None => call,
        };
        if let Some(body) = body {
            call = call.json(body)?;
        }
        let token = self.identity.token(&self.context, &self.cloud).await?;
        let answer = self.context.http.send(call.bearer(&token)?).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            self.context.bearers.forget(&token);
        }
        Ok(answer)
    }

    fn refusal(&self, answer: &Answer, record: &Record) -> Error {
        let problem: Option<Envelope> = serde_json::from_slice(&answer.body).ok();
        let Some(Envelope { error }) = problem else {
            return answer.refusal(WHO, "", self.context.now());
        };
        if answer.status == StatusCode::NOT_FOUND {
            let said = format!("{}: no zone {} to be seen", error.code, self.zone(record));
            return answer.mend(Mend::ZoneNotFound, WHO, &said);
        }
        answer.refusal(WHO, &format!("{}: {}", error.code, error.message), self.context.now())
    }

    async fn read(&self, record: &Record) -> Result<Option<Set>, Error> {
        let answer = self.send(Method::GET, record, None, None).await?;
        if answer.status == StatusCode::NOT_FOUND {
            let problem: Option<Envelope> = serde_json::from_slice(&answer.body).ok();
            // The set is not there; a zone, group or subscription that is not has other codes.
            return match problem.is_none_or(|problem| problem.error.code == "NotFound") {
                true => Ok(None),
                false => Err(self.refusal(&answer, record)),
            };
        }
        if !answer.is_ok() {
            return Err(self.refusal(&answer, record));
        }
        let body: Value = answer.json(WHO)?;
        let header = answer.headers.get(ETAG).and_then(|tag| tag.to_str().ok());
        let version = body["etag"].as_str().or(header).unwrap_or_default().to_owned();
        if version.is_empty() || !body["properties"].is_object() {
            return Err(Error::transient(format!("{WHO} sent a record set without a version")));
        }
        Ok(Some(Set { version, properties: body["properties"].clone() }))
    }

    /// The field of the records; the two kinds of zones write it with different capitals.
    fn field(&self) -> &'static str {
        if self.private { "txtRecords" } else { "TXTRecords" }
    }

    fn values<'a>(&self, properties: &'a Value) -> &'a [Value] {
        properties[self.field()].as_array().map_or(&[], Vec::as_slice)
    }

    async fn write(
        &self,
        record: &Record,
        version: &str,
        mut properties: Value,
        values: Vec<Value>,
    ) -> Result<(), Error> {
        properties[self.field()] = Value::Array(values);
        for computed in ["fqdn", "provisioningState", "isAutoRegistered"] {
            properties.as_object_mut().map(|properties| properties.remove(computed));
        }
        let body = json!({ "properties": properties });
        let answer = self.send(Method::PUT, record, Some(version), Some(&body)).await?;
        if answer.is_ok() { Ok(()) } else { Err(self.refusal(&answer, record)) }
    }
}

fn is_value(entry: &Value, value: &str) -> bool {
    let strings = entry["value"].as_array().map_or(&[][..], Vec::as_slice);
    strings.iter().filter_map(Value::as_str).collect::<String>() == value
}

fn cloud(environment: Option<AzureEnvironment>, context: &Context) -> Result<Cloud, Error> {
    let (login, manager) = match environment {
        None | Some(AzureEnvironment::Public) => {
            ("https://login.microsoftonline.com", "https://management.azure.com")
        }
        Some(AzureEnvironment::China) => {
            ("https://login.chinacloudapi.cn", "https://management.chinacloudapi.cn")
        }
        Some(AzureEnvironment::UsGovernment) => {
            ("https://login.microsoftonline.us", "https://management.usgovcloudapi.net")
        }
        Some(AzureEnvironment::German) => {
            return Err(Error::configuration("Azure DNS: the German cloud is closed since 2021"));
        }
    };
    let endpoints = &context.endpoints;
    let pods = context.variable("AZURE_AUTHORITY_HOST").map(str::to_owned);
    Ok(Cloud {
        login: endpoints.azure_login.clone().or(pods).unwrap_or_else(|| login.to_owned()),
        manager: endpoints.azure_manager.clone().unwrap_or_else(|| manager.to_owned()),
        audience: manager.to_owned(),
    })
}

#[async_trait]
impl Provider for AzureDns {
    async fn present(&self, record: &Record) -> Result<Presented, Error> {
        let entry = json!({ "value": [record.value] });
        match self.read(record).await? {
            None => {
                let ttl = if self.private { "ttl" } else { "TTL" };
                self.write(record, "*", json!({ ttl: record.ttl }), vec![entry]).await?;
            }
            Some(set) => {
                let mut values = self.values(&set.properties).to_vec();
                if !values.iter().any(|entry| is_value(entry, &record.value)) {
                    values.push(entry);
                    self.write(record, &set.version, set.properties, values).await?;
                }
            }
        }
        Ok(Presented::default())
    }

    async fn clean_up(&self, record: &Record) -> Result<(), Error> {
        let Some(set) = self.read(record).await? else { return Ok(()) };
        let old = self.values(&set.properties);
        let rest: Vec<_> =
            old.iter().filter(|entry| !is_value(entry, &record.value)).cloned().collect();
        if rest.len() == old.len() {
            return Ok(());
        }
        if !rest.is_empty() {
            return self.write(record, &set.version, set.properties, rest).await;
        }
        let answer = self.send(Method::DELETE, record, Some(&set.version), None).await?;
        match answer.is_ok() || answer.status == StatusCode::NOT_FOUND {
            true => Ok(()),
            false => Err(self.refusal(&answer, record)),
        }
    }
}

#[cfg(test)]
mod tests;
