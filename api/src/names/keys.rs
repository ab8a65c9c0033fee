//! The annotation, label and finalizer keys of cert-manager, and the foreign ones it sets or reads.

/// Finalizer of Challenges: the answer is still in place.
pub const FINALIZER: &str = "acme.cert-manager.io/finalizer";
/// Label of solver objects: Adler-32 of the name being proven, decimal.
pub const HTTP_DOMAIN: &str = "acme.cert-manager.io/http-domain";
/// Label of solver objects: Adler-32 of the token, decimal.
pub const HTTP_TOKEN: &str = "acme.cert-manager.io/http-token";
/// Label of solver objects: always `true`.
pub const HTTP01_SOLVER: &str = "acme.cert-manager.io/http01-solver";
/// Annotation of a shim's parent: `true` makes the solver use the parent Ingress itself.
pub const HTTP01_EDIT_IN_PLACE: &str = "acme.cert-manager.io/http01-edit-in-place";
/// Annotation of a shim's parent: becomes [`HTTP01_OVERRIDE_INGRESS_CLASS`].
pub const HTTP01_INGRESS_CLASS: &str = "acme.cert-manager.io/http01-ingress-class";
/// Annotation of a shim's parent: becomes [`HTTP01_OVERRIDE_INGRESS_CLASS_NAME`].
pub const HTTP01_INGRESS_CLASS_NAME: &str = "acme.cert-manager.io/http01-ingress-ingressclassname";
/// Annotation: the class of the solver's Ingress, in place of the solver's.
pub const HTTP01_OVERRIDE_INGRESS_CLASS: &str =
    "acme.cert-manager.io/http01-override-ingress-class";
/// Annotation: the `ingressClassName` of the solver's Ingress, in place of the solver's.
pub const HTTP01_OVERRIDE_INGRESS_CLASS_NAME: &str =
    "acme.cert-manager.io/http01-override-ingress-ingressclassname";
/// Annotation: the Ingress to edit, in place of the solver's.
pub const HTTP01_OVERRIDE_INGRESS_NAME: &str = "acme.cert-manager.io/http01-override-ingress-name";
/// Annotation of a ListenerSet: `true` attaches solver routes to its Gateway.
pub const HTTP01_PARENT_REF_FALLBACK: &str = "acme.cert-manager.io/http01-parentreffallback";
/// Annotation: the kind of a further parent of the solver's HTTPRoute.
pub const HTTP01_PARENT_REF_KIND: &str = "acme.cert-manager.io/http01-parentrefkind";
/// Annotation: the name of a further parent of the solver's HTTPRoute.
pub const HTTP01_PARENT_REF_NAME: &str = "acme.cert-manager.io/http01-parentrefname";
/// Annotation: the namespace of a further parent of the solver's HTTPRoute.
pub const HTTP01_PARENT_REF_NAMESPACE: &str = "acme.cert-manager.io/http01-parentrefnamespace";
/// The finalizer of older Challenges; replaced by [`FINALIZER`].
pub const LEGACY_FINALIZER: &str = "finalizer.acme.cert-manager.io";
/// Annotation of a Secret: `true` lets cainjector read its CA.
pub const ALLOW_DIRECT_INJECTION: &str = "cert-manager.io/allow-direct-injection";
/// Annotation of an issued Secret, and of a shim's parent: DNS names.
pub const ALT_NAMES: &str = "cert-manager.io/alt-names";
/// Annotation of an issued Secret and of a CertificateRequest: the Certificate's name.
pub const CERTIFICATE_NAME: &str = "cert-manager.io/certificate-name";
/// Annotation of a CertificateRequest: the revision it is for, from 1.
pub const CERTIFICATE_REVISION: &str = "cert-manager.io/certificate-revision";
/// Annotation of a shim's parent: the ClusterIssuer.
pub const CLUSTER_ISSUER: &str = "cert-manager.io/cluster-issuer";
/// Annotation of an issued Secret, and of a shim's parent: the common name.
pub const COMMON_NAME: &str = "cert-manager.io/common-name";
/// Label of a namespace: `true` exempts it from the webhook.
pub const DISABLE_VALIDATION: &str = "cert-manager.io/disable-validation";
/// Annotation of a shim's parent: `spec.duration`.
pub const DURATION: &str = "cert-manager.io/duration";
/// Annotation of an issued Secret, and of a shim's parent: e-mail addresses.
pub const EMAIL_SANS: &str = "cert-manager.io/email-sans";
/// Annotation of a Gateway or ListenerSet: listeners to leave alone.
pub const IGNORE_TLS_LISTENERS: &str = "cert-manager.io/ignore-tls-listeners";
/// Annotation for cainjector: `true` injects the API server's CA.
pub const INJECT_APISERVER_CA: &str = "cert-manager.io/inject-apiserver-ca";
/// Annotation for cainjector: `namespace/name` of a Certificate.
pub const INJECT_CA_FROM: &str = "cert-manager.io/inject-ca-from";
/// Annotation for cainjector: `namespace/name` of a Secret.
pub const INJECT_CA_FROM_SECRET: &str = "cert-manager.io/inject-ca-from-secret";
/// Annotation of an issued Secret, and of a shim's parent: IP addresses.
pub const IP_SANS: &str = "cert-manager.io/ip-sans";
/// Annotation of a Certificate: `true` asks for a self-signed stand-in.
pub const ISSUE_TEMPORARY_CERTIFICATE: &str = "cert-manager.io/issue-temporary-certificate";
/// Annotation of a shim's parent: the Issuer.
pub const ISSUER: &str = "cert-manager.io/issuer";
/// Annotation of an issued Secret, and of a shim's parent: the issuer's group.
pub const ISSUER_GROUP: &str = "cert-manager.io/issuer-group";
/// Annotation of an issued Secret, and of a shim's parent: the issuer's kind.
pub const ISSUER_KIND: &str = "cert-manager.io/issuer-kind";
/// Annotation of an issued Secret: the issuer's name.
pub const ISSUER_NAME: &str = "cert-manager.io/issuer-name";
/// Label of a Secret with the key of an issuance under way: always `true`.
pub const NEXT_PRIVATE_KEY: &str = "cert-manager.io/next-private-key";
/// Annotation of a shim's parent: `spec.privateKey.algorithm`.
pub const PRIVATE_KEY_ALGORITHM: &str = "cert-manager.io/private-key-algorithm";
/// Annotation of a shim's parent: `spec.privateKey.encoding`.
pub const PRIVATE_KEY_ENCODING: &str = "cert-manager.io/private-key-encoding";
/// Annotation of a shim's parent: `spec.privateKey.rotationPolicy`.
pub const PRIVATE_KEY_ROTATION_POLICY: &str = "cert-manager.io/private-key-rotation-policy";
/// Annotation of a CertificateRequest: the Secret with its private key.
pub const PRIVATE_KEY_SECRET_NAME: &str = "cert-manager.io/private-key-secret-name";
/// Annotation of a shim's parent: `spec.privateKey.size`.
pub const PRIVATE_KEY_SIZE: &str = "cert-manager.io/private-key-size";
/// Annotation of a shim's parent: `spec.renewBefore`.
pub const RENEW_BEFORE: &str = "cert-manager.io/renew-before";
/// Annotation of a shim's parent: `spec.renewBeforePercentage`.
pub const RENEW_BEFORE_PERCENTAGE: &str = "cert-manager.io/renew-before-percentage";
/// Annotation of a shim's parent: `spec.revisionHistoryLimit`.
pub const REVISION_HISTORY_LIMIT: &str = "cert-manager.io/revision-history-limit";
/// Annotation of a shim's parent: `spec.secretTemplate` as JSON.
pub const SECRET_TEMPLATE: &str = "cert-manager.io/secret-template";
/// Annotation of an issued Secret, and of a shim's parent: countries, one CSV record.
pub const SUBJECT_COUNTRIES: &str = "cert-manager.io/subject-countries";
/// Annotation of an issued Secret, and of a shim's parent: localities, one CSV record.
pub const SUBJECT_LOCALITIES: &str = "cert-manager.io/subject-localities";
/// Annotation of an issued Secret, and of a shim's parent: organizational units, one CSV record.
pub const SUBJECT_ORGANIZATIONAL_UNITS: &str = "cert-manager.io/subject-organizationalunits";
/// Annotation of an issued Secret, and of a shim's parent: organizations, one CSV record.
pub const SUBJECT_ORGANIZATIONS: &str = "cert-manager.io/subject-organizations";
/// Annotation of an issued Secret, and of a shim's parent: postal codes, one CSV record.
pub const SUBJECT_POSTAL_CODES: &str = "cert-manager.io/subject-postalcodes";
/// Annotation of an issued Secret, and of a shim's parent: provinces, one CSV record.
pub const SUBJECT_PROVINCES: &str = "cert-manager.io/subject-provinces";
/// Annotation of an issued Secret, and of a shim's parent: the subject's serial number.
pub const SUBJECT_SERIAL_NUMBER: &str = "cert-manager.io/subject-serialnumber";
/// Annotation of an issued Secret, and of a shim's parent: street addresses, one CSV record.
pub const SUBJECT_STREET_ADDRESSES: &str = "cert-manager.io/subject-streetaddresses";
/// Annotation of an issued Secret: URIs.
pub const URI_SANS: &str = "cert-manager.io/uri-sans";
/// Annotation of a shim's parent: `spec.usages`, separated by commas.
pub const USAGES: &str = "cert-manager.io/usages";
/// Label of a Secret: `true` lets it be cached in full.
pub const FILTERED_CACHING: &str = "controller.cert-manager.io/fao";
/// Annotation of a Kubernetes CSR: the Secret with its private key.
pub const CSR_PRIVATE_KEY_SECRET_NAME: &str =
    "experimental.cert-manager.io/private-key-secret-name";
/// Annotation of a Kubernetes CSR: the validity to ask for.
pub const CSR_REQUEST_DURATION: &str = "experimental.cert-manager.io/request-duration";
/// Annotation of a Kubernetes CSR: `true` asks for a CA certificate.
pub const CSR_REQUEST_IS_CA: &str = "experimental.cert-manager.io/request-is-ca";
/// Annotation of an issuer or a CertificateRequest: custom fields, a JSON array.
pub const VENAFI_CUSTOM_FIELDS: &str = "venafi.cert-manager.io/custom-fields";
/// Annotation of a CertificateRequest: where the certificate can be fetched.
pub const VENAFI_PICKUP_ID: &str = "venafi.cert-manager.io/pickup-id";
/// Annotation of a Kubernetes CSR: custom fields, a JSON array.
pub const CSR_VENAFI_CUSTOM_FIELDS: &str = "venafi.experimental.cert-manager.io/custom-fields";
/// Annotation of a Kubernetes CSR: where the certificate can be fetched.
pub const CSR_VENAFI_PICKUP_ID: &str = "venafi.experimental.cert-manager.io/pickup-id";

/// Every key above, which are all that cert-manager defines.
pub const ALL: [&str; 62] = [
    FINALIZER,
    HTTP_DOMAIN,
    HTTP_TOKEN,
    HTTP01_SOLVER,
    HTTP01_EDIT_IN_PLACE,
    HTTP01_INGRESS_CLASS,
    HTTP01_INGRESS_CLASS_NAME,
    HTTP01_OVERRIDE_INGRESS_CLASS,
    HTTP01_OVERRIDE_INGRESS_CLASS_NAME,
    HTTP01_OVERRIDE_INGRESS_NAME,
    HTTP01_PARENT_REF_FALLBACK,
    HTTP01_PARENT_REF_KIND,
    HTTP01_PARENT_REF_NAME,
    HTTP01_PARENT_REF_NAMESPACE,
    LEGACY_FINALIZER,
    ALLOW_DIRECT_INJECTION,
    ALT_NAMES,
    CERTIFICATE_NAME,
    CERTIFICATE_REVISION,
    CLUSTER_ISSUER,
    COMMON_NAME,
    DISABLE_VALIDATION,
    DURATION,
    EMAIL_SANS,
    IGNORE_TLS_LISTENERS,
    INJECT_APISERVER_CA,
    INJECT_CA_FROM,
    INJECT_CA_FROM_SECRET,
    IP_SANS,
    ISSUE_TEMPORARY_CERTIFICATE,
    ISSUER,
    ISSUER_GROUP,
    ISSUER_KIND,
    ISSUER_NAME,
    NEXT_PRIVATE_KEY,
    PRIVATE_KEY_ALGORITHM,
    PRIVATE_KEY_ENCODING,
    PRIVATE_KEY_ROTATION_POLICY,
    PRIVATE_KEY_SECRET_NAME,
    PRIVATE_KEY_SIZE,
    RENEW_BEFORE,
    RENEW_BEFORE_PERCENTAGE,
    REVISION_HISTORY_LIMIT,
    SECRET_TEMPLATE,
    SUBJECT_COUNTRIES,
    SUBJECT_LOCALITIES,
    SUBJECT_ORGANIZATIONAL_UNITS,
    SUBJECT_ORGANIZATIONS,
    SUBJECT_POSTAL_CODES,
    SUBJECT_PROVINCES,
    SUBJECT_SERIAL_NUMBER,
    SUBJECT_STREET_ADDRESSES,
    URI_SANS,
    USAGES,
    FILTERED_CACHING,
    CSR_PRIVATE_KEY_SECRET_NAME,
    CSR_REQUEST_DURATION,
    CSR_REQUEST_IS_CA,
    VENAFI_CUSTOM_FIELDS,
    VENAFI_PICKUP_ID,
    CSR_VENAFI_CUSTOM_FIELDS,
    CSR_VENAFI_PICKUP_ID,
];

/// Label of Secrets we make on our own account.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Annotation of solver Pods: `false`, or a sidecar would take their port.
pub const ISTIO_INJECT: &str = "sidecar.istio.io/inject";
/// Annotation of solver Pods: `true`.
pub const SAFE_TO_EVICT: &str = "cluster-autoscaler.kubernetes.io/safe-to-evict";
/// Annotation of solver Services: `NONE`.
pub const ISTIO_AUTH_SOLVER_PORT: &str = "auth.istio.io/8089";
/// Annotation of solver Ingresses: `0.0.0.0/0,::/0`, so that the CA gets through.
pub const NGINX_WHITELIST_SOURCE_RANGE: &str = "nginx.ingress.kubernetes.io/whitelist-source-range";
/// Annotation of Ingresses: the class, in the old way.
pub const INGRESS_CLASS: &str = "kubernetes.io/ingress.class";
/// Annotation of Ingresses: a true value asks for a Certificate (the default of
/// `--auto-certificate-annotations`).
pub const TLS_ACME: &str = "kubernetes.io/tls-acme";
/// Label that must not be copied, or `kubectl` would prune the copies.
pub const APPLYSET_PART_OF: &str = "applyset.kubernetes.io/part-of";
/// Finalizer of an object that goes after its dependents.
pub const FOREGROUND_DELETION: &str = "foregroundDeletion";
/// Annotation in which `kubectl apply` keeps what was applied.
pub const LAST_APPLIED_CONFIGURATION: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The prefix of the keys on Certificates, CertificateRequests and Secrets.
pub const PREFIX: &str = "cert-manager.io/";
/// The prefix of the keys of ACME objects.
pub const ACME_PREFIX: &str = "acme.cert-manager.io/";
