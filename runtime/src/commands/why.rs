//! `everleaf why`: where an object is, what it waits for, until when, and what would change it.
//! It reads the cluster with the caller's own rights, or a recording.

use super::{Failure, print};
use crate::edge::Projector;
use crate::kube_api::{Kube, Selection};
use crate::operator::feeds;
use clap::Args;
use everleaf_api::names::CopiedAnnotations;
use everleaf_engine::{Config, Delta, Engine, Input, ObjectKey, Program, Status, Timestamp};
use everleaf_graph::{Machine, WaitKind};
use everleaf_nodes::effect::rfc3339;
use everleaf_nodes::facts::Condition;
use everleaf_nodes::{Everleaf, Facts, Kind, Options, feed};
use everleaf_pki::Limits;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Arguments of `everleaf why`.
#[derive(Args, Debug)]
pub struct WhyArgs {
    /// The object: `certificate/NAME`, `certificaterequest/NAME`, `issuer/NAME`,
    /// `clusterissuer/NAME` or `ingress/NAME`; the kind's short names work too.
    pub object: String,
    /// The object's namespace; the kubeconfig's if none is given.
    #[arg(long, short)]
    pub namespace: Option<String>,
    /// The kubeconfig; KUBECONFIG, ~/.kube/config or the cluster around us if none is given.
    #[arg(long)]
    pub kubeconfig: Option<PathBuf>,
    /// `text` or `json`.
    #[arg(long, short, default_value = "text", value_parser = ["text", "json"])]
    pub output: String,
    /// Where the Secrets of ClusterIssuers are.
    #[arg(long, default_value = "kube-system")]
    pub cluster_resource_namespace: String,
}

fn kind(word: &str) -> Option<Kind> {
    Some(match word.to_ascii_lowercase().as_str() {
        "certificate" | "certificates" | "cert" | "certs" => Kind::Certificate,
        "certificaterequest" | "certificaterequests" | "cr" | "crs" => Kind::CertificateRequest,
        "issuer" | "issuers" | "iss" => Kind::Issuer,
        "clusterissuer" | "clusterissuers" | "ciss" => Kind::ClusterIssuer,
        "ingress" | "ingresses" | "ing" => Kind::Ingress,
        _ => return None,
    })
}

/// Explains.
///
/// # Errors
/// [`Failure::Usage`] for an object that cannot be meant; [`Failure::Failed`] if the cluster
/// cannot be read or has no such object.
pub async fn run(args: &WhyArgs) -> Result<(), Failure> {
    let (word, name) = args.object.split_once('/').ok_or_else(|| {
        Failure::Usage(format!("{:?}: write it as certificate/NAME", args.object))
    })?;
    let kind = kind(word).ok_or_else(|| {
        Failure::Usage(format!(
            "{word:?} is no kind that can be explained; certificate, certificaterequest, \
             issuer, clusterissuer and ingress are"
        ))
    })?;
    let client = super::operator::client(args.kubeconfig.as_deref()).await?;
    let namespace = args.namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned());
    let options = Options {
        cluster_resource_namespace: args.cluster_resource_namespace.as_str().into(),
        ..Options::default()
    };
    let cluster = kind == Kind::ClusterIssuer;
    let key = ObjectKey::new(kind, if cluster { "" } else { &namespace }, name);
    let watched = if cluster { String::new() } else { namespace };
    let engine = observed(&Kube::new(client), &watched, options).await?;
    explain(&engine, &key, &args.output)
}

/// An engine that has seen the cluster once.
async fn observed(
    kube: &Kube,
    namespace: &str,
    options: Options,
) -> Result<Engine<Everleaf>, Failure> {
    let projector = Projector::new(CopiedAnnotations::default(), Limits::default());
    let mut engine = Engine::new(Everleaf::new(options), Config::default());
    let now = crate::ports::now();
    let mut see = |delta| drop(engine.handle(now, Input::Observed(delta)));
    for watched in feeds(namespace) {
        // What is explained is small: Secrets are read whole.
        let selection = Selection { metadata_only: false, ..watched.selection };
        see(Delta::ListBegin { feed: watched.number });
        let page = kube.list(watched.kind, &selection, (0, "")).await;
        match page {
            Ok(page) => {
                for object in &page.items {
                    if let Ok(read) = projector.read(watched.kind, object) {
                        see(read.watched());
                    }
                }
            }
            Err(error) if error.is_absent() => {}
            Err(error) => eprintln!("everleaf: left out: {error}"),
        }
        see(Delta::ListEnd { feed: watched.number, rv: 0 });
    }
    see(Delta::ListBegin { feed: feed::KEYS });
    see(Delta::ListEnd { feed: feed::KEYS, rv: 0 });
    Ok(engine)
}

/// Prints what an engine knows of an object.
///
/// # Errors
/// If it knows of none.
pub fn explain(
    engine: &Engine<Everleaf>,
    key: &ObjectKey<Kind>,
    output: &str,
) -> Result<(), Failure> {
    let none = || Failure::Failed(format!("there is no {key}, or you may not read it"));
    let object = engine.world().get(key).ok_or_else(none)?;
    let status = engine.status(key).ok_or_else(none)?;
    let machine = &engine.program().plan().machines[status.machine];
    let answer = Answer { key, machine, status: &status, facts: &object.facts, now: engine.now() };
    match output {
        "json" => print(&format!("{:#}\n", answer.to_json())),
        _ => print(&answer.to_text()),
    }
    Ok(())
}

struct Answer<'a> {
    key: &'a ObjectKey<Kind>,
    machine: &'a Machine,
    status: &'a Status,
    facts: &'a Facts,
    now: Timestamp,
}

impl Answer<'_> {
    fn conditions(&self) -> &[Condition] {
        match self.facts {
            Facts::Certificate(facts) => &facts.status.conditions,
            Facts::Request(facts) => &facts.conditions,
            Facts::Issuer(facts) => &facts.conditions,
            Facts::Secret(_) | Facts::Ingress(_) | Facts::Key(_) => &[],
        }
    }

    fn waits(&self) -> Vec<(String, String, Timestamp)> {
        let waits = self.status.armed.iter().filter_map(|armed| {
            let wait = &self.machine.waits[armed.wait?];
            let about = match &wait.kind {
                WaitKind::Every { .. } => "looked at again anyway".to_owned(),
                _ if wait.about.is_empty() => wait.name.clone(),
                _ => wait.about.clone(),
            };
            Some((wait.name.clone(), about, armed.at))
        });
        waits.collect()
    }

    /// What would move it on: the edges that leave its state, and where they lead.
    fn changes(&self) -> Vec<(String, String, String)> {
        let leaves = self.machine.edges.iter().filter(|edge| edge.from == self.status.state);
        leaves
            .map(|edge| {
                let to = self.machine.states[edge.to].name.clone();
                (self.trigger(edge), to, edge.why.clone())
            })
            .collect()
    }

    /// A trigger in words: what the fact says, or that its opposite holds.
    fn trigger(&self, edge: &everleaf_graph::Edge) -> String {
        let literal = self.machine.literal(edge.on);
        let (not, name) = match literal.strip_prefix("not ") {
            Some(name) => ("it is no longer so that ", name),
            None => ("", literal.as_str()),
        };
        let fact = self.machine.facts.iter().find(|fact| fact.name == name);
        match fact {
            Some(fact) => format!("{not}{}", fact.about),
            None => literal,
        }
    }

    fn to_text(&self) -> String {
        let state = &self.machine.states[self.status.state];
        let mut text = format!("{}: {}\n  {}\n", self.key, state.name, state.about);
        if let Facts::Certificate(facts) = self.facts {
            for problem in &facts.problems {
                text.push_str(&format!("  {}: {}\n", problem.path, problem.message));
            }
        }
        for condition in self.conditions() {
            let Condition { kind, status, reason, message, .. } = condition;
            text.push_str(&format!("  {kind}={status} {reason}: {message}\n"));
        }
        if !state.does.is_empty() {
            let does = state.does.iter().map(|step| self.machine.effects[*step].about.as_str());
            let does: Vec<&str> = does.collect();
            text.push_str(&format!("next:\n  {}\n", does.join("\n  ")));
        }
        let waits = self.waits();
        if !waits.is_empty() {
            text.push_str("waits until:\n");
        }
        for (_, about, at) in waits {
            let left = at.since(self.now) / 1000;
            text.push_str(&format!("  {} (in {}): {about}\n", rfc3339(at), span(left)));
        }
        text.push_str("what would change it:\n");
        for (trigger, to, why) in self.changes() {
            text.push_str(&format!("  -> {to}, if {trigger} ({why})\n"));
        }
        text
    }

    fn to_json(&self) -> Value {
        let state = &self.machine.states[self.status.state];
        let waits: Vec<Value> = self
            .waits()
            .into_iter()
            .map(|(name, about, at)| json!({"name": name, "about": about, "at": rfc3339(at)}))
            .collect();
        let changes: Vec<Value> = self
            .changes()
            .into_iter()
            .map(|(on, to, why)| json!({"if": on, "to": to, "why": why}))
            .collect();
        let facts = self.machine.facts.iter().enumerate();
        let facts: serde_json::Map<String, Value> = facts
            .map(|(bit, fact)| (fact.name.clone(), json!(self.status.truth >> bit & 1 == 1)))
            .collect();
        json!({
            "object": self.key.to_string(),
            "machine": self.machine.name,
            "state": state.name,
            "about": state.about,
            "facts": facts,
            "conditions": self.conditions(),
            "waits": waits,
            "changes": changes,
        })
    }
}

/// A span of seconds, to be read at a glance.
fn span(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} days", seconds / 86_400),
    }
}
