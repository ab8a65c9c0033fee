//! Authorizations and their challenges.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::call::{
    AccountId, AuthorizationId, AuthorizationView, ChallengeKind, ChallengeView, Reply, Status,
};
use super::config::Profile;
use super::fault::Fault;
use super::identifier::Identifier;
use super::problem::Problem;
use super::{Ca, Work};

#[derive(Clone, Debug)]
pub(super) struct Authorization {
    pub(super) id: AuthorizationId,
    pub(super) account: AccountId,
    pub(super) identifier: Identifier,
    status: Status,
    pub(super) expires: i64,
    /// How long it can be used once it is valid.
    pub(super) reuse: i64,
    pub(super) validated: Option<i64>,
    pub(super) challenges: Vec<ChallengeView>,
}

impl Authorization {
    pub(super) fn status(&self, now: i64) -> Status {
        match self.status {
            Status::Pending | Status::Valid if now >= self.expires => Status::Expired,
            status => status,
        }
    }

    /// Which challenge proved it.
    pub(super) fn proof(&self) -> Option<ChallengeKind> {
        let valid = self.challenges.iter().find(|it| it.status == Status::Valid);
        valid.map(|challenge| challenge.kind)
    }

    fn view(&self, now: i64) -> AuthorizationView {
        AuthorizationView {
            id: self.id,
            identifier: self.identifier.clone(),
            status: self.status(now),
            expires: self.expires,
            challenges: self.challenges.clone(),
        }
    }
}

/// Whose, for what, under which profile.
type Use = (AccountId, Identifier, String);

#[derive(Default)]
pub(super) struct Authorizations {
    by_id: BTreeMap<AuthorizationId, Authorization>,
    /// The last one for each use.
    last: BTreeMap<Use, AuthorizationId>,
    made: u64,
    /// Identifiers paused for accounts.
    pub(super) paused: BTreeSet<String>,
}

impl Authorizations {
    pub(super) fn get(&self, id: AuthorizationId) -> Option<&Authorization> {
        self.by_id.get(&id)
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    fn owned(
        &mut self,
        account: AccountId,
        id: AuthorizationId,
    ) -> Result<&mut Authorization, Problem> {
        let found = self.by_id.get_mut(&id).filter(|it| it.account == account);
        found.ok_or_else(|| Problem::not_found("authorization"))
    }

    pub(super) fn forget(&mut self, before: i64) {
        self.by_id.retain(|_, it| it.expires >= before);
        let by_id = &self.by_id;
        self.last.retain(|_, id| by_id.contains_key(id));
    }

    /// The challenge's end: `at` is when, `outcome` how.
    pub(super) fn conclude(
        &mut self,
        at: i64,
        id: AuthorizationId,
        kind: ChallengeKind,
        outcome: Result<(), Problem>,
    ) {
        let Some(authorization) = self.by_id.get_mut(&id) else { return };
        let of_kind = |it: &&mut ChallengeView| it.kind == kind;
        let Some(challenge) = authorization.challenges.iter_mut().find(of_kind) else { return };
        challenge.validated = Some(at);
        match outcome {
            Ok(()) => {
                challenge.status = Status::Valid;
                authorization.status = Status::Valid;
                authorization.validated = Some(at);
                authorization.expires = at + authorization.reuse;
                authorization.challenges.retain(|it| it.kind == kind);
            }
            Err(problem) => {
                challenge.status = Status::Invalid;
                challenge.error = Some(problem);
                authorization.status = Status::Invalid;
            }
        }
    }
}

impl Ca {
    /// An authorization for a new order: one that is there, if it may be used again, or a new one.
    pub(super) fn authorize(
        &mut self,
        now: i64,
        account: AccountId,
        identifier: &Identifier,
        (name, profile): (&str, &Profile),
        fault: Fault,
    ) -> AuthorizationId {
        let key = (account, identifier.clone(), name.to_owned());
        let forced = fault == Fault::ReuseAuthorizations;
        let last = self.authorizations.last.get(&key).and_then(|id| self.authorizations.get(*id));
        let usable = |it: &&Authorization| match it.status(now) {
            Status::Valid => forced || profile.reuse > 0,
            Status::Pending => forced || self.config.reuses_pending,
            _ => false,
        };
        if let Some(found) = last.filter(usable) {
            return found.id;
        }
        self.authorizations.made += 1;
        let id = self.authorizations.made;
        let made = Authorization {
            id,
            account,
            identifier: identifier.clone(),
            status: Status::Pending,
            expires: now + profile.pending_life,
            // One that cannot be used again must still last for its own order.
            reuse: if profile.reuse > 0 { profile.reuse } else { profile.order_life },
            validated: None,
            challenges: self.challenges_for(id, identifier),
        };
        self.authorizations.by_id.insert(id, made);
        self.authorizations.last.insert(key, id);
        id
    }

    fn challenges_for(
        &mut self,
        authorization: AuthorizationId,
        identifier: &Identifier,
    ) -> Vec<ChallengeView> {
        let octets: Vec<u8> = (0..4).flat_map(|_| self.rng.draw().to_be_bytes()).collect();
        let token = URL_SAFE_NO_PAD.encode(octets);
        let kinds = ChallengeKind::ALL.into_iter().filter(|kind| kind.fits(identifier));
        let challenge = |kind| ChallengeView {
            authorization,
            kind,
            status: Status::Pending,
            token: token.clone(),
            validated: None,
            error: None,
        };
        kinds.map(challenge).collect()
    }

    pub(super) fn look_at_authorization(
        &mut self,
        now: i64,
        account: AccountId,
        id: AuthorizationId,
        deactivate: bool,
    ) -> Result<Reply, Problem> {
        let found = self.authorizations.owned(account, id)?;
        if deactivate {
            if !matches!(found.status(now), Status::Pending | Status::Valid) {
                return Err(Problem::malformed("only pending and valid ones can be deactivated"));
            }
            found.status = Status::Deactivated;
        }
        Ok(Reply::Authorization(found.view(now)))
    }

    pub(super) fn challenge(
        &mut self,
        now: i64,
        account: AccountId,
        id: AuthorizationId,
        kind: ChallengeKind,
        trigger: bool,
    ) -> Result<Reply, Problem> {
        let found = self.authorizations.owned(account, id)?;
        let status = found.status(now);
        let challenge = found.challenges.iter_mut().find(|challenge| challenge.kind == kind);
        let challenge = challenge.ok_or_else(|| Problem::not_found("challenge"))?;
        if trigger && !matches!(status, Status::Pending | Status::Valid) {
            let text =
                format!("Unable to update challenge :: authorization is {}", status.as_str());
            return Err(Problem::malformed(text));
        }
        let begins = trigger && status == Status::Pending && challenge.status == Status::Pending;
        if begins {
            challenge.status = Status::Processing;
        }
        let view = challenge.clone();
        if begins {
            self.begin(now, self.config.validation, Work::Validate(id, kind));
        }
        Ok(Reply::Challenge(view))
    }
}
