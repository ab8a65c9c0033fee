//! When a CA would like a certificate to be renewed (RFC 9773): asked, and written if it is news.

use super::super::{Done, Ports, Report};
use super::fault::{Fault, Halt};
use everleaf_acme::{AcmeError, Answer as CaAnswer, CertId, Class as CaClass, RenewalInfo};
use everleaf_engine::Timestamp;
use everleaf_nodes::acme::ari::{self, Answer, Said};
use everleaf_nodes::effect::{AskWindow, rfc3339};
use everleaf_nodes::facts::{AriStatus, Class};
use everleaf_nodes::{Effect, Event};
use std::sync::Arc;
use std::time::Duration;

/// An answer that takes longer is none: the effect's own deadline leaves room to write that.
const PATIENCE: Duration = Duration::from_secs(40);
/// The longest URL of an explanation that is kept, in bytes.
const LONGEST_URL: usize = 1024;

impl Ports {
    /// Asks, and writes what is news. That the CA has no answer is an answer too.
    pub(super) async fn ask_window(&self, effect: &Effect, it: &AskWindow) -> Done {
        let answer = match self.asked(it).await {
            Ok(answer) => answer,
            Err(Halt::Fault(fault)) => unanswered(&fault),
            Err(Halt::Undone(undone)) => return Err(undone),
        };
        let uid = &effect.base.uid;
        let Some(said) = ari::learned(it, uid, &answer, super::super::now()) else {
            return Ok(Report::done(Vec::new(), Vec::new()));
        };
        let patch = serde_json::json!({ "status": ari::status(it, uid, &said) });
        // On the very version that was decided on: of another certificate it would not be true.
        let report = self.patch_status(effect, &patch.to_string()).await?;
        if let Some(event) = news(&it.known, &said) {
            self.say(effect, &event);
        }
        Ok(report)
    }

    async fn asked(&self, it: &AskWindow) -> Result<Answer, Halt> {
        let client = self.ca_client(&it.account).await?;
        let id = CertId::parse(&it.certificate)
            .ok_or_else(|| Fault::new(Class::User, "the certificate has no usable identifier"))?;
        let Ok(answer) = tokio::time::timeout(PATIENCE, client.renewal_info(&id)).await else {
            return Err(Fault::new(Class::Transient, "no answer came in time").into());
        };
        match answer {
            Ok(answer) => Ok(told(&answer)),
            Err(AcmeError { class: CaClass::NotOffered { .. }, .. }) => {
                Ok(Answer { said: Said::Nothing, retry_after_ms: None })
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// A window in whole seconds, which is what the status holds.
fn told(answer: &CaAnswer<RenewalInfo>) -> Answer {
    let RenewalInfo { suggested_window, explanation_url } = &answer.value;
    let start = suggested_window.start.as_second();
    let end = suggested_window.end.as_second().max(start.saturating_add(1));
    let window = (Timestamp::from_seconds(start), Timestamp::from_seconds(end));
    let page = explanation_url.as_deref().filter(|url| is_page(url));
    let wait = answer.retry_after.map(|after| after.delay(jiff::Timestamp::now()));
    Answer {
        said: Said::Window { window, explanation: page.map(Arc::from) },
        retry_after_ms: wait.map(|wait| i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)),
    }
}

fn is_page(url: &str) -> bool {
    let printable = url.bytes().all(|byte| byte.is_ascii_graphic());
    printable
        && url.len() <= LONGEST_URL
        && (url.starts_with("https://") || url.starts_with("http://"))
}

fn unanswered(fault: &Fault) -> Answer {
    let passing = matches!(fault.class, Class::Transient | Class::RateLimited | Class::Wait);
    let now = super::super::now();
    let wait = fault.after.map(|after| after.since(now).max(0));
    let text = fault.detail.as_str().into();
    Answer { said: Said::Error { text, passing }, retry_after_ms: wait }
}

/// What people are told of: an error that is new, and a window that moved.
fn news(known: &AriStatus, said: &AriStatus) -> Option<Event> {
    if let Some(error) = said.error.as_ref().filter(|_| said.error != known.error) {
        let text = format!("The CA did not say when the certificate should be renewed: {error}");
        return Some(Event::warning("ARIError", text));
    }
    let (start, end) = said.window.filter(|_| said.window != known.window)?;
    known.window?;
    let page = said.explanation.as_ref().map(|page| format!("; it explains why at {page}"));
    let text = format!(
        "The CA moved the renewal of the certificate to between {} and {}{}",
        rfc3339(start),
        rfc3339(end),
        page.unwrap_or_default()
    );
    Some(Event::normal("RenewalMoved", text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use everleaf_acme::{RetryAfter, Window};

    fn answer(page: &str) -> CaAnswer<RenewalInfo> {
        let at = |text: &str| text.parse().expect("an instant");
        let suggested_window =
            Window { start: at("2026-01-01T00:00:00.2Z"), end: at("2026-01-01T00:00:00.7Z") };
        let value = RenewalInfo { suggested_window, explanation_url: Some(page.to_owned()) };
        CaAnswer { value, retry_after: Some(RetryAfter::Seconds(u64::MAX)), date: None }
    }

    #[test]
    fn a_window_within_a_second_keeps_an_inside_and_no_pause_overflows() {
        let told = told(&answer("https://ca.test/why"));
        let Said::Window { window: (start, end), explanation } = told.said else { panic!() };
        assert_eq!(end.since(start), 1000);
        assert_eq!(explanation.as_deref(), Some("https://ca.test/why"));
        assert_eq!(told.retry_after_ms, Some(i64::MAX));
    }

    #[test]
    fn an_explanation_that_is_no_page_is_left_out() {
        let long = format!("https://ca.test/{}", "x".repeat(LONGEST_URL));
        for page in ["javascript:alert(1)", "https://ca.test/\nReady", &long] {
            let Said::Window { explanation, .. } = told(&answer(page)).said else { panic!() };
            assert_eq!(explanation, None, "{page}");
        }
    }

    #[test]
    fn only_new_errors_and_moved_windows_are_said() {
        let window = |start| {
            let at = Timestamp::from_seconds;
            AriStatus { window: Some((at(start), at(start + 60))), ..AriStatus::default() }
        };
        let failed = AriStatus { error: Some("no answer".into()), ..window(100) };
        assert_eq!(news(&AriStatus::default(), &window(100)), None);
        assert!(news(&window(100), &window(50)).is_some_and(|event| !event.warning));
        assert!(news(&window(100), &failed).is_some_and(|event| event.warning));
        assert_eq!(news(&failed, &failed), None);
        assert_eq!(news(&failed, &window(100)), None);
    }
}
