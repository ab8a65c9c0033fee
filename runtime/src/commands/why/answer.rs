//! What is said of an object, as text and as JSON.

use super::sight::Sight;
use everleaf_engine::{Engine, ObjectKey, Program, Status, Timestamp};
use everleaf_graph::{Edge, Machine, State, WaitKind};
use everleaf_nodes::budget::standing::{self, Standing};
use everleaf_nodes::effect::rfc3339;
use everleaf_nodes::facts::{AcmeState, Attempt, Class, Condition, Problem};
use everleaf_nodes::{Everleaf, Facts, Kind};
use serde_json::{Value, json};

/// So many domains are told of, those with the least left.
const DOMAINS: usize = 10;

pub(super) struct Answer<'a> {
    key: &'a ObjectKey<Kind>,
    /// Whether any machine runs such an object.
    is_run: bool,
    /// The machine and where the object is in it; `None` if that cannot be told.
    placed: Option<(&'a Machine, Status)>,
    facts: Option<&'a Facts>,
    now: Timestamp,
    said: &'a [String],
    lacking: &'a [String],
    assumed: &'a [String],
    budgets: Vec<Standing>,
}

struct Wait {
    name: String,
    about: String,
    at: Timestamp,
}

struct Change {
    on: String,
    to: String,
    why: String,
}

impl<'a> Answer<'a> {
    /// What a look at the cluster tells of an object.
    pub(super) fn new(sight: &'a Sight, key: &'a ObjectKey<Kind>) -> Self {
        let of_engine = Self::of_engine(&sight.engine, key, &sight.problems);
        Self { lacking: &sight.lacking, assumed: &sight.assumed, ..of_engine }
    }

    /// What an engine that has seen everything tells of an object.
    pub(super) fn of_engine(
        engine: &'a Engine<Everleaf>,
        key: &'a ObjectKey<Kind>,
        said: &'a [String],
    ) -> Self {
        let machines = &engine.program().plan().machines;
        Self {
            key,
            is_run: super::is_run(engine, key.kind),
            placed: engine.status(key).map(|status| (&machines[status.machine], status)),
            facts: engine.world().get(key).map(|object| &object.facts),
            now: engine.now(),
            said,
            lacking: &[],
            assumed: &[],
            budgets: budgets(engine, key),
        }
    }

    /// Why the state is not known; `None` if it is.
    pub(super) fn unknown(&self) -> Option<String> {
        let key = self.key;
        match &self.placed {
            Some(_) => None,
            None if !self.is_run => Some(format!(
                "{key} is left alone: --controllers turns the controller of such objects off"
            )),
            None => {
                let lacking = self.lacking.join(" and ");
                Some(format!("where {key} is cannot be told without {lacking}"))
            }
        }
    }

    fn state(&self) -> Option<&State> {
        let (machine, status) = self.placed.as_ref()?;
        Some(&machine.states[status.state])
    }

    fn conditions(&self) -> &[Condition] {
        match self.facts {
            Some(Facts::Certificate(facts)) => &facts.status.conditions,
            Some(Facts::Request(facts)) => &facts.conditions,
            Some(Facts::Issuer(facts)) => &facts.conditions,
            // Orders and Challenges say in state and reason what others say in conditions.
            _ => &[],
        }
    }

    /// State and reason, where those are what the status says.
    fn progress(&self) -> Option<(AcmeState, &str)> {
        match self.facts? {
            Facts::Order(facts) => Some((facts.state, &facts.reason)),
            Facts::Challenge(facts) => Some((facts.state, &facts.reason)),
            _ => None,
        }
    }

    /// What was last asked for in vain, where that is why it is where it is.
    fn attempt(&self) -> Option<&Attempt> {
        if self.truths().get("failed") != Some(&json!(true)) {
            return None;
        }
        match self.facts? {
            Facts::Order(facts) => facts.attempt.as_ref(),
            Facts::Challenge(facts) => facts.attempt.as_ref(),
            Facts::Issuer(facts) => facts.account.attempt.as_ref(),
            _ => None,
        }
    }

    /// What a person has to mend.
    fn problems(&self) -> Vec<String> {
        let problems: &[Problem] = match self.facts {
            Some(Facts::Certificate(facts)) => &facts.problems,
            Some(Facts::Issuer(facts)) => &facts.problems,
            _ => &[],
        };
        let problems = problems.iter().map(|p| format!("{}: {}", p.path, p.message));
        problems.chain(self.said.iter().cloned()).collect()
    }

    fn waits(&self) -> Vec<Wait> {
        let Some((machine, status)) = &self.placed else { return Vec::new() };
        let waits = status.armed.iter().filter_map(|armed| {
            let wait = &machine.waits[armed.wait?];
            let about = match &wait.kind {
                WaitKind::Every { .. } => "looked at again anyway".to_owned(),
                _ if wait.about.is_empty() => wait.name.clone(),
                _ => wait.about.clone(),
            };
            Some(Wait { name: wait.name.clone(), about, at: armed.at })
        });
        waits.collect()
    }

    /// What would move it on: the edges that leave its state, and where they lead.
    fn changes(&self) -> Vec<Change> {
        let Some((machine, status)) = &self.placed else { return Vec::new() };
        let leaves = machine.edges.iter().filter(|edge| edge.from == status.state);
        let change = |edge: &Edge| Change {
            on: trigger(machine, edge),
            to: machine.states[edge.to].name.clone(),
            why: edge.why.clone(),
        };
        leaves.map(change).collect()
    }

    /// What its state does.
    fn next(&self) -> Vec<&str> {
        let Some((machine, status)) = &self.placed else { return Vec::new() };
        let does = machine.states[status.state].does.iter();
        does.map(|step| machine.effects[*step].about.as_str()).collect()
    }

    /// Where it is, what is wrong with it, and what its conditions say.
    pub(super) fn head(&self) -> String {
        let mut text = match self.state() {
            Some(state) => format!("{}: {}\n  {}\n", self.key, state.name, state.about),
            None => format!("{}: cannot be told\n", self.key),
        };
        for line in self.problems() {
            text.push_str(&format!("  {line}\n"));
        }
        for condition in self.conditions() {
            let Condition { kind, status, reason, message, .. } = condition;
            text.push_str(&format!("  {kind}={status} {reason}: {message}\n"));
        }
        if let Some((state, reason)) = self.progress() {
            text.push_str(&format!("  state={:?} {reason}\n", state.text()));
        }
        if let Some(attempt) = self.attempt().filter(|attempt| attempt.class != Class::Wait) {
            let Attempt { step, number, at, detail, .. } = attempt;
            let at = rfc3339(*at);
            text.push_str(&format!("  {step} failed at {at}, try {number}: {detail}\n"));
        }
        text
    }

    pub(super) fn to_text(&self) -> String {
        let mut text = self.head();
        let mut part = |title: &str, lines: Vec<String>| {
            if !lines.is_empty() {
                text.push_str(&format!("{title}:\n  {}\n", lines.join("\n  ")));
            }
        };
        part("taken for granted", self.assumed.to_vec());
        part("next", self.next().into_iter().map(str::to_owned).collect());
        let waits = self.waits().into_iter().map(|Wait { about, at, .. }| {
            format!("{} (in {}): {about}", rfc3339(at), span(at.since(self.now) / 1000))
        });
        part("waits until", waits.collect());
        part("left of the CA's limits", self.budgets.iter().map(|one| self.left(one)).collect());
        let changes = self.changes().into_iter();
        let changes = changes.map(|Change { on, to, why }| format!("-> {to}, if {on} ({why})"));
        part("what would change it", changes.collect());
        text
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

    pub(super) fn to_json(&self) -> Value {
        let waits = self.waits().into_iter();
        let waits = waits.map(|w| json!({"name": w.name, "about": w.about, "at": rfc3339(w.at)}));
        let changes = self.changes().into_iter();
        let changes = changes.map(|c| json!({"if": c.on, "to": c.to, "why": c.why}));
        json!({
            "object": self.key.to_string(),
            "machine": self.placed.as_ref().map(|(machine, _)| &machine.name),
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
            "assumed": self.assumed,
            "next": self.next(),
            "waits": waits.collect::<Vec<_>>(),
            "budgets": self.budgets.iter().map(|one| self.budget_json(one)).collect::<Vec<_>>(),
            "changes": changes.collect::<Vec<_>>(),
        })
    }

    fn truths(&self) -> serde_json::Map<String, Value> {
        let Some((machine, status)) = &self.placed else { return serde_json::Map::new() };
        let facts = machine.facts.iter().enumerate();
        facts.map(|(bit, fact)| (fact.name.clone(), json!(status.truth >> bit & 1 == 1))).collect()
    }
}

/// How the limits stand that an Order or an issuer's orders take from.
fn budgets(engine: &Engine<Everleaf>, key: &ObjectKey<Kind>) -> Vec<Standing> {
    let (world, now) = (engine.world(), engine.now());
    let own = &engine.program().options.operator_namespace;
    match world.get(key).map(|object| &object.facts) {
        Some(Facts::Order(_)) => standing::of_order((world, own), key, now),
        Some(Facts::Issuer(issuer)) => {
            standing::of_issuer(issuer, &standing::ledger(world, own), now, DOMAINS)
        }
        _ => Vec::new(),
    }
}

/// A trigger in words: what the fact says, or that its opposite holds.
fn trigger(machine: &Machine, edge: &Edge) -> String {
    let literal = machine.literal(edge.on);
    let (not, name) = match literal.strip_prefix("not ") {
        Some(name) => ("it is no longer so that ", name),
        None => ("", literal.as_str()),
    };
    match machine.facts.iter().find(|fact| fact.name == name) {
        Some(fact) => format!("{not}{}", fact.about),
        None => literal,
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
