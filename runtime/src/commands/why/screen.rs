//! An answer as one screen of text, and as JSON.

use super::answer::{Answer, Change, Wait};
use super::around::{self, Related};
use super::error::{self, LastError};
use super::path::Passed;
use super::suggest::{Hint, Source};
use everleaf_engine::Timestamp;
use everleaf_nodes::budget::standing::Standing;
use everleaf_nodes::effect::rfc3339;
use everleaf_nodes::facts::{Attempt, Class};
use serde_json::{Value, json};

/// So many lines of each part fit on a screen; JSON has all.
const LINES: usize = 8;

impl Answer<'_> {
    /// Where it is, what is wrong with it, and what its conditions say.
    pub(super) fn head(&self) -> String {
        let mut lines = match self.state() {
            Some(state) => vec![format!("{}: {}", self.key, state.name), state.about.clone()],
            None => vec![format!("{}: cannot be told", self.key)],
        };
        lines.extend(self.problems());
        lines.extend(self.conditions().iter().map(around::told));
        lines.extend(self.progress().map(|(state, reason)| match state.text() {
            "" if reason.is_empty() => "not placed yet".to_owned(),
            "" => format!("not placed yet; {reason}"),
            state => format!("state={state} {reason}"),
        }));
        lines.extend(self.attempt().and_then(|attempt| self.attempt_line(attempt)));
        lines
            .iter()
            .map(|line| format!("{}\n", clean(line.trim_end())))
            .collect::<Vec<_>>()
            .join("  ")
    }

    /// The last request that was not answered as hoped. What the answer has as its last error is
    /// not said twice.
    fn attempt_line(&self, attempt: &Attempt) -> Option<String> {
        let Attempt { step, number, at, detail, class, .. } = attempt;
        match class {
            Class::Wait => Some(format!("{}: {step}, look {number}: {detail}", rfc3339(*at))),
            _ if self.error.is_some() => None,
            _ => Some(format!("{}: {}", rfc3339(*at), error::told(attempt))),
        }
    }

    /// Everything, on one screen.
    pub(super) fn to_text(&self) -> String {
        let mut text = self.head();
        let mut part = |title: &str, lines: Vec<String>| {
            if !lines.is_empty() {
                let lines: Vec<String> = lines.iter().map(|line| clean(line)).collect();
                text.push_str(&format!("{title}:\n  {}\n", lines.join("\n  ")));
            }
        };
        if let Some(Source::Recording { at, .. }) = self.source {
            part("as recorded, at", vec![at.clone()]);
        }
        part(self.error_title(), self.error.iter().map(|error| self.error_line(error)).collect());
        part("does now", self.next().into_iter().map(str::to_owned).collect());
        part("waits until", self.waits().iter().map(|wait| self.wait_line(wait)).collect());
        let changes: Vec<Change> = self.changes();
        let lines =
            changes.iter().map(|Change { on, to, why, .. }| format!("-> {to}, if {on} ({why})"));
        part("what would change it", first(lines.collect(), "-o json has them"));
        part("left of the CA's limits", self.budgets.iter().map(|one| self.left(one)).collect());
        let lines = self.around.iter().map(related_line).collect();
        part("around it", first(lines, "-o json has them"));
        part("path", self.path_lines());
        part("taken for granted", self.assumed.to_vec());
        part("not seen", self.unseen.to_vec());
        let width = self.hints.iter().map(|hint| hint.run.len()).filter(|w| *w <= 76).max();
        let width = width.unwrap_or(0);
        let hints = self.hints.iter().map(|Hint { run, why }| format!("{run:width$}  # {why}"));
        part("try", hints.collect());
        text
    }

    fn error_title(&self) -> &'static str {
        match self.state().is_some_and(|state| state.goal || state.name == "ready") {
            true => "last error, since then it went on",
            false => "last error",
        }
    }

    fn error_line(&self, error: &LastError) -> String {
        let LastError { at, object, message, again } = error;
        let when = at.map_or_else(String::new, |at| {
            let ago = span(self.now.since(at) / 1000);
            format!("{} ({ago} ago) ", rfc3339(at))
        });
        let whose = if object == self.key { String::new() } else { format!("{object}: ") };
        let again = again.filter(|again| *again > self.now);
        let again = again
            .map_or_else(String::new, |again| format!("; not again before {}", rfc3339(again)));
        format!("{when}{whose}{message}{again}")
    }

    fn wait_line(&self, Wait { name, about, at }: &Wait) -> String {
        let name = if name == about { String::new() } else { format!("{name}, ") };
        match at.since(self.now) / 1000 {
            ..=0 => format!("{} (now): {name}{about}", rfc3339(*at)),
            left => format!("{} (in {}): {name}{about}", rfc3339(*at), span(left)),
        }
    }

    /// The newest of the path, the newest last.
    fn path_lines(&self) -> Vec<String> {
        let skipped = self.path.len().saturating_sub(LINES);
        let left_out = skipped + self.earlier;
        let mut lines = Vec::new();
        if left_out > 0 {
            lines.push(format!("({left_out} earlier left out; -o json has {})", self.path.len()));
        }
        lines.extend(self.path.iter().skip(skipped).map(path_line));
        lines
    }

    fn left(&self, one: &Standing) -> String {
        let Standing { limit, subject, left, capacity, next } = one;
        let of = if subject.is_empty() { String::new() } else { format!(" of {subject}") };
        let next = match next.since(self.now) / 1000 {
            ..=0 => String::new(),
            wait => format!("; the next at {} (in {})", rfc3339(*next), span(wait)),
        };
        format!("{limit}{of}: {left} of {capacity}{next}")
    }

    fn budget_json(&self, one: &Standing) -> Value {
        let Standing { limit, subject, left, capacity, next } = one;
        let next = (*next > self.now).then(|| rfc3339(*next));
        let (limit, subject) = (*limit, &**subject);
        json!({"limit": limit, "subject": subject, "left": left, "capacity": capacity, "next": next})
    }

    /// Everything; docs/why.md tells the fields.
    pub(super) fn to_json(&self) -> Value {
        let waits = self.waits().into_iter();
        let waits = waits.map(|w| json!({"name": w.name, "about": w.about, "at": rfc3339(w.at)}));
        let changes = self.changes().into_iter();
        let changes = changes.map(|c| json!({"if": c.on, "to": c.to, "why": c.why}));
        json!({
            "object": self.key.to_string(),
            "at": precise(self.now),
            "source": source_json(self.source),
            "machine": self.machine(),
            "state": self.state().map(|state| &state.name),
            "about": self.state().map(|state| &state.about),
            "unknown": self.unknown(),
            "facts": self.truths(),
            "problems": self.problems(),
            "conditions": self.conditions(),
            "progress": self.progress().map(|(state, reason)| {
                json!({"state": state.text(), "reason": reason})
            }),
            "attempt": self.attempt(),
            "lastError": self.error.as_ref().map(LastError::to_json),
            "assumed": self.assumed,
            "unseen": self.unseen,
            "next": self.next(),
            "waits": waits.collect::<Vec<_>>(),
            "budgets": self.budgets.iter().map(|one| self.budget_json(one)).collect::<Vec<_>>(),
            "changes": changes.collect::<Vec<_>>(),
            "around": self.around.iter().map(related_json).collect::<Vec<_>>(),
            "path": self.path.iter().map(Passed::to_json).collect::<Vec<_>>(),
            "earlier": self.earlier,
            "commands": self.hints.iter().map(Hint::to_json).collect::<Vec<_>>(),
        })
    }
}

fn source_json(source: Option<&Source>) -> Value {
    match source {
        Some(Source::Recording { paths, .. }) => json!({"recording": paths}),
        Some(Source::Cluster) | None => json!("cluster"),
    }
}

fn related_line(related: &Related) -> String {
    let Related { role, key, says, .. } = related;
    format!("{role} {key}: {says}")
}

fn related_json(related: &Related) -> Value {
    let Related { role, key, there, says } = related;
    json!({"role": role, "object": key.to_string(), "there": there, "says": says})
}

fn path_line(passed: &Passed) -> String {
    let mark = if passed.failure { "FAILED " } else { "" };
    format!("{} {mark}{}", rfc3339(passed.at), passed.text)
}

/// The first lines of a part, and how many more there are.
fn first(mut lines: Vec<String>, where_else: &str) -> Vec<String> {
    let more = lines.len().saturating_sub(LINES);
    if more > 0 {
        lines.truncate(LINES);
        lines.push(format!("({more} more; {where_else})"));
    }
    lines
}

/// One line that does nothing to a terminal but fill it: what is in an object was written by
/// anybody.
fn clean(line: &str) -> String {
    let plain = |c: char| match c {
        '\n' | '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    line.chars().map(plain).collect()
}

/// An instant with its milliseconds, if it has any: many inputs fall into one second.
pub(super) fn precise(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or_default();
    at.to_string()
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
