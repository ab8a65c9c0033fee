//! Certification Authority Authorization (RFC 8659, with the parameters of RFC 8657).

use super::Ca;
use super::call::{AccountId, ChallengeKind};
use super::identifier::Identifier;
use super::problem::{ErrorKind, Problem};
use super::validation::{CaaRecord, Validation};

/// Labels of a name that are climbed at most.
const MAX_LABELS: usize = 128;

impl Ca {
    /// Whether CAA records, seen at `at` from `from`, allow this CA to issue a name for an account
    /// that proves it so.
    ///
    /// # Errors
    /// [`ErrorKind::Caa`] if they forbid it, [`ErrorKind::Dns`] if they cannot be had.
    pub fn may_issue(
        &self,
        (at, from): (i64, usize),
        account: AccountId,
        identifier: &Identifier,
        kind: ChallengeKind,
        world: &mut dyn Validation,
    ) -> Result<(), Problem> {
        self.check_caa(at, from, account, identifier, kind, world)
    }

    /// Whether CAA records allow this CA to issue for a name.
    pub(super) fn check_caa(
        &self,
        at: i64,
        from: usize,
        account: AccountId,
        identifier: &Identifier,
        kind: ChallengeKind,
        world: &mut dyn Validation,
    ) -> Result<(), Problem> {
        // IP addresses have no CAA records that CAs look at.
        let Identifier::Dns(_) = identifier else { return Ok(()) };
        if self.config.caa_identities.is_empty() {
            return Ok(());
        }
        let base = identifier.base();
        let Some((found_at, records)) = relevant(at, from, &base, world)? else { return Ok(()) };
        let asker = Asker {
            identities: &self.config.caa_identities,
            account: self.account_url(account),
            wildcard: identifier.is_wildcard(),
            kind,
        };
        if asker.is_allowed(&records) {
            return Ok(());
        }
        let text = format!(
            "While processing CAA for {identifier}: CAA record for {found_at} prevents issuance"
        );
        Err(Problem::new(ErrorKind::Caa, text))
    }
}

/// The closest set of CAA records from the name upwards, and where it was found.
fn relevant(
    at: i64,
    from: usize,
    name: &str,
    world: &mut dyn Validation,
) -> Result<Option<(String, Vec<CaaRecord>)>, Problem> {
    let mut name = name;
    for _ in 0..MAX_LABELS {
        let records = world.caa(at, from, name).map_err(|why| {
            let text = format!("While processing CAA for {name}: {why}");
            Problem::new(ErrorKind::Dns, text)
        })?;
        if !records.is_empty() {
            return Ok(Some((name.to_owned(), records)));
        }
        let Some((_, above)) = name.split_once('.') else { break };
        name = above;
    }
    Ok(None)
}

/// Who wants to issue, and how it was proved.
struct Asker<'a> {
    identities: &'a [String],
    account: String,
    wildcard: bool,
    kind: ChallengeKind,
}

impl Asker<'_> {
    fn is_allowed(&self, records: &[CaaRecord]) -> bool {
        let is = |record: &CaaRecord, tag: &str| record.tag.eq_ignore_ascii_case(tag);
        let known =
            |record: &CaaRecord| ["issue", "issuewild", "iodef"].iter().any(|tag| is(record, tag));
        if records.iter().any(|record| record.critical && !known(record)) {
            return false;
        }
        let wild = self.wildcard && records.iter().any(|record| is(record, "issuewild"));
        let tag = if wild { "issuewild" } else { "issue" };
        let mut properties = records.iter().filter(|record| is(record, tag)).peekable();
        properties.peek().is_none() || properties.any(|record| self.matches(&record.value))
    }

    fn matches(&self, value: &str) -> bool {
        let mut parts = value.split(';').map(str::trim);
        let domain = parts.next().unwrap_or_default();
        self.identities.iter().any(|it| it.eq_ignore_ascii_case(domain))
            && parts.filter(|part| !part.is_empty()).all(|part| self.permits(part))
    }

    fn permits(&self, parameter: &str) -> bool {
        let Some((name, value)) = parameter.split_once('=') else { return false };
        match name.trim() {
            "accounturi" => value.trim() == self.account,
            "validationmethods" => {
                value.split(',').any(|method| method.trim() == self.kind.as_str())
            }
            _ => true,
        }
    }
}
