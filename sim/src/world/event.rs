//! What happened in a run, as the invariants are told.

use crate::acme::{Answer, Call, Status};
use crate::dns::Data;
use everleaf_engine::{EffectId, Epoch, Move, ObjectKey, Outcome, Timestamp};
use everleaf_nodes::facts::Kind;
use everleaf_nodes::{Effect, effect};
use serde_json::Value;
use std::sync::Arc;

/// Who did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A replica of ours.
    Replica(usize),
    /// A person, or a tool of theirs.
    User,
    /// A controller that edits what is ours.
    Meddler,
    /// An issuer of another group.
    ForeignIssuer,
    /// Whoever approves requests where that is not automatic.
    Approver,
    /// The garbage collector.
    Garbage,
}

/// An effect that was started.
#[derive(Debug)]
pub struct Order {
    /// Its name.
    pub id: EffectId,
    /// What is to be done.
    pub effect: Effect,
    /// Under which epoch it was started.
    pub epoch: Option<Epoch>,
}

/// A change of a stored object.
#[derive(Debug)]
pub struct Wrote {
    /// By whom.
    pub actor: Actor,
    /// For which effect, if it was a replica.
    pub order: Option<Arc<Order>>,
    /// The kind.
    pub kind: Kind,
    /// The object before; `None` if it was created.
    pub before: Option<Arc<Value>>,
    /// The object after; `None` if it was deleted.
    pub after: Option<Arc<Value>>,
    /// Whether it was a write to the status.
    pub status: bool,
}

/// A request to an ACME CA, and its answer.
#[derive(Debug)]
pub struct Asked {
    /// By which replica.
    pub replica: usize,
    /// For which effect.
    pub order: Arc<Order>,
    /// The CA, by its directory.
    pub directory: Arc<str>,
    /// The account key that signed it, if one did.
    pub key: Option<String>,
    /// The nonce that was sent, if one was.
    pub nonce: Option<String>,
    /// What was asked.
    pub call: Call,
    /// The state, right before, of the order or authorization that was asked about.
    pub before: Option<Status>,
    /// What the CA said, whether or not it was heard.
    pub answer: Answer,
    /// When, by the replica's clock, in milliseconds since 1970.
    pub clock: i64,
}

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// A replica asked a CA.
    Asked(Box<Asked>),
    /// A replica added a TXT record, or removed one.
    Recorded {
        /// Which replica.
        replica: usize,
        /// For which effect.
        order: Arc<Order>,
        /// Its name.
        name: String,
        /// Its value.
        value: String,
        /// Whether it was added.
        add: bool,
        /// The values of that name that went with it.
        gone: Vec<Data>,
    },
    /// A stored object changed, or (by a replica) was written without a change.
    Wrote(Wrote),
    /// A replica's engine started an effect.
    Started {
        /// Which replica.
        replica: usize,
        /// What.
        order: Arc<Order>,
    },
    /// The outcome of an effect reached its engine.
    Completed {
        /// Which replica.
        replica: usize,
        /// What.
        order: Arc<Order>,
        /// How it ended.
        outcome: Outcome<Kind>,
    },
    /// An engine took an input in and objects moved.
    Moved {
        /// Which replica.
        replica: usize,
        /// When, by its clock.
        at: Timestamp,
        /// Who moved where.
        moves: Vec<Move>,
    },
    /// A replica found the child that it wanted to create and took it for its own.
    Adopted {
        /// Which replica.
        replica: usize,
        /// For which effect.
        order: Arc<Order>,
        /// What it found.
        object: Arc<Value>,
    },
    /// A replica signs with a CA's key.
    Signed {
        /// Which replica.
        replica: usize,
        /// For which effect.
        order: Arc<Order>,
        /// The Secret that holds the key.
        secret: ObjectKey<Kind>,
    },
    /// A replica wrote an Event.
    Said {
        /// Which replica.
        replica: usize,
        /// On what.
        subject: ObjectKey<Kind>,
        /// What.
        event: effect::Event,
    },
    /// The clock of a replica was set, by so many milliseconds.
    Stepped {
        /// Which replica.
        replica: usize,
        /// Forward, or (negative) backward.
        by: i64,
    },
    /// A replica runs again after it was suspended.
    Resumed {
        /// Which replica.
        replica: usize,
    },
    /// Nothing in particular: a moment to look at the whole.
    Sample,
    /// The last fault is over.
    Healed,
    /// The run is over.
    End,
}
