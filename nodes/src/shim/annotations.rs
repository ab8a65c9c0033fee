//! What the annotations of an Ingress ask of its Certificates. A value that cannot be read is a
//! problem that names the annotation and says what it should be; none is ignored.

use crate::effect::Strings;
use crate::facts::Problem;
use everleaf_api::names::{self, csv};
use everleaf_api::types::certificate::{
    CertificatePrivateKey, CertificateSecretTemplate, CertificateSpec, KeyUsage, X509Subject,
};
use everleaf_api::{GoDuration, validate};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the annotations make of every Certificate of the Ingress.
pub(super) struct Shaped {
    /// Everything but hosts, Secret and issuer; DNS names and addresses are those beyond the hosts.
    pub spec: CertificateSpec,
    /// Annotations for the Certificates, about HTTP-01.
    pub overrides: Strings,
    /// Whether HTTP-01 edits this very Ingress.
    pub edits_in_place: bool,
}

type Annotations = BTreeMap<Arc<str>, Arc<str>>;

/// Collects what cannot be read.
struct Reading<'a> {
    annotations: &'a Annotations,
    problems: Vec<Problem>,
}

impl Reading<'_> {
    fn text(&self, key: &str) -> Option<&str> {
        self.annotations.get(key).map(|value| &**value)
    }

    fn wrong(&mut self, key: &str, message: impl Into<String>) {
        let path = format!("metadata.annotations[{key}]");
        self.problems.push(Problem { path: path.into(), message: message.into().into() });
    }

    fn read<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        match parse(self.text(key)?) {
            Ok(value) => Some(value),
            Err(message) => {
                self.wrong(key, message);
                None
            }
        }
    }

    fn list<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<Vec<T>, String>) -> Vec<T> {
        self.read(key, parse).unwrap_or_default()
    }
}

/// Reads every annotation.
///
/// # Errors
/// Everything that cannot be read, at once.
pub(super) fn shape(annotations: &Annotations) -> Result<Shaped, Vec<Problem>> {
    let mut reading = Reading { annotations, problems: Vec::new() };
    let spec = spec(&mut reading);
    let edits_in_place = reading.text(names::HTTP01_EDIT_IN_PLACE) == Some("true");
    let renamed = [
        (names::HTTP01_INGRESS_CLASS, names::HTTP01_OVERRIDE_INGRESS_CLASS),
        (names::HTTP01_INGRESS_CLASS_NAME, names::HTTP01_OVERRIDE_INGRESS_CLASS_NAME),
    ];
    let overrides = renamed
        .into_iter()
        .filter_map(|(from, to)| Some((to.into(), annotations.get(from)?.clone())))
        .collect();
    if reading.problems.is_empty() {
        Ok(Shaped { spec, overrides, edits_in_place })
    } else {
        Err(reading.problems)
    }
}

fn spec(reading: &mut Reading<'_>) -> CertificateSpec {
    let mut spec = CertificateSpec {
        common_name: reading.read(names::COMMON_NAME, common_name),
        dns_names: reading.list(names::ALT_NAMES, |text| Ok(names_in(text))),
        ip_addresses: reading.list(names::IP_SANS, addresses),
        email_addresses: reading.list(names::EMAIL_SANS, |text| Ok(names_in(text))),
        duration: reading.read(names::DURATION, |text| duration(text, 3600)),
        renew_before: reading.read(names::RENEW_BEFORE, |text| duration(text, 300)),
        renew_before_percentage: reading.read(names::RENEW_BEFORE_PERCENTAGE, percentage),
        usages: reading.list(names::USAGES, usages),
        revision_history_limit: reading.read(names::REVISION_HISTORY_LIMIT, history),
        secret_template: reading.read(names::SECRET_TEMPLATE, secret_template),
        ..CertificateSpec::default()
    };
    spec.subject = subject(reading);
    spec.private_key = private_key(reading);
    if reading.problems.is_empty() {
        check_whole(reading, &spec);
    }
    spec
}

/// The rules that tie fields together are those of the API itself.
fn check_whole(reading: &mut Reading<'_>, spec: &CertificateSpec) {
    let mut whole = spec.clone();
    whole.dns_names.push("host.invalid".to_owned());
    whole.secret_name = "name".to_owned();
    whole.issuer_ref.name = "name".to_owned();
    for violation in validate::certificate(&whole) {
        reading.wrong(annotation_of(&violation.path), violation.to_string());
    }
}

/// The annotation of an Ingress that sets a field of its Certificates; only their prefix where none
/// does.
pub fn annotation_of(path: &str) -> &'static str {
    let field = path.strip_prefix("spec.").unwrap_or(path);
    match field.split(['.', '[']).next().unwrap_or(field) {
        "commonName" => names::COMMON_NAME,
        "dnsNames" => names::ALT_NAMES,
        "ipAddresses" => names::IP_SANS,
        "emailAddresses" => names::EMAIL_SANS,
        "duration" => names::DURATION,
        "renewBefore" => names::RENEW_BEFORE,
        "renewBeforePercentage" => names::RENEW_BEFORE_PERCENTAGE,
        "usages" => names::USAGES,
        "revisionHistoryLimit" => names::REVISION_HISTORY_LIMIT,
        "secretTemplate" => names::SECRET_TEMPLATE,
        "privateKey" if field.ends_with("size") => names::PRIVATE_KEY_SIZE,
        "privateKey" => names::PRIVATE_KEY_ALGORITHM,
        _ => "cert-manager.io/",
    }
}

fn common_name(text: &str) -> Result<String, String> {
    if text.len() > 64 {
        return Err(format!("{} bytes long; a common name has at most 64", text.len()));
    }
    Ok(text.to_owned())
}

fn names_in(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn addresses(text: &str) -> Result<Vec<String>, String> {
    let parse = |address: String| match address.parse::<std::net::IpAddr>() {
        Ok(_) => Ok(address),
        Err(_) => Err(format!("{address:?} is no IP address; give a list like 10.0.0.1,fd00::1")),
    };
    names_in(text).into_iter().map(parse).collect()
}

fn duration(text: &str, least_seconds: i64) -> Result<GoDuration, String> {
    let duration: GoDuration =
        text.parse().map_err(|error| format!("{error}; write it like 2160h or 30m"))?;
    if duration.seconds() < least_seconds {
        let least = GoDuration::from_seconds(least_seconds).canonical();
        return Err(format!("{text:?} is too short; the least is {least}"));
    }
    Ok(duration)
}

fn percentage(text: &str) -> Result<i32, String> {
    let percentage = text.parse().ok().filter(|percent| (1..100).contains(percent));
    percentage.ok_or_else(|| format!("{text:?} is no whole number from 1 to 99"))
}

fn history(text: &str) -> Result<i32, String> {
    let limit = text.parse().ok().filter(|limit| *limit >= 1);
    limit.ok_or_else(|| format!("{text:?} is no whole number of at least 1"))
}

fn usages(text: &str) -> Result<Vec<KeyUsage>, String> {
    names_in(text).iter().map(|usage| word(usage)).collect()
}

/// A value of one of the API's enums; the error lists the known ones.
fn word<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(Value::String(text.to_owned())).map_err(|error| error.to_string())
}

fn secret_template(text: &str) -> Result<CertificateSecretTemplate, String> {
    let value: Value = serde_json::from_str(text)
        .map_err(|error| format!("no JSON object with annotations and labels: {error}"))?;
    let fields = value.as_object().ok_or("no JSON object with annotations and labels")?;
    if let Some(other) = fields.keys().find(|key| !["annotations", "labels"].contains(&&***key)) {
        return Err(format!("unknown field {other:?}; known are annotations and labels"));
    }
    let template: CertificateSecretTemplate =
        serde_json::from_value(value).map_err(|error| error.to_string())?;
    match template.annotations.keys().find(|key| key.starts_with("cert-manager.io/")) {
        Some(key) => Err(format!("annotation {key:?}: keys of cert-manager.io/ are not allowed")),
        None => Ok(template),
    }
}

fn subject(reading: &mut Reading<'_>) -> Option<X509Subject> {
    let record = |text: &str| csv::split(text).map_err(|error| error.to_string());
    let subject = X509Subject {
        organizations: reading.list(names::SUBJECT_ORGANIZATIONS, record),
        organizational_units: reading.list(names::SUBJECT_ORGANIZATIONAL_UNITS, record),
        countries: reading.list(names::SUBJECT_COUNTRIES, record),
        provinces: reading.list(names::SUBJECT_PROVINCES, record),
        localities: reading.list(names::SUBJECT_LOCALITIES, record),
        postal_codes: reading.list(names::SUBJECT_POSTAL_CODES, record),
        street_addresses: reading.list(names::SUBJECT_STREET_ADDRESSES, record),
        serial_number: reading.text(names::SUBJECT_SERIAL_NUMBER).map(str::to_owned),
    };
    (subject != X509Subject::default()).then_some(subject)
}

fn private_key(reading: &mut Reading<'_>) -> Option<CertificatePrivateKey> {
    let size = |text: &str| {
        text.parse().map_err(|_| format!("{text:?} is no whole number of bits like 2048"))
    };
    let key = CertificatePrivateKey {
        algorithm: reading.read(names::PRIVATE_KEY_ALGORITHM, word),
        encoding: reading.read(names::PRIVATE_KEY_ENCODING, word),
        rotation_policy: reading.read(names::PRIVATE_KEY_ROTATION_POLICY, word),
        size: reading.read(names::PRIVATE_KEY_SIZE, size),
    };
    (key != CertificatePrivateKey::default()).then_some(key)
}
