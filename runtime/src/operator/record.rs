//! Recording: the driver's inputs and the engine's decisions, in files that rotate by size. Each
//! file opens with a snapshot, so that any of them can be replayed alone.

use everleaf_engine::journal::{Header, JournalStep, Line, Writer};
use everleaf_engine::{Engine, Input, Record, Timestamp};
use everleaf_nodes::{Everleaf, Facts, Kind};
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

/// The size from which on a new file is begun.
const FILE_MAX: u64 = 64 << 20;

/// A journal in a directory.
pub struct Recorder {
    directory: PathBuf,
    header: Header,
    file: Writer<BufWriter<File>>,
    seq: u64,
    dirty: bool,
}

impl Recorder {
    /// Begins a journal in a directory, which is made if it is not there.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn new(directory: &Path, header: Header, engine: &Engine<Everleaf>) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let (directory, seq) = (directory.to_owned(), 0);
        let file = begin(&directory, &header, engine, seq)?;
        Ok(Self { directory, header, file, seq, dirty: false })
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
