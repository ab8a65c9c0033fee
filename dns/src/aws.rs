//! AWS: credentials and signatures.

mod ambient;
pub(crate) mod sig_v4;
mod sts;
pub(crate) mod xml;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use everleaf_api::types::dns01::Route53Provider;
use jiff::Timestamp;
use serde_json::Value;

use crate::http::Answer;
use crate::{Context, Error, Mend, Secret, Secrets};

/// Keys that sign requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) access_key: Secret,
    pub(crate) secret_key: Secret,
    pub(crate) session_token: Option<Secret>,
}

/// How long temporary credentials live.
type Lease = (Credentials, Timestamp);

/// Where a solver's credentials come from.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    source: Source,
    /// A role that the source's credentials assume.
    role: Option<String>,
    pub(crate) region: String,
}

#[derive(Clone, Debug)]
enum Source {
    Static(Credentials),
    /// A service account's token for a role.
    Token {
        token: Secret,
        role: String,
    },
    /// The pod's own.
    Ambient,
}

/// Where global services sign, and where STS is asked where no region is known.
const REGION: &str = "us-east-1";

impl Identity {
    /// Static keys first, then a service account's token, then the pod's own identity.
    pub(crate) fn new(
        config: &Route53Provider,
        secrets: &Secrets,
        context: &Context,
    ) -> Result<Self, Error> {
        let role = config.role.clone().filter(|role| !role.is_empty());
        if let Some(credentials) = static_keys(config, secrets)? {
            let region = given_region(config).unwrap_or_else(|| REGION.to_owned());
            return Ok(Self { source: Source::Static(credentials), role, region });
        }
        if config.auth.is_some() {
            let role = role.ok_or_else(|| {
                Error::configuration("Route 53: a service account's token needs a role")
            })?;
            let token = secrets.service_account_token().cloned().ok_or_else(|| {
                Error::credentials("Route 53: there is no token of the service account")
            })?;
            let region = given_region(config).unwrap_or_else(|| REGION.to_owned());
            return Ok(Self { source: Source::Token { token, role }, role: None, region });
        }
        context.ambient("Route 53")?;
        // The pod's own region comes before the issuer's, as with cert-manager.
        let pods =
            context.variable("AWS_REGION").or_else(|| context.variable("AWS_DEFAULT_REGION"));
        let region = pods.map(str::to_owned).or_else(|| given_region(config));
        Ok(Self {
            source: Source::Ambient,
            role,
            region: region.unwrap_or_else(|| REGION.to_owned()),
        })
    }

    /// Keys to sign with, new ones where those held are about to expire.
    pub(crate) async fn credentials(&self, context: &Context) -> Result<Credentials, Error> {
        let first = match &self.source {
            Source::Static(credentials) => credentials.clone(),
            Source::Token { token, role } => {
                let subject = subject(token);
                let identity = ["web-identity", &subject, role, &self.region];
                let exchange = sts::with_web_identity(context, &self.region, role, token);
                cached(context, &identity, exchange).await?
            }
            Source::Ambient => {
                let exchange = ambient::credentials(context, &self.region);
                cached(context, &["ambient"], exchange).await?
            }
        };
        let Some(role) = &self.role else { return Ok(first) };
        let identity =
            ["role", first.access_key.expose(), first.secret_key.expose(), role, &self.region];
        cached(context, &identity, sts::assume(context, &self.region, role, &first)).await
    }

    /// The part of AWS that the region belongs to.
    pub(crate) fn partition(&self) -> Partition {
        partition(&self.region)
    }
}

/// Whom a token speaks for, so that a newer one of the same account finds what the last one got.
/// The caller has it from the API server, so its claims are not checked here.
fn subject(token: &Secret) -> String {
    let claims =
        token.expose().split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims: Option<Value> = claims.and_then(|claims| serde_json::from_slice(&claims).ok());
    match claims.as_ref().map(|claims| (claims["iss"].as_str(), claims["sub"].as_str())) {
        Some((Some(issuer), Some(subject))) => format!("{issuer} {subject}"),
        _ => token.expose().to_owned(),
    }
}

fn given_region(config: &Route53Provider) -> Option<String> {
    config.region.clone().filter(|region| !region.is_empty())
}

async fn cached(
    context: &Context,
    identity: &[&str],
    fresh: impl Future<Output = Result<Lease, Error>>,
) -> Result<Credentials, Error> {
    if let Some(held) = context.aws.get(identity, context.now()) {
        return Ok(held);
    }
    let (credentials, expires) = fresh.await?;
    context.aws.put(identity, credentials.clone(), expires, context.now());
    Ok(credentials)
}

fn static_keys(config: &Route53Provider, secrets: &Secrets) -> Result<Option<Credentials>, Error> {
    let plain = config.access_key_id.as_deref().map(str::trim).filter(|id| !id.is_empty());
    let access_key = match (plain, &config.access_key_id_secret_ref) {
        (Some(id), _) => Some(Secret::new(id)),
        (None, Some(selector)) => Some(secrets.get(selector)?),
        (None, None) => None,
    };
    let secret = config.secret_access_key_secret_ref.as_ref().map(|selector| secrets.get(selector));
    match (access_key, secret.transpose()?) {
        (Some(access_key), Some(secret_key)) => {
            Ok(Some(Credentials { access_key, secret_key, session_token: None }))
        }
        (None, None) => Ok(None),
        _ => Err(Error::configuration("Route 53: an access key's ID and its secret go together")),
    }
}

/// A separate part of AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Partition {
    /// The domain of its services.
    pub(crate) domain: &'static str,
    /// Where Route 53 is there.
    pub(crate) route53: &'static str,
    /// The region that Route 53's signatures name there.
    pub(crate) route53_region: &'static str,
}

fn partition(region: &str) -> Partition {
    match region {
        china if china.starts_with("cn-") => Partition {
            domain: "amazonaws.com.cn",
            route53: "https://route53.amazonaws.com.cn",
            route53_region: "cn-northwest-1",
        },
        gov if gov.starts_with("us-gov-") => Partition {
            domain: "amazonaws.com",
            route53: "https://route53.us-gov.amazonaws.com",
            route53_region: "us-gov-west-1",
        },
        _ => Partition {
            domain: "amazonaws.com",
            route53: "https://route53.amazonaws.com",
            route53_region: REGION,
        },
    }
}

/// What an AWS service's error means.
pub(crate) fn refusal(answer: &Answer, who: &str, now: Timestamp) -> Error {
    let text = answer.text();
    let code = xml::first(&text, "Code").unwrap_or_default();
    // Messages about signatures repeat what was signed, tokens included.
    let is_signature = code.contains("Signature");
    let said = if is_signature { None } else { xml::first(&text, "Message") }.unwrap_or_default();
    let detail = if code.is_empty() { said } else { format!("{code}: {said}") };
    let detail = detail.trim_end_matches(": ");
    match code.as_str() {
        "Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "SlowDown" => {
            answer.limited(answer.message(who, detail), now)
        }
        "PriorRequestNotComplete"
        | "ServiceUnavailable"
        | "InternalFailure"
        | "IDPCommunicationError" => Error::Transient(answer.message(who, detail)),
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "OptInRequired" => {
            answer.mend(Mend::Denied, who, detail)
        }
        "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "IncompleteSignature"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidIdentityToken"
        | "MissingAuthenticationToken"
        | "RequestExpired"
        | "InvalidAccessKeyId" => answer.mend(Mend::Credentials, who, detail),
        "NoSuchHostedZone" => answer.mend(Mend::ZoneNotFound, who, detail),
        _ => answer.refusal(who, detail, now),
    }
}

#[cfg(test)]
mod tests;
