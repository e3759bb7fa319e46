//! The records of the battery on disk: `battery.json` in the state directory, replaced as a whole.
//!
//! They are no state of the journal: who loses them loses the comparison with earlier months, and
//! nothing else. What blocks here blocks; only a thread of its own calls it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::trend::Trend;

/// Why there are no records, or they are not kept.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is there and cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It is damaged; the records start anew and take its place.
    #[error("{} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A newer agent wrote it; it stays as it is.
    #[error("{} was written by a newer curfew", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be put into its form: a bug.
    #[error("cannot encode the records of the battery")]
    Encode {
        /// What the encoder said.
        #[source]
        source: serde_json::Error,
    },
    /// It cannot be written.
    #[error("cannot replace {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

#[derive(Debug, Deserialize, Serialize)]
struct Form {
    version: u32,
    ups: String,
    records: Trend,
}

#[derive(Debug, Deserialize)]
struct Head {
    version: u32,
}

/// Reads the records of `ups`; those of another are none.
pub fn read(directory: &Path, ups: &str) -> Result<Trend, FileError> {
    let path = directory.join(NAME);
    let mut options = OpenOptions::new();
    // A FIFO in its place must not block the reader.
    let file = options.read(true).custom_flags(nix::libc::O_NONBLOCK).open(&path);
    let mut bytes = Vec::new();
    match file.and_then(|file| file.take(LEN_MAX).read_to_end(&mut bytes)) {
        Ok(_len) => {}
        Err(absent) if absent.kind() == ErrorKind::NotFound => return Ok(Trend::default()),
        Err(source) => return Err(FileError::Read { path, source }),
    }
    let damaged = |source| FileError::Damaged { path: path.clone(), source };
    let Head { version } = serde_json::from_slice(&bytes).map_err(damaged)?;
    if version > VERSION {
        return Err(FileError::Newer { path });
    }
    let form: Form = serde_json::from_slice(&bytes).map_err(damaged)?;
    let mut trend = if form.ups == ups { form.records } else { Trend::default() };
    trend.bound();
    Ok(trend)
}

/// Replaces the records; a crash leaves the old ones or the new ones.
pub fn write(directory: &Path, ups: &str, trend: &Trend) -> Result<(), FileError> {
    let path = directory.join(NAME);
    let form = Form { version: VERSION, ups: ups.to_owned(), records: trend.clone() };
    let bytes = serde_json::to_vec(&form).map_err(|source| FileError::Encode { source })?;
    replace(directory, &path, &bytes).map_err(|source| FileError::Write { path, source })
}

fn replace(directory: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("json.new");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    File::open(directory)?.sync_all()
}

const NAME: &str = "battery.json";
/// Raised when an older agent could not read it any more.
const VERSION: u32 = 1;
/// Seventeen bands of some 40 records, some times.
const LEN_MAX: u64 = 256 << 10;

#[cfg(test)]
mod tests {
    use super::super::trend::Record;
    use super::*;
    use crate::test_directory::TestDirectory;

    fn trend() -> Trend {
        let mut trend = Trend::default();
        for day in 1..60_u32 {
            let record =
                Record { date: u64::from(day) * 86_400, runtime: 1800.0, load: f64::from(day + 9) };
            assert!(trend.add(record));
        }
        trend
    }

    fn put(directory: &TestDirectory, text: &str) {
        File::create(directory.path().join(NAME)).unwrap().write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn what_was_written_is_read_for_the_same_ups() {
        let directory = TestDirectory::new();
        assert_eq!(read(directory.path(), "eaton").unwrap(), Trend::default());
        write(directory.path(), "eaton", &trend()).unwrap();
        assert_eq!(read(directory.path(), "eaton").unwrap(), trend());
        assert_eq!(read(directory.path(), "other").unwrap(), Trend::default());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_damaged_or_newer_is_told_apart() {
        let directory = TestDirectory::new();
        for damage in ["", "{\"version\":1", "{\"version\":1}", "[]", "\0\0"] {
            put(&directory, damage);
            let failed = read(directory.path(), "eaton").unwrap_err();
            assert!(matches!(failed, FileError::Damaged { .. }), "{damage}");
        }
        put(&directory, "{\"version\":2,\"what\":1}");
        assert!(matches!(read(directory.path(), "eaton"), Err(FileError::Newer { .. })));
        let newer_field = "{\"version\":1,\"ups\":\"eaton\",\"records\":{\"bands\":{}},\"more\":1}";
        put(&directory, newer_field);
        assert_eq!(read(directory.path(), "eaton").unwrap(), Trend::default());
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error_to_write_to() {
        let failed = write(Path::new("/nonexistent"), "eaton", &trend()).unwrap_err();
        assert!(matches!(failed, FileError::Write { .. }));
    }
}
