use super::*;
use crate::facts::AcmeState;

fn strings(pairs: &[(&str, &str)]) -> Strings {
    pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

fn arcs(values: &[&str]) -> Vec<Arc<str>> {
    values.iter().map(|value| (*value).into()).collect()
}

/// Labels, names and zones of a selector.
type Parts<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str], &'a [&'a str]);

fn solver(method: Method, selector: Option<Parts<'_>>) -> SolverFacts {
    let selector = selector.map(|(labels, names, zones)| Selector {
        labels: strings(labels),
        names: arcs(names),
        zones: arcs(zones),
    });
    SolverFacts { selector, method, json: "{}".into(), secrets: Vec::new() }
}

fn authorization(name: &str, offers: &[&str]) -> Authorization {
    let (wildcard, identifier) = match name.strip_prefix("*.") {
        Some(rest) => (true, rest),
        None => (false, name),
    };
    let offer =
        |kind: &&str| Offer { kind: (*kind).into(), url: (*kind).into(), token: "t".into() };
    Authorization {
        url: "u".into(),
        identifier: identifier.into(),
        wildcard,
        initial: AcmeState::Pending,
        offers: offers.iter().map(offer).collect(),
    }
}

const ALL: &[&str] = &["tls-alpn-01", "http-01", "dns-01"];

/// Which of the solvers is chosen, counted from 0.
fn chosen(solvers: &[SolverFacts], name: &str, labels: &[(&str, &str)]) -> Option<usize> {
    let authorization = authorization(name, ALL);
    let choice = choose(solvers, &authorization, &strings(labels))?;
    solvers.iter().position(|solver| std::ptr::eq(solver, choice.solver))
}

#[test]
fn the_best_match_wins_and_ties_go_to_the_first() {
    use Method::{Dns01, Http01, TlsAlpn01};
    let none: Parts<'_> = (&[], &[], &[]);
    let zone = |zone: &'static [&'static str]| solver(Dns01, Some((&[], &[], zone)));
    let named = |name: &'static [&'static str]| solver(Http01, Some((&[], name, &[])));
    let labelled = |l: &'static [(&'static str, &'static str)]| solver(Dns01, Some((l, &[], &[])));
    type Row = (&'static str, Vec<SolverFacts>, &'static str, Option<usize>);
    let table: Vec<Row> = vec![
        ("the first default", vec![solver(Http01, None), solver(Dns01, None)], "a.test", Some(0)),
        ("a handshake", vec![solver(TlsAlpn01, None), solver(Http01, None)], "a.test", Some(0)),
        (
            "an empty selector before a default",
            vec![solver(Http01, None), solver(Dns01, Some(none))],
            "a.test",
            Some(1),
        ),
        ("a name before a zone", vec![zone(&["a.test"]), named(&["a.test"])], "a.test", Some(1)),
        (
            "the longest zone",
            vec![zone(&["test"]), zone(&["b.test", "x.test"]), zone(&["test"])],
            "a.b.test",
            Some(1),
        ),
        ("zones end at labels", vec![zone(&["b.test"])], "ab.test", None),
        ("a zone holds its wildcard", vec![zone(&["b.test"])], "*.b.test", Some(0)),
        ("a wildcard as a zone", vec![zone(&["*.b.test"])], "*.b.test", Some(0)),
        ("a name is compared whole", vec![named(&["b.test"])], "*.b.test", None),
        (
            "more labels",
            vec![
                labelled(&[("team", "a")]),
                labelled(&[("team", "a"), ("solve", "dns")]),
                labelled(&[("team", "b"), ("solve", "dns"), ("more", "x")]),
            ],
            "a.test",
            Some(1),
        ),
        ("labels must match", vec![labelled(&[("team", "b")])], "a.test", None),
        (
            "a tie",
            vec![labelled(&[("team", "a")]), labelled(&[("solve", "dns")])],
            "a.test",
            Some(0),
        ),
        (
            "a zone before labels",
            vec![labelled(&[("team", "a"), ("solve", "dns")]), zone(&["test"])],
            "a.test",
            Some(1),
        ),
        (
            "all parts must match",
            vec![solver(Dns01, Some((&[("team", "a")], &["a.test"], &["other"])))],
            "a.test",
            None,
        ),
        ("nothing", vec![], "a.test", None),
    ];
    for (why, solvers, name, wanted) in table {
        let labels = [("team", "a"), ("solve", "dns")];
        assert_eq!(chosen(&solvers, name, &labels), wanted, "{why}");
    }
}

#[test]
fn a_solver_whose_challenge_is_not_on_offer_does_not_count() {
    let solvers = [solver(Method::Http01, None), solver(Method::Dns01, None)];
    let wildcard = authorization("*.a.test", &["dns-account-01", "dns-01"]);
    let choice = choose(&solvers, &wildcard, &Strings::new()).expect("DNS-01 is on offer");
    assert_eq!(choice.solver.method, Method::Dns01);
    assert_eq!(&*choice.offer.url, "dns-01");
    assert_eq!(choose(&solvers[..1], &wildcard, &Strings::new()), None);
}

#[test]
fn a_wildcard_needs_a_dns_solver_that_fits() {
    let http = solver(Method::Http01, None);
    let dns = solver(Method::Dns01, Some((&[], &[], &["b.test"])));
    let none = Strings::new();
    assert!(!can_prove_wildcard(std::slice::from_ref(&http), "*.b.test", &none));
    let both = [http, dns];
    assert!(can_prove_wildcard(&both, "*.b.test", &none));
    assert!(!can_prove_wildcard(&both, "*.c.test", &none));
}

fn with_json(json: &str) -> SolverFacts {
    SolverFacts { json: json.into(), ..solver(Method::Http01, None) }
}

#[test]
fn an_annotation_replaces_how_the_ingress_is_found() {
    let solver = with_json(r#"{"http01":{"ingress":{"class":"old","serviceType":"ClusterIP"}}}"#);
    let name = strings(&[(names::HTTP01_OVERRIDE_INGRESS_NAME, "shop")]);
    let made = overridden(&solver, &name, "ns").expect("one annotation is well");
    assert_eq!(made, json!({"http01": {"ingress": {"name": "shop", "serviceType": "ClusterIP"}}}));
    let both = strings(&[
        (names::HTTP01_OVERRIDE_INGRESS_NAME, "shop"),
        (names::HTTP01_OVERRIDE_INGRESS_CLASS, "x"),
    ]);
    assert_eq!(overridden(&solver, &both, "ns"), Err(OverrideError::SeveralIngresses));
    let dns = with_json(r#"{"dns01":{}}"#);
    assert_eq!(overridden(&dns, &both, "ns"), Ok(json!({"dns01": {}})));
}

#[test]
fn annotations_add_a_parent_once() {
    let text = r#"{"http01":{"gatewayHTTPRoute":{"parentRefs":[{"kind":"Gateway","name":"g"}]}}}"#;
    let solver = with_json(text);
    let parent = strings(&[
        (names::HTTP01_PARENT_REF_NAME, "g"),
        (names::HTTP01_PARENT_REF_KIND, "Gateway"),
    ]);
    let made = overridden(&solver, &parent, "ns").expect("it names a parent");
    let parents = &made["http01"]["gatewayHTTPRoute"]["parentRefs"];
    assert_eq!(parents.as_array().map(Vec::len), Some(1));
    assert_eq!(parents[0]["namespace"], "ns");
    let half = strings(&[(names::HTTP01_PARENT_REF_NAME, "g")]);
    assert_eq!(overridden(&solver, &half, "ns"), Err(OverrideError::HalfAParent));
    let bare = with_json(r#"{"http01":{"gatewayHTTPRoute":{}}}"#);
    assert_eq!(overridden(&bare, &Strings::new(), "ns"), Err(OverrideError::NoParent));
}

#[test]
fn before_the_ca_is_asked_a_wildcard_foresees_dns_and_a_plain_name_what_fits_best() {
    let solvers =
        [solver(Method::Http01, None), solver(Method::Dns01, Some((&[], &[], &["b.test"])))];
    let none = Strings::new();
    let method = |domain: &str| foresee(&solvers, domain, &none).map(|solver| solver.method);
    assert_eq!(method("a.test"), Some(Method::Http01));
    assert_eq!(method("www.b.test"), Some(Method::Dns01), "its zone is named");
    assert_eq!(method("*.b.test"), Some(Method::Dns01));
    assert_eq!(method("*.a.test"), None, "HTTP-01 proves no wildcard");
}

#[test]
fn a_solver_that_waits_instead_of_looking_says_so() {
    let waits = |json: &str| waits_instead_of_looking(&with_json(json));
    assert!(waits(r#"{"waitInsteadOfSelfCheck":"90s","http01":{"ingress":{}}}"#));
    assert!(!waits(r#"{"http01":{"ingress":{}}}"#) && !waits("no JSON"));
}
