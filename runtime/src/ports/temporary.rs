//! Temporary certificates: what a request asks for, signed by a CA that is thrown away.

use super::cache::Texts;
use super::sign::blocking;
use super::{Ports, Report, Undone, now, rejected};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use everleaf_engine::FailureClass;
use everleaf_nodes::effect::Temporary;
use everleaf_pki::{
    CaSigner, CsrInfo, CsrSpec, Curve, Encoding, Issue, Issued, KeyKind, Limits, Name, PrivateKey,
    SignError, SubjectFields, Usage, self_sign,
};

/// The CA's subject, as cert-manager's is.
const COMMON_NAME: &str = "cert-manager.local";
const SERIAL_NUMBER: &str = "1234567890";

impl Ports {
    /// A certificate for a request, as PEM, that nobody vouches for.
    pub(super) async fn temporary_chain(
        &self,
        request: &Texts,
        temporary: &Temporary,
    ) -> Result<Vec<u8>, Undone> {
        let pem = STANDARD.decode(&*request.request).unwrap_or_default();
        let csr = CsrInfo::parse(&pem, &self.projector.limits);
        let csr = csr.map_err(|error| rejected("RequestFailed", error.to_string()))?;
        let usages: Result<Vec<Usage>, _> = temporary.usages.iter().map(|u| u.parse()).collect();
        let usages = usages.map_err(|error| rejected("RequestFailed", format!("{error}")))?;
        let not_before = now().as_seconds();
        let issue = Issue {
            not_before,
            not_after: not_before.saturating_add(temporary.duration_ms / 1000),
            is_ca: temporary.is_ca,
            usages,
            ..Issue::default()
        };
        let ca = tokio::task::spawn_blocking(move || passing_ca(not_before, issue.not_after)).await;
        let ca = ca.map_err(|error| {
            Report::failed(FailureClass::Transient, "Aborted", error.to_string())
        })?;
        let ca = ca.map_err(|message| rejected("SigningError", message))?;
        let Issued { chain_pem, .. } = blocking(move || ca.issue(&csr, &issue)).await?;
        Ok(chain_pem.into_bytes())
    }
}

/// A CA whose key nobody keeps.
fn passing_ca(not_before: i64, not_after: i64) -> Result<CaSigner, String> {
    let key = PrivateKey::generate(KeyKind::Ecdsa(Curve::P521)).map_err(|e| e.to_string())?;
    let subject = SubjectFields {
        common_name: COMMON_NAME.to_owned(),
        serial_number: SERIAL_NUMBER.to_owned(),
        ..SubjectFields::default()
    };
    let spec = CsrSpec { subject: Name::from_fields(&subject), ..CsrSpec::default() };
    let csr = spec.build(&key).map_err(|error| error.to_string())?;
    let csr = CsrInfo::from_der(&csr).map_err(|error| error.to_string())?;
    let issue = Issue { not_before, not_after, is_ca: true, ..Issue::default() };
    let own = self_sign(&key, &csr, &issue).map_err(|error: SignError| error.to_string())?;
    let pem = key.to_pem(Encoding::Pkcs8).map_err(|error| error.to_string())?;
    CaSigner::from_pem(own.leaf_pem.as_bytes(), pem.as_bytes(), &Limits::default())
        .map_err(|error| error.to_string())
}
