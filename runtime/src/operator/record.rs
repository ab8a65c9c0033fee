//! Recording: the driver's inputs and the engine's decisions, in files that rotate by size. Each
//! file opens with a snapshot, so that any of them can be replayed alone. The oldest go when all of
//! them together would be too large.

use everleaf_engine::journal::{Header, JournalStep, Line, Writer};
use everleaf_engine::{Engine, Input, Record, Timestamp};
use everleaf_nodes::{Everleaf, Facts, Kind};
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

/// The size from which on a new file is begun.
const FILE_MAX: u64 = 64 << 20;

/// How large the files of a directory may become together, in bytes, unless something else is asked
/// for.
pub const RECORD_TOTAL: u64 = 1 << 30;
/// The least that may be asked for: one full file beside the one that is written.
pub const SMALLEST_TOTAL: u64 = 2 * FILE_MAX;

/// A journal in a directory.
pub struct Recorder {
    directory: PathBuf,
    total: u64,
    header: Header,
    file: Writer<BufWriter<File>>,
    seq: u64,
    dirty: bool,
}

impl Recorder {
    /// Begins a journal in a directory, which is made if it is not there. Journals there, of
    /// earlier runs too, are deleted, oldest first, so that all have at most `total` bytes.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn new(
        directory: &Path,
        total: u64,
        header: Header,
        engine: &Engine<Everleaf>,
    ) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        make_room(directory, total);
        let (directory, seq) = (directory.to_owned(), 0);
        let file = begin(&directory, &header, engine, seq)?;
        Ok(Self { directory, total, header, file, seq, dirty: false })
    }

    /// Records an input and what it led to.
    ///
    /// # Errors
    /// If it cannot be written; the journal then ends here.
    pub fn record(
        &mut self,
        engine: &Engine<Everleaf>,
        at: Timestamp,
        input: Input<Kind, Facts>,
        record: Record,
    ) -> io::Result<()> {
        let step = JournalStep { seq: self.seq, at, input, record };
        self.file.write(&Line::<Everleaf>::Step(Box::new(step)))?;
        self.seq += 1;
        self.dirty = true;
        if self.file.bytes() > FILE_MAX {
            self.file.flush()?;
            make_room(&self.directory, self.total);
            self.file = begin(&self.directory, &self.header, engine, self.seq)?;
        }
        Ok(())
    }

    /// Hands what was recorded to the operating system.
    ///
    /// # Errors
    /// If that fails.
    pub fn flush(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.dirty) { self.file.flush() } else { Ok(()) }
    }
}

/// Deletes the oldest files until a full one more fits in. What cannot be deleted is told of and
/// left: a journal is not worth ending for that.
fn make_room(directory: &Path, total: u64) {
    let room = total.saturating_sub(FILE_MAX);
    let files = match files_in(directory) {
        Ok(files) => files,
        Err(error) => return tracing::warn!(%error, "old journals cannot be listed"),
    };
    let mut sum: u64 = files.iter().map(|(_, size)| size).sum();
    for (path, size) in files {
        if sum <= room {
            return;
        }
        let (file, shown) = (&path, path.display());
        match fs::remove_file(file) {
            Ok(()) => tracing::info!(file = %shown, "an old journal was deleted"),
            Err(error) => tracing::warn!(file = %shown, %error, "an old journal stays"),
        }
        sum -= size;
    }
}

/// The journals of a directory and their sizes in bytes, oldest first: names begin with the time.
fn files_in(directory: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(is_journal);
        if let (true, Ok(meta)) = (ours, entry.metadata()) {
            files.push((entry.path(), meta.len()));
        }
    }
    files.sort();
    Ok(files)
}

/// `everleaf-<milliseconds>-<sequence>.jsonl`, both in a fixed number of digits until the year 2286.
fn is_journal(name: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let stem = name.strip_prefix("everleaf-").and_then(|name| name.strip_suffix(".jsonl"));
    let parts = stem.and_then(|stem| stem.split_once('-'));
    parts.is_some_and(|(time, seq)| digits(time) && digits(seq))
}

fn begin(
    directory: &Path,
    header: &Header,
    engine: &Engine<Everleaf>,
    seq: u64,
) -> io::Result<Writer<BufWriter<File>>> {
    let started = crate::ports::now().as_millis();
    let path = directory.join(format!("everleaf-{started}-{seq:012}.jsonl"));
    let mut file = Writer::new(BufWriter::new(File::create_new(path)?), header)?;
    if !engine.world().is_empty() || seq > 0 {
        file.write(&Line::Snapshot(Box::new(engine.snapshot())))?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of its own, removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("everleaf-record-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn put(&self, name: &str, size: u64) {
            File::create(self.0.join(name)).unwrap().set_len(size).unwrap();
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<_> = names.collect();
            names.sort();
            names
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_oldest_journals_go_first_and_only_as_many_as_have_to() {
        let folder = Folder::new("oldest");
        for (time, seq) in
            [(1_700_000_000_000u64, 0), (1_700_000_000_000, 900), (1_800_000_000_000, 0)]
        {
            folder.put(&format!("everleaf-{time}-{seq:012}.jsonl"), FILE_MAX);
        }
        make_room(&folder.0, 4 * FILE_MAX);
        assert_eq!(folder.names().len(), 3, "three and the next are four");
        make_room(&folder.0, 3 * FILE_MAX);
        let left = [
            "everleaf-1700000000000-000000000900.jsonl",
            "everleaf-1800000000000-000000000000.jsonl",
        ];
        assert_eq!(folder.names(), left);
    }

    #[test]
    fn what_is_no_journal_of_ours_is_never_deleted() {
        let folder = Folder::new("foreign");
        let foreign =
            ["everleaf-notes.jsonl", "everleaf-1-2.json", "notes.jsonl", "everleaf-1.jsonl"];
        for name in foreign {
            folder.put(name, FILE_MAX);
        }
        make_room(&folder.0, 0);
        assert_eq!(folder.names().len(), foreign.len());
    }

    #[test]
    fn a_journal_makes_room_for_itself_and_stays_whatever_the_limit() {
        let folder = Folder::new("new");
        folder.put("everleaf-1700000000000-000000000000.jsonl", FILE_MAX);
        let program = Everleaf::new(everleaf_nodes::Options::default());
        let config = everleaf_engine::Config::default();
        use everleaf_engine::Program as _;
        let header = Header::new(program.plan(), config, serde_json::Value::Null);
        let engine = Engine::new(program, config);
        let mut recorder = Recorder::new(&folder.0, 0, header, &engine).unwrap();
        recorder.flush().unwrap();
        let names = folder.names();
        assert!(names.len() == 1 && !names[0].contains("1700000000000"), "{names:?}");
    }
}
