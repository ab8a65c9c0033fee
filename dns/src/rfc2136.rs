//! Dynamic updates (RFC 2136), signed with TSIG (RFC 8945) or not.

use std::time::Duration;

use async_trait::async_trait;
use everleaf_api::types::dns01::{Rfc2136Protocol, Rfc2136Provider};
use hickory_proto::op::{
    DnsRequest, DnsRequestOptions, DnsResponse, Message, ResponseCode, update_message,
};
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{Name, RData, Record as ResourceRecord, RecordSet, RecordType};

use crate::record::{Presented, Provider, Record};
use crate::resolver::{address, host_port, tcp, udp};
use crate::{Clock, Context, Error, Mend, Secrets};

pub(crate) mod tsig;

use tsig::{Key, Mac};

const TIMEOUT: Duration = Duration::from_secs(10);

/// Writes records by dynamic update.
#[derive(Clone, Debug)]
pub(crate) struct Rfc2136 {
    host: String,
    port: u16,
    protocol: Rfc2136Protocol,
    key: Option<Key>,
    clock: Clock,
}

impl Rfc2136 {
    /// Unsigned unless there are both a key's name and its secret.
    pub(crate) fn new(
        config: &Rfc2136Provider,
        secrets: &Secrets,
        context: &Context,
    ) -> Result<Self, Error> {
        let (host, port) = host_port(&config.nameserver, 53)?;
        let name = config.tsig_key_name.as_deref().unwrap_or_default();
        let key = match &config.tsig_secret_secret_ref {
            Some(selector) if !name.is_empty() => {
                let algorithm = config.tsig_algorithm.as_deref().unwrap_or_default();
                Some(Key::new(name, algorithm, &secrets.get(selector)?)?)
            }
            _ => None,
        };
        let protocol = config.protocol.unwrap_or(Rfc2136Protocol::Udp);
        Ok(Self { host, port, protocol, key, clock: context.clock.clone() })
    }

    async fn update(&self, message: Message) -> Result<(), Error> {
        let (message, mac) = match &self.key {
            None => (message, None),
            Some(key) => {
                let (message, mac) = key.sign(message, self.clock.now())?;
                (message, Some(mac))
            }
        };
        let answer = self.send(message).await?;
        self.authenticate(&answer, mac.as_ref())?;
        self.outcome(answer.metadata.response_code)
    }

    async fn send(&self, message: Message) -> Result<DnsResponse, Error> {
        let server = address(&self.host, self.port).await?;
        let request = DnsRequest::new(message, DnsRequestOptions::default());
        match self.protocol {
            Rfc2136Protocol::Tcp => tcp(server, request, TIMEOUT).await,
            Rfc2136Protocol::Udp => udp(server, request, TIMEOUT).await,
        }
    }

    fn authenticate(&self, answer: &DnsResponse, mac: Option<&Mac>) -> Result<(), Error> {
        match (&self.key, mac) {
            (Some(key), Some(mac)) => {
                let checked = key.verify(answer.as_buffer(), answer, mac, self.clock.now());
                checked.map_err(|fault| self.unauthentic(fault, answer))
            }
            _ => Ok(()),
        }
    }

    fn unauthentic(&self, fault: tsig::Fault, answer: &Message) -> Error {
        let host = &self.host;
        let said = answer.metadata.response_code;
        match fault {
            tsig::Fault::Refused(what) => {
                Error::credentials(format!("{host} does not accept the TSIG signature: {what}"))
            }
            // Servers refuse what they have no key for without signing the refusal.
            tsig::Fault::Unsigned if said != ResponseCode::NoError => match self.outcome(said) {
                Err(error) => error,
                Ok(()) => Error::transient(format!("{host} answered without a signature")),
            },
            tsig::Fault::Unsigned => {
                Error::transient(format!("{host} answered without a signature"))
            }
            tsig::Fault::Forged => {
                Error::transient(format!("{host} answered with a signature that is not right"))
            }
        }
    }

    fn outcome(&self, code: ResponseCode) -> Result<(), Error> {
        let message = format!("{} answered the update with {code}", self.host);
        match code {
            ResponseCode::NoError => Ok(()),
            ResponseCode::Refused => Err(Error::Mend { what: Mend::Denied, message }),
            ResponseCode::NotAuth | ResponseCode::NotZone => Err(Error::zone(message)),
            ResponseCode::NotImp | ResponseCode::FormErr => Err(Error::configuration(message)),
            _ => Err(Error::Transient(message)),
        }
    }
}

#[async_trait]
impl Provider for Rfc2136 {
    async fn present(&self, record: &Record) -> Result<Presented, Error> {
        let (zone, set) = update_of(record)?;
        // Without prerequisite: adding what is there changes nothing (RFC 2136, section 2.5.1).
        self.update(update_message::append(set, zone, false, false)).await?;
        Ok(Presented::default())
    }

    async fn clean_up(&self, record: &Record) -> Result<(), Error> {
        let (zone, set) = update_of(record)?;
        // Of this value only (section 2.5.4).
        self.update(update_message::delete_by_rdata(set, zone, false)).await
    }
}

fn update_of(record: &Record) -> Result<(Name, RecordSet), Error> {
    let (name, zone) = (absolute(&record.fqdn)?, absolute(&record.zone)?);
    if !zone.zone_of(&name) {
        return Err(Error::configuration(format!(
            "{} is not in the zone {}",
            record.name(),
            record.zone_name()
        )));
    }
    let strings = record.value.as_bytes().chunks(255).collect();
    let text = RData::TXT(TXT::from_bytes(strings));
    let mut set = RecordSet::new(name.clone(), RecordType::TXT, 0);
    set.insert(ResourceRecord::from_rdata(name, record.ttl, text), 0);
    Ok((zone, set))
}

fn absolute(text: &str) -> Result<Name, Error> {
    let mut name = Name::from_ascii(text)
        .map_err(|_| Error::configuration(format!("{text:?} is not a DNS name")))?;
    name.set_fqdn(true);
    Ok(name)
}

#[cfg(test)]
mod tests;
