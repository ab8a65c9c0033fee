use super::*;

fn read_all(text: &str) -> Result<Vec<Manifest>, InputError> {
    manifest(Path::new("x.yaml"), text)
}

fn fault(text: &str) -> String {
    read_all(text).expect_err("it cannot be used").to_string()
}

#[test]
fn lists_watch_events_and_single_objects_may_follow_one_another() {
    let text = r#"{"kind":"List","items":[{"kind":"A"},{"kind":"B"}]}
{"type":"MODIFIED","object":{"kind":"C"}}
{"kind":"D"}"#;
    let found = shown(Path::new("x.json"), text).expect("it is well-formed");
    let kinds: Vec<_> = found.iter().map(|s| s.object["kind"].as_str()).collect();
    assert_eq!(kinds, [Some("A"), Some("B"), Some("C"), Some("D")]);
    assert_eq!(found[2].event, "MODIFIED");
}

#[test]
fn items_of_a_typed_list_get_the_kind_that_only_the_list_names() {
    let text = r#"{"kind":"SecretList","apiVersion":"v1","items":[{"metadata":{"name":"a"}}]}"#;
    let found = shown(Path::new("x.json"), text).expect("it is well-formed");
    assert_eq!(found[0].object["kind"], "Secret");
    assert_eq!(found[0].object["apiVersion"], "v1");
}

#[test]
fn a_malformed_document_is_named_by_its_line() {
    let error = shown(Path::new("x.json"), "{}\n{\"a\": }\n").expect_err("line 2 is broken");
    assert!(error.to_string().starts_with("x.json:2:"), "{error}");
}

#[test]
fn a_directory_without_usable_files_names_every_ending_that_would_do() {
    let empty = std::env::temp_dir().join(format!("everleaf-input-{}", std::process::id()));
    fs::create_dir_all(&empty).unwrap();
    let error = files(&empty, &["jsonl", "json"]).expect_err("it is empty");
    fs::remove_dir(&empty).unwrap();
    assert!(error.to_string().ends_with("no .jsonl or .json file in this directory"), "{error}");
}

#[test]
fn each_object_knows_the_first_line_of_its_document() {
    let text = "# head\n\na: 1\n---\n# two\nb: 2\n--- {c: 3}\n---\n---\n\nd: |\n  ---x\n  e\n";
    let lines: Vec<u64> = read_all(text).unwrap().iter().map(|found| found.line).collect();
    assert_eq!(lines, [3, 6, 7, 11]);
}

#[test]
fn a_list_is_taken_apart_and_so_is_a_typed_one() {
    let text =
        "kind: List\nitems:\n- {kind: A}\n- {kind: B}\n---\nkind: CList\nitems: [{kind: C}]\n";
    let found = read_all(text).unwrap();
    let kinds: Vec<_> = found.iter().map(|found| found.object["kind"].as_str()).collect();
    assert_eq!(kinds, [Some("A"), Some("B"), Some("C")]);
    assert_eq!(found[2].line, 6);
}

#[test]
fn an_object_that_is_no_list_keeps_its_items() {
    let found = read_all("kind: A\nitems: [1]\n").unwrap();
    assert_eq!(found[0].object["items"], serde_json::json!([1]));
}

#[test]
fn what_is_no_object_is_refused_with_its_line_and_a_remedy() {
    assert_eq!(
        fault("a: 1\n---\n\njust text\n"),
        "x.yaml:4: this document is no mapping; write an object with apiVersion, kind, metadata \
         and spec"
    );
    assert!(fault("kind: List\n").starts_with("x.yaml:1: this list has no items"));
    assert!(fault("kind: List\nitems: [{a: 1}, 2]\n").starts_with("x.yaml:1: items[1] is no"));
}

#[test]
fn a_malformed_manifest_is_named_by_the_line_of_the_file() {
    let error = fault("a: 1\n---\nb: 2\nc: [\n---\nd: 1\n");
    let line: u64 = error.split(':').nth(1).and_then(|n| n.parse().ok()).expect("a line");
    assert!((4..=5).contains(&line), "{error}");
}

#[test]
fn comments_directives_and_marks_alone_are_no_documents() {
    assert_eq!(read_all("%YAML 1.2\n---\n# nothing\n...\n").unwrap(), []);
}
