//! Names, labels, times and identifiers.

use serde_json::Value;

use super::status::Cause;

/// RFC 3339 with whole seconds, of milliseconds since 1970.
pub fn rfc3339(ms: i64) -> String {
    let seconds = ms.div_euclid(1000);
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (h, m, s) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}Z")
}

/// The proleptic Gregorian date of a day counted from 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// A seeded source of identifiers: the same calls give the same answers.
#[derive(Clone, Debug)]
pub(crate) struct Identifiers {
    seed: u64,
    count: u64,
}

const SUFFIX_LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

impl Identifiers {
    pub(crate) fn new(seed: u64) -> Self {
        Identifiers { seed, count: 0 }
    }

    /// SplitMix64 over the counter.
    fn next(&mut self) -> u64 {
        self.count += 1;
        let mut z = self.seed.wrapping_add(self.count.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A UUID of version 4.
    pub(crate) fn uid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        let (c, d) = ((a & 0xfff) | 0x4000, (b >> 48 & 0x3fff) | 0x8000);
        let (head, mid, tail) = (a >> 32, a >> 16 & 0xffff, b & 0xffff_ffff_ffff);
        format!("{head:08x}-{mid:04x}-{c:04x}-{d:04x}-{tail:012x}")
    }

    /// `base` and five letters, cut to 63 in all.
    pub(crate) fn generated_name(&mut self, base: &str) -> String {
        let mut bits = self.next();
        let mut out: String = base.chars().take(58).collect();
        for _ in 0..5 {
            let count = SUFFIX_LETTERS.len() as u64;
            out.push(char::from(SUFFIX_LETTERS[(bits % count) as usize]));
            bits /= count;
        }
        out
    }

    /// The host part of a cluster IP.
    pub(crate) fn address(&mut self) -> String {
        let bits = self.next();
        format!("10.96.{}.{}", bits & 0xff, 1 + (bits >> 8) % 254)
    }
}

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
    characters, '-' or '.', and must start and end with an alphanumeric character (e.g. \
    'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric \
    characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  \
    or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric \
    characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. \
    'MyValue',  or 'my_value',  or '12345', regex used for validation is \
    '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and \
    must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or \
    '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

fn lower(c: u8) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

fn edged(text: &str, edge: fn(u8) -> bool, inner: fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    ends.iter().all(|b| b.is_some_and(|b| edge(*b))) && bytes.iter().all(|b| inner(*b))
}

fn is_label(text: &str) -> bool {
    edged(text, lower, |c| lower(c) || c == b'-')
}

/// Why a name is no name for an object of this resource, as the real server puts it.
pub(crate) fn name_faults(resource: &str, field: &str, name: &str) -> Vec<Cause> {
    let shown = Value::from(name);
    let (fits, most, why) = match resource {
        "namespaces" | "services" => (is_label(name), 63, LABEL),
        _ => (name.split('.').all(is_label), 253, SUBDOMAIN),
    };
    let mut out = Vec::new();
    if name.len() > most {
        let text = format!("must be no more than {most} bytes");
        out.push(Cause::invalid(field, &shown, &text));
    }
    if !fits {
        out.push(Cause::invalid(field, &shown, why));
    }
    out
}

/// Faults of `metadata.labels`, `.annotations` and `.ownerReferences`.
pub(crate) fn metadata_faults(meta: &Value) -> Vec<Cause> {
    let mut out = Vec::new();
    for (key, value) in meta["labels"].as_object().into_iter().flatten() {
        key_faults("metadata.labels", key, &mut out);
        let text = value.as_str().unwrap_or_default();
        if text.len() > 63 {
            out.push(Cause::invalid("metadata.labels", value, "must be no more than 63 bytes"));
        }
        if !text.is_empty() && !is_name_part(text) {
            out.push(Cause::invalid("metadata.labels", value, LABEL_VALUE));
        }
    }
    annotation_faults(meta, &mut out);
    owner_faults(meta, &mut out);
    out
}

fn is_name_part(text: &str) -> bool {
    edged(
        text,
        |c| c.is_ascii_alphanumeric(),
        |c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.'),
    )
}

fn key_faults(field: &str, key: &str, out: &mut Vec<Cause>) {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(p, n)| (Some(p), n));
    let shown = Value::from(key);
    if name.len() > 63 {
        out.push(Cause::invalid(field, &shown, "name part must be no more than 63 bytes"));
    }
    if !is_name_part(name) {
        out.push(Cause::invalid(field, &shown, QUALIFIED));
    }
    if prefix.is_some_and(|p| !p.split('.').all(is_label)) {
        out.push(Cause::invalid(field, &shown, &format!("prefix part {SUBDOMAIN}")));
    }
}

fn annotation_faults(meta: &Value, out: &mut Vec<Cause>) {
    const MOST: usize = 256 << 10;
    let mut size = 0;
    for (key, value) in meta["annotations"].as_object().into_iter().flatten() {
        key_faults("metadata.annotations", &key.to_lowercase(), out);
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > MOST {
        let text = format!("Too long: may not be more than {MOST} bytes");
        out.push(Cause::new("FieldValueTooLong", "metadata.annotations", text));
    }
}

fn owner_faults(meta: &Value, out: &mut Vec<Cause>) {
    let owners = meta["ownerReferences"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (index, owner) in owners.iter().enumerate() {
        for name in ["apiVersion", "kind", "name", "uid"] {
            if owner[name].as_str().unwrap_or_default().is_empty() {
                let field = format!("metadata.ownerReferences[{index}].{name}");
                out.push(Cause::required(&field, "must not be empty"));
            }
        }
    }
    let mut holders = owners.iter().filter(|o| o["controller"] == true);
    if let (Some(one), Some(two)) = (holders.next(), holders.next()) {
        let text = |o: &Value, field: &str| o[field].as_str().unwrap_or_default().to_owned();
        let name = |o: &Value| format!("{}/{}", text(o, "kind"), text(o, "name"));
        let why = format!(
            "Only one reference can have Controller set to true. Found \"true\" in references \
             for {} and {}",
            name(one),
            name(two)
        );
        let shown: Vec<String> = owners.iter().map(go_owner).collect();
        let text = format!("Invalid value: [{}]: {why}", shown.join(","));
        out.push(Cause::new("FieldValueInvalid", "metadata.ownerReferences", text));
    }
}

/// An owner reference with its fields in the order of the Go struct.
fn go_owner(owner: &Value) -> String {
    let order = ["apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"];
    let pairs = order.iter().filter_map(|name| {
        let value = owner.get(name)?;
        Some(format!("\"{name}\":{value}"))
    });
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_with_whole_seconds() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(1_709_210_096_999), "2024-02-29T12:34:56Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59Z");
    }

    #[test]
    fn one_seed_gives_one_sequence_of_identifiers() {
        let draw = |seed| {
            let mut ids = Identifiers::new(seed);
            (ids.uid(), ids.uid(), ids.generated_name("a-"), ids.address())
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        let (one, two, name, _) = draw(7);
        assert_ne!(one, two);
        assert_eq!((one.len(), &one[14..15], name.len()), (36, "4", 7));
    }

    #[test]
    fn a_generated_name_fits_into_a_label() {
        let name = Identifiers::new(1).generated_name(&"x".repeat(200));
        assert_eq!(name.len(), 63);
    }
}
