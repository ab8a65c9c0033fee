//! Accounts: their keys made, themselves made or found, kept up to date.

use super::super::super::World;
use super::super::super::acme::{account_key_name, base_of, thumbprint};
use super::super::super::material::{self, SymKey};
use super::super::super::project;
use super::super::{Job, stale, written};
use super::{Fault, Halt, Told};
use crate::acme::{AccountView, Call, NewAccount, Reply, Status};
use crate::apiserver::Request;
use everleaf_api::names::everleaf as ours;
use everleaf_engine::{ObjectKey, Written};
use everleaf_nodes::acme::notes;
use everleaf_nodes::effect::Register;
use everleaf_nodes::facts::{Class, KeyKind, Kind};
use serde_json::{Value, json};

impl World {
    pub(super) fn register(&mut self, job: &mut Job, it: &Register) -> Told {
        let (key, made) = self.key_to_register(job, it)?;
        let mut wrote = if it.trusted_hash.as_deref() == Some(&*key.fp) {
            self.note_verified(job, it)?
        } else {
            let account = self.find_or_register(job, it, &key)?;
            self.write_account(job, it, &account, &key)?
        };
        wrote.extend(made);
        Ok(wrote)
    }

    fn key_to_register(
        &mut self,
        job: &mut Job,
        it: &Register,
    ) -> Result<(SymKey, Option<Written<Kind>>), Halt> {
        let at = &it.account.key.secret;
        if let Some(found) = self.fetch(job, at)? {
            let broken = || Fault::new(Class::User, "the account key cannot be used");
            let key = material::key_of(&found);
            return Ok((key.ok_or_else(|| Halt::from(broken()))?, None));
        }
        if !it.generate {
            return Err(Fault::new(Class::User, "the account key does not exist").into());
        }
        let made = self.make_account_key(job, at)?;
        let found = self.fetch(job, at)?.and_then(|secret| material::key_of(&secret));
        Ok((found.ok_or_else(|| stale(at.clone()))?, made))
    }

    fn make_account_key(
        &mut self,
        job: &mut Job,
        at: &ObjectKey<Kind>,
    ) -> Result<Option<Written<Kind>>, Halt> {
        self.counts.keys += 1;
        let key = SymKey::new(&format!("k{}", self.counts.keys), KeyKind::Rsa(2048));
        let object = json!({ "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": { "name": *at.name, "namespace": *at.namespace,
                "labels": { "app.kubernetes.io/managed-by": "cert-manager" } },
            "data": { "tls.key": material::encode(&key) } });
        let request = Request::create("secrets", &at.namespace, object);
        match self.send(job, at, request) {
            Ok(response) => {
                self.echo(job, Kind::Secret, &response.body);
                Ok(Some(written(at.clone(), &response.body)))
            }
            // Another was first: its key is as good.
            Err(refusal) if refusal.code == 409 => Ok(None),
            Err(refusal) => Err(refusal.outcome.into()),
        }
    }

    fn find_or_register(
        &mut self,
        job: &mut Job,
        it: &Register,
        key: &SymKey,
    ) -> Result<AccountView, Halt> {
        let contacts: Vec<String> = match it.email.to_ascii_lowercase() {
            email if email.is_empty() => Vec::new(),
            email => vec![format!("mailto:{email}")],
        };
        let new = NewAccount {
            key: account_key_name(key),
            thumbprint: thumbprint(key),
            contacts: contacts.clone(),
            terms_agreed: true,
            ..NewAccount::default()
        };
        let directory = &it.account.directory;
        let Reply::Account(found) = self.ask(job, directory, key, Call::NewAccount(new))?.reply
        else {
            return Err(Fault::new(Class::Transient, "that is no account").into());
        };
        if found.status != Status::Valid {
            return Err(Fault::new(Class::User, "the account is deactivated").into());
        }
        if !found.created && found.contacts != contacts {
            let (account, contacts) = (found.id, Some(contacts));
            let update = Call::Account { account, contacts, deactivate: false };
            self.ask(job, directory, key, update)?;
        }
        Ok(found)
    }

    fn note_verified(&mut self, job: &mut Job, it: &Register) -> super::Done {
        let text = notes::verified_text(it.verified, &job.order.effect.base.uid);
        self.annotate(job, ours::ACME_ACCOUNT, &text)
    }

    fn write_account(
        &mut self,
        job: &mut Job,
        it: &Register,
        account: &AccountView,
        key: &SymKey,
    ) -> super::Done {
        let conditions: Value = serde_json::from_str(&it.conditions).unwrap_or_default();
        let base = base_of(&it.account.directory);
        let status = json!({ "conditions": conditions, "acme": {
            "uri": format!("{base}/acct/{}", account.id),
            "lastRegisteredEmail": *it.email,
            "lastPrivateKeyHash": *key.fp } });
        // Unlike statuses of one word, this one is always written whole.
        let subject = job.subject().clone();
        let uid = &job.order.effect.base.uid;
        let patch = json!({ "metadata": { "uid": **uid }, "status": status });
        let resource = project::resource(subject.kind);
        let request = Request::merge(resource, &subject.namespace, &subject.name, patch);
        let old = self.peek(&subject).map(|found| found["status"].clone());
        if old.is_none_or(|old| old["acme"] != status_of(&request)) {
            // The note that follows is what shows it.
            let seen = job.seen.len();
            self.write(job, subject, request.on_status())?;
            job.seen.truncate(seen);
        }
        self.note_verified(job, it)
    }
}

fn status_of(request: &Request) -> Value {
    request.body["status"]["acme"].clone()
}
