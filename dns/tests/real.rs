//! Against BIND and moto's Route 53.
//!
//! The test bed gives `TESTBED_DNS`, `TESTBED_TSIG_*` and `TESTBED_AWS`. A name server that knows
//! a key of every algorithm is started here, where `named` is installed. What is not there is
//! skipped, and said.

#![expect(clippy::disallowed_methods, reason = "a suite reads the environment and the clock")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use everleaf_api::types::dns01::AcmeSolverDns01;
use everleaf_dns::resolver::caa::{Issuance, Reason};
use everleaf_dns::resolver::{Check, Nameserver, Options, Resolver, Sight};
use everleaf_dns::webhook::{self, Transport};
use everleaf_dns::{
    Clock, Context, Error, Http, Mend, Provider, Record, Secret, Secrets, Setting, provider, ttl,
};
use serde_json::{Value, json};

type Outcome = Result<(), Box<dyn std::error::Error>>;

struct Nobody;

#[async_trait::async_trait]
impl Transport for Nobody {
    async fn post(&self, _: &str, _: Vec<u8>) -> Result<(u16, Vec<u8>), Error> {
        Err(Error::Transient("no API server".to_owned()))
    }
}

fn variable(name: &str) -> Option<String> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty());
    if value.is_none() {
        eprintln!("SKIPPED: {name} is not set (start the test bed, parts dns and aws)");
    }
    value
}

fn clock() -> Clock {
    Clock::new(jiff::Timestamp::now)
}

fn made(
    solver: Value,
    secrets: &[(&str, &str)],
    context: &Context,
) -> Result<Arc<dyn Provider>, Error> {
    let config: AcmeSolverDns01 =
        serde_json::from_value(solver).expect("the solver is as the API has it");
    let mut values = Secrets::default();
    for (key, value) in secrets {
        values.insert("dns", *key, Secret::new(*value));
    }
    let (challenge, transport): (_, Arc<dyn Transport>) =
        (webhook::Challenge::default(), Arc::new(Nobody));
    assert!(ttl(&config) > 0);
    provider(&Setting {
        config: &config,
        secrets: &values,
        context,
        challenge: &challenge,
        transport: &transport,
    })
}

fn context() -> Result<Context, Error> {
    Ok(Context::new(Http::new()?, clock()))
}

fn rfc2136(server: &str, protocol: &str, key: Option<(&str, &str)>) -> Value {
    let mut config = json!({ "nameserver": server, "protocol": protocol });
    if let Some((name, algorithm)) = key {
        config["tsigKeyName"] = json!(name);
        config["tsigAlgorithm"] = json!(algorithm);
        config["tsigSecretSecretRef"] = json!({ "name": "dns", "key": "tsig" });
    }
    json!({ "rfc2136": config })
}

fn record(fqdn: &str, zone: &str, value: &str) -> Record {
    let domain = fqdn.trim_start_matches("_acme-challenge.").to_owned();
    Record {
        domain,
        fqdn: fqdn.to_owned(),
        zone: zone.to_owned(),
        value: value.to_owned(),
        ttl: 60,
    }
}

fn resolver(server: &str, port: u16) -> Result<Resolver, Error> {
    let options = Options { timeout: Duration::from_secs(4), authoritative_port: port };
    Ok(Resolver::new(vec![server.parse::<Nameserver>()?], Http::new()?, clock(), options))
}

/// Two values written, both seen at every authority, one removed, the other still there.
async fn round_trip(provider: &dyn Provider, resolver: &Resolver, fqdn: &str) -> Outcome {
    let zone = resolver.zone_of(fqdn).await?;
    let (one, two) = (record(fqdn, &zone, "value-one"), record(fqdn, &zone, "value-two"));
    for record in [&one, &two, &one] {
        provider.present(record).await?;
    }
    for value in ["value-one", "value-two"] {
        assert!(
            resolver.propagation(fqdn, value, Check::Authoritative).await?.complete(),
            "{fqdn} {value}"
        );
    }
    provider.clean_up(&one).await?;
    provider.clean_up(&one).await?;
    let gone = resolver.propagation(fqdn, "value-one", Check::Authoritative).await?;
    assert!(
        gone.servers.values().all(|sight| *sight == Sight::Absent(vec!["value-two".to_owned()])),
        "{gone:?}"
    );
    provider.clean_up(&two).await?;
    assert!(resolver.txt(fqdn).await?.is_empty());
    Ok(())
}

/// A name server of our own, with a key of every algorithm for the zone `keys.test`.
struct Named {
    process: Child,
    folder: PathBuf,
    port: u16,
    /// Held open, since it writes a few lines more.
    _log: BufReader<ChildStderr>,
}

const ALGORITHMS: [(&str, &str); 6] = [
    ("HMACMD5", "hmac-md5"),
    ("HMACSHA1", "hmac-sha1"),
    ("HMACSHA224", "hmac-sha224"),
    ("HMACSHA256", "hmac-sha256"),
    ("HMACSHA384", "hmac-sha384"),
    ("HMACSHA512", "hmac-sha512"),
];
/// Base64 of a text; the server is on loopback and ends with the test.
const SECRET: &str = "bm90IGEgc2VjcmV0LCBidXQgbG9uZyBlbm91Z2ggZm9yIGEga2V5";

impl Named {
    fn start(name: &str) -> Option<Self> {
        let port = free_port();
        let folder =
            std::env::temp_dir().join(format!("everleaf-dns-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a temporary folder");
        let keys = ALGORITHMS.map(|(_, bind)| {
            format!("key \"{bind}.\" {{ algorithm {bind}; secret \"{SECRET}\"; }};\n")
        });
        let grants = ALGORITHMS.map(|(_, bind)| format!("grant {bind}. zonesub ANY; "));
        let zone = "$TTL 5\n@ IN SOA ns1.keys.test. root.keys.test. ( 1 60 60 3600 1 )\n@ IN NS ns1.keys.test.\nns1 IN A 127.0.0.1\n";
        fs::write(folder.join("zone"), zone).expect("the zone is written");
        let config = format!(
            "options {{ directory \"{d}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; recursion no; \
             pid-file none; session-keyfile none; dnssec-validation no; }};\ncontrols {{ }};\n{}\
             zone \"keys.test\" {{ type primary; file \"{d}/zone\"; update-policy {{ {} }}; }};\n",
            keys.concat(),
            grants.concat(),
            d = folder.display(),
        );
        fs::write(folder.join("named.conf"), config).expect("the configuration is written");
        let process = Command::new("named")
            .args(["-g", "-n", "1", "-c"])
            .arg(folder.join("named.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        match process {
            Ok(mut process) => {
                let log = process.stderr.take().expect("it is piped");
                let log = wait_until_running(log);
                Some(Self { process, folder, port, _log: log })
            }
            Err(_) => {
                eprintln!("SKIPPED: named is not installed (package bind9)");
                None
            }
        }
    }

    fn resolver(&self) -> Result<Resolver, Error> {
        resolver(&format!("127.0.0.1:{}", self.port), self.port)
    }
}

/// It says so in its log; one that cannot start ends, and its log with it.
fn wait_until_running(log: ChildStderr) -> BufReader<ChildStderr> {
    let (mut log, mut said) = (BufReader::new(log), String::new());
    while !said.lines().last().unwrap_or_default().ends_with(" running") {
        let read = log.read_line(&mut said).expect("its log is text");
        assert!(read > 0, "named did not start:\n{said}");
    }
    log
}

impl Drop for Named {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn free_port() -> u16 {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = tcp.local_addr().expect("a bound address").port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

#[tokio::test]
async fn bind_takes_updates_signed_with_every_algorithm_over_both_transports() -> Outcome {
    let Some(named) = Named::start("every") else { return Ok(()) };
    let resolver = named.resolver()?;
    let server = format!("127.0.0.1:{}", named.port);
    for (algorithm, bind) in ALGORITHMS {
        for protocol in ["UDP", "TCP"] {
            let solver = rfc2136(&server, protocol, Some((bind, algorithm)));
            let provider = made(solver, &[("tsig", SECRET)], &context()?)?;
            let fqdn = format!("_acme-challenge.{}.keys.test.", bind.replace('-', ""));
            round_trip(&*provider, &resolver, &fqdn)
                .await
                .map_err(|error| format!("{algorithm} {protocol}: {error}"))?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn bind_refuses_a_wrong_secret_an_unknown_key_no_signature_and_a_foreign_zone() -> Outcome {
    let Some(named) = Named::start("refuse") else { return Ok(()) };
    let server = format!("127.0.0.1:{}", named.port);
    let record = |zone: &str| record(&format!("_acme-challenge.{zone}"), zone, "v");
    let ask = async |key, secret, zone: &str| -> Result<Error, Error> {
        let provider = made(rfc2136(&server, "UDP", key), &[("tsig", secret)], &context()?)?;
        Ok(provider.present(&record(zone)).await.expect_err("this is refused"))
    };
    let right = Some(("hmac-sha256", "HMACSHA256"));
    let wrong = ask(right, "d3Jvbmc=", "keys.test.").await?;
    assert_eq!(
        wrong.to_string(),
        "127.0.0.1 does not accept the TSIG signature: it is not right (BADSIG)"
    );
    let unknown = ask(Some(("nobody", "HMACSHA256")), SECRET, "keys.test.").await?;
    assert!(matches!(unknown, Error::Mend { what: Mend::Credentials, .. }), "{unknown:?}");
    let unsigned = ask(None, SECRET, "keys.test.").await?;
    assert!(matches!(unsigned, Error::Mend { what: Mend::Denied, .. }), "{unsigned:?}");
    let foreign = ask(right, SECRET, "elsewhere.test.").await?;
    assert!(matches!(foreign, Error::Mend { what: Mend::ZoneNotFound, .. }), "{foreign:?}");
    let late = Context::new(
        Http::new()?,
        Clock::new(|| "2020-01-01T00:00:00Z".parse().unwrap_or_default()),
    );
    let provider = made(rfc2136(&server, "UDP", right), &[("tsig", SECRET)], &late)?;
    let skewed = provider.present(&record("keys.test.")).await.expect_err("the clocks differ");
    assert!(skewed.to_string().contains("BADTIME"), "{skewed}");
    Ok(())
}

#[tokio::test]
async fn the_test_beds_zones_are_updated_with_its_key_and_without() -> Outcome {
    let Some(server) = variable("TESTBED_DNS") else { return Ok(()) };
    let Some(path) = variable("TESTBED_TSIG_FILE") else { return Ok(()) };
    let (Some(name), Some(algorithm)) =
        (variable("TESTBED_TSIG_NAME"), variable("TESTBED_TSIG_ALGORITHM"))
    else {
        return Ok(());
    };
    let algorithm = algorithm.replace('-', "").to_uppercase();
    let (secret, resolver) = (fs::read_to_string(path)?, resolver(&server, 53)?);
    let signed = made(
        rfc2136(&server, "UDP", Some((&name, &algorithm))),
        &[("tsig", &secret)],
        &context()?,
    )?;
    round_trip(&*signed, &resolver, "_acme-challenge.real-dns.example.test.").await?;
    let unsigned = made(rfc2136(&server, "TCP", None), &[], &context()?)?;
    round_trip(&*unsigned, &resolver, "_acme-challenge.real-dns.open.test.").await
}

#[tokio::test]
async fn a_delegated_challenge_is_followed_into_its_own_zone() -> Outcome {
    let Some(server) = variable("TESTBED_DNS") else { return Ok(()) };
    let resolver = resolver(&server, 53)?;
    let from = "_acme-challenge.alias.example.test.";
    assert_eq!(resolver.zone_of(from).await?, "example.test.");
    let target = resolver.follow_cname(from).await?;
    assert_eq!(resolver.zone_of(&target).await?, "delegated.test.");
    let missing = resolver.propagation(from, "not-there", Check::Authoritative).await?;
    assert_eq!((missing.complete(), &missing.fqdn), (false, &target));
    Ok(())
}

#[tokio::test]
async fn caa_records_are_found_and_judged() -> Outcome {
    let Some(server) = variable("TESTBED_DNS") else { return Ok(()) };
    let resolver = resolver(&server, 53)?;
    let identities = ["pebble.test".to_owned()];
    let wanted = Issuance {
        identities: &identities,
        account: "https://a",
        method: "dns-01",
        wildcard: false,
    };
    let allowed = resolver.caa("deep.below.caa-allows.example.test").await?;
    assert_eq!((allowed.owner.as_str(), allowed.block(&wanted)), ("caa-allows.example.test", None));
    let block = resolver
        .caa("caa-forbids.example.test")
        .await?
        .block(&wanted)
        .expect("it names another CA");
    assert_eq!((block.reason, block.record.value.as_str()), (Reason::Issuer, "other-ca.test"));
    Ok(())
}

/// A request to moto past our own client: with a body it is a POST.
async fn moto(url: &str, path: &str, body: Option<String>) -> Result<String, reqwest::Error> {
    let scope = "20260101/us-east-1/route53/aws4_request";
    let signature =
        format!("AWS4-HMAC-SHA256 Credential=A/{scope}, SignedHeaders=host, Signature=0");
    let (client, address) = (reqwest::Client::new(), format!("{url}/2013-04-01/{path}"));
    let request = match body {
        Some(body) => client.post(address).body(body),
        None => client.get(address),
    };
    request.header("authorization", signature).send().await?.text().await
}

const NAMESPACE: &str = "https://route53.amazonaws.com/doc/2013-04-01/";

/// Makes a zone and gives its identifier.
async fn hosted_zone(url: &str, name: &str) -> Result<String, reqwest::Error> {
    let body = format!(
        "<CreateHostedZoneRequest xmlns=\"{NAMESPACE}\"><Name>{name}</Name>\
         <CallerReference>{name}</CallerReference></CreateHostedZoneRequest>"
    );
    let made = moto(url, "hostedzone", Some(body)).await?;
    let id = made.split("/hostedzone/").nth(1).and_then(|rest| rest.split('<').next());
    Ok(id.expect("moto makes the zone").to_owned())
}

/// The values of the name's TXT records.
async fn values(url: &str, zone: &str) -> Result<Vec<String>, reqwest::Error> {
    let listed = moto(url, &format!("hostedzone/{zone}/rrset"), None).await?;
    let sets = listed.split("<ResourceRecordSet>").filter(|set| set.contains("<Type>TXT</Type>"));
    let values = sets.flat_map(|set| set.split("<Value>").skip(1).collect::<Vec<_>>());
    let plain = |value: &str| value.split('<').next().unwrap_or_default().replace("&quot;", "\"");
    let mut values: Vec<_> = values.map(plain).collect();
    values.sort();
    Ok(values)
}

#[tokio::test]
async fn route53_takes_values_side_by_side_and_gives_them_back() -> Outcome {
    let Some(url) = variable("TESTBED_AWS") else { return Ok(()) };
    let name = format!("r53-{}.test", std::process::id());
    let zone = hosted_zone(&url, &name).await?;
    let fqdn = format!("_acme-challenge.{name}");
    let mut context = context()?;
    context.endpoints.route53 = Some(url.clone());
    context.endpoints.sts = Some(url.clone());
    let solver = json!({ "route53": {
        "region": "us-east-1", "accessKeyID": "AKIAIOSFODNN7EXAMPLE", "role": "arn:aws:iam::123456789012:role/dns",
        "secretAccessKeySecretRef": { "name": "dns", "key": "secret" },
    } });
    let provider = made(solver, &[("secret", "s3cret")], &context)?;
    let (one, two) = (record(&fqdn, &name, "one"), record(&fqdn, &name, "two"));
    for record in [&one, &two, &one] {
        let presented = provider.present(record).await?;
        assert!(provider.in_sync(&presented.sync.expect("a change has an id")).await?);
    }
    assert_eq!(values(&url, &zone).await?, ["\"one\"", "\"two\""]);
    provider.clean_up(&one).await?;
    provider.clean_up(&one).await?;
    assert_eq!(values(&url, &zone).await?, ["\"two\""]);
    provider.clean_up(&two).await?;
    assert!(values(&url, &zone).await?.is_empty());
    let elsewhere = record("_acme-challenge.nowhere.test", "nowhere.test", "v");
    let error = provider.present(&elsewhere).await.expect_err("there is no such zone");
    assert!(matches!(error, Error::Mend { what: Mend::ZoneNotFound, .. }), "{error:?}");
    Ok(())
}

/// The AWS clients' own variables lead to the endpoint and give the keys.
#[tokio::test]
async fn route53_works_with_the_pods_own_keys() -> Outcome {
    let Some(url) = variable("TESTBED_AWS") else { return Ok(()) };
    // The bed keeps what earlier runs made.
    let name = format!("pod-{}.test", std::process::id());
    let zone = hosted_zone(&url, &name).await?;
    let fqdn = format!("_acme-challenge.{name}");
    let variables = [
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "s3cret"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", url.as_str()),
    ];
    let environment: BTreeMap<_, _> =
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let mut context = context()?;
    (context.environment, context.ambient) = (Arc::new(environment), true);
    let provider = made(json!({ "route53": {} }), &[], &context)?;
    let record = record(&fqdn, &name, "one");
    provider.present(&record).await?;
    assert_eq!(values(&url, &zone).await?, ["\"one\""]);
    provider.clean_up(&record).await?;
    assert!(values(&url, &zone).await?.is_empty());
    Ok(())
}
