//! The commands worth typing next, and names that were perhaps meant.

use super::around::{Related, issuers_of};
use everleaf_engine::{Engine, ObjectKey};
use everleaf_nodes::facts::{ChallengeFacts, Method, condition};
use everleaf_nodes::{Everleaf, Facts, Kind};
use serde_json::{Value, json};

/// A command, and what it is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hint {
    /// To be typed as it is.
    pub run: String,
    /// What it shows or does.
    pub why: String,
}

impl Hint {
    fn new(run: String, why: impl Into<String>) -> Self {
        Self { run, why: why.into() }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({"run": self.run, "why": self.why})
    }
}

/// Where the answer comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A cluster.
    Cluster,
    /// A recording, as it is written on a command line, with the instant.
    Recording {
        /// Its paths.
        paths: Vec<String>,
        /// The instant, RFC 3339.
        at: String,
    },
}

/// A word of a command line: quoted, unless the shell leaves it alone.
pub(super) fn quoted(word: &str) -> String {
    match is_plain(word) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// Whether a shell leaves a word alone, in double quotes too.
fn is_plain(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    !word.is_empty() && word.chars().all(plain)
}

fn place(key: &ObjectKey<Kind>) -> String {
    match &*key.namespace {
        "" => String::new(),
        namespace => format!(" -n {}", quoted(namespace)),
    }
}

/// `kind/name -n namespace`, as `everleaf why` and kubectl take it.
fn named(key: &ObjectKey<Kind>) -> String {
    let kind = key.kind.name().to_lowercase();
    format!("{}{}", quoted(&format!("{kind}/{}", key.name)), place(key))
}

impl Source {
    fn why(&self, key: &ObjectKey<Kind>) -> String {
        match self {
            Self::Cluster => format!("everleaf why {}", named(key)),
            Self::Recording { paths, at } => {
                let paths: String =
                    paths.iter().map(|path| format!(" --recording {}", quoted(path))).collect();
                format!("everleaf why {}{paths} --at {at}", named(key))
            }
        }
    }
}

/// What to type next, the most telling first.
pub(super) fn hints(
    engine: &Engine<Everleaf>,
    key: &ObjectKey<Kind>,
    around: &[Related],
    source: &Source,
    state: Option<&str>,
) -> Vec<Hint> {
    let mut all = Vec::new();
    let facts = engine.world().get(key).map(|object| &object.facts);
    // The innermost thing that is not done yet knows best what is waited for.
    let deepest = around.iter().rev().find(|one| {
        matches!(one.role, "challenge" | "order" | "request" | "certificate")
            && one.there == Some(true)
    });
    let open =
        deepest.filter(|one| engine.world().get(&one.key).is_some_and(|o| is_open(&o.facts)));
    if let Some(one) = open {
        all.push(Hint::new(source.why(&one.key), format!("what its {} waits for", one.role)));
    }
    for one in around.iter().filter(|one| one.role == "issuer") {
        let says = "Ready=True";
        if one.there == Some(true) && !one.says.starts_with(says) {
            all.push(Hint::new(source.why(&one.key), "why its issuer is not Ready"));
        }
    }
    match source {
        Source::Cluster => {
            all.extend(in_cluster(key, around, facts, state));
            let describe = format!("kubectl describe {}", named(key));
            all.push(Hint::new(describe, "all that it says, with its Events"));
        }
        Source::Recording { paths, .. } => {
            let paths: String = paths.iter().map(|path| format!(" {}", quoted(path))).collect();
            let page = format!("everleaf replay{paths} -q --html page.html");
            all.push(Hint::new(page, "the whole recording as one page"));
        }
    }
    all
}

/// Whether more is to come of an object that was made for another.
fn is_open(facts: &Facts) -> bool {
    match facts {
        Facts::Certificate(facts) => {
            !facts.status.conditions.iter().any(|c| &*c.kind == "Ready" && c.is_true())
        }
        Facts::Request(facts) => {
            let ready = condition(&facts.conditions, "Ready");
            let failed = ready.is_some_and(|c| matches!(&*c.reason, "Failed" | "Denied"));
            facts.certificate.good().is_none() && !failed
        }
        Facts::Order(facts) => !facts.state.is_final(),
        Facts::Challenge(facts) => !facts.state.is_final(),
        _ => false,
    }
}

fn in_cluster(
    key: &ObjectKey<Kind>,
    around: &[Related],
    facts: Option<&Facts>,
    state: Option<&str>,
) -> Vec<Hint> {
    let mut all = Vec::new();
    if around.iter().any(|one| one.role == "issuer" && one.there == Some(false)) {
        let run = format!("kubectl get issuers{} && kubectl get clusterissuers", place(key));
        all.push(Hint::new(run, "the issuers that there are"));
    }
    for foreign in facts.into_iter().flat_map(issuers_of).filter(|issuer| !issuer.is_ours()) {
        let kind = foreign.kind_or_default().to_lowercase();
        let object = format!("{kind}.{}/{}", foreign.group_or_default(), foreign.name);
        let run = format!("kubectl describe {}{}", quoted(&object), place(key));
        all.push(Hint::new(run, "the issuer of another group, which another controller serves"));
    }
    match facts {
        Some(Facts::Certificate(facts)) if state == Some("fresh") => {
            let (secret, place) = (quoted(&facts.secret_name), place(key));
            let run = format!(
                "kubectl get secret {secret}{place} -o jsonpath='{{.data.tls\\.crt}}' | base64 -d | \
                 openssl x509 -noout -subject -issuer -dates"
            );
            all.push(Hint::new(run, "the certificate itself"));
        }
        Some(Facts::Certificate(_) | Facts::Issuer(_)) if state != Some("ready") => {
            let run = format!("kubectl wait --for=condition=Ready --timeout=5m {}", named(key));
            all.push(Hint::new(run, "waits until it is Ready"));
        }
        Some(Facts::Request(_)) if state == Some("unapproved") => {
            let run = format!("cmctl approve {}{}", quoted(&key.name), place(key));
            all.push(Hint::new(run, "approves it, if you may and want to"));
        }
        Some(Facts::Challenge(facts)) => all.extend(from_outside(key, facts)),
        _ => {}
    }
    all
}

/// What the CA would look at.
fn from_outside(key: &ObjectKey<Kind>, facts: &ChallengeFacts) -> Option<Hint> {
    let name = quoted(&facts.dns_name);
    Some(match facts.method {
        Method::Dns01 => Hint::new(
            format!("dig +short TXT {}", quoted(&format!("_acme-challenge.{}", facts.dns_name))),
            "what DNS says from here; the CA has to see the record from outside",
        ),
        // Whoever made the Challenge chose the name, and a shell would read it.
        Method::Http01 if !is_plain(&facts.dns_name) => return None,
        Method::Http01 => {
            let token = format!(
                "$(kubectl get challenge {}{} -o jsonpath='{{.spec.token}}')",
                quoted(&key.name),
                place(key)
            );
            Hint::new(
                format!(
                    "curl -iL \"http://{}/.well-known/acme-challenge/{token}\"",
                    facts.dns_name
                ),
                "what the CA would be answered, from here",
            )
        }
        Method::TlsAlpn01 => Hint::new(
            format!("openssl s_client -alpn acme-tls/1 -connect {name}:443 -servername {name}"),
            "what the CA would be shown, from here",
        ),
    })
}

/// So many names are suggested.
const SUGGESTED: usize = 5;

/// The names among `there` that are near to what was asked for, the nearest first; then those of
/// that name in other namespaces.
pub(super) fn near(
    asked: &ObjectKey<Kind>,
    there: impl Iterator<Item = ObjectKey<Kind>>,
) -> Vec<String> {
    let mut ranked: Vec<(usize, ObjectKey<Kind>)> = there
        .filter_map(|key| {
            let far = usize::from(key.namespace != asked.namespace);
            let distance = distance(&asked.name, &key.name);
            let close = distance <= 2.max(asked.name.len() / 3)
                || key.name.contains(&*asked.name)
                || (asked.name.len() > 2 && asked.name.contains(&*key.name));
            close.then_some((distance + 2 * far, key))
        })
        .collect();
    ranked.sort();
    ranked.truncate(SUGGESTED);
    ranked.iter().map(|(_, key)| named(key)).collect()
}

/// "did you mean ...?", or nothing.
pub(super) fn meant(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(", or ")) }
}

/// How many letters have to be put in, left out or changed (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(253).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(253).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
