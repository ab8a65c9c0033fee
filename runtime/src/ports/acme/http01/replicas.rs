//! Where the replicas of this operator answer: the ready endpoints of a Service of their own.
//!
//! Kubernetes keeps that list already, by each Pod's readiness; it is read when a route is made,
//! and not more often than every few seconds.

use super::super::super::Ports;
use crate::kube_api::ENDPOINT_SLICES;
use serde_json::Value;
use std::net::IpAddr;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// So many addresses are named at most.
const MOST: usize = 16;
/// How long a list is taken for true.
const FRESH: Duration = Duration::from_secs(5);

/// What was last read of the replicas.
#[derive(Default)]
pub(in super::super) struct Replicas(Mutex<(Option<Instant>, Vec<IpAddr>)>);

impl Ports {
    /// Addresses at which challenges are answered: our own, and those of the replicas that are
    /// ready. Sorted, so that whichever replica leads names them alike.
    pub(in super::super) async fn replicas(&self) -> Vec<IpAddr> {
        let options = self.acme.options();
        let mut all = options.responder_ips.clone();
        if let Some((namespace, service)) = &options.responder_service {
            let mut known = self.acme.0.replicas.0.lock().await;
            if known.0.is_none_or(|at| at.elapsed() >= FRESH) {
                known.0 = Some(Instant::now());
                let labels = format!("{}={service}", super::super::gate::SERVICE_NAME);
                match self.kube.list_at(ENDPOINT_SLICES, (namespace, &labels), 50).await {
                    Ok(slices) => known.1 = ready(&slices),
                    Err(error) => {
                        tracing::warn!(%error, namespace, service, "replicas are not known");
                    }
                }
            }
            all.extend(&known.1);
        }
        all.truncate(MOST);
        all.sort();
        all.dedup();
        all
    }
}

/// The addresses of ready endpoints.
fn ready(slices: &[Value]) -> Vec<IpAddr> {
    let endpoints = slices.iter().filter_map(|slice| slice["endpoints"].as_array()).flatten();
    // Without a word on it, they are to be taken for ready.
    let ready = endpoints.filter(|one| one["conditions"]["ready"] != Value::Bool(false));
    let texts = ready.filter_map(|one| one["addresses"][0].as_str());
    texts.filter_map(|text| text.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn endpoints_of_both_families_count_while_they_are_ready() {
        let endpoint =
            |ip: &str, conditions: Value| json!({ "addresses": [ip], "conditions": conditions });
        let slices = [
            json!({ "addressType": "IPv4", "endpoints": [
                endpoint("10.0.0.2", json!({ "ready": true })),
                endpoint("10.0.0.3", json!({ "ready": false, "terminating": true })),
                endpoint("10.0.0.4", json!({})),
            ]}),
            json!({ "addressType": "IPv6", "endpoints": [
                endpoint("2001:db8::2", json!({ "ready": true })),
            ]}),
            json!({ "addressType": "FQDN", "endpoints": [endpoint("a.test", json!({}))] }),
            json!({ "addressType": "IPv4", "endpoints": null }),
        ];
        let expected = ["10.0.0.2", "10.0.0.4", "2001:db8::2"];
        assert_eq!(ready(&slices), expected.map(|ip| ip.parse::<IpAddr>().unwrap()));
    }
}
