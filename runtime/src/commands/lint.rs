//! `everleaf lint`: what is wrong or unwise in manifests, before a cluster sees them.
//!
//! An object is judged by what would judge it in a cluster: the CRD's schema (`schema`), the rules
//! by which the operator refuses (`object`, by way of its own [`crate::edge::Projector`] and Ingress shim), the advice of
//! `everleaf_api::validate`, and what several objects together make unwise (`together`).

mod near;
mod object;
mod report;
mod schema;
mod together;

use super::input::{self, Manifest, Place};
use super::{Failure, print};
use clap::{Args, ValueEnum};
use report::{Finding, Severity};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// How findings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A line each: file, line, severity, object, field, what is wrong.
    Text,
    /// One JSON object.
    Json,
    /// Annotations of GitHub Actions.
    Github,
}

/// Arguments of `everleaf lint`.
#[derive(Args, Debug)]
pub struct LintArgs {
    /// YAML or JSON manifests; directories (their .yaml, .yml and .json files); - for standard
    /// input. All are judged together.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Look into directories of directories, too.
    #[arg(long, short = 'R')]
    pub recursive: bool,
    /// Count warnings as errors.
    #[arg(long)]
    pub strict: bool,
    /// How to print what is found.
    #[arg(long, short, value_enum, default_value = "text")]
    pub output: Format,
}

/// The most of standard input that is read: 64 MiB.
const STDIN_MAX: u64 = 64 << 20;
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];
const MAX_DEPTH: usize = 32;

/// Lints.
///
/// # Errors
/// [`Failure::Failed`] if something is wrong; [`Failure::Usage`] if something cannot be read, after
/// the rest was judged.
pub fn run(args: &LintArgs) -> Result<(), Failure> {
    let (mut read, mut unreadable) = (Vec::new(), Vec::new());
    for given in &args.files {
        for source in sources(given, args.recursive, &mut unreadable) {
            match source.read() {
                Ok(found) => read.extend(found),
                Err(error) => unreadable.push(error.to_string()),
            }
        }
    }
    let judged = judge(&read);
    print(&report::render(args.output, &judged));
    let errors = judged.count(Severity::Error);
    let warnings = judged.count(Severity::Warning);
    if !unreadable.is_empty() {
        return Err(Failure::Usage(unreadable.join("\n")));
    }
    if errors > 0 {
        return Err(Failure::Failed("something is wrong".to_owned()));
    }
    if args.strict && warnings > 0 {
        return Err(Failure::Failed("something is unwise, which --strict forbids".to_owned()));
    }
    Ok(())
}

/// What was found in how many objects.
#[derive(Debug)]
pub(super) struct Judged {
    objects: usize,
    findings: Vec<Finding>,
}

impl Judged {
    fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    fn summary(&self) -> String {
        let told = |count, what| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        format!(
            "{}: {}, {}",
            told(self.objects, "object"),
            told(self.count(Severity::Error), "error"),
            told(self.count(Severity::Warning), "warning")
        )
    }
}

/// Judges objects, each by itself and all together.
fn judge(read: &[(Manifest, Place)]) -> Judged {
    let schemas = schema::Schemas::ours();
    let (mut findings, mut known) = (Vec::new(), Vec::new());
    let mut objects = 0;
    for (manifest, place) in read {
        let mut sink = report::Sink::new(manifest, place, &mut findings);
        if let Some(kind) = object::judge(schemas, &manifest.object, &mut sink) {
            objects += 1;
            known.push((manifest, place, kind));
        }
    }
    together::judge(&known, &mut findings);
    let order = |f: &Finding| (f.file.clone(), f.line, f.path.clone(), f.message.clone());
    findings.sort_by_key(order);
    findings.dedup();
    Judged { objects, findings }
}

/// Where manifests come from.
enum Source {
    Stdin,
    File(PathBuf),
}

impl Source {
    fn read(&self) -> Result<Vec<(Manifest, Place)>, super::InputError> {
        match self {
            Self::File(path) => input::placed(path, &input::read(path)?),
            Self::Stdin => {
                let path = Path::new("-");
                let fault = |message: String| super::InputError::File {
                    path: path.display().to_string(),
                    message,
                };
                let mut text = String::new();
                let limited = &mut std::io::stdin().lock().take(STDIN_MAX + 1);
                limited.read_to_string(&mut text).map_err(|error| fault(error.to_string()))?;
                if text.len() as u64 > STDIN_MAX {
                    return Err(fault(format!("more than {STDIN_MAX} bytes")));
                }
                input::placed(path, &text)
            }
        }
    }
}

fn sources(given: &Path, recursive: bool, unreadable: &mut Vec<String>) -> Vec<Source> {
    if given == Path::new("-") {
        return vec![Source::Stdin];
    }
    let found = if recursive && given.is_dir() {
        let mut all = Vec::new();
        below(given, 0, &mut all);
        all.sort();
        Ok(all)
    } else {
        input::files(given, &EXTENSIONS)
    };
    match found {
        Ok(files) => files.into_iter().map(Source::File).collect(),
        Err(error) => {
            unreadable.push(error.to_string());
            Vec::new()
        }
    }
}

/// Links to directories are not followed, for they may go round.
fn below(directory: &Path, depth: usize, all: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type());
        if kind.is_ok_and(|kind| kind.is_dir()) {
            if depth < MAX_DEPTH {
                below(&path, depth + 1, all);
            }
        } else if path.extension().is_some_and(|found| EXTENSIONS.iter().any(|one| found == *one)) {
            all.push(path);
        }
    }
}

#[cfg(test)]
mod tests;
