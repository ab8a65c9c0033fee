//! kube's own client against the model, in process.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use everleaf_sim::apiserver::{ApiServer, Fault, Request, Script, Verb, When};
use everleaf_sim::http::ApiService;
use futures::{StreamExt, TryStreamExt};
use http_body_util::BodyExt;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch,
    PatchParams, PostParams, Preconditions,
};
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, Event};
use kube::{Client, Discovery, ResourceExt};
use serde_json::json;

use common::{NEW_YEAR, WIDGET, server, widget, with_meta};

struct World {
    service: ApiService,
    client: Client,
    now: Arc<AtomicI64>,
}

fn world_of(server: ApiServer) -> World {
    let now = Arc::new(AtomicI64::new(NEW_YEAR));
    let clock = now.clone();
    let service = ApiService::collecting(server, move || clock.load(Ordering::SeqCst));
    let client = Client::new(service.clone(), "simcheck");
    World { service, client, now }
}

fn world() -> World {
    world_of(server())
}

fn widgets(world: &World) -> Api<DynamicObject> {
    let gvk = GroupVersionKind::gvk("simcheck.example.com", "v1", "Widget");
    let resource = ApiResource::from_gvk_with_plural(&gvk, "widgets");
    Api::default_namespaced_with(world.client.clone(), &resource)
}

fn object(name: &str, color: &str) -> DynamicObject {
    serde_json::from_value(widget(name, json!({"color": color}))).unwrap()
}

fn reason(error: kube::Error) -> (u16, String) {
    match error {
        kube::Error::Api(status) => (status.code, status.reason.clone()),
        other => panic!("not an answer: {other}"),
    }
}

#[tokio::test]
async fn create_get_replace_and_delete_behave_as_optimistic_concurrency_wants() {
    let world = world();
    let api = widgets(&world);
    let made = api.create(&PostParams::default(), &object("a", "red")).await.unwrap();
    let again = api.create(&PostParams::default(), &object("a", "red")).await.unwrap_err();
    assert_eq!(reason(again), (409, "AlreadyExists".into()));
    let mut changed = made.clone();
    changed.data["spec"]["color"] = json!("blue");
    let changed = api.replace("a", &PostParams::default(), &changed).await.unwrap();
    assert_eq!(changed.metadata.generation, Some(2));
    let stale = api.replace("a", &PostParams::default(), &made).await.unwrap_err();
    assert_eq!(reason(stale), (409, "Conflict".into()));
    let other = Preconditions { uid: Some("other".into()), resource_version: None };
    let wrong = DeleteParams::default().preconditions(other);
    let refused = api.delete("a", &wrong).await.unwrap_err();
    assert_eq!(reason(refused), (409, "Conflict".into()));
    let right = Preconditions {
        uid: made.metadata.uid.clone(),
        resource_version: changed.resource_version(),
    };
    assert!(
        api.delete("a", &DeleteParams::default().preconditions(right)).await.unwrap().is_right()
    );
    assert!(api.get_opt("a").await.unwrap().is_none());
}

#[tokio::test]
async fn an_apply_conflicts_unless_forced_and_gives_fields_up() {
    let world = world();
    let api = widgets(&world);
    let config = |labels| widget("a", json!({"color": "red", "labels": labels}));
    let one = PatchParams::apply("one");
    let two = PatchParams::apply("two");
    api.patch("a", &one, &Patch::Apply(config(json!({"x": "1", "y": "1"})))).await.unwrap();
    let theirs = config(json!({"x": "2"}));
    let refused = api.patch("a", &two, &Patch::Apply(&theirs)).await.unwrap_err();
    assert_eq!(reason(refused), (409, "Conflict".into()));
    api.patch("a", &two.clone().force(), &Patch::Apply(&theirs)).await.unwrap();
    let left = api.patch("a", &one, &Patch::Apply(config(json!({})))).await.unwrap();
    assert_eq!(left.data["spec"]["labels"], json!({"x": "2"}));
    let status = json!({"apiVersion": "simcheck.example.com/v1", "kind": "Widget",
        "status": {"phase": "ok"}, "spec": {"color": "blue"}});
    let done = api.patch_status("a", &two.force(), &Patch::Apply(status)).await.unwrap();
    assert_eq!(
        (&done.data["status"]["phase"], &done.data["spec"]["color"]),
        (&json!("ok"), &json!("red"))
    );
}

#[tokio::test]
async fn generated_names_finalizers_and_lists_work_through_the_client() {
    let world = world();
    let secrets: Api<Secret> = Api::default_namespaced(world.client.clone());
    let drawn: Secret =
        serde_json::from_value(json!({"metadata": {"generateName": "g-"}})).unwrap();
    for _ in 0..5 {
        let made = secrets.create(&PostParams::default(), &drawn).await.unwrap();
        assert!(made.name_any().starts_with("g-"));
    }
    let page = secrets.list(&ListParams::default().limit(2)).await.unwrap();
    assert_eq!((page.items.len(), page.metadata.remaining_item_count), (2, Some(3)));
    let names = secrets.list_metadata(&ListParams::default()).await.unwrap();
    assert_eq!(names.items.len(), 5);
    let api = widgets(&world);
    let held = with_meta(widget("f", json!({"color": "red"})), json!({"finalizers": ["a.b/c"]}));
    let held: DynamicObject = serde_json::from_value(held).unwrap();
    api.create(&PostParams::default(), &held).await.unwrap();
    let marked = api.delete("f", &DeleteParams::default()).await.unwrap().left().unwrap();
    assert!(marked.metadata.deletion_timestamp.is_some());
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    api.patch("f", &PatchParams::default(), &free).await.unwrap();
    assert!(api.get_opt("f").await.unwrap().is_none());
}

#[tokio::test]
async fn discovery_finds_custom_and_built_in_kinds() {
    let world = world();
    let found = Discovery::new(world.client.clone()).run().await.unwrap();
    let gvk = GroupVersionKind::gvk("simcheck.example.com", "v1", "Widget");
    let (resource, capabilities) = found.resolve_gvk(&gvk).unwrap();
    assert_eq!(resource.plural, "widgets");
    assert!(capabilities.supports_operation("watch"));
    assert!(found.resolve_gvk(&GroupVersionKind::gvk("", "v1", "Secret")).is_some());
    let version = world.client.apiserver_version().await.unwrap();
    assert_eq!(version.minor, "37");
}

type Events =
    std::pin::Pin<Box<dyn futures::Stream<Item = watcher::Result<Event<DynamicObject>>> + Send>>;

/// The next events, as kind and name, errors as `!`.
async fn take(stream: &mut Events, count: usize) -> Vec<String> {
    let mut out = Vec::new();
    while out.len() < count {
        out.push(match stream.next().await.unwrap() {
            Ok(Event::Init) => "init".into(),
            Ok(Event::InitApply(o)) => format!("listed {}", o.name_any()),
            Ok(Event::InitDone) => "done".into(),
            Ok(Event::Apply(o)) => format!("apply {}", o.name_any()),
            Ok(Event::Delete(o)) => format!("delete {}", o.name_any()),
            Err(_) => "!".into(),
        });
    }
    out
}

#[tokio::test]
async fn a_watcher_lists_follows_and_lists_again_after_410() {
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let world = world();
        let api = widgets(&world);
        api.create(&PostParams::default(), &object("a", "red")).await.unwrap();
        let mut events: Events = watcher::watcher(api.clone(), config).boxed();
        assert_eq!(take(&mut events, 3).await, ["init", "listed a", "done"]);
        api.create(&PostParams::default(), &object("b", "red")).await.unwrap();
        api.delete("a", &DeleteParams::default()).await.unwrap();
        assert_eq!(take(&mut events, 2).await, ["apply b", "delete a"]);
        let gone = Script::default().then(When::Poll(WIDGET.into()), Fault::Gone);
        world.service.with(|server, _| server.set_faults(Some(Box::new(gone))));
        assert_eq!(take(&mut events, 4).await, ["!", "init", "listed b", "done"]);
    }
}

#[tokio::test]
async fn a_dropped_watch_is_taken_up_again_without_a_gap() {
    let world = world();
    let api = widgets(&world);
    let mut events: Events = watcher::watcher(api.clone(), watcher::Config::default()).boxed();
    assert_eq!(take(&mut events, 2).await, ["init", "done"]);
    let script = Script::default().then(When::Poll(WIDGET.into()), Fault::Drop);
    world.service.with(|server, _| server.set_faults(Some(Box::new(script))));
    api.create(&PostParams::default(), &object("a", "red")).await.unwrap();
    assert_eq!(take(&mut events, 1).await, ["apply a"]);
}

#[tokio::test]
async fn metadata_watches_carry_no_data() {
    let world = world();
    let secrets: Api<Secret> = Api::default_namespaced(world.client.clone());
    let secret = serde_json::from_value(common::secret("s", json!({"k": "YQ=="}))).unwrap();
    secrets.create(&PostParams::default(), &secret).await.unwrap();
    let api: Api<PartialObjectMeta<Secret>> = Api::default_namespaced(world.client.clone());
    let events = watcher::watcher(api.clone(), watcher::Config::default());
    let seen: Vec<_> = events.take(3).try_collect().await.unwrap();
    assert!(matches!(&seen[1], Event::InitApply(o) if o.name_any() == "s"));
    assert_eq!(api.list_metadata(&ListParams::default()).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn a_watch_ends_when_virtual_time_says_so() {
    let world = world();
    let request = http::Request::get("/api/v1/secrets?watch=1&timeoutSeconds=60&resourceVersion=1");
    let request = request.body(kube::client::Body::empty()).unwrap();
    let response = world.client.send(request).await.unwrap();
    let mut body = response.into_body().into_data_stream();
    assert!(futures::poll!(body.next()).is_pending());
    world.now.fetch_add(60_000, Ordering::SeqCst);
    world.service.wake();
    assert!(body.next().await.is_none());
}

#[tokio::test]
async fn lost_answers_and_refusals_reach_the_client_as_such() {
    let world = world();
    let api = widgets(&world);
    let create = || When::Request(Verb::Create, WIDGET.into());
    let script = Script::default()
        .then(create(), Fault::Lost { applied: true })
        .then(create(), Fault::Unavailable(3));
    world.service.with(|server, _| server.set_faults(Some(Box::new(script))));
    let lost = api.create(&PostParams::default(), &object("a", "red")).await.unwrap_err();
    assert!(matches!(lost, kube::Error::Service(_)), "{lost}");
    assert!(api.get_opt("a").await.unwrap().is_some());
    let busy = api.create(&PostParams::default(), &object("b", "red")).await.unwrap_err();
    assert_eq!(reason(busy), (503, "ServiceUnavailable".into()));
}

#[tokio::test]
async fn deleting_a_namespace_empties_it_when_garbage_is_collected() {
    let world = world();
    let api = widgets(&world);
    api.create(&PostParams::default(), &object("a", "red")).await.unwrap();
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    namespaces.delete("simcheck", &DeleteParams::default()).await.unwrap();
    assert!(namespaces.get_opt("simcheck").await.unwrap().is_none());
    let left = world.service.with(|server, now| {
        server.handle(now, &Request::list(WIDGET, "")).body["items"].as_array().unwrap().len()
    });
    assert_eq!(left, 0);
}

#[tokio::test]
async fn what_is_neither_json_nor_yaml_is_refused_with_a_reason() {
    let world = world();
    let ask = |method: &str, kind: &str, accept: &str, body: &'static [u8]| {
        let request = http::Request::builder()
            .method(method)
            .uri("/api/v1/namespaces/simcheck/secrets")
            .header("content-type", kind)
            .header("accept", accept)
            .body(kube::client::Body::from(body.to_vec()))
            .unwrap();
        world.client.send(request)
    };
    let json = "application/json";
    let protobuf = "application/vnd.kubernetes.protobuf";
    assert_eq!(ask("GET", json, protobuf, b"").await.unwrap().status(), 406);
    assert_eq!(
        ask("GET", json, "application/vnd.kubernetes.protobuf,*/*", b"").await.unwrap().status(),
        200
    );
    assert_eq!(ask("POST", protobuf, json, b"k8s").await.unwrap().status(), 415);
    let yaml = "application/yaml";
    assert_eq!(ask("POST", yaml, json, b"a: [").await.unwrap().status(), 400);
    assert_eq!(ask("POST", yaml, json, b"metadata: {name: y}").await.unwrap().status(), 201);
    assert_eq!(ask("POST", json, json, b"{").await.unwrap().status(), 400);
    assert_eq!(ask("TRACE", json, json, b"").await.unwrap().status(), 405);
}
