//! What is looked at before a token is spent: who may issue by CAA, and whether a name answers
//! where HTTP-01 will ask. A CA that refuses an order or an authorization counts it all the same.

use super::super::Ports;
use super::fault::{Fault, Halt};
use everleaf_dns::resolver::caa::{Issuance, Records};
use everleaf_nodes::effect::{Ahead, Proof};
use everleaf_nodes::facts::Class;
use futures::StreamExt;
use futures::stream::iter;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// For everything about one name. What is not known by then is left to the CA.
const TIMEOUT: Duration = Duration::from_secs(5);
/// So many names are looked at at once.
const AT_ONCE: usize = 16;
/// Where HTTP-01 asks (RFC 8555, section 8.3).
const HTTP: u16 = 80;

/// As CAs answer what CAA forbids (RFC 8555, section 6.7).
const CAA_PROBLEM: &str = "urn:ietf:params:acme:error:caa";

impl Ports {
    /// Looks at every name of an order.
    ///
    /// # Errors
    /// What would fail at the CA: a CAA record that forbids is for a person to mend; a name that
    /// does not answer is looked at again.
    pub(super) async fn look_ahead(&self, ahead: &Ahead) -> Result<(), Halt> {
        if self.acme.options().check_caa {
            self.look_at_caa(ahead).await?;
        }
        if self.acme.options().check_reachability {
            self.look_at_ports(ahead).await?;
        }
        Ok(())
    }

    async fn look_at_caa(&self, ahead: &Ahead) -> Result<(), Halt> {
        let identities = &self.identities(ahead).await?;
        if identities.is_empty() {
            return Ok(());
        }
        let names: BTreeSet<Arc<str>> = named(ahead).map(|proof| proof.name.clone()).collect();
        let found = iter(names).map(|name| async move {
            let records = self.caa_of(&name).await;
            (name, records)
        });
        let mut found = found.buffered(AT_ONCE);
        while let Some((name, records)) = found.next().await {
            let Some(records) = records else { continue };
            let proofs = named(ahead).filter(|proof| proof.name == name);
            for proof in proofs {
                forbidden(proof, &records, identities, &ahead.account.uri)?;
            }
        }
        Ok(())
    }

    /// The CA's names in CAA records; empty if nobody tells them.
    async fn identities(&self, ahead: &Ahead) -> Result<Vec<String>, Halt> {
        if !ahead.caa_identities.is_empty() {
            return Ok(ahead.caa_identities.iter().map(ToString::to_string).collect());
        }
        let directory = self.ca_client(&ahead.account).await?.directory().await?;
        Ok(directory.meta.caa_identities.clone())
    }

    /// The records of a name; `None` where they cannot be had, for the CA may have them.
    async fn caa_of(&self, name: &str) -> Option<Records> {
        let resolver = &self.lookup().ok()?.resolver;
        match timeout(TIMEOUT, resolver.caa(name)).await {
            Ok(Ok(records)) => Some(records),
            Ok(Err(error)) => {
                tracing::debug!(name, %error, "CAA records are left to the CA");
                None
            }
            Err(_) => None,
        }
    }

    async fn look_at_ports(&self, ahead: &Ahead) -> Result<(), Halt> {
        let wanted = ahead.proofs.iter().filter(|proof| proof.reach);
        let names: BTreeSet<Arc<str>> = wanted.map(|proof| proof.name.clone()).collect();
        let looks = iter(names).map(|name| async move {
            let reached = self.reaches(&name).await;
            (name, reached)
        });
        let mut looks = looks.buffered(AT_ONCE);
        while let Some((name, reached)) = looks.next().await {
            if let Err(why) = reached {
                let detail = format!(
                    "HTTP-01 would fail for {name:?}, so no order was placed: {why}; the CA must \
                     reach the name at port {HTTP}"
                );
                return Err(Fault::new(Class::Transient, detail).into());
            }
        }
        Ok(())
    }

    /// Whether any address of a name takes connections. No answer in time counts as one: firewalls
    /// may let the CA in and not us.
    async fn reaches(&self, name: &str) -> Result<(), String> {
        let addresses = match name.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) => match timeout(TIMEOUT, self.addresses(name)).await {
                Ok(Ok(found)) => found,
                Ok(Err(why)) => return Err(format!("DNS: {why}")),
                Err(_) => return Ok(()),
            },
        };
        if addresses.is_empty() {
            return Err("DNS has no address of the name".to_owned());
        }
        let mut refusals = Vec::new();
        for address in addresses {
            let at =
                SocketAddr::new(address, self.acme.options().edge.map_or(HTTP, |it| it.port()));
            match timeout(TIMEOUT, TcpStream::connect(at)).await {
                Ok(Err(error)) => refusals.push(format!("{address}: {}", error.kind())),
                Ok(Ok(_)) | Err(_) => return Ok(()),
            }
        }
        Err(refusals.join(", "))
    }
}

/// Those for DNS names: addresses have no CAA records.
fn named(ahead: &Ahead) -> impl Iterator<Item = &Proof> {
    ahead.proofs.iter().filter(|proof| proof.name.parse::<IpAddr>().is_err())
}

/// Without a solver the method is not known, and the order will say what is missing.
fn forbidden(
    proof: &Proof,
    records: &Records,
    identities: &[String],
    account: &str,
) -> Result<(), Halt> {
    let Some(method) = proof.method else { return Ok(()) };
    let wildcard = proof.wildcard;
    let wanted = Issuance { identities, account, method: method.offer(), wildcard };
    let Some(block) = records.block(&wanted) else { return Ok(()) };
    let star = if wildcard { "*." } else { "" };
    let name = format!("{star}{}", proof.name);
    let detail = format!(
        "CAA forbids the certificate, so no order was placed: for {name:?}, {block}; this CA is \
         {}",
        identities.join(" or ")
    );
    let problem = CAA_PROBLEM.to_owned();
    Err(Fault { problem, ..Fault::new(Class::User, detail) }.into())
}

#[cfg(test)]
mod tests;
