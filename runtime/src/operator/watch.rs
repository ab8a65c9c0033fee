//! Watches: list, then watch, then list again when the API server has forgotten where we were.
//! Each feed runs on its own and never gives up; what it sees goes to the driver as facts.

use crate::edge::{Projector, meta_of};
use crate::kube_api::{ApiError, Kube, Selection, Verb};
use everleaf_api::names;
use everleaf_engine::{Delta, ObjectKey, digest_of};
use everleaf_nodes::{Facts, Kind, budget, feed};
use futures::io::AsyncBufReadExt;
use serde_json::Value;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::mpsc;

/// Objects in one page of a list. Secrets with material are large.
const PAGE: u32 = 500;
/// How long a watch may be silent: the API server ends it after 290 s.
const SILENCE: Duration = Duration::from_secs(330);
/// How often a kind that is not served is looked for.
const ABSENT: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(800);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The longest event that is read: an object is at most 1.5 MiB in etcd, doubled by JSON.
const LONGEST_EVENT: usize = 8 << 20;

/// What is watched, and for which feed.
#[derive(Clone, Debug)]
pub struct Feed {
    /// The feed's number.
    pub number: u8,
    /// The kind.
    pub kind: Kind,
    /// Which of its objects.
    pub selection: Selection,
}

impl Feed {
    /// All Challenges; of one namespace if one is given.
    pub fn challenges(namespace: &str) -> Self {
        let selection = Selection { namespace: namespace.to_owned(), ..Selection::default() };
        Self { number: feed::CHALLENGES, kind: Kind::Challenge, selection }
    }
}

/// The selector of the ConfigMaps that hold what is left of the limits of ACME CAs.
pub fn budget_label() -> String {
    format!("{}=acme-budget", budget::LABEL)
}

/// Every feed of the API server; of one namespace if one is given. The budgets of ACME CAs are in
/// the operator's own namespace.
pub fn feeds(namespace: &str, own: &str) -> Vec<Feed> {
    let plain = |number, kind| Feed {
        number,
        kind,
        selection: Selection { namespace: namespace.to_owned(), ..Selection::default() },
    };
    let secrets = |number, labels: String, metadata_only| Feed {
        number,
        kind: Kind::Secret,
        selection: Selection { namespace: namespace.to_owned(), labels, metadata_only },
    };
    let label = names::FILTERED_CACHING;
    let mut all = vec![
        plain(feed::CERTIFICATES, Kind::Certificate),
        plain(feed::REQUESTS, Kind::CertificateRequest),
        plain(feed::ISSUERS, Kind::Issuer),
        secrets(feed::LABELLED_SECRETS, format!("{label}=true"), false),
        secrets(feed::OTHER_SECRETS, format!("{label}!=true"), true),
        plain(feed::INGRESSES, Kind::Ingress),
        plain(feed::ORDERS, Kind::Order),
        Feed::challenges(namespace),
        Feed {
            number: feed::BUDGETS,
            kind: Kind::ConfigMap,
            selection: Selection {
                namespace: own.to_owned(),
                labels: budget_label(),
                metadata_only: false,
            },
        },
    ];
    let mut cluster = plain(feed::CLUSTER_ISSUERS, Kind::ClusterIssuer);
    cluster.selection.namespace.clear();
    all.push(cluster);
    all
}

/// Where deltas go. The sender fails when the epoch is over.
pub type Deltas = mpsc::Sender<Vec<Delta<Kind, Facts>>>;

/// The driver does not listen any more.
struct Deaf;

/// Why a watch came to its end.
enum End {
    Deaf,
    /// It has to be listed again.
    Gone,
    /// It goes on from where it was.
    Broken(ApiError),
    Closed,
}

/// Runs one feed until the driver does not listen any more.
pub struct Watcher {
    kube: Kube,
    projector: Projector,
    feed: Feed,
    deltas: Deltas,
    pause: Duration,
}

impl Watcher {
    /// A watcher of one feed.
    pub fn new(kube: Kube, projector: Projector, feed: Feed, deltas: Deltas) -> Self {
        Self { kube, projector, feed, deltas, pause: FIRST_PAUSE }
    }

    /// Lists and watches until the driver does not listen any more.
    pub async fn run(mut self) {
        while self.round().await.is_ok() {}
    }

    /// A list, and watches that follow it.
    async fn round(&mut self) -> Result<(), Deaf> {
        let mut rv = match self.list().await? {
            Ok(rv) => rv,
            Err(error) if error.is_absent() => {
                tokio::time::sleep(ABSENT).await;
                return Ok(());
            }
            Err(error) => {
                self.complain(&error);
                self.rest().await;
                return Ok(());
            }
        };
        self.pause = FIRST_PAUSE;
        loop {
            match self.watch(&mut rv).await {
                End::Deaf => return Err(Deaf),
                End::Gone => return Ok(()),
                End::Closed => self.pause = FIRST_PAUSE,
                End::Broken(error) => {
                    self.complain(&error);
                    self.rest().await;
                }
            }
        }
    }

    async fn list(&self) -> Result<Result<String, ApiError>, Deaf> {
        self.send(vec![Delta::ListBegin { feed: self.feed.number }]).await?;
        let mut token = String::new();
        loop {
            let page = self.kube.list(self.feed.kind, &self.feed.selection, (PAGE, &token)).await;
            let page = match page {
                Ok(page) => page,
                Err(error) => {
                    // A kind that is not served counts as empty.
                    if error.is_absent() {
                        self.send(vec![Delta::ListEnd { feed: self.feed.number, rv: u64::MAX }])
                            .await?;
                    }
                    return Ok(Err(error));
                }
            };
            let mut deltas: Vec<_> =
                page.items.iter().filter_map(|object| self.shown(object)).collect();
            if page.next.is_empty() {
                let rv = page.rv.parse().unwrap_or(0);
                deltas.push(Delta::ListEnd { feed: self.feed.number, rv });
                self.send(deltas).await?;
                return Ok(Ok(page.rv));
            }
            self.send(deltas).await?;
            token = page.next;
        }
    }

    fn shown(&self, object: &Value) -> Option<Delta<Kind, Facts>> {
        match self.projector.read_shown(self.feed.kind, object) {
            Ok(mut read) => {
                read.feed = self.feed.number;
                Some(read.watched())
            }
            Err(error) => {
                tracing::warn!(object = %error.object, reason = %error.message,
                    "an object cannot be read and is left alone");
                None
            }
        }
    }

    async fn watch(&self, rv: &mut String) -> End {
        let stream = self.kube.watch(self.feed.kind, &self.feed.selection, rv).await;
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) if error.is_gone() => return End::Gone,
            Err(error) => return End::Broken(error),
        };
        let mut stream = pin!(stream);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = tokio::time::timeout(SILENCE, stream.read_until(b'\n', &mut line)).await;
            match read {
                Err(_) => return End::Closed,
                Ok(Ok(0)) => return End::Closed,
                Ok(Err(error)) => {
                    let resource = crate::kube_api::resource(self.feed.kind).plural;
                    let message = format!("the stream broke off: {error}");
                    return End::Broken(ApiError::other(Verb::Watch, resource, &message));
                }
                Ok(Ok(_)) if line.len() > LONGEST_EVENT => return End::Gone,
                Ok(Ok(_)) => {}
            }
            if let Some(end) = self.take(&line, rv).await {
                return end;
            }
        }
    }

    /// Takes one event in.
    async fn take(&self, line: &[u8], rv: &mut String) -> Option<End> {
        let Ok(mut event) = serde_json::from_slice::<Value>(line) else {
            return (!line.trim_ascii().is_empty()).then_some(End::Closed);
        };
        let object = event.get_mut("object").map(Value::take).unwrap_or_default();
        let seen = match event.get("type").and_then(Value::as_str).unwrap_or_default() {
            "ERROR" => return Some(self.error_event(&object)),
            "BOOKMARK" => None,
            "DELETED" => self.deleted(&object).await,
            _ => self.shown(&object),
        };
        let version = meta_of(&object).resource_version;
        if !version.is_empty() {
            *rv = version;
        }
        match seen {
            Some(delta) => self.send(vec![delta]).await.err().map(|Deaf| End::Deaf),
            None => None,
        }
    }

    fn error_event(&self, status: &Value) -> End {
        let resource = crate::kube_api::resource(self.feed.kind).plural;
        let code = status.get("code").and_then(Value::as_u64).unwrap_or(0);
        if code == 410 {
            return End::Gone;
        }
        let message = status.get("message").and_then(Value::as_str).unwrap_or("unknown error");
        End::Broken(ApiError::other(Verb::Watch, resource, message))
    }

    /// An object is gone; but a Secret that only lost or got the label is still there, shown by
    /// the other feed of Secrets, so it is looked at.
    async fn deleted(&self, object: &Value) -> Option<Delta<Kind, Facts>> {
        let meta = meta_of(object);
        let key = ObjectKey::new(self.feed.kind, meta.namespace.as_str(), meta.name.as_str());
        if self.feed.kind == Kind::Secret {
            let found = self.kube.get(Kind::Secret, &meta.namespace, &meta.name).await;
            if let Ok(found) = &found
                && meta_of(found).uid == meta.uid
            {
                return self.projector.read(Kind::Secret, found).ok().map(|read| read.live());
            }
        }
        Some(Delta::Deleted { feed: self.feed.number, key, uid: meta.uid.as_str().into() })
    }

    async fn send(&self, deltas: Vec<Delta<Kind, Facts>>) -> Result<(), Deaf> {
        self.deltas.send(deltas).await.map_err(|_| Deaf)
    }

    fn complain(&self, error: &ApiError) {
        tracing::warn!(feed = ?self.feed.kind, pause = ?self.pause, %error, "a watch failed");
    }

    /// Waits, longer each time, spread out so that feeds and replicas do not come back at once.
    async fn rest(&mut self) {
        let now = super::super::ports::now().as_millis();
        let share = digest_of(&(now, self.feed.number, std::process::id())).0 % 1000;
        let jitter = self.pause.mul_f64(share as f64 / 1000.0);
        tokio::time::sleep(self.pause / 2 + jitter / 2).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}
