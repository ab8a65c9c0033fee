//! The `shim` machine: an annotated Ingress, and the Certificates that it asks for.

mod annotations;
mod desired;

pub use annotations::annotation_of;

use crate::Options;
use crate::effect::{Base, Do, Effect, Event};
use crate::facts::{CertificateFacts, IngressFacts, Kind, Problem};
use crate::plan::shim as plan;
use crate::program::{Everleaf, Sight, children, start};
use desired::{Desired, Wanted};
use everleaf_engine::{Digest, Look, ObjectKey, Start, Uid, digest_of};
use plan::{State, Step};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What an Ingress asks for, without a cluster around it.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Whether it asks at all.
    pub annotated: bool,
    /// What of it cannot be read.
    pub problems: Vec<Problem>,
    /// The Certificates, as JSON.
    pub certificates: Vec<Arc<str>>,
}

/// What an Ingress of this name asks for.
pub fn asked(options: &Options, name: &str, ingress: &IngressFacts) -> Asked {
    let desired = desired::of(options, &name.into(), ingress);
    let objects = desired.certificates.into_iter().map(|wanted| wanted.object);
    Asked {
        annotated: desired.annotated,
        problems: desired.problems,
        certificates: objects.collect(),
    }
}

/// A Certificate near the Ingress.
struct Near<'a> {
    key: &'a ObjectKey<Kind>,
    uid: &'a Uid,
    rv: u64,
    facts: &'a CertificateFacts,
}

/// Everything that decides on one Ingress.
pub(crate) struct Case<'a> {
    view: &'a Sight<'a>,
    ingress: &'a IngressFacts,
    desired: Desired,
    /// The Certificates that it controls.
    owned: Vec<Near<'a>>,
    /// The names that are wanted and taken by Certificates of others.
    taken: BTreeSet<Arc<str>>,
}

impl<'a> Case<'a> {
    pub(crate) fn new(
        program: &'a Everleaf,
        view: &'a Sight<'a>,
        ingress: &'a IngressFacts,
    ) -> Self {
        let desired = desired::of(&program.options, &view.key.name, ingress);
        let tag = children(Kind::Certificate, &view.key.namespace, &view.object.uid);
        let owned: Vec<Near<'a>> = view
            .tagged(tag)
            .into_iter()
            .filter_map(|(key, object)| {
                let facts = object.facts.certificate()?;
                Some(Near { key, uid: &object.uid, rv: object.rv, facts })
            })
            .collect();
        let is_owned = |name: &Arc<str>| owned.iter().any(|near| near.key.name == *name);
        let others = desired.certificates.iter().map(|wanted| wanted.name.clone());
        let taken = others.filter(|name| {
            let namespace = view.key.namespace.clone();
            let key = ObjectKey::new(Kind::Certificate, namespace, name.clone());
            view.get(&key).is_some() && !is_owned(name)
        });
        let taken = taken.collect();
        Self { view, ingress, desired, owned, taken }
    }

    pub(crate) fn look(&self) -> Look {
        let truth = plan::truth(self, self.view.now);
        Look { state: plan::locate(truth) as usize, truth }
    }

    /// What is wrong, and which names are taken: all that a user has to be told.
    fn warning(&self) -> Option<Event> {
        let problems = self.desired.problems.iter().map(text);
        let taken = self.taken.iter().map(|name| {
            format!(
                "Certificate {name:?} exists and is not controlled by this Ingress; it is left \
                 alone. Give the TLS block another secretName, or delete that Certificate"
            )
        });
        let all: Vec<String> = problems.chain(taken).collect();
        (!all.is_empty()).then(|| Event::warning("BadConfig", all.join("; ")))
    }

    fn warning_effect(&self) -> Option<Start<Effect>> {
        let event = self.warning()?;
        Some(self.start(Step::Warn, "", (Do::Say, vec![event])))
    }

    fn start(&self, step: Step, item: &str, what: (Do, Vec<Event>)) -> Start<Effect> {
        let lane = format!("{}/Ingress", self.view.key.namespace);
        start(self.view, step as usize, item, (0, &lane), what)
    }

    fn missing(&self) -> impl Iterator<Item = &Wanted> {
        self.desired.certificates.iter().filter(|wanted| {
            !self.taken.contains(&wanted.name)
                && self.owned.iter().all(|near| near.key.name != wanted.name)
        })
    }

    fn changed(&self) -> impl Iterator<Item = (&Wanted, &Near<'a>)> {
        self.desired.certificates.iter().filter_map(|wanted| {
            let near = self.owned.iter().find(|near| near.key.name == wanted.name)?;
            (!near.facts.deleting && differs(wanted, near.facts)).then_some((wanted, near))
        })
    }

    /// Certificates of its own that no TLS block names, not even one that is wrong.
    fn orphaned(&self) -> impl Iterator<Item = &Near<'a>> {
        self.owned.iter().filter(|near| {
            let named = |(secret, _): &(Arc<str>, Vec<Arc<str>>)| *secret == near.facts.secret_name;
            !near.facts.deleting && !self.ingress.tls.iter().any(named)
        })
    }

    pub(crate) fn act(&self, state: State) -> Vec<Start<Effect>> {
        match state {
            State::Telling => self.warning_effect().into_iter().collect(),
            State::Drifted => self.align(),
            State::Retiring
            | State::Ignored
            | State::Invalid
            | State::Conflicted
            | State::Synced => Vec::new(),
        }
    }

    fn align(&self) -> Vec<Start<Effect>> {
        let created = self.missing().map(|wanted| {
            let message = format!("Successfully created Certificate {:?}", &*wanted.name);
            let event = Event::normal("CreateCertificate", message);
            let action = Do::CreateCertificate { object: wanted.object.clone() };
            self.start(Step::CreateCertificate, &wanted.name, (action, vec![event]))
        });
        let updated = self.changed().map(|(wanted, near)| {
            let message = format!("Successfully updated Certificate {:?}", &*wanted.name);
            let event = Event::normal("UpdateCertificate", message);
            let (name, object) = (wanted.name.clone(), wanted.object.clone());
            let action = Do::UpdateCertificate { name, base: near.base(), object };
            self.start(Step::UpdateCertificate, &wanted.name, (action, vec![event]))
        });
        let deleted = self.orphaned().map(|near| {
            let name = &near.key.name;
            let message = format!("Successfully deleted unrequired Certificate {:?}", &**name);
            let event = Event::normal("DeleteCertificate", message);
            let action = Do::Delete { key: near.key.clone(), base: near.base() };
            self.start(Step::DeleteCertificate, name, (action, vec![event]))
        });
        created.chain(updated).chain(deleted).collect()
    }
}

impl Near<'_> {
    fn base(&self) -> Base {
        Base { uid: self.uid.clone(), rv: self.rv }
    }
}

fn text(problem: &Problem) -> String {
    format!("{}: {}", problem.path, problem.message)
}

/// Whether a Certificate differs from what the Ingress asks for; annotations of others count not.
fn differs(wanted: &Wanted, facts: &CertificateFacts) -> bool {
    let carried = |(key, value): (&Arc<str>, &Arc<str>)| facts.annotations.get(key) == Some(value);
    wanted.spec != facts.spec
        || wanted.labels != facts.labels
        || !wanted.annotations.iter().all(carried)
}

impl plan::Facts for Case<'_> {
    fn deleting(&self) -> bool {
        self.ingress.deleting
    }

    fn annotated(&self) -> bool {
        self.desired.annotated
    }

    fn told(&self) -> bool {
        let digest = self.warning_effect().map(|start| digest_of(&start.effect));
        digest.is_none_or(|digest: Digest| {
            self.view.last_done(Step::Warn as usize, "") == Some(digest)
        })
    }

    fn broken(&self) -> bool {
        self.desired.broken
    }

    fn drifted(&self) -> bool {
        self.missing().next().is_some()
            || self.changed().next().is_some()
            || self.orphaned().next().is_some()
    }

    fn conflicted(&self) -> bool {
        !self.taken.is_empty()
    }
}
