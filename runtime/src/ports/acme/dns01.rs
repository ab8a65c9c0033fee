//! Records of DNS-01: written, looked for, removed.

use super::super::{Ports, undone};
use super::fault::{Fault, Halt};
use super::place;
use super::solve::solver;
use crate::edge::decoded;
use crate::kube_api::Kube;
use everleaf_api::types::dns01::{AcmeSolverDns01, CnameStrategy};
use everleaf_dns::resolver::{
    Check, Nameserver, Options, Propagation, Resolver, Sight, system_nameservers,
};
use everleaf_dns::webhook::{Challenge, Transport};
use everleaf_dns::{
    Clock, Context, Error, Http, Provider, Record, Secret, Secrets, Setting, needs, provider, ttl,
};
use everleaf_engine::{Timestamp, Uid};
use everleaf_nodes::effect::Answer;
use everleaf_nodes::facts::Class;
use everleaf_nodes::{Effect, Kind};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What the providers read of the environment begins with one of these.
const ENVIRONMENT: [&str; 4] = ["AWS_", "AZURE_", "GOOGLE_", "GCE_"];
/// So much of resolv.conf is read, in bytes.
const LONGEST_RESOLV_CONF: usize = 16 << 10;
/// So many servers are named that have not got a record.
const SERVERS: usize = 4;
/// So many changes are remembered: more than are ever on their way.
const SYNCS_KEPT: usize = 4096;

/// Changes that a provider may not have brought to all of its servers yet, by the Challenge's UID,
/// for [`Provider::in_sync`]. A restart forgets them; then the servers alone are asked, as with
/// providers that tell nothing.
#[derive(Default)]
pub(super) struct Syncs(Mutex<BTreeMap<Uid, String>>);

impl Syncs {
    pub(super) fn put(&self, challenge: &Uid, sync: String) {
        let mut syncs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while syncs.len() >= SYNCS_KEPT && !syncs.contains_key(challenge) {
            syncs.pop_first();
        }
        syncs.insert(challenge.clone(), sync);
    }

    pub(super) fn get(&self, challenge: &Uid) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(challenge).cloned()
    }

    pub(super) fn forget(&self, challenge: &Uid) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(challenge);
    }
}

/// What looks records up, and what providers are built with.
pub(super) struct Lookup {
    context: Context,
    pub(super) resolver: Resolver,
}

impl Lookup {
    fn new(servers: Vec<Nameserver>) -> Result<Self, Error> {
        let http = Http::new()?;
        let clock = Clock::new(jiff::Timestamp::now);
        let servers = if servers.is_empty() { of_the_system() } else { servers };
        let resolver = Resolver::new(servers, http.clone(), clock.clone(), Options::default());
        let mut context = Context::new(http, clock);
        let wanted = |(name, _): &(String, String)| ENVIRONMENT.iter().any(|p| name.starts_with(p));
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        let variables: BTreeMap<String, String> = variables.filter(wanted).collect();
        context.environment = Arc::new(variables);
        Ok(Self { context, resolver })
    }
}

fn of_the_system() -> Vec<Nameserver> {
    let mut text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    text.truncate(text.floor_char_boundary(LONGEST_RESOLV_CONF));
    system_nameservers(&text)
}

/// Asks solvers through the API server.
struct Aggregated(Kube);

#[async_trait::async_trait]
impl Transport for Aggregated {
    async fn post(&self, path: &str, body: Vec<u8>) -> Result<(u16, Vec<u8>), Error> {
        let answer = self.0.post_raw(path, body).await;
        answer.map_err(|error| Error::Transient(error.to_string()))
    }
}

/// What a provider or a resolver said.
fn fault(error: &Error) -> Fault {
    match error {
        Error::Transient(_) => Fault::new(Class::Transient, error.to_string()),
        Error::RateLimited { retry_after, .. } => {
            let ms = retry_after.map(|after| i64::try_from(after.as_millis()).unwrap_or(i64::MAX));
            let after = ms.map(|ms| {
                let at: Timestamp = super::super::now().plus_millis(ms.saturating_add(999));
                Timestamp::from_seconds(at.as_seconds())
            });
            Fault { after, ..Fault::new(Class::RateLimited, error.to_string()) }
        }
        Error::Mend { .. } => Fault::new(Class::User, error.to_string()),
    }
}

fn halt(error: Error) -> Halt {
    fault(&error).into()
}

fn config(text: &str) -> Result<AcmeSolverDns01, Halt> {
    let missing = || Fault::new(Class::User, "spec.solver has no dns01").into();
    solver(text)?.dns01.ok_or_else(missing)
}

fn fqdn(dns_name: &str) -> String {
    format!("_acme-challenge.{}.", dns_name.strip_suffix('.').unwrap_or(dns_name))
}

impl Ports {
    pub(super) fn lookup(&self) -> Result<&Lookup, Halt> {
        let servers = &self.acme.options().dns01_nameservers;
        let lookup = self.acme.0.lookup.get_or_init(|| Lookup::new(servers.clone()));
        lookup.as_ref().map_err(|error| fault(error).into())
    }

    /// The resolver of a solver: its own servers, if it names any.
    fn resolver(&self, config: &AcmeSolverDns01) -> Result<Resolver, Halt> {
        let servers: Result<Vec<Nameserver>, Error> =
            config.nameservers.iter().map(|text| text.parse()).collect();
        Ok(self.lookup()?.resolver.with_servers(servers.map_err(halt)?))
    }

    pub(super) async fn write_record(
        &self,
        effect: &Effect,
        answer: &Answer,
        value: &str,
        text: &str,
    ) -> Result<(), Halt> {
        let (provider, record) = self.provided(effect, answer, value, text).await?;
        let presented = provider.present(&record).await.map_err(halt)?;
        if let Some(sync) = presented.sync {
            self.acme.0.syncs.put(&effect.base.uid, sync);
        }
        Ok(())
    }

    pub(super) async fn remove_record(
        &self,
        effect: &Effect,
        answer: &Answer,
        value: &str,
        text: &str,
    ) -> Result<(), Halt> {
        self.acme.0.syncs.forget(&effect.base.uid);
        let (provider, record) = self.provided(effect, answer, value, text).await?;
        provider.clean_up(&record).await.map_err(halt)
    }

    /// The provider that a solver names, and what is written there.
    async fn provided(
        &self,
        effect: &Effect,
        answer: &Answer,
        value: &str,
        text: &str,
    ) -> Result<(Arc<dyn Provider>, Record), Halt> {
        let config = config(text)?;
        let provider = self.provider(effect, answer, &config).await?;
        Ok((provider, self.record(answer, value, &config).await?))
    }

    async fn record(
        &self,
        answer: &Answer,
        value: &str,
        config: &AcmeSolverDns01,
    ) -> Result<Record, Halt> {
        let resolver = self.resolver(config)?;
        let mut fqdn = fqdn(&answer.dns_name);
        if config.cname_strategy == Some(CnameStrategy::Follow) {
            fqdn = resolver.follow_cname(&fqdn).await.map_err(halt)?;
        }
        let zone = resolver.zone_of(&fqdn).await.map_err(halt)?;
        let (domain, value) = (answer.dns_name.to_string(), value.to_owned());
        Ok(Record { domain, fqdn, zone, value, ttl: ttl(config) })
    }

    async fn provider(
        &self,
        effect: &Effect,
        answer: &Answer,
        config: &AcmeSolverDns01,
    ) -> Result<Arc<dyn Provider>, Halt> {
        let secrets = self.solver_secrets(&answer.namespace, config).await?;
        let mut context = self.lookup()?.context.clone();
        context.ambient = answer.ambient;
        let challenge = Challenge {
            uid: effect.base.uid.to_string(),
            resource_namespace: answer.namespace.to_string(),
            allow_ambient_credentials: answer.ambient,
        };
        let transport: Arc<dyn Transport> = Arc::new(Aggregated(self.kube.clone()));
        let setting = Setting {
            config,
            secrets: &secrets,
            context: &context,
            challenge: &challenge,
            transport: &transport,
        };
        provider(&setting).map_err(halt)
    }

    /// Reads what the solver refers to.
    async fn solver_secrets(
        &self,
        namespace: &str,
        config: &AcmeSolverDns01,
    ) -> Result<Secrets, Halt> {
        let needs = needs(config);
        let mut secrets = Secrets::default();
        let mut read: BTreeMap<String, Value> = BTreeMap::new();
        for selector in &needs.secrets {
            let name = &selector.name;
            if !read.contains_key(name) {
                read.insert(name.clone(), self.solver_secret(namespace, name).await?);
            }
            let key = selector.key.clone().unwrap_or_default();
            let Some(value) = read.get(name).and_then(|secret| decoded(secret, &key)) else {
                continue; // Whoever needs it says so.
            };
            if let Ok(text) = String::from_utf8(value) {
                secrets.insert(name.clone(), key, Secret::new(text));
            }
        }
        if let Some(need) = &needs.token {
            let at = (namespace, need.service_account.as_str());
            let answer = self.kube.token(at, &need.audiences, need.lifetime).await;
            let answer = answer.map_err(|error| self.unsolved(&error))?;
            let token = answer.pointer("/status/token").and_then(Value::as_str);
            let token = token.ok_or_else(|| {
                Fault::new(Class::Transient, "the API server's answer carries no token")
            })?;
            secrets.set_service_account_token(Secret::new(token));
        }
        Ok(secrets)
    }

    async fn solver_secret(&self, namespace: &str, name: &str) -> Result<Value, Halt> {
        match self.kube.get(Kind::Secret, namespace, name).await {
            Ok(found) => Ok(found),
            Err(error) if error.is_absent() => {
                let secret = place(Kind::Secret, namespace, name);
                Err(Fault::new(Class::User, format!("{secret} does not exist")).into())
            }
            Err(error) => Err(undone(&error, &[]).into()),
        }
    }

    /// Asks a provider that tells whether all of its servers have the change.
    async fn spread(
        &self,
        effect: &Effect,
        answer: &Answer,
        config: &AcmeSolverDns01,
    ) -> Result<(), Halt> {
        let syncs = &self.acme.0.syncs;
        let Some(sync) = syncs.get(&effect.base.uid) else { return Ok(()) };
        let provider = self.provider(effect, answer, config).await?;
        match provider.in_sync(&sync).await {
            Ok(true) => {}
            Ok(false) => {
                let detail = "the DNS provider has not brought the record to all its servers yet";
                return Err(Fault::new(Class::Transient, detail).into());
            }
            // Who may write and not ask has the servers asked alone.
            Err(error @ Error::Mend { .. }) => {
                tracing::debug!(challenge = %effect.subject, %error, "a change cannot be asked for");
            }
            Err(error) => return Err(halt(error)),
        }
        syncs.forget(&effect.base.uid);
        Ok(())
    }

    /// Looks whether every server that counts has the record.
    pub(super) async fn look_at_record(
        &self,
        effect: &Effect,
        answer: &Answer,
        value: &str,
        text: &str,
    ) -> Result<(), Halt> {
        let config = config(text)?;
        self.spread(effect, answer, &config).await?;
        let only = self.acme.options().recursive_only || !config.nameservers.is_empty();
        let check = if only { Check::Recursive } else { Check::Authoritative };
        let resolver = self.resolver(&config)?;
        let seen =
            resolver.propagation(&fqdn(&answer.dns_name), value, check).await.map_err(halt)?;
        if seen.complete() {
            return Ok(());
        }
        Err(Fault::new(Class::Transient, missing(&seen)).into())
    }
}

/// Which servers have not got it, and what they have.
fn missing(seen: &Propagation) -> String {
    let lacking = seen.servers.iter().filter(|(_, sight)| **sight != Sight::Seen);
    let texts: Vec<String> = lacking
        .take(SERVERS)
        .map(|(server, sight)| match sight {
            Sight::Failed(why) => format!("{server}: {why}"),
            Sight::Absent(texts) if texts.is_empty() => format!("{server} has no TXT record"),
            Sight::Absent(texts) => format!("{server} has {} other TXT records", texts.len()),
            Sight::Seen => server.clone(),
        })
        .collect();
    let (fqdn, all) = (&seen.fqdn, seen.servers.len());
    match texts.is_empty() {
        true => format!("the TXT record {fqdn} was looked for at no server"),
        false => {
            format!("the TXT record {fqdn} is not everywhere ({all} asked): {}", texts.join("; "))
        }
    }
}
