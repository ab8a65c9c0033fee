//! Recordings of the running operator: as a page, with something changed, without names.

use super::*;
use crate::commands::why::tests::World;
use everleaf_engine::journal::{Line, Writer};
use serde_json::json;
use story::What;

/// Words that are in no text of the program: whatever is left of them was left in.
const SECRETS: [&str; 7] =
    ["zanzibar", "quokka", "kumquat", "wombat", "axolotl", "narwhal", "ocelot"];

/// A recording of two Certificates: one is issued, the other waits for a CA that is not there.
pub(super) async fn recording(name: &str) -> Directory {
    let directory = Directory::new(name);
    let world = World::recorded(Options::default(), Some(directory.0.clone()));
    let own = |kind: &str, name: &str, spec| {
        let resource = format!("{}s", kind.to_lowercase());
        world.own(&resource, kind, json!({"name": name, "namespace": "demo"}), spec);
    };
    own("Issuer", "quokka-self", json!({"selfSigned": {}}));
    own("Issuer", "wombat-ca", json!({"ca": {"secretName": "narwhal-pair"}}));
    let web = json!({"dnsNames": ["kumquat.zanzibar.test"], "duration": "240h",
        "subject": {"organizations": ["Ocelot Ltd"]},
        "ipAddresses": ["203.0.113.77"], "issuerRef": {"name": "quokka-self"}});
    world.certificate("demo", "axolotl-1", web);
    let waits = json!({"dnsNames": ["kumquat.zanzibar.test"], "issuerRef": {"name": "wombat-ca"}});
    world.certificate("demo", "ocelot", waits);
    let key = |name: &str| ObjectKey::new(Kind::Certificate, "demo", name);
    world.until(&key("axolotl-1"), "fresh").await;
    world.until(&key("ocelot"), "awaiting").await;
    let issuer = ObjectKey::new(Kind::Issuer, "demo", "wombat-ca");
    world.until(&issuer, "unverified").await;
    world.running.stop().await;
    directory
}

pub(super) fn with(directory: &Directory, change: &str) -> Result<whatif::Both, Failure> {
    let recording = Recording::open(std::slice::from_ref(&directory.0)).unwrap();
    whatif::play(&recording, &Change::parse(&[change.to_owned()])?)
}

fn different(both: &whatif::Both) -> Vec<String> {
    let name = |one: &whatif::Different| both.recorded.objects()[one.object].key.to_string();
    both.different.iter().map(name).collect()
}

#[tokio::test]
async fn a_recording_becomes_a_page_with_every_decision_and_failure() {
    let directory = recording("story").await;
    let mut story = Story::new(Bounds::default());
    let notes =
        hear(&Recording::open(std::slice::from_ref(&directory.0)).unwrap(), &mut story).unwrap();
    assert_eq!(notes, Vec::<String>::new());
    let told: Vec<&str> = story.entries().iter().map(|entry| entry.text.as_str()).collect();
    for wanted in ["leads from now on", "keying -> ", "-> fresh", "ensure_key: done", "until 20"] {
        assert!(told.iter().any(|text| text.contains(wanted)), "{wanted}: {told:?}");
    }
    let thread = |name: &str| story.objects().iter().find(|thread| *thread.key.name == *name);
    assert_eq!(thread("axolotl-1").unwrap().state, "fresh");
    assert_eq!(thread("ocelot").unwrap().state, "awaiting");
}

#[tokio::test]
async fn another_renew_before_is_shown_beside_what_was_and_changes_nobody_else() {
    let directory = recording("renew").await;
    let both = with(&directory, "spec.renewBefore=200h@Certificate/demo/axolotl-1").unwrap();
    assert_eq!(different(&both), ["Certificate/demo/axolotl-1"], "{}", both.to_text());
    assert!(both.different[0].known_until.is_none(), "{}", both.to_text());
    let text = both.to_text();
    let end = text.lines().find(|line| line.contains("at the end")).expect("an end");
    assert_eq!(end.matches("fresh, until ").count(), 2, "{text}");
    let renewals: Vec<&str> = end.split("until ").skip(1).map(|rest| &rest[..10]).collect();
    assert_ne!(renewals[0], renewals[1], "{text}");
}

#[tokio::test]
async fn another_issuer_is_told_as_far_as_the_recording_can_know_and_no_further() {
    let directory = recording("issuer").await;
    let both = with(&directory, "spec.issuerRef.name=quokka-self@Certificate/demo/ocelot").unwrap();
    assert_eq!(different(&both), ["Certificate/demo/ocelot"], "{}", both.to_text());
    let (_, why) = both.different[0].known_until.as_ref().expect("other requests are asked for");
    assert!(why.starts_with("it would "), "{why}");
    assert!(both.to_text().contains("nobody recorded the answer"));
    // From then on its recorded life is not told as if it were the other one's.
    let page = page::page(
        Everleaf::new(Options::default()).plan(),
        &both.recorded,
        Some(&Beside {
            changed: both.changed.clone(),
            story: &both.other,
            ends: both.ends(),
            numbers: both.numbers(),
        }),
        &both.notes(),
    );
    assert!(page.contains("not known after 20"));
}

#[tokio::test]
async fn a_flag_of_the_operator_and_a_manifest_are_changes_too() {
    let directory = recording("flag").await;
    let denied = with(&directory, "controllers=*,-certificaterequests-approver").unwrap();
    assert!(!denied.different.is_empty(), "{}", denied.to_text());
    let manifest = directory.file(
        "changed.yaml",
        "apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata: {name: wombat-ca, namespace: demo}\n\
         spec: {selfSigned: {}}\n",
    );
    let both = with(&directory, &manifest.display().to_string()).unwrap();
    assert!(different(&both).contains(&"Issuer/demo/wombat-ca".to_owned()), "{}", both.to_text());
}

#[test]
fn a_change_that_means_nothing_is_refused_with_what_would() {
    for (given, told) in [
        ("nonsense", "neither a file nor KEY=VALUE"),
        ("spec.secretName=a@Certificate/demo/web", "spec.renewBefore"),
        ("spec.renewBefore=soon", "--what-if"),
        ("spec.renewBefore=1h@web", "@Certificate/NAMESPACE/NAME"),
        ("spec.renewBeforePercentage=100", "1 to 99"),
        ("no-such-flag=1", "--what-if"),
        ("v=4", "decides on nothing"),
    ] {
        let refused = Change::parse(&[given.to_owned()]).expect_err(given);
        assert_eq!(refused.exit_code(), 2);
        assert!(refused.to_string().contains(told), "{given}: {refused}");
    }
}

#[tokio::test]
async fn a_change_of_something_that_was_not_recorded_is_no_result() {
    let directory = recording("absent").await;
    let refused = with(&directory, "spec.renewBefore=1h@Certificate/demo/other").err().unwrap();
    assert!(refused.to_string().contains("nothing in the recording is changed"), "{refused}");
}

#[tokio::test]
async fn nothing_is_left_of_any_name_and_what_is_left_can_still_be_read() {
    let directory = recording("redact").await;
    let out = Directory::new("redacted");
    let mut args = quiet(&directory.0);
    let page = out.0.join("page.html");
    args.redact = Some(out.0.join("journals"));
    args.html = Some(page.clone());
    run(&args).expect("it can be redacted");
    let mut texts = vec![fs::read_to_string(&page).unwrap().to_lowercase()];
    for entry in fs::read_dir(out.0.join("journals")).unwrap() {
        texts.push(fs::read_to_string(entry.unwrap().path()).unwrap().to_lowercase());
    }
    assert_eq!(texts.len(), 2, "a page and a journal");
    for text in &texts {
        for secret in SECRETS.iter().chain(&["203.0.113", "\"demo\""]) {
            assert!(!text.contains(secret), "{secret} was left in");
        }
    }
    let before: String = fs::read_dir(&directory.0)
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    for uid in uids(&before) {
        assert!(texts.iter().all(|text| !text.contains(&uid)), "{uid} was left in");
    }
    let journals = Recording::open(&[out.0.join("journals")]).unwrap();
    let change = Change::parse(&["spec.renewBefore=1h".to_owned()]).unwrap();
    let refused = whatif::play(&journals, &change).err().expect("names decide");
    assert!(refused.to_string().contains("pseudonyms"), "{refused}");
    // It is a recording: every command reads it, and the same moves are in it.
    replayed(&out.0.join("journals")).expect("it can be told");
    let mut stories = [&directory.0, &out.0.join("journals")].map(|path| {
        let mut story = Story::new(Bounds::default());
        hear(&Recording::open(std::slice::from_ref(path)).unwrap(), &mut story).unwrap();
        let entries = story.entries();
        let moves = entries.iter().filter(|entry| entry.what == What::Move);
        moves.map(|entry| (entry.at, entry.text.clone())).collect::<Vec<_>>()
    });
    stories.iter_mut().for_each(|moves| moves.sort());
    assert!(!stories[0].is_empty());
    assert_eq!(stories[0], stories[1], "pseudonyms change no recorded move");
}

/// The UIDs of a journal.
fn uids(journal: &str) -> Vec<String> {
    let uids = journal.split("\"uid\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    uids.filter(|uid| uid.len() == 36).map(str::to_owned).collect()
}

#[tokio::test]
async fn two_redactions_share_no_pseudonym_for_their_keys_differ() {
    let directory = recording("keys").await;
    let out = Directory::new("keys-out");
    let names = ["a", "b"].map(|name| {
        let to = out.0.join(name);
        let plan = Everleaf::new(Options::default());
        redact::write(
            &Recording::open(std::slice::from_ref(&directory.0)).unwrap(),
            &to,
            plan.plan(),
        )
        .unwrap();
        let file = fs::read_dir(&to).unwrap().next().unwrap().unwrap().path();
        fs::read_to_string(file).unwrap()
    });
    let uids = names.each_ref().map(|text| {
        let all = text.split("\"uid\":\"").skip(1).filter_map(|rest| rest.split('"').next());
        all.map(str::to_owned).collect::<std::collections::BTreeSet<_>>()
    });
    assert!(!uids[0].is_empty() && uids[0].is_disjoint(&uids[1]));
    assert!(
        redact::write(
            &Recording::open(std::slice::from_ref(&directory.0)).unwrap(),
            &out.0,
            Everleaf::new(Options::default()).plan(),
        )
        .is_err(),
        "a directory that holds something is left alone"
    );
}

#[tokio::test]
async fn snapshots_of_every_moment_lose_their_names_too() {
    let directory = recording("snapshots").await;
    let from = fs::read_dir(&directory.0).unwrap().next().unwrap().unwrap().path();
    let header = Reader::new(BufReader::new(File::open(&from).unwrap())).unwrap().header().clone();
    let mut writer = Writer::new(Vec::new(), &header).unwrap();
    let recording = Recording::open(std::slice::from_ref(&from)).unwrap();
    let all = recording.play(None, |heard| {
        if let Heard::Input(Played { step, record, engine, .. }) = heard {
            let (seq, at, input, record) = (step.seq, step.at, step.input.clone(), record.clone());
            let step = JournalStep { seq, at, input, record };
            writer.write(&Line::<Everleaf>::Step(Box::new(step))).unwrap();
            writer.write(&Line::<Everleaf>::Snapshot(Box::new(engine.snapshot()))).unwrap();
        }
        ControlFlow::Continue(())
    });
    assert!(all.unwrap().inputs > 20);
    let out = Directory::new("snapshots-out");
    let whole = out.file("everleaf-1-0.jsonl", writer.into_inner());
    replayed(&whole).expect("a snapshot changes nothing");
    let plan = Everleaf::new(Options::default());
    let whole = Recording::open(std::slice::from_ref(&whole)).unwrap();
    let files = redact::write(&whole, &out.0.join("redacted"), plan.plan()).expect("all of it");
    let text = fs::read_to_string(&files[0]).unwrap().to_lowercase();
    for secret in SECRETS.iter().chain(&["203.0.113", "\"demo\"", "demo/"]) {
        assert!(!text.contains(secret), "{secret} was left in");
    }
}
