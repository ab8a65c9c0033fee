//! The whole screen for the stories that people meet. Certificates are the running operator's,
//! with its times left out; what an ACME CA has a part in stands still at one instant.

use super::*;
use everleaf_nodes::acme::notes;
use everleaf_nodes::facts::{Attempt, Class};
use expect_test::{Expect, expect};

/// A text without its times, and the spans that a slow machine makes longer.
fn timeless(text: &str) -> String {
    let is_time = |word: &str| {
        word.len() == 20
            && word.ends_with('Z')
            && word.as_bytes()[10] == b'T'
            && word.starts_with("20")
    };
    let line = |line: &str| {
        let indent = &line[..line.len() - line.trim_start().len()];
        let words: Vec<String> = line
            .split_whitespace()
            .map(|word| {
                let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
                if is_time(bare) { word.replace(bare, "TIME") } else { word.to_owned() }
            })
            .collect();
        let text = format!("{indent}{}", words.join(" "));
        spanless(text)
    };
    text.lines().map(|text| format!("{}\n", line(text))).collect()
}

/// `(in 59 min)` and `(3 s ago)` depend on the moment.
fn spanless(text: String) -> String {
    let Some((head, rest)) = text.split_once(" (") else { return text };
    match rest.split_once(')') {
        Some((span, tail)) if span.starts_with("in ") => format!("{head} (in SPAN){tail}"),
        Some((span, tail)) if span.ends_with(" ago") => format!("{head} (SPAN ago){tail}"),
        _ => text,
    }
}

/// The path's lines by their text: which of them fall into one second is a matter of luck.
fn sorted(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    let Some(begin) = lines.iter().position(|line| *line == "path:") else {
        return text.to_owned();
    };
    let end = lines.iter().skip(begin + 1).position(|line| !line.starts_with(' '));
    let end = end.map_or(lines.len(), |end| begin + 1 + end);
    lines[begin + 1..end].sort_unstable();
    lines.iter().map(|line| format!("{line}\n")).collect()
}

async fn shown(world: &World, key: &ObjectKey<Kind>, options: Options, expected: Expect) {
    // Which of the Events were written by now is a matter of luck.
    world.forbid(&[(Verb::List, "events")]);
    let told = world.why(key, options, crate::ports::now()).await;
    expected.assert_eq(&sorted(&timeless(&told.text)));
}

#[tokio::test]
async fn a_fresh_certificate_says_until_when_and_how_to_look_at_it() {
    let world = World::new();
    let key = world.issued().await;
    world.until(&key, "fresh").await;
    shown(&world, &key, Options::default(), expect![[r#"
        Certificate/demo/web: fresh
          The Secret satisfies the spec until the renewal time.
          Ready=True Ready: Certificate is up to date and has not expired; it ends with its CA at TIME and is renewed when the CA is
        waits until:
          TIME (in SPAN): expiry, when the stored certificate ends, which the status then says
          TIME (in SPAN): recheck, looked at again anyway
        what would change it:
          -> looking, if the wait "look" is over (what the CA suggests may have changed)
          -> keying, if the wait "renewal" is over (the certificate is to be replaced in time)
          -> keying, if something but the clock asks for an issuance: the Secret is missing or broken, differs from the spec, or Issuing=True was set (the policy chain, or Issuing=True, asks for it)
          -> tending, if it is no longer so that the Secret carries what it should besides the pair: metadata, the template, keystores and other formats (what is ours in the Secret was changed or never written, or something else is wanted beside the pair)
          -> tidying, if the Certificate owns a request or a next private key that nothing needs any more, or that fits the spec no longer (what no longer fits is removed before its name is used again)
          -> yielding, if another Certificate owns the Secret of the same name (two Certificates must never write one Secret in turns)
          -> reading, if it is no longer so that the content of the Secret is known at its present resourceVersion, or there is no such Secret (a Secret without our label changed and its content was not watched)
          -> reporting, if it is no longer so that the status says all that has to be said now; of a Secret that was not read, only why it cannot be (what happened is said before the next thing is done)
          (1 more; -o json has them)
        around it:
          issuer ClusterIssuer/ca: Ready=True KeyPairVerified: Signing CA verified
          secret Secret/demo/web: holds a certificate until TIME
          request CertificateRequest/demo/web-1: Ready=True Issued: Certificate fetched from issuer successfully; it ends with its CA, before the time asked for
        path:
          TIME Ready=True Ready: Certificate is up to date and has not expired; it ends with its CA at TIME and is renewed when the CA is
          TIME created
          TIME the certificate in use begins to be valid
        not seen:
          Events could not be read
        try:
          kubectl get secret web -n demo -o jsonpath='{.data.tls\.crt}' | base64 -d | openssl x509 -noout -subject -issuer -dates # the certificate itself
          kubectl describe certificate/web -n demo # all that it says, with its Events
    "#]]).await;
}

#[tokio::test]
async fn a_certificate_that_waits_for_its_issuer_names_it_and_how_to_go_on() {
    let world = World::new();
    let spec = json!({"ca": {"secretName": "missing"}});
    world.own("issuers", "Issuer", json!({"name": "ca", "namespace": "demo"}), spec);
    world.certificate(
        "demo",
        "web",
        json!({"dnsNames": ["a.example.test"], "issuerRef": {"name": "ca"}}),
    );
    world
        .until(&ObjectKey::new(Kind::CertificateRequest, "demo", "web-1"), "waiting-for-issuer")
        .await;
    world.until(&ObjectKey::new(Kind::Issuer, "demo", "ca"), "unverified").await;
    shown(&world, &web_certificate(), Options::default(), expect![[r#"
        Certificate/demo/web: awaiting
          The issuer has the request.
        last error:
          TIME (SPAN ago) Issuer/demo/ca: ErrGetKeyPair: Error getting keypair for CA issuer: secret "missing" not found
        waits until:
          TIME (in SPAN): quiet, until then an issuance in progress is not worth a status write
          TIME (in SPAN): recheck, looked at again anyway
        what would change it:
          -> covering, if it is no longer so that the Secret holds a pair, or no temporary one is asked for, or the answer is a matter of moments (nothing is there to be served until the issuer answers)
          -> storing, if that request holds a certificate for this key that is valid now (the answer fits the key)
          -> requesting, if it is no longer so that the request of the next revision was made from this spec and this key (it was deleted)
          -> keying, if it is no longer so that the next private key is at hand and fits the spec (a key held in memory is gone with its process; another is made)
          -> backing-off, if the last attempt for this spec failed and is written down (the failure is written down and the next attempt has a time)
          -> backing-off, if the wait "backoff" has to go on (another failure in a row moved the next attempt)
          -> refused, if the spec breaks a rule of the API, or uses a field that this build cannot honour yet (the spec changed to something that cannot be honoured)
          -> fresh, if it is no longer so that something but the clock asks for an issuance: the Secret is missing or broken, differs from the spec, or Issuing=True was set (the Secret satisfies the spec)
          (7 more; -o json has them)
        around it:
          issuer Issuer/demo/ca: Ready=False ErrGetKeyPair: Error getting keypair for CA issuer: secret "missing" not found
          secret Secret/demo/web: not there
          request CertificateRequest/demo/web-1: not approved yet; says nothing yet
        path:
          TIME created
        taken for granted:
          the operator holds the private key of request "web-1"
        not seen:
          Events could not be read
        try:
          everleaf why certificaterequest/web-1 -n demo # what its request waits for
          everleaf why issuer/ca -n demo # why its issuer is not Ready
          kubectl wait --for=condition=Ready --timeout=5m certificate/web -n demo # waits until it is Ready
          kubectl describe certificate/web -n demo # all that it says, with its Events
    "#]]).await;
}

fn unapproving() -> Options {
    Options { approve: false, ..Options::default() }
}

async fn unapproved() -> World {
    let world = World::with(unapproving());
    let self_signed = json!({"selfSigned": {}});
    world.own("issuers", "Issuer", json!({"name": "self", "namespace": "demo"}), self_signed);
    world.certificate(
        "demo",
        "web",
        json!({"dnsNames": ["a.example.test"], "issuerRef": {"name": "self"}}),
    );
    let key = ObjectKey::new(Kind::CertificateRequest, "demo", "web-1");
    world.until(&key, "unapproved").await;
    world.until_told(&web_certificate(), "Issuing", "").await;
    world
}

#[tokio::test]
async fn a_request_that_nobody_approved_says_who_has_to() {
    let world = unapproved().await;
    let key = ObjectKey::new(Kind::CertificateRequest, "demo", "web-1");
    shown(&world, &key, unapproving(), expect![[r#"
        CertificateRequest/demo/web-1: unapproved
          An approver has to decide.
        waits until:
          TIME (in SPAN): recheck, looked at again anyway
        what would change it:
          -> approving, if approval is automatic and the request awaits it (as in cert-manager, requests of every group are approved unless that is turned off)
          -> waiting-for-issuer, if it carries Approved=True; or approval is automatic and the issuer is ours, in which case the approval is written together with the answer (the issuer's turn)
          -> retiring, if the request is being deleted (nothing is answered any more)
          -> settled, if the request has its answer: issued, failed, or denied and said so (issued, failed or denied)
          -> reporting, if it is no longer so that the status says what holds it up, as far as that has to be said now (what holds it up is said)
          -> denied, if an approver denied it (an approver said no)
          -> invalid, if the issuer marked the request InvalidRequest (an issuer refused the request for good)
        around it:
          owner Certificate/demo/web: Ready=False DoesNotExist: Issuing certificate as Secret does not exist; Issuing=True DoesNotExist: Issuing certificate as Secret does not exist
          issuer Issuer/demo/self: Ready=True IsReady
        path:
          TIME created
        not seen:
          Events could not be read
        try:
          cmctl approve web-1 -n demo # approves it, if you may and want to
          kubectl describe certificaterequest/web-1 -n demo # all that it says, with its Events
    "#]]).await;
}

#[tokio::test]
async fn a_certificate_that_backs_off_says_why_and_when_it_is_tried_again() {
    let world = unapproved().await;
    let denied = json!({"status": {"conditions": [{"type": "Denied", "status": "True",
        "reason": "Policy", "message": "example.test is not ours",
        "lastTransitionTime": "2026-11-23T02:00:00Z"}]}});
    let request = Request::merge("certificaterequests.cert-manager.io", "demo", "web-1", denied);
    let answer = world.service.with(|server, now| server.handle(now, &request.on_status()));
    assert!(answer.is_success(), "{}", answer.body);
    let key = web_certificate();
    world.until(&key, "backing-off").await;
    shown(&world, &key, unapproving(), expect![[r#"
        Certificate/demo/web: backing-off
          The last attempt failed; the next comes at the time that the condition names.
          Ready=False DoesNotExist: Issuing certificate as Secret does not exist
          Issuing=False Policy: The certificate request has failed to complete and will be retried: example.test is not ours. Attempt 1 failed in a way that somebody has to mend; the next is due at TIME
        last error:
          TIME (SPAN ago) CertificateRequest/demo/web-1: Denied: The CertificateRequest was denied by an approval controller: example.test is not ours
        waits until:
          TIME (in SPAN): backoff, the next attempt after a recorded failure
          TIME (in SPAN): recheck, looked at again anyway
        what would change it:
          -> keying, if the wait "backoff" is over (its time has come)
          -> keying, if it is no longer so that the last attempt for this spec failed and is written down (an edited spec, or Issuing=True, is tried at once)
          -> refused, if the spec breaks a rule of the API, or uses a field that this build cannot honour yet (the spec changed to something that cannot be honoured)
          -> fresh, if it is no longer so that something but the clock asks for an issuance: the Secret is missing or broken, differs from the spec, or Issuing=True was set (the Secret satisfies the spec)
          -> fresh, if the wait "renewal" has to go on (the new certificate's renewal lies ahead)
          -> tending, if it is no longer so that the Secret carries what it should besides the pair: metadata, the template, keystores and other formats (what is ours in the Secret was changed or never written, or something else is wanted beside the pair)
          -> tidying, if the Certificate owns a request or a next private key that nothing needs any more, or that fits the spec no longer (what no longer fits is removed before its name is used again)
          -> yielding, if another Certificate owns the Secret of the same name (two Certificates must never write one Secret in turns)
          (3 more; -o json has them)
        around it:
          issuer Issuer/demo/self: Ready=True IsReady
          secret Secret/demo/web: not there
          request CertificateRequest/demo/web-1: Denied=True Policy: example.test is not ours; Ready=False Denied: The CertificateRequest was denied by an approval controller: example.test is not ours
        path:
          TIME Issuing=False Policy: The certificate request has failed to complete and will be retried: example.test is not ours. Attempt 1 failed in a way that somebody has to mend; the next is due at TIME
          TIME Ready=False DoesNotExist: Issuing certificate as Secret does not exist
          TIME attempt 1 failed
          TIME created
        not seen:
          Events could not be read
        try:
          kubectl wait --for=condition=Ready --timeout=5m certificate/web -n demo # waits until it is Ready
          kubectl describe certificate/web -n demo # all that it says, with its Events
    "#]]).await;
}

/// A cluster that nobody works in, at one instant.
struct Still {
    world: Silent,
    now: Timestamp,
}

struct Silent(ApiService);

impl Still {
    /// With an ACME issuer that is Ready and allows two orders in three hours.
    fn new() -> Self {
        let now: jiff::Timestamp = "2026-11-23T02:00:00Z".parse().unwrap();
        let now = Timestamp::from_millis(now.as_millisecond());
        let crds = everleaf_api::crds().iter().map(|(_, yaml)| (*yaml).to_owned()).collect();
        let namespaces = ["demo", "cert-manager"].map(str::to_owned).to_vec();
        let config =
            apiserver::Config { crds, namespaces, now: now.as_millis(), ..Default::default() };
        let server = ApiServer::new(config).unwrap();
        let still =
            Self { world: Silent(ApiService::collecting(server, move || now.as_millis())), now };
        let limits = r#"{"newOrders": {"count": 2, "per": "3h"}}"#;
        still.put("issuers.cert-manager.io", json!({
            "apiVersion": "cert-manager.io/v1", "kind": "Issuer",
            "metadata": {"name": "le", "namespace": "demo",
                "annotations": {"everleaf.dev/acme-limits": limits}},
            "spec": {"acme": {"server": "https://ca.test/dir", "privateKeySecretRef": {"name": "key"},
                "solvers": [{"dns01": {"rfc2136": {"nameserver": "192.0.2.1"}}}]}},
            "status": {"acme": {"uri": "https://ca.test/acct/1"}, "conditions": [{"type": "Ready",
                "status": "True", "reason": "ACMEAccountRegistered", "observedGeneration": 1,
                "lastTransitionTime": "2026-11-23T01:00:00Z",
                "message": "The ACME account was registered with the ACME server"}]},
        }));
        still
    }

    fn handle(&self, request: &Request) -> Value {
        let answer = self.world.0.with(|server, now| server.handle(now, request));
        assert!(answer.is_success(), "{}", answer.body);
        (*answer.body).clone()
    }

    /// Creates an object with its status; answers its UID.
    fn put(&self, resource: &str, object: Value) -> String {
        let text =
            |path| object.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
        let created = self.handle(&Request::create(resource, &namespace, object.clone()));
        if let Some(status) = object.get("status") {
            let patch = json!({"status": status});
            self.handle(&Request::merge(resource, &namespace, &name, patch).on_status());
        }
        created["metadata"]["uid"].as_str().unwrap_or_default().to_owned()
    }

    /// An Order, and a Challenge of it that was presented and not seen.
    fn challenged(&self) -> ObjectKey<Kind> {
        let order = self.order("web-1-1");
        let name = "web-1-1-2";
        let uid = self.put("challenges.acme.cert-manager.io", json!({
            "apiVersion": "acme.cert-manager.io/v1", "kind": "Challenge",
            "metadata": {"name": name, "namespace": "demo", "finalizers": ["acme.cert-manager.io/finalizer"],
                "ownerReferences": [{"apiVersion": "acme.cert-manager.io/v1", "kind": "Order",
                    "name": "web-1-1", "uid": order, "controller": true}]},
            "spec": {"authorizationURL": "https://ca.test/authz/1", "dnsName": "a.example.test",
                "issuerRef": {"name": "le"}, "key": "key", "token": "token", "type": "DNS-01",
                "url": "https://ca.test/chall/1", "wildcard": false,
                "solver": {"dns01": {"rfc2136": {"nameserver": "192.0.2.1"}}}},
            "status": {"presented": true, "processing": true, "state": "pending",
                "presentedAt": "2026-11-23T01:58:00Z", "reason": "Waiting for DNS-01 challenge propagation"},
        }));
        let detail =
            "_acme-challenge.a.example.test TXT: ns1.example.test answers without the record";
        let attempt = Attempt {
            step: "self_check".into(),
            number: 3,
            class: Class::Wait,
            reason: "NotSeen".into(),
            problem: "".into(),
            detail: detail.into(),
            at: self.now.plus_millis(-20_000),
            not_before: Some(self.now.plus_millis(40_000)),
            inputs: None,
        };
        let note = notes::attempt_text(&attempt, &uid);
        let patch = json!({"metadata": {"annotations": {"everleaf.dev/acme-attempt": note}}});
        self.handle(&Request::merge("challenges.acme.cert-manager.io", "demo", name, patch));
        ObjectKey::new(Kind::Challenge, "demo", name)
    }

    fn order(&self, name: &str) -> String {
        self.put(
            "orders.acme.cert-manager.io",
            json!({
                "apiVersion": "acme.cert-manager.io/v1", "kind": "Order",
                "metadata": {"name": name, "namespace": "demo"},
                "spec": {"request": "Y3Ny", "dnsNames": ["a.example.test"],
                    "issuerRef": {"name": "le"}},
            }),
        )
    }

    /// An Order, after its status said what holds it up.
    fn order_held_up(&self, reason: &str) {
        self.order("web-1-1");
        let patch = json!({"status": {"reason": reason}});
        let request = Request::merge("orders.acme.cert-manager.io", "demo", "web-1-1", patch);
        self.handle(&request.on_status());
    }

    async fn why(&self, key: &ObjectKey<Kind>) -> (String, Value) {
        let kube = Kube::new(kube::Client::new(self.world.0.clone(), "demo"));
        let projector = projector();
        let text = explain(&kube, (&projector, Options::default()), (key, "text"), self.now).await;
        let json = explain(&kube, (&projector, Options::default()), (key, "json"), self.now).await;
        let (text, json) = (text.expect("it is there").text, json.expect("it is there").text);
        (text, serde_json::from_str(&json).expect("it is JSON"))
    }
}

#[tokio::test]
async fn a_challenge_that_waits_for_dns_says_what_dns_says_and_when_it_is_looked_at_again() {
    let still = Still::new();
    let key = still.challenged();
    let (text, json) = still.why(&key).await;
    expect![[r#"
        Challenge/demo/web-1-1-2: resting
          A failure of transport, a Retry-After or the next look is waited out.
          state=pending Waiting for DNS-01 challenge propagation
          2026-11-23T01:59:40Z: self_check, look 3: _acme-challenge.a.example.test TXT: ns1.example.test answers without the record
        waits until:
          2026-11-23T02:00:40Z (in 40 s): patience, Retry-After, or the ladder after a failure, or the next look
          2026-11-23T03:00:00Z (in 1 h 0 min): recheck, looked at again anyway
        what would change it:
          -> queued, if it is no longer so that the last request of the present step failed; when to try again is written down (the step that failed is done)
          -> queued, if the wait "patience" is over (the time has come)
          -> unserved, if it is no longer so that the issuer exists, is an ACME one, is Ready and has an account (without the account nothing can be asked)
          -> reporting, if it is no longer so that the status says all that has to be said now (what happened is said)
          -> cleaning, if the Challenge is being deleted (nothing presented may stay behind)
          -> sweeping, if its state is final: valid, invalid, expired or errored (what was presented is of no use any more)
        around it:
          owner Order/demo/web-1-1: not placed
          issuer Issuer/demo/le: Ready=True ACMEAccountRegistered: The ACME account was registered with the ACME server
        path:
          2026-11-23T01:58:00Z presented
          2026-11-23T02:00:00Z created
        try:
          dig +short TXT _acme-challenge.a.example.test  # what DNS says from here; the CA has to see the record from outside
          kubectl describe challenge/web-1-1-2 -n demo   # all that it says, with its Events
    "#]].assert_eq(&text);
    assert_eq!(json["at"], "2026-11-23T02:00:00Z");
    assert_eq!(json["around"][0]["role"], "owner");
}

#[tokio::test]
async fn an_order_that_waits_for_budget_says_which_limit_and_when_the_next_token_comes() {
    let still = Still::new();
    still.order_held_up(
        "Waiting for a rate limit of the CA, so as not to meet it: new orders of the account (2 in \
         3 hours)",
    );
    let account = everleaf_nodes::budget::charges(
        &everleaf_nodes::budget::configured(r#"{"newOrders": {"count": 2, "per": "3h"}}"#).unwrap(),
        &everleaf_nodes::budget::Spend {
            directory: "https://ca.test/dir",
            account: "https://ca.test/acct/1",
            dns: &["a.example.test".into()],
            ips: &[],
            purpose: everleaf_nodes::budget::Purpose::New,
        },
    );
    let charge = account.first().expect("the account's");
    let tat = still.now.plus_millis(3 * 3_600_000 - 60_000).as_millis();
    still.put(
        "configmaps",
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": &*charge.shard(), "namespace": "cert-manager",
                "labels": {"everleaf.dev/component": "acme-budget"}},
            "data": {"buckets": format!("{} {tat}\n", charge.bucket)},
        }),
    );
    let (text, json) = still.why(&ObjectKey::new(Kind::Order, "demo", "web-1-1")).await;
    expect![[r#"
        Order/demo/web-1-1: budgeting
          Waits for a token of every limit that the order will consume.
          not placed yet; Waiting for a rate limit of the CA, so as not to meet it: new orders of the account (2 in 3 hours)
        waits until:
          2026-11-23T03:00:00Z (in 1 h 0 min): recheck, looked at again anyway
          2026-11-23T03:29:00Z (in 1 h 29 min): budget, when every limit that the order will consume has a token
        what would change it:
          -> claiming, if the wait "budget" is over (never meet a 429 that could be foreseen)
          -> yielding, if another order of the same account and names is in flight, or comes first (they take turns)
          -> placing, if it carries our claim for a newOrder of this account, or was placed already (a crash from here on costs one extra order at most)
          -> resting, if the last request of the present step failed, or the CA asked for patience; when to try again is written down (429, 503 and lost answers are never final)
          -> resting, if the wait "patience" has to go on (another failure, or Retry-After, moved the next request)
          -> unserved, if it is no longer so that the issuer exists, is an ACME one, is Ready and has an account (without the account nothing can be asked)
          -> reporting, if it is no longer so that the status says all that has to be said now (what happened is said)
          -> retiring, if the Order is being deleted (nothing is sent any more)
          (1 more; -o json has them)
        left of the CA's limits:
          newOrders: 0 of 2; the next at 2026-11-23T03:29:00Z (in 1 h 29 min)
        around it:
          issuer Issuer/demo/le: Ready=True ACMEAccountRegistered: The ACME account was registered with the ACME server
        path:
          2026-11-23T02:00:00Z created
        try:
          kubectl describe order/web-1-1 -n demo  # all that it says, with its Events
    "#]].assert_eq(&text);
    assert_eq!(json["budgets"][0]["left"], 0);
}

#[tokio::test]
async fn a_name_that_is_not_there_is_answered_with_those_that_are_near() {
    let still = Still::new();
    for (namespace, name) in [("demo", "web-tls"), ("demo", "api"), ("cert-manager", "web-tsl")] {
        let spec = json!({"secretName": name, "issuerRef": {"name": "le"}, "dnsNames": ["a.test"]});
        still.put(
            "certificates.cert-manager.io",
            json!({
                "apiVersion": "cert-manager.io/v1", "kind": "Certificate",
                "metadata": {"name": name, "namespace": namespace}, "spec": spec,
            }),
        );
    }
    let kube = Kube::new(kube::Client::new(still.world.0.clone(), "demo"));
    let key = ObjectKey::new(Kind::Certificate, "demo", "web-tsl");
    let read = explain(&kube, (&projector(), Options::default()), (&key, "text"), still.now).await;
    let told = read.err().expect("it is not there").told_of("https://x");
    let meant =
        "; did you mean certificate/web-tsl -n cert-manager, or certificate/web-tls -n demo?";
    assert!(told.ends_with(meant), "{told}");
}

#[tokio::test]
async fn what_anybody_wrote_into_an_object_does_nothing_to_a_terminal() {
    let still = Still::new();
    let key = still.challenged();
    let patch = json!({"status": {"reason": "\u{1b}]0;title\u{7}\u{1b}[2J\nforged: line"}});
    let request = Request::merge("challenges.acme.cert-manager.io", "demo", &key.name, patch);
    still.handle(&request.on_status());
    let (text, json) = still.why(&key).await;
    assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'), "{text:?}");
    assert!(!text.lines().any(|line| line.starts_with("forged")), "{text:?}");
    assert!(json["progress"]["reason"].as_str().unwrap().contains('\u{1b}'), "JSON has it whole");
}
