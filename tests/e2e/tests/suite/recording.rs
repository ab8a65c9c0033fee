//! What an operator records is what the replayer decides again.

use everleaf_e2e::{Scope, binary, eventually, scenario};
use serde_json::json;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Replays a journal: the exit code, and all that was said.
fn replay(journal: &Path) -> (Option<i32>, String) {
    let replayed = Command::new(binary()).arg("replay").arg(journal).output();
    let replayed = replayed.expect("the replayer runs");
    let said = [replayed.stdout, replayed.stderr].concat();
    (replayed.status.code(), String::from_utf8_lossy(&said).into_owned())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).into_iter().flatten();
    files.map(|file| file.expect("a file").path()).collect()
}

#[test]
fn a_recorded_run_replays_without_divergence_and_holds_no_keys() {
    scenario("recording", Scope::Namespace, async |world| {
        let folder = world.folder.join("journal");
        let flag = format!("--record={}", folder.display());
        let operator = world.operator(&[&flag]);
        world.ca().await;
        for number in 0..5 {
            world.certificate(&format!("c-{number}"), json!({})).await;
        }
        world.certificate("lost", json!({ "issuerRef": { "name": "missing" } })).await;
        for number in 0..5 {
            world.revision(&format!("c-{number}"), 1).await;
        }
        let names = json!({ "spec": { "dnsNames": ["c-0.example.test", "www.example.test"] } });
        world.patch("Certificate", "c-0", names).await;
        world.revision("c-0", 2).await;
        world.delete("Certificate", "c-1").await;
        world.settled().await;
        assert!(operator.stop().success());

        let (code, said) = replay(&folder);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("0 divergences"), "{said}");

        let mut lines = 0;
        for file in files(&folder) {
            let text = fs::read_to_string(file).expect("the journal is text");
            lines += text.lines().count();
            // The second is how PEM begins in base64, as Secrets carry it.
            for secret in ["PRIVATE KEY", "LS0tLS1CRUdJTi"] {
                assert!(!text.contains(secret), "{secret} is in the journal");
            }
        }
        assert!(lines > 50, "only {lines} lines were recorded");
    });
}

#[test]
fn the_journal_of_a_killed_operator_replays_but_for_its_torn_end() {
    scenario("torn", Scope::Namespace, async |world| {
        let folder = world.folder.join("journal");
        let operator = world.operator(&[&format!("--record={}", folder.display())]);
        world.ca().await;
        let file = eventually("some of the journal is written", 60, async || {
            let found = files(&folder).pop().ok_or("no file")?;
            let length = fs::metadata(&found).map_or(0, |about| about.len());
            if length > 4096 { Ok(found) } else { Err(format!("{length} bytes")) }
        })
        .await;
        operator.kill();
        // Whatever the kill left, the end of it is in the middle of a line.
        let journal = OpenOptions::new().write(true).open(&file).expect("the journal");
        let length = journal.metadata().expect("its length").len();
        journal.set_len(length - 20).expect("cutting it");
        let (code, said) = replay(&folder);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("torn"), "it says what it left out: {said}");

        let rubbish = world.folder.join("rubbish.jsonl");
        fs::write(&rubbish, "{}\nrubbish\n").expect("a file");
        let (code, said) = replay(&rubbish);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("rubbish.jsonl:"), "it names file and line: {said}");
    });
}
