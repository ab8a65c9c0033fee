// Generated from the plan; edit that.

/// One ACME challenge, looked at \<now\> and \[then\].
#[allow(clippy::enum_variant_names, clippy::wrong_self_convention)]
pub mod challenge {
    use ::everleaf_graph::{Machine, SettingError};
    use crate::engine::Timestamp;

    /// The name of the machine.
    pub const MACHINE: &str = "challenge";
    /// The kind of its objects.
    pub const OBJECT: &str = "Challenge";

    /// The states, in the order in which they are tried.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[repr(u8)]
    pub enum State {
        /// `settled`.
        Settled,
        /// `looking`.
        Looking,
        /// `waiting`.
        Waiting,
    }

    impl State {
        /// All of them, in the order of the plan.
        pub const ALL: &[Self] = &[Self::Settled, Self::Looking, Self::Waiting];

        /// The name, as in the plan.
        pub const fn name(self) -> &'static str {
            match self {
                Self::Settled => "settled",
                Self::Looking => "looking",
                Self::Waiting => "waiting",
            }
        }

        /// The one at that place in the plan, counted from 0.
        pub fn from_index(index: u8) -> Option<Self> {
            Self::ALL.get(usize::from(index)).copied()
        }
    }

    /// The edges, by name.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[repr(u8)]
    pub enum Edge {
        /// It is never looked at again.
        Final,
        /// The time has come.
        Look,
        /// There was nothing to see.
        Looked,
    }

    impl Edge {
        /// All of them, in the order of the plan.
        pub const ALL: &[Self] = &[Self::Final, Self::Look, Self::Looked];

        /// The name, as in the plan.
        pub const fn name(self) -> &'static str {
            match self {
                Self::Final => "final",
                Self::Look => "look",
                Self::Looked => "looked",
            }
        }

        /// The one at that place in the plan, counted from 0.
        pub fn from_index(index: u8) -> Option<Self> {
            Self::ALL.get(usize::from(index)).copied()
        }
    }

    /// The facts; each is its bit of a truth word.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[repr(u8)]
    pub enum Fact {
        /// Its state is final.
        Final,
    }

    impl Fact {
        /// All of them, in the order of the plan.
        pub const ALL: &[Self] = &[Self::Final];

        /// The name, as in the plan.
        pub const fn name(self) -> &'static str {
            match self {
                Self::Final => "final",
            }
        }

        /// The one at that place in the plan, counted from 0.
        pub fn from_index(index: u8) -> Option<Self> {
            Self::ALL.get(usize::from(index)).copied()
        }
    }

    /// What a state may wait for.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[repr(u8)]
    pub enum Wait {
        /// A ladder of 1s, 5s.
        Look,
    }

    impl Wait {
        /// All of them, in the order of the plan.
        pub const ALL: &[Self] = &[Self::Look];

        /// The name, as in the plan.
        pub const fn name(self) -> &'static str {
            match self {
                Self::Look => "look",
            }
        }

        /// The one at that place in the plan, counted from 0.
        pub fn from_index(index: u8) -> Option<Self> {
            Self::ALL.get(usize::from(index)).copied()
        }
    }

    /// The effects that a state may start.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Step {
    }

    impl Step {
        /// All of them, in the order of the plan.
        pub const ALL: &[Self] = &[];

        /// The name, as in the plan.
        pub const fn name(self) -> &'static str {
            match self {
            }
        }

        /// The one at that place in the plan, counted from 0.
        pub fn from_index(index: u8) -> Option<Self> {
            Self::ALL.get(usize::from(index)).copied()
        }
    }

    /// What can be read off an object and what is around it.
    pub trait Facts {
        /// Its state is final.
        fn r#final(&self) -> bool;
        /// When `look` falls due.
        ///
        /// `None` is never.
        fn look(&self) -> Option<Timestamp>;
    }

    /// The truth word at that time; a wait is due from its very moment on.
    pub fn truth(facts: &impl Facts, now: Timestamp) -> u64 {
        u64::from(facts.r#final())
            | (u64::from(facts.look().is_some_and(|at| at <= now)) << 1)
    }

    /// The first state whose `when` holds under this truth word.
    pub fn locate(truth: u64) -> State {
        // final
        if truth & 0x1 == 0x1 {
            return State::Settled;
        }
        // due(look)
        if truth & 0x2 == 0x2 {
            return State::Looking;
        }
        State::Waiting
    }

    /// Constants of timing and limits.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Settings {
    }

    impl Settings {
        /// Reads them off a machine, which may be another plan's.
        ///
        /// # Errors
        /// If the machine lacks one, or it has another unit.
        pub fn from_machine(_machine: &Machine) -> Result<Self, SettingError> {
            Ok(Self {
            })
        }
    }
}

/// One ACME order, from the budget to a stored chain.
#[allow(clippy::enum_variant_names, clippy::wrong_self_convention)]
pub mod order {
    use ::everleaf_graph::{Machine, SettingError};
    use crate::engine::Timestamp;

    /// The name of the machine.
    pub const MACHINE: &str = "order";
    /// The kind of its objects.
    pub const OBJECT: &str = "Order";

    /// The states, in the order in which they are tried.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[repr(u8)]
    pub enum State {
        /// The chain is stored.
        Valid,
        /// A failure is waited out.
        Resting,
        /// `downloading`.
        Downloading,
        /// `placing`.
        Placing,
        /// `claiming`.
        Claiming,
        /// Waits for a token of every limit.
        Budgeting,
    }

    impl State {
        /// All of them, in the order of the plan.
        pub const ALL: &[Self] = &[Self::Valid, Self::Resting, Self::Downloading, Self::Placing, Self::Claiming, Self::Budgeting];

        /// The name, as in the plan.
        pub const fn name(self) -> &'static str {
            match self {
                Self::Valid => "valid",
                Self::Resting => "resting",
                Self::Downloading => "downloading",
                Self::Placing => "placing",
                Self::Claiming => "claiming",
                Self::Budgeting => "budgeting",
            }
        }

        /// The one at that place in the plan, counted from 0.
        pub fn from_index(index: u8) -> Option<Self> {
            Self::ALL.get(usize::from(index)).copied()
        }
    }

    /// The edges, by name.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[repr(u8)]
    pub enum Edge {
        /// Nothing is left to do.
        Stored,
        /// A lost answer is never final.
        TransportFailed,
        /// The time has come.
        PatienceOver,
        /// Never meet a 429 that could be foreseen.
        BudgetGranted,
        /// A crash from here on costs one order at most.
        Claimed,
        /// The order has its URL.
        Placed,
    }

    impl Edge {
        /// All of them, in the order of the plan.
        pub const ALL: &[Self] = &[Self::Stored, Self::TransportFailed, Self::PatienceOver, Self::BudgetGranted, Self::Claimed, Self::Placed];

        /// The name, as in the plan.
        pub const fn name(self) -> &'static str {
            match self {
                Self::Stored => "stored",
                Self::TransportFailed => "transport-failed",
                Self::PatienceOver => "patience-over",
                Self::BudgetGranted => "budget-granted",
                Self::Claimed => "claimed",
                Self::Placed => "placed",
            }
        }

        /// The one at that place in the plan, counted from 0.
        pub fn from_index(index: u8) -> Option<Self> {
            Self::ALL.get(usize::from(index)).copied()
        }
    }

    /// The facts; each is its bit of a truth word.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[repr(u8)]
    pub enum Fact {
        /// The Order carries our claim for a newOrder.
        Claimed,
        /// The Order carries an order URL.
        Placed,
        /// The chain has been downloaded and stored.
        Chained,
        /// A request failed by transport, and when to try again is written down.
        Failed,
    }

    impl Fact {
        /// All of them, in the order of the plan.
        pub const ALL: &[Self] = &[Self::Claimed, Self::Placed, Self::Chained, Self::Failed];

        /// The name, as in the plan.
        pub const fn name(self) -> &'static str {
            match self {
                Self::Claimed => "claimed",
                Self::Placed => "placed",
                Self::Chained => "chained",
                Self::Failed => "failed",
            }
        }

        /// The one at that place in the plan, counted from 0.
        pub fn from_index(index: u8) -> Option<Self> {
            Self::ALL.get(usize::from(index)).copied()
        }
    }

    /// What a state may wait for.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[repr(u8)]
    pub enum Wait {
        /// When every limit has a token.
        Budget,
        /// Until `not_before`.
        Patience,
        /// A ladder of 1m, 10m, 100m, 24h.
        Retry,
        /// A deadline of 10m.
        Answer,
        /// Every 1h.
        Recheck,
    }

    impl Wait {
        /// All of them, in the order of the plan.
        pub const ALL: &[Self] = &[Self::Budget, Self::Patience, Self::Retry, Self::Answer, Self::Recheck];

        /// The name, as in the plan.
        pub const fn name(self) -> &'static str {
            match self {
                Self::Budget => "budget",
                Self::Patience => "patience",
                Self::Retry => "retry",
                Self::Answer => "answer",
                Self::Recheck => "recheck",
            }
        }

        /// The one at that place in the plan, counted from 0.
        pub fn from_index(index: u8) -> Option<Self> {
            Self::ALL.get(usize::from(index)).copied()
        }
    }

    /// The effects that a state may start.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[repr(u8)]
    pub enum Step {
        /// Write that a newOrder is about to be sent.
        WriteClaim,
        /// Place the order, or find it.
        NewOrder,
        /// Download the chain and store it.
        Download,
    }

    impl Step {
        /// All of them, in the order of the plan.
        pub const ALL: &[Self] = &[Self::WriteClaim, Self::NewOrder, Self::Download];

        /// The name, as in the plan.
        pub const fn name(self) -> &'static str {
            match self {
                Self::WriteClaim => "write_claim",
                Self::NewOrder => "new_order",
                Self::Download => "download",
            }
        }

        /// The one at that place in the plan, counted from 0.
        pub fn from_index(index: u8) -> Option<Self> {
            Self::ALL.get(usize::from(index)).copied()
        }
    }

    /// What can be read off an object and what is around it.
    pub trait Facts {
        /// The Order carries our claim for a newOrder.
        fn claimed(&self) -> bool;
        /// The Order carries an order URL.
        fn placed(&self) -> bool;
        /// The chain has been downloaded and stored.
        fn chained(&self) -> bool;
        /// A request failed by transport, and when to try again is written down.
        fn failed(&self) -> bool;
        /// When every limit has a token.
        ///
        /// `None` is never.
        fn budget_free_at(&self) -> Option<Timestamp>;
        /// When `patience` falls due.
        ///
        /// `None` is never.
        fn not_before(&self) -> Option<Timestamp>;
    }

    /// The truth word at that time; a wait is due from its very moment on.
    pub fn truth(facts: &impl Facts, now: Timestamp) -> u64 {
        u64::from(facts.claimed())
            | (u64::from(facts.placed()) << 1)
            | (u64::from(facts.chained()) << 2)
            | (u64::from(facts.failed()) << 3)
            | (u64::from(facts.budget_free_at().is_some_and(|at| at <= now)) << 4)
            | (u64::from(facts.not_before().is_some_and(|at| at <= now)) << 5)
    }

    /// The first state whose `when` holds under this truth word.
    pub fn locate(truth: u64) -> State {
        // chained
        if truth & 0x4 == 0x4 {
            return State::Valid;
        }
        // failed, not due(patience)
        if truth & 0x28 == 0x8 {
            return State::Resting;
        }
        // claimed, placed
        if truth & 0x3 == 0x3 {
            return State::Downloading;
        }
        // claimed, not placed
        if truth & 0x3 == 0x1 {
            return State::Placing;
        }
        // due(budget)
        if truth & 0x10 == 0x10 {
            return State::Claiming;
        }
        State::Budgeting
    }

    /// Constants of timing and limits.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Settings {
        /// No order sooner than this after another.
        ///
        /// In milliseconds.
        pub floor: i64,
        /// How much of a limit may be used.
        ///
        /// In hundredths.
        pub share: u32,
        /// How many orders may be open at once.
        ///
        /// A whole number.
        pub slots: i64,
    }

    impl Settings {
        /// Reads them off a machine, which may be another plan's.
        ///
        /// # Errors
        /// If the machine lacks one, or it has another unit.
        pub fn from_machine(machine: &Machine) -> Result<Self, SettingError> {
            Ok(Self {
                floor: machine.duration("floor")?,
                share: machine.percent("share")?,
                slots: machine.count("slots")?,
            })
        }
    }
}
