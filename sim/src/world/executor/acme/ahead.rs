//! What is looked at before a token is spent: CAA records, and whether names answer at port 80.

use super::super::super::World;
use super::super::Job;
use super::{Fault, Halt, number};
use crate::acme::{ChallengeKind, ErrorKind, Identifier};
use crate::dns::{Data, RecordType, ResolveError};
use everleaf_nodes::effect::{Ahead, Proof};
use everleaf_nodes::facts::{Class, Method};

fn challenge_of(method: Method) -> ChallengeKind {
    match method {
        Method::Http01 => ChallengeKind::Http01,
        Method::Dns01 => ChallengeKind::Dns01,
        Method::TlsAlpn01 => ChallengeKind::TlsAlpn01,
    }
}

impl World {
    /// Looks at every name of an order; what would fail at the CA fails here.
    pub(super) fn look_ahead(&mut self, job: &Job, ahead: &Ahead) -> Result<(), Halt> {
        for proof in &ahead.proofs {
            self.look_at_caa(job, ahead, proof)?;
        }
        for proof in ahead.proofs.iter().filter(|proof| proof.reach) {
            self.reaches(job, &proof.name).map_err(|why| {
                let detail = format!("HTTP-01 would fail for {}: {why}", proof.name);
                Fault::new(Class::Transient, detail)
            })?;
        }
        Ok(())
    }

    /// By the CA's own reading of the records, seen from where the replica is; what is not known
    /// is left to the CA.
    fn look_at_caa(&mut self, job: &Job, ahead: &Ahead, proof: &Proof) -> Result<(), Halt> {
        let Some(method) = proof.method else { return Ok(()) };
        let star = if proof.wildcard { "*." } else { "" };
        let name = Identifier::dns(&format!("{star}{}", proof.name));
        if proof.name.parse::<std::net::IpAddr>().is_ok() {
            return Ok(());
        }
        let now = self.now;
        let super::super::super::acme::Outside { cas, net, .. } = &mut self.outside;
        let Some(ca) = cas.get(&ahead.account.directory) else { return Ok(()) };
        let (account, kind) = (number(&ahead.account.uri), challenge_of(method));
        match ca.may_issue((now, job.at), account, &name, kind, net) {
            Err(problem) if problem.kind == ErrorKind::Caa => {
                let detail = format!("CAA forbids the certificate, no order was placed: {problem}");
                Err(Fault::new(Class::User, detail).into())
            }
            _ => Ok(()),
        }
    }

    /// Whether a name takes connections; no answer in time counts as one.
    fn reaches(&self, job: &Job, name: &str) -> Result<(), String> {
        let net = &self.outside.net;
        if net.dns.zone_of(name).is_some() {
            match net.dns.resolve(job.at, name, RecordType::A, self.now) {
                Ok(found) if found.iter().any(|one| matches!(one.data, Data::A(_))) => {}
                Ok(_) | Err(ResolveError::NxDomain) => {
                    return Err("DNS has no address of the name".to_owned());
                }
                Err(ResolveError::Timeout) => return Ok(()),
                Err(error) => return Err(format!("DNS: {error}")),
            }
        }
        match net.sites.get(name) {
            Some(site) if !site.down => Ok(()),
            _ => Err("it refused the connection".to_owned()),
        }
    }
}
