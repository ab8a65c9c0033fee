//! What the engine is told and what it tells: inputs, effects, outcomes, records; and what a
//! program must say for its machines to run.

use crate::digest::Digest;
use crate::ids::{EffectId, Epoch, Lane, ObjectKey, Tag, Uid};
use crate::step::FailureClass;
use crate::time::Timestamp;
use crate::view::View;
use everleaf_graph::Plan;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

/// The meaning of a plan: how facts are read from the world, and how effects are built.
///
/// All methods are pure. What [`look`](Self::look), [`wait_at`](Self::wait_at) and
/// [`act`](Self::act) read through the [`View`] is remembered, and they are asked again only if
/// that changed or a wait fell due.
pub trait Program {
    /// The kinds of the world's objects.
    type Kind: Copy + Ord + Hash + Debug + Serialize + DeserializeOwned;
    /// What decisions read of an object.
    type Facts: Clone + PartialEq + Hash + Debug + Serialize + DeserializeOwned;
    /// Something to be done outside.
    type Effect: Clone + Hash + Debug + Serialize + DeserializeOwned;

    /// The plan that the machines follow.
    fn plan(&self) -> &Plan;
    /// Every feed, by its number.
    fn feeds(&self) -> &[Feed<Self::Kind>];
    /// The number, in the plan, of the machine that runs the objects of a kind.
    fn machine(&self, kind: Self::Kind) -> Option<usize>;
    /// The kinds whose objects may wake a machine, its own included.
    fn reads(&self, machine: usize) -> &[Self::Kind];
    /// Adds the tags, beside the name, under which an object is found.
    fn tags(
        &self,
        key: &ObjectKey<Self::Kind>,
        facts: &Self::Facts,
        out: &mut Vec<Tag<Self::Kind>>,
    );
    /// Reads every fact of an object's machine and says in which state that puts it.
    fn look(&self, view: &View<'_, Self>) -> Look
    where
        Self: Sized;
    /// When a wait of the kind `until` (or a ladder used in `due`) falls due.
    fn wait_at(&self, view: &View<'_, Self>, wait: usize) -> Option<Timestamp>
    where
        Self: Sized;
    /// How near an effect brings its object to the end of the work at hand. Of what waits for a
    /// slot, a tenant's effects of the highest rank go first, so that what was begun is finished
    /// before more is begun; every 32nd is the one that waits longest, whatever its rank.
    fn rank(&self, machine: usize, step: usize) -> u8 {
        let _ = (machine, step);
        0
    }
    /// The effects that a state wants started now; only such as the plan lists in its `does`.
    fn act(&self, view: &View<'_, Self>, state: usize) -> Vec<Start<Self::Effect>>
    where
        Self: Sized;
}

/// A source of objects of one kind. Several feeds may deliver one kind.
#[derive(Clone, Debug)]
pub struct Feed<K> {
    /// For people.
    pub name: &'static str,
    /// What it delivers.
    pub kind: K,
}

/// Where an object is in its machine's plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// The state's number.
    pub state: usize,
    /// Every fact and due wait, one bit each, as the plan numbers them.
    pub truth: u64,
}

/// An effect that a machine wants started.
#[derive(Clone, Debug)]
pub struct Start<E> {
    /// The effect's number in the machine's plan.
    pub step: usize,
    /// Tells effects of one step apart; empty if there is only one.
    pub item: Arc<str>,
    /// The revision that it works towards.
    pub revision: u64,
    /// What it is queued by.
    pub lane: Lane,
    /// What is to be done.
    pub effect: E,
}

/// Something for the driver to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Command<K, E> {
    /// Perform an effect of the program and report with [`Input::Completed`].
    Perform(EffectId, E),
    /// Read an object live and report with [`Input::Observed`]: applied, absent or unreadable.
    Read(ObjectKey<K>),
    /// Ask the API server for its time and report with [`Input::Clock`].
    ConfirmClock,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Input<K, F> {
    /// A feed, or a live read, showed something.
    Observed(Delta<K, F>),
    /// An effect came to its end. It counts whatever became of the object meanwhile: what was
    /// written has to be seen.
    Completed(EffectId, Outcome<K>),
    /// We lead from now on, under this epoch, and every feed is listed again; or, with `None`, we
    /// lead no longer and only go on watching. The epoch that we are in already changes nothing.
    Leadership(Option<Epoch>),
    /// The driver saw the wall clock jump by more than an hour, or the machine was suspended:
    /// nothing is spent before [`Clock`](Self::Clock) confirms the time.
    ClockStepped,
    /// The API server's own time, asked for by [`Command::ConfirmClock`].
    Clock(Timestamp),
    /// Time passed.
    Tick,
}

/// What a feed or a live read shows.
#[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Delta<K, F> {
    /// An object is there.
    Applied {
        /// The number of the feed that showed it.
        feed: u8,
        /// Which object.
        #[serde(flatten)]
        key: ObjectKey<K>,
        /// Its UID.
        uid: Uid,
        /// Its resourceVersion; compared within one kind only.
        rv: u64,
        /// Whether a live read shows it, and not a watch or a list. The feed is then the one that
        /// would tell of the object's end.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        live: bool,
        /// What decisions read of it.
        facts: F,
    },
    /// An object is gone.
    Deleted {
        /// The number of the feed that showed it.
        feed: u8,
        /// Which object.
        #[serde(flatten)]
        key: ObjectKey<K>,
        /// Its UID.
        uid: Uid,
    },
    /// A live read found no such object. If it does not answer a [`Command::Read`], or the object
    /// changed since that was asked for, it is asked for again.
    Absent {
        /// Which object.
        #[serde(flatten)]
        key: ObjectKey<K>,
    },
    /// A live read failed.
    Unreadable {
        /// Which object.
        #[serde(flatten)]
        key: ObjectKey<K>,
        /// Why.
        message: String,
    },
    /// A list begins: what it does not show until its end is gone.
    ListBegin {
        /// The feed's number.
        feed: u8,
    },
    /// A list is complete.
    ListEnd {
        /// The feed's number.
        feed: u8,
        /// The list's resourceVersion: what is not shown and no newer is gone. A kind that the
        /// API server does not serve is an empty list at `u64::MAX`.
        rv: u64,
    },
}

/// How an effect ended.
#[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "K: serde::Deserialize<'de>"))]
pub enum Outcome<K> {
    /// It was done.
    Done {
        /// What was written; nothing that reads it acts before its feed showed the write.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        wrote: Vec<Written<K>>,
    },
    /// It was not done, for what it rests on had changed.
    Stale {
        /// What has to be read live before anything else is done with it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        reread: Vec<ObjectKey<K>>,
    },
    /// It failed.
    Failed {
        /// The class, which decides on the next attempt.
        class: FailureClass,
        /// One word, in CamelCase, fit for a condition's reason.
        reason: String,
        /// For people: what, where, and what to do. Free of secrets.
        message: String,
        /// The instant before which the other side does not want to be asked again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        not_before: Option<Timestamp>,
        /// Objects of which it is not known whether they were written.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        reread: Vec<ObjectKey<K>>,
    },
}

impl<K> Outcome<K> {
    /// Done, without a write that anybody reads.
    pub fn done() -> Self {
        Self::Done { wrote: Vec::new() }
    }
}

/// An acknowledged write.
#[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize)]
pub struct Written<K> {
    /// What was written.
    #[serde(flatten)]
    pub key: ObjectKey<K>,
    /// The resourceVersion that the write got; `None` for a deletion.
    pub rv: Option<u64>,
}

/// What one input led to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, serde::Deserialize)]
pub struct Record {
    /// Effects that were started, and digests of their content.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<Started>,
    /// Objects that moved to another state.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moves: Vec<Move>,
    /// When the engine wants to be called again, if nothing happens before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wake: Option<Timestamp>,
    /// The digest of the whole state afterwards.
    pub state: Digest,
}

/// A started effect, as the journal keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize)]
pub struct Started {
    /// Which one.
    pub id: EffectId,
    /// The machine's number in the plan.
    pub machine: u8,
    /// The digest of its content.
    pub digest: Digest,
}

/// An object's way from one state to another.
#[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize)]
pub struct Move {
    /// Which object.
    pub uid: Uid,
    /// The machine's number in the plan.
    pub machine: u8,
    /// The state it left.
    pub from: u8,
    /// The state it is in.
    pub to: u8,
    /// The edges taken, by number; `None` if the plan does not explain the move, which is a bug.
    pub path: Option<Vec<u16>>,
}
