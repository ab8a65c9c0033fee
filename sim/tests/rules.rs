//! The rules of the model, one by one, without HTTP.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use everleaf_sim::apiserver::{
    ApiServer, Ask, Config, EventType, Fault, Request, Script, Selector, Verb, When,
};
use serde_json::{Value, json};

use common::{NEW_YEAR, WIDGET, config, secret, server, widget, with_meta};

const NS: &str = "simcheck";

fn make(server: &mut ApiServer, name: &str, spec: Value) -> Value {
    let request = Request::create(WIDGET, NS, widget(name, spec)).from_agent("test/1");
    let response = server.handle(NEW_YEAR, &request);
    assert_eq!(response.code, 201, "{}", response.body);
    Value::clone(&response.body)
}

fn code(server: &mut ApiServer, request: &Request) -> u16 {
    server.handle(NEW_YEAR, request).code
}

fn version(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

fn owned_by(owner: &Value, extra: Value) -> Value {
    let mut reference = json!({"apiVersion": "v1", "kind": "Widget",
        "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]});
    for (name, value) in extra.as_object().unwrap() {
        reference[name] = value.clone();
    }
    json!({"ownerReferences": [reference]})
}

#[test]
fn the_same_calls_give_the_same_bytes() {
    let run = |seed| {
        let mut server = ApiServer::new(Config { seed, ..config() }).unwrap();
        let drawn = json!({"metadata": {"generateName": "a-"}});
        let one = server.handle(NEW_YEAR, &Request::create("secrets", NS, drawn));
        one.body.to_string()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn a_stale_version_conflicts_and_changes_nothing() {
    let mut server = server();
    let first = make(&mut server, "a", json!({"color": "red"}));
    let merge = Request::merge(WIDGET, NS, "a", json!({"spec": {"color": "blue"}}));
    assert_eq!(code(&mut server, &merge), 200);
    let before = server.version();
    let response = server.handle(NEW_YEAR, &Request::update(WIDGET, NS, "a", first));
    assert_eq!((response.code, response.reason()), (409, "Conflict"));
    assert_eq!(server.version(), before);
}

#[test]
fn a_write_that_changes_nothing_is_no_write_at_any_time() {
    let mut server = server();
    let made = make(&mut server, "a", json!({"color": "red"}));
    let later = NEW_YEAR + 3_600_000;
    let put = Request::update(WIDGET, NS, "a", made.clone()).from_agent("test/1");
    assert_eq!(version(&server.handle(later, &put).body), version(&made));
    let apply = Request::apply(WIDGET, NS, "b", "m", widget("b", json!({"color": "red"})));
    let applied = server.handle(NEW_YEAR, &apply);
    assert_eq!(server.handle(later, &apply).body, applied.body);
}

#[test]
fn a_watch_tells_selector_transitions_as_added_and_deleted() {
    let mut server = server();
    let start = server.version();
    make(&mut server, "a", json!({"color": "red"}));
    for color in ["blue", "red"] {
        let patch = json!({"spec": {"color": color}});
        code(&mut server, &Request::merge(WIDGET, NS, "a", patch));
    }
    code(&mut server, &Request::delete(WIDGET, NS, "a"));
    let mut request = Request::new(Verb::Watch, WIDGET, NS, "");
    request.options.field_selector = "spec.color=red".into();
    request.options.resource_version = start.to_string();
    let mut watch = server.open_watch(NEW_YEAR, &request).unwrap();
    let events = server.poll_watch(NEW_YEAR, &mut watch);
    let kinds: Vec<EventType> = events.iter().map(|e| e.kind).collect();
    use EventType::{Added, Deleted};
    assert_eq!(kinds, [Added, Deleted, Added, Deleted]);
    // The deselected object is shown as it last was selected, under the new version.
    assert_eq!(events[1].object["spec"]["color"], "red");
    assert_eq!(events[1].version(), start + 2);
    assert!(server.poll_watch(NEW_YEAR, &mut watch).is_empty());
}

#[test]
fn compaction_makes_old_watches_and_pages_expire() {
    let mut server = server();
    for i in 0..4 {
        make(&mut server, &format!("a{i}"), json!({"color": "red"}));
    }
    let mut list = Request::list(WIDGET, NS);
    list.options.limit = 2;
    let page = server.handle(NEW_YEAR, &list);
    assert_eq!(page.body["metadata"]["remainingItemCount"], 2);
    make(&mut server, "a9", json!({"color": "red"}));
    list.options.continue_token = page.body["metadata"]["continue"].as_str().unwrap().into();
    let rest = server.handle(NEW_YEAR, &list);
    let names: Vec<&Value> =
        rest.body["items"].as_array().unwrap().iter().map(|o| &o["metadata"]["name"]).collect();
    // The page belongs to the version the list began with.
    assert_eq!(names, ["a2", "a3"]);
    let all = Selector::all(None);
    assert_eq!(server.watch_since(WIDGET, server.version() - 1, &all).unwrap().len(), 1);
    server.compact(server.version());
    assert!(server.watch_since(WIDGET, server.version() - 1, &all).is_err());
    let response = server.handle(NEW_YEAR, &list);
    assert_eq!((response.code, response.reason()), (410, "Expired"));
}

#[test]
fn a_full_log_forgets_its_oldest_changes_and_says_so_in_the_watch() {
    let mut server = ApiServer::new(Config { log_capacity: 2, ..config() }).unwrap();
    let start = server.version();
    for i in 0..3 {
        make(&mut server, &format!("a{i}"), json!({"color": "red"}));
    }
    let mut request = Request::new(Verb::Watch, WIDGET, "", "");
    request.options.resource_version = start.to_string();
    let mut watch = server.open_watch(NEW_YEAR, &request).unwrap();
    let events = server.poll_watch(NEW_YEAR, &mut watch);
    assert_eq!((events.len(), events[0].kind), (1, EventType::Error));
    assert_eq!(events[0].object["code"], 410);
    assert!(watch.ended());
}

#[test]
fn a_streaming_list_ends_with_a_marked_bookmark_and_time_ends_the_watch() {
    let mut server = server();
    make(&mut server, "a", json!({"color": "red"}));
    let mut request = Request::new(Verb::Watch, WIDGET, NS, "");
    request.options.send_initial_events = Some(true);
    request.options.resource_version_match = "NotOlderThan".into();
    request.options.allow_watch_bookmarks = true;
    request.options.timeout_seconds = Some(300);
    let mut watch = server.open_watch(NEW_YEAR, &request).unwrap();
    let events = server.poll_watch(NEW_YEAR, &mut watch);
    let kinds: Vec<EventType> = events.iter().map(|e| e.kind).collect();
    assert_eq!(kinds, [EventType::Added, EventType::Bookmark]);
    let mark = &events[1].object["metadata"]["annotations"]["k8s.io/initial-events-end"];
    assert_eq!(mark, "true");
    assert!(server.poll_watch(NEW_YEAR + 59_999, &mut watch).is_empty());
    let minute = server.poll_watch(NEW_YEAR + 60_000, &mut watch);
    assert_eq!(minute[0].kind, EventType::Bookmark);
    server.poll_watch(NEW_YEAR + 300_000, &mut watch);
    assert!(watch.ended());
}

#[test]
fn background_deletion_takes_dependants_and_their_dependants() {
    let mut server = server();
    let owner = make(&mut server, "owner", json!({"color": "red"}));
    let middle = with_meta(widget("middle", json!({"color": "red"})), owned_by(&owner, json!({})));
    let middle = server.handle(NEW_YEAR, &Request::create(WIDGET, NS, middle)).body;
    let leaf = with_meta(secret("leaf", json!({})), owned_by(&middle, json!({})));
    code(&mut server, &Request::create("secrets", NS, leaf));
    assert_eq!(server.collect_garbage(NEW_YEAR), 0);
    code(&mut server, &Request::delete(WIDGET, NS, "owner"));
    assert!(server.peek("secrets", NS, "leaf").is_some());
    assert_eq!(server.collect_garbage(NEW_YEAR), 2);
    assert!(server.peek("secrets", NS, "leaf").is_none());
}

#[test]
fn a_dependant_with_a_living_owner_stays_and_loses_the_dead_reference() {
    let mut server = server();
    let one = make(&mut server, "one", json!({"color": "red"}));
    let two = make(&mut server, "two", json!({"color": "red"}));
    let refs = [&one, &two].map(|o| owned_by(o, json!({}))["ownerReferences"][0].clone());
    let shared = with_meta(secret("shared", json!({})), json!({"ownerReferences": refs}));
    code(&mut server, &Request::create("secrets", NS, shared));
    code(&mut server, &Request::delete(WIDGET, NS, "one"));
    server.collect_garbage(NEW_YEAR);
    let left = server.peek("secrets", NS, "shared").unwrap();
    assert_eq!(left["metadata"]["ownerReferences"].as_array().unwrap().len(), 1);
}

#[test]
fn foreground_waits_for_blocking_dependants_and_orphan_frees_them() {
    for (policy, stays) in [("Foreground", false), ("Orphan", true)] {
        let mut server = server();
        let owner = make(&mut server, "owner", json!({"color": "red"}));
        let blocking = owned_by(&owner, json!({"blockOwnerDeletion": true}));
        let mut child = with_meta(widget("child", json!({"color": "red"})), blocking);
        child["metadata"]["finalizers"] = json!(["a.b/c"]);
        code(&mut server, &Request::create(WIDGET, NS, child));
        let mut delete = Request::delete(WIDGET, NS, "owner");
        delete.options.propagation_policy = policy.into();
        code(&mut server, &delete);
        server.collect_garbage(NEW_YEAR);
        assert_eq!(server.peek(WIDGET, NS, "owner").is_none(), stays, "{policy}");
        let free = json!({"metadata": {"finalizers": null}});
        code(&mut server, &Request::merge(WIDGET, NS, "child", free));
        server.collect_garbage(NEW_YEAR);
        assert!(server.peek(WIDGET, NS, "owner").is_none(), "{policy}");
        assert_eq!(server.peek(WIDGET, NS, "child").is_some(), stays, "{policy}");
    }
}

#[test]
fn a_namespace_ends_only_after_its_content() {
    let mut server = server();
    let held = with_meta(widget("a", json!({"color": "red"})), json!({"finalizers": ["a.b/c"]}));
    code(&mut server, &Request::create(WIDGET, NS, held));
    code(&mut server, &Request::delete("namespaces", "", NS));
    server.collect_garbage(NEW_YEAR);
    let refused = server.handle(NEW_YEAR, &Request::create("secrets", NS, secret("s", json!({}))));
    assert_eq!((refused.code, refused.reason()), (403, "Forbidden"));
    assert!(server.peek("namespaces", "", NS).is_some());
    let free = json!({"metadata": {"finalizers": null}});
    code(&mut server, &Request::merge(WIDGET, NS, "a", free));
    server.collect_garbage(NEW_YEAR);
    assert!(server.peek("namespaces", "", NS).is_none());
}

#[test]
fn scripted_faults_strike_once_each_where_they_are_asked_for() {
    let mut server = server();
    make(&mut server, "a", json!({"color": "red"}));
    let script = Script::default()
        .then(When::Request(Verb::Get, WIDGET.into()), Fault::TooManyRequests(7))
        .then(When::Request(Verb::Get, WIDGET.into()), Fault::Forbidden)
        .then(When::Request(Verb::Delete, WIDGET.into()), Fault::Conflict)
        .then(When::Request(Verb::Create, WIDGET.into()), Fault::Timeout { applied: true })
        .then(When::Request(Verb::Create, WIDGET.into()), Fault::Lost { applied: false });
    server.set_faults(Some(Box::new(script)));
    let get = Request::get(WIDGET, NS, "a");
    let busy = server.handle(NEW_YEAR, &get);
    assert_eq!((busy.code, busy.retry_after), (429, Some(7)));
    assert_eq!(code(&mut server, &get), 403);
    assert_eq!(code(&mut server, &get), 200);
    assert_eq!(code(&mut server, &Request::delete(WIDGET, NS, "a")), 409);
    let create = |name| Request::create(WIDGET, NS, widget(name, json!({"color": "red"})));
    assert_eq!(code(&mut server, &create("b")), 504);
    assert!(server.peek(WIDGET, NS, "b").is_some());
    assert!(server.handle(NEW_YEAR, &create("c")).lost);
    assert!(server.peek(WIDGET, NS, "c").is_none());
}

#[test]
fn watch_faults_delay_repeat_and_end_but_never_lose_a_change() {
    let mut server = server();
    let mut request = Request::new(Verb::Watch, WIDGET, NS, "");
    request.options.resource_version = server.version().to_string();
    let mut watch = server.open_watch(NEW_YEAR, &request).unwrap();
    make(&mut server, "a", json!({"color": "red"}));
    let script = Script::default()
        .then(When::Poll(WIDGET.into()), Fault::Stall)
        .then(When::Poll(WIDGET.into()), Fault::Lag(1000))
        .then(When::Event(WIDGET.into()), Fault::Lose)
        .then(When::Event(WIDGET.into()), Fault::Duplicate)
        .then(When::Poll(WIDGET.into()), Fault::Drop);
    server.set_faults(Some(Box::new(script)));
    assert!(server.poll_watch(NEW_YEAR, &mut watch).is_empty(), "stalled");
    assert!(server.poll_watch(NEW_YEAR + 999, &mut watch).is_empty(), "lagging");
    server.set_faults(Some(Box::new(|_: i64, ask: Ask<'_>| match ask {
        Ask::Event(..) => Fault::Duplicate,
        _ => Fault::None,
    })));
    assert_eq!(server.poll_watch(NEW_YEAR + 1000, &mut watch).len(), 2, "twice");
    let script = Script::default().then(When::Poll(WIDGET.into()), Fault::Drop);
    server.set_faults(Some(Box::new(script)));
    assert!(server.poll_watch(NEW_YEAR + 1000, &mut watch).is_empty());
    assert!(watch.ended());
}

#[test]
fn a_stale_replica_serves_the_past() {
    let mut server = server();
    let made = make(&mut server, "a", json!({"color": "red"}));
    code(&mut server, &Request::delete(WIDGET, NS, "a"));
    let stale = version(&made);
    server.set_faults(Some(Box::new(move |_: i64, _: Ask<'_>| Fault::Stale(stale))));
    assert_eq!(code(&mut server, &Request::get(WIDGET, NS, "a")), 200);
    let listed = server.handle(NEW_YEAR, &Request::list(WIDGET, NS));
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 1);
    assert_eq!(version(&listed.body), stale);
}

#[test]
fn requests_are_counted_by_verb_resource_agent_and_code() {
    let mut server = server();
    server.audit_mut().clear();
    make(&mut server, "a", json!({"color": "red"}));
    let status = json!({"status": {"phase": "x"}});
    let patch = Request::merge(WIDGET, NS, "a", status).on_status().from_agent("ctl/2");
    code(&mut server, &patch);
    code(&mut server, &Request::get(WIDGET, NS, "nope"));
    let key = ("patch", format!("{WIDGET}/status"), "ctl/2".to_owned(), 200);
    assert_eq!(server.audit().counts()[&key], 1);
    assert_eq!(server.audit().writes(), 2);
    let last = server.audit().records().last().unwrap();
    assert_eq!((last.verb, last.name.as_str(), last.code), ("get", "nope", 404));
}

#[test]
fn both_event_apis_show_one_event_and_events_expire() {
    let mut server = server();
    let event = json!({"metadata": {"name": "e"}, "reason": "R", "note": "n",
        "regarding": {"kind": "Secret", "name": "s", "namespace": NS}});
    assert_eq!(code(&mut server, &Request::create("events.events.k8s.io", NS, event)), 201);
    let core = server.peek("events", NS, "e").unwrap();
    assert_eq!((&core["message"], &core["involvedObject"]["name"]), (&json!("n"), &json!("s")));
    let back = server.handle(NEW_YEAR, &Request::get("events.events.k8s.io", NS, "e"));
    assert_eq!(back.body["note"], "n");
    let selector = Selector::all(Some(NS));
    let seen = server.watch_since("events.events.k8s.io", 0, &selector).unwrap();
    assert_eq!(seen[0].object["apiVersion"], "events.k8s.io/v1");
    assert_eq!(server.expire_events(NEW_YEAR + 3_599_999, 3_600_000), 0);
    assert_eq!(server.expire_events(NEW_YEAR + 3_601_000, 3_600_000), 1);
}

#[test]
fn hostile_requests_are_answered_not_survived() {
    let mut server = server();
    let mut deep = json!(1);
    for _ in 0..100 {
        deep = json!({"a": [deep]});
    }
    let odd = [
        json!(null),
        json!([]),
        json!("x"),
        json!({"metadata": 1}),
        json!({"metadata": []}),
        json!({"spec": deep}),
        json!({"metadata": {"name": 1, "labels": []}}),
    ];
    for body in odd {
        for resource in [WIDGET, "secrets", "services", "namespaces", "nosuch", "events"] {
            let namespace = if resource == "namespaces" { "" } else { NS };
            let requests = [
                Request::create(resource, namespace, body.clone()),
                Request::update(resource, namespace, "default", body.clone()),
                Request::merge(resource, namespace, "default", body.clone()),
                Request::apply(resource, namespace, "default", "m", body.clone()),
                Request::delete(resource, namespace, "x").with_body(body.clone()),
            ];
            for request in &requests {
                let response = server.handle(NEW_YEAR, request);
                assert!(response.code >= 200, "{}", response.body);
            }
        }
    }
}
