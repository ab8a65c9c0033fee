//! An outside world to validate against: names, web servers, TLS servers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::validation::{CaaRecord, HttpAnswer, Unreachable, Validation};
use crate::dns::{Data, Dns, Record, RecordType, ResolveError, normal};

/// What a host serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Site {
    /// Bodies by path; other paths get 404.
    pub pages: BTreeMap<String, String>,
    /// The `acmeIdentifier` octets that are shown for `acme-tls/1`.
    pub tls_alpn: Option<Vec<u8>>,
    /// Whether nobody can connect.
    pub down: bool,
    /// Places that cannot connect, as the CA counts them.
    pub unreachable_from: Vec<usize>,
}

/// The DNS, and the hosts behind it. A name in a zone needs an address to be connected to; one in
/// no zone is taken to have one, as are IP addresses.
#[derive(Clone, Debug)]
pub struct Internet {
    /// The DNS.
    pub dns: Dns,
    /// The hosts, by name or address.
    pub sites: BTreeMap<String, Site>,
}

impl Internet {
    /// One without zones and hosts.
    pub fn new(seed: u64) -> Self {
        Internet { dns: Dns::new(seed), sites: BTreeMap::new() }
    }

    /// A host, which is made if there is none.
    pub fn site(&mut self, host: &str) -> &mut Site {
        self.sites.entry(normal(host)).or_default()
    }

    /// Lets a host answer an HTTP-01 challenge.
    pub fn serve(&mut self, host: &str, token: &str, key_authorization: &str) {
        let path = format!("/.well-known/acme-challenge/{token}");
        self.site(host).pages.insert(path, key_authorization.to_owned());
    }

    fn connect(&self, now: i64, from: usize, host: &str) -> Result<&Site, Unreachable> {
        if self.dns.zone_of(host).is_some() {
            self.address_of(now, from, host)?;
        }
        let site = self.sites.get(&normal(host));
        let up = site.filter(|site| !site.down && !site.unreachable_from.contains(&from));
        up.ok_or_else(|| Unreachable::Connection(format!("{host}: Connection refused")))
    }

    fn address_of(&self, now: i64, from: usize, host: &str) -> Result<(), Unreachable> {
        let ask = |kind| self.dns.resolve(from, host, kind, now);
        let v4 = ask(RecordType::A).map_err(|why| failed(why, "A", host))?;
        let v6 = ask(RecordType::Aaaa).map_err(|why| failed(why, "AAAA", host))?;
        let address = |record: &Record| matches!(record.data, Data::A(_) | Data::Aaaa(_));
        if v4.iter().chain(&v6).any(address) {
            return Ok(());
        }
        Err(Unreachable::Dns(format!("no valid A records found for {host}")))
    }
}

fn failed(why: ResolveError, kind: &str, name: &str) -> Unreachable {
    Unreachable::Dns(format!("{why} looking up {kind} for {name}"))
}

/// Names that do not exist have no records, which is an answer too.
fn found(
    records: Result<Vec<Record>, ResolveError>,
    kind: &str,
    name: &str,
) -> Result<Vec<Record>, Unreachable> {
    match records {
        Err(ResolveError::NxDomain) => Ok(Vec::new()),
        records => records.map_err(|why| failed(why, kind, name)),
    }
}

impl Validation for Internet {
    fn http(
        &mut self,
        now: i64,
        from: usize,
        host: &str,
        path: &str,
    ) -> Result<HttpAnswer, Unreachable> {
        let page = self.connect(now, from, host)?.pages.get(path);
        let status = if page.is_some() { 200 } else { 404 };
        Ok(HttpAnswer { status, body: page.cloned().unwrap_or_default() })
    }

    fn tls_alpn(&mut self, now: i64, from: usize, host: &str) -> Result<Vec<u8>, Unreachable> {
        let octets = self.connect(now, from, host)?.tls_alpn.clone();
        let none = || Unreachable::Tls(format!("{host}: Cannot negotiate ALPN protocol"));
        octets.ok_or_else(none)
    }

    fn txt(&mut self, now: i64, from: usize, name: &str) -> Result<Vec<String>, Unreachable> {
        let text = |record: Record| match record.data {
            Data::Txt(text) => Some(text),
            _ => None,
        };
        let records = self.dns.resolve(from, name, RecordType::Txt, now);
        Ok(found(records, "TXT", name)?.into_iter().filter_map(text).collect())
    }

    fn caa(&mut self, now: i64, from: usize, name: &str) -> Result<Vec<CaaRecord>, Unreachable> {
        let caa = |record: Record| match record.data {
            Data::Caa { critical, tag, value } => Some(CaaRecord { critical, tag, value }),
            _ => None,
        };
        let records = self.dns.resolve(from, name, RecordType::Caa, now);
        Ok(found(records, "CAA", name)?.into_iter().filter_map(caa).collect())
    }
}

/// A world that others change meanwhile.
impl<W: Validation> Validation for Arc<Mutex<W>> {
    fn http(
        &mut self,
        now: i64,
        from: usize,
        host: &str,
        path: &str,
    ) -> Result<HttpAnswer, Unreachable> {
        held(self).http(now, from, host, path)
    }

    fn tls_alpn(&mut self, now: i64, from: usize, host: &str) -> Result<Vec<u8>, Unreachable> {
        held(self).tls_alpn(now, from, host)
    }

    fn txt(&mut self, now: i64, from: usize, name: &str) -> Result<Vec<String>, Unreachable> {
        held(self).txt(now, from, name)
    }

    fn caa(&mut self, now: i64, from: usize, name: &str) -> Result<Vec<CaaRecord>, Unreachable> {
        held(self).caa(now, from, name)
    }
}

fn held<W>(world: &Arc<Mutex<W>>) -> MutexGuard<'_, W> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}
