//! What a run is made of: how long, how much, and which faults are on.

use super::rng::Rng;

/// A minute, in milliseconds.
pub const MINUTE: i64 = 60_000;
/// An hour, in milliseconds.
pub const HOUR: i64 = 60 * MINUTE;
/// A day, in milliseconds.
pub const DAY: i64 = 24 * HOUR;

macro_rules! switches {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: bool,)*
        }

        impl $name {
            /// Each one on with probability one half.
            pub fn draw(rng: &mut Rng) -> Self {
                Self { $($field: rng.chance(500),)* }
            }

            /// Every one on.
            pub fn all() -> Self {
                Self { $($field: true,)* }
            }

            /// The names of those that are on.
            pub fn names(&self) -> Vec<&'static str> {
                let mut out = Vec::new();
                $(if self.$field { out.push(stringify!($field)); })*
                out
            }
        }
    };
}

switches! {
    /// The kinds of faults that a run may draw.
    Faults {
        /// Watches break and go on where they were, or list again.
        watch_drop,
        /// Watches show nothing for minutes.
        watch_stall,
        /// Watches lag by seconds.
        watch_lag,
        /// Events come twice.
        duplicate,
        /// The API server forgets old changes: 410, and lists again.
        gone,
        /// Lists are answered by a replica that lags.
        stale_list,
        /// Writes meet a conflict that is none.
        conflict,
        /// Requests get 429 or 503.
        throttle,
        /// Requests are forbidden.
        forbidden,
        /// No answer comes, and the write was made.
        lost_applied,
        /// No answer comes, and the write was not made.
        lost_unapplied,
        /// Outcomes of effects are lost on their way to the engine.
        lost_outcome,
        /// Another controller edits our Secrets.
        meddler,
        /// Objects are deleted and made again under the same name.
        recreate,
        /// A replica's clock jumps forward.
        clock_forward,
        /// A replica's clock is set back.
        clock_backward,
        /// A replica is suspended for hours.
        suspend,
        /// A process is killed and started again.
        kill,
        /// Leadership changes hands.
        handover,
        /// Two replicas lead for a while.
        overlap,
        /// Issuers of another group answer with something wrong.
        wrong_answer,
        /// A CA's key pair is missing for a while.
        ca_outage,
        /// ACME CAs answer 429, with Retry-After in either syntax.
        ca_limited,
        /// ACME CAs answer 503.
        ca_busy,
        /// ACME CAs answer 500, whether or not they did what was asked.
        ca_internal,
        /// Answers of ACME CAs are lost or cut short.
        ca_lost,
        /// ACME CAs refuse good nonces, sometimes again and again.
        bad_nonce,
        /// ACME CAs take minutes to validate, and long to answer.
        ca_slow,
        /// ACME CAs hand out valid authorizations and open orders again.
        ca_reuse,
        /// Orders become valid or invalid by themselves.
        order_ends,
        /// ACME CAs issue something wrong, and call for early renewals.
        wrong_certificate,
        /// ACME CAs are out of order for hours or days.
        ca_down,
        /// Servers of zones are behind.
        dns_lag,
        /// Servers of zones do not know them.
        dns_lame,
        /// Servers of zones fail, or do not answer.
        dns_servfail,
        /// Servers of zones answer in odd order.
        dns_shuffled,
        /// The API of the zones' provider limits and loses requests.
        dns_provider,
    }
}

switches! {
    /// What users of a run do beyond creating Certificates.
    Habits {
        /// They edit specs.
        edit,
        /// They delete Secrets.
        delete_secret,
        /// They delete requests.
        delete_request,
        /// They set `Issuing=True`, as cmctl does.
        renew,
        /// They let two Certificates name one Secret.
        share_secret,
        /// They annotate Ingresses.
        ingress,
        /// They replace a CA's key pair.
        rotate_ca,
        /// They delete Certificates.
        delete_certificate,
    }
}

/// How an issuer of another group answers a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// As asked.
    Good,
    /// With a certificate for another key.
    WrongKey,
    /// With a certificate for other names.
    OtherNames,
    /// With a certificate that expired an hour ago.
    Expired,
    /// With a certificate that is not valid for another hour.
    NotYetValid,
    /// With a tenth of the lifetime that was asked for.
    Short,
    /// With a certificate that began an hour ago.
    Backdated,
    /// With a chain that is out of order and holds strangers.
    Disordered,
    /// Ready=False, Failed.
    Failed,
    /// InvalidRequest=True.
    Invalid,
    /// Not at all.
    Silent,
}

/// A mistake that is built into a run, to see that an invariant finds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mutant {
    /// None.
    #[default]
    None,
    /// The port stores another key than the request's.
    StoresOtherKey,
    /// The port stores the CA in a write of its own.
    StoresInTwoWrites,
    /// Nobody compares the certificate's key with the request's.
    TrustsAnyKey,
    /// Nobody compares the certificate's names with the spec's.
    TrustsAnyNames,
    /// Nobody looks at the dates of a certificate.
    TrustsAnyDates,
    /// The chain is stored as the issuer sent it.
    StoresChainAsSent,
    /// A new key is the old one.
    KeepsKeys,
    /// The port deletes what has the name of a child of ours, whoever owns it.
    DeletesStrangers,
    /// Nobody minds that another Certificate owns the Secret.
    IgnoresContest,
    /// An Issuer signs with the Secret of the operator's namespace.
    CrossesTenants,
    /// A request that exists already is taken for ours, whatever it is.
    AdoptsAnything,
    /// There is no back-off after a failure.
    NoBackoff,
    /// renewBefore counts even if it is longer than the certificate's life.
    RenewsByWish,
    /// Nothing is tidied up.
    KeepsRequests,
    /// The engine is not told of the versions that its writes got.
    HidesWrites,
    /// Nothing is read again before it is stored or signed.
    StoresBlindly,
    /// A feed is said to be complete before it was listed.
    ActsBeforeSync,
    /// A leader that lost its Lease goes on.
    LeadsForever,
    /// The status is written over and over.
    TouchesTransition,
    /// Nothing wakes the engine by the clock.
    NeverWakes,
    /// A state waits for nothing.
    ForgetsWaits,
    /// Waits run on a clock that stands still while the machine sleeps.
    WaitsByUptime,
    /// Steps of the clock are taken the wrong way round.
    MirrorsClock,
    /// Log lines hold the key.
    TellsKeys,
    /// The plan lacks the edges out of a state.
    LacksEdges,
    /// The journal lacks what seems to be nothing.
    SkipsTicks,
    /// A good certificate is replaced by one that does not fit.
    WorsensSecret,
    /// The port never stores anything.
    NeverStores,
    /// Nothing is ever renewed.
    NeverRenews,
    /// Requests are made with a finalizer of ours.
    AddsFinalizer,
    /// The port panics if what it is to write to is gone.
    AssumesPresence,
    /// One effect at a time, for all.
    OneSlot,
    /// Every order is placed twice.
    PlacesTwice,
    /// Tokens of limits are not taken.
    ForgetsBudget,
    /// Nobody reads Retry-After.
    IgnoresRetryAfter,
    /// An order ends with the first 429.
    GivesUpOnLimits,
    /// A nonce is sent again and again.
    RepeatsNonces,
    /// A challenge is triggered whatever its authorization is.
    TriggersBlindly,
    /// The self-check sees what nobody presented.
    SeesAnything,
    /// A pending order is taken for a ready one.
    FinalizesEarly,
    /// A valid order is taken for a broken one.
    RejectsValid,
    /// One account key for all CAs.
    MixesAccounts,
    /// What was presented stays.
    LeavesRecords,
    /// Beside each record stands another, which nobody removes.
    PresentsTwice,
    /// With our record, everybody's are removed.
    SweepsRecords,
    /// Orders of the same names claim whether or not another one did.
    TakesNoTurns,
    /// What was to be presented is, whether or not it was cleaned up meanwhile.
    PresentsLate,
    /// No CA is asked when it wants a certificate to be renewed.
    NeverAsks,
    /// What a CA says of that is heard as a day later.
    MishearsWindow,
}

/// What a run is made of.
#[derive(Clone, Debug)]
pub struct Config {
    /// The seed of everything that is drawn.
    pub seed: u64,
    /// The phase with faults, in milliseconds.
    pub faulty_ms: i64,
    /// The phase without, in milliseconds.
    pub healed_ms: i64,
    /// Certificates at the start.
    pub certificates: usize,
    /// How many Certificates in a thousand come from an ACME CA; with 0 there are no such issuers.
    pub acme: u64,
    /// Replicas of ours: 1 or 2.
    pub replicas: usize,
    /// Whether requests are approved without anybody asking.
    pub approve: bool,
    /// Whether Certificates own their Secrets.
    pub owner_ref: bool,
    /// The faults that are on.
    pub faults: Faults,
    /// What users do.
    pub habits: Habits,
    /// Between two acts of users, on average, in milliseconds.
    pub act_every_ms: i64,
    /// Between two faults of processes and clocks, on average, in milliseconds.
    pub mishap_every_ms: i64,
    /// How many requests in a thousand meet a fault.
    pub fault_per_mille: u64,
    /// Whether every input is kept in a journal.
    pub journal: bool,
    /// Whether every Certificate is of the issuer of another group.
    pub foreign_only: bool,
    /// How that issuer answers requests from this revision on, faults or not.
    pub answer: Option<(Answer, i64)>,
    /// The mistake that is built in.
    pub mutant: Mutant,
    /// The moment at which a process is killed, beside what faults do.
    pub kill: Option<Kill>,
    /// Effects on objects whose names begin so are never answered.
    pub mute: Option<&'static str>,
    /// How long the API of the zones' provider takes for a change, faults or not, in milliseconds.
    pub slow_provider: i64,
    /// Whether every event of a watch is replaced by a new list.
    pub relists: bool,
    /// Everything happens at whole multiples of this, in milliseconds; 0 for no such thing. What
    /// falls on one instant is then done in an order that is drawn from the number beside it, or
    /// in the order in which it was set off if that is 0.
    pub bunched: (i64, u64),
}

/// A moment in the life of a process. All are counted from 1, over all replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kill {
    /// Right before it performs its effect of that number.
    BeforeEffect(u64),
    /// Right after it performed its effect of that number, before it learns of the outcome.
    AfterEffect(u64),
    /// Right after the record of that number was written, before anything of it was done.
    AfterRecord(u64),
    /// Right after an ACME CA did what its request of that number asked, before it hears of it.
    AfterAsk(u64),
}

impl Config {
    /// A run without faults and without users.
    pub fn calm(seed: u64) -> Self {
        Self {
            seed,
            faulty_ms: 0,
            healed_ms: 2 * DAY,
            certificates: 0,
            acme: 0,
            replicas: 1,
            approve: true,
            owner_ref: false,
            faults: Faults::default(),
            habits: Habits::default(),
            act_every_ms: 6 * HOUR,
            mishap_every_ms: 12 * HOUR,
            fault_per_mille: 0,
            journal: false,
            foreign_only: false,
            answer: None,
            mutant: Mutant::None,
            kill: None,
            mute: None,
            slow_provider: 0,
            relists: false,
            bunched: (0, 0),
        }
    }

    /// A run in which everything is drawn from the seed, but that no issuer is an ACME one.
    pub fn swarm(seed: u64) -> Self {
        let mut rng = Rng::new(seed, "config");
        let days = [2, 3, 4, 6, 8, 12, 20, 40];
        let days = *rng.pick(&days).unwrap_or(&2);
        let busy = rng.chance(500);
        Self {
            seed,
            faulty_ms: days * DAY,
            healed_ms: if days > 10 { 12 * DAY } else { 4 * DAY },
            certificates: usize::try_from(rng.between(5, 30)).unwrap_or(5),
            acme: 0,
            replicas: if rng.chance(500) { 2 } else { 1 },
            approve: rng.chance(700),
            owner_ref: rng.chance(300),
            faults: Faults::draw(&mut rng),
            habits: Habits::draw(&mut rng),
            act_every_ms: days * DAY / if busy { 120 } else { 30 },
            mishap_every_ms: days * DAY / if busy { 40 } else { 10 },
            fault_per_mille: *rng.pick(&[5, 30, 150]).unwrap_or(&5),
            journal: rng.chance(200),
            foreign_only: false,
            answer: None,
            mutant: Mutant::None,
            kill: None,
            mute: None,
            slow_provider: 0,
            relists: false,
            bunched: (0, 0),
        }
    }
}
