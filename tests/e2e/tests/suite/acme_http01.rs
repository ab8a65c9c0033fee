//! Who answers an ACME CA, and what is told while nobody sees the answer: every replica, a Pod, a
//! TLS handshake. The CA is Pebble; what stands between is a real proxy, or a plain relay.

use everleaf_e2e::acme::{Ca, assert_covers, http01, names, swept};
use everleaf_e2e::{
    Scope, ServiceAccount, World, binary, eventually, has_condition, name_of, namespace_rules,
    scenario, skip, text, variable,
};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const ELECTING: [&str; 4] = [
    "--leader-elect=true",
    "--leader-election-lease-duration=6s",
    "--leader-election-renew-deadline=4s",
    "--leader-election-retry-period=1s",
];

/// The only Challenge, once it satisfies `good`; else what is written there.
async fn challenge(world: &World, what: &str, good: impl Fn(&Value) -> bool) -> Value {
    eventually(what, 90, async || {
        let all = world.list("Challenge").await;
        let challenge = all.into_iter().next().ok_or("there is no Challenge")?;
        if good(&challenge) { Ok(challenge) } else { Err(challenge["status"].to_string()) }
    })
    .await
}

/// A Certificate for our own address.
fn by_address(ca: &Ca) -> Value {
    let issuer = json!({ "name": "acme" });
    json!({ "ipAddresses": [ca.host], "dnsNames": null, "issuerRef": issuer })
}

/// The status line and the body of an answer to a request for a Challenge's path.
fn asked(at: (&str, u16), host: &str, token: &str) -> Result<(String, String), String> {
    let said = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(at).map_err(said)?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).map_err(said)?;
    let path = format!("/.well-known/acme-challenge/{token}");
    let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).map_err(said)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(said)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
    Ok((head.lines().next().unwrap_or_default().to_owned(), body.to_owned()))
}

/// A server at a port, each connection handled by `handle`, until it is dropped.
struct Server {
    over: Arc<AtomicBool>,
    at: std::net::SocketAddr,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    fn start(at: (&str, u16), handle: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(at).unwrap_or_else(|error| panic!("{at:?}: {error}"));
        let (over, at) = (Arc::new(AtomicBool::new(false)), listener.local_addr().unwrap());
        let (ended, handle) = (over.clone(), Arc::new(handle));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ended.load(Ordering::Acquire) {
                    break;
                }
                let handle = handle.clone();
                std::thread::spawn(move || handle(stream));
            }
        });
        Self { over, at, thread: Some(thread) }
    }

    /// Whatever comes is passed on to another port, as it is.
    fn relay(from: (&str, u16), to: (String, u16)) -> Self {
        Self::start(from, move |mut outside| {
            let Ok(mut inside) = TcpStream::connect((to.0.as_str(), to.1)) else { return };
            let (mut back_in, mut back_out) =
                (inside.try_clone().unwrap(), outside.try_clone().unwrap());
            let back = std::thread::spawn(move || {
                let _ = std::io::copy(&mut back_in, &mut back_out);
                let _ = back_out.shutdown(std::net::Shutdown::Write);
            });
            let _ = std::io::copy(&mut outside, &mut inside);
            let _ = inside.shutdown(std::net::Shutdown::Write);
            let _ = back.join();
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        // One more connection, so that it looks.
        let _ = TcpStream::connect(self.at);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Reads a request's head, and answers.
fn answer(mut stream: TcpStream, text: &str) {
    let mut lines = BufReader::new(&stream).lines();
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    let _ = stream.write_all(text.as_bytes());
}

#[test]
fn a_replica_that_does_not_lead_answers_too_and_every_replica_is_named() {
    let Some(ca) = Ca::pebble("acme-replicas") else { return };
    scenario("acme-replicas", Scope::Namespace, async |world| {
        let service = format!("--acme-http01-responder-service={}/everleaf", world.namespace);
        // With the rights under deploy, and no others.
        let account = ServiceAccount::within(world, "everleaf", namespace_rules()).await.flag();
        let flags = [ELECTING.as_slice(), &[service.as_str(), account.as_str()]].concat();
        // What the endpoint slice controller keeps of the operator's Pods, where there are Pods.
        let endpoint =
            |ip: &str, ready: bool| json!({ "addresses": [ip], "conditions": { "ready": ready } });
        world
            .create(json!({
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {
                    "name": "everleaf-abcde",
                    "labels": { "kubernetes.io/service-name": "everleaf" },
                },
                "addressType": "IPv4",
                "endpoints": [endpoint("10.244.7.7", true), endpoint("10.244.7.8", false)],
            }))
            .await;
        let first = ca.operator_at(world, 18_191, &flags);
        let solvers = json!([{
            "waitInsteadOfSelfCheck": "1h",
            "http01": { "ingress": { "ingressClassName": "traefik" } },
        }]);
        ca.serve(world, &solvers, json!({})).await;
        let _second = ca.operator_at(world, 18_192, &flags);
        let host = format!("{}.example.test", world.namespace);
        let spec = json!({ "dnsNames": [host], "issuerRef": { "name": "acme" } });
        world.certificate("held", spec).await;
        let presented = |challenge: &Value| challenge["status"]["presented"] == true;
        let challenge = challenge(world, "is presented", presented).await;
        let (token, key) = (text(&challenge, "/spec/token"), text(&challenge, "/spec/key"));
        for port in [18_191, 18_192] {
            eventually("each replica answers", 30, async || {
                let (status, body) = asked((&ca.host, port), &host, token)?;
                if status.contains(" 200 ") && body == key { Ok(()) } else { Err(status) }
            })
            .await;
            let (status, _) = asked((&ca.host, port), "other.example.test", token).unwrap();
            assert!(status.contains(" 404 "), "under another name: {status}");
        }
        let slices = world.list("EndpointSlice").await;
        let ours = slices.iter().find(|slice| name_of(slice) != "everleaf-abcde").expect("ours");
        let addresses: Vec<&str> = ours["endpoints"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| text(one, "/addresses/0"))
            .collect();
        let mut expected = [ca.host.as_str(), "10.244.7.7"];
        expected.sort_unstable();
        assert_eq!(addresses, expected, "who is not ready is not named");

        // The leader is gone at once; who is left answers, before it leads and after.
        first.kill();
        let (status, body) = asked((&ca.host, 18_192), &host, token).unwrap();
        assert!(status.contains(" 200 ") && body == key, "{status}");
        world.delete("Certificate", "held").await;
        swept(world).await;
        eventually("what is over is answered no more", 30, async || {
            let (status, _) = asked((&ca.host, 18_192), &host, token)?;
            if status.contains(" 404 ") { Ok(()) } else { Err(status) }
        })
        .await;
    });
}

/// A process that answers as the Pod would: its container's arguments, at another port.
struct Solver(Child);

impl Solver {
    fn of(pod: &Value, port: u16) -> Self {
        let args = pod.pointer("/spec/containers/0/args").and_then(Value::as_array).unwrap();
        let args = args.iter().map(|arg| arg.as_str().unwrap());
        let mut command = Command::new(binary());
        command.args(args.filter(|arg| !arg.starts_with("--listen-port")));
        command.arg(format!("--listen-port={port}")).stdin(Stdio::null());
        Self(command.spawn().expect("our own binary"))
    }
}

impl Drop for Solver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the solver of the only Pod, and leads its Service there, as a kubelet and the endpoint
/// slice controller would.
async fn run_pod(ca: &Ca, world: &World, port: u16) -> Solver {
    let pod = eventually("a Pod is made", 90, async || {
        let pod = world.list("Pod").await.into_iter().next();
        pod.ok_or_else(|| "there is none".to_owned())
    })
    .await;
    let solver = Solver::of(&pod, port);
    let service = world.get("Service", name_of(&pod)).await;
    let selector = service["spec"]["selector"].as_object().expect("a selector");
    let labels = &pod["metadata"]["labels"];
    assert!(selector.iter().all(|(key, value)| labels[key] == *value), "{pod}");
    world
        .create(json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": "kubelet",
                "labels": { "kubernetes.io/service-name": name_of(&service) },
            },
            "addressType": "IPv4",
            "endpoints": [{ "addresses": [ca.host], "conditions": { "ready": true } }],
            "ports": [{ "name": "http", "port": port, "protocol": "TCP" }],
        }))
        .await;
    solver
}

#[test]
fn a_pod_answers_where_the_solver_has_a_template_for_it() {
    let Some(ca) = Ca::pebble("acme-pod") else { return };
    scenario("acme-pod", Scope::Namespace, async |world| {
        let account = ServiceAccount::within(world, "everleaf", namespace_rules()).await.flag();
        let flags = ["--acme-http01-solver-image=everleaf:e2e", &account];
        let _operator = ca.operator_at(world, 18_193, &flags);
        let template = json!({ "spec": { "priorityClassName": "system-node-critical" } });
        let ingress = json!({ "ingressClassName": "traefik", "podTemplate": template });
        ca.serve(world, &json!([{ "http01": { "ingress": ingress } }]), json!({})).await;
        let host = format!("{}.example.test", world.namespace);
        let spec = json!({ "dnsNames": [host], "issuerRef": { "name": "acme" } });
        world.certificate("pod", spec).await;
        let _solver = run_pod(&ca, world, 18_194).await;
        let pod = &world.list("Pod").await[0];
        assert_eq!(text(pod, "/spec/priorityClassName"), "system-node-critical");
        assert_eq!(text(pod, "/spec/containers/0/image"), "everleaf:e2e");
        world.revision("pod", 1).await;
        assert_covers(world, &world.get("Secret", "pod-tls").await, &[&host]);
        swept(world).await;
        let left = names(world, "Pod").await;
        assert!(left.is_empty(), "{left:?}");
    });
}

#[test]
fn a_pod_answers_once_nobody_saw_the_operators_own_answer_for_two_minutes() {
    let Some(ca) = Ca::pebble("acme-fallback") else { return };
    scenario("acme-fallback", Scope::Namespace, async |world| {
        // The proxy is led to an address at which nobody answers.
        let mut nowhere = ca.clone();
        nowhere.host = "192.0.2.1".to_owned();
        let image = ["--acme-http01-solver-image=everleaf:e2e"];
        let _operator = nowhere.operator_at(world, 18_195, &image);
        ca.serve(world, &json!([http01()]), json!({})).await;
        let host = format!("{}.example.test", world.namespace);
        let spec = json!({ "dnsNames": [host], "issuerRef": { "name": "acme" } });
        world.certificate("far", spec).await;
        let told = |challenge: &Value| text(challenge, "/status/reason").contains("answered 50");
        let challenge = challenge(world, "says what the proxy answered", told).await;
        assert!(names(world, "Pod").await.is_empty(), "not yet");
        // Two minutes and more pass.
        let long_ago = json!({ "presentedAt": everleaf_e2e::rfc3339(-300) });
        world.patch_status(("Challenge", name_of(&challenge)), "e2e", long_ago).await;
        let _solver = run_pod(&ca, world, 18_196).await;
        world.revision("far", 1).await;
        assert_covers(world, &world.get("Secret", "far-tls").await, &[&host]);
        swept(world).await;
        assert!(names(world, "Pod").await.is_empty());
    });
}

#[test]
fn what_the_self_check_saw_is_told() {
    let Some(ca) = Ca::pebble("acme-saw") else { return };
    let Some(proxy) = variable("TESTBED_PROXY") else {
        return skip("acme-saw", "set TESTBED_PROXY (the test bed does)");
    };
    scenario("acme-saw", Scope::Namespace, async |world| {
        let _operator = ca.operator_at(world, 18_197, &["--acme-check-reachability=false"]);
        // The proxy is not led anywhere.
        let nobody = json!([{ "http01": { "ingress": { "ingressClassName": "nobody" } } }]);
        ca.serve(world, &nobody, json!({})).await;
        let host = format!("{}.example.test", world.namespace);
        let spec = json!({ "dnsNames": [host], "issuerRef": { "name": "acme" } });
        world.certificate("lost", spec).await;
        let whole = format!(
            "Waiting for HTTP-01 challenge propagation: http://{host}/.well-known/acme-challenge/… \
             answered 404 (from {proxy}), which begins \"404 page not found\""
        );
        let says = |wanted: String| {
            move |challenge: &Value| text(challenge, "/status/reason").contains(&wanted)
        };
        challenge(world, "names the proxy and its page", says(whole)).await;
        world.delete("Certificate", "lost").await;
        swept(world).await;

        // By its address, nobody stands between.
        world.certificate("bare", by_address(&ca)).await;
        let refused = "refused the connection; it is an address".to_owned();
        challenge(world, "says that nobody listens", says(refused)).await;
        let whither = format!("https://{}:18447/", ca.host);
        let server = Server::start((&ca.host, 80), move |stream| {
            let head = "HTTP/1.1 301 Moved\r\nContent-Length: 0\r\nConnection: close\r\nLocation: ";
            answer(stream, &format!("{head}{whither}\r\n\r\n"));
        });
        let moved = format!("redirects to https://{}, which refused the connection", ca.host);
        challenge(world, "says where it was sent to", says(moved)).await;
        drop(server);
        let _server = Server::start((&ca.host, 80), |stream| {
            let head = "HTTP/1.1 200 OK\r\nServer: mine/1.0\r\nConnection: close\r\n\r\n";
            answer(stream, &format!("{head}<h1>Welcome</h1>"));
        });
        let other = format!(
            "answered with another text (from {}, Server: mine/1.0), which begins \
             \"<h1>Welcome</h1>\"",
            ca.host
        );
        challenge(world, "says who answered what", says(other)).await;
        world.delete("Certificate", "bare").await;
    });
}

/// Gives a name an address in the test bed's DNS. Whether that could be done.
fn name(host: &str, address: &str) -> bool {
    let told =
        (variable("TESTBED_DNS"), variable("TESTBED_TSIG_NAME"), variable("TESTBED_TSIG_FILE"));
    let (Some(server), Some(key), Some(file)) = told else { return false };
    let Some((server, port)) = server.rsplit_once(':') else { return false };
    let secret = std::fs::read_to_string(file).expect("the TSIG key");
    let key = format!("hmac-sha256:{key}:{}", secret.trim());
    let spawned = Command::new("nsupdate").args(["-y", &key]).stdin(Stdio::piped()).spawn();
    let Ok(mut update) = spawned else { return false };
    let text = format!(
        "server {server} {port}\nupdate delete {host} A\nupdate add {host} 60 A {address}\nsend\n"
    );
    update.stdin.take().expect("it is piped").write_all(text.as_bytes()).expect("nsupdate reads");
    update.wait().expect("our own child").success()
}

#[test]
fn names_and_addresses_are_proved_by_a_tls_handshake_that_is_passed_through() {
    let Some(ca) = Ca::pebble("acme-alpn") else { return };
    scenario("acme-alpn", Scope::Namespace, async |world| {
        let dns = variable("TESTBED_DNS").unwrap_or_default();
        let nameservers = format!("--acme-http01-solver-nameservers={dns}");
        let closed = ca.operator_at(world, 18_198, &[]);
        ca.serve(world, &json!([{ "tlsALPN01": {} }]), json!({})).await;
        world.certificate("bare", by_address(&ca)).await;
        let says = |wanted: &'static str| {
            move |challenge: &Value| text(challenge, "/status/reason").contains(wanted)
        };
        let flag = says("set --acme-tls-alpn01-responder-port");
        let told = challenge(world, "names the flag that is missing", flag).await;
        assert_eq!(text(&told, "/spec/type"), "TLS-ALPN-01");
        closed.kill();

        let flags = ["--acme-tls-alpn01-responder-port=18443", &nameservers];
        let _operator = ca.operator_at(world, 18_198, &flags);
        challenge(world, "says that nobody listens at port 443", says(":443 refused")).await;
        let _relay = Server::relay((&ca.host, 443), (ca.host.clone(), 18_443));
        world.revision("bare", 1).await;
        let secret = world.get("Secret", "bare-tls").await;
        assert_eq!(text(&secret, "/metadata/annotations/cert-manager.io~1ip-sans"), ca.host);

        let host = format!("{}.example.test", world.namespace);
        if !name(&host, &ca.host) {
            return skip("acme-alpn by name", "install nsupdate, and set TESTBED_DNS and its key");
        }
        let spec = json!({ "dnsNames": [host], "issuerRef": { "name": "acme" } });
        world.certificate("named", spec).await;
        world.revision("named", 1).await;
        assert_covers(world, &world.get("Secret", "named-tls").await, &[&host]);
        assert!(has_condition(&world.get("Certificate", "bare").await, "Ready", "True"));
        swept(world).await;
    });
}
