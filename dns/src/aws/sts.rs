//! Temporary credentials: <https://docs.aws.amazon.com/STS/latest/APIReference/welcome.html>.

use http::Method;
use http::header::ACCEPT;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::{Credentials, Lease, partition, refusal, sig_v4, xml};
use crate::http::{Call, address};
use crate::{Context, Error, Secret};

const WHO: &str = "AWS STS";
const VERSION: &str = "2011-06-15";
/// What AWS's trail shows, as with cert-manager.
const SESSION: &str = "cert-manager";

#[derive(Deserialize)]
struct Response {
    #[serde(rename = "AssumeRoleResult", alias = "AssumeRoleWithWebIdentityResult")]
    result: Assumed,
}

#[derive(Deserialize)]
struct Assumed {
    #[serde(rename = "Credentials")]
    credentials: Keys,
}

/// As STS in XML, and the metadata servers in JSON, give them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Keys {
    access_key_id: String,
    secret_access_key: String,
    #[serde(alias = "Token")]
    session_token: Option<String>,
    expiration: Option<String>,
}

impl Keys {
    /// With an hour's life where none is told.
    pub(super) fn lease(self, now: Timestamp) -> Lease {
        let hour = now.checked_add(SignedDuration::from_hours(1)).unwrap_or(now);
        let told = self.expiration.and_then(|text| text.parse().ok());
        let credentials = Credentials {
            access_key: Secret::new(self.access_key_id),
            secret_key: Secret::new(self.secret_access_key),
            session_token: self.session_token.map(Secret::new),
        };
        (credentials, told.unwrap_or(hour))
    }
}

/// AssumeRole with keys.
pub(super) async fn assume(
    context: &Context,
    region: &str,
    role: &str,
    credentials: &Credentials,
) -> Result<Lease, Error> {
    let form = [
        ("Action", "AssumeRole"),
        ("Version", VERSION),
        ("RoleArn", role),
        ("RoleSessionName", SESSION),
    ];
    let call = Call::new(Method::POST, endpoint(context, region)?).form(&form);
    let call = sig_v4::sign(call, credentials, region, "sts", context.now())?;
    send(context, call).await
}

/// AssumeRoleWithWebIdentity, which takes the token for a signature.
pub(super) async fn with_web_identity(
    context: &Context,
    region: &str,
    role: &str,
    token: &Secret,
) -> Result<Lease, Error> {
    let session = context.variable("AWS_ROLE_SESSION_NAME").unwrap_or(SESSION);
    let form = [
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", VERSION),
        ("RoleArn", role),
        ("RoleSessionName", session),
        ("WebIdentityToken", token.expose()),
    ];
    let call = Call::new(Method::POST, endpoint(context, region)?).form(&form).hide(token);
    send(context, call).await
}

fn endpoint(context: &Context, region: &str) -> Result<url::Url, Error> {
    let other = context.endpoints.sts.as_deref();
    let other = other.or_else(|| context.variable("AWS_ENDPOINT_URL_STS"));
    let other = other.or_else(|| context.variable("AWS_ENDPOINT_URL"));
    let usual = || format!("https://sts.{region}.{}", partition(region).domain);
    address(&other.map_or_else(usual, str::to_owned), &[], &[])
}

async fn send(context: &Context, call: Call) -> Result<Lease, Error> {
    let answer = context.http.send(call.header(ACCEPT, "application/xml")?).await?;
    if !answer.is_ok() {
        return Err(refusal(&answer, WHO, context.now()));
    }
    let response: Response = xml::read(&answer.text(), WHO)?;
    Ok(response.result.credentials.lease(context.now()))
}
