//! Approvers, issuers of another group, and the key pairs of CAs.

use super::config::{Answer, DAY, HOUR};
use super::event::Actor;
use super::material::{self, SymCert, SymCsr, SymKey};
use super::project::{self, text};
use super::{Action, World};
use crate::apiserver::{Request, rfc3339};
use everleaf_api::GoDuration;
use everleaf_engine::ObjectKey;
use everleaf_nodes::facts::{KeyKind, Kind, Names};
use serde_json::{Value, json};

/// The group of the issuer that is not ours.
pub const FOREIGN_GROUP: &str = "sim.example.com";

const WRONG: [Answer; 10] = [
    Answer::WrongKey,
    Answer::OtherNames,
    Answer::Expired,
    Answer::NotYetValid,
    Answer::Short,
    Answer::Backdated,
    Answer::Disordered,
    Answer::Failed,
    Answer::Invalid,
    Answer::Silent,
];

fn has_condition(request: &Value, kind: &str) -> bool {
    let conditions = request["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|c| c["type"] == *kind && c["status"] == "True")
}

fn is_answered(request: &Value) -> bool {
    let conditions = request["status"]["conditions"].as_array();
    let terminal = ["Issued", "Failed", "Denied"];
    let mut all = conditions.into_iter().flatten();
    all.any(|c| {
        (c["type"] == "Ready" && terminal.iter().any(|reason| c["reason"] == **reason))
            || (c["type"] == "InvalidRequest" && c["status"] == "True")
    })
}

impl World {
    /// Approvers and foreign issuers see a request.
    pub(super) fn others_notice(&mut self, request: &Value) {
        let key = project::identity(Kind::CertificateRequest, request).key;
        let decided = has_condition(request, "Approved") || has_condition(request, "Denied");
        if !self.config.approve && !decided {
            let delay = self.users.between(50, 30_000);
            return self.after(delay, Action::Approve { key });
        }
        let foreign = text(request, "/spec/issuerRef/group") == FOREIGN_GROUP;
        if foreign && has_condition(request, "Approved") && !is_answered(request) {
            let delay = self.users.between(50, 20_000);
            self.after(delay, Action::Answer { key });
        }
    }

    /// An approver decides.
    pub(super) fn approve(&mut self, key: &ObjectKey<Kind>) {
        let Some(request) = self.peek(key) else { return };
        if has_condition(&request, "Approved") || has_condition(&request, "Denied") {
            return;
        }
        let deny = self.faulty && self.config.faults.wrong_answer && self.users.chance(100);
        let kind = if deny { "Denied" } else { "Approved" };
        let condition = json!({ "type": kind, "status": "True", "reason": "policy",
            "message": "an approver decided", "lastTransitionTime": rfc3339(self.now) });
        self.add_conditions(Actor::Approver, key, &request, vec![condition], json!({}));
    }

    fn add_conditions(
        &mut self,
        actor: Actor,
        key: &ObjectKey<Kind>,
        request: &Value,
        new: Vec<Value>,
        mut status: Value,
    ) {
        let mut conditions =
            request["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.retain(|old| new.iter().all(|new| new["type"] != old["type"]));
        conditions.extend(new);
        status["conditions"] = json!(conditions);
        let version = &request["metadata"]["resourceVersion"];
        let patch = json!({ "metadata": { "resourceVersion": version }, "status": status });
        let resource = project::resource(key.kind);
        let request = Request::merge(resource, &key.namespace, &key.name, patch);
        self.call(actor, None, request.on_status().from_agent("somebody-else"));
    }

    /// An issuer of another group answers.
    pub(super) fn answer_foreign(&mut self, key: &ObjectKey<Kind>) {
        let Some(request) = self.peek(key) else { return };
        if is_answered(&request) || !has_condition(&request, "Approved") {
            return;
        }
        let wrong = self.faulty && self.config.faults.wrong_answer && self.users.chance(500);
        let drawn = if wrong { self.users.pick(&WRONG).copied() } else { None };
        let revision = &request["metadata"]["annotations"]["cert-manager.io/certificate-revision"];
        let revision: i64 = revision.as_str().and_then(|text| text.parse().ok()).unwrap_or(0);
        let told = self.config.answer.filter(|(_, from)| revision >= *from);
        let answer = told.map(|(answer, _)| answer).or(drawn).unwrap_or(Answer::Good);
        if answer != Answer::Good {
            self.note(format_args!("the foreign issuer answers {key} with {answer:?}"));
        }
        let now = rfc3339(self.now);
        let ready = |status: &str, reason: &str| {
            json!({ "type": "Ready", "status": status, "reason": reason,
                "message": "the foreign issuer says so", "lastTransitionTime": now })
        };
        let (conditions, status) = match answer {
            Answer::Silent => return,
            Answer::Failed => (vec![ready("False", "Failed")], json!({ "failureTime": now })),
            Answer::Invalid => {
                let mut invalid = ready("True", "Policy");
                invalid["type"] = json!("InvalidRequest");
                (vec![invalid], json!({}))
            }
            answer => {
                let Some(chain) = self.foreign_chain(&request, answer) else { return };
                let chain = json!({ "certificate": material::encode(&chain) });
                (vec![ready("True", "Issued")], chain)
            }
        };
        self.add_conditions(Actor::ForeignIssuer, key, &request, conditions, status);
    }

    fn foreign_chain(&mut self, request: &Value, answer: Answer) -> Option<Vec<SymCert>> {
        let csr = material::decode::<SymCsr>(&request["spec"]["request"]);
        let csr = csr.good()?;
        let asked = text(request, "/spec/duration").parse::<GoDuration>();
        let asked = asked.map_or(90 * DAY, |duration| duration.nanos() / 1_000_000);
        let now = self.now;
        let (begin, end) = match answer {
            Answer::Expired => (now - asked, now - HOUR),
            Answer::NotYetValid => (now + HOUR, now + HOUR + asked),
            Answer::Short => (now, now + (asked / 10).max(HOUR)),
            Answer::Backdated => (now - HOUR, now + asked),
            _ => (now, now + asked),
        };
        self.counts.serials += 1;
        let intermediate = ca_certificate("foreign-intermediate", "foreign-root", 0);
        let mut leaf = SymCert {
            serial: self.counts.serials,
            fp: csr.fp.clone(),
            kind: csr.kind,
            signer: intermediate.fp.clone(),
            common_name: csr.common_name.clone(),
            names: csr.names.clone(),
            not_before: begin.div_euclid(1000),
            not_after: end.div_euclid(1000),
            is_ca: request["spec"]["isCA"] == true,
            usages: Vec::new(),
            ari: None,
        };
        match answer {
            Answer::WrongKey => leaf.fp = "somebody-elses-key".into(),
            Answer::OtherNames => {
                leaf.names = Names { dns: vec!["other.example.org".into()], ..Names::default() };
            }
            _ => {}
        }
        let stranger = ca_certificate("stranger", "stranger", 0);
        Some(match answer {
            Answer::Disordered => {
                vec![leaf.clone(), stranger, intermediate.clone(), leaf, intermediate]
            }
            _ => vec![leaf, intermediate],
        })
    }

    /// A CA's key pair is deleted; it comes back later.
    pub(super) fn lose_ca(&mut self) {
        let pairs =
            [("app", "ca-pair"), ("shop", "ca-pair"), (super::OPERATOR_NAMESPACE, "cluster-pair")];
        let Some(&(namespace, name)) = self.faults.pick(&pairs) else { return };
        let key = ObjectKey::new(Kind::Secret, namespace, name);
        self.delete_as(Actor::User, &key);
        let back = self.faults.between(60_000, 12 * HOUR);
        self.after(back, Action::RestoreCa { namespace, name });
    }

    /// A CA's key pair is put in place, a new one if there is none.
    pub(super) fn restore_ca(&mut self, namespace: &'static str, name: &'static str) {
        if self.server.peek("secrets", namespace, name).is_none() {
            let lifetime = 5 * 365 * DAY;
            self.put_ca(namespace, name, lifetime);
        }
    }

    /// A new key pair of a CA, whether or not there was one before.
    pub(crate) fn put_ca(&mut self, namespace: &str, name: &str, lifetime: i64) {
        self.counts.keys += 1;
        let fp = format!("ca{}", self.counts.keys);
        let key = SymKey::new(&fp, KeyKind::Ecdsa(256));
        let mut own = ca_certificate(&fp, &fp, self.now);
        own.not_after = (self.now + lifetime).div_euclid(1000);
        self.counts.serials += 1;
        own.serial = self.counts.serials;
        let data =
            json!({ "tls.crt": material::encode(&[&own]), "tls.key": material::encode(&key) });
        let object = json!({ "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": { "name": name, "namespace": namespace }, "data": data });
        if self.server.peek("secrets", namespace, name).is_some() {
            let patch = json!({ "data": data });
            self.call(Actor::User, None, Request::merge("secrets", namespace, name, patch));
        } else {
            self.call(Actor::User, None, Request::create("secrets", namespace, object));
        }
    }
}

pub(super) fn ca_certificate(fp: &str, signer: &str, now: i64) -> SymCert {
    SymCert {
        serial: 0,
        fp: fp.into(),
        kind: KeyKind::Ecdsa(256),
        signer: signer.into(),
        common_name: fp.into(),
        names: Names::default(),
        not_before: now.div_euclid(1000),
        not_after: i64::from(u32::MAX),
        is_ca: true,
        usages: Vec::new(),
        ari: None,
    }
}
