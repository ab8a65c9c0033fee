//! From a recording: the same answers as from the cluster, at any instant, with the whole path.

use super::*;
use crate::commands::recording::{At, Heard};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("everleaf-why-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A recording of an issuance, and the instant at which it was over.
async fn issued(name: &str) -> (Folder, Timestamp) {
    let folder = Folder::new(name);
    let world = World::recorded(Options::default(), Some(folder.0.clone()));
    let key = world.issued().await;
    let at = world.until(&key, "fresh").await;
    world.running.stop().await;
    (folder, at)
}

fn told(folder: &Folder, line: &[&str]) -> Result<(String, Value), Failure> {
    let path = folder.0.display().to_string();
    let args = parsed_of("certificate/web", &[&["--recording", &path], line].concat());
    let (kind, name) = (Kind::Certificate, "web");
    let text = from_recording(&args, (kind, name))?.text;
    let args = WhyArgs { output: "json".to_owned(), ..args };
    let json = from_recording(&args, (kind, name))?.text;
    Ok((text, serde_json::from_str(&json).expect("it is JSON")))
}

#[tokio::test]
async fn the_end_of_a_recording_says_what_the_cluster_says_and_tells_every_move() {
    let (folder, _) = issued("end").await;
    let (text, json) = told(&folder, &[]).expect("it is recorded");
    assert_eq!(json["state"], "fresh", "{text}");
    let path = json["path"].as_array().expect("a path");
    let moves: Vec<&str> = path
        .iter()
        .filter(|one| one["kind"] == "move")
        .filter_map(|one| one["text"].as_str())
        .collect();
    assert!(moves[0].starts_with("keying -> "), "{moves:?}");
    assert!(moves.last().unwrap().contains("-> fresh"), "{moves:?}");
    assert!(text.contains("as recorded, at:\n"), "{text}");
    assert!(text.contains("everleaf replay "), "{text}");
    assert!(!text.contains("kubectl"), "there is no cluster to ask: {text}");
}

#[tokio::test]
async fn an_earlier_instant_is_told_as_it_was_then() {
    let (folder, _) = issued("earlier").await;
    let recording =
        crate::commands::recording::Recording::open(std::slice::from_ref(&folder.0)).unwrap();
    let (begin, end) = recording.span().unwrap();
    let key = web_certificate();
    let mut first = None;
    recording
        .play(None, |heard| {
            if let Heard::Input(played) = heard {
                let there = played.engine.world().get(&key).is_some();
                first = first.or_else(|| there.then_some(played.step.at));
            }
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    let first = first.expect("it was created").since(begin);
    let (text, json) = told(&folder, &["--at", &format!("{first}ms")]).expect("it was there");
    assert_ne!(json["state"], "fresh");
    assert!(!text.contains("the recording ends"), "more was recorded: {text}");
    // The instant that is told is good for asking again.
    let again = told(&folder, &["--at", json["at"].as_str().unwrap()]).expect("it was there").1;
    assert_eq!(again, json);
    let instant = jiff::Timestamp::from_millisecond(end.as_millis()).unwrap().to_string();
    let (_, by_time) = told(&folder, &["--at", &instant]).expect("it was there");
    let (_, by_offset) = told(&folder, &["--at", "-0s"]).expect("it was there");
    assert_eq!((&by_time["state"], &by_offset["state"]), (&json!("fresh"), &json!("fresh")));
    let early = told(&folder, &["--at", "2001-01-01T00:00:00Z"]).expect_err("nothing was recorded");
    assert!(early.to_string().starts_with("the recording begins at 20"), "{early}");
    assert_eq!(early.exit_code(), 2);
    let (text, _) = told(&folder, &["--at", "2099-01-01T00:00:00Z"]).expect("its end is told");
    assert!(text.contains("the recording ends at 20"), "{text}");
}

#[tokio::test]
async fn a_name_that_was_not_recorded_is_answered_with_those_that_are_near() {
    let (folder, _) = issued("near").await;
    let path = folder.0.display().to_string();
    let args = parsed_of("certificate/wep", &["--recording", &path]);
    let failed = from_recording(&args, (Kind::Certificate, "wep")).err().expect("there is none");
    assert!(failed.to_string().contains("did you mean certificate/web -n demo?"), "{failed}");
    let args = parsed_of("certificate/web", &["--recording", &path, "-n", "other"]);
    let failed = from_recording(&args, (Kind::Certificate, "web")).err().expect("there is none");
    assert!(failed.to_string().contains("certificate/web -n demo"), "{failed}");
}

#[test]
fn an_instant_is_a_time_or_an_offset_and_nothing_else() {
    let ms = |text: &str| text.parse::<At>();
    assert_eq!(ms("90s"), Ok(At::AfterBegin(90_000)));
    assert_eq!(ms("+1h30m"), Ok(At::AfterBegin(5_400_000)));
    assert_eq!(ms("-5m"), Ok(At::BeforeEnd(300_000)));
    let time = Timestamp::from_millis(1_795_399_200_123);
    assert_eq!(ms("2026-11-23T02:00:00.123Z"), Ok(At::Time(time)));
    assert_eq!(ms("2026-11-23T03:00:00.123+01:00"), Ok(At::Time(time)));
    for text in ["", "-", "--5m", "+-5m", "yesterday", "5", "2026-11-23"] {
        assert!(ms(text).is_err(), "{text:?}");
    }
}
