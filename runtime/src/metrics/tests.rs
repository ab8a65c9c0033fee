use std::collections::{BTreeMap, BTreeSet};

use super::*;

fn certificate(name: &str, ready: Ready) -> CertificateSample {
    CertificateSample {
        name: name.into(),
        namespace: "shop".into(),
        issuer_name: "ca".into(),
        issuer_kind: "".into(),
        issuer_group: "cert-manager.io".into(),
        ready,
        not_before: Some(1_700_000_000),
        not_after: Some(1_707_776_000),
        renewal: None,
    }
}

fn issuer(name: &str, namespace: Option<&str>) -> IssuerSample {
    IssuerSample { name: name.into(), namespace: namespace.map(Into::into), ready: Ready::False }
}

fn now() -> Timestamp {
    Timestamp::from_second(1_700_000_123).unwrap()
}

/// What a scrape shows of these objects, after `record` recorded something.
fn scrape(snapshot: Snapshot, record: impl FnOnce()) -> String {
    let (_sender, samples) = watch::channel(Arc::new(snapshot));
    let (recorder, metrics) = Metrics::build(samples).unwrap();
    metrics::with_local_recorder(&recorder, || {
        describe();
        record();
    });
    whole(&metrics, now())
}

/// The lines that hold `part`, without those of help and type.
fn lines<'a>(text: &'a str, part: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.contains(part) && !line.starts_with('#')).collect()
}

#[test]
fn a_certificate_has_cert_managers_series() {
    let snapshot =
        Snapshot { certificates: vec![certificate("web", Ready::True)], ..Snapshot::default() };
    let text = scrape(snapshot, || ());
    let labels = "issuer_group=\"cert-manager.io\",issuer_kind=\"\",issuer_name=\"ca\",\
                  name=\"web\",namespace=\"shop\"";
    let name = "certmanager_certificate_ready_status";
    let expected = [("True", 1), ("False", 0), ("Unknown", 0)]
        .map(|(status, value)| format!("{name}{{condition=\"{status}\",{labels}}} {value}"));
    assert_eq!(lines(&text, name), expected);
    for (family, value) in [
        ("not_before", 1_700_000_000i64),
        ("not_after", 1_707_776_000),
        ("expiration", 1_707_776_000),
        ("renewal", 0),
    ] {
        let name = format!("certmanager_certificate_{family}_timestamp_seconds");
        assert_eq!(lines(&text, &name), [format!("{name}{{{labels}}} {value}")]);
    }
}

#[test]
fn issuers_and_cluster_issuers_are_families_of_their_own() {
    let issuers = vec![issuer("a", Some("shop")), issuer("b", None)];
    let text = scrape(Snapshot { issuers, ..Snapshot::default() }, || ());
    let expected = ["True", "False", "Unknown"].map(|status| {
        let value = u8::from(status == "False");
        let labels = format!("condition=\"{status}\",name=\"a\",namespace=\"shop\"");
        format!("certmanager_issuer_ready_status{{{labels}}} {value}")
    });
    assert_eq!(lines(&text, "certmanager_issuer"), expected);
    let cluster = lines(&text, "certmanager_clusterissuer_ready_status{");
    assert_eq!(cluster.len(), 3);
    assert!(cluster.iter().all(|line| line.contains("name=\"b\"}")), "{cluster:?}");
}

#[test]
fn series_of_an_object_end_with_it() {
    let first =
        Snapshot { certificates: vec![certificate("web", Ready::True)], ..Snapshot::default() };
    let (sender, samples) = watch::channel(Arc::new(first));
    let (_recorder, metrics) = Metrics::build(samples).unwrap();
    assert!(whole(&metrics, now()).contains("web"));
    sender.send(Arc::default()).unwrap();
    let text = whole(&metrics, now());
    assert!(!text.contains("web") && !text.contains("certificate_ready_status"), "{text}");
    drop(sender);
    assert!(!whole(&metrics, now()).is_empty(), "also when the operator loop is gone");
}

#[test]
fn process_wide_metrics_carry_their_labels_and_types() {
    let text = scrape(Snapshot::default(), || {
        sync_call("orders");
        sync_error("orders");
        effect("sign", "done", Duration::from_millis(7));
        effect("sign", "done", Duration::from_secs(900));
        queue_length("ready", 4);
        unexplained_moves(1);
        event_dropped();
        api_request("patch", "secrets", Some(409));
        api_request("get", "secrets", None);
        leading(true);
    });
    for line in [
        "# TYPE certmanager_controller_sync_call_count counter",
        "certmanager_controller_sync_call_count{controller=\"orders\"} 1",
        "certmanager_controller_sync_error_count{controller=\"orders\"} 1",
        "everleaf_effects_total{step=\"sign\",outcome=\"done\"} 2",
        "# TYPE everleaf_effect_duration_seconds histogram",
        "everleaf_effect_duration_seconds_bucket{step=\"sign\",le=\"0.005\"} 0",
        "everleaf_effect_duration_seconds_bucket{step=\"sign\",le=\"0.01\"} 1",
        "everleaf_effect_duration_seconds_bucket{step=\"sign\",le=\"+Inf\"} 2",
        "everleaf_engine_queue_length{queue=\"ready\"} 4",
        "everleaf_unexplained_moves_total 1",
        "everleaf_events_dropped_total 1",
        "everleaf_api_requests_total{verb=\"patch\",resource=\"secrets\",code=\"409\"} 1",
        "everleaf_api_requests_total{verb=\"get\",resource=\"secrets\",code=\"none\"} 1",
        "everleaf_leader 1",
        "# TYPE certmanager_clock_time_seconds counter",
        "certmanager_clock_time_seconds 1700000123",
        "# TYPE certmanager_clock_time_seconds_gauge gauge",
        "certmanager_clock_time_seconds_gauge 1700000123",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    assert!(text.contains("# HELP everleaf_leader 1 while this process leads."), "{text}");
}

#[test]
fn odd_labels_of_process_wide_metrics_become_words() {
    let text = scrape(Snapshot::default(), || sync_call("a\\\"\nb"));
    assert_eq!(
        lines(&text, "sync_call"),
        ["certmanager_controller_sync_call_count{controller=\"a___b\"} 1"]
    );
}

#[test]
fn names_with_quotes_and_newlines_stay_on_one_line() {
    let odd = certificate("a\"b\\c\nd", Ready::Unknown);
    let text = scrape(Snapshot { certificates: vec![odd], ..Snapshot::default() }, || ());
    let found = lines(&text, "certmanager_certificate_");
    assert_eq!(found.len(), 7);
    assert!(found.iter().all(|line| line.contains(r#"name="a\"b\\c\nd","#)), "{found:?}");
}

#[test]
fn ten_thousand_certificates_come_in_pieces_each_family_once_and_in_one_run() {
    let name = |n: u32| certificate(&format!("cert-{n:05}"), Ready::True);
    let certificates: Vec<_> = (0..10_000).map(name).collect();
    let issuers = vec![issuer("a", Some("shop")), issuer("b", None)];
    let (_sender, samples) =
        watch::channel(Arc::new(Snapshot { certificates, issuers, ..Snapshot::default() }));
    let (_recorder, metrics) = Metrics::build(samples).unwrap();
    let chunks: Vec<_> = metrics.render(now()).collect();
    assert!(chunks.iter().all(|chunk| chunk.len() < 512 * 1024 && chunk.ends_with(b"\n")));

    let text = chunks.concat();
    let text = std::str::from_utf8(&text).unwrap();
    let (mut count, mut closed, mut current) = (BTreeMap::new(), BTreeSet::new(), "");
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let family = line.split(['{', ' ']).next().unwrap();
        if family != current {
            assert!(closed.insert(family), "{family} is in two places");
            current = family;
        }
        *count.entry(family).or_insert(0) += 1;
    }
    assert_eq!(count["certmanager_certificate_ready_status"], 30_000);
    assert_eq!(count["certmanager_certificate_renewal_timestamp_seconds"], 10_000);
    assert_eq!(count["certmanager_clusterissuer_ready_status"], 3);
    let helps: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
    assert_eq!(helps.len(), helps.iter().collect::<BTreeSet<_>>().len());
}

#[test]
fn a_condition_maps_to_its_status_and_anything_else_to_unknown() {
    use everleaf_api::ConditionStatus;
    assert_eq!(Ready::from(Some(&ConditionStatus::True)), Ready::True);
    assert_eq!(Ready::from(Some(&ConditionStatus::False)), Ready::False);
    assert_eq!(Ready::from(Some(&ConditionStatus::Other("Perhaps".into()))), Ready::Unknown);
    assert_eq!(Ready::from(None), Ready::Unknown);
}

#[test]
fn what_is_left_of_a_cas_limits_is_told_with_the_next_slot() {
    let budget = BudgetSample {
        issuer: "le".into(),
        kind: "ClusterIssuer",
        namespace: "".into(),
        limit: "registeredDomain",
        subject: "example.com".into(),
        left: 0,
        next: 1_700_000_000,
    };
    let snapshot =
        Snapshot { budgets: vec![budget], waiting_orders: Some(3), ..Snapshot::default() };
    let text = scrape(snapshot, || ());
    let labels = "{issuer_kind=\"ClusterIssuer\",issuer_name=\"le\",\
                  limit=\"registeredDomain\",namespace=\"\",subject=\"example.com\"}";
    for line in [
        format!("everleaf_acme_budget_remaining{labels} 0"),
        format!("everleaf_acme_budget_next_slot_timestamp_seconds{labels} 1700000000"),
        "everleaf_acme_orders_waiting_for_budget 3".to_owned(),
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}
