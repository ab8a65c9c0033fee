use super::*;
use bytes::Bytes;
use everleaf_acme::{AccountKey, Client, Limits, Tally, Transport, TransportError};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use std::sync::Mutex;

/// The key of RFC 7515, appendix A.2.
const KEY: &[u8] = include_bytes!("../../../../../acme/tests/data/rfc7515-a2.pem");

/// A CA whose authorizations are all there but one, which answers with a status.
#[derive(Clone)]
struct Ca {
    asked: Arc<Mutex<Vec<String>>>,
    refused: (&'static str, u16, Option<&'static str>),
}

impl Ca {
    fn answer(&self, path: &str) -> Response<Bytes> {
        let (refused, status, after) = self.refused;
        let nonce = format!("nonce{:04}", self.asked.lock().unwrap().len());
        let answer = Response::builder().header("replay-nonce", nonce);
        let (answer, body) = match path {
            "/dir" => (
                answer.status(200),
                json!({
                    "newNonce": "https://ca.test/nonce", "newAccount": "https://ca.test/account",
                    "newOrder": "https://ca.test/order",
                }),
            ),
            "/nonce" => (answer.status(200), Value::Null),
            path if path == refused => {
                let answer = answer.status(status);
                let answer = match after {
                    Some(after) => answer.header("retry-after", after),
                    None => answer,
                };
                let kind = if status == 429 { "rateLimited" } else { "serverInternal" };
                (answer, json!({ "type": format!("urn:ietf:params:acme:error:{kind}") }))
            }
            path => (
                answer.status(200),
                json!({
                    "status": "pending", "challenges": [],
                    "identifier": { "type": "dns", "value": format!("{}.test", &path[1..]) },
                }),
            ),
        };
        answer.body(body.to_string().into()).unwrap()
    }
}

impl Transport for Ca {
    fn exchange(
        &self,
        request: Request<Bytes>,
        _: usize,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let path = request.uri().path().to_owned();
        self.asked.lock().unwrap().push(path.clone());
        let answer = self.answer(&path);
        async move { Ok(answer) }.boxed()
    }
}

/// What came of ten authorizations of which the third is refused, and how many were asked for.
async fn read(status: u16, after: Option<&'static str>) -> (Reading, usize) {
    let ca = Ca { asked: Arc::default(), refused: ("/a2", status, after) };
    let observer = Arc::new(Tally::default());
    let client =
        Client::new("https://ca.test/dir", ca.clone(), observer, Limits::default()).unwrap();
    let key = Arc::new(AccountKey::from_pem(KEY).unwrap());
    let account = client.account(key, "https://ca.test/account/1".to_owned());
    let urls: Vec<String> = (0..10).map(|n| format!("https://ca.test/a{n}")).collect();
    let reading = read_all(&account, &urls).await;
    let asked = ca.asked.lock().unwrap();
    (reading, asked.iter().filter(|path| path.starts_with("/a")).count())
}

#[tokio::test]
async fn after_a_429_no_further_authorization_is_asked_for_and_what_was_read_is_kept() {
    for (status, after) in [(429, Some("3600")), (503, Some("3600")), (429, None)] {
        let (reading, asked) = read(status, after).await;
        assert!(asked <= 2 + AT_ONCE, "{status}: {asked} were asked for");
        let places: Vec<usize> = reading.read.iter().map(|(at, _)| *at).collect();
        assert!(places.starts_with(&[0, 1]) && !places.contains(&2), "{places:?}");
        assert_eq!(reading.read[1].1["identifier"], "a1.test");
        let error = reading.error.unwrap();
        assert!(asks_for_patience(&error), "{error}");
        let learned = json!({ "authorizations": [] });
        let Halt::Fault(fault) = lost_but(&error, learned.clone()) else { panic!("it is told") };
        assert_eq!(fault.status, Some(learned), "what was read is written beside the attempt");
        assert_eq!(fault.after.is_some(), after.is_some());
    }
}

#[tokio::test]
async fn an_authorization_that_is_not_there_keeps_nobody_from_reading_the_others() {
    let (reading, asked) = read(500, None).await;
    assert_eq!((reading.read.len(), asked), (9, 10), "{:?}", reading.error);
    assert!(!asks_for_patience(&reading.error.unwrap()));
}
