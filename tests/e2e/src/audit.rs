//! The API server's audit log: what was really asked of it.

use crate::{World, eventually, skip, text, variable};
use serde_json::{Value, json};
use std::fmt;

/// The audit log of a test bed.
pub struct Audit {
    path: String,
}

/// A request that wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// `create`, `update`, `patch` or `delete`.
    pub verb: String,
    /// The resource, with its subresource after a slash.
    pub resource: String,
    /// The object.
    pub name: String,
    /// The HTTP status of the answer.
    pub code: i64,
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} -> {}", self.verb, self.resource, self.name, self.code)
    }
}

impl Audit {
    /// The log that `TESTBED_AUDIT` names; without one, it skips aloud.
    pub fn open(scenario: &str) -> Option<Self> {
        let path = variable("TESTBED_AUDIT");
        if path.is_none() {
            skip(scenario, "set TESTBED_AUDIT to the API server's audit log, one JSON a line");
        }
        path.map(|path| Self { path })
    }

    /// Every write of a user in the scenario's namespace up to now.
    pub async fn writes(&self, world: &World, user: &str) -> Vec<Write> {
        self.catch_up(world).await;
        let lines = self.lines();
        let ours = |line: &&Value| {
            text(line, "/user/username") == user
                && text(line, "/stage") == "ResponseComplete"
                && text(line, "/objectRef/namespace") == world.namespace
        };
        let mut writes: Vec<Write> = lines.iter().filter(ours).map(write_of).collect();
        writes.retain(|write| !["get", "list", "watch"].contains(&write.verb.as_str()));
        writes
    }

    /// The log is written in batches: waits until it shows a request that is made now.
    async fn catch_up(&self, world: &World) {
        let marker = format!("marker-{}", self.lines().len());
        world
            .create(json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": marker },
            }))
            .await;
        eventually("the audit log is up to date", 120, async || {
            let shown = |line: &Value| {
                text(line, "/objectRef/namespace") == world.namespace
                    && text(line, "/objectRef/name") == marker
            };
            let lines = self.lines();
            lines.iter().any(shown).then_some(()).ok_or(format!("{} lines", lines.len()))
        })
        .await;
    }

    fn lines(&self) -> Vec<Value> {
        let bytes = std::fs::read(&self.path).unwrap_or_default();
        let lines = bytes.split(|byte| *byte == b'\n');
        lines.filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }
}

fn write_of(line: &Value) -> Write {
    let (resource, part) =
        (text(line, "/objectRef/resource"), text(line, "/objectRef/subresource"));
    Write {
        verb: text(line, "/verb").to_owned(),
        resource: if part.is_empty() { resource.into() } else { format!("{resource}/{part}") },
        name: text(line, "/objectRef/name").to_owned(),
        code: line["responseStatus"]["code"].as_i64().unwrap_or(0),
    }
}
