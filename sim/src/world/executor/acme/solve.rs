//! What is presented for challenges: shown, looked for, removed.

use super::super::super::World;
use super::super::super::acme::{POD, path};
use super::super::super::config::Mutant;
use super::super::super::event::Event;
use super::super::super::project;
use super::super::patience::{SPENT, WITH_A_SOLVER};
use super::super::{Done, Job, failed, stale};
use super::{Fault, Told};
use crate::acme::Validation as _;
use crate::dns::{Change, Data, RecordType, Refused};
use aws_lc_rs::digest;
use everleaf_api::names;
use everleaf_api::names::everleaf as ours;
use everleaf_engine::{FailureClass, Outcome, Timestamp};
use everleaf_nodes::acme::notes;
use everleaf_nodes::acme::showing::is_wanted;
use everleaf_nodes::effect::{Answer, CleanUp, Present, SelfCheck, Solver};
use everleaf_nodes::facts::{Class, Facts, Kind, Method};
use serde_json::{Value, json};
use std::sync::Arc;

/// So many self-checks look for a while; those that follow look once.
const FRESH: i64 = 2;

/// What a self-check says that found nothing.
const MISS: &str = "it is not to be seen everywhere";

fn method_of(solver: &Solver) -> Method {
    match solver {
        Solver::Http01 { .. } => Method::Http01,
        Solver::TlsAlpn01 { .. } => Method::TlsAlpn01,
        Solver::Dns01 { .. } => Method::Dns01,
    }
}

/// The name of the record that proves a name.
fn record_name(dns_name: &str) -> String {
    format!("_acme-challenge.{dns_name}")
}

fn left_behind(answer: &Answer) -> String {
    match &answer.solver {
        Solver::Http01 { .. } => format!("the route of {}", answer.dns_name),
        Solver::TlsAlpn01 { .. } => format!("the handshakes of {}", answer.dns_name),
        Solver::Dns01 { .. } => format!("the TXT record {}", record_name(&answer.dns_name)),
    }
}

impl World {
    pub(super) fn present(&mut self, job: &mut Job, it: &Present) -> Told {
        let Answer { solver, dns_name, .. } = &it.answer;
        let presented = job.rest.as_ref().map(|rest| rest.presented.clone());
        let at = match presented {
            Some(at) if !at.is_empty() => at,
            begun => {
                if begun.is_none() {
                    self.begin_showing(job)?;
                    if self.is_slow(job, solver) {
                        return Ok(Vec::new());
                    }
                }
                let done = match solver {
                    Solver::Dns01 { value, .. } => self.change_record(job, dns_name, value, true),
                    _ => {
                        self.answer_for(job.at, &it.answer);
                        Ok(())
                    }
                };
                self.end_showing(job);
                // Whatever failed is tried again: nobody tells when a zone was mended.
                done.map_err(|fault| Fault { again: true, ..*fault })?;
                let at = self.clock_text(job);
                self.rest_of(job, WITH_A_SOLVER).presented.clone_from(&at);
                at
            }
        };
        let mut status = json!({ "presented": true, "presentedAt": at, "processing": true });
        if it.check {
            if self.finds(&it.answer) {
                return self.note_seen(job, i64::MIN);
            }
            if self.rests(job, WITH_A_SOLVER, None) {
                return Ok(Vec::new());
            }
            let method = method_of(solver).text();
            status["reason"] = json!(format!("Waiting for {method} challenge propagation: {MISS}"));
        }
        Ok(self.write_acme_status(job, status)?)
    }

    /// Whether the provider takes its time for the change; then it is made after that.
    fn is_slow(&mut self, job: &mut Job, solver: &Solver) -> bool {
        let struck = self.faulty && self.config.faults.dns_provider && self.faults.chance(50);
        let drawn = if struck { self.faults.between(1_000, 20_000) } else { 0 };
        let pause = self.config.slow_provider.max(drawn);
        let slow = pause > 0 && matches!(solver, Solver::Dns01 { .. });
        if slow {
            self.rest_of(job, WITH_A_SOLVER);
            job.pause = Some(pause);
        }
        slow
    }

    /// Whatever shows something for a Challenge asks here first: once its clean-up was asked for,
    /// nobody would remove that any more.
    fn begin_showing(&mut self, job: &mut Job) -> Result<(), Outcome<Kind>> {
        if self.config.mutant == Mutant::PresentsLate {
            return Ok(());
        }
        let replica = &mut self.replicas[job.at];
        let clock = replica.clock(self.now);
        let subject = job.subject().clone();
        if !replica.showings.begin(&job.order.effect.base, clock) {
            return Err(stale(subject));
        }
        // A process that was suspended is the last to learn that another one cleaned up.
        let found = self.fetch(job, &subject);
        let wanted = found.and_then(|found| {
            let base = &job.order.effect.base;
            let same = |found: &Arc<Value>| project::text(found, "/metadata/uid") == &*base.uid;
            let facts = found.filter(same).and_then(|f| project::facts(subject.kind, &f, true));
            let wanted = matches!(&facts, Some(Facts::Challenge(it)) if is_wanted(it));
            if wanted { Ok(()) } else { Err(stale(subject)) }
        });
        if wanted.is_err() {
            self.end_showing(job);
        }
        wanted
    }

    fn end_showing(&mut self, job: &Job) {
        self.replicas[job.at].showings.end(&job.order.effect.base);
    }

    pub(super) fn self_check(&mut self, job: &mut Job, it: &SelfCheck) -> Told {
        let presented = it.presented_at.as_millis();
        if self.finds(&it.answer) {
            return self.note_seen(job, presented);
        }
        // What was not there a few times is not worth standing there for.
        let patience = if it.trial.number <= FRESH { WITH_A_SOLVER } else { SPENT };
        if self.rests(job, patience, None) {
            return Ok(Vec::new());
        }
        self.begin_showing(job)?;
        let moved = self.moves(job.at, &it.answer);
        self.end_showing(job);
        if moved && self.finds(&it.answer) {
            return self.note_seen(job, presented);
        }
        Err(Fault::new(Class::Transient, MISS).into())
    }

    /// Writes down when it was seen.
    fn note_seen(&mut self, job: &mut Job, presented: i64) -> Told {
        let uid = job.order.effect.base.uid.clone();
        self.replicas[job.at].sights.insert(uid.clone());
        let clock = self.replicas[job.at].clock(self.now);
        let clock = clock.max(Timestamp::from_millis(presented));
        Ok(self.annotate(job, ours::ACME_SEEN, &notes::seen_text(clock, &uid))?)
    }

    /// Answers over HTTP or in handshakes.
    fn answer_for(&mut self, at: usize, answer: &Answer) {
        let (now, host) = (self.now, &*answer.dns_name);
        match &answer.solver {
            Solver::Http01 { token, key, .. } => self.outside.serve(now, at, host, (token, key)),
            Solver::TlsAlpn01 { token, key } => self.outside.shake(now, at, host, (token, key)),
            Solver::Dns01 { .. } => {}
        }
    }

    /// Leads a route here, or to a Pod, if whoever presented it is gone. Whether that changed
    /// anything.
    fn moves(&mut self, at: usize, answer: &Answer) -> bool {
        let (token, at) = match &answer.solver {
            Solver::Http01 { token, fall_back: true, .. } => (token, POD),
            Solver::Http01 { token, .. } | Solver::TlsAlpn01 { token, .. } => (token, at),
            Solver::Dns01 { .. } => return false,
        };
        let moved = self.outside.server_of(&answer.dns_name, token) != Some(at);
        if moved {
            self.answer_for(at, answer);
        }
        moved
    }

    /// Whether what was presented is found from outside.
    fn finds(&mut self, answer: &Answer) -> bool {
        if self.config.mutant == Mutant::SeesAnything {
            return true;
        }
        let (now, host) = (self.now, &*answer.dns_name);
        match &answer.solver {
            Solver::Http01 { token, key, .. } => self.is_served(host, token, key),
            Solver::TlsAlpn01 { key, .. } => {
                let wanted = digest::digest(&digest::SHA256, key.as_bytes());
                self.outside.net.tls_alpn(now, 0, host).is_ok_and(|seen| seen == wanted.as_ref())
            }
            Solver::Dns01 { value, .. } => self.is_everywhere(host, value),
        }
    }

    /// Whether what a Challenge shows can be seen from outside now.
    pub fn is_seen(&self, challenge: &serde_json::Value) -> bool {
        let part = |pointer: &str| super::super::super::project::text(challenge, pointer);
        let (name, key) = (part("/spec/dnsName"), part("/spec/key"));
        if part("/spec/type") == "DNS-01" {
            return self.is_everywhere(name, key);
        }
        let site = self.outside.net.sites.get(name);
        if part("/spec/type") == "TLS-ALPN-01" {
            let wanted = digest::digest(&digest::SHA256, key.as_bytes());
            let shown = site.and_then(|site| site.tls_alpn.as_deref());
            return shown == Some(wanted.as_ref());
        }
        let page = site.and_then(|site| site.pages.get(&path(part("/spec/token"))));
        page.is_some_and(|page| page == key)
    }

    /// Whether a host answers under a token, seen from here.
    fn is_served(&mut self, host: &str, token: &str, key: &str) -> bool {
        let now = self.now;
        let answer = self.outside.net.http(now, 0, host, &path(token));
        answer.is_ok_and(|answer| answer.status == 200 && answer.body == key)
    }

    /// Whether every server of the zone has a record.
    fn is_everywhere(&self, dns_name: &str, value: &str) -> bool {
        let dns = &self.outside.net.dns;
        let name = record_name(dns_name);
        let Some(zone) = dns.zone_of(&name) else { return false };
        let has = |server: &String| {
            let answer = dns.query(server, &name, RecordType::Txt, self.now);
            let is = |record: &crate::dns::Record| record.data == Data::Txt(value.to_owned());
            answer.is_ok_and(|answer| answer.answers.iter().any(is))
        };
        dns.servers_of(zone).iter().all(has)
    }

    /// Adds or removes exactly one record, by the provider's API.
    fn change_record(
        &mut self,
        job: &mut Job,
        dns_name: &str,
        value: &str,
        add: bool,
    ) -> Result<(), Box<Fault>> {
        let now = self.now;
        self.outside.settle(now);
        let name = record_name(dns_name);
        let transient = |why: &str| Box::new(Fault::new(Class::Transient, why));
        let dns = &self.outside.net.dns;
        let zone = dns.zone_of(&name).ok_or_else(|| transient("there is no zone"))?.to_owned();
        dns.resolve(job.at, &zone, RecordType::Soa, now).map_err(|e| transient(&e.to_string()))?;
        let data = Data::Txt(value.to_owned());
        let change = match add {
            true => Change::Add { zone, name: name.clone(), ttl: 60, data },
            false if self.config.mutant == Mutant::SweepsRecords => {
                let (kind, values) = (RecordType::Txt, Vec::new());
                Change::Replace { zone, name: name.clone(), kind, ttl: 60, values }
            }
            false => Change::Remove { zone, name: name.clone(), data },
        };
        let struck = self.faulty && self.config.faults.dns_provider && self.faults.chance(60);
        let (lost, made) = (struck, !struck || self.faults.chance(500));
        if made {
            let values = |world: &Self| world.outside.net.dns.values(now, &name, RecordType::Txt);
            let before = values(self);
            self.apply_change(&change)?;
            let left = values(self);
            let gone = before.into_iter().filter(|data| !left.contains(data)).collect();
            if add && self.config.mutant == Mutant::PresentsTwice {
                let again = Data::Txt(format!("{value}-again"));
                // The zone was just there.
                let _ = self.outside.net.dns.add(now, &name, again);
            }
            let value = value.to_owned();
            let (replica, order) = (job.at, job.order.clone());
            self.emitted.push(Event::Recorded { replica, order, name, value, add, gone });
        }
        if lost { Err(transient("the provider did not answer")) } else { Ok(()) }
    }

    fn apply_change(&mut self, change: &Change) -> Result<(), Box<Fault>> {
        let now = self.now;
        let super::super::super::acme::Outside { provider, net, .. } = &mut self.outside;
        match provider.change(&mut net.dns, now, change) {
            Ok(()) => Ok(()),
            Err(Refused::Throttled { retry_after }) => {
                let fault = Fault::new(Class::RateLimited, "the provider is asked too often");
                Err(Box::new(Fault { after: Some(now + retry_after), ..fault }))
            }
            Err(Refused::Change(error)) => {
                Err(Box::new(Fault::new(Class::User, error.to_string())))
            }
        }
    }

    /// Removes exactly what was presented, then our finalizer.
    pub(super) fn clean_up(&mut self, job: &mut Job, it: &CleanUp) -> Done {
        let replica = &mut self.replicas[job.at];
        let clock = replica.clock(self.now);
        let free = replica.showings.clean_up(&job.order.effect.base, clock);
        if !free && self.config.mutant != Mutant::PresentsLate {
            let why = "it is still being presented, and cleaned up after that";
            return Err(failed(FailureClass::Transient, "CleanUpError", why));
        }
        let skipped = self.config.mutant == Mutant::LeavesRecords;
        if let Some(answer) = it.answer.as_ref().filter(|_| !skipped)
            && let Err(fault) = self.withdraw(job, answer)
        {
            let (what, why) = (left_behind(answer), fault.detail);
            let event = |text: String| everleaf_nodes::Event::warning("CleanUpError", text);
            let subject = job.subject().clone();
            if !it.give_up {
                self.say(job.at, &subject, &[event(format!("{what}: {why}"))]);
                return Err(failed(FailureClass::Transient, "CleanUpError", &why));
            }
            self.say(job.at, &subject, &[event(format!("{what} may be left behind: {why}"))]);
        }
        let (object, mut finalizers) = self.finalizers(job)?;
        let ours = [names::FINALIZER, names::LEGACY_FINALIZER];
        if !finalizers.iter().any(|name| ours.contains(&name.as_str())) {
            return Err(stale(job.subject().clone())); // Another process was first.
        }
        finalizers.retain(|name| !ours.contains(&name.as_str()));
        self.put_finalizers(job, &object, &finalizers)
    }

    fn withdraw(&mut self, job: &mut Job, answer: &Answer) -> Result<(), Box<Fault>> {
        match &answer.solver {
            Solver::Http01 { token, .. } | Solver::TlsAlpn01 { token, .. } => {
                let now = self.now;
                self.outside.unserve(now, &answer.dns_name, token);
                Ok(())
            }
            Solver::Dns01 { value, .. } => self.change_record(job, &answer.dns_name, value, false),
        }
    }
}
