use serde_json::json;

use super::*;
use crate::testing::context;

fn config(solver: serde_json::Value) -> AcmeSolverDns01 {
    serde_json::from_value(solver).unwrap()
}

#[test]
fn what_a_solver_refers_to_is_listed_and_nothing_else() {
    let named = |needs: Needs| {
        needs.secrets.into_iter().map(|s| s.key.unwrap_or_default()).collect::<Vec<_>>()
    };
    let reference = |key: &str| json!({ "name": "s", "key": key });
    let rfc2136 = json!({ "nameserver": "ns", "tsigSecretSecretRef": reference("tsig") });
    assert!(
        named(needs(&config(json!({ "rfc2136": rfc2136 })))).is_empty(),
        "unsigned without a key's name"
    );
    let route53 = json!({
        "accessKeyID": "AKID", "accessKeyIDSecretRef": reference("id"), "secretAccessKeySecretRef": reference("secret"),
    });
    assert_eq!(named(needs(&config(json!({ "route53": route53 })))), ["secret"]);
    let account =
        json!({ "kubernetes": { "serviceAccountRef": { "name": "sa", "audiences": ["x"] } } });
    let token =
        needs(&config(json!({ "route53": { "role": "r", "auth": account } }))).token.unwrap();
    assert_eq!((token.service_account.as_str(), token.lifetime), ("sa", 600));
    assert_eq!(token.audiences, ["x", "sts.amazonaws.com"]);
}

#[test]
fn no_credential_shows_in_debug() {
    let mut secrets = Secrets::default();
    secrets.insert("s", "k", crate::Secret::new("hunter2"));
    secrets.set_service_account_token(crate::Secret::new("hunter2"));
    assert!(!format!("{secrets:?}").contains("hunter2"));
}

struct Nobody;

#[async_trait::async_trait]
impl webhook::Transport for Nobody {
    async fn post(&self, _: &str, _: Vec<u8>) -> Result<(u16, Vec<u8>), Error> {
        Err(Error::transient("nobody"))
    }
}

#[test]
fn ambient_credentials_are_refused_where_an_issuer_may_not_use_them() {
    let (context, secrets, challenge) =
        (context(), Secrets::default(), webhook::Challenge::default());
    let transport: Arc<dyn webhook::Transport> = Arc::new(Nobody);
    let made = |solver: serde_json::Value| {
        let config = config(solver);
        let setting = Setting {
            config: &config,
            secrets: &secrets,
            context: &context,
            challenge: &challenge,
            transport: &transport,
        };
        provider(&setting).map(drop).unwrap_err().to_string()
    };
    for solver in [
        json!({ "route53": { "region": "eu-west-1" } }),
        json!({ "cloudDNS": { "project": "p" } }),
        json!({ "azureDNS": { "subscriptionID": "s", "resourceGroupName": "g" } }),
    ] {
        assert!(made(solver).contains("ambient ones are not allowed"));
    }
    assert_eq!(made(json!({})), "the solver names no DNS provider");
}
