//! What an operator records is what the replayer decides again.

use everleaf_e2e::{Scope, binary, scenario};
use serde_json::json;
use std::fs;
use std::process::Command;

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

        let replayed = Command::new(binary()).arg("replay").arg(&folder).output();
        let replayed = replayed.expect("the replayer runs");
        let said = [replayed.stdout, replayed.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(replayed.status.success(), "{}: {said}", replayed.status);

        let mut lines = 0;
        for file in fs::read_dir(&folder).expect("the journal's folder") {
            let text = fs::read_to_string(file.unwrap().path()).expect("the journal is text");
            lines += text.lines().count();
            // The second is how PEM begins in base64, as Secrets carry it.
            for secret in ["PRIVATE KEY", "LS0tLS1CRUdJTi"] {
                assert!(!text.contains(secret), "{secret} is in the journal");
            }
        }
        assert!(lines > 50, "only {lines} lines were recorded");
    });
}
