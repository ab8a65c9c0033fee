//! What the ACME ports were told by flags.

use super::http01::SolverPods;
use everleaf_dns::resolver::Nameserver;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// How challenges are answered and looked for. The defaults are those of the flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeOptions {
    /// Addresses at which this replica's responder is reached from the cluster
    /// (`--acme-http01-responder-ip`); at most one slice for each family is made of them.
    pub responder_ips: Vec<IpAddr>,
    /// The port of the responder.
    pub responder_port: u16,
    /// Namespace and name of the Service whose ready endpoints are the replicas, if one is named
    /// (`--acme-http01-responder-service`).
    pub responder_service: Option<(String, String)>,
    /// Where port 80 of every name is, instead of what DNS says: `everleaf dev` has a world of its
    /// own.
    pub edge: Option<SocketAddr>,
    /// The port at which TLS-ALPN-01 is answered, if it is (`--acme-tls-alpn01-responder-port`).
    pub tls_alpn_port: Option<u16>,
    /// How solver Pods are made, if they are (`--acme-http01-solver-image`).
    pub solver_pods: Option<SolverPods>,
    /// Labels for routes and Services of HTTP-01 besides those of cert-manager, which they cannot
    /// replace (`--acme-http01-solver-extra-labels`).
    pub extra_labels: BTreeMap<String, String>,
    /// Whether paths of Ingresses are `Exact` (gate `ACMEHTTP01IngressPathTypeExact`), else
    /// `ImplementationSpecific`.
    pub exact_path: bool,
    /// Who is asked for addresses in HTTP-01 self-checks; the system if empty
    /// (`--acme-http01-solver-nameservers`).
    pub http01_nameservers: Vec<Nameserver>,
    /// Who is asked for zones and records; resolv.conf if empty (`--dns01-recursive-nameservers`).
    pub dns01_nameservers: Vec<Nameserver>,
    /// Whether DNS-01 self-checks ask those only, not the authoritative servers
    /// (`--dns01-recursive-nameservers-only`).
    pub recursive_only: bool,
    /// Whether CAA records are looked at before an order is placed (`--acme-check-caa`).
    pub check_caa: bool,
    /// Whether names that HTTP-01 proves must answer at port 80 before an order is placed
    /// (`--acme-check-reachability`).
    pub check_reachability: bool,
}

impl Default for AcmeOptions {
    fn default() -> Self {
        Self {
            responder_ips: Vec::new(),
            responder_port: 8089,
            responder_service: None,
            edge: None,
            tls_alpn_port: None,
            solver_pods: None,
            extra_labels: BTreeMap::new(),
            exact_path: true,
            http01_nameservers: Vec::new(),
            dns01_nameservers: Vec::new(),
            recursive_only: false,
            check_caa: true,
            check_reachability: true,
        }
    }
}
