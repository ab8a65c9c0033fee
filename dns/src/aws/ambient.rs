//! The pod's own credentials, in the order of AWS's clients: keys in the environment, a web
//! identity (IRSA), a container's credentials (EKS Pod Identity, ECS), the instance's (IMDSv2).

use http::Method;
use http::header::{AUTHORIZATION, HeaderName};
use jiff::SignedDuration;
use url::{Host, Url};

use super::sts::Keys;
use super::{Credentials, Lease, refusal, sts};
use crate::context::file;
use crate::http::{Answer, Call, address};
use crate::{Context, Error, Secret};

const INSTANCE: &str = "the instance's metadata";
const CONTAINER: &str = "the container's credentials";

pub(super) async fn credentials(context: &Context, region: &str) -> Result<Lease, Error> {
    if let Some(lease) = variables(context) {
        return Ok(lease);
    }
    let identity =
        (context.variable("AWS_WEB_IDENTITY_TOKEN_FILE"), context.variable("AWS_ROLE_ARN"));
    if let (Some(path), Some(role)) = identity {
        return sts::with_web_identity(context, region, role, &file(path).await?).await;
    }
    if let Some(url) = container_url(context)? {
        return container(context, url).await;
    }
    if context
        .variable("AWS_EC2_METADATA_DISABLED")
        .is_some_and(|text| text.eq_ignore_ascii_case("true"))
    {
        return Err(Error::credentials("AWS: the pod has no credentials of its own"));
    }
    instance(context).await
}

fn variables(context: &Context) -> Option<Lease> {
    let credentials = Credentials {
        access_key: Secret::new(context.variable("AWS_ACCESS_KEY_ID")?),
        secret_key: Secret::new(context.variable("AWS_SECRET_ACCESS_KEY")?),
        session_token: context.variable("AWS_SESSION_TOKEN").map(Secret::new),
    };
    let now = context.now();
    Some((credentials, now.checked_add(SignedDuration::from_hours(1)).unwrap_or(now)))
}

fn container_url(context: &Context) -> Result<Option<Url>, Error> {
    if let Some(path) = context.variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
        let wrong = |_| Error::credentials("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not a path");
        return Url::parse(&format!("http://169.254.170.2{path}")).map(Some).map_err(wrong);
    }
    let Some(text) = context.variable("AWS_CONTAINER_CREDENTIALS_FULL_URI") else {
        return Ok(None);
    };
    let wrong =
        || Error::credentials("AWS_CONTAINER_CREDENTIALS_FULL_URI is not a URL that may be asked");
    let url = Url::parse(text).map_err(|_| wrong())?;
    // Without TLS only addresses of this machine, as AWS's clients demand.
    let is_local = match url.host() {
        Some(Host::Ipv4(ip)) => {
            ip.is_loopback()
                || ip.octets() == [169, 254, 170, 2]
                || ip.octets() == [169, 254, 170, 23]
        }
        Some(Host::Ipv6(ip)) => {
            ip.is_loopback() || ip == "fd00:ec2::23".parse::<std::net::Ipv6Addr>().unwrap_or(ip)
        }
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if url.scheme() == "https" || (url.scheme() == "http" && is_local) {
        Ok(Some(url))
    } else {
        Err(wrong())
    }
}

async fn container(context: &Context, url: Url) -> Result<Lease, Error> {
    let token = match context.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        Some(path) => Some(file(path).await?),
        None => context.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(Secret::new),
    };
    let mut call = Call::new(Method::GET, url).direct();
    if let Some(token) = &token {
        call = call.secret_header(AUTHORIZATION, token)?;
    }
    lease(context, context.http.send(call).await?, CONTAINER)
}

async fn instance(context: &Context) -> Result<Lease, Error> {
    let base = context.endpoints.aws_metadata.as_deref().unwrap_or("http://169.254.169.254");
    let call = Call::new(Method::PUT, address(base, &["latest", "api", "token"], &[])?).direct();
    let lifetime = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");
    let answer = context.http.send(call.header(lifetime, "300")?).await?;
    if !answer.is_ok() {
        return Err(refusal(&answer, INSTANCE, context.now()));
    }
    let token = Secret::new(answer.text());
    let roles = ["latest", "meta-data", "iam", "security-credentials"];
    let answer = metadata(context, base, &roles, &token).await?;
    if !answer.is_ok() {
        return Err(Error::credentials("AWS: the instance has no role"));
    }
    let role = answer.text().lines().next().unwrap_or_default().trim().to_owned();
    let path: Vec<_> = roles.into_iter().chain([role.as_str()]).collect();
    lease(context, metadata(context, base, &path, &token).await?, INSTANCE)
}

async fn metadata(
    context: &Context,
    base: &str,
    path: &[&str],
    token: &Secret,
) -> Result<Answer, Error> {
    let call = Call::new(Method::GET, address(base, path, &[])?).direct();
    let call = call.secret_header(HeaderName::from_static("x-aws-ec2-metadata-token"), token)?;
    context.http.send(call).await
}

fn lease(context: &Context, answer: Answer, who: &str) -> Result<Lease, Error> {
    if !answer.is_ok() {
        return Err(answer.refusal(who, "", context.now()));
    }
    let keys: Keys = answer.json(who)?;
    Ok(keys.lease(context.now()))
}
