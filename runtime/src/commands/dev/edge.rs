//! What stands between the world and the modelled cluster: every name leads here, as to an ingress
//! controller, and the Ingresses, Services and EndpointSlices of the cluster say where it goes on.

use bytes::Bytes;
use everleaf_sim::apiserver::Selector;
use everleaf_sim::http::ApiService;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The address of this machine inside the modelled cluster: EndpointSlices may not have loopback.
pub(super) const NODE: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 10);

/// For the head of a request, and for a backend's answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer that are handed on at most.
const LARGEST: usize = 1 << 20;

/// Leads requests on until it is dropped.
pub(super) async fn serve(listener: TcpListener, cluster: ApiService) {
    let mut connections = JoinSet::new();
    let client = reqwest::Client::builder().timeout(TIMEOUT).build().unwrap_or_default();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(200)).await;
            continue;
        };
        let (cluster, client) = (cluster.clone(), client.clone());
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let (cluster, client) = (cluster.clone(), client.clone());
                async move { Ok::<_, Infallible>(lead(&cluster, &client, request).await) }
            });
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(TIMEOUT);
            if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
                tracing::debug!(%error, "a connection at the edge ended badly");
            }
        });
    }
}

async fn lead(
    cluster: &ApiService,
    client: &reqwest::Client,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).to_ascii_lowercase();
    let path = request.uri().path();
    let Some(way) = way(cluster, &name, path) else {
        return told(StatusCode::NOT_FOUND, format!("no Ingress has {name}{path}\n"));
    };
    let url = format!("http://{way}{path}");
    let asked = client.get(url).header(header::HOST, host).send().await;
    let mut answer = match asked {
        Ok(answer) => answer,
        Err(_) => return told(StatusCode::BAD_GATEWAY, "the backend does not answer\n".into()),
    };
    let status = answer.status();
    match read(&mut answer).await {
        Some(body) => {
            let mut out = Response::new(Full::new(Bytes::from(body)));
            *out.status_mut() = status;
            out
        }
        None => told(StatusCode::BAD_GATEWAY, "the backend broke off\n".into()),
    }
}

/// A backend's answer, if it is not too large.
async fn read(answer: &mut reqwest::Response) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.ok()? {
        if body.len() + chunk.len() > LARGEST {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body)
}

fn told(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    *answer.status_mut() = status;
    answer
}

fn all(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// Where a request goes on, as the cluster's objects say it.
fn way(cluster: &ApiService, host: &str, path: &str) -> Option<SocketAddr> {
    let of = |resource: &str, namespace: Option<&str>| -> Vec<Arc<Value>> {
        cluster.read(|server| server.objects(resource, &Selector::all(namespace)))
    };
    let ingresses = of("ingresses.networking.k8s.io", None);
    let (namespace, backend) = backend(&ingresses, host, path)?;
    let service = text(backend, "/service/name");
    let slices = of("endpointslices.discovery.k8s.io", Some(namespace));
    let label = "/metadata/labels/kubernetes.io~1service-name";
    let slice = slices.iter().find(|slice| text(slice, label) == service)?;
    let address: IpAddr = text(slice, "/endpoints/0/addresses/0").parse().ok()?;
    let port = slice.pointer("/ports/0/port").and_then(Value::as_u64)?;
    let address = if address == NODE { Ipv4Addr::LOCALHOST.into() } else { address };
    Some(SocketAddr::new(address, u16::try_from(port).ok()?))
}

/// The backend of the rule that fits best: an exact path first, then the longest.
fn backend<'a>(
    ingresses: &'a [Arc<Value>],
    host: &str,
    path: &str,
) -> Option<(&'a str, &'a Value)> {
    let mut best = None;
    for ingress in ingresses {
        for rule in all(&ingress["spec"]["rules"]).iter().filter(|rule| leads(rule, host)) {
            for one in all(&rule["http"]["paths"]) {
                let wanted = text(one, "/path");
                let exact = text(one, "/pathType") == "Exact";
                let fits = if exact { path == wanted } else { path.starts_with(wanted) };
                let rank = (exact, wanted.len());
                if fits && best.as_ref().is_none_or(|(known, _)| rank > *known) {
                    best = Some((rank, (text(ingress, "/metadata/namespace"), &one["backend"])));
                }
            }
        }
    }
    best.map(|(_, found)| found)
}

fn leads(rule: &Value, host: &str) -> bool {
    match text(rule, "/host") {
        "" => true,
        wanted => match wanted.strip_prefix("*.") {
            Some(domain) => host.split_once('.').is_some_and(|(_, above)| above == domain),
            None => wanted == host,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_exact_path_of_a_challenge_goes_before_the_site_that_has_the_host() {
        let ingress = |namespace: &str, host: &str, kind: &str, path: &str, service: &str| {
            Arc::new(json!({"metadata": {"namespace": namespace}, "spec": {"rules": [{
                "host": host, "http": {"paths": [{"path": path, "pathType": kind,
                "backend": {"service": {"name": service}}}]}}]}}))
        };
        let all = [
            ingress("a", "web.test", "Prefix", "/", "site"),
            ingress("a", "web.test", "Exact", "/.well-known/acme-challenge/t", "gate"),
            ingress("b", "*.wide.test", "Prefix", "/", "wide"),
        ];
        let leads_to = |host: &str, path: &str| {
            backend(&all, host, path).map(|(_, backend)| text(backend, "/service/name"))
        };
        assert_eq!(leads_to("web.test", "/.well-known/acme-challenge/t"), Some("gate"));
        assert_eq!(leads_to("web.test", "/.well-known/acme-challenge/u"), Some("site"));
        assert_eq!(leads_to("x.wide.test", "/"), Some("wide"));
        assert_eq!(leads_to("x.y.wide.test", "/"), None);
    }
}
