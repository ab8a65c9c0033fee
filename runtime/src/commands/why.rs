//! `everleaf why`: where an object is, what it waits for, until when, and what would change it.
//! It reads the cluster with the caller's own rights and changes nothing.

mod answer;
mod flags;
mod sight;

use super::{Failure, kubeconfig, print};
use crate::edge::Projector;
use crate::kube_api::Kube;
use answer::Answer;
use clap::Args;
use everleaf_engine::{Engine, ObjectKey, Program, Timestamp};
use everleaf_nodes::{Everleaf, Kind, Options};
pub use flags::AsOperator;
pub use sight::{Blind, Sight, look};

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
    print(&explained.text);
    explained.unknown.map_or(Ok(()), |why| Err(Failure::Failed(why)))
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
    let answer = Answer::new(&sight, key);
    let text = match output {
        "json" => format!("{:#}\n", answer.to_json()),
        _ => answer.to_text(),
    };
    Ok(Explained { text, unknown: answer.unknown() })
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

/// Whether any machine runs such objects; not if the operator was told to leave them alone.
fn is_run(engine: &Engine<Everleaf>, kind: Kind) -> bool {
    engine.program().machine(kind).is_some()
}

#[cfg(test)]
mod tests;
