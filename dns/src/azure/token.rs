//! Azure's access tokens: a client's secret, workload identity, or a managed identity
//! (<https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-client-creds-grant-flow>).

use everleaf_api::types::dns01::{AzureDnsProvider, AzureManagedIdentity};
use http::Method;
use http::header::HeaderName;
use jiff::SignedDuration;
use serde::Deserialize;

use super::Cloud;
use crate::context::file;
use crate::http::{Answer, Call, address};
use crate::{Context, Error, Mend, Secret, Secrets};

const WHO: &str = "Azure";
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Where the tokens come from.
#[derive(Clone, Debug)]
pub(super) enum Identity {
    Client {
        tenant: String,
        client: String,
        secret: Secret,
    },
    /// The pod's token, which Entra takes for a secret.
    Workload {
        tenant: String,
        client: String,
        path: String,
    },
    Managed(AzureManagedIdentity),
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
    /// A number; a string where the metadata server says it.
    expires_in: serde_json::Value,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
}

impl Identity {
    /// A client's secret first; then workload identity where the pod has it; then a managed one.
    pub(super) fn new(
        config: &AzureDnsProvider,
        secrets: &Secrets,
        context: &Context,
    ) -> Result<Self, Error> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let (Some(client), Some(selector)) =
            (given(&config.client_id), &config.client_secret_secret_ref)
        {
            let tenant = given(&config.tenant_id)
                .ok_or_else(|| Error::configuration("Azure: a client's secret needs its tenant"))?;
            return Ok(Self::Client { tenant, client, secret: secrets.get(selector)? });
        }
        context.ambient("Azure DNS")?;
        let managed = config.managed_identity.clone().unwrap_or_default();
        let Some(path) = context.variable("AZURE_FEDERATED_TOKEN_FILE") else {
            return Ok(Self::Managed(managed));
        };
        let or_pods = |given: Option<String>, variable: &str| {
            let pods = context.variable(variable).map(str::to_owned);
            given.or(pods).ok_or_else(|| {
                Error::credentials(format!("Azure: workload identity without {variable}"))
            })
        };
        Ok(Self::Workload {
            tenant: or_pods(given(&managed.tenant_id), "AZURE_TENANT_ID")?,
            client: or_pods(given(&managed.client_id), "AZURE_CLIENT_ID")?,
            path: path.to_owned(),
        })
    }

    /// A token, a new one where the one held is about to expire.
    pub(super) async fn token(&self, context: &Context, cloud: &Cloud) -> Result<Secret, Error> {
        let identity = self.identity(cloud);
        let identity: Vec<_> = identity.iter().map(String::as_str).collect();
        if let Some(token) = context.bearers.get(&identity, context.now()) {
            return Ok(token);
        }
        let answer = match self {
            Self::Client { tenant, client, secret } => {
                let proof = [("client_secret", secret.expose())];
                login(context, cloud, tenant, client, secret, &proof).await?
            }
            Self::Workload { tenant, client, path } => {
                let token = file(path).await?;
                let proof =
                    [("client_assertion_type", ASSERTION), ("client_assertion", token.expose())];
                login(context, cloud, tenant, client, &token, &proof).await?
            }
            Self::Managed(managed) => metadata(context, cloud, managed).await?,
        };
        take(context, &identity, answer)
    }

    fn identity(&self, cloud: &Cloud) -> Vec<String> {
        let mut parts = vec!["azure".to_owned(), cloud.login.clone(), cloud.manager.clone()];
        parts.extend(match self {
            Self::Client { tenant, client, secret } => {
                vec![
                    "client".to_owned(),
                    tenant.clone(),
                    client.clone(),
                    secret.expose().to_owned(),
                ]
            }
            Self::Workload { tenant, client, path } => {
                vec!["workload".to_owned(), tenant.clone(), client.clone(), path.clone()]
            }
            Self::Managed(managed) => {
                let text = |part: &Option<String>| part.clone().unwrap_or_default();
                vec!["managed".to_owned(), text(&managed.client_id), text(&managed.resource_id)]
            }
        });
        parts
    }
}

async fn login(
    context: &Context,
    cloud: &Cloud,
    tenant: &str,
    client: &str,
    secret: &Secret,
    proof: &[(&str, &str)],
) -> Result<Answer, Error> {
    let scope = format!("{}/.default", cloud.audience);
    let mut form =
        vec![("grant_type", "client_credentials"), ("client_id", client), ("scope", &scope)];
    form.extend(proof);
    let url = address(&cloud.login, &[tenant, "oauth2", "v2.0", "token"], &[])?;
    context.http.send(Call::new(Method::POST, url).form(&form).hide(secret)).await
}

/// The instance's metadata server
/// (<https://learn.microsoft.com/en-us/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>).
async fn metadata(
    context: &Context,
    cloud: &Cloud,
    managed: &AzureManagedIdentity,
) -> Result<Answer, Error> {
    let base = context.endpoints.azure_metadata.as_deref().unwrap_or("http://169.254.169.254");
    let audience = format!("{}/", cloud.audience);
    let mut query = vec![("api-version", "2018-02-01"), ("resource", audience.as_str())];
    query.extend(managed.client_id.as_deref().map(|id| ("client_id", id)));
    query.extend(managed.resource_id.as_deref().map(|id| ("msi_res_id", id)));
    let url = address(base, &["metadata", "identity", "oauth2", "token"], &query)?;
    let call =
        Call::new(Method::GET, url).direct().header(HeaderName::from_static("metadata"), "true")?;
    context.http.send(call).await
}

fn take(context: &Context, identity: &[&str], answer: Answer) -> Result<Secret, Error> {
    if !answer.is_ok() {
        return Err(refusal(context, &answer));
    }
    let Token { access_token, expires_in } = answer.json(WHO)?;
    let told =
        expires_in.as_i64().or_else(|| expires_in.as_str().and_then(|text| text.parse().ok()));
    let lifetime = SignedDuration::from_secs(told.unwrap_or(600).clamp(0, 86_400));
    let (token, now) = (Secret::new(access_token), context.now());
    context.bearers.put(identity, token.clone(), now.checked_add(lifetime).unwrap_or(now), now);
    Ok(token)
}

fn refusal(context: &Context, answer: &Answer) -> Error {
    let problem: Option<Problem> = serde_json::from_slice(&answer.body).ok();
    let Some(problem) = problem else { return answer.refusal(WHO, "", context.now()) };
    // What follows names the request, and is new each time.
    let said = problem.error_description.split(" Trace ID").next().unwrap_or_default();
    let said = format!("{}: {said}", problem.error);
    match answer.status.as_u16() {
        // RFC 6749, section 5.2; Entra's throttling and outages come as 429 and 5xx.
        400 => answer.mend(Mend::Credentials, WHO, &said),
        _ => answer.refusal(WHO, &said, context.now()),
    }
}
