//! What is unwise in a Certificate.

use super::{Path, Warning, Warnings, names};
use crate::duration::GoDuration;
use crate::types::certificate::{
    CertificateSpec, KeyUsage, Pkcs12Profile, PrivateKeyAlgorithm, RenewalPolicy, RotationPolicy,
};

/// The sizes of RSA keys that are made; others are refused when a key is needed.
const RSA_SIZES: [i64; 4] = [2048, 3072, 4096, 8192];
/// The longest life of a server certificate that Apple's clients accept, of any CA: 825 days.
const LONGEST_LIFE: GoDuration = GoDuration::from_hours(825 * 24);
/// A renewal that begins later than this before the end has no time for a second attempt: the wait
/// after a first failure is an hour.
const SHORTEST_RENEWAL: GoDuration = GoDuration::from_hours(2);

/// What is allowed and unwise in a Certificate's spec.
#[must_use]
pub fn certificate_warnings(spec: &CertificateSpec) -> Vec<Warning> {
    let (mut found, root) = (Warnings::default(), Path::new("spec"));
    common_name(&mut found, spec, &root);
    names::check(&mut found, spec, &root);
    private_key(&mut found, spec, &root.child("privateKey"));
    lifetime(&mut found, spec, &root);
    usages(&mut found, spec, &root);
    keystores(&mut found, spec, &root.child("keystores"));
    found.0
}

fn is_ca(spec: &CertificateSpec) -> bool {
    spec.is_ca == Some(true)
}

fn common_name(found: &mut Warnings, spec: &CertificateSpec, root: &Path) {
    let Some(name) = spec.common_name.as_ref().filter(|_| !is_ca(spec)) else { return };
    let path = root.child("commonName");
    let listed = [&spec.dns_names, &spec.ip_addresses, &spec.email_addresses, &spec.uris];
    if listed.iter().any(|list| list.contains(name)) {
        return;
    }
    if names::looks_like_host(name) {
        let why = "is not among dnsNames: clients look there alone, and ACME CAs refuse the \
            request; add it";
        found.warn(&path, format!("{name:?} {why}"));
    } else if !spec.dns_names.is_empty() || !spec.ip_addresses.is_empty() {
        let why = "is none of the names that are asked for: ACME CAs refuse that, and clients do \
            not look at it; leave it out";
        found.warn(&path, format!("{name:?} {why}"));
    }
}

fn private_key(found: &mut Warnings, spec: &CertificateSpec, path: &Path) {
    if spec.rotation_policy() == RotationPolicy::Never {
        let why = "every renewal keeps the key: one that leaked stays good for ever; use Always";
        found.warn(&path.child("rotationPolicy"), why);
    }
    if spec.key_algorithm() != PrivateKeyAlgorithm::Rsa {
        return;
    }
    let size = spec.key_size().unwrap_or_default();
    if (2048..=8192).contains(&size) && !RSA_SIZES.contains(&size) {
        let why = "RSA keys are made of 2048, 3072, 4096 and 8192 bits; the Certificate will be \
            refused unless such a key is there already";
        found.warn(&path.child("size"), why);
    } else if size > 4096 {
        let why = "takes seconds to make and slows every handshake down; 3072 bits are as strong \
            as AES-128, and ECDSA is faster";
        found.warn(&path.child("size"), why);
    }
}

fn lifetime(found: &mut Warnings, spec: &CertificateSpec, root: &Path) {
    let duration = spec.duration_or_default();
    let serves = !spec.dns_names.is_empty() || !spec.ip_addresses.is_empty();
    if duration > LONGEST_LIFE && serves && !is_ca(spec) {
        let why = "longer than 825 days: Apple's clients refuse such server certificates, \
            whichever CA signed them";
        found.warn(&root.child("duration"), why);
    }
    if is_ca(spec) && spec.duration.is_none() {
        let why = "a CA of the default 90 days: what it signs ends with it; give it a duration of \
            years";
        found.warn(&root.child("isCA"), why);
    }
    if let Some(before) = &spec.renew_before {
        share(found, &duration, before.nanos(), &root.child("renewBefore"));
    } else if let Some(percent) = spec.renew_before_percentage {
        let before = i128::from(duration.nanos()) * i128::from(percent) / 100;
        let before = i64::try_from(before).unwrap_or(i64::MAX);
        share(found, &duration, before, &root.child("renewBeforePercentage"));
    }
    if spec.renewal.as_ref().is_some_and(|r| r.policy == Some(RenewalPolicy::Disabled)) {
        let why = "nothing renews this certificate: it ends after its duration";
        found.warn(&root.child("renewal").child("policy"), why);
    }
}

/// How much of a life is spent renewing.
fn share(found: &mut Warnings, duration: &GoDuration, before: i64, path: &Path) {
    let whole = duration.nanos();
    if before <= 0 || before >= whole {
        return;
    }
    let (age, told) = (whole - before, GoDuration::from_nanos(whole - before).canonical());
    if age < whole / 10 {
        let why = format!(
            "renews {told} after issuance, of a life of {}: CAs with rate limits will refuse, and \
             one that shortens the life makes it endless; a third of the life is usual",
            duration.canonical()
        );
        found.warn(path, why);
    } else if before < SHORTEST_RENEWAL.nanos() && whole > SHORTEST_RENEWAL.nanos() * 2 {
        let why = format!(
            "renews only {} before the end: a failure leaves no time for another attempt; a third \
             of the life is usual",
            GoDuration::from_nanos(before).canonical()
        );
        found.warn(path, why);
    }
}

fn usages(found: &mut Warnings, spec: &CertificateSpec, root: &Path) {
    let path = root.child("usages");
    let has = |usage| spec.usages.contains(&usage);
    let bits = spec.usages.iter().any(|usage| usage.key_usage_bit().is_some());
    let signs = has(KeyUsage::DigitalSignature) || has(KeyUsage::Signing);
    if has(KeyUsage::ServerAuth) && bits && !signs {
        let why = "lacks digital signature: TLS 1.3 and every modern cipher suite need it of a \
            server; add it";
        found.warn(&path, why);
    }
    if has(KeyUsage::CertSign) && !is_ca(spec) {
        found.warn(&path, "has cert sign without isCA: what it signs is not valid; set isCA");
    }
    if spec.encode_usages_in_request == Some(false) && !spec.usages.is_empty() {
        let why = "issuers that look only at the signing request will not see the usages";
        found.warn(&root.child("encodeUsagesInRequest"), why);
    }
}

fn keystores(found: &mut Warnings, spec: &CertificateSpec, path: &Path) {
    let Some(stores) = &spec.keystores else { return };
    let literal = |found: &mut Warnings, password: Option<&String>, path: &Path| {
        if password.is_some_and(|password| !password.is_empty()) {
            let why = "can be read by everyone who reads the Certificate; use passwordSecretRef";
            found.warn(&path.child("password"), why);
        }
    };
    let idle = |found: &mut Warnings, create: bool, path: &Path| {
        if !create {
            found.warn(&path.child("create"), "without create: true no keystore is written");
        }
    };
    if let Some(jks) = &stores.jks {
        literal(found, jks.password.as_ref(), &path.child("jks"));
        idle(found, jks.create, &path.child("jks"));
    }
    if let Some(pkcs12) = &stores.pkcs12 {
        let path = path.child("pkcs12");
        literal(found, pkcs12.password.as_ref(), &path);
        idle(found, pkcs12.create, &path);
        let profile = pkcs12.profile.unwrap_or(Pkcs12Profile::LegacyRc2);
        if matches!(profile, Pkcs12Profile::LegacyRc2 | Pkcs12Profile::LegacyDes) {
            let why = "the keystore is encrypted with RC2 or 3DES, which OpenSSL 3 opens only \
                with -legacy; use Modern2023 unless a client is older";
            found.warn(&path.child("profile"), why);
        }
    }
}
