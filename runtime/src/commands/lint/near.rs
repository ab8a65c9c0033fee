//! What a name that is not known was meant to be.

use serde_json::Value;

/// Fields of versions of the API before v1, and what they are called now.
const RENAMED: [(&str, &str); 8] = [
    ("organization", "subject.organizations"),
    ("keySize", "privateKey.size"),
    ("keyAlgorithm", "privateKey.algorithm"),
    ("keyEncoding", "privateKey.encoding"),
    ("uriSANs", "uris"),
    ("emailSANs", "emailAddresses"),
    ("ipSANs", "ipAddresses"),
    ("altNames", "dnsNames"),
];
const MAX_DEPTH: usize = 12;

/// What a field of an older version is called today.
pub fn renamed(name: &str) -> Option<&'static str> {
    RENAMED.iter().find(|(old, _)| *old == name).map(|(_, new)| *new)
}

/// The known name that is nearest to this one, if it is near enough to be meant.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_'], "");
    let (wanted, furthest) = (plain(name), (name.len() / 4).clamp(1, 3));
    let far = |one: &str| strsim::damerau_levenshtein(&wanted, &plain(one));
    let all = known.map(|one| (far(one), one));
    all.filter(|(far, _)| *far <= furthest).min().map(|(_, one)| one)
}

/// Where a schema has a field of this name: the shortest path to what holds it.
pub fn elsewhere(schema: &Value, name: &str) -> Option<String> {
    let mut level = vec![("".to_owned(), schema)];
    for _ in 0..MAX_DEPTH {
        let found = level.iter().find(|(path, at)| {
            !path.is_empty() && at["properties"].as_object().is_some_and(|p| p.contains_key(name))
        });
        if let Some((path, _)) = found {
            return Some(path.clone());
        }
        level = level.iter().flat_map(|(path, at)| below(path, at)).collect();
    }
    None
}

fn below<'a>(path: &str, schema: &'a Value) -> Vec<(String, &'a Value)> {
    let fields = schema["properties"].as_object().into_iter().flatten();
    let one = |(name, of): (&String, &'a Value)| {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match of.get("items") {
            Some(items) => (format!("{path}[]"), items),
            None => (path, of),
        }
    };
    fields.filter(|(name, _)| *name != "status").map(one).collect()
}
