//! What the operator and kubectl sent to a real kube-apiserver, as `recordings/record.py` wrote it
//! down, played to a real one and to the modelled one: the model has to answer alike in whatever
//! they rely on.

use everleaf_e2e::{Scope, scenario};
use everleaf_sim::apiserver::{ApiServer, Config};
use everleaf_sim::http::ApiService;
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const RECORDED: &str = include_str!("../../recordings/requests.jsonl");
const NAMESPACE: &str = "/api/v1/namespaces/recorded";
/// For how long a watch is followed.
const FOLLOWED: &str = "timeoutSeconds=1";

#[derive(Deserialize)]
struct Recorded {
    by: String,
    method: String,
    path: String,
    accept: String,
    #[serde(default)]
    content: String,
    body: Option<Value>,
    status: Option<u16>,
}

impl Recorded {
    fn is_watch(&self) -> bool {
        self.path.contains("watch=")
    }
}

/// What is asked for; where a client would rather have protobuf, as it has the model: in JSON.
fn accepted(accept: &str) -> &str {
    if accept.contains("protobuf") { "application/json" } else { accept }
}

/// A server, and what it gave to objects that later requests name.
struct Player {
    client: Client,
    known: BTreeMap<String, String>,
}

impl Player {
    fn new(client: Client) -> Self {
        Self { client, known: BTreeMap::new() }
    }

    /// A text with what this server knows in the place of `${...}`.
    fn filled(&self, text: &str) -> String {
        let mut parts = text.split("${");
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}').expect("the recorder closes them");
            out.push_str(self.known.get(name).map_or("0", String::as_str));
            out.push_str(rest);
        }
        out
    }

    async fn send(&self, request: &Recorded) -> (u16, String) {
        let mut path = self.filled(&request.path);
        if request.is_watch() {
            let kept = path.split('&').filter(|part| !part.starts_with("timeoutSeconds"));
            path = format!("{}&{FOLLOWED}", kept.collect::<Vec<_>>().join("&"));
        }
        let body = request.body.as_ref().map(|body| self.filled(&body.to_string()));
        let sent = http::Request::builder()
            .method(request.method.as_str())
            .uri(path.replace(' ', "%20"))
            .header("accept", accepted(&request.accept))
            .header("content-type", &request.content)
            .header("user-agent", format!("{}/recorded", request.by))
            .body(Body::from(body.unwrap_or_default().into_bytes()))
            .expect("it was a request before");
        let answer = self.client.send(sent).await.expect("an answer");
        let code = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.expect("all of it").to_bytes();
        (code, String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The answers: one, or the events of a watch.
    async fn play(&mut self, request: &Recorded) -> (u16, Vec<Value>) {
        let (code, text) = self.send(request).await;
        let path = request.path.split('?').next().unwrap_or_default();
        let values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
        let values: Vec<Value> = values.map_while(Result::ok).collect();
        for value in &values {
            self.learn(value, path);
            self.learn(&value["object"], path);
        }
        (code, values.iter().map(|value| self.named(value)).collect())
    }

    /// An answer with the names of objects in the place of their UIDs, which keys have too.
    fn named(&self, value: &Value) -> Value {
        let mut text = value.to_string();
        for (name, uid) in self.known.iter().filter(|(name, _)| name.starts_with("uid:")) {
            text = text.replace(uid, name);
        }
        serde_json::from_str(&text).expect("names need no escapes")
    }

    fn learn(&mut self, value: &Value, path: &str) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let kind = text(&value["kind"]);
        for item in value["items"].as_array().into_iter().flatten() {
            let mut item = item.clone();
            item["kind"] = json!(kind.trim_end_matches("List"));
            self.learn(&item, path);
        }
        let meta = &value["metadata"];
        if meta["uid"].is_string() && kind != "PartialObjectMetadata" {
            let name = format!("{kind}/{}/{}", text(&meta["namespace"]), text(&meta["name"]));
            self.known.insert(format!("uid:{name}"), text(&meta["uid"]));
            self.known.insert(format!("rv:{name}"), text(&meta["resourceVersion"]));
        } else if meta["resourceVersion"].is_string() {
            self.known.insert(format!("rv:list {path}"), text(&meta["resourceVersion"]));
        }
    }
}

/// Whether a controller of the real cluster made it.
fn is_foreign(object: &Value) -> bool {
    let meta = &object["metadata"];
    meta["name"] == "kube-root-ca.crt" || meta["generateName"] == "web-"
}

/// An answer without what two servers cannot agree on: identifiers, versions, times, addresses.
fn normal(value: &mut Value) {
    match value {
        Value::Array(all) => all.iter_mut().for_each(normal),
        Value::Object(map) => {
            for name in ["items", "rows"] {
                if let Some(Value::Array(all)) = map.get_mut(name) {
                    all.retain(|one| !is_foreign(one) && !is_foreign(&one["object"]));
                }
            }
            if let Some(Value::Array(columns)) = map.get_mut("columnDefinitions") {
                // What a column is for is said in other words.
                columns.iter_mut().for_each(|column| column["description"] = json!(""));
            }
            if let Some(Value::Array(cells)) = map.get_mut("cells") {
                cells.iter_mut().filter(|cell| varies(cell)).for_each(|cell| *cell = json!("<v>"));
            }
            if let Some(Value::Array(entries)) = map.get_mut("managedFields") {
                entries.iter_mut().for_each(normal);
                entries.sort_by_key(Value::to_string);
            }
            for (name, child) in map.iter_mut() {
                let names = [
                    "uid",
                    "resourceVersion",
                    "creationTimestamp",
                    "time",
                    "clusterIP",
                    "clusterIPs",
                ];
                if names.contains(&name.as_str()) && !child.is_null() {
                    *child = json!(format!("<{name}>"));
                } else if name == "message" {
                    let text = child.as_str().unwrap_or_default();
                    *child = text.split(' ').filter(|word| !is_identifier(word)).collect();
                } else {
                    normal(child);
                }
            }
        }
        _ => {}
    }
}

fn is_identifier(word: &str) -> bool {
    word.matches('-').count() == 4 || word.chars().filter(char::is_ascii_digit).count() > 3
}

/// Whether a cell is an age or an address.
fn varies(cell: &Value) -> bool {
    let text = cell.as_str().unwrap_or_default();
    let age =
        text.ends_with(['s', 'm', 'h', 'd']) && text.starts_with(|c: char| c.is_ascii_digit());
    age || text.starts_with("10.96.")
}

/// Of a bookmark, that it ends the list; of an empty list, that it is empty.
fn plain(answer: &mut Value) {
    if answer["type"] == "BOOKMARK" {
        answer["object"] = json!({"annotations": answer["object"]["metadata"]["annotations"]});
    }
    if answer.get("items").is_some_and(Value::is_null) {
        answer["items"] = json!([]);
    }
}

fn normalized((code, mut answers): (u16, Vec<Value>)) -> (u16, Vec<Value>) {
    // A bookmark that only tells a version comes when the server likes.
    let ends = |answer: &Value| answer["object"]["metadata"]["annotations"].is_object();
    answers.retain(|answer| answer["type"] != "BOOKMARK" || ends(answer));
    answers.retain(|answer| !is_foreign(&answer["object"]));
    for answer in &mut answers {
        plain(answer);
        normal(answer);
    }
    (code, answers)
}

fn model() -> ApiService {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/crds");
    let files = std::fs::read_dir(folder).expect("deploy/crds is there");
    let read = |file: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(file.expect("a file").path()).expect("a text")
    };
    let crds = files.map(read).collect();
    let server = ApiServer::new(Config { crds, now: now(), ..Config::default() });
    ApiService::collecting(server.expect("the definitions are read"), now)
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    i64::try_from(since.as_millis()).expect("a time")
}

/// The namespace is gone when this returns.
async fn clean_up(client: &Client) {
    let request = |method: &str| {
        let made = http::Request::builder().method(method).uri(NAMESPACE);
        made.body(Body::empty()).expect("a request")
    };
    client.send(request("DELETE")).await.expect("an answer");
    everleaf_e2e::eventually("the recorded namespace is gone", 60, async || {
        let found = client.send(request("GET")).await.map_err(|error| error.to_string())?;
        if found.status() == 404 { Ok(()) } else { Err(found.status().to_string()) }
    })
    .await;
}

#[test]
fn what_was_recorded_is_answered_alike_by_a_real_server_and_by_the_model() {
    scenario("recorded", Scope::Cluster, async |_| {
        let recorded = RECORDED.lines().map(|line| serde_json::from_str::<Recorded>(line).unwrap());
        let real = Client::try_default().await.expect("KUBECONFIG names a cluster");
        clean_up(&real).await;
        let service = model();
        let (mut theirs, mut ours) =
            (Player::new(real.clone()), Player::new(Client::new(service.clone(), "default")));
        let ticking = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(100)).await;
                service.wake();
            }
        });
        let mut wrong = Vec::new();
        for (line, request) in recorded.enumerate() {
            let (real, model) = tokio::join!(theirs.play(&request), ours.play(&request));
            let (real, model) = (normalized(real), normalized(model));
            let told = request.status.is_some_and(|status| status != real.0);
            if told || real != model {
                let Recorded { method, path, .. } = &request;
                wrong.push(format!(
                    "{}: {method} {path}\n{}",
                    line + 1,
                    differences(&real, &model)
                ));
            }
        }
        ticking.abort();
        clean_up(&real).await;
        assert!(wrong.is_empty(), "{} answers differ:\n{}", wrong.len(), wrong.join("\n"));
    });
}

/// Where two answers differ.
fn differences((real, theirs): &(u16, Vec<Value>), (model, ours): &(u16, Vec<Value>)) -> String {
    let mut out = format!("  status: real {real}, model {model}\n");
    let (theirs, ours) = (json!(theirs), json!(ours));
    differ(&theirs, &ours, "", &mut out);
    out
}

fn differ(theirs: &Value, ours: &Value, path: &str, out: &mut String) {
    match (theirs, ours) {
        (Value::Object(one), Value::Object(other)) => {
            for name in one.keys().chain(other.keys().filter(|name| !one.contains_key(*name))) {
                differ(&theirs[name], &ours[name], &format!("{path}/{name}"), out);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (at, (one, other)) in one.iter().zip(other).enumerate() {
                differ(one, other, &format!("{path}/{at}"), out);
            }
        }
        (one, other) if one == other => {}
        (one, other) => out.push_str(&format!("  {path}: real {one}, model {other}\n")),
    }
}
