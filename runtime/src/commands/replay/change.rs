//! What is changed for `--what-if`: fields of recorded Certificates, whole specs from manifests,
//! and flags of the operator.

use super::Failure;
use crate::commands::{input, operator};
use crate::edge::Projector;
use crate::flags::OperatorFlags;
use clap::{Args as _, FromArgMatches as _};
use everleaf_api::GoDuration;
use everleaf_api::names::CopiedAnnotations;
use everleaf_engine::ObjectKey;
use everleaf_nodes::facts::CertificateFacts;
use everleaf_nodes::{Facts, Kind, Options};
use everleaf_pki::Limits;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Changes of one `--what-if` or several.
#[derive(Debug, Default)]
pub struct Change {
    fields: Vec<Field>,
    specs: BTreeMap<ObjectKey<Kind>, Facts>,
    /// Options of the engine by their names, as JSON.
    options: BTreeMap<String, Value>,
    told: Vec<String>,
}

/// A field of one Certificate, or of all.
#[derive(Debug)]
struct Field {
    of: Option<ObjectKey<Kind>>,
    set: Set,
}

/// The fields that can be changed one by one: timing, and the issuer.
#[derive(Clone, Debug)]
enum Set {
    RenewBefore(i64),
    Percentage(i32),
    Duration(Arc<str>, i64),
    IssuerName(Arc<str>),
    IssuerKind(Arc<str>),
    IssuerGroup(Arc<str>),
}

const FIELDS: &str = "spec.renewBefore, spec.renewBeforePercentage, spec.duration, \
                      spec.issuerRef.name, spec.issuerRef.kind and spec.issuerRef.group";

fn usage(text: &str, message: impl std::fmt::Display) -> Failure {
    Failure::Usage(format!("--what-if {text:?}: {message}"))
}

impl Change {
    /// Reads what was given, in order: a file of manifests, `spec.FIELD=VALUE` with
    /// `@Certificate/NAMESPACE/NAME` or of all Certificates, or `FLAG=VALUE` of the operator.
    ///
    /// # Errors
    /// [`Failure::Usage`] for anything else.
    pub fn parse(given: &[String]) -> Result<Self, Failure> {
        let mut change = Self::default();
        for text in given {
            change.told.push(text.clone());
            match text.split_once('=') {
                _ if Path::new(text).is_file() => change.manifest(text)?,
                Some((path, value)) if path.starts_with("spec.") => {
                    change.fields.push(field(text, path, value)?);
                }
                Some((flag, value)) => change.flag(text, flag, value)?,
                None => {
                    return Err(usage(
                        text,
                        "neither a file nor KEY=VALUE; give a manifest, \
                                            spec.FIELD=VALUE@Certificate/NAMESPACE/NAME, or \
                                            FLAG=VALUE of the operator",
                    ));
                }
            }
        }
        Ok(change)
    }

    /// What was given, for people.
    pub fn told(&self) -> String {
        self.told.join(", ")
    }

    /// Whether the operator's own options are others.
    pub fn changes_options(&self) -> bool {
        !self.options.is_empty()
    }

    /// The options that a recording was made with, changed.
    pub fn options(&self, recorded: &Options) -> Options {
        let mut all = serde_json::to_value(recorded).unwrap_or_default();
        if let Some(all) = all.as_object_mut() {
            all.extend(self.options.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        // What `differing` found is a value of the same type that flags made.
        serde_json::from_value(all).unwrap_or_else(|_| recorded.clone())
    }

    /// The facts of an object, changed; `None` if they are left as they were recorded.
    pub fn of(&self, key: &ObjectKey<Kind>, recorded: &Facts) -> Option<Facts> {
        let mut facts = self.specs.get(key).map(|spec| with_spec(spec, recorded));
        let fields = self.fields.iter().filter(|field| {
            key.kind == Kind::Certificate && field.of.as_ref().is_none_or(|of| of == key)
        });
        for field in fields {
            let facts = facts.get_or_insert_with(|| recorded.clone());
            if let Facts::Certificate(facts) = facts {
                field.set.clone().into_facts(facts);
            }
        }
        facts.filter(|facts| facts != recorded)
    }

    fn manifest(&mut self, text: &str) -> Result<(), Failure> {
        let path = Path::new(text);
        let projector = Projector::new(CopiedAnnotations::default(), Limits::default());
        for manifest in input::manifest(path, &input::read(path)?)? {
            let kind = manifest.object.get("kind").and_then(Value::as_str).and_then(Kind::of_name);
            let kind = kind.filter(|kind| {
                matches!(kind, Kind::Certificate | Kind::Issuer | Kind::ClusterIssuer)
            });
            let place = format!("{}:{}", manifest.path, manifest.line);
            let kind = kind.ok_or_else(|| {
                usage(
                    text,
                    format!(
                        "{place}: only Certificates, Issuers and ClusterIssuers can be \
                                     changed by a manifest"
                    ),
                )
            })?;
            let read = projector.read(kind, &manifest.object);
            let read = read.map_err(|error| usage(text, format!("{place}: {error}")))?;
            self.specs.insert(read.key, read.facts);
        }
        Ok(())
    }

    /// A flag of the operator changes what it changes of the options that decide.
    fn flag(&mut self, text: &str, flag: &str, value: &str) -> Result<(), Failure> {
        let flag = flag.trim_start_matches('-');
        let line = [format!("--{flag}={value}")];
        let (plain, changed) = (flags(text, &[])?, flags(text, &line)?);
        let differing = differing(&plain, &changed);
        if differing.is_empty() {
            return Err(usage(
                text,
                "this flag decides on nothing, or that is its default; a field is \
                                    written as spec.FIELD=VALUE",
            ));
        }
        self.options.extend(differing);
        Ok(())
    }
}

fn flags(text: &str, line: &[String]) -> Result<Options, Failure> {
    let command = OperatorFlags::augment_args(clap::Command::new("operator").no_binary_name(true));
    let matches = command.try_get_matches_from(line);
    let matches = matches.map_err(|error| usage(text, error.kind()))?;
    let flags =
        OperatorFlags::from_arg_matches(&matches).map_err(|error| usage(text, error.kind()))?;
    let checked = flags.options().map_err(|error| usage(text, error))?;
    Ok(operator::options(&checked))
}

fn differing(plain: &Options, changed: &Options) -> BTreeMap<String, Value> {
    let value = |options| serde_json::to_value(options).unwrap_or_default();
    let (plain, changed): (Value, Value) = (value(plain), value(changed));
    let all = changed.as_object().into_iter().flatten();
    let other = all.filter(|(name, value)| plain.get(name) != Some(value));
    other.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn field(text: &str, path: &str, value: &str) -> Result<Field, Failure> {
    let (value, of) = match value.rsplit_once('@') {
        Some((value, object)) => (value, Some(certificate(text, object)?)),
        None => (value, None),
    };
    let duration = || value.parse::<GoDuration>().map_err(|error| usage(text, error));
    let ms = |duration: &GoDuration| duration.nanos() / 1_000_000;
    let set = match path {
        "spec.renewBefore" => Set::RenewBefore(ms(&duration()?)),
        "spec.renewBeforePercentage" => {
            let percent = value.parse().ok().filter(|percent| (1..100).contains(percent));
            Set::Percentage(percent.ok_or_else(|| usage(text, "a percentage is 1 to 99"))?)
        }
        "spec.duration" => Set::Duration(value.into(), ms(&duration()?)),
        "spec.issuerRef.name" => Set::IssuerName(value.into()),
        "spec.issuerRef.kind" => Set::IssuerKind(value.into()),
        "spec.issuerRef.group" => Set::IssuerGroup(value.into()),
        _ => {
            return Err(usage(
                text,
                format!("of a Certificate {FIELDS} can be changed; for more give a manifest"),
            ));
        }
    };
    Ok(Field { of, set })
}

fn certificate(text: &str, object: &str) -> Result<ObjectKey<Kind>, Failure> {
    let mut parts = object.split('/');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(kind), Some(namespace), Some(name), None)
            if kind.eq_ignore_ascii_case("certificate") =>
        {
            Ok(ObjectKey::new(Kind::Certificate, namespace, name))
        }
        _ => Err(usage(text, "write the object as @Certificate/NAMESPACE/NAME")),
    }
}

impl Set {
    fn into_facts(self, facts: &mut CertificateFacts) {
        match self {
            Self::RenewBefore(ms) => {
                facts.renewal.renew_before_ms = Some(ms);
                facts.renewal.percentage = None;
            }
            Self::Percentage(percent) => {
                facts.renewal.renew_before_ms = None;
                facts.renewal.percentage = Some(percent);
            }
            Self::Duration(text, ms) => facts.duration = Some((text, ms)),
            Self::IssuerName(name) => facts.issuer.name = name,
            Self::IssuerKind(kind) => facts.issuer.kind = kind,
            Self::IssuerGroup(group) => facts.issuer.group = group,
        }
    }
}

/// What a manifest says, with what was recorded of the object's metadata and status.
fn with_spec(spec: &Facts, recorded: &Facts) -> Facts {
    match (spec.clone(), recorded) {
        (Facts::Certificate(mut facts), Facts::Certificate(was)) => {
            facts.created = was.created;
            facts.generation = was.generation;
            facts.deleting = was.deleting;
            facts.controller = was.controller.clone();
            facts.issuer_failures = was.issuer_failures.clone();
            facts.failure_note = was.failure_note.clone();
            facts.status = was.status.clone();
            Facts::Certificate(facts)
        }
        (Facts::Issuer(mut facts), Facts::Issuer(was)) => {
            facts.generation = was.generation;
            facts.deleting = was.deleting;
            facts.conditions = was.conditions.clone();
            facts.account = was.account.clone();
            Facts::Issuer(facts)
        }
        (_, recorded) => recorded.clone(),
    }
}
