//! Findings, and how they are printed.

use super::super::input::{Manifest, Place};
use super::{Format, Judged};
use everleaf_api::validate::{Violation, Warning};
use serde::Serialize;
use serde_json::{Value, json};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The API server, the webhook's rules or the operator refuse it.
    Error,
    /// It is allowed, and will not do what it seems to, or will one day hurt.
    Warning,
}

/// Something that is wrong or unwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file, as it was named.
    pub file: String,
    /// The line of the field, from 1; of what should hold it, if it is not there.
    pub line: u64,
    /// How much it matters.
    pub severity: Severity,
    /// The object's kind.
    pub kind: String,
    /// Its namespace, if it names one.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// The field, as in `spec.privateKey.size`.
    pub path: String,
    /// What is wrong, as the API server words it.
    pub message: String,
}

/// Takes findings about one object.
pub struct Sink<'a> {
    manifest: &'a Manifest,
    place: &'a Place,
    all: &'a mut Vec<Finding>,
}

impl<'a> Sink<'a> {
    /// One for this object.
    pub fn new(manifest: &'a Manifest, place: &'a Place, all: &'a mut Vec<Finding>) -> Self {
        Self { manifest, place, all }
    }

    /// Takes a finding.
    pub fn add(&mut self, severity: Severity, path: &str, message: String) {
        let text = |at: &str| self.manifest.object.pointer(at).and_then(Value::as_str);
        let name = text("/metadata/name").or_else(|| text("/metadata/generateName"));
        self.all.push(Finding {
            file: self.manifest.path.clone(),
            line: self.place.line_of(path),
            severity,
            kind: text("/kind").unwrap_or_default().to_owned(),
            namespace: text("/metadata/namespace").map(str::to_owned),
            name: name.unwrap_or_default().to_owned(),
            path: path.to_owned(),
            message,
        });
    }

    /// Takes what a rule refuses.
    pub fn error(&mut self, path: &str, message: impl Into<String>) {
        self.add(Severity::Error, path, message.into());
    }

    /// Takes what is unwise.
    pub fn warn(&mut self, path: &str, message: impl Into<String>) {
        self.add(Severity::Warning, path, message.into());
    }

    /// Takes a violation of a rule.
    pub fn violation(&mut self, violation: &Violation) {
        let whole = violation.to_string();
        let message = whole.strip_prefix(&format!("{}: ", violation.path)).unwrap_or(&whole);
        self.error(&violation.path, message);
    }

    /// Takes advice.
    pub fn advice(&mut self, warning: &Warning) {
        self.warn(&warning.path, warning.message.clone());
    }
}

/// The findings as they are printed.
pub fn render(format: Format, judged: &Judged) -> String {
    match format {
        Format::Text => {
            let lines: String = judged.findings.iter().map(|f| line(f) + "\n").collect();
            lines + &judged.summary() + "\n"
        }
        Format::Json => {
            let whole = json!({
                "objects": judged.objects,
                "errors": judged.count(Severity::Error),
                "warnings": judged.count(Severity::Warning),
                "findings": judged.findings,
            });
            format!("{whole:#}\n")
        }
        Format::Github => judged.findings.iter().map(annotation).collect(),
    }
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn object(finding: &Finding) -> String {
    let Finding { kind, namespace, name, .. } = finding;
    let namespace = namespace.as_ref().map_or(String::new(), |one| format!("{one}/"));
    format!("{kind} {namespace}{name}")
}

fn line(finding: &Finding) -> String {
    let Finding { file, line, severity, path, message, .. } = finding;
    let (word, object) = (word(*severity), object(finding));
    format!("{file}:{line}: {word}: {object}: {path}: {message}")
}

/// A workflow command, with what would end it escaped.
fn annotation(finding: &Finding) -> String {
    let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    format!(
        "::{} file={},line={},title={}::{}\n",
        word(finding.severity),
        property(&finding.file),
        finding.line,
        property(&object(finding)),
        data(&format!("{}: {}", finding.path, finding.message)),
    )
}
