//! The journal: what was written is read, and nothing else is taken for it.

mod toy;

use everleaf_engine::journal::{Header, JournalStep, Line, ReadError, Reader, Writer};
use everleaf_engine::replay::{Difference, Report, replay};
use everleaf_engine::{Config, Digest, Engine, Program, Record, Timestamp};
use proptest::prelude::*;
use std::io::Cursor;
use toy::hand::{MINUTE, ToyInput};
use toy::sim::{Deed, Luck, Sim};
use toy::{Toy, toy};

/// A short life with a bit of everything.
fn life() -> Sim {
    let mut sim = Sim::new(toy(), Config::default());
    let wish = |name, parts| Deed::Wish { name, input: 1, parts, token: 0, delay_ms: MINUTE };
    let deeds = [
        wish(0, 2),
        wish(1, 1),
        Deed::Pay(0),
        Deed::Pass(10 * MINUTE),
        Deed::Luck(Luck::Refused),
        Deed::Break(0, 1),
        Deed::Pass(5 * MINUTE),
        Deed::Luck(Luck::Good),
        Deed::Cancel(1),
        Deed::Lead,
        Deed::Pass(20 * MINUTE),
    ];
    deeds.iter().for_each(|deed| sim.act(deed));
    sim
}

/// A life as a journal of one file, which may open with a snapshot after so many inputs.
fn written(sim: &Sim, cut: usize) -> Vec<u8> {
    let header = Header::new(toy().plan(), Config::default(), serde_json::json!({"toy": true}));
    let mut writer = Writer::new(Vec::new(), &header).expect("memory is no file");
    let mut engine = Engine::new(toy(), Config::default());
    for (seq, (at, input)) in (0..).zip(&sim.told) {
        if cut > 0 && cut as u64 == seq {
            let snapshot = Line::<Toy>::Snapshot(Box::new(engine.snapshot()));
            writer.write(&snapshot).expect("memory is no file");
        }
        let record = engine.handle(*at, input.clone());
        while engine.poll_effect().is_some() {}
        if seq >= cut as u64 {
            writer.write(&step(seq, *at, input.clone(), record)).expect("memory is no file");
        }
    }
    bytes_of(writer)
}

fn step(seq: u64, at: Timestamp, input: ToyInput, record: Record) -> Line<Toy> {
    Line::Step(Box::new(JournalStep { seq, at, input, record }))
}

fn bytes_of(writer: Writer<Vec<u8>>) -> Vec<u8> {
    let bytes = writer.bytes();
    let out = writer.into_inner();
    assert_eq!(out.len() as u64, bytes);
    out
}

fn read_all(bytes: &[u8]) -> Result<Vec<Line<Toy>>, ReadError> {
    let mut reader = Reader::new(Cursor::new(bytes))?;
    let mut lines = Vec::new();
    while let Some(line) = reader.read::<Toy>()? {
        lines.push(line);
    }
    Ok(lines)
}

fn replayed(bytes: &[u8], toy: Toy) -> Result<Report, ReadError> {
    replay(&mut Reader::new(Cursor::new(bytes))?, toy, |_, _, _| {})
}

#[test]
fn what_was_written_is_read() {
    let sim = life();
    let bytes = written(&sim, 0);
    let header = Reader::new(Cursor::new(&bytes)).expect("it is a journal").header().clone();
    assert_eq!(
        header,
        Header::new(toy().plan(), Config::default(), serde_json::json!({"toy": true}))
    );
    let lines = read_all(&bytes).expect("it is whole");
    assert_eq!(lines.len(), sim.told.len());
    for (seq, line) in (0..).zip(&lines) {
        let Line::Step(step) = line else { panic!("there is no snapshot") };
        let (at, input) = &sim.told[seq];
        assert_eq!((step.seq, &step.at, &step.input), (seq as u64, at, input));
        assert_eq!(step.record, sim.records[seq]);
    }
}

#[test]
fn any_change_of_one_byte_is_found() {
    let sim = life();
    let bytes = written(&sim, 0);
    let end = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(12);
    let bytes = &bytes[..=end.expect("there are more lines").0];
    assert!(read_all(bytes).is_ok());
    for at in 0..bytes.len() {
        for flip in [1, 2, 4, 8, 16, 32, 64, 128] {
            let mut changed = bytes.to_vec();
            changed[at] ^= flip;
            assert!(read_all(&changed).is_err(), "byte {at} by {flip}");
        }
    }
}

#[test]
fn a_line_that_is_lost_moved_or_doubled_is_found_where_it_is() {
    let bytes = written(&life(), 0);
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let found = |lines: Vec<&[u8]>| match read_all(&lines.concat()) {
        Err(ReadError::Chain { line, .. }) => line,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was read"),
    };
    let without: Vec<_> = [&lines[..4], &lines[5..]].concat();
    let swapped: Vec<_> = [&lines[..4], &lines[5..6], &lines[4..5], &lines[6..]].concat();
    let doubled: Vec<_> = [&lines[..5], &lines[4..]].concat();
    assert_eq!([found(without), found(swapped), found(doubled)], [5, 5, 6]);
}

#[test]
fn a_torn_last_line_is_reported_and_the_rest_is_used() {
    let bytes = written(&life(), 0);
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
    for cut in 1..40 {
        let torn = &bytes[..bytes.len() - cut];
        let Err(ReadError::Torn { line, good }) = read_all(torn) else { panic!("cut by {cut}") };
        assert_eq!((line, good), (lines, lines - 1));
        let report = replayed(torn, toy()).expect("the rest is good");
        assert!(report.torn && report.divergence.is_none());
        assert_eq!(report.inputs, lines - 2);
    }
}

#[test]
fn other_files_are_refused_by_their_first_line_with_a_reason() {
    let reason = |text: &str| match Reader::new(Cursor::new(text.as_bytes())) {
        Ok(_) => panic!("it was taken for a journal"),
        Err(error) => error.to_string(),
    };
    expect_test::expect![[r#"
        line 1: not a journal of everleaf (the file is empty); give a file that `--record` wrote
        line 1: torn: the file ends within it; the 0 lines before are good
        line 1: not a journal of everleaf (it says None); give a file that `--record` wrote
        line 1: schema 9, but this build reads 2; use the build that wrote it"#]]
    .assert_eq(
        &["", "{\"journal\"", "{\"kind\":\"List\"}\n", "{\"journal\":\"everleaf\",\"schema\":9}\n"]
            .map(reason)
            .join("\n"),
    );
}

#[test]
fn a_line_that_is_no_input_names_its_place() {
    let header = Header::new(toy().plan(), Config::default(), serde_json::Value::Null);
    let text = serde_json::to_string(&header).expect("it is JSON");
    let body = "{\"step\":{\"seq\":1}}";
    let before = everleaf_engine::digest_of(&(Digest::default(), text.as_bytes()));
    let chain = everleaf_engine::digest_of(&(before, body.as_bytes()));
    let file = format!("{text}\n{chain} {body}\n");
    let Err(error) = read_all(file.as_bytes()) else { panic!("it was read") };
    expect_test::expect!["line 2: missing field `at` at line 1 column 17"]
        .assert_eq(&error.to_string());
}

#[test]
fn a_journal_replays_without_divergence() {
    let sim = life();
    let report = replayed(&written(&sim, 0), toy()).expect("it is whole");
    assert_eq!(report.divergence, None);
    assert!(report.same_plan && !report.torn);
    let effects: usize = sim.records.iter().map(|record| record.effects.len()).sum();
    let moves: usize = sim.records.iter().map(|record| record.moves.len()).sum();
    let counts = (report.inputs, report.effects, report.moves);
    assert_eq!(counts, (sim.told.len() as u64, effects as u64, moves as u64));
    assert!(effects > 5 && moves > 5);
}

#[test]
fn a_file_that_opens_with_a_snapshot_replays_without_divergence() {
    let sim = life();
    for cut in [1, sim.told.len() / 2, sim.told.len() - 1] {
        let report = replayed(&written(&sim, cut), toy()).expect("it is whole");
        assert_eq!((report.divergence, report.inputs), (None, (sim.told.len() - cut) as u64));
    }
}

/// A life whose records were changed before they were written.
fn tampered(sim: &Sim, change: impl Fn(u64, &mut Record)) -> Vec<u8> {
    let header = Header::new(toy().plan(), Config::default(), serde_json::Value::Null);
    let mut writer = Writer::new(Vec::new(), &header).expect("memory is no file");
    for (seq, ((at, input), record)) in (0..).zip(sim.told.iter().zip(&sim.records)) {
        let mut record = record.clone();
        change(seq, &mut record);
        writer.write(&step(seq, *at, input.clone(), record)).expect("memory is no file");
    }
    bytes_of(writer)
}

#[test]
fn a_decision_that_was_tampered_with_is_found_at_its_record() {
    let sim = life();
    let of = |f: fn(&Record) -> bool| sim.records.iter().position(f).expect("there is one") as u64;
    let at_seq = |seq, change: fn(&mut Record)| {
        let bytes = tampered(&sim, |s, record| {
            if s == seq {
                change(record)
            }
        });
        let divergence = replayed(&bytes, toy()).expect("it is whole").divergence;
        let divergence = divergence.expect("it differs");
        assert_eq!((divergence.seq, divergence.line), (seq, seq + 2));
        divergence.what
    };
    let (started, moved) = (of(|r| !r.effects.is_empty()), of(|r| !r.moves.is_empty()));
    let what = at_seq(started, |record| record.effects.clear());
    assert!(matches!(what, Difference::Effects { .. }));
    let what = at_seq(started, |record| record.effects[0].digest = Digest(1));
    assert!(matches!(what, Difference::Effects { .. }));
    let what = at_seq(moved, |record| record.moves[0].to = 0);
    assert!(matches!(what, Difference::Moves { .. }));
    let what = at_seq(3, |record| record.wake = Some(Timestamp::default()));
    assert!(matches!(what, Difference::Waits { .. }));
    let what = at_seq(3, |record| record.state = Digest(1));
    assert_eq!(what, Difference::State);
}

#[test]
fn a_program_that_decides_otherwise_is_found_where_it_first_does() {
    let sim = life();
    let writes =
        |record: &Record| record.effects.iter().any(|e| e.id.step == toy::step::WRITE_STATUS);
    let first = sim.records.iter().position(writes).expect("a status was written");
    let report = replayed(&written(&sim, 0), Toy { lies: true, ..toy() }).expect("it is whole");
    let divergence = report.divergence.expect("it says another thing");
    assert_eq!(divergence.seq, first as u64);
    assert!(matches!(divergence.what, Difference::Effects { .. }));
}

#[test]
fn another_timing_is_found_where_something_else_is_waited_for() {
    let plan = include_str!("toy/job.yaml").replace("deadline: 2m", "deadline: 3m");
    let sim = life();
    let starts = sim.records.iter().position(|record| !record.effects.is_empty());
    let report = replayed(&written(&sim, 0), toy::toy_with(&plan)).expect("it is whole");
    assert!(!report.same_plan);
    let divergence = report.divergence.expect("a deadline is later");
    assert!(matches!(divergence.what, Difference::Waits { .. }), "{divergence:?}");
    assert!(divergence.seq >= starts.expect("there is one") as u64);
}

#[test]
fn a_gap_between_two_records_is_found() {
    let sim = life();
    let header = Header::new(toy().plan(), Config::default(), serde_json::Value::Null);
    let mut writer = Writer::new(Vec::new(), &header).expect("memory is no file");
    for seq in [u64::MAX, 5] {
        let (at, input) = sim.told[0].clone();
        let record = sim.records[0].clone();
        writer.write(&step(seq, at, input, record)).expect("memory is no file");
    }
    let report = replayed(&bytes_of(writer), toy()).expect("it is whole");
    let what = report.divergence.expect("5 does not follow").what;
    assert_eq!(what, Difference::Sequence { expected: 0 });
}

#[test]
fn a_snapshot_of_a_plan_of_another_shape_does_no_harm() {
    let sim = life();
    let bytes = written(&sim, sim.told.len() / 2);
    let plan = r#"
machine: job
object: Job
about: Another life altogether.
start: waiting
facts: {deleting: it is}
waits: {recheck: {every: 1h}}
states:
  gone: {when: [deleting], end: true}
  waiting: {waits: [recheck], goal: true}
edges:
  - {from: any, to: gone, on: deleting, name: deleted, why: it is}
"#;
    let report = replayed(&bytes, toy::toy_with(plan)).expect("it is whole");
    assert!(!report.same_plan && report.divergence.is_some());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn hostile_bytes_are_an_error_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read_all(&bytes);
        let mut after_a_header = written(&Sim::new(toy(), Config::default()), 0);
        after_a_header.extend(&bytes);
        let _ = read_all(&after_a_header);
    }

    /// A snapshot in which numbers were changed and which was then chained anew, as somebody might
    /// who wants to do harm.
    #[test]
    fn a_forged_snapshot_is_never_a_panic(number in any::<u64>(), which in 0..400_usize) {
        let sim = life();
        let mut engine = Engine::new(toy(), Config::default());
        for (at, input) in &sim.told[..sim.told.len() * 2 / 3] {
            engine.handle(*at, input.clone());
            while engine.poll_effect().is_some() {}
        }
        let mut value = serde_json::to_value(engine.snapshot()).expect("it is JSON");
        forge(&mut value, &mut { which }, number);
        let Ok(snapshot) = serde_json::from_value(value) else { return Ok(()) };
        let mut engine = Engine::<Toy>::restore(toy(), snapshot);
        for (at, input) in &sim.told[sim.told.len() * 2 / 3..] {
            engine.handle(*at, input.clone());
            while engine.poll_effect().is_some() {}
        }
        engine.handle(Timestamp::from_millis(i64::MAX), everleaf_engine::Input::Tick);
    }
}

/// Replaces the n-th number.
fn forge(value: &mut serde_json::Value, nth: &mut usize, number: u64) {
    match value {
        serde_json::Value::Number(_) if *nth == 0 => {
            *value = if number.is_multiple_of(2) { (number % 300).into() } else { number.into() };
            *nth = usize::MAX;
        }
        serde_json::Value::Number(_) => *nth -= 1,
        serde_json::Value::Array(list) => list.iter_mut().for_each(|v| forge(v, nth, number)),
        serde_json::Value::Object(map) => map.values_mut().for_each(|v| forge(v, nth, number)),
        _ => {}
    }
}
