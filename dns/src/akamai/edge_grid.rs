//! Akamai's signatures: <https://techdocs.akamai.com/developer/docs/edgegrid>.

use aws_lc_rs::{digest, hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use url::{Position, Url};

use crate::{Error, Secret};

/// Only so much of a body is signed.
const SIGNED_BODY: usize = 128 << 10;

/// An API client of Akamai's.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    pub(super) client_token: Secret,
    pub(super) client_secret: Secret,
    pub(super) access_token: Secret,
}

impl Credentials {
    /// The `Authorization` header.
    pub(super) fn authorization(
        &self,
        method: &str,
        url: &Url,
        body: &[u8],
        timestamp: &str,
        nonce: &str,
    ) -> String {
        let unsigned = format!(
            "EG1-HMAC-SHA256 client_token={};access_token={};timestamp={timestamp};nonce={nonce};",
            self.client_token.expose(),
            self.access_token.expose(),
        );
        let content =
            if method == "POST" && !body.is_empty() { content_hash(body) } else { String::new() };
        let host = &url[Position::BeforeHost..Position::AfterPort];
        let target = &url[Position::BeforePath..Position::AfterQuery];
        // No header is signed, so their place is empty.
        let parts = [method, url.scheme(), host, target, "", &content, &unsigned];
        let key = mac(self.client_secret.expose(), timestamp);
        format!("{unsigned}signature={}", mac(&key, &parts.join("\t")))
    }
}

fn content_hash(body: &[u8]) -> String {
    let signed = &body[..body.len().min(SIGNED_BODY)];
    STANDARD.encode(digest::digest(&digest::SHA256, signed))
}

fn mac(key: &str, text: &str) -> String {
    STANDARD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), text.as_bytes()))
}

/// In Akamai's form, in UTC.
pub(super) fn timestamp(now: Timestamp) -> String {
    now.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H:%M:%S+0000").to_string()
}

/// New with each request: a second one with the same is taken for a replay.
pub(super) fn nonce() -> Result<String, Error> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| Error::transient("no random numbers to be had"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors that Akamai publishes with its own clients.
    fn signed(method: &str, path: &str, body: &str) -> String {
        let credentials = Credentials {
            client_token: Secret::new("akab-client-token-xxx-xxxxxxxxxxxxxxxx"),
            client_secret: Secret::new("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx="),
            access_token: Secret::new("akab-access-token-xxx-xxxxxxxxxxxxxxxx"),
        };
        let host = "https://akaa-baseurl-xxxxxxxxxxx-xxxxxxxxxxxxx.luna.akamaiapis.net";
        let url = Url::parse(&format!("{host}{path}")).unwrap();
        let (at, nonce) = ("20140321T19:34:21+0000", "nonce-xx-xxxx-xxxx-xxxx-xxxxxxxxxxxx");
        let header = credentials.authorization(method, &url, body.as_bytes(), at, nonce);
        header.split_once("signature=").unwrap().1.to_owned()
    }

    #[test]
    fn requests_are_signed_as_akamai_publishes() {
        assert_eq!(signed("GET", "/", ""), "tL+y4hxyHxgWVD30X3pWnGKHcPzmrIF+LThiAOhMxYU=");
        let queried = "/testapi/v1/t1?p1=1&p2=2";
        assert_eq!(signed("GET", queried, ""), "hKDH1UlnQySSHjvIcZpDMbQHihTQ0XyVAKZaApabdeA=");
        let data = "datadatadatadatadatadatadatadata";
        let posted = "hXm4iCxtpN22m4cbZb4lVLW5rhX8Ca82vCFqXzSTPe4=";
        assert_eq!(signed("POST", "/testapi/v1/t3", data), posted);
        let empty = "1gEDxeQGD5GovIkJJGcBaKnZ+VaPtrc4qBUHixjsPCQ=";
        assert_eq!(signed("POST", "/testapi/v1/t6", ""), empty);
    }

    #[test]
    fn the_body_of_a_put_is_not_signed() {
        let put = "GNBWEYSEWOLtu+7dD52da2C39aX/Jchpon3K/AmBqBU=";
        assert_eq!(signed("PUT", "/testapi/v1/t6", "PPPPPPPPPPPPPPPPPPPPPPPPPPPPPPP"), put);
    }

    #[test]
    fn the_time_is_written_as_akamai_reads_it() {
        assert_eq!(timestamp("2014-03-21T19:34:21.9Z".parse().unwrap()), "20140321T19:34:21+0000");
    }
}
