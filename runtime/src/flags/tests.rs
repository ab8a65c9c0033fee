use std::collections::BTreeSet;

use clap::{CommandFactory, Parser};
use everleaf_api::gates::Gate;

use super::*;

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    flags: OperatorFlags,
}

fn parse(args: &[&str]) -> Result<OperatorFlags, clap::Error> {
    let args = std::iter::once("operator").chain(args.iter().copied());
    Program::try_parse_from(args).map(|program| program.flags)
}

fn options(args: &[&str]) -> Options {
    parse(args).unwrap().options().unwrap()
}

fn refused(args: &[&str]) -> FlagError {
    parse(args).unwrap().options().unwrap_err()
}

/// The message of an error that ends the process with exit code 2.
fn usage_error(args: &[&str]) -> String {
    let error = parse(args).unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error}");
    error.to_string()
}

const S: fn(u64) -> Duration = Duration::from_secs;

#[test]
fn the_definition_is_sound() {
    Program::command().debug_assert();
}

#[test]
fn without_flags_it_does_as_cert_manager() {
    let options = options(&[]);
    let election = options.election.clone().unwrap();
    assert_eq!(election.namespace, "kube-system");
    let timings = (election.lease_duration, election.renew_deadline, election.retry_period);
    assert_eq!(timings, (S(60), S(40), S(15)));
    assert_eq!(options.cluster_resource_namespace, "kube-system");
    assert_eq!((options.namespace, options.request_rate, options.kubeconfig), (None, None, None));
    assert_eq!(options.controllers.iter().count(), 18);
    assert_eq!(options.copied_annotations, CopiedAnnotations::default());
    assert_eq!(options.auto_certificate_annotations, ["kubernetes.io/tls-acme"]);
    assert!(options.extra_certificate_annotations.is_empty());
    assert_eq!(options.default_issuer_kind, "Issuer");
    assert_eq!(options.default_issuer_group, "cert-manager.io");
    assert!(!options.certificate_owner_ref && options.default_issuer_name.is_empty());
    let limits =
        PemLimits { certificate: 36500, private_key: 13000, chain: 95000, bundle: 330_000 };
    assert_eq!(options.pem_limits, limits);
    assert_eq!((options.minimum_backoff, options.maximum_backoff), (HOUR, HOUR * 32));
    assert_eq!(options.metrics_address.to_string(), "0.0.0.0:9402");
    assert_eq!(options.healthz_address.to_string(), "0.0.0.0:9403");
    assert_eq!((options.verbosity, options.log_format), (0, LogFormat::Text));
    assert_eq!(options.concurrent_workers, 5);
    assert!(parse(&[]).unwrap().ignored().is_empty());
}

#[test]
fn a_charts_command_line_starts_and_what_does_nothing_is_named() {
    let flags = parse(&[
        "--v=2",
        "--cluster-resource-namespace=cert-manager",
        "--leader-election-namespace=kube-system",
        "--acme-http01-solver-image=quay.io/jetstack/cert-manager-acmesolver:v1.20.0",
        "--max-concurrent-challenges=60",
        "--enable-gateway-api",
        "--dns01-recursive-nameservers-only=true",
        "--logtostderr=false",
        "--feature-gates=AdditionalCertificateOutputFormats=true",
    ])
    .unwrap();
    let names: Vec<_> = flags.ignored().into_iter().map(|flag| flag.name).collect();
    let expected = ["enable-gateway-api", "logtostderr"];
    assert_eq!(names, expected);
    assert!(flags.ignored()[0].to_string().contains("--enable-gateway-api has no effect: "));
    let options = flags.options().unwrap();
    assert_eq!((options.verbosity, &*options.cluster_resource_namespace), (2, "cert-manager"));
    assert_eq!(options.acme_limits.concurrent_challenges, 60);
    assert!(options.acme.recursive_only);
    let image = options.acme.solver_pods.map(|pods| pods.image);
    assert!(image.is_some_and(|image| image.contains("acmesolver")));
}

#[test]
fn every_controller_flag_of_cert_manager_is_known() {
    let command = Program::command();
    let known: BTreeSet<_> = command.get_arguments().filter_map(|arg| arg.get_long()).collect();
    let acme = [
        "acme-check-caa",
        "acme-check-reachability",
        "acme-renewal-info",
        "acme-http01-responder-ip",
        "acme-http01-responder-port",
        "acme-http01-responder-service",
        "acme-tls-alpn01-responder-port",
    ];
    let own = ["record", "record-max-size", "help"];
    let logging = ["logging-format", "log-flush-frequency", "v", "vmodule"];
    let klog = |name: &str| name.contains('_') || matches!(name, "logtostderr" | "alsologtostderr");
    let hidden = ["internal-healthz-listen-address", "internal-healthz-leader-election-timeout"];
    let controller = known.iter().filter(|name| {
        let ours = own.contains(name) || acme.contains(name);
        !ours && !logging.contains(name) && !klog(name) && **name != "stderrthreshold"
    });
    let controller: Vec<_> = controller.collect();
    assert_eq!(controller.len(), 59, "{controller:?}");
    assert!(hidden.iter().chain(&logging).all(|name| known.contains(name)));
}

#[test]
fn an_unknown_flag_is_an_error() {
    assert!(usage_error(&["--no-such-flag=1"]).contains("--no-such-flag"));
    usage_error(&["positional"]);
}

#[test]
fn switches_are_written_as_in_go() {
    assert!(options(&["--leader-elect"]).election.is_some());
    assert!(options(&["--leader-elect=F"]).election.is_none());
    assert!(options(&["--enable-certificate-owner-ref=1"]).certificate_owner_ref);
    usage_error(&["--leader-elect=maybe"]);
    // A Go program takes `false` for an argument here, and the switch for true.
    usage_error(&["--leader-elect", "false"]);
    usage_error(&["--enable-profiling=maybe"]);
}

#[test]
fn the_last_of_a_repeated_flag_wins_and_lists_add_up() {
    assert_eq!(options(&["--namespace=a", "--namespace", "b"]).namespace.as_deref(), Some("b"));
    let lists = options(&[
        "--extra-certificate-annotations=a,b",
        "--extra-certificate-annotations=c",
        "--auto-certificate-annotations=",
    ]);
    assert_eq!(lists.extra_certificate_annotations, ["a", "b", "c"]);
    assert!(lists.auto_certificate_annotations.is_empty());
    assert_eq!(options(&["-v", "2", "-v=4"]).verbosity, 4);
}

#[test]
fn controllers_are_added_and_left_out_by_name() {
    let on = |args: &[&str]| options(args).controllers;
    let approver = Controller::RequestsApprover;
    assert!(on(&[]).has(approver));
    assert!(!on(&["--controllers=*,-certificaterequests-approver"]).has(approver));
    // Wherever it stands: cert-manager takes out last.
    assert!(!on(&["--controllers", "-certificaterequests-approver,*"]).has(approver));
    assert_eq!(options(&[]).runs, Switches::default());
    let few = on(&["--controllers=issuers, gateway-shim"]);
    assert_eq!(few.iter().collect::<Vec<_>>(), [Controller::Issuers, Controller::GatewayShim]);
    assert!(
        options(&["--namespace=team"]).runs
            == Switches { cluster_issuers: false, ..<_>::default() }
    );
    let own = on(&["--namespace=team", "--controllers=*,certificatesigningrequests-issuer-ca"]);
    assert!(!own.has(Controller::ClusterIssuers) && !own.has(Controller::SigningRequestsCa));
    assert_eq!(own.iter().count(), 17);
}

#[test]
fn a_controller_that_is_off_turns_off_its_machine_or_its_signatures() {
    let runs = |list: &str| options(&[list]).runs;
    let all = Switches::default();
    assert_eq!(runs("--controllers=*,-ingress-shim"), Switches { ingress_shim: false, ..all });
    let no_ca = Switches { ca: false, ..all };
    assert_eq!(runs("--controllers=*,-certificaterequests-issuer-ca"), no_ca);
    let only = runs("--controllers=issuers");
    assert!(only.issuers && !only.certificates && !only.ca && !only.ingress_shim);
    // Metrics are no part of the machine of Certificates.
    assert_eq!(runs("--controllers=*,-certificates-metrics"), all);
}

#[test]
fn a_part_of_what_is_one_machine_cannot_be_turned_off_alone() {
    let error = refused(&["--controllers=*,-certificates-readiness"]).to_string();
    assert!(error.contains("certificates-readiness is off"), "{error}");
    let group = "trigger issuing key-manager request-manager readiness revision-manager";
    let off: String = group.split(' ').map(|name| format!(",-certificates-{name}")).collect();
    assert!(!options(&[&format!("--controllers=*{off}")]).runs.certificates);
}

#[test]
fn what_was_asked_for_by_name_and_is_not_built_is_warned_of() {
    let warned = |args: &[&str]| {
        let ignored = parse(args).unwrap().ignored();
        ignored.into_iter().map(|flag| flag.name.into_owned()).collect::<Vec<_>>()
    };
    assert!(warned(&["--controllers=*,-orders"]).is_empty());
    assert_eq!(warned(&["--controllers=*,gateway-shim"]), ["controllers=gateway-shim"]);
    let honoured = "--feature-gates=OtherNames=false,UseCertificateRequestBasicConstraints=true";
    assert!(warned(&[honoured]).is_empty());
    assert!(warned(&["--feature-gates=ServerSideApply=false,OtherNames=true"]).is_empty());
    let gates = ["--feature-gates=ServerSideApply=true,SecretsFilteredCaching=false"];
    let expected =
        ["feature-gates=SecretsFilteredCaching=false", "feature-gates=ServerSideApply=true"];
    assert_eq!(warned(&gates), expected);
}

#[test]
fn what_acme_is_told_is_read_as_cert_manager_writes_it() {
    assert_eq!(options(&[]).acme, AcmeOptions::default());
    let defaults = options(&[]).acme_limits;
    assert_eq!((defaults.issuer_ambient, defaults.cluster_issuer_ambient), (false, true));
    assert_eq!((defaults.concurrent_challenges, defaults.check_retry), (60, None));
    assert!(defaults.renewal_info);
    assert!(!options(&["--acme-renewal-info=false"]).acme_limits.renewal_info);
    let told = options(&[
        "--dns01-recursive-nameservers=1.1.1.1:53,https://dns.example.test/query",
        "--dns01-recursive-nameservers=",
        "--dns01-check-retry-period=10s",
        "--acme-http01-solver-nameservers=[2001:db8::1]:53",
        "--acme-http01-solver-extra-labels=team=web,empty=",
        "--acme-http01-responder-ip=10.0.0.7,fd00::7",
        "--feature-gates=ACMEHTTP01IngressPathTypeExact=false",
        "--leader-election-namespace=own",
    ]);
    let servers: Vec<_> = told.acme.dns01_nameservers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["1.1.1.1:53", "https://dns.example.test/query"]);
    assert_eq!(told.acme.http01_nameservers[0].to_string(), "[2001:db8::1]:53");
    assert_eq!((told.acme.responder_ips.len(), told.acme.responder_port), (2, 8089));
    assert_eq!(told.acme.extra_labels["team"], "web");
    assert_eq!((told.acme_limits.check_retry, &*told.own_namespace), (Some(S(10)), "own"));
    assert!(!told.acme.exact_path);
}

#[test]
fn where_challenges_are_answered_and_how_pods_are_made_is_told_by_flags() {
    let told = options(&[
        "--acme-http01-responder-service=everleaf/everleaf-acme",
        "--acme-tls-alpn01-responder-port=8443",
        "--acme-http01-solver-image=everleaf:1",
        "--acme-http01-solver-resource-limits-cpu=",
        "--acme-http01-solver-run-as-non-root=false",
    ])
    .acme;
    let service = told.responder_service.unwrap();
    assert_eq!((&*service.0, &*service.1), ("everleaf", "everleaf-acme"));
    assert_eq!(told.tls_alpn_port, Some(8443));
    let pods = told.solver_pods.unwrap();
    assert_eq!((&*pods.image, pods.non_root, pods.runtime_class), ("everleaf:1", false, None));
    assert_eq!((&*pods.requests["cpu"], pods.limits.get("cpu")), ("10m", None));
    usage_error(&["--acme-http01-responder-service=everleaf-acme"]);
    usage_error(&["--acme-http01-responder-service=a/b/c"]);
    usage_error(&["--acme-tls-alpn01-responder-port=65536"]);
    usage_error(&["--acme-http01-solver-resource-limits-cpu=-1"]);
}

#[test]
fn what_acme_is_told_in_another_form_is_an_error() {
    usage_error(&["--max-concurrent-challenges=0"]);
    usage_error(&["--dns01-recursive-nameservers=1.1.1.1:http"]);
    usage_error(&["--acme-http01-solver-nameservers=https://dns.example.test/query"]);
    usage_error(&["--acme-http01-solver-extra-labels=alone"]);
    usage_error(&["--acme-http01-responder-ip=pod.example.test"]);
    usage_error(&["--acme-http01-responder-port=0"]);
}

#[test]
fn metrics_over_tls_take_both_files_and_a_certificate_of_ones_own() {
    let files = ["--metrics-tls-cert-file=/c", "--metrics-tls-private-key-file=/k"];
    let tls = options(&files).metrics_tls.unwrap();
    assert_eq!((tls.certificate, tls.key, tls.oldest), ("/c".into(), "/k".into(), TlsVersion::V12));
    let newest = [files[0], files[1], "--metrics-tls-min-version=VersionTLS13"];
    assert_eq!(options(&newest).metrics_tls.unwrap().oldest, TlsVersion::V13);
    assert_eq!(options(&["--metrics-tls-cert-file="]).metrics_tls, None);
    assert_eq!(refused(&files[..1]), FlagError::HalfOfTls("metrics-tls-private-key-file"));
    assert_eq!(refused(&files[1..]), FlagError::HalfOfTls("metrics-tls-cert-file"));
    usage_error(&["--metrics-tls-min-version=TLS1.3"]);
    for flag in ["ca-secret-namespace", "ca-secret-name", "dns-names", "leaf-duration"] {
        let error = refused(&[&format!("--metrics-dynamic-serving-{flag}=x")]);
        assert!(matches!(error, FlagError::DynamicServing(_)), "{error}");
    }
}

#[test]
fn what_recording_may_take_is_bounded() {
    assert_eq!(options(&[]).record_total, 1 << 30);
    assert_eq!(options(&["--record-max-size=256Mi"]).record_total, 256 << 20);
    assert_eq!(options(&["--record-max-size=134217728"]).record_total, 128 << 20);
    for bad in ["1Mi", "0", "-1", "1G", "99999999999Ti", "Mi"] {
        usage_error(&[&format!("--record-max-size={bad}")]);
    }
}

#[test]
fn an_unknown_controller_is_an_error_that_names_the_known_ones() {
    for list in ["--controllers=*,-approver", "--controllers=listenerset", "--controllers=-*"] {
        let message = usage_error(&[list]);
        assert!(message.contains("certificaterequests-approver"), "{message}");
    }
    assert_eq!(Controller::ALL.len(), 24);
}

#[test]
fn gates_add_up_and_an_unknown_one_is_an_error() {
    let gates = options(&["--feature-gates=AllAlpha=true", "--feature-gates=ACMEUseARI=false"]);
    assert!(gates.feature_gates.enabled(Gate::ListenerSets));
    assert!(!gates.feature_gates.enabled(Gate::AcmeUseAri));
    assert!(usage_error(&["--feature-gates=NoSuchGate=true"]).contains("ListenerSets"));
    usage_error(&["--feature-gates=ACMEUseARI"]);
}

#[test]
fn a_request_rate_is_set_only_if_asked_for() {
    let rate = |args: &[&str]| options(args).request_rate.map(|rate| (rate.per_second, rate.burst));
    assert_eq!(rate(&["--kube-api-qps", "-1", "--kube-api-burst=-1"]), None);
    assert_eq!(rate(&["--kube-api-qps=20"]), Some((20.0, 50)));
    assert_eq!(rate(&["--kube-api-qps=80.5"]), Some((80.5, 81)));
    assert_eq!(rate(&["--kube-api-qps=80", "--kube-api-burst=100"]), Some((80.0, 100)));
    let error = refused(&["--kube-api-qps=80", "--kube-api-burst=50"]);
    assert_eq!(error, FlagError::Burst { burst: 50, qps: 80.0 });
    usage_error(&["--kube-api-qps=-2"]);
    usage_error(&["--kube-api-qps=NaN"]);
    usage_error(&["--kube-api-burst=-2"]);
}

#[test]
fn durations_are_gos() {
    let election = options(&["--leader-election-lease-duration=1m30s"]).election.unwrap();
    assert_eq!(election.lease_duration, S(90));
    usage_error(&["--leader-election-lease-duration=60"]);
    usage_error(&["--certificate-request-minimum-backoff-duration=-1h"]);
}

#[test]
fn timings_and_limits_that_contradict_each_other_are_refused() {
    let election = refused(&["--leader-election-renew-deadline=60s"]);
    assert_eq!(election, FlagError::Election(LeaseConfigError::Deadline));
    assert!(
        options(&["--leader-elect=false", "--leader-election-renew-deadline=60s"])
            .election
            .is_none()
    );
    let backoff = ["--certificate-request-minimum-backoff-duration=33h"];
    assert_eq!(refused(&backoff), FlagError::Backoff);
    let zero = options(&["--certificate-request-minimum-backoff-duration=0"]);
    assert_eq!(zero.minimum_backoff, HOUR);
    let limits = refused(&["--max-certificate-bundle-size=90000"]);
    assert_eq!(limits, FlagError::PemLimits("max-certificate-chain-length"));
    assert_eq!(refused(&["--default-issuer-kind="]), FlagError::IssuerKind);
    usage_error(&["--max-certificate-size=0"]);
    usage_error(&["--concurrent-workers=0"]);
}

#[test]
fn a_configuration_file_is_refused_rather_than_passed_over() {
    // It may say which namespace to look after: not reading it would be worse than not starting.
    let error = refused(&["--config=/var/cert-manager/config/config.yaml"]);
    assert!(matches!(error, FlagError::Config(_)));
    assert_eq!(options(&["--config="]), options(&[]));
}

#[test]
fn listen_addresses_are_read_as_go_writes_them() {
    let read = |text: &str| text.parse::<ListenAddress>();
    let on = |host: &str, port| Ok(ListenAddress::On { host: host.into(), port });
    assert_eq!(read("0.0.0.0:9402"), on("0.0.0.0", 9402));
    assert_eq!(read(":9402"), on("", 9402));
    assert_eq!(read("[::1]:0"), on("::1", 0));
    assert_eq!(read("[::1]:0").unwrap().to_string(), "[::1]:0");
    assert_eq!(read("0"), Ok(ListenAddress::Off));
    for bad in ["9402", "::1:9402", "host:99999", "host:", "[::1:1", "a]:1"] {
        assert!(read(bad).is_err(), "{bad}");
    }
}
