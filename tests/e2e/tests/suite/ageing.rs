//! Renewal when its time has come. It takes five minutes, so it is named to start first.

use everleaf_e2e::{History, Scope, data, eventually, name_of, scenario, text};
use serde_json::{Value, json};

/// Long enough for the five minutes and a busy machine.
const FIVE_MINUTES_AND_MORE: u64 = 480;

#[test]
fn a_one_hour_certificate_is_renewed_about_five_minutes_after_it_was_issued() {
    scenario("ageing", Scope::Namespace, async |world| {
        let _operator = world.operator(&[]);
        world.ca().await;
        let requests = History::watch(&world.cluster, "CertificateRequest", &world.namespace);
        let spec = json!({ "duration": "1h", "renewBefore": "55m" });
        world.certificate("short", spec).await;
        let first = world.revision("short", 1).await;
        let old = world.get("Secret", "short-tls").await;

        let renewed = eventually("short is renewed", FIVE_MINUTES_AND_MORE, async || {
            let now = world.get("Certificate", "short").await;
            let done = now["status"]["revision"] == 2
                && now["status"]["notAfter"] != first["status"]["notAfter"];
            if done { Ok(now) } else { Err(now["status"].to_string()) }
        })
        .await;
        let (was, is) = (&first["status"], &renewed["status"]);
        let due = text(was, "/renewalTime");
        assert!(text(is, "/notBefore") >= due, "renewed before {due}: {is}");
        assert!(text(is, "/renewalTime") > due, "{is}");

        let new = world.get("Secret", "short-tls").await;
        assert_ne!(data(&old, "tls.key"), data(&new, "tls.key"), "a new key, as asked by default");
        assert_ne!(data(&old, "tls.crt"), data(&new, "tls.crt"));
        world.openssl.verify(&data(&new, "ca.crt"), &data(&new, "tls.crt"));
        world.openssl.assert_pair(&data(&new, "tls.crt"), &data(&new, "tls.key"));
        for revision in ["short-1", "short-2"] {
            assert_eq!(requests.uids(revision).len(), 1, "exactly one request for {revision}");
        }
        assert!(requests.uids("short-3").is_empty());
        // revisionHistoryLimit is 1 unless given.
        eventually("the old request is removed", 30, async || {
            let left = world.requests_of("short").await;
            let names: Vec<&str> = left.iter().map(name_of).collect();
            if names == ["short-2"] { Ok(()) } else { Err(format!("{names:?}")) }
        })
        .await;
        assert_eq!(world.get("Certificate", "ca").await["status"]["revision"], Value::from(1));
    });
}
