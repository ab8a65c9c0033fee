//! Series of single objects: rendered from a snapshot when asked, so that they end with the object.

use std::sync::Arc;

use bytes::Bytes;
use everleaf_api::ConditionStatus;

use super::text;

/// Every object that has series of its own, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Certificates.
    pub certificates: Vec<CertificateSample>,
    /// Issuers and ClusterIssuers.
    pub issuers: Vec<IssuerSample>,
    /// What is left of the limits of ACME CAs.
    pub budgets: Vec<BudgetSample>,
    /// Orders that wait for a token of such a limit.
    pub waiting_orders: Option<usize>,
}

/// What metrics tell of a Certificate. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateSample {
    /// Its name.
    pub name: Arc<str>,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// `spec.issuerRef.name`.
    pub issuer_name: Arc<str>,
    /// `spec.issuerRef.kind` as written, so it may be empty.
    pub issuer_kind: Arc<str>,
    /// `spec.issuerRef.group` as written, so it may be empty.
    pub issuer_group: Arc<str>,
    /// Its Ready condition.
    pub ready: Ready,
    /// `status.notBefore`.
    pub not_before: Option<i64>,
    /// `status.notAfter`.
    pub not_after: Option<i64>,
    /// `status.renewalTime`.
    pub renewal: Option<i64>,
}

/// What metrics tell of an Issuer, or of a ClusterIssuer, which has no namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerSample {
    /// Its name.
    pub name: Arc<str>,
    /// Its namespace; `None` for a ClusterIssuer.
    pub namespace: Option<Arc<str>>,
    /// Its Ready condition.
    pub ready: Ready,
}

/// How a limit of an ACME CA stands that an issuer's orders take from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetSample {
    /// The issuer's name.
    pub issuer: Arc<str>,
    /// `Issuer` or `ClusterIssuer`.
    pub kind: &'static str,
    /// The issuer's namespace; empty for a ClusterIssuer.
    pub namespace: Arc<str>,
    /// The limit, as `everleaf.dev/acme-limits` names it.
    pub limit: &'static str,
    /// The registered domain, for a limit that counts one.
    pub subject: Arc<str>,
    /// The tokens left.
    pub left: i64,
    /// When the next request has its token, in seconds since 1970; 0 if it has one now.
    pub next: i64,
}

/// The status of a Ready condition; a missing one is `Unknown`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ready {
    /// It is ready.
    True,
    /// It is not.
    False,
    /// Nobody knows.
    #[default]
    Unknown,
}

impl Ready {
    const ALL: [(Self, &'static str); 3] =
        [(Self::True, "True"), (Self::False, "False"), (Self::Unknown, "Unknown")];
}

impl From<Option<&ConditionStatus>> for Ready {
    fn from(status: Option<&ConditionStatus>) -> Self {
        match status {
            Some(ConditionStatus::True) => Self::True,
            Some(ConditionStatus::False) => Self::False,
            _ => Self::Unknown,
        }
    }
}

struct Family {
    name: &'static str,
    help: &'static str,
    of: Of,
}

enum Of {
    CertificateReady,
    CertificateTime(fn(&CertificateSample) -> Option<i64>),
    IssuerReady,
    ClusterIssuerReady,
    Budget(fn(&BudgetSample) -> i64),
    WaitingOrders,
}

const FAMILIES: &[Family] = &[
    Family {
        name: "certmanager_certificate_ready_status",
        help: "1 for the status that the Certificate's Ready condition has.",
        of: Of::CertificateReady,
    },
    Family {
        name: "certmanager_certificate_not_before_timestamp_seconds",
        help: "When the certificate becomes valid, or 0.",
        of: Of::CertificateTime(|certificate| certificate.not_before),
    },
    Family {
        name: "certmanager_certificate_not_after_timestamp_seconds",
        help: "When the certificate expires, or 0.",
        of: Of::CertificateTime(|certificate| certificate.not_after),
    },
    Family {
        name: "certmanager_certificate_expiration_timestamp_seconds",
        help: "When the certificate expires, or 0; the same as not_after.",
        of: Of::CertificateTime(|certificate| certificate.not_after),
    },
    Family {
        name: "certmanager_certificate_renewal_timestamp_seconds",
        help: "When the certificate will be renewed, or 0.",
        of: Of::CertificateTime(|certificate| certificate.renewal),
    },
    Family {
        name: "certmanager_issuer_ready_status",
        help: "1 for the status that the Issuer's Ready condition has.",
        of: Of::IssuerReady,
    },
    Family {
        name: "certmanager_clusterissuer_ready_status",
        help: "1 for the status that the ClusterIssuer's Ready condition has.",
        of: Of::ClusterIssuerReady,
    },
    Family {
        name: "everleaf_acme_budget_remaining",
        help: "Requests that are left of a CA's rate limit; domains that have all are left out.",
        of: Of::Budget(|budget| budget.left),
    },
    Family {
        name: "everleaf_acme_budget_next_slot_timestamp_seconds",
        help: "When the next request has its place within a CA's rate limit, or 0 if now.",
        of: Of::Budget(|budget| budget.next),
    },
    Family {
        name: "everleaf_acme_orders_waiting_for_budget",
        help: "Orders that wait for their place within a CA's rate limits.",
        of: Of::WaitingOrders,
    },
];

impl Family {
    /// The number of objects to go over; some of them may have no series in this family.
    fn objects(&self, snapshot: &Snapshot) -> usize {
        match self.of {
            Of::CertificateReady | Of::CertificateTime(_) => snapshot.certificates.len(),
            Of::IssuerReady | Of::ClusterIssuerReady => snapshot.issuers.len(),
            Of::Budget(_) => snapshot.budgets.len(),
            Of::WaitingOrders => usize::from(snapshot.waiting_orders.is_some()),
        }
    }

    fn write(&self, out: &mut String, snapshot: &Snapshot, index: usize) {
        match self.of {
            Of::CertificateReady => self.certificate_ready(out, &snapshot.certificates[index]),
            Of::CertificateTime(time) => {
                let certificate = &snapshot.certificates[index];
                let value = time(certificate).unwrap_or_default();
                text::series(out, self.name, &certificate.labels(), value);
            }
            Of::IssuerReady => self.issuer_ready(out, &snapshot.issuers[index], true),
            Of::ClusterIssuerReady => self.issuer_ready(out, &snapshot.issuers[index], false),
            Of::Budget(value) => {
                let budget = &snapshot.budgets[index];
                text::series(out, self.name, &budget.labels(), value(budget));
            }
            Of::WaitingOrders => {
                text::series(out, self.name, &[], snapshot.waiting_orders.unwrap_or_default());
            }
        }
    }

    fn certificate_ready(&self, out: &mut String, certificate: &CertificateSample) {
        let [group, kind, issuer, name, namespace] = certificate.labels();
        for (status, condition) in Ready::ALL {
            let labels = [("condition", condition), group, kind, issuer, name, namespace];
            text::series(out, self.name, &labels, u8::from(certificate.ready == status));
        }
    }

    fn issuer_ready(&self, out: &mut String, issuer: &IssuerSample, namespaced: bool) {
        if issuer.namespace.is_some() != namespaced {
            return;
        }
        for (status, condition) in Ready::ALL {
            let value = u8::from(issuer.ready == status);
            let name = [("condition", condition), ("name", &*issuer.name)];
            match issuer.namespace.as_deref() {
                Some(namespace) => {
                    let labels = [name[0], name[1], ("namespace", namespace)];
                    text::series(out, self.name, &labels, value);
                }
                None => text::series(out, self.name, &name, value),
            }
        }
    }
}

impl CertificateSample {
    fn labels(&self) -> [(&str, &str); 5] {
        [
            ("issuer_group", &self.issuer_group),
            ("issuer_kind", &self.issuer_kind),
            ("issuer_name", &self.issuer_name),
            ("name", &self.name),
            ("namespace", &self.namespace),
        ]
    }
}

impl BudgetSample {
    fn labels(&self) -> [(&str, &str); 5] {
        [
            ("issuer_kind", self.kind),
            ("issuer_name", &self.issuer),
            ("limit", self.limit),
            ("namespace", &self.namespace),
            ("subject", &self.subject),
        ]
    }
}

/// The snapshot as text, piece by piece: ten thousand Certificates are some 15 MB, which need not
/// be in memory at once.
#[derive(Clone, Debug)]
pub(super) struct Chunks {
    snapshot: Arc<Snapshot>,
    family: usize,
    object: usize,
}

/// Objects of one family in one piece, some 150 KB.
const OBJECTS_PER_CHUNK: usize = 256;

impl Chunks {
    pub(super) fn new(snapshot: Arc<Snapshot>) -> Self {
        Self { snapshot, family: 0, object: 0 }
    }

    fn chunk(&mut self, family: &Family) -> String {
        let mut out = String::new();
        let end = family.objects(&self.snapshot).min(self.object + OBJECTS_PER_CHUNK);
        (self.object..end).for_each(|index| family.write(&mut out, &self.snapshot, index));
        out
    }
}

impl Iterator for Chunks {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        while let Some(family) = FAMILIES.get(self.family) {
            let mut out = String::new();
            if self.object == 0 && family.objects(&self.snapshot) > 0 {
                text::family(&mut out, family.name, "gauge", family.help);
            }
            out.push_str(&self.chunk(family));
            self.object += OBJECTS_PER_CHUNK;
            if self.object >= family.objects(&self.snapshot) {
                (self.family, self.object) = (self.family + 1, 0);
            }
            if !out.is_empty() {
                return Some(out.into());
            }
        }
        None
    }
}
