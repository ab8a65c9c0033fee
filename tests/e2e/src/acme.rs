//! What scenarios of ACME begin with: a CA, issuers of it, records, and what may not be left.

use crate::{FaultProxy, Operator, World, data, eventually, name_of, skip, text, variable};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

/// An ACME CA.
#[derive(Clone)]
pub struct Ca {
    /// The URL of its directory.
    pub directory: String,
    /// What its server's certificate is below, as PEM.
    pub bundle: Vec<u8>,
    /// Our own address, as the ingress controller reaches it.
    pub host: String,
}

impl Ca {
    /// The test bed's Pebble; without one, it skips aloud.
    pub fn pebble(scenario: &str) -> Option<Self> {
        Self::of(scenario, ["TESTBED_PEBBLE", "TESTBED_CA"])
    }

    /// The test bed's step-ca; without one, it skips aloud.
    pub fn step(scenario: &str) -> Option<Self> {
        let names = ["TESTBED_STEPCA", "TESTBED_STEPCA_ROOT"];
        let made = variable(names[1]).is_some_and(|path| Path::new(&path).exists());
        if !made {
            skip(scenario, "start the test bed's stepca, and set TESTBED_STEPCA and its _ROOT");
            return None;
        }
        Self::of(scenario, names)
    }

    fn of(scenario: &str, [directory, bundle]: [&str; 2]) -> Option<Self> {
        let found = (variable(directory), variable(bundle), variable("TESTBED_HOST"));
        let (Some(directory), Some(bundle), Some(host)) = found else {
            let remedy = format!("set {directory}, {bundle} and TESTBED_HOST (the test bed does)");
            skip(scenario, &remedy);
            return None;
        };
        let bundle = std::fs::read(&bundle).unwrap_or_else(|error| panic!("{bundle}: {error}"));
        Some(Self { directory, bundle, host })
    }

    /// Pebble, and a proxy of the scenario's own in front of it; without Pebble, it skips aloud.
    pub fn faulty(scenario: &str) -> Option<(Self, FaultProxy)> {
        let pebble = Self::pebble(scenario)?;
        let proxy = FaultProxy::start()?;
        let (directory, bundle) = (proxy.directory(), proxy.bundle().into_bytes());
        Some((Self { directory, bundle, ..pebble }, proxy))
    }

    /// Whether it wants an external account binding.
    pub fn asks_for_binding(&self) -> bool {
        variable("TESTBED_EAB").is_some()
    }

    /// An operator that answers HTTP-01 at a port of its own, and asks the test bed's DNS.
    pub fn operator(&self, world: &World, flags: &[&str]) -> Operator {
        self.operator_with(world, flags, &[])
    }

    /// The same at that port, which a scenario asks at itself.
    pub fn operator_at(&self, world: &World, port: u16, flags: &[&str]) -> Operator {
        self.start(world, port, flags, &[])
    }

    /// The same with variables in its environment.
    pub fn operator_with(
        &self,
        world: &World,
        flags: &[&str],
        environment: &[(&str, &str)],
    ) -> Operator {
        self.start(world, free_port(&self.host), flags, environment)
    }

    fn start(
        &self,
        world: &World,
        port: u16,
        flags: &[&str],
        environment: &[(&str, &str)],
    ) -> Operator {
        let mut all = vec![
            format!("--acme-http01-responder-ip={}", self.host),
            format!("--acme-http01-responder-port={port}"),
        ];
        let told = |flag: &&str| flag.starts_with("--dns01-recursive-nameservers=");
        if let Some(dns) = variable("TESTBED_DNS").filter(|_| !flags.iter().any(told)) {
            all.push(format!("--dns01-recursive-nameservers={dns}"));
        }
        all.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        world.operator_with(&all, environment)
    }

    /// The Issuer `acme` of it, with its account key in the Secret `account`; `more` is merged into
    /// `spec.acme`.
    pub fn issuer(&self, solvers: &Value, more: Value) -> Value {
        let mut acme = json!({
            "server": self.directory,
            "email": "Ops@example.test",
            "caBundle": STANDARD.encode(&self.bundle),
            "privateKeySecretRef": { "name": "account" },
            "solvers": solvers,
        });
        if self.asks_for_binding() {
            let key = json!({ "name": "eab", "key": "key" });
            acme["externalAccountBinding"] = json!({ "keyID": "kid-1", "keySecretRef": key });
        }
        for (field, value) in more.as_object().into_iter().flatten() {
            acme[field] = value.clone();
        }
        json!({
            "apiVersion": "cert-manager.io/v1",
            "kind": "Issuer",
            "metadata": { "name": "acme" },
            "spec": { "acme": acme },
        })
    }

    /// Creates that Issuer, and waits until it is Ready.
    pub async fn serve(&self, world: &World, solvers: &Value, more: Value) -> Value {
        if let Some(key) = eab_key() {
            world.create(secret("eab", "key", &key)).await;
        }
        world.create(self.issuer(solvers, more)).await;
        world.ready("Issuer", "acme").await
    }
}

/// The MAC key of the test bed's Pebble, if it asks for one.
pub fn eab_key() -> Option<String> {
    variable("TESTBED_EAB")?;
    let ca = variable("TESTBED_CA")?;
    let file = Path::new(&ca).parent()?.parent()?.join("pebble/config.json");
    let config: Value = serde_json::from_str(&std::fs::read_to_string(file).ok()?).ok()?;
    let key = config.pointer("/pebble/externalAccountMACKeys/kid-1")?;
    Some(key.as_str()?.to_owned())
}

/// A port of `host` that nobody listens on.
pub fn free_port(host: &str) -> u16 {
    let listener = TcpListener::bind((host, 0)).expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

/// A Secret with one entry.
pub fn secret(name: &str, key: &str, value: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": name },
        "stringData": { key: value },
    })
}

/// HTTP-01 through the test bed's ingress controller.
pub fn http01() -> Value {
    json!({ "http01": { "ingress": { "ingressClassName": "traefik" } } })
}

/// DNS-01 by updates of the test bed's DNS server; the key goes into the Secret `tsig`.
pub async fn rfc2136(world: &World) -> Value {
    let dns = Dns::of_test_bed().expect("the test bed's DNS");
    world.create(secret("tsig", "key", &dns.secret)).await;
    json!({ "dns01": { "rfc2136": {
        "nameserver": format!("{}:{}", dns.host, dns.port),
        "tsigKeyName": dns.key_name,
        "tsigAlgorithm": "HMACSHA256",
        "tsigSecretSecretRef": { "name": "tsig", "key": "key" },
    } } })
}

/// What an Order, a Challenge or an issuer says of its last attempt.
pub fn attempt(object: &Value) -> Option<Value> {
    let note = text(object, "/metadata/annotations/everleaf.dev~1acme-attempt");
    serde_json::from_str(note).ok()
}

/// The names of every object of a kind.
pub async fn names(world: &World, kind: &str) -> Vec<String> {
    let all = world.list(kind).await;
    all.iter().map(|object| name_of(object).to_owned()).collect()
}

/// Nothing that was made for challenges is left.
pub async fn swept(world: &World) {
    eventually("no Challenge, route, Service or slice is left", 60, async || {
        let mut left = Vec::new();
        for kind in ["Challenge", "Ingress", "Service", "EndpointSlice"] {
            let all = world.list(kind).await;
            let ours = |one: &&Value| {
                let label = "/metadata/labels/acme.cert-manager.io~1http01-solver";
                kind == "Challenge" || !text(one, label).is_empty()
            };
            left.extend(all.iter().filter(ours).map(|one| format!("{kind} {}", name_of(one))));
        }
        if left.is_empty() { Ok(()) } else { Err(left.join(", ")) }
    })
    .await;
}

/// Panics unless the Secret's chain goes with its key and is for these names, which are sorted.
pub fn assert_covers(world: &World, secret: &Value, names: &[&str]) {
    world.openssl.assert_pair(&data(secret, "tls.crt"), &data(secret, "tls.key"));
    let said = text(secret, "/metadata/annotations/cert-manager.io~1alt-names");
    let said: BTreeSet<&str> = said.split(',').collect();
    assert_eq!(said, names.iter().copied().collect());
}

/// The test bed's DNS server, asked and changed with BIND's programs.
pub struct Dns {
    /// Its address.
    pub host: String,
    /// Its port.
    pub port: String,
    /// The name of the key for updates.
    pub key_name: String,
    /// That key, in base64.
    pub secret: String,
}

impl Dns {
    /// The one that the variables name.
    pub fn of_test_bed() -> Option<Self> {
        let server = variable("TESTBED_DNS")?;
        let (host, port) = server.rsplit_once(':')?;
        let secret = std::fs::read_to_string(variable("TESTBED_TSIG_FILE")?).ok()?;
        let (host, port) = (host.to_owned(), port.to_owned());
        let secret = secret.trim().to_owned();
        Some(Self { host, port, key_name: variable("TESTBED_TSIG_NAME")?, secret })
    }

    /// The same; without the server or the programs, it skips aloud.
    pub fn open(scenario: &str) -> Option<Self> {
        let installed = |(program, tell): (&str, &str)| Command::new(program).arg(tell).output();
        let programs = [("dig", "-v"), ("nsupdate", "-V")].map(installed);
        let all = programs.iter().all(Result::is_ok);
        let found = Self::of_test_bed().filter(|_| all);
        if found.is_none() {
            skip(scenario, "set TESTBED_DNS and TESTBED_TSIG_*, and install dig and nsupdate");
        }
        found
    }

    /// The texts of a name's TXT records.
    pub fn txt(&self, name: &str) -> BTreeSet<String> {
        let at = format!("@{}", self.host);
        let mut dig = Command::new("dig");
        dig.args(["+short", "-p", &self.port, &at, "TXT", name]);
        let answer = dig.output().expect("dig is there");
        let answer = String::from_utf8_lossy(&answer.stdout).into_owned();
        answer.lines().map(|line| line.trim_matches('"').to_owned()).collect()
    }

    /// Adds a TXT record.
    pub fn add(&self, name: &str, value: &str) {
        self.update(&format!("update add {name} 1 TXT \"{value}\""));
    }

    /// Removes a TXT record.
    pub fn remove(&self, name: &str, value: &str) {
        self.update(&format!("update delete {name} TXT \"{value}\""));
    }

    fn update(&self, command: &str) {
        let Self { host, port, key_name, secret } = self;
        let script =
            format!("server {host} {port}\nkey hmac-sha256:{key_name} {secret}\n{command}\nsend\n");
        let mut nsupdate = Command::new("nsupdate");
        let mut nsupdate = nsupdate.stdin(Stdio::piped()).spawn().expect("nsupdate is there");
        let mut input = nsupdate.stdin.take().expect("it is piped");
        input.write_all(script.as_bytes()).expect("nsupdate reads");
        drop(input);
        assert!(nsupdate.wait().expect("our own child").success(), "{command}");
    }
}
