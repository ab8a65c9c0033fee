//! cert-manager's controllers by name, for `--controllers`.

use std::collections::BTreeSet;

use everleaf_nodes::Switches;

use super::{FlagError, IgnoredFlag};

macro_rules! controllers {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $default:literal;)+) => {
        /// A controller of cert-manager. Here several of them are one machine.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Controller {
            $($(#[$doc])* $name,)+
        }

        impl Controller {
            /// Every controller.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Its name in `--controllers` and in metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }

            /// Whether `*` means it too.
            #[must_use]
            pub const fn by_default(self) -> bool {
                match self {
                    $(Self::$name => $default,)+
                }
            }
        }
    };
}

controllers! {
    /// Issuers.
    Issuers = "issuers", true;
    /// ClusterIssuers; not in a single namespace.
    ClusterIssuers = "clusterissuers", true;
    /// Metrics of Certificates.
    CertificatesMetrics = "certificates-metrics", true;
    /// When to issue.
    CertificatesTrigger = "certificates-trigger", true;
    /// Storing what was issued.
    CertificatesIssuing = "certificates-issuing", true;
    /// Private keys.
    CertificatesKeyManager = "certificates-key-manager", true;
    /// CertificateRequests of Certificates.
    CertificatesRequestManager = "certificates-request-manager", true;
    /// The Ready condition of Certificates.
    CertificatesReadiness = "certificates-readiness", true;
    /// Deleting old CertificateRequests.
    CertificatesRevisionManager = "certificates-revision-manager", true;
    /// Certificates for Ingresses.
    IngressShim = "ingress-shim", true;
    /// Certificates for Gateways.
    GatewayShim = "gateway-shim", false;
    /// ACME orders.
    Orders = "orders", true;
    /// ACME challenges.
    Challenges = "challenges", true;
    /// CertificateRequests of ACME issuers.
    RequestsAcme = "certificaterequests-issuer-acme", true;
    /// CertificateRequests of CA issuers.
    RequestsCa = "certificaterequests-issuer-ca", true;
    /// CertificateRequests of self-signed issuers.
    RequestsSelfSigned = "certificaterequests-issuer-selfsigned", true;
    /// CertificateRequests of Vault issuers.
    RequestsVault = "certificaterequests-issuer-vault", true;
    /// CertificateRequests of Venafi issuers.
    RequestsVenafi = "certificaterequests-issuer-venafi", true;
    /// Approving CertificateRequests unasked.
    RequestsApprover = "certificaterequests-approver", true;
    /// CertificateSigningRequests of ACME issuers.
    SigningRequestsAcme = "certificatesigningrequests-issuer-acme", false;
    /// CertificateSigningRequests of CA issuers.
    SigningRequestsCa = "certificatesigningrequests-issuer-ca", false;
    /// CertificateSigningRequests of self-signed issuers.
    SigningRequestsSelfSigned = "certificatesigningrequests-issuer-selfsigned", false;
    /// CertificateSigningRequests of Vault issuers.
    SigningRequestsVault = "certificatesigningrequests-issuer-vault", false;
    /// CertificateSigningRequests of Venafi issuers.
    SigningRequestsVenafi = "certificatesigningrequests-issuer-venafi", false;
}

impl Controller {
    fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|controller| controller.as_str() == name)
    }

    /// Whether it is for the whole cluster only.
    #[must_use]
    pub fn is_cluster_wide(self) -> bool {
        self == Self::ClusterIssuers || self.as_str().starts_with("certificatesigningrequests-")
    }
}

/// The controllers that are on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Controllers(BTreeSet<Controller>);

impl Controllers {
    /// Reads the entries of `--controllers`: a name adds, `*` adds the default ones, `-name`
    /// removes wherever it stands. Within one namespace, cluster-wide ones are off.
    pub(super) fn new<'a>(
        entries: impl Iterator<Item = &'a str> + Clone,
        in_one_namespace: bool,
    ) -> Self {
        let all = || Controller::ALL.iter().copied();
        let mut on = BTreeSet::new();
        for entry in entries.clone() {
            on.extend(all().filter(|one| match entry {
                "*" => one.by_default(),
                name => one.as_str() == name,
            }));
        }
        let off: BTreeSet<_> = entries.filter_map(|entry| entry.strip_prefix('-')).collect();
        on.retain(|one| !off.contains(one.as_str()));
        on.retain(|one| !(in_one_namespace && one.is_cluster_wide()));
        Self(on)
    }

    /// Whether this controller is on.
    #[must_use]
    pub fn has(&self, controller: Controller) -> bool {
        self.0.contains(&controller)
    }

    /// Which machines run, and whose requests are answered.
    ///
    /// # Errors
    /// If some of what is one machine here is on and the rest is off.
    pub(super) fn switches(&self) -> Result<Switches, FlagError> {
        use Controller as C;
        let on: Vec<C> = CERTIFICATES.into_iter().filter(|one| self.has(*one)).collect();
        let off = CERTIFICATES.into_iter().find(|one| !self.has(*one));
        if let (Some(on), Some(off)) = (on.first(), off) {
            return Err(FlagError::OneMachine { on: on.as_str(), off: off.as_str() });
        }
        Ok(Switches {
            certificates: off.is_none(),
            ingress_shim: self.has(C::IngressShim),
            issuers: self.has(C::Issuers),
            cluster_issuers: self.has(C::ClusterIssuers),
            orders: self.has(C::Orders),
            challenges: self.has(C::Challenges),
            ca: self.has(C::RequestsCa),
            self_signed: self.has(C::RequestsSelfSigned),
            acme: self.has(C::RequestsAcme),
            vault: self.has(C::RequestsVault),
            venafi: self.has(C::RequestsVenafi),
        })
    }

    /// The controllers that are on.
    pub fn iter(&self) -> impl Iterator<Item = Controller> + '_ {
        self.0.iter().copied()
    }
}

/// What is one machine here.
const CERTIFICATES: [Controller; 6] = [
    Controller::CertificatesTrigger,
    Controller::CertificatesIssuing,
    Controller::CertificatesKeyManager,
    Controller::CertificatesRequestManager,
    Controller::CertificatesReadiness,
    Controller::CertificatesRevisionManager,
];

/// Entries that name what is not built: `*` means them too, but nobody asked for them by it.
pub(super) fn unbuilt(entries: &[String]) -> impl Iterator<Item = IgnoredFlag> + '_ {
    let named = entries.iter().filter_map(|entry| Controller::named(entry.trim()));
    named.filter_map(|one| {
        let why = match one {
            Controller::GatewayShim => "the Gateway API is not supported yet",
            one if one.as_str().starts_with("certificatesigningrequests-") => {
                "CertificateSigningRequests are not supported yet"
            }
            _ => return None,
        };
        Some(IgnoredFlag::new(format!("controllers={}", one.as_str()), why))
    })
}

/// Checks one entry of `--controllers`.
pub(super) fn entry(text: &str) -> Result<String, String> {
    let text = text.trim();
    let name = text.strip_prefix('-').unwrap_or(text);
    // As in cert-manager, a lone `-*` is no name.
    if matches!(text, "" | "*") || Controller::named(name).is_some() {
        return Ok(text.into());
    }
    let known: Vec<_> = Controller::ALL.iter().map(|one| one.as_str()).collect();
    Err(format!("no such controller; known are *, {}", known.join(", ")))
}
