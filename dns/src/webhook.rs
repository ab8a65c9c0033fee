//! Solvers behind an extension API server, by cert-manager's contract
//! (`webhook.acme.cert-manager.io/v1alpha1`).
//!
//! The types here are what goes to and fro; who calls brings the HTTP, since it is the API server
//! that is asked.

use std::sync::Arc;

use async_trait::async_trait;
use everleaf_api::types::dns01::WebhookProvider;
use serde::{Deserialize, Serialize};

use crate::record::{Presented, Provider, Record};
use crate::scrub::scrub;
use crate::{Error, Mend};

/// The kind and version of a payload.
const KIND: &str = "ChallengePayload";
const API_VERSION: &str = "webhook.acme.cert-manager.io/v1alpha1";
/// The version that solvers serve their own group in.
const VERSION: &str = "v1alpha1";

/// Sends a payload to the API server.
#[async_trait]
pub trait Transport: Send + Sync {
    /// POSTs JSON to a path of the API server, and gives the status and the body of its answer. An
    /// error is only what kept an answer from coming.
    async fn post(&self, path: &str, body: Vec<u8>) -> Result<(u16, Vec<u8>), Error>;
}

/// What a webhook is told of the challenge besides its record.
#[derive(Clone, Debug, Default)]
pub struct Challenge {
    /// Identifies the challenge, in the request and in its answer.
    pub uid: String,
    /// Where the solver shall look for resources: the issuer's namespace, or the one of cluster
    /// resources.
    pub resource_namespace: String,
    /// Whether the solver may use its pod's own identity.
    pub allow_ambient_credentials: bool,
}

/// A payload: one of the two is there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChallengePayload {
    /// `ChallengePayload`.
    #[serde(default)]
    pub kind: String,
    /// `webhook.acme.cert-manager.io/v1alpha1`.
    #[serde(default)]
    pub api_version: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<ChallengeRequest>,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<ChallengeResponse>,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Write the record.
    Present,
    /// Remove it.
    CleanUp,
}

/// What a solver is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChallengeRequest {
    /// Identifies the request.
    pub uid: String,
    /// What to do.
    pub action: Action,
    /// `dns-01`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The identifier, without `*.`.
    #[serde(rename = "dnsName")]
    pub dns_name: String,
    /// The text of the record.
    pub key: String,
    /// Where to look for resources.
    #[serde(rename = "resourceNamespace")]
    pub resource_namespace: String,
    /// The record's name, with the last dot.
    #[serde(rename = "resolvedFQDN", default, skip_serializing_if = "String::is_empty")]
    pub resolved_fqdn: String,
    /// Its zone, with the last dot.
    #[serde(rename = "resolvedZone", default, skip_serializing_if = "String::is_empty")]
    pub resolved_zone: String,
    /// Whether the solver may use its pod's own identity.
    #[serde(rename = "allowAmbientCredentials")]
    pub allow_ambient_credentials: bool,
    /// The solver's own configuration, as it stands in the issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<serde_json::Value>,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ChallengeResponse {
    /// That of the request.
    #[serde(default)]
    pub uid: String,
    /// Whether it was done.
    #[serde(default)]
    pub success: bool,
    /// Why it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
}

/// The part of a Kubernetes `Status` that is read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// What is wrong, for people.
    #[serde(default)]
    pub message: String,
    /// What is wrong, in one word.
    #[serde(default)]
    pub reason: String,
    /// The HTTP status that goes with it; 0 where none is given.
    #[serde(default)]
    pub code: i32,
}

/// Where a solver is found at the API server.
pub fn path(config: &WebhookProvider) -> Result<String, Error> {
    for (what, name) in [("groupName", &config.group_name), ("solverName", &config.solver_name)] {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        let is_dots = name.chars().all(|c| c == '.');
        if is_dots || !name.chars().all(is_name) {
            return Err(Error::configuration(format!("webhook: {what} {name:?} is not a name")));
        }
    }
    Ok(format!("/apis/{}/{VERSION}/{}", config.group_name, config.solver_name))
}

/// A solver behind an extension API server.
pub(crate) struct Webhook {
    path: String,
    config: Option<serde_json::Value>,
    challenge: Challenge,
    transport: Arc<dyn Transport>,
}

impl Webhook {
    pub(crate) fn new(
        config: &WebhookProvider,
        challenge: &Challenge,
        transport: &Arc<dyn Transport>,
    ) -> Result<Self, Error> {
        let (path, transport) = (path(config)?, Arc::clone(transport));
        Ok(Self { path, config: config.config.clone(), challenge: challenge.clone(), transport })
    }

    async fn ask(&self, action: Action, record: &Record) -> Result<(), Error> {
        let request = ChallengeRequest {
            uid: self.challenge.uid.clone(),
            action,
            kind: "dns-01".to_owned(),
            dns_name: record.domain.clone(),
            key: record.value.clone(),
            resource_namespace: self.challenge.resource_namespace.clone(),
            resolved_fqdn: format!("{}.", record.name()),
            resolved_zone: format!("{}.", record.zone_name()),
            allow_ambient_credentials: self.challenge.allow_ambient_credentials,
            config: self.config.clone(),
        };
        let payload = ChallengePayload {
            kind: KIND.to_owned(),
            api_version: API_VERSION.to_owned(),
            request: Some(request),
            response: None,
        };
        let body = serde_json::to_vec(&payload)
            .map_err(|_| Error::configuration("webhook: the solver's config cannot be written"))?;
        let (status, body) = self.transport.post(&self.path, body).await?;
        self.outcome(status, &body)
    }

    /// An answer with a response counts whatever its status; otherwise the API server's own.
    fn outcome(&self, status: u16, body: &[u8]) -> Result<(), Error> {
        let response = serde_json::from_slice(body)
            .ok()
            .and_then(|payload: ChallengePayload| payload.response);
        let failure = match response {
            Some(ChallengeResponse { success: true, .. }) => return Ok(()),
            Some(ChallengeResponse { status: Some(status), .. }) => status,
            Some(ChallengeResponse { status: None, .. }) => Status::default(),
            None => match serde_json::from_slice(body) {
                Ok(failure) if status >= 400 => failure,
                _ => Status { code: i32::from(status), ..Status::default() },
            },
        };
        let code = u16::try_from(failure.code).ok().filter(|code| *code >= 100).unwrap_or(status);
        Err(self.failure(code, &failure))
    }

    fn failure(&self, code: u16, failure: &Status) -> Error {
        let said = match (scrub(&failure.message, &[]), scrub(&failure.reason, &[])) {
            (message, _) if !message.is_empty() => message,
            (_, reason) if !reason.is_empty() => reason,
            _ => format!("no success, and no reason (status {code})"),
        };
        let message = format!("webhook {}: {said}", self.path);
        match code {
            401 | 403 => Error::Mend { what: Mend::Denied, message },
            // The API server knows no such group, version or solver.
            404 | 405 => Error::Mend { what: Mend::Configuration, message },
            429 => Error::RateLimited { message, retry_after: None },
            // Solvers have no way to tell what will pass and what will not.
            _ => Error::Transient(message),
        }
    }
}

#[async_trait]
impl Provider for Webhook {
    async fn present(&self, record: &Record) -> Result<Presented, Error> {
        self.ask(Action::Present, record).await.map(|()| Presented::default())
    }

    async fn clean_up(&self, record: &Record) -> Result<(), Error> {
        self.ask(Action::CleanUp, record).await
    }
}

#[cfg(test)]
mod tests;
