//! The six kinds.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::meta::{Object, ObjectMeta};
use crate::types::certificate::{CertificateSpec, CertificateStatus};
use crate::types::certificate_request::{CertificateRequestSpec, CertificateRequestStatus};
use crate::types::challenge::{ChallengeSpec, ChallengeStatus};
use crate::types::issuer::{IssuerSpec, IssuerStatus};
use crate::types::order::{OrderSpec, OrderStatus};
use crate::wire::is_default;

/// The group of Certificate, CertificateRequest, Issuer and ClusterIssuer.
pub const GROUP: &str = "cert-manager.io";
/// The group of Order and Challenge.
pub const ACME_GROUP: &str = "acme.cert-manager.io";
/// The only version of both groups.
pub const VERSION: &str = "v1";

#[derive(Serialize)]
struct Outgoing<'a, S, T: Default + PartialEq> {
    #[serde(rename = "apiVersion")]
    api_version: String,
    kind: &'static str,
    metadata: &'a ObjectMeta,
    spec: &'a S,
    #[serde(skip_serializing_if = "no_status")]
    status: &'a T,
}

fn no_status<T: Default + PartialEq>(status: &&T) -> bool {
    is_default(*status)
}

#[derive(Deserialize)]
#[serde(bound = "S: Deserialize<'de> + Default, T: Deserialize<'de> + Default")]
struct Incoming<S, T> {
    #[serde(rename = "apiVersion")]
    api_version: Option<String>,
    kind: Option<String>,
    #[serde(default)]
    metadata: ObjectMeta,
    spec: Option<S>,
    status: Option<T>,
}

impl<S, T> Incoming<S, T> {
    /// Items of some lists carry no type; a wrong one is an error, or an Issuer would read as an
    /// empty Certificate.
    fn is<O: Object>(&self) -> Result<(), String> {
        let kind = self.kind.as_deref().unwrap_or(O::KIND);
        let version = self.api_version.clone().unwrap_or_else(O::api_version);
        if kind == O::KIND && version == O::api_version() {
            return Ok(());
        }
        Err(format!("expected a {} of {}, got a {kind} of {version}", O::KIND, O::api_version()))
    }
}

macro_rules! kind {
    (
        $(#[$doc:meta])*
        $name:ident($spec:ty, $status:ty) of $group:expr, $plural:literal, $singular:literal,
        short $short:expr, categories $categories:expr, namespaced $namespaced:literal
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name {
            /// The metadata.
            pub metadata: ObjectMeta,
            /// What is asked for.
            pub spec: $spec,
            /// What became of it.
            pub status: $status,
        }

        impl Object for $name {
            const GROUP: &'static str = $group;
            const VERSION: &'static str = VERSION;
            const KIND: &'static str = stringify!($name);
            const PLURAL: &'static str = $plural;
            const SINGULAR: &'static str = $singular;
            const SHORT_NAMES: &'static [&'static str] = &$short;
            const CATEGORIES: &'static [&'static str] = &$categories;
            const NAMESPACED: bool = $namespaced;

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, ser: S) -> Result<S::Ok, S::Error> {
                let Self { metadata, spec, status } = self;
                let (api_version, kind) = (Self::api_version(), Self::KIND);
                Outgoing { api_version, kind, metadata, spec, status }.serialize(ser)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
                let read = Incoming::<$spec, $status>::deserialize(de)?;
                read.is::<Self>().map_err(D::Error::custom)?;
                Ok(Self {
                    metadata: read.metadata,
                    spec: read.spec.unwrap_or_default(),
                    status: read.status.unwrap_or_default(),
                })
            }
        }
    };
}

kind! {
    /// A TLS certificate that is kept valid in a Secret.
    Certificate(CertificateSpec, CertificateStatus) of GROUP, "certificates", "certificate",
    short ["cert", "certs"], categories ["cert-manager"], namespaced true
}

kind! {
    /// One signing request on its way to a certificate.
    CertificateRequest(CertificateRequestSpec, CertificateRequestStatus)
    of GROUP, "certificaterequests", "certificaterequest",
    short ["cr", "crs"], categories ["cert-manager"], namespaced true
}

kind! {
    /// A signer for the Certificates of its namespace.
    Issuer(IssuerSpec, IssuerStatus) of GROUP, "issuers", "issuer",
    short ["iss"], categories ["cert-manager"], namespaced true
}

kind! {
    /// A signer for the Certificates of all namespaces.
    ClusterIssuer(IssuerSpec, IssuerStatus) of GROUP, "clusterissuers", "clusterissuer",
    short ["ciss"], categories ["cert-manager"], namespaced false
}

kind! {
    /// One order at an ACME server.
    Order(OrderSpec, OrderStatus) of ACME_GROUP, "orders", "order",
    short [], categories ["cert-manager", "cert-manager-acme"], namespaced true
}

kind! {
    /// One challenge of an ACME server, being met.
    Challenge(ChallengeSpec, ChallengeStatus) of ACME_GROUP, "challenges", "challenge",
    short [], categories ["cert-manager", "cert-manager-acme"], namespaced true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_kind_is_an_error_not_an_empty_object() {
        let issuer = r#"{"apiVersion":"cert-manager.io/v1","kind":"Issuer","spec":{}}"#;
        let error = serde_json::from_str::<Certificate>(issuer).unwrap_err().to_string();
        assert!(error.contains("expected a Certificate"), "{error}");
        assert!(serde_json::from_str::<Issuer>(issuer).is_ok());
        let group = r#"{"apiVersion":"other.io/v1","kind":"Issuer","spec":{}}"#;
        assert!(serde_json::from_str::<Issuer>(group).is_err());
    }

    #[test]
    fn items_of_a_list_carry_no_type_and_are_read() {
        let read: Issuer = serde_json::from_str(r#"{"metadata":{"name":"a"}}"#).unwrap();
        assert_eq!(read.meta().name, "a");
    }

    #[test]
    fn go_writes_null_where_it_has_nothing_and_that_is_read() {
        let text = r#"{"metadata":{"name":"a","creationTimestamp":null,"labels":null},
            "spec":{"secretName":"s","dnsNames":null,"commonName":"","issuerRef":{"name":"i"}},
            "status":null}"#;
        let read: Certificate = serde_json::from_str(text).unwrap();
        assert_eq!(read.spec.common_name, None);
        let back = serde_json::to_value(&read).unwrap();
        let spec = serde_json::json!({"secretName": "s", "issuerRef": {"name": "i"}});
        assert_eq!(back["spec"], spec);
        assert_eq!(back.get("status"), None);
    }

    #[test]
    fn a_state_nobody_defined_leaves_the_order_readable() {
        let text = r#"{"status":{"state":"revoked"}}"#;
        let read: Order = serde_json::from_str(text).unwrap();
        assert_eq!(read.status.state.map(|s| s.to_string()), Some("revoked".into()));
    }

    #[test]
    fn an_unknown_value_in_a_spec_names_the_known_ones() {
        let text = r#"{"spec":{"privateKey":{"algorithm":"DSA"}}}"#;
        let error = serde_json::from_str::<Certificate>(text).unwrap_err().to_string();
        assert!(error.contains("`RSA`, `ECDSA`, `Ed25519`"), "{error}");
    }
}
