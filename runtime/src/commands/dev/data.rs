//! The cluster on disk: one file, written whole and then put in the place of the one before.

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The largest file that is read or written, in bytes.
const LARGEST: u64 = 256 << 20;
const FORMAT: &str = "everleaf-dev/1";
const NAME: &str = "cluster.json";

/// Why a cluster cannot be kept or found again.
#[derive(Debug, thiserror::Error)]
pub(super) enum DataError {
    /// The file system says no.
    #[error("{}: {error}", path.display())]
    Io { path: PathBuf, error: std::io::Error },
    /// Another process keeps its cluster there.
    #[error("{}: another everleaf dev has its cluster there", .0.display())]
    Taken(PathBuf),
    /// The file is not what was written.
    #[error("{}: {why}; move it away to begin with an empty cluster", path.display())]
    Damaged { path: PathBuf, why: String },
    /// There is more than is kept.
    #[error("{}: the cluster has grown beyond {} MiB and is not kept any more", .0.display(), LARGEST >> 20)]
    Large(PathBuf),
}

/// A folder that a cluster is kept in. Nobody else has it meanwhile.
pub(super) struct Data {
    folder: PathBuf,
    /// Held for its lock.
    _lock: File,
}

impl Data {
    /// Takes a folder, which is made if it is not there.
    ///
    /// # Errors
    /// If it cannot be made or written, or another process has it.
    pub(super) fn open(folder: &Path) -> Result<Self, DataError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |error| DataError::Io { path, error }
        };
        std::fs::create_dir_all(folder).map_err(at(folder))?;
        let path = folder.join("lock");
        let lock = private(&path).map_err(at(&path))?;
        lock.try_lock().map_err(|_| DataError::Taken(folder.to_owned()))?;
        Ok(Self { folder: folder.to_owned(), _lock: lock })
    }

    fn file(&self) -> PathBuf {
        self.folder.join(NAME)
    }

    /// What was kept last; none in a new folder.
    ///
    /// # Errors
    /// If it cannot be read, or is not what was written.
    pub(super) fn read(&self) -> Result<Option<Value>, DataError> {
        let path = self.file();
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(DataError::Io { path, error }),
        };
        let mut text = String::new();
        let read = file.take(LARGEST + 1).read_to_string(&mut text);
        if let Err(error) = read {
            return Err(match error.kind() {
                std::io::ErrorKind::InvalidData => self.damaged("it is not text"),
                _ => DataError::Io { path, error },
            });
        }
        if text.len() as u64 > LARGEST {
            return Err(self.damaged("it is larger than what is ever written"));
        }
        let (head, body) = text.split_once('\n').unwrap_or((&text, ""));
        let head: Value = serde_json::from_str(head).unwrap_or_default();
        if head["format"] != FORMAT {
            return Err(self.damaged(&format!("it does not begin as {FORMAT} does")));
        }
        if head["sha256"] != hex_digest(body) {
            return Err(self.damaged("its content is not what was written"));
        }
        serde_json::from_str(body).map(Some).map_err(|error| self.damaged(&error.to_string()))
    }

    /// The error for a file that holds something else.
    pub(super) fn damaged(&self, why: &str) -> DataError {
        DataError::Damaged { path: self.file(), why: why.to_owned() }
    }

    /// Keeps a cluster in the place of the one before.
    ///
    /// # Errors
    /// If it cannot be written, or is too large; then the one before stays.
    pub(super) fn write(&self, content: &Value) -> Result<(), DataError> {
        let body = content.to_string();
        if body.len() as u64 > LARGEST - 1024 {
            return Err(DataError::Large(self.file()));
        }
        let head = json!({"format": FORMAT, "sha256": hex_digest(&body)});
        let path = self.folder.join(format!("{NAME}.new"));
        let written = private(&path).and_then(|mut file| {
            file.set_len(0)?;
            file.write_all(format!("{head}\n{body}").as_bytes())?;
            file.sync_all()
        });
        let placed = written.and_then(|()| std::fs::rename(&path, self.file()));
        placed.map_err(|error| DataError::Io { path: self.file(), error })
    }
}

/// A file for its owner alone: there are keys in it.
fn private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)
}

fn hex_digest(text: &str) -> String {
    digest(&SHA256, text.as_bytes()).as_ref().iter().fold(String::new(), |mut out, byte| {
        // Writing into a String cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::Folder;
    use super::*;

    #[test]
    fn what_was_kept_is_found_again_and_two_do_not_share_it() {
        let folder = Folder::new("data");
        let data = Data::open(&folder.0).unwrap();
        assert_eq!(data.read().unwrap(), None);
        data.write(&json!({"a": 1})).unwrap();
        data.write(&json!({"a": 2})).unwrap();
        assert_eq!(data.read().unwrap(), Some(json!({"a": 2})));
        assert!(matches!(Data::open(&folder.0), Err(DataError::Taken(_))));
        drop(data);
        assert_eq!(Data::open(&folder.0).unwrap().read().unwrap(), Some(json!({"a": 2})));
    }

    #[test]
    fn a_damaged_file_is_told_and_left_where_it_is() {
        let folder = Folder::new("damaged");
        let data = Data::open(&folder.0).unwrap();
        data.write(&json!({"a": "long enough to be cut"})).unwrap();
        let whole = std::fs::read(data.file()).unwrap();
        let mut changed = whole.clone();
        *changed.last_mut().unwrap() = b' ';
        for broken in [&whole[..whole.len() - 4], &changed, b"{}\n{}", b"\xff\xfe", b""] {
            std::fs::write(data.file(), broken).unwrap();
            let told = data.read().unwrap_err().to_string();
            assert!(told.contains("cluster.json: ") && told.contains("move it away"), "{told}");
        }
    }
}
