//! What a URL and a payload ask for.

use std::net::IpAddr;

use everleaf_pki::{CertInfo, CsrInfo};
use serde_json::Value;

use super::decode;
use crate::acme::{
    AccountId, Call, ChallengeKind, Csr, Identifier, Identifiers, NewOrder, Problem, Serial,
};

/// Contacts, identifiers and the like are read only so far; the CA refuses much fewer.
const MAX_ITEMS: usize = 1000;

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Directory,
    NewNonce,
    RenewalInfo(String),
    NewAccount,
    Account(AccountId),
    Orders(AccountId, u64),
    NewOrder,
    Order(u64),
    Authorization(u64),
    Challenge(u64, ChallengeKind),
    Finalize(u64),
    Certificate(Serial, usize),
    Revoke,
}

impl Target {
    pub(super) fn of(path: &str, query: Option<&str>) -> Option<Self> {
        let parts: Vec<&str> = path.trim_start_matches('/').splitn(6, '/').collect();
        let id = |text: &str| text.parse::<u64>().ok();
        Some(match parts.as_slice() {
            ["directory"] => Target::Directory,
            ["acme", "new-nonce"] => Target::NewNonce,
            ["acme", "renewal-info", certificate] => Target::RenewalInfo((*certificate).into()),
            ["acme", "new-acct"] => Target::NewAccount,
            ["acme", "acct", account] => Target::Account(id(account)?),
            ["acme", "orders", account] => {
                let cursor = query.and_then(|it| it.strip_prefix("cursor="));
                Target::Orders(id(account)?, cursor.map_or(Some(0), id)?)
            }
            ["acme", "new-order"] => Target::NewOrder,
            ["acme", "order", order] => Target::Order(id(order)?),
            ["acme", "authz", authorization] => Target::Authorization(id(authorization)?),
            ["acme", "chall", authorization, kind] => {
                let kind = ChallengeKind::ALL.into_iter().find(|it| it.as_str() == *kind)?;
                Target::Challenge(id(authorization)?, kind)
            }
            ["acme", "finalize", order] => Target::Finalize(id(order)?),
            ["acme", "cert", serial] => Target::Certificate(parse_serial(serial)?, 0),
            ["acme", "cert", serial, chain] => {
                Target::Certificate(parse_serial(serial)?, chain.parse().ok()?)
            }
            ["acme", "revoke-cert"] => Target::Revoke,
            _ => return None,
        })
    }

    /// The request of an account with this payload; none is POST-as-GET.
    pub(super) fn call(
        &self,
        account: AccountId,
        payload: Option<&Value>,
    ) -> Result<Call, Problem> {
        let needed = || payload.ok_or_else(|| Problem::malformed("the request has no payload"));
        let deactivate = payload.is_some_and(|it| it["status"] == "deactivated");
        Ok(match self {
            Target::Account(_) => {
                let contacts = payload.and_then(|it| it.get("contact"));
                let contacts = contacts.map(texts).transpose()?;
                Call::Account { account, contacts, deactivate }
            }
            Target::Orders(_, after) => Call::Orders { account, after: *after },
            Target::NewOrder => Call::NewOrder { account, order: new_order(needed()?)? },
            Target::Order(order) => Call::Order { account, order: *order },
            Target::Authorization(id) => {
                Call::Authorization { account, authorization: *id, deactivate }
            }
            Target::Challenge(authorization, kind) => Call::Challenge {
                account,
                authorization: *authorization,
                kind: *kind,
                trigger: payload.is_some(),
            },
            Target::Finalize(order) => {
                Call::Finalize { account, order: *order, csr: csr(needed()?)? }
            }
            Target::Certificate(serial, chain) => {
                Call::Certificate { account, serial: *serial, chain: *chain }
            }
            Target::Revoke => Call::Revoke { account, serial: revoked(needed()?)? },
            Target::RenewalInfo(certificate) => {
                Call::RenewalInfo { certificate: certificate.clone() }
            }
            Target::Directory => Call::Directory,
            Target::NewNonce => Call::NewNonce,
            Target::NewAccount => return Err(Problem::malformed("newAccount takes a \"jwk\"")),
        })
    }
}

fn parse_serial(text: &str) -> Option<Serial> {
    (text.len() == 32).then(|| Serial::from_str_radix(text, 16).ok())?
}

/// A list of texts.
pub(super) fn texts(value: &Value) -> Result<Vec<String>, Problem> {
    let malformed = || Problem::malformed("a list of texts was expected");
    let items = value.as_array().filter(|it| it.len() <= MAX_ITEMS).ok_or_else(malformed)?;
    items.iter().map(|it| it.as_str().map(str::to_owned).ok_or_else(malformed)).collect()
}

fn new_order(payload: &Value) -> Result<NewOrder, Problem> {
    let malformed = || Problem::malformed("\"identifiers\" is no list of identifiers");
    let items = payload["identifiers"].as_array();
    let items = items.filter(|it| it.len() <= MAX_ITEMS).ok_or_else(malformed)?;
    let text = |field: &str| payload[field].as_str().map(str::to_owned);
    Ok(NewOrder {
        identifiers: items.iter().map(identifier).collect::<Result<_, _>>()?,
        profile: text("profile").filter(|name| !name.is_empty()),
        not_before: time(payload, "notBefore")?,
        not_after: time(payload, "notAfter")?,
        replaces: text("replaces").filter(|id| !id.is_empty()),
    })
}

fn identifier(value: &Value) -> Result<Identifier, Problem> {
    use crate::acme::ErrorKind::UnsupportedIdentifier;
    let (kind, text) = (value["type"].as_str(), value["value"].as_str().unwrap_or_default());
    match (kind, text.parse::<IpAddr>()) {
        (Some("dns"), Err(_)) => Ok(Identifier::dns(text)),
        (Some("dns"), Ok(_)) => Err(Problem::malformed("an IP address is no DNS name")),
        (Some("ip"), Ok(address)) => Ok(Identifier::Ip(address)),
        (Some("ip"), Err(_)) => Err(Problem::malformed("not an IP address")),
        (kind, _) => {
            let text = format!("identifiers of type {kind:?} are not supported");
            Err(Problem::new(UnsupportedIdentifier, text))
        }
    }
}

fn time(payload: &Value, field: &str) -> Result<Option<i64>, Problem> {
    let Some(text) = payload[field].as_str().filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let malformed = |_| Problem::malformed(format!("{field:?} is no RFC 3339 time"));
    let time: jiff::Timestamp = text.parse().map_err(malformed)?;
    Ok(Some(time.as_millisecond()))
}

fn csr(payload: &Value) -> Result<Csr, Problem> {
    use crate::acme::ErrorKind::BadCsr;
    let text = payload["csr"].as_str();
    let text = text.ok_or_else(|| Problem::malformed("the request has no \"csr\""))?;
    let read = CsrInfo::from_der(&decode(text)?);
    let info = read.map_err(|why| Problem::new(BadCsr, format!("Error parsing CSR: {why}")))?;
    let names = &info.alt_names;
    let plain = names.uris.is_empty()
        && names.email_addresses.is_empty()
        && names.other_names.is_empty()
        && names.unread.is_empty();
    if !plain {
        return Err(Problem::new(BadCsr, "CSR contains names that are no DNS names or addresses"));
    }
    let dns = names.dns_names.iter().map(|name| Identifier::dns(name));
    let identifiers: Identifiers =
        dns.chain(names.ip_addresses.iter().map(|address| Identifier::Ip(*address))).collect();
    let common_name = info.subject.common_name();
    Ok(Csr {
        common_name: Some(common_name.to_owned()).filter(|name| !name.is_empty()),
        identifiers,
        key: info.public_key.fingerprint(),
        spki: Some(info.public_key.der().to_vec()),
    })
}

fn revoked(payload: &Value) -> Result<Serial, Problem> {
    let text = payload["certificate"].as_str();
    let text = text.ok_or_else(|| Problem::malformed("the request has no \"certificate\""))?;
    let malformed = |_| Problem::malformed("the certificate cannot be read");
    let info = CertInfo::from_der(&decode(text)?).map_err(malformed)?;
    let octets = <[u8; 16]>::try_from(info.serial.as_slice());
    let unknown = |_| Problem::not_found("certificate");
    Ok(Serial::from_be_bytes(octets.map_err(unknown)?))
}
