//! AWS Signature Version 4:
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.

use aws_lc_rs::{digest, hmac};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use url::{Position, Url};

use super::Credentials;
use crate::http::Call;
use crate::{Error, Secret};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Signs a request for a service in a region.
pub(crate) fn sign(
    call: Call,
    credentials: &Credentials,
    region: &str,
    service: &str,
    now: Timestamp,
) -> Result<Call, Error> {
    let at = timestamp(now);
    let host = call.url[Position::BeforeHost..Position::AfterPort].to_owned();
    let mut headers = vec![("host", host), ("x-amz-date", at.clone())];
    if let Some(kind) = call.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()) {
        headers.push(("content-type", kind.to_owned()));
    }
    if let Some(token) = &credentials.session_token {
        headers.push(("x-amz-security-token", token.expose().to_owned()));
    }
    let authorization = authorization(
        call.method.as_str(),
        &call.url,
        headers,
        &call.body,
        credentials,
        &at,
        region,
        service,
    );
    let mut call = call
        .header(HeaderName::from_static("x-amz-date"), &at)?
        .secret_header(AUTHORIZATION, &Secret::new(authorization))?
        .hide(&credentials.secret_key);
    if let Some(token) = &credentials.session_token {
        call = call.secret_header(HeaderName::from_static("x-amz-security-token"), token)?;
    }
    Ok(call)
}

fn timestamp(now: Timestamp) -> String {
    now.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// The `Authorization` header over these headers, whose names are in lower case.
#[expect(
    clippy::too_many_arguments,
    reason = "the parts of a request, which vectors give one by one"
)]
fn authorization(
    method: &str,
    url: &Url,
    mut headers: Vec<(&str, String)>,
    body: &[u8],
    credentials: &Credentials,
    at: &str,
    region: &str,
    service: &str,
) -> String {
    headers.sort();
    let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let lines: String =
        headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let canonical = [method, &path(url), &query(url), &lines, &names, &sha256(body)].join("\n");
    let date = &at[..8];
    let scope = format!("{date}/{region}/{service}/aws4_request");
    let text = [ALGORITHM, at, &scope, &sha256(canonical.as_bytes())].join("\n");
    let first = format!("AWS4{}", credentials.secret_key.expose());
    let key = [date, region, service, "aws4_request"]
        .iter()
        .fold(first.into_bytes(), |key, part| mac(&key, part.as_bytes()));
    let signature = hex(&mac(&key, text.as_bytes()));
    let id = credentials.access_key.expose();
    format!("{ALGORITHM} Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}")
}

/// Encoded once more than in the request, as for every service but S3.
fn path(url: &Url) -> String {
    encode(url.path(), true)
}

fn query(url: &Url) -> String {
    let mut pairs: Vec<_> = url
        .query_pairs()
        .map(|(name, value)| (encode(&name, false), encode(&value, false)))
        .collect();
    pairs.sort();
    let pairs: Vec<_> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

fn encode(text: &str, keep_slash: bool) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            char::from(byte).to_string()
        }
        b'/' if keep_slash => "/".to_owned(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref().to_vec()
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a request that was received is signed with these credentials; for simulated endpoints.
#[cfg(test)]
pub(crate) fn is_signed(
    seen: &crate::testing::Seen,
    credentials: &Credentials,
    region: &str,
    service: &str,
) -> bool {
    let header = |name: &str| seen.header(name).unwrap_or_default().to_owned();
    let signed = header("authorization");
    let names = signed
        .split("SignedHeaders=")
        .nth(1)
        .and_then(|rest| rest.split(',').next())
        .unwrap_or_default();
    let headers = names.split(';').map(|name| (name, header(name))).collect();
    let url = Url::parse(&format!("http://{}{}", header("host"), seen.target)).unwrap();
    let at = header("x-amz-date");
    let right = authorization(
        &seen.method,
        &url,
        headers,
        seen.body.as_bytes(),
        credentials,
        &at,
        region,
        service,
    );
    names.contains("host;x-amz-date") && signed == right
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The requests of AWS's own test suite for signers.
    fn signature(method: &str, target: &str, more: &[(&'static str, &str)], body: &str) -> String {
        let credentials = Credentials {
            access_key: Secret::new("AKIDEXAMPLE"),
            secret_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session_token: None,
        };
        let url = Url::parse(&format!("https://example.amazonaws.com{target}")).unwrap();
        let at = "20150830T123600Z";
        let mut headers =
            vec![("host", "example.amazonaws.com".to_owned()), ("x-amz-date", at.to_owned())];
        headers.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let (region, service) = ("us-east-1", "service");
        let header = authorization(
            method,
            &url,
            headers,
            body.as_bytes(),
            &credentials,
            at,
            region,
            service,
        );
        header.split_once("Signature=").unwrap().1.to_owned()
    }

    #[test]
    fn requests_are_signed_as_in_the_test_suite_of_aws() {
        let vanilla = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
        assert_eq!(signature("GET", "/", &[], ""), vanilla);
        let ordered = "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500";
        assert_eq!(signature("GET", "/?Param2=value2&Param1=value1", &[], ""), ordered);
        let post = "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b";
        assert_eq!(signature("POST", "/", &[], ""), post);
        let form = "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a";
        let kind = [("content-type", "application/x-www-form-urlencoded")];
        assert_eq!(signature("POST", "/", &kind, "Param1=value1"), form);
    }

    #[test]
    fn the_time_is_written_as_aws_reads_it() {
        assert_eq!(timestamp("2015-08-30T12:36:00.5Z".parse().unwrap()), "20150830T123600Z");
    }
}
