//! When a CA would like a certificate to be renewed (RFC 9773): asked, and written if it is news.

use super::super::super::World;
use super::super::super::config::{DAY, Mutant};
use super::super::{Done, Job};
use super::Fault;
use crate::acme::{Call, Reply};
use everleaf_engine::Timestamp;
use everleaf_nodes::Event;
use everleaf_nodes::acme::ari::{self, Answer, Said};
use everleaf_nodes::effect::AskWindow;
use everleaf_nodes::facts::{AriStatus, Class};
use serde_json::json;

/// The class of a question that has no answer: one that passes, or one that stays.
fn error(fault: &Fault) -> Said {
    let passing = matches!(fault.class, Class::Transient | Class::RateLimited);
    Said::Error { text: fault.detail.as_str().into(), passing }
}

impl World {
    /// Asks, and writes what is news. That the CA has no answer is an answer too.
    pub(super) fn ask_window(&mut self, job: &mut Job, it: &AskWindow) -> Done {
        let answer = self.window_of(job, it);
        let clock = self.replicas[job.at].clock(self.now);
        let uid = job.order.effect.base.uid.clone();
        let Some(said) = ari::learned(it, &uid, &answer, clock) else { return Ok(Vec::new()) };
        let patch = json!({ "status": ari::status(it, &uid, &said) }).to_string();
        let wrote = self.patch_status(job, &patch, job.order.effect.base.rv)?;
        let events: Vec<Event> = news(&it.known, &said).into_iter().collect();
        self.say(job.at, &job.subject().clone(), &events);
        Ok(wrote)
    }

    fn window_of(&mut self, job: &mut Job, it: &AskWindow) -> Answer {
        let directory = &it.account.directory;
        let offers = self.outside().cas.get(directory).is_some_and(|ca| ca.config().ari);
        if !offers {
            return Answer { said: Said::Nothing, retry_after_ms: None };
        }
        let call = Call::RenewalInfo { certificate: it.certificate.to_string() };
        let said = match self.ask_unsigned(job, directory, &call) {
            Ok(said) => said,
            Err(ailment) => {
                let fault = Fault::of(&ailment);
                let retry_after_ms = self.time_to(job, ailment.after);
                return Answer { said: error(&fault), retry_after_ms };
            }
        };
        let retry_after_ms = self.time_to(job, said.after);
        let Reply::RenewalInfo(window) = said.reply else {
            let fault = Fault::new(Class::Transient, "that is no window");
            return Answer { said: error(&fault), retry_after_ms };
        };
        let late = if self.config.mutant == Mutant::MishearsWindow { DAY } else { 0 };
        let start = Timestamp::from_seconds((window.start + late).div_euclid(1000));
        let end = Timestamp::from_seconds((window.end + late).div_euclid(1000));
        let window_told = (start, end.max(start.plus_millis(1000)));
        let explanation = window.explanation.as_deref().map(Into::into);
        Answer { said: Said::Window { window: window_told, explanation }, retry_after_ms }
    }

    fn time_to(&self, job: &Job, after: Option<i64>) -> Option<i64> {
        let clock = self.replicas[job.at].clock(self.now).as_millis();
        after.map(|after| (after - clock).max(0))
    }
}

/// What people are told of: an error that is new, and a window that moved.
fn news(known: &AriStatus, said: &AriStatus) -> Option<Event> {
    if let Some(error) = said.error.as_ref().filter(|_| said.error != known.error) {
        return Some(Event::warning("ARIError", format!("the CA did not say when: {error}")));
    }
    let moved = known.window.is_some() && said.window.is_some() && said.window != known.window;
    moved.then(|| Event::normal("RenewalMoved", "the CA moved the renewal of the certificate"))
}
