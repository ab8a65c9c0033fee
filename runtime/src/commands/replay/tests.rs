mod in_a_browser;
mod recorded;

use super::*;
use everleaf_engine::journal::{Header, JournalStep, Line, Writer};
use everleaf_engine::{Epoch, Record};
use std::fs;

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let name = format!("everleaf-replay-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn quiet(path: &Path) -> ReplayArgs {
    let (html, what_if, redact) = (None, Vec::new(), None);
    ReplayArgs { paths: vec![path.to_owned()], quiet: true, html, what_if, redact }
}

fn replayed(path: &Path) -> Result<(), Failure> {
    run(&quiet(path))
}

fn usage(path: &Path) -> String {
    let refused = replayed(path).expect_err("it cannot be used");
    assert_eq!(refused.exit_code(), 2, "{refused}");
    refused.to_string()
}

/// A journal of an operator that was told the time, `steps` times.
fn journal(steps: u64) -> Vec<u8> {
    let program = Everleaf::new(Options::default());
    let options = serde_json::to_value(&program.options).unwrap();
    let header = Header::new(program.plan(), Config::default(), options);
    let mut engine = Engine::new(program, Config::default());
    let mut writer = Writer::new(Vec::new(), &header).unwrap();
    for seq in 0..steps {
        let (at, epoch): (Timestamp, Epoch) = (Timestamp::from_seconds(seq as i64), seq);
        let input = Input::Leadership(Some(epoch));
        let record: Record = engine.handle(at, input.clone());
        let step = JournalStep::<Everleaf> { seq, at, input, record };
        writer.write(&Line::Step(Box::new(step))).unwrap();
    }
    writer.into_inner()
}

#[test]
fn what_holds_no_kubernetes_object_is_refused_and_not_called_replayed() {
    let directory = Directory::new("nothing");
    for text in ["", "  \n", "5", "[1,2]", "{\"a\":1}", "{\"schema\":99}", "\"text\""] {
        let told = usage(&directory.file("x.json", text));
        assert!(told.contains("x.json: neither a journal nor any Kubernetes object"), "{told}");
    }
    let list = "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[]}";
    usage(&directory.file("x.json", list));
}

#[test]
fn objects_of_kubernetes_are_told_even_if_none_is_of_our_kinds() {
    let directory = Directory::new("pod");
    let pod = "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\"}}";
    replayed(&directory.file("x.json", pod)).expect("a Pod is an object");
}

#[test]
fn a_changed_line_of_a_journal_is_told_with_file_line_and_remedy() {
    let directory = Directory::new("changed");
    let sound = String::from_utf8(journal(3)).unwrap();
    replayed(&directory.file("sound.jsonl", &sound)).expect("nobody changed it");
    let lines: Vec<&str> = sound.lines().collect();
    let other = lines[2].replace("\"seq\":1", "\"seq\":7");
    assert_ne!(other, lines[2]);
    let changed = sound.replace(lines[2], &other);
    let told = usage(&directory.file("changed.jsonl", changed));
    let place = format!("{}:3: ", directory.0.join("changed.jsonl").display());
    assert!(told.starts_with(&place) && told.contains("head -n 2"), "{told}");
}

#[test]
fn the_newest_file_of_a_running_operator_may_have_no_line_yet() {
    let directory = Directory::new("running");
    directory.file("1.jsonl", journal(2));
    directory.file("2.jsonl", "");
    directory.file("3.jsonl", &journal(1)[..40]);
    replayed(&directory.0).expect("the first file is whole");
    let empty = Directory::new("only-empty");
    empty.file("1.jsonl", "");
    usage(&empty.0);
}

#[test]
fn journals_and_objects_of_one_directory_are_both_read() {
    let directory = Directory::new("both");
    directory.file("1.jsonl", journal(1));
    directory.file("2.json", "5");
    assert!(usage(&directory.0).contains("2.json"));
}

#[test]
fn an_empty_directory_names_both_endings() {
    let told = usage(&Directory::new("empty").0);
    assert!(told.contains("no .jsonl or .json file"), "{told}");
}
