//! Name constraints (RFC 5280 section 4.2.1.10).

use std::net::IpAddr;
use std::str::FromStr;

use thiserror::Error;

use crate::alt_names::{NotEncodable, ascii, ip_octets};
use crate::extension;
use crate::oid::id;
use crate::tlv::{self, Malformed, tag};

/// A network in CIDR notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpRange {
    address: IpAddr,
    prefix: u8,
}

/// A text that is not a network in CIDR notation.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not a CIDR range")]
pub struct IpRangeError(pub String);

impl FromStr for IpRange {
    type Err = IpRangeError;

    fn from_str(text: &str) -> Result<Self, IpRangeError> {
        let parsed = text.split_once('/').and_then(|(address, prefix)| {
            let digits = prefix.bytes().all(|byte| byte.is_ascii_digit());
            let range = IpRange { address: address.parse().ok()?, prefix: prefix.parse().ok()? };
            (digits && range.prefix <= range.width()).then_some(range)
        });
        parsed.ok_or_else(|| IpRangeError(text.to_owned()))
    }
}

impl IpRange {
    fn width(&self) -> u8 {
        if self.address.is_ipv4() { 32 } else { 128 }
    }

    /// Network address and mask; the host bits are cleared.
    fn octets(&self) -> Vec<u8> {
        let address = match self.address {
            IpAddr::V4(_) => ip_octets(self.address),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let mask: Vec<u8> = (0..self.width() / 8)
            .map(|octet| {
                let ones = self.prefix.saturating_sub(octet * 8).min(8);
                !(0xff_u8.checked_shr(u32::from(ones)).unwrap_or(0))
            })
            .collect();
        let network = address.iter().zip(&mask).map(|(address, mask)| address & mask);
        network.chain(mask.iter().copied()).collect()
    }
}

/// Subtrees of names, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subtrees {
    /// `dNSName` subtrees.
    pub dns_domains: Vec<String>,
    /// `iPAddress` ranges.
    pub ip_ranges: Vec<IpRange>,
    /// `rfc822Name` subtrees.
    pub email_addresses: Vec<String>,
    /// `uniformResourceIdentifier` hosts.
    pub uri_domains: Vec<String>,
}

/// The names a CA may sign.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameConstraints {
    /// Whether readers that do not know the extension must refuse the certificate.
    pub critical: bool,
    /// Only these are allowed, per kind that occurs.
    pub permitted: Subtrees,
    /// These are forbidden.
    pub excluded: Subtrees,
}

impl Subtrees {
    /// Under the implicit tag `[n]`, or nothing where no subtree is given.
    fn encode(&self, n: u8) -> Result<Vec<u8>, NotEncodable> {
        let mut names = Vec::new();
        for text in &self.dns_domains {
            names.push(ascii("DNS domain", tag::context(2), text)?);
        }
        for range in &self.ip_ranges {
            names.push(tlv::element(tag::context(7), &[&range.octets()]));
        }
        for text in &self.email_addresses {
            names.push(ascii("email address", tag::context(1), text)?);
        }
        for text in &self.uri_domains {
            names.push(ascii("URI domain", tag::context(6), text)?);
        }
        let subtrees: Vec<_> = names.iter().map(|name| tlv::sequence(&[name])).collect();
        Ok(match subtrees.is_empty() {
            true => Vec::new(),
            false => tlv::element(tag::context_constructed(n), &[&subtrees.concat()]),
        })
    }
}

impl NameConstraints {
    /// The extension, or `None` where neither permitted nor excluded names are given.
    pub(crate) fn encode(&self) -> Result<Option<Vec<u8>>, NotEncodable> {
        let value = [self.permitted.encode(0)?, self.excluded.encode(1)?].concat();
        let extension =
            || extension::encode(id::NAME_CONSTRAINTS, self.critical, &tlv::sequence(&[&value]));
        Ok((!value.is_empty()).then(extension))
    }
}

/// Whether this is the DER of `NameConstraints` with at least one subtree: what a request brings is
/// copied into certificates, and readers reject those where it is not.
pub(crate) fn check(der: &[u8]) -> Result<(), Malformed> {
    const FIELD: &str = "NameConstraints";
    let mut sides = tlv::only(der, tag::SEQUENCE, FIELD)?.children(FIELD);
    let mut count = 0;
    for n in 0..2 {
        let Some(side) = sides.optional(tag::context_constructed(n))? else { continue };
        let mut subtrees = side.children("GeneralSubtree");
        while let Some(subtree) = subtrees.optional(tag::SEQUENCE)? {
            let base = subtree.children("GeneralSubtree").next()?;
            base.ok_or_else(|| Malformed::new("GeneralSubtree", "it has no base"))?;
            count += 1;
        }
        subtrees.finish()?;
    }
    sides.finish()?;
    if count == 0 { Err(Malformed::new(FIELD, "it has no subtree")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_bits_are_cleared_and_the_mask_follows_the_network() {
        let octets = |text: &str| text.parse::<IpRange>().unwrap().octets();
        assert_eq!(octets("10.1.2.3/8"), [10, 0, 0, 0, 255, 0, 0, 0]);
        assert_eq!(octets("10.255.2.3/9"), [10, 128, 0, 0, 255, 128, 0, 0]);
        assert_eq!(octets("0.0.0.0/0"), [0; 8]);
        assert_eq!(octets("2001:db8::1/32").len(), 32);
    }

    #[test]
    fn constraints_of_a_request_are_checked_before_they_are_copied() {
        let domain = "example.test".to_owned();
        let permitted = Subtrees { dns_domains: vec![domain], ..Default::default() };
        let side = permitted.encode(0).unwrap();
        assert_eq!(check(&tlv::sequence(&[&side])), Ok(()));
        let empty_side = tlv::element(tag::context_constructed(1), &[]);
        let no_base = tlv::element(tag::context_constructed(0), &[&tlv::sequence(&[])]);
        for wrong in [Vec::new(), empty_side, no_base, [&side[..], &side].concat()] {
            assert!(check(&tlv::sequence(&[&wrong])).is_err(), "{wrong:x?}");
        }
    }

    #[test]
    fn texts_that_are_no_range_are_refused() {
        for text in ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/+8", "10.0.0/8", "::/129", "/8", "a/8"] {
            assert!(text.parse::<IpRange>().is_err(), "{text}");
        }
    }
}
