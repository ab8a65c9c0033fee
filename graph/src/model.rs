//! A plan in which every name is an index.

/// The whole plan: every machine, and what wakes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The machines, sorted by name.
    pub machines: Vec<Machine>,
    /// The watched kinds and their readers.
    pub feeds: Feeds,
}

impl Plan {
    /// The machine of that name.
    pub fn machine(&self, name: &str) -> Option<&Machine> {
        self.machines.iter().find(|machine| machine.name == name)
    }
}

/// The lifecycle of one kind of object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The name, which is also the stem of the file.
    pub name: String,
    /// The kind whose lifecycle this is.
    pub object: String,
    /// What the machine is about, in a sentence.
    pub about: String,
    /// The state of a new object, an index into `states`.
    pub start: usize,
    /// The facts, in file order; a fact's index is its bit.
    pub facts: Vec<Fact>,
    /// The waits, in file order.
    pub waits: Vec<Wait>,
    /// Constants of timing and limits, in file order.
    pub settings: Vec<Setting>,
    /// The effects, in file order.
    pub effects: Vec<Effect>,
    /// The states, in the order in which they are tried.
    pub states: Vec<State>,
    /// The edges, in file order, one for each state that an edge leaves.
    pub edges: Vec<Edge>,
    /// What no object may go around.
    pub must_pass: Vec<MustPass>,
    /// What each bit of a truth word stands for; at most 64.
    pub bits: Vec<Bit>,
}

impl Machine {
    /// The state of an object with this truth word: the first whose `when` holds.
    pub fn locate(&self, truth: u64) -> usize {
        let found = self.states.iter().position(|state| state.holds(truth));
        found.unwrap_or(self.states.len().saturating_sub(1))
    }

    /// The bit of a fact, or of a wait that falls due, by name. No fact has the name of a wait.
    pub fn bit(&self, name: &str) -> Option<u8> {
        let named = |bit: &Bit| match bit {
            Bit::Fact(fact) => self.facts[*fact].name == name,
            Bit::Due(wait) => self.waits[*wait].name == name,
        };
        self.bits.iter().position(named).and_then(|bit| u8::try_from(bit).ok())
    }

    /// The state of that name, an index into `states`.
    pub fn state(&self, name: &str) -> Option<usize> {
        self.states.iter().position(|state| state.name == name)
    }

    /// A literal as it is written in the plan: `claimed`, `not due(budget)`.
    pub fn literal(&self, literal: Literal) -> String {
        let term = match self.bits.get(usize::from(literal.bit)) {
            Some(Bit::Fact(fact)) => self.facts[*fact].name.clone(),
            Some(Bit::Due(wait)) => format!("due({})", self.waits[*wait].name),
            None => format!("bit {}", literal.bit),
        };
        if literal.negated { format!("not {term}") } else { term }
    }

    /// The names of the edges, each once, in file order: index for [`Edge::ordinal`].
    pub fn edge_names(&self) -> Vec<&str> {
        let first = self.edges.iter().enumerate();
        let first =
            first.filter(|(at, edge)| *at == 0 || self.edges[at - 1].ordinal != edge.ordinal);
        first.map(|(_, edge)| edge.name.as_str()).collect()
    }

    /// The setting of that name, in milliseconds.
    ///
    /// # Errors
    /// If there is no such setting, or it is no duration.
    pub fn duration(&self, name: &str) -> Result<i64, SettingError> {
        match self.setting(name, "duration")? {
            SettingValue::Duration { ms } => Ok(ms),
            _ => Err(self.no_setting(name, "duration")),
        }
    }

    /// The setting of that name, in hundredths.
    ///
    /// # Errors
    /// If there is no such setting, or it is no percentage.
    pub fn percent(&self, name: &str) -> Result<u32, SettingError> {
        match self.setting(name, "percentage")? {
            SettingValue::Percent(percent) => Ok(percent),
            _ => Err(self.no_setting(name, "percentage")),
        }
    }

    /// The setting of that name, a whole number.
    ///
    /// # Errors
    /// If there is no such setting, or it is no whole number.
    pub fn count(&self, name: &str) -> Result<i64, SettingError> {
        match self.setting(name, "whole number")? {
            SettingValue::Count(count) => Ok(count),
            _ => Err(self.no_setting(name, "whole number")),
        }
    }

    fn setting(&self, name: &str, wanted: &'static str) -> Result<SettingValue, SettingError> {
        let found = self.settings.iter().find(|setting| setting.name == name);
        found.map(|setting| setting.value).ok_or_else(|| self.no_setting(name, wanted))
    }

    fn no_setting(&self, name: &str, wanted: &'static str) -> SettingError {
        SettingError { machine: self.name.clone(), setting: name.to_owned(), wanted }
    }
}

/// A plan lacks a setting that the code was compiled with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("machine {machine:?} has no setting {setting:?} that is a {wanted}")]
pub struct SettingError {
    /// The machine.
    pub machine: String,
    /// The setting that was asked for.
    pub setting: String,
    /// What it has to be: `duration`, `percentage` or `whole number`.
    pub wanted: &'static str,
}

/// Something that can be read off the world and is true or false.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// The name, in snake case.
    pub name: String,
    /// What it says when it is true.
    pub about: String,
}

/// What a bit of a truth word stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bit {
    /// A fact, an index into `facts`.
    Fact(usize),
    /// A wait that is due, an index into `waits`.
    Due(usize),
}

/// A bit of a truth word, or its negation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Literal {
    /// The bit, below 64.
    pub bit: u8,
    /// Whether the bit must be clear.
    pub negated: bool,
}

impl Literal {
    /// Whether it is true under this truth word.
    pub fn holds(self, truth: u64) -> bool {
        (truth & self.mask() != 0) != self.negated
    }

    /// The truth word in which only this literal's bit is set.
    pub fn mask(self) -> u64 {
        1 << (self.bit & 63)
    }
}

/// A state of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The name, in kebab case.
    pub name: String,
    /// What it means to be in it; empty if the plan does not say.
    pub about: String,
    /// The bits that must be set.
    pub required: u64,
    /// The bits that must be clear.
    pub forbidden: u64,
    /// The same as literals, in the order of the file; empty for the last state.
    pub when: Vec<Literal>,
    /// The effects that may be started here, indices into `effects`.
    pub does: Vec<usize>,
    /// The waits that are armed here, indices into `waits`.
    pub waits: Vec<usize>,
    /// Whether an object may rest here for good.
    pub end: bool,
    /// Whether this is where the machine wants its objects.
    pub goal: bool,
}

impl State {
    /// Whether its `when` holds under this truth word.
    pub fn holds(&self, truth: u64) -> bool {
        truth & (self.required | self.forbidden) == self.required
    }
}

/// A way from one state to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The name, in kebab case; edges that were written as one share it.
    pub name: String,
    /// Why it is there.
    pub why: String,
    /// The state that it leaves, an index into `states`.
    pub from: usize,
    /// The state that it enters, an index into `states`.
    pub to: usize,
    /// What must have turned true.
    pub on: Literal,
    /// Whether it is taken because something failed.
    pub failure: bool,
    /// Which of the names of edges this is, counted in file order from 0.
    pub ordinal: usize,
}

/// What a state may wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The name, in snake case.
    pub name: String,
    /// What is waited for; empty if the plan does not say.
    pub about: String,
    /// When it is over.
    pub kind: WaitKind,
}

/// When a wait is over. Durations are in milliseconds and more than 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaitKind {
    /// At an absolute time, which may be absent: never.
    Until {
        /// The method of the generated trait that tells the time.
        method: String,
    },
    /// This long after the state was entered, and again and again.
    Every {
        /// The interval.
        ms: i64,
    },
    /// The steps in turn, the last repeated.
    Ladder {
        /// The steps, none shorter than the one before; at least one.
        steps_ms: Vec<i64>,
        /// By how many hundredths a step may vary.
        jitter_percent: u32,
    },
    /// This long after an effect was started.
    Deadline {
        /// The time that an effect has.
        ms: i64,
    },
}

/// A constant of timing or a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The name, in snake case.
    pub name: String,
    /// What it sets.
    pub about: String,
    /// Its value.
    pub value: SettingValue,
}

/// The value of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingValue {
    /// A duration.
    Duration {
        /// In milliseconds, not negative.
        ms: i64,
    },
    /// A percentage, 0 to 100.
    Percent(u32),
    /// A whole number, not negative.
    Count(i64),
}

/// Something that a state may start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// The name, in snake case.
    pub name: String,
    /// What it does.
    pub about: String,
    /// Whether it uses up something scarce: orders, authorizations, signatures, keys.
    pub spends: bool,
}

/// A state that may be entered only after another, and with evidence of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MustPass {
    /// The guarded state, an index into `states`.
    pub state: usize,
    /// The state that every way from the start to it goes through.
    pub through: usize,
    /// What `through` leaves behind and the guarded state demands.
    pub evidence: Literal,
}

/// The watched kinds, and which machines they wake.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Feeds {
    /// Every kind that some watch delivers, in file order.
    pub watches: Vec<Watch>,
    /// The machines that read more than their own object, in file order.
    pub readers: Vec<Reader>,
}

impl Feeds {
    /// The index of a kind in `watches`.
    pub fn watch(&self, kind: &str) -> Option<usize> {
        self.watches.iter().position(|watch| watch.kind == kind)
    }

    /// What wakes a machine (an index into [`Plan::machines`]) beside its own object's kind.
    pub fn of(&self, machine: usize) -> &[Feed] {
        let reader = self.readers.iter().find(|reader| reader.machine == machine);
        reader.map_or(&[], |reader| &reader.kinds)
    }
}

/// A kind that a watch delivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// The kind.
    pub kind: String,
    /// Its API group; empty for the core group and for internal feeds.
    pub group: String,
    /// What it is to us.
    pub about: String,
    /// Whether it is a feed of our own process and not of the API server.
    pub internal: bool,
}

/// A machine and the kinds that wake it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    /// The machine, an index into [`Plan::machines`].
    pub machine: usize,
    /// The kinds, in file order.
    pub kinds: Vec<Feed>,
}

/// A kind that wakes a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    /// The kind, an index into [`Feeds::watches`].
    pub watch: usize,
    /// How an object of that kind leads to the objects that it wakes.
    pub by: String,
}
