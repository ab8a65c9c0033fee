//! Where kinds are served.

use everleaf_nodes::Kind;

/// A resource of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource {
    /// `/api/v1` or `/apis/<group>/<version>`.
    pub root: &'static str,
    /// The plural name.
    pub plural: &'static str,
    /// Whether objects are in namespaces.
    pub namespaced: bool,
    /// `v1` or `<group>/<version>`.
    pub api_version: &'static str,
    /// The kind.
    pub kind: &'static str,
}

/// `v1` Events.
pub const EVENTS: Resource = Resource {
    root: "/api/v1",
    plural: "events",
    namespaced: true,
    api_version: "v1",
    kind: "Event",
};

const fn own(plural: &'static str, kind: &'static str, namespaced: bool) -> Resource {
    let (root, api_version) = ("/apis/cert-manager.io/v1", "cert-manager.io/v1");
    Resource { root, plural, namespaced, api_version, kind }
}

const fn acme(plural: &'static str, kind: &'static str) -> Resource {
    let (root, api_version) = ("/apis/acme.cert-manager.io/v1", "acme.cert-manager.io/v1");
    Resource { root, plural, namespaced: true, api_version, kind }
}

/// Where a kind of the world is served. [`Kind::Key`] is not; it is answered as a Secret's.
pub const fn resource(kind: Kind) -> Resource {
    match kind {
        Kind::Certificate => own("certificates", "Certificate", true),
        Kind::CertificateRequest => own("certificaterequests", "CertificateRequest", true),
        Kind::Issuer => own("issuers", "Issuer", true),
        Kind::ClusterIssuer => own("clusterissuers", "ClusterIssuer", false),
        Kind::Ingress => Resource {
            root: "/apis/networking.k8s.io/v1",
            plural: "ingresses",
            namespaced: true,
            api_version: "networking.k8s.io/v1",
            kind: "Ingress",
        },
        Kind::Order => acme("orders", "Order"),
        Kind::Challenge => acme("challenges", "Challenge"),
        Kind::ConfigMap => Resource {
            root: "/api/v1",
            plural: "configmaps",
            namespaced: true,
            api_version: "v1",
            kind: "ConfigMap",
        },
        Kind::Secret | Kind::Key => Resource {
            root: "/api/v1",
            plural: "secrets",
            namespaced: true,
            api_version: "v1",
            kind: "Secret",
        },
    }
}

impl Resource {
    /// The path of a collection; of all namespaces if none is given.
    pub fn collection(&self, namespace: &str) -> String {
        let Self { root, plural, namespaced, .. } = self;
        if *namespaced && !namespace.is_empty() {
            format!("{root}/namespaces/{namespace}/{plural}")
        } else {
            format!("{root}/{plural}")
        }
    }

    /// The path of an object.
    pub fn object(&self, namespace: &str, name: &str) -> String {
        format!("{}/{name}", self.collection(namespace))
    }
}
