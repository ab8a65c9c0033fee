//! What is said of an object: put together here, shown by [`screen`](super::screen).

use super::around::{self, Related};
use super::error::{self, LastError};
use super::path::{self, Passed};
use super::sight::Sight;
use super::suggest::{self, Hint, Source};
use everleaf_engine::{Engine, ObjectKey, Program, Status, Timestamp};
use everleaf_graph::{Edge, Machine, State, WaitKind};
use everleaf_nodes::budget::standing::{self, Standing};
use everleaf_nodes::facts::{AcmeState, Attempt, Condition, Problem};
use everleaf_nodes::{Everleaf, Facts, Kind};
use serde_json::{Value, json};

/// So many domains are told of, those with the least left.
const DOMAINS: usize = 10;

pub(super) struct Answer<'a> {
    pub(super) key: &'a ObjectKey<Kind>,
    /// Whether any machine runs such an object.
    is_run: bool,
    /// The machine and where the object is in it; `None` if that cannot be told.
    placed: Option<(&'a Machine, Status)>,
    facts: Option<&'a Facts>,
    /// The instant that all is told of.
    pub(super) now: Timestamp,
    said: &'a [String],
    lacking: &'a [String],
    /// What was taken for granted.
    pub(super) assumed: &'a [String],
    /// What could not be looked at, or limits what can be said.
    pub(super) unseen: &'a [String],
    pub(super) budgets: Vec<Standing>,
    /// What happened to it, oldest first.
    pub(super) path: Vec<Passed>,
    /// How many steps of the path were left out before those.
    pub(super) earlier: usize,
    pub(super) around: Vec<Related>,
    pub(super) error: Option<LastError>,
    pub(super) hints: Vec<Hint>,
    pub(super) source: Option<&'a Source>,
}

pub(super) struct Wait {
    pub(super) name: String,
    pub(super) about: String,
    pub(super) at: Timestamp,
}

pub(super) struct Change {
    pub(super) on: String,
    pub(super) to: String,
    pub(super) why: String,
    /// From how many states this edge leads: those from few are the work at hand.
    shared: usize,
}

impl<'a> Answer<'a> {
    /// What was seen of an object and of what is around it.
    pub(super) fn new(sight: &'a Sight, key: &'a ObjectKey<Kind>) -> Self {
        let engine = &sight.engine;
        let mut answer = Self::of_engine(engine, key, &sight.problems);
        let secrets = &engine.program().options.cluster_resource_namespace;
        answer.now = sight.at;
        answer.lacking = &sight.lacking;
        answer.assumed = &sight.assumed;
        answer.unseen = &sight.unseen;
        answer.path = answer.facts.filter(|_| !sight.moves).map_or_else(Vec::new, path::of_facts);
        answer.path.extend(sight.path.iter().cloned());
        answer.path.sort_by_key(|passed| passed.at);
        let many = answer.path.len().saturating_sub(path::KEPT);
        answer.path.drain(..many);
        answer.earlier = sight.earlier + many;
        answer.around = around::around((engine.world(), &sight.blind), key, secrets);
        answer.error = error::last(engine.world(), key, &answer.around, &answer.path);
        let state = answer.state().map(|state| state.name.as_str());
        answer.hints = suggest::hints(engine, key, &answer.around, &sight.source, state);
        answer.source = Some(&sight.source);
        answer
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
            unseen: &[],
            budgets: budgets(engine, key),
            path: Vec::new(),
            earlier: 0,
            around: Vec::new(),
            error: None,
            hints: Vec::new(),
            source: None,
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

    pub(super) fn machine(&self) -> Option<&str> {
        self.placed.as_ref().map(|(machine, _)| machine.name.as_str())
    }

    pub(super) fn state(&self) -> Option<&State> {
        let (machine, status) = self.placed.as_ref()?;
        Some(&machine.states[status.state])
    }

    pub(super) fn conditions(&self) -> &[Condition] {
        match self.facts {
            Some(Facts::Certificate(facts)) => &facts.status.conditions,
            Some(Facts::Request(facts)) => &facts.conditions,
            Some(Facts::Issuer(facts)) => &facts.conditions,
            // Orders and Challenges say in state and reason what others say in conditions.
            _ => &[],
        }
    }

    /// State and reason, where those are what the status says.
    pub(super) fn progress(&self) -> Option<(AcmeState, &str)> {
        match self.facts? {
            Facts::Order(facts) => Some((facts.state, &facts.reason)),
            Facts::Challenge(facts) => Some((facts.state, &facts.reason)),
            _ => None,
        }
    }

    /// What was last asked for in vain, where that is why it is where it is.
    pub(super) fn attempt(&self) -> Option<&Attempt> {
        if self.truths().get("failed") != Some(&json!(true)) {
            return None;
        }
        error::attempt(self.facts?)
    }

    /// What a person has to mend.
    pub(super) fn problems(&self) -> Vec<String> {
        let problems: &[Problem] = match self.facts {
            Some(Facts::Certificate(facts)) => &facts.problems,
            Some(Facts::Issuer(facts)) => &facts.problems,
            _ => &[],
        };
        let problems = problems.iter().map(|p| format!("{}: {}", p.path, p.message));
        problems.chain(self.said.iter().cloned()).collect()
    }

    pub(super) fn waits(&self) -> Vec<Wait> {
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

    /// What would move it on: the edges that leave its state, and where they lead; those that leave
    /// few states first.
    pub(super) fn changes(&self) -> Vec<Change> {
        let Some((machine, status)) = &self.placed else { return Vec::new() };
        let leaves = machine.edges.iter().filter(|edge| edge.from == status.state);
        let change = |edge: &Edge| Change {
            on: trigger(machine, edge),
            to: machine.states[edge.to].name.clone(),
            why: edge.why.clone(),
            shared: machine.edges.iter().filter(|other| other.ordinal == edge.ordinal).count(),
        };
        let mut all: Vec<Change> = leaves.map(change).collect();
        all.sort_by_key(|change| change.shared);
        all
    }

    /// What its state does.
    pub(super) fn next(&self) -> Vec<&str> {
        let Some((machine, status)) = &self.placed else { return Vec::new() };
        let does = machine.states[status.state].does.iter();
        does.map(|step| machine.effects[*step].about.as_str()).collect()
    }

    pub(super) fn truths(&self) -> serde_json::Map<String, Value> {
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

/// A trigger in words: what the fact says, or that its opposite holds; or that a wait is over.
fn trigger(machine: &Machine, edge: &Edge) -> String {
    let literal = machine.literal(edge.on);
    let (negated, name) = match literal.strip_prefix("not ") {
        Some(name) => (true, name),
        None => (false, literal.as_str()),
    };
    if let Some(wait) = name.strip_prefix("due(").and_then(|name| name.strip_suffix(')')) {
        let over = if negated { "has to go on" } else { "is over" };
        return format!("the wait {wait:?} {over}");
    }
    match machine.facts.iter().find(|fact| fact.name == name) {
        Some(fact) if negated => format!("it is no longer so that {}", fact.about),
        Some(fact) => fact.about.clone(),
        None => literal,
    }
}
