use std::sync::Mutex;

use serde_json::{Value, json};

use super::*;

struct Fake {
    answer: (u16, Value),
    asked: Mutex<Vec<(String, Value)>>,
}

#[async_trait]
impl Transport for Fake {
    async fn post(&self, path: &str, body: Vec<u8>) -> Result<(u16, Vec<u8>), Error> {
        let body = serde_json::from_slice(&body).unwrap();
        self.asked.lock().unwrap().push((path.to_owned(), body));
        Ok((self.answer.0, self.answer.1.to_string().into_bytes()))
    }
}

async fn ask(status: u16, answer: Value) -> (Result<(), Error>, Vec<(String, Value)>) {
    let config = WebhookProvider {
        group_name: "acme.example.com".to_owned(),
        solver_name: "my-dns".to_owned(),
        config: Some(json!({ "zone": { "id": 7 } })),
    };
    let fake = Arc::new(Fake { answer: (status, answer), asked: Mutex::default() });
    let transport: Arc<dyn Transport> = fake.clone();
    let challenge = Challenge {
        uid: "u-1".into(),
        resource_namespace: "team".into(),
        allow_ambient_credentials: true,
    };
    let webhook = Webhook::new(&config, &challenge, &transport).unwrap();
    let result = webhook.clean_up(&crate::testing::record("one")).await;
    let asked = fake.asked.lock().unwrap().clone();
    (result, asked)
}

#[tokio::test]
async fn the_payload_is_the_one_that_existing_solvers_read() {
    let (result, asked) = ask(200, json!({ "response": { "uid": "u-1", "success": true } })).await;
    result.unwrap();
    let payload = json!({
        "kind": "ChallengePayload",
        "apiVersion": "webhook.acme.cert-manager.io/v1alpha1",
        "request": {
            "uid": "u-1",
            "action": "CleanUp",
            "type": "dns-01",
            "dnsName": "www.example.com",
            "key": "one",
            "resourceNamespace": "team",
            "resolvedFQDN": "_acme-challenge.www.example.com.",
            "resolvedZone": "example.com.",
            "allowAmbientCredentials": true,
            "config": { "zone": { "id": 7 } },
        },
    });
    assert_eq!(asked, [("/apis/acme.example.com/v1alpha1/my-dns".to_owned(), payload)]);
}

#[tokio::test]
async fn a_solvers_reason_reaches_the_status() {
    let response = json!({ "uid": "u-1", "success": false, "status": { "message": "zone is locked", "code": 500 } });
    let (result, _) = ask(200, json!({ "response": response })).await;
    let expected = "webhook /apis/acme.example.com/v1alpha1/my-dns: zone is locked";
    assert_eq!(result.unwrap_err(), Error::Transient(expected.to_owned()));
}

#[tokio::test]
async fn what_the_api_server_itself_says_is_classed() {
    let status = json!({ "kind": "Status", "message": "the server could not find the requested resource", "code": 404 });
    let (result, _) = ask(404, status).await;
    assert!(matches!(result, Err(Error::Mend { what: Mend::Configuration, .. })));
    let (result, _) =
        ask(403, json!({ "kind": "Status", "message": "forbidden: no create", "code": 403 })).await;
    assert!(matches!(result, Err(Error::Mend { what: Mend::Denied, .. })));
    let (result, _) = ask(503, json!("service unavailable")).await;
    assert!(matches!(result, Err(Error::Transient(_))));
}

#[test]
fn a_name_cannot_lead_to_another_path() {
    let config = |group: &str, solver: &str| WebhookProvider {
        group_name: group.to_owned(),
        solver_name: solver.to_owned(),
        config: None,
    };
    assert!(path(&config("a.test", "s")).is_ok());
    for (group, solver) in
        [("", "s"), ("a/../..", "s"), ("..", "s"), ("a.test", "s?x"), ("a.test", "")]
    {
        assert!(path(&config(group, solver)).is_err(), "{group} {solver}");
    }
}
