//! `everleaf why`: where an object is, what it waits for, until when, what would change it, how it
//! came there and what to type next. It reads the cluster with the caller's own rights, or a
//! recording, and changes nothing.

mod answer;
mod around;
mod error;
mod flags;
mod path;
mod recorded;
mod screen;
mod sight;
mod suggest;

use super::recording::At;
use super::{Failure, kubeconfig, print};
use crate::edge::Projector;
use crate::kube_api::Kube;
use answer::Answer;
use clap::Args;
use everleaf_engine::{Engine, ObjectKey, Program, Timestamp};
use everleaf_nodes::{Everleaf, Kind, Options};
pub use flags::AsOperator;
pub use sight::{Blind, Sight, look};
use std::path::PathBuf;

/// Arguments of `everleaf why`.
#[derive(Args, Debug)]
pub struct WhyArgs {
    /// The object: `certificate/NAME`, `certificaterequest/NAME`, `issuer/NAME`,
    /// `clusterissuer/NAME`, `ingress/NAME`, `order/NAME` or `challenge/NAME`; the kind's short
    /// names work too.
    pub object: String,
    /// `text` or `json`.
    #[arg(long, short, default_value = "text", value_parser = ["text", "json"])]
    pub output: String,
    /// Look in a recording that `operator --record` or `dev --record` wrote, file or directory,
    /// instead of a cluster. Without -n, in all namespaces.
    #[arg(long, value_name = "PATH")]
    pub recording: Vec<PathBuf>,
    /// The instant of the recording: RFC 3339, or an offset such as 90s from its begin or -5m
    /// from its end. Its end, if none is given.
    #[arg(long, value_name = "INSTANT", requires = "recording", allow_hyphen_values = true)]
    pub at: Option<At>,
    /// What the operator was started with.
    #[command(flatten)]
    pub operator: AsOperator,
}

/// What can be said of an object.
pub struct Explained {
    /// For standard output.
    pub text: String,
    /// Why its state cannot be told, if it cannot.
    pub unknown: Option<String>,
}

fn kind(word: &str) -> Option<Kind> {
    Some(match word.to_ascii_lowercase().as_str() {
        "certificate" | "certificates" | "cert" | "certs" => Kind::Certificate,
        "certificaterequest" | "certificaterequests" | "cr" | "crs" => Kind::CertificateRequest,
        "issuer" | "issuers" | "iss" => Kind::Issuer,
        "clusterissuer" | "clusterissuers" | "ciss" => Kind::ClusterIssuer,
        "ingress" | "ingresses" | "ing" => Kind::Ingress,
        "order" | "orders" => Kind::Order,
        "challenge" | "challenges" => Kind::Challenge,
        _ => return None,
    })
}

/// Reads `certificate/NAME`.
fn asked(object: &str) -> Result<(Kind, &str), Failure> {
    let (word, name) = object
        .split_once('/')
        .ok_or_else(|| Failure::Usage(format!("{object:?}: write it as certificate/NAME")))?;
    let kind = kind(word).ok_or_else(|| {
        Failure::Usage(format!(
            "{word:?} is no kind that can be explained; certificate, certificaterequest, \
             issuer, clusterissuer, ingress, order and challenge are"
        ))
    })?;
    Ok((kind, name))
}

/// Explains.
///
/// # Errors
/// [`Failure::Usage`] for an object that cannot be meant; [`Failure::Failed`] if the cluster
/// cannot be read or has no such object, or the caller may not read what its state rests on.
pub async fn run(args: &WhyArgs) -> Result<(), Failure> {
    let (kind, name) = asked(&args.object)?;
    if !args.recording.is_empty() {
        return tell(from_recording(args, (kind, name))?);
    }
    let flags = args.operator.checked()?;
    let reached = kubeconfig::connect(flags.kubeconfig.as_deref(), flags.master.as_deref()).await?;
    let namespace = args.operator.namespace().unwrap_or(reached.client.default_namespace());
    let key = ObjectKey::new(kind, if kind == Kind::ClusterIssuer { "" } else { namespace }, name);
    let projector =
        Projector::new(flags.copied_annotations.clone(), super::operator::limits(&flags));
    let options = super::operator::options(&flags);
    let kube = Kube::new(reached.client);
    let explained =
        explain(&kube, (&projector, options), (&key, &args.output), crate::ports::now())
            .await
            .map_err(|blind| Failure::Failed(blind.told_of(&reached.url)))?;
    tell(explained)
}

fn tell(explained: Explained) -> Result<(), Failure> {
    print(&explained.text);
    explained.unknown.map_or(Ok(()), |why| Err(Failure::Failed(why)))
}

/// What a recording says of an object; it carries the operator's own options.
fn from_recording(args: &WhyArgs, (kind, name): (Kind, &str)) -> Result<Explained, Failure> {
    let asked = recorded::Asked { kind, namespace: args.operator.namespace(), name };
    let (key, sight) = recorded::look(&args.recording, args.at, &asked)?;
    Ok(said(&sight, &key, &args.output))
}

/// Says what an operator with these options would make of an object at `now`, as `text` or
/// `json`.
///
/// # Errors
/// If the object cannot be read, or the API server cannot be reached.
pub async fn explain(
    kube: &Kube,
    (projector, options): (&Projector, Options),
    (key, output): (&ObjectKey<Kind>, &str),
    now: Timestamp,
) -> Result<Explained, Blind> {
    let sight = look(kube, (projector, options), key, now).await?;
    Ok(said(&sight, key, output))
}

fn said(sight: &Sight, key: &ObjectKey<Kind>, output: &str) -> Explained {
    let answer = Answer::new(sight, key);
    let text = match output {
        "json" => format!("{:#}\n", answer.to_json()),
        _ => answer.to_text(),
    };
    Explained { text, unknown: answer.unknown() }
}

/// The state of an object that an engine knows, its problems and its conditions, in lines.
pub fn in_short(
    engine: &Engine<Everleaf>,
    key: &ObjectKey<Kind>,
    problems: &[String],
) -> Option<String> {
    engine.world().get(key)?;
    Some(Answer::of_engine(engine, key, problems).head())
}

/// What an object says of itself, in one line; empty for those that say nothing.
pub fn says(facts: &everleaf_nodes::Facts) -> String {
    around::says(facts)
}

/// Whether any machine runs such objects; not if the operator was told to leave them alone.
fn is_run(engine: &Engine<Everleaf>, kind: Kind) -> bool {
    engine.program().machine(kind).is_some()
}

#[cfg(test)]
pub(in crate::commands) mod tests;
