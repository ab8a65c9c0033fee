//! Google's access tokens: a service account's key, or the metadata server.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use http::header::HeaderName;
use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::json;

use crate::context::file;
use crate::http::{Answer, Call, address};
use crate::{Context, Error, Mend, Secret};

const WHO: &str = "Google";
const SCOPE: &str = "https://www.googleapis.com/auth/ndev.clouddns.readwrite";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// In seconds; the longest that Google takes.
const LIFETIME: i64 = 3600;

/// Where the tokens come from.
#[derive(Clone, Debug)]
pub(crate) enum Identity {
    Account(Box<Account>),
    Ambient,
}

/// A service account's key.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    email: String,
    key_id: String,
    key: Secret,
    token_uri: String,
}

/// A key file (<https://developers.google.com/identity/protocols/oauth2/service-account>).
#[derive(Deserialize)]
struct KeyFile {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    client_email: String,
    #[serde(default)]
    private_key_id: String,
    #[serde(default)]
    private_key: String,
    #[serde(default = "token_uri")]
    token_uri: String,
}

fn token_uri() -> String {
    "https://oauth2.googleapis.com/token".to_owned()
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
    expires_in: i64,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
}

impl Account {
    /// Reads a key file in JSON.
    pub(crate) fn parse(text: &Secret) -> Result<Self, Error> {
        let file: KeyFile = serde_json::from_str(text.expose())
            .map_err(|_| Error::credentials("Google: the service account's key is not JSON"))?;
        if file.kind != "service_account" || file.client_email.is_empty() {
            return Err(Error::credentials("Google: the key is not that of a service account"));
        }
        Ok(Self {
            email: file.client_email,
            key_id: file.private_key_id,
            key: Secret::new(file.private_key),
            token_uri: file.token_uri,
        })
    }

    /// A signed request for a token (RFC 7523).
    fn assertion(&self, now: Timestamp) -> Result<Secret, Error> {
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": self.key_id });
        let issued = now.as_second();
        let claims = json!({
            "iss": self.email,
            "scope": SCOPE,
            "aud": self.token_uri,
            "iat": issued,
            "exp": issued + LIFETIME,
        });
        let part = |json: &serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let text = format!("{}.{}", part(&header), part(&claims));
        let signature = self.sign(text.as_bytes())?;
        Ok(Secret::new(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, Error> {
        let unusable =
            || Error::credentials("Google: the service account's private key cannot be used");
        let der = PrivatePkcs8KeyDer::from_pem_slice(self.key.expose().as_bytes())
            .map_err(|_| unusable())?;
        let key = KeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| unusable())?;
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature)
            .map_err(|_| unusable())?;
        Ok(signature)
    }
}

impl Identity {
    /// A token, a new one where the one held is about to expire.
    pub(crate) async fn token(&self, context: &Context) -> Result<Secret, Error> {
        match self {
            Self::Account(account) => account_token(context, account).await,
            Self::Ambient => match context.variable("GOOGLE_APPLICATION_CREDENTIALS") {
                Some(path) => account_token(context, &Account::parse(&file(path).await?)?).await,
                None => metadata_token(context).await,
            },
        }
    }
}

async fn account_token(context: &Context, account: &Account) -> Result<Secret, Error> {
    let identity = ["google", &account.email, account.key.expose(), &account.token_uri];
    if let Some(token) = context.bearers.get(&identity, context.now()) {
        return Ok(token);
    }
    let assertion = account.assertion(context.now())?;
    let form = [("grant_type", GRANT), ("assertion", assertion.expose())];
    let url = address(&account.token_uri, &[], &[])?;
    let call = Call::new(Method::POST, url).form(&form).hide(&assertion);
    take(context, &identity, context.http.send(call).await?)
}

async fn metadata_token(context: &Context) -> Result<Secret, Error> {
    let identity = ["google-metadata"];
    if let Some(token) = context.bearers.get(&identity, context.now()) {
        return Ok(token);
    }
    let host = context.variable("GCE_METADATA_HOST").unwrap_or("metadata.google.internal");
    let usual = format!("http://{host}");
    let base = context.endpoints.google_metadata.as_deref().unwrap_or(&usual);
    let path = ["computeMetadata", "v1", "instance", "service-accounts", "default", "token"];
    let call = Call::new(Method::GET, address(base, &path, &[("scopes", SCOPE)])?).direct();
    let call = call.header(HeaderName::from_static("metadata-flavor"), "Google")?;
    take(context, &identity, context.http.send(call).await?)
}

fn take(context: &Context, identity: &[&str], answer: Answer) -> Result<Secret, Error> {
    if !answer.is_ok() {
        return Err(refusal(context, &answer));
    }
    let Token { access_token, expires_in } = answer.json(WHO)?;
    let (token, now) = (Secret::new(access_token), context.now());
    let lifetime = SignedDuration::from_secs(expires_in.clamp(0, 86_400));
    let expires = now.checked_add(lifetime).unwrap_or(now);
    context.bearers.put(identity, token.clone(), expires, now);
    Ok(token)
}

fn refusal(context: &Context, answer: &Answer) -> Error {
    let problem: Option<Problem> = serde_json::from_slice(&answer.body).ok();
    let Some(problem) = problem else { return answer.refusal(WHO, "", context.now()) };
    let said = format!("{} {}", problem.error, problem.error_description);
    match answer.status.as_u16() {
        // RFC 6749, section 5.2: what is wrong with a grant comes as 400.
        400 | 404 => answer.mend(Mend::Credentials, WHO, &said),
        _ => answer.refusal(WHO, &said, context.now()),
    }
}

#[cfg(test)]
mod tests;
