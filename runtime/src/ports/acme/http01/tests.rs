use super::*;
use everleaf_nodes::{Base, Do};

fn effect() -> Effect {
    Effect {
        subject: everleaf_engine::ObjectKey::new(Kind::Challenge, "shop", "web-1-2-3"),
        base: Base { uid: "u1".into(), rv: 7 },
        action: Do::Say,
        events: Vec::new(),
    }
}

fn way<'a>(effect: &'a Effect, host: &'a str) -> Way<'a> {
    let labels = labels(host, "tok", &BTreeMap::new());
    let (name, service) = ("cm-acme-http-solver-x".to_owned(), "cm-acme-http-solver-s".to_owned());
    Way { effect, name, service, host, token: "tok", labels, exact: true }
}

#[test]
fn labels_are_cert_managers_so_that_policies_that_select_by_them_still_do() {
    // RFC 1950's own algorithm; the value is that of zlib.
    assert_eq!(adler32("Wikipedia"), 0x11E6_0398);
    let extra = BTreeMap::from([
        ("team".to_owned(), "x".to_owned()),
        (names::HTTP_TOKEN.to_owned(), "forged".to_owned()),
    ]);
    let labels = labels("a.test", "tok", &extra);
    assert_eq!(labels["team"], "x");
    assert_eq!(labels[names::HTTP_TOKEN], adler32("tok").to_string());
    assert_eq!(labels[names::HTTP01_SOLVER], "true");
}

#[test]
fn an_ingress_that_was_edited_in_place_is_as_before_when_the_path_is_taken_out() {
    let effect = effect();
    let (way, other) = (way(&effect, "a.test"), way(&effect, "new.test"));
    let before = json!({ "spec": { "rules": [
        { "host": "a.test", "http": { "paths": [{ "path": "/", "pathType": "Prefix" }] } },
        { "host": "bare.test" },
    ]}});
    let mut ingress = before.clone();
    assert!(way.enter(&mut ingress));
    assert!(!way.enter(&mut ingress), "once is enough");
    assert_eq!(ingress["spec"]["rules"][0]["http"]["paths"][0]["pathType"], "Exact");
    assert!(other.enter(&mut ingress), "a host without a rule gets one");
    assert_eq!(ingress["spec"]["rules"][2]["host"], "new.test");
    // Both have the same path and Service here: one removal takes both away.
    assert!(other.leave(&mut ingress));
    assert!(!way.leave(&mut ingress));
    assert_eq!(ingress, before);
}

#[test]
fn an_address_has_a_route_without_a_host_for_rules_have_no_form_for_one() {
    let effect = effect();
    let way = way(&effect, "192.0.2.1");
    assert!(way.ingress_rule().get("host").is_none());
    assert!(way.route(&Http01GatewayHttpRoute::default())["spec"].get("hostnames").is_none());
}

#[test]
fn a_template_of_the_users_counts() {
    let effect = effect();
    let way = way(&effect, "a.test");
    let mut config = Http01Ingress { class: Some("nginx".into()), ..Http01Ingress::default() };
    let annotations = &way.ingress(&config)["metadata"]["annotations"];
    assert_eq!(annotations[INGRESS_CLASS], "nginx");
    assert_eq!(annotations[ALLOW_FROM], "0.0.0.0/0,::/0");
    let own = BTreeMap::from([("x.test/whitelist-source-range".to_owned(), "none".to_owned())]);
    let metadata = Some(TemplateMeta { annotations: own, labels: BTreeMap::new() });
    config.ingress_template = Some(everleaf_api::types::http01::Http01IngressTemplate { metadata });
    assert!(way.ingress(&config)["metadata"]["annotations"].get(ALLOW_FROM).is_none());
}
