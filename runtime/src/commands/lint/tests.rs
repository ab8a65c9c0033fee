use super::*;
use crate::commands::input;
use std::fmt::Write as _;

mod rules;
mod unwise;

/// Everything found in a text, as `line: severity: path: message`.
fn lint(text: &str) -> Vec<String> {
    let read = input::placed(Path::new("x.yaml"), text).expect("it is YAML");
    let told = |f: &Finding| {
        let severity = if f.severity == Severity::Error { "error" } else { "warning" };
        format!("{}: {severity}: {}: {}", f.line, f.path, f.message)
    };
    judge(&read).findings.iter().map(told).collect()
}

/// `bad` has one finding, which begins and says so, and `good` has none.
#[track_caller]
fn finds(bad: &str, begins: &str, says: &str, good: &str) {
    let found = lint(bad);
    let [only] = found.as_slice() else { panic!("not one finding: {found:#?}\n{bad}") };
    assert!(only.starts_with(begins), "{only}\n{bad}");
    assert!(only.contains(says), "{only}");
    assert_eq!(lint(good), [""; 0], "{good}");
}

/// A Certificate of these lines of a spec; the first of them is line 9.
fn certificate(spec: &[&str]) -> String {
    let mut text = "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata:\n  name: web\n\
                    spec:\n  secretName: web-tls\n  issuerRef:\n    name: ca\n"
        .to_owned();
    for line in spec {
        let _ = writeln!(text, "  {line}");
    }
    text
}

/// An issuer of these lines of a spec; the first of them is line 6.
fn issuer(spec: &[&str]) -> String {
    let mut text =
        "apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata:\n  name: ca\nspec:\n".to_owned();
    for line in spec {
        let _ = writeln!(text, "  {line}");
    }
    text
}

#[test]
fn a_fault_is_told_at_its_line_in_lists_and_later_documents_too() {
    let text = "\n---\n# first\nkind: List\napiVersion: v1\nitems:\n- apiVersion: cert-manager.io/v1\n  \
                kind: Certificate\n  metadata: {name: a}\n  spec:\n    secretName: s\n    \
                issuerRef: {name: i}\n    dnsNames:\n    - a.test\n    ipAddresses:\n    - 1.2.3.4\n    \
                - nonsense\n---\n{apiVersion: cert-manager.io/v1, kind: Issuer, metadata: {name: b},\n\
                spec: {}}\n";
    let found = lint(text);
    assert!(found[0].starts_with("17: error: spec.ipAddresses[1]: Invalid value"), "{found:#?}");
    assert!(found[1].starts_with("20: error: spec: Required value"), "{found:#?}");
}

#[test]
fn a_missing_field_is_told_where_it_should_be() {
    let text = "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata:\n  name: a\nspec:\n  \
                dnsNames: [a.test]\n  issuerRef:\n    kind: Issuer\n";
    let want = [
        "5: error: spec.secretName: Required value: must be specified",
        "7: error: spec.issuerRef.name: Required value: must be specified",
    ];
    assert_eq!(lint(text), want);
}

#[test]
fn keys_with_dots_and_slashes_have_lines_of_their_own() {
    let text = certificate(&[
        "dnsNames: [a.test]",
        "secretTemplate:",
        "  labels:",
        "    a.test/b: fine",
        "    a.test/b.c: \"-\"",
    ]);
    let found = lint(&text);
    let want = "13: error: spec.secretTemplate.labels[a.test/b.c]: Invalid value: \"-\"";
    assert!(found.len() == 1 && found[0].starts_with(want), "{found:#?}");
}

#[test]
fn what_is_none_of_our_business_is_passed_over() {
    let text = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {dnsName: 7}\n---\n\
                apiVersion: other.example/v1\nkind: Certificate\nspec: {}\n---\n\
                apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: a}\nspec:\n  \
                tls: [{hosts: [a.test]}]\n";
    let read = input::placed(Path::new("x.yaml"), text).unwrap();
    let judged = judge(&read);
    assert_eq!(judged.findings, []);
    assert_eq!(judged.summary(), "1 object: 0 errors, 0 warnings");
}

#[test]
fn what_the_schema_refused_is_not_judged_again_and_the_rest_is() {
    let text = certificate(&["dnsNames: a.test", "privateKey: {algorithm: rsa, size: 1024}"]);
    let want = [
        "10: error: spec.privateKey.algorithm: Unsupported value: \"rsa\": supported values: RSA, \
         ECDSA, Ed25519; did you mean \"RSA\"?",
        "10: error: spec.privateKey.size: Invalid value: \"1024\": must be between 2048 and 8192 \
         for RSA",
        "9: error: spec.dnsNames: Invalid value: \"string\": must be of type array, not string; \
         write a list",
    ];
    let mut found = lint(&text);
    found.sort();
    assert_eq!(found, want);
}

#[test]
fn no_password_is_printed() {
    let secret = "hunter2-hunter2";
    let password = format!("keystores: {{jks: {{create: true, password: {secret}}}}}");
    let whole = lint(&certificate(&["dnsNames: [a.test]", &password])).concat();
    assert!(whole.contains("passwordSecretRef") && !whole.contains(secret), "{whole}");
    let wrong = format!("keystores: {{jks: {{create: true, password: [{secret}]}}}}");
    assert!(!lint(&certificate(&["dnsNames: [a.test]", &wrong])).concat().contains(secret));
}

#[test]
fn the_demonstration_is_clean_of_errors() {
    let text = include_str!("../dev/demonstration.yaml");
    let found = lint(text);
    assert!(found.iter().all(|line| !line.contains(": error: ")), "{found:#?}");
}

/// Certificates, requests and issuers as cert-manager itself left them in a cluster.
#[test]
fn nothing_that_cert_manager_accepted_is_refused() {
    let recorded = include_str!("../../../../api/tests/recorded/objects.jsonl");
    let mut objects = 0;
    for line in recorded.lines().filter(|line| !line.trim().is_empty()) {
        let read = input::placed(Path::new("x.json"), line).expect("it is JSON");
        let judged = judge(&read);
        objects += judged.objects;
        let errors: Vec<_> =
            judged.findings.iter().filter(|f| f.severity == Severity::Error).collect();
        assert!(errors.is_empty(), "{errors:#?}\n{line}");
    }
    assert!(objects > 0);
}

#[test]
fn a_file_that_cannot_be_read_does_not_hide_the_others() {
    let directory = std::env::temp_dir().join(format!("everleaf-lint-{}", std::process::id()));
    std::fs::create_dir_all(directory.join("below")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.join(name), text).unwrap();
    write("a.yaml", "a: [\n");
    write("b.yml", &certificate(&["dnsNames: [a.test]"]));
    write("below/c.yaml", &certificate(&["revisionHistoryLimit: 0", "dnsNames: [a.test]"]));
    write("notes.txt", "not: [yaml");
    let args = |file: &str, recursive, strict| LintArgs {
        files: vec![directory.join(file)],
        recursive,
        strict,
        output: Format::Json,
    };
    let exit = |args| run(&args).err().map_or(0, |failure| failure.exit_code());
    let unreadable = run(&args("", false, false)).expect_err("a.yaml is no YAML").to_string();
    assert!(unreadable.contains("a.yaml:"), "{unreadable}");
    let codes = [
        exit(args("", true, false)),
        exit(args("b.yml", false, true)),
        exit(args("below", false, false)),
        exit(args("nowhere", false, false)),
    ];
    std::fs::remove_dir_all(&directory).unwrap();
    assert_eq!(codes, [2, 0, 1, 2]);
}

#[test]
fn warnings_count_only_where_that_is_asked_for() {
    let text = certificate(&["dnsNames: [a.test, a.test]"]);
    let judged = judge(&input::placed(Path::new("x.yaml"), &text).unwrap());
    assert_eq!(judged.summary(), "1 object: 0 errors, 1 warning");
    let printed = report::render(Format::Text, &judged);
    let want = "x.yaml:9: warning: Certificate web: spec.dnsNames[1]: \"a.test\" is listed twice\n\
                1 object: 0 errors, 1 warning\n";
    assert_eq!(printed, want);
    let json: serde_json::Value =
        serde_json::from_str(&report::render(Format::Json, &judged)).unwrap();
    assert_eq!(json["findings"][0]["line"], 9);
    assert_eq!(json["warnings"], 1);
    let github = report::render(Format::Github, &judged);
    assert!(github.starts_with("::warning file=x.yaml,line=9,title=Certificate web::spec."));
}
