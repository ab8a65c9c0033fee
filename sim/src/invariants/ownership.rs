//! I09, I10, I11, I13: what is ours.

use super::model;
use super::{Invariant, Watcher};
use crate::world::event::{Actor, Event, Wrote};
use crate::world::project::text;
use crate::world::{OPERATOR_NAMESPACE, World};
use everleaf_api::names;
use everleaf_nodes::Do;
use everleaf_nodes::facts::Kind;
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(OwnOnly),
        Box::<OneWriter>::default(),
        Box::new(Tenancy),
        Box::new(IdempotentNames),
    ]
}

/// I09: we delete what names us as owner, and write no field of others.
struct OwnOnly;

impl OwnOnly {
    fn keeps_others(before: &Value, after: &Value) -> Result<(), String> {
        let ours = |key: &str| {
            key.starts_with("cert-manager.io/") || key.starts_with("controller.cert-manager.io/")
        };
        let data = |key: &str| matches!(key, "tls.crt" | "tls.key" | "ca.crt");
        let places: [(&str, &dyn Fn(&str) -> bool); 3] =
            [("/metadata/labels", &ours), ("/metadata/annotations", &ours), ("/data", &data)];
        for (place, ours) in places {
            let before = before.pointer(place).and_then(Value::as_object);
            let after = after.pointer(place);
            let others = before.into_iter().flatten().filter(|(key, _)| !ours(key));
            for (key, value) in others {
                if after.and_then(|after| after.get(key)) != Some(value) {
                    return Err(format!("{place}/{key} is not ours, but was changed"));
                }
            }
        }
        Ok(())
    }
}

impl Invariant for OwnOnly {
    fn id(&self) -> &'static str {
        "I09"
    }

    fn look(&mut self, _: &World, _: &Watcher, event: &Event) -> Result<(), String> {
        if let Event::Recorded { name, value, gone, .. } = event {
            return super::acme::keeps_records(name, value, gone);
        }
        let Event::Wrote(wrote) = event else { return Ok(()) };
        let Wrote { actor: Actor::Replica(_), order: Some(order), before: Some(before), .. } =
            wrote
        else {
            return Ok(());
        };
        match &wrote.after {
            // Somebody deleted it; it was kept for a finalizer of ours.
            None if model::is_deleting(before) => Ok(()),
            None => {
                let owner = model::controller(before);
                let ours = owner == Some(&*order.effect.base.uid);
                let name = model::name(before);
                if ours { Ok(()) } else { Err(format!("deleted {name}, which {owner:?} owns")) }
            }
            Some(after) if wrote.kind == Kind::Secret => Self::keeps_others(before, after),
            Some(_) => Ok(()),
        }
    }
}

/// I10: of all Certificates that name one Secret, one writes it.
#[derive(Default)]
struct OneWriter {
    /// By namespace and Secret: who owns it, since when.
    owners: BTreeMap<(String, String), (String, i64)>,
}

impl OneWriter {
    fn settle(&mut self, world: &World, namespace: &str, secret: &str) {
        let key = (namespace.to_owned(), secret.to_owned());
        let Some(owner) = model::owner(world, namespace, secret) else {
            self.owners.remove(&key);
            return;
        };
        if self.owners.get(&key).is_none_or(|(was, _)| *was != owner) {
            self.owners.insert(key, (owner, world.now));
        }
    }

    fn losers_know(&self, world: &World) -> Result<(), String> {
        for certificate in world.all(Kind::Certificate) {
            let secret = text(&certificate, "/spec/secretName");
            let owner = model::owner(world, model::namespace(&certificate), secret);
            let Some(owner) = owner else { continue };
            if owner == model::name(&certificate) {
                continue;
            }
            let told = model::condition(&certificate, "Ready")
                .filter(|ready| ready["reason"] == "IncorrectCertificate")
                .and_then(|ready| ready["message"].as_str());
            if !told.is_some_and(|message| message.contains(&owner)) {
                let name = model::name(&certificate);
                return Err(format!("{name} is not told that {owner} owns its Secret"));
            }
        }
        Ok(())
    }
}

impl Invariant for OneWriter {
    fn id(&self) -> &'static str {
        "I10"
    }

    fn look(&mut self, world: &World, _: &Watcher, event: &Event) -> Result<(), String> {
        match event {
            Event::Wrote(wrote) => {
                let objects = [wrote.before.as_deref(), wrote.after.as_deref()];
                for object in objects.into_iter().flatten() {
                    let secret = match wrote.kind {
                        Kind::Certificate => text(object, "/spec/secretName"),
                        Kind::Secret => model::name(object),
                        _ => continue,
                    };
                    self.settle(world, model::namespace(object), secret);
                }
                Ok(())
            }
            Event::Started { order, .. } => {
                if !matches!(order.effect.action, Do::CreateRequest(_) | Do::Store(_)) {
                    return Ok(());
                }
                let subject = &order.effect.subject;
                let Some(certificate) = world.peek(subject) else { return Ok(()) };
                let secret = text(&certificate, "/spec/secretName").to_owned();
                let owner = model::owner(world, &subject.namespace, &secret);
                if owner.is_none_or(|owner| *owner == *subject.name) {
                    return Ok(());
                }
                let known = self.owners.get(&(subject.namespace.to_string(), secret));
                match known {
                    Some((owner, since))
                        if *owner != *subject.name && world.now - since > super::lag(world) =>
                    {
                        Err(format!("{subject} issues, but {owner} owns the Secret"))
                    }
                    _ => Ok(()),
                }
            }
            Event::End => self.losers_know(world),
            _ => Ok(()),
        }
    }
}

/// I11: an Issuer signs with a Secret of its own namespace.
struct Tenancy;

impl Invariant for Tenancy {
    fn id(&self) -> &'static str {
        "I11"
    }

    fn look(&mut self, world: &World, _: &Watcher, event: &Event) -> Result<(), String> {
        let Event::Signed { order, secret, .. } = event else { return Ok(()) };
        let subject = &order.effect.subject;
        let Some(request) = world.peek(subject) else { return Ok(()) };
        let cluster = text(&request, "/spec/issuerRef/kind") == "ClusterIssuer";
        let allowed = if cluster { OPERATOR_NAMESPACE } else { &*subject.namespace };
        if *secret.namespace == *allowed {
            return Ok(());
        }
        Err(format!("{subject} was signed with {secret}"))
    }
}

/// I13: children are named as cert-manager names them, and marked as ours.
struct IdempotentNames;

impl Invariant for IdempotentNames {
    fn id(&self) -> &'static str {
        "I13"
    }

    fn look(&mut self, _: &World, _: &Watcher, event: &Event) -> Result<(), String> {
        if let Event::Adopted { order, object, .. } = event {
            let Do::CreateRequest(new) = &order.effect.action else { return Ok(()) };
            let marks = [
                names::everleaf::ATTEMPT,
                names::everleaf::INPUT_DIGEST,
                names::everleaf::OWNER_UID,
            ];
            for mark in marks {
                let is = object["metadata"]["annotations"][mark].as_str();
                let wanted = new.annotations.get(mark).map(|value| &**value);
                if is != wanted {
                    return Err(format!("{} was adopted with {mark} {is:?}", new.name));
                }
            }
            let owned = model::controller(object) == Some(&*order.effect.base.uid);
            return if owned { Ok(()) } else { Err(format!("{} is another's", new.name)) };
        }
        let Some((request, order, _)) = model::requested(event) else { return Ok(()) };
        let mark = |key: &str| request["metadata"]["annotations"][key].as_str().unwrap_or_default();
        let revision: i64 = mark(names::CERTIFICATE_REVISION).parse().unwrap_or(0);
        let expected = names::certificate_request(&order.effect.subject.name, revision);
        let name = model::name(request);
        if name != expected {
            return Err(format!("{name} should be named {expected}"));
        }
        let attempt: i64 = mark(names::everleaf::ATTEMPT).parse().unwrap_or(0);
        let digest = mark(names::everleaf::INPUT_DIGEST);
        let owner = mark(names::everleaf::OWNER_UID);
        if attempt < 1 || digest.len() != 16 || Some(owner) != model::controller(request) {
            return Err(format!("{name} is marked {attempt}, {digest:?}, {owner:?}"));
        }
        Ok(())
    }
}
