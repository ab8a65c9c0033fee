//! A machine whose names are resolved, with the places in the text that faults are reported at.

use crate::fault::{At, Report};
use crate::model::{Bit, Edge, Effect, Fact, Literal, Machine, MustPass, Setting, State, Wait};
use crate::raw::{
    RawEdge, RawFrom, RawLiteral, RawMachine, RawNamed, RawPass, RawSetting, RawState, RawWait,
};
use crate::yaml::Text;

/// The most bits in a truth word.
const MAX_BITS: usize = 64;

pub(crate) struct Draft {
    pub(crate) name: Text,
    /// `None` if it was reported to be missing.
    pub(crate) object: Option<Text>,
    pub(crate) about: String,
    pub(crate) start: Option<usize>,
    pub(crate) facts: Vec<RawNamed>,
    pub(crate) waits: Vec<RawWait>,
    pub(crate) settings: Vec<RawSetting>,
    pub(crate) effects: Vec<RawNamed>,
    pub(crate) states: Vec<DraftState>,
    pub(crate) edges: Vec<DraftEdge>,
    pub(crate) must_pass: Vec<DraftPass>,
    pub(crate) bits: Vec<Bit>,
    /// Whether every edge names states that exist, so that reachability can be judged.
    pub(crate) whole: bool,
}

pub(crate) struct DraftState {
    pub(crate) name: Text,
    pub(crate) about: String,
    /// The literals that were understood.
    pub(crate) when: Vec<Literal>,
    /// Whether every literal was.
    pub(crate) understood: bool,
    pub(crate) does: Vec<usize>,
    pub(crate) waits: Vec<usize>,
    pub(crate) end: bool,
    pub(crate) goal: bool,
}

impl DraftState {
    /// The bits that must be set, and those that must be clear.
    pub(crate) fn masks(&self) -> (u64, u64) {
        self.when.iter().fold((0, 0), |(required, forbidden), literal| match literal.negated {
            false => (required | literal.mask(), forbidden),
            true => (required, forbidden | literal.mask()),
        })
    }
}

pub(crate) struct DraftEdge {
    pub(crate) at: At,
    pub(crate) name: Text,
    pub(crate) why: String,
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) on: Option<Literal>,
    pub(crate) failure: bool,
    pub(crate) ordinal: usize,
}

pub(crate) struct DraftPass {
    pub(crate) at: At,
    pub(crate) state: usize,
    pub(crate) through: usize,
    pub(crate) evidence: Option<Literal>,
}

impl Draft {
    /// The state's name, quoted.
    pub(crate) fn state(&self, index: usize) -> String {
        format!("{:?}", self.states[index].name.text)
    }

    /// A literal as it is written.
    pub(crate) fn literal(&self, literal: Literal) -> String {
        let term = match self.bits[usize::from(literal.bit)] {
            Bit::Fact(fact) => self.facts[fact].name.text.clone(),
            Bit::Due(wait) => format!("due({})", self.waits[wait].name.text),
        };
        if literal.negated { format!("not {term}") } else { term }
    }

    /// Whether the literal says that a wait fell due.
    pub(crate) fn is_timer(&self, literal: Literal) -> bool {
        !literal.negated && matches!(self.bits[usize::from(literal.bit)], Bit::Due(_))
    }

    /// The machine, of a draft without faults.
    pub(crate) fn finish(self) -> Machine {
        Machine {
            name: self.name.text,
            object: self.object.map(|object| object.text).unwrap_or_default(),
            about: self.about,
            start: self.start.unwrap_or(0),
            facts: self.facts.into_iter().map(fact).collect(),
            waits: self.waits.into_iter().filter_map(wait).collect(),
            settings: self.settings.into_iter().filter_map(setting).collect(),
            effects: self.effects.into_iter().map(effect).collect(),
            states: self.states.into_iter().map(state).collect(),
            edges: self.edges.into_iter().filter_map(edge).collect(),
            must_pass: self.must_pass.into_iter().filter_map(pass).collect(),
            bits: self.bits,
        }
    }
}

fn fact(raw: RawNamed) -> Fact {
    Fact { name: raw.name.text, about: raw.about }
}

fn effect(raw: RawNamed) -> Effect {
    Effect { name: raw.name.text, about: raw.about, spends: raw.spends }
}

fn wait(raw: RawWait) -> Option<Wait> {
    Some(Wait { name: raw.name.text, about: raw.about, kind: raw.kind? })
}

fn setting(raw: RawSetting) -> Option<Setting> {
    Some(Setting { name: raw.name.text, about: raw.about, value: raw.value? })
}

fn state(draft: DraftState) -> State {
    let (required, forbidden) = draft.masks();
    let DraftState { name, about, when, does, waits, end, goal, .. } = draft;
    State { name: name.text, about, required, forbidden, when, does, waits, end, goal }
}

fn edge(draft: DraftEdge) -> Option<Edge> {
    let DraftEdge { name, why, from, to, on, failure, ordinal, .. } = draft;
    Some(Edge { name: name.text, why, from, to, on: on?, failure, ordinal })
}

fn pass(draft: DraftPass) -> Option<MustPass> {
    let DraftPass { state, through, evidence, .. } = draft;
    Some(MustPass { state, through, evidence: evidence? })
}

/// Resolves the names of a machine; `stem` is what its file is called.
pub(crate) fn resolve(raw: RawMachine, stem: &str, report: &mut Report) -> Draft {
    let bits = bits(&raw);
    if bits.len() > MAX_BITS {
        let at = raw.facts.first().map_or(At::TOP, |fact| fact.name.at);
        let count = bits.len();
        let advice = "merge facts, or split the machine";
        report.add(at, format!("{count} facts and waits that fall due; at most 64: {advice}"));
    }
    let mut draft = Draft {
        name: raw.name.unwrap_or_else(|| Text { text: stem.to_owned(), at: At::TOP }),
        object: raw.object,
        about: raw.about,
        start: None,
        facts: raw.facts,
        waits: raw.waits,
        settings: raw.settings,
        effects: raw.effects,
        states: Vec::new(),
        edges: Vec::new(),
        must_pass: Vec::new(),
        bits,
        whole: true,
    };
    for state in raw.states {
        let state = draft.resolve_state(state, report);
        draft.states.push(state);
    }
    draft.start = raw.start.and_then(|name| draft.find_state(&name, "start", report));
    for (ordinal, edge) in raw.edges.into_iter().enumerate() {
        draft.resolve_edge(edge, ordinal, report);
    }
    for pass in raw.must_pass {
        draft.resolve_pass(pass, report);
    }
    draft
}

/// Facts from bit 0, then the waits that can fall due and are used, both in file order.
fn bits(raw: &RawMachine) -> Vec<Bit> {
    let passes = raw.must_pass.iter().filter_map(|pass| pass.evidence.as_ref());
    let edges = raw.edges.iter().filter_map(|edge| edge.on.as_ref());
    let whens = raw.states.iter().flat_map(|state| &state.when).flatten();
    let literals: Vec<&RawLiteral> = whens.chain(edges).chain(passes).collect();
    let used = |name: &str| {
        let due = literals.iter().any(|literal| literal.due && literal.name == name);
        due || raw.states.iter().flat_map(|state| &state.waits).any(|wait| wait.text == name)
    };
    let mut bits: Vec<Bit> = (0..raw.facts.len()).map(Bit::Fact).collect();
    for (index, wait) in raw.waits.iter().enumerate() {
        if wait.falls_due() && used(&wait.name.text) {
            bits.push(Bit::Due(index));
        }
    }
    bits
}

impl Draft {
    fn resolve_state(&self, raw: RawState, report: &mut Report) -> DraftState {
        let what = format!("state {:?}", raw.name.text);
        let count = raw.when.len();
        let when = raw.when.into_iter().flatten();
        let when: Vec<Literal> =
            when.filter_map(|literal| self.find_literal(&literal, &what, report)).collect();
        let effects = self.effects.iter().map(|effect| effect.name.text.as_str());
        let waits = self.waits.iter().map(|wait| wait.name.text.as_str());
        DraftState {
            does: indices(&raw.does, effects, &what, "effect", report),
            waits: indices(&raw.waits, waits, &what, "wait", report),
            understood: when.len() == count,
            when,
            name: raw.name,
            about: raw.about,
            end: raw.end,
            goal: raw.goal,
        }
    }

    fn find_literal(&self, raw: &RawLiteral, what: &str, report: &mut Report) -> Option<Literal> {
        let found = match raw.due {
            false => self.facts.iter().position(|fact| fact.name.text == raw.name).map(Bit::Fact),
            true => self.waits.iter().position(|wait| wait.name.text == raw.name).map(Bit::Due),
        };
        let (kind, name) = (if raw.due { "wait" } else { "fact" }, &raw.name);
        let Some(found) = found else {
            let advice = format!("declare it under {kind}s");
            report.add(raw.at, format!("{what} names the unknown {kind} {name:?}; {advice}"));
            return None;
        };
        let bit = self.bits.iter().position(|bit| *bit == found);
        if bit.is_none() {
            let advice = "use an until or a ladder";
            report.add(raw.at, format!("{what}: due({name}) is an interval or deadline; {advice}"));
        }
        let bit = bit.filter(|bit| *bit < MAX_BITS).and_then(|bit| u8::try_from(bit).ok())?;
        Some(Literal { bit, negated: raw.negated })
    }

    fn find_state(&mut self, name: &Text, what: &str, report: &mut Report) -> Option<usize> {
        let found = self.states.iter().position(|state| state.name.text == name.text);
        if found.is_none() {
            let missing = &name.text;
            report.add(
                name.at,
                format!("{what} names the unknown state {missing:?}; declare it under states"),
            );
            self.whole = false;
        }
        found
    }

    fn resolve_edge(&mut self, raw: RawEdge, ordinal: usize, report: &mut Report) {
        let what = format!("edge {:?}", raw.name.text);
        let on = raw.on.and_then(|literal| self.find_literal(&literal, &what, report));
        self.whole &= raw.to.is_some();
        let to = raw.to.and_then(|to| self.find_state(&to, &what, report));
        let from = self.sources(&raw.from, to, &what, report);
        if from.is_empty() && matches!(raw.from, RawFrom::Any) {
            report.add(raw.at, format!("{what} leaves no state; add one, or remove the edge"));
        }
        let Some(to) = to else { return };
        for from in from {
            let (at, failure) = (raw.at, raw.failure);
            let (name, why) = (raw.name.clone(), raw.why.clone());
            self.edges.push(DraftEdge { at, name, why, from, to, on, failure, ordinal });
        }
    }

    fn sources(
        &mut self,
        from: &RawFrom,
        to: Option<usize>,
        what: &str,
        report: &mut Report,
    ) -> Vec<usize> {
        match from {
            RawFrom::Any => {
                let open = |at: &usize| !self.states[*at].end && Some(*at) != to;
                (0..self.states.len()).filter(open).collect()
            }
            RawFrom::Listed(names) => {
                self.whole &= !names.is_empty();
                names.iter().filter_map(|name| self.find_state(name, what, report)).collect()
            }
        }
    }

    fn resolve_pass(&mut self, raw: RawPass, report: &mut Report) {
        let what = "must_pass";
        let evidence = raw.evidence.and_then(|literal| self.find_literal(&literal, what, report));
        let whole = self.whole;
        let state = raw.state.and_then(|name| self.find_state(&name, what, report));
        let through = raw.through.and_then(|name| self.find_state(&name, what, report));
        self.whole = whole;
        if let (Some(state), Some(through)) = (state, through) {
            self.must_pass.push(DraftPass { at: raw.at, state, through, evidence });
        }
    }
}

/// The indices of names; each unknown or repeated one is reported.
fn indices<'n>(
    names: &[Text],
    known: impl Iterator<Item = &'n str> + Clone,
    what: &str,
    kind: &str,
    report: &mut Report,
) -> Vec<usize> {
    let mut found = Vec::new();
    for Text { text, at } in names {
        match known.clone().position(|known| known == text) {
            None => report.add(
                *at,
                format!("{what} names the unknown {kind} {text:?}; declare it under {kind}s"),
            ),
            Some(index) if found.contains(&index) => {
                report.add(*at, format!("{what} names the {kind} {text:?} twice; remove one"));
            }
            Some(index) => found.push(index),
        }
    }
    found
}
