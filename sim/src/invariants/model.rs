//! The rules' own reading of the cluster, written from the API's documentation and without the
//! code that is being checked.

use crate::world::World;
use crate::world::event::{Actor, Event, Order, Wrote};
use crate::world::material::{self, SymCert, SymCsr, SymKey};
use crate::world::project::text;
use everleaf_api::{GoDuration, Time};
use everleaf_engine::ObjectKey;
use everleaf_nodes::facts::{KeyKind, Kind};
use everleaf_nodes::{Do, effect};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// A store that a replica just wrote.
pub(super) struct Stored<'a> {
    pub certificate: Arc<Value>,
    pub before: Option<&'a Value>,
    pub after: &'a Value,
    pub key: Option<SymKey>,
    pub chain: Vec<SymCert>,
    pub csr: Option<SymCsr>,
}

/// A Secret that was just written for a Store effect, if the event is that.
pub(super) fn stored<'a>(world: &World, event: &'a Event) -> Option<Stored<'a>> {
    let Event::Wrote(Wrote { actor: Actor::Replica(_), order: Some(order), after, before, .. }) =
        event
    else {
        return None;
    };
    let Do::Store(store) = &order.effect.action else { return None };
    let after: &Value = after.as_deref()?;
    let certificate = world.peek(&order.effect.subject)?;
    let namespace = &order.effect.subject.namespace;
    let request =
        ObjectKey::new(Kind::CertificateRequest, namespace.clone(), store.request.clone());
    let request = world.peek(&request);
    let csr = request.and_then(|r| csr_of(&r));
    Some(Stored {
        certificate,
        before: before.as_deref(),
        after,
        key: material::key_of(after),
        chain: material::chain_of(after),
        csr,
    })
}

/// A request that a replica just created, and for what.
pub(super) fn requested(event: &Event) -> Option<(&Value, &Order, &effect::NewRequest)> {
    let Event::Wrote(Wrote { order: Some(order), before: None, after: Some(after), .. }) = event
    else {
        return None;
    };
    match &order.effect.action {
        Do::CreateRequest(new) => Some((after, order, new)),
        _ => None,
    }
}

pub(super) fn csr_of(request: &Value) -> Option<SymCsr> {
    material::decode::<SymCsr>(&request["spec"]["request"]).good().cloned()
}

/// A time in an object, in milliseconds since 1970.
pub(super) fn time(value: &Value) -> Option<i64> {
    value.as_str()?.parse::<Time>().ok().map(|time| time.unix() * 1000)
}

/// A duration in a spec, in milliseconds.
pub(super) fn duration(value: &Value) -> Option<i64> {
    value.as_str()?.parse::<GoDuration>().ok().map(|duration| duration.nanos() / 1_000_000)
}

pub(super) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = object["status"]["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == *kind)
}

/// The kind of key that a spec asks for.
pub(super) fn wanted_key(spec: &Value) -> KeyKind {
    let key = &spec["privateKey"];
    let size = key["size"].as_u64().and_then(|size| u32::try_from(size).ok());
    match key["algorithm"].as_str() {
        Some("ECDSA") => KeyKind::Ecdsa(size.unwrap_or(256)),
        Some("Ed25519") => KeyKind::Ed25519,
        _ => KeyKind::Rsa(size.unwrap_or(2048)),
    }
}

pub(super) fn rotates(spec: &Value) -> bool {
    spec["privateKey"]["rotationPolicy"] != "Never"
}

/// Names, folded to lower case.
fn folded<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    names.map(str::to_lowercase).collect()
}

/// Whether two lists of names are the same sets.
pub(super) fn same_names(
    a: &everleaf_nodes::facts::Names,
    b: &everleaf_nodes::facts::Names,
) -> bool {
    let set = |list: &[Arc<str>]| folded(list.iter().map(|name| &**name));
    let lists = [(&a.dns, &b.dns), (&a.ips, &b.ips), (&a.uris, &b.uris), (&a.emails, &b.emails)];
    lists.into_iter().all(|(a, b)| set(a) == set(b))
}

/// Whether a leaf is what a spec asks for: names, key, CA or not.
pub(super) fn conforms(spec: &Value, leaf: &SymCert) -> Result<(), String> {
    let list = |field: &str| spec[field].as_array().into_iter().flatten().filter_map(Value::as_str);
    let pairs = [
        ("dnsNames", &leaf.names.dns),
        ("ipAddresses", &leaf.names.ips),
        ("uris", &leaf.names.uris),
        ("emailAddresses", &leaf.names.emails),
    ];
    for (field, given) in pairs {
        let (wanted, given) = (folded(list(field)), folded(given.iter().map(|name| &**name)));
        if wanted != given {
            return Err(format!("{field}: wanted {wanted:?}, given {given:?}"));
        }
    }
    if wanted_key(spec) != leaf.kind {
        return Err(format!("key: wanted {:?}, given {:?}", wanted_key(spec), leaf.kind));
    }
    if (spec["isCA"] == true) != leaf.is_ca {
        return Err(format!("isCA: given {}", leaf.is_ca));
    }
    Ok(())
}

/// When a leaf is to be renewed: cert-manager's documentation, and never within the first
/// twentieth of its life or five minutes after it was got.
pub(super) fn renew_at(spec: &Value, leaf: &SymCert, got: i64) -> i64 {
    let (begin, end) = (leaf.not_before * 1000, leaf.not_after * 1000);
    let life = end - begin;
    let before = duration(&spec["renewBefore"]).filter(|before| 0 < *before && *before < life);
    let percent = spec["renewBeforePercentage"].as_i64().filter(|p| 0 < *p && *p < 100);
    let before = before.or(percent.map(|percent| life * percent / 100)).unwrap_or(life / 3);
    let desired = (end - before).div_euclid(1000) * 1000;
    let floor = got.max(begin) + (5 * MINUTE).max(life / 20);
    // With hardly any life left there is no room for the floor.
    let late = end - (end - got.max(begin)).max(0) / 3;
    desired.max(floor.min(late))
}

/// The requests that an object of that UID controls.
pub(super) fn requests_of(world: &World, namespace: &str, uid: &str) -> Vec<Arc<Value>> {
    let selector = crate::apiserver::Selector::all(Some(namespace));
    let all = world.server.objects("certificaterequests.cert-manager.io", &selector);
    all.into_iter().filter(|request| controller(request) == Some(uid)).collect()
}

pub(super) fn controller(object: &Value) -> Option<&str> {
    let owners = object["metadata"]["ownerReferences"].as_array()?;
    owners.iter().find(|owner| owner["controller"] == true)?["uid"].as_str()
}

pub(super) fn secret_of(world: &World, certificate: &Value) -> Option<Arc<Value>> {
    let namespace = text(certificate, "/metadata/namespace");
    world.server.peek("secrets", namespace, text(certificate, "/spec/secretName"))
}

pub(super) fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

pub(super) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

pub(super) fn namespace(object: &Value) -> &str {
    text(object, "/metadata/namespace")
}

pub(super) fn is_deleting(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

/// The name of the Certificate that owns a Secret that several may name.
pub(super) fn owner(world: &World, namespace_: &str, secret: &str) -> Option<String> {
    let selector = crate::apiserver::Selector::all(Some(namespace_));
    let all = world.server.objects("certificates.cert-manager.io", &selector);
    let rivals: Vec<_> =
        all.iter().filter(|c| text(c, "/spec/secretName") == secret && !is_deleting(c)).collect();
    let stored = world.server.peek("secrets", namespace_, secret);
    let said = stored.as_deref().and_then(|secret| {
        let annotations = &secret["metadata"]["annotations"];
        annotations["cert-manager.io/certificate-name"].as_str().map(str::to_owned)
    });
    let named = rivals.iter().find(|rival| Some(name(rival)) == said.as_deref());
    let oldest = || rivals.iter().min_by_key(|c| (text(c, "/metadata/creationTimestamp"), name(c)));
    let owner = named.or_else(oldest)?;
    Some(name(owner).to_owned())
}

/// Why, apart from the clock, a Certificate is to be issued anew.
pub(super) fn reason_to_issue(world: &World, certificate: &Value) -> Option<String> {
    let spec = &certificate["spec"];
    // What we say ourselves is found again from what it speaks of, and is no reason.
    let issuing = condition(certificate, "Issuing").filter(|c| c["status"] == "True");
    if issuing.is_some_and(|issuing| issuing["reason"] == "ManuallyTriggered") {
        return Some("Issuing=True".to_owned());
    }
    let Some(secret) = secret_of(world, certificate) else { return Some("no Secret".to_owned()) };
    let (key, leaf) = (material::key_of(&secret), material::leaf_of(&secret));
    let (Some(key), Some(leaf)) = (key, leaf) else { return Some("no pair".to_owned()) };
    if key.fp != leaf.fp {
        return Some("not a pair".to_owned());
    }
    if let Err(why) = conforms(spec, &leaf) {
        return Some(why);
    }
    let annotations = &secret["metadata"]["annotations"];
    let said = |name: &str| annotations[format!("cert-manager.io/{name}")].as_str();
    let wanted = |field: &str, default: &'static str| match spec["issuerRef"][field].as_str() {
        None | Some("") => default.to_owned(),
        Some(value) => value.to_owned(),
    };
    let given = |name: &str, default: &'static str| match said(name) {
        None | Some("") => default.to_owned(),
        Some(value) => value.to_owned(),
    };
    let same = given("issuer-name", "") == wanted("name", "")
        && given("issuer-kind", "Issuer") == wanted("kind", "Issuer")
        && given("issuer-group", "cert-manager.io") == wanted("group", "cert-manager.io");
    if !same || said("certificate-name") != Some(name(certificate)) {
        return Some("the Secret is another issuer's or Certificate's".to_owned());
    }
    let requests = requests_of(world, namespace(certificate), uid(certificate));
    let current = requests.iter().find(|request| {
        let chain = material::decode::<Vec<SymCert>>(&request["status"]["certificate"]);
        chain.good().and_then(|chain| chain.first()) == Some(&leaf)
    });
    let current = current?;
    let csr = csr_of(current)?;
    if *csr.common_name != *spec["commonName"].as_str().unwrap_or_default() {
        return Some("commonName".to_owned());
    }
    let (asked, wanted) = (duration(&current["spec"]["duration"]), duration(&spec["duration"]));
    match (asked, wanted) {
        (Some(asked), Some(wanted)) if asked != wanted => Some("duration".to_owned()),
        _ => None,
    }
}

/// What the rules remember of Certificates, by UID, as events go by.
#[derive(Default)]
pub struct Watcher {
    /// Whether there is a reason to issue, and when that was so last.
    troubled: BTreeMap<String, (bool, i64)>,
    /// When the spec last changed.
    edited: BTreeMap<String, i64>,
    /// When each leaf, by serial, was given.
    given: BTreeMap<u64, i64>,
}

impl Watcher {
    /// Takes note of an event.
    pub(super) fn see(&mut self, world: &World, event: &Event) {
        if let Event::Wrote(wrote) = event {
            self.see_write(world, wrote);
        }
    }

    fn see_write(&mut self, world: &World, wrote: &Wrote) {
        let Some(object) = wrote.after.as_deref().or(wrote.before.as_deref()) else { return };
        match wrote.kind {
            Kind::Certificate => {
                let generation = |o: Option<&Value>| o.map(|o| o["metadata"]["generation"].clone());
                let (before, after) = (wrote.before.as_deref(), wrote.after.as_deref());
                if before.is_some() && generation(before) != generation(after) {
                    self.edited.insert(uid(object).to_owned(), world.now);
                }
                if let Some(object) = after {
                    self.judge(world, object);
                }
            }
            Kind::Secret => self.judge_all(world, namespace(object), |certificate| {
                text(certificate, "/spec/secretName") == name(object)
            }),
            Kind::CertificateRequest => {
                let chain = material::decode::<Vec<SymCert>>(&object["status"]["certificate"]);
                if let Some(leaf) = chain.good().and_then(|chain| chain.first()) {
                    self.given.entry(leaf.serial).or_insert(world.now);
                }
                let owner = controller(object).unwrap_or_default();
                self.judge_all(world, namespace(object), |certificate| uid(certificate) == owner);
            }
            _ => {}
        }
    }

    fn judge_all(&mut self, world: &World, namespace_: &str, of: impl Fn(&Value) -> bool) {
        let selector = crate::apiserver::Selector::all(Some(namespace_));
        let all = world.server.objects("certificates.cert-manager.io", &selector);
        for certificate in all.iter().filter(|certificate| of(certificate)) {
            self.judge(world, certificate);
        }
    }

    fn judge(&mut self, world: &World, certificate: &Value) {
        let is = reason_to_issue(world, certificate).is_some();
        let (was, at) = self.troubled.get(uid(certificate)).copied().unwrap_or((true, world.now));
        let at = if is || was { world.now } else { at };
        self.troubled.insert(uid(certificate).to_owned(), (is, at));
    }

    /// Whether a reason to issue may have been seen lately.
    pub(super) fn was_troubled(&self, world: &World, uid: &str) -> bool {
        self.troubled.get(uid).is_none_or(|(is, at)| *is || world.now - at <= super::lag(world))
    }

    /// Whether the spec changed so lately that not everybody knows.
    pub(super) fn was_edited(&self, world: &World, uid: &str) -> bool {
        self.edited.get(uid).is_some_and(|at| world.now - at <= super::lag(world))
    }

    /// When a leaf was given; its own beginning if that was not seen.
    pub(super) fn got(&self, leaf: &SymCert) -> i64 {
        self.given.get(&leaf.serial).copied().unwrap_or(leaf.not_before * 1000)
    }
}

/// The ladder of errors that a person has to mend, after so many failures.
pub(super) fn ladder(failures: i64) -> i64 {
    let doublings = u32::try_from((failures - 1).clamp(0, 5)).unwrap_or(0);
    (HOUR << doublings).min(32 * HOUR)
}

/// The ladder of the class that a Certificate's own note names, after so many failures: a CA's own
/// failures are tried again within minutes at first, and what it wants to rest rests as it says.
pub(super) fn ladder_of(certificate: &Value, failures: i64) -> i64 {
    let note = &certificate["metadata"]["annotations"]["everleaf.dev/failure"];
    let note: Option<Value> = note.as_str().and_then(|text| serde_json::from_str(text).ok());
    let note = note.filter(|note| note["ownerUID"].as_str() == Some(uid(certificate)));
    match note.as_ref().and_then(|note| note["class"].as_str()) {
        Some("transient" | "wait") => {
            let steps = u32::try_from((failures - 1).clamp(0, 4)).unwrap_or(0);
            (MINUTE * 10_i64.pow(steps)).min(24 * HOUR)
        }
        // I16 asks for these.
        Some("rateLimited") => 0,
        _ => ladder(failures),
    }
}
