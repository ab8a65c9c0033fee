//! What an order will ask for, told before the CA is asked.

use super::Case;
use crate::acme::solver;
use crate::effect::{Ahead, Proof};
use crate::facts::Method;
use crate::plan::order::Step;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

fn sorted(names: Vec<Arc<str>>) -> Vec<Arc<str>> {
    let names: BTreeSet<Arc<str>> = names.into_iter().collect();
    names.into_iter().collect()
}

impl Case<'_> {
    /// DNS names and IP addresses with the common name among them, sorted, each once.
    pub(super) fn identifiers(&self) -> (Vec<Arc<str>>, Vec<Arc<str>>) {
        let (mut dns, mut ips) = (self.order.dns_names.clone(), self.order.ip_addresses.clone());
        let common = &self.order.common_name;
        match common.parse::<IpAddr>() {
            Ok(address) => ips.push(address.to_canonical().to_string().into()),
            Err(_) if common.contains('.') => dns.push(common.clone()),
            Err(_) => {}
        }
        (sorted(dns), sorted(ips))
    }

    /// What is looked at before a token is spent.
    pub(super) fn ahead(&self) -> Option<Ahead> {
        let (dns, ips) = self.identifiers();
        let proofs = dns.iter().chain(&ips).map(|name| self.proof(name)).collect();
        Some(Ahead {
            account: self.account()?,
            caa_identities: self.ready()?.acme.caa_identities.clone(),
            proofs,
            trial: self.trial(Step::NewOrder),
        })
    }

    fn proof(&self, name: &Arc<str>) -> Proof {
        let solvers = self.ready().map_or(&[][..], |served| &served.acme.solvers);
        let found = solver::foresee(solvers, name, &self.order.labels);
        let method = found.map(|solver| solver.method);
        let looks = found.is_some_and(|solver| !solver::waits_instead_of_looking(solver));
        let bare = name.strip_prefix("*.");
        Proof {
            name: bare.map_or_else(|| name.clone(), Into::into),
            wildcard: bare.is_some(),
            method,
            reach: looks && method == Some(Method::Http01),
        }
    }
}
