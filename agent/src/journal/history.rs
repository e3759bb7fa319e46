//! The history file: one JSON object on each line, appended, with one old file kept.
//!
//! A crash or a full disk can tear the last line. It is repaired before the next line is appended:
//! a line that is whole but for its end gets it, any other piece is cut off.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;
use tracing::debug;

use super::StoreError;
use super::directory::sync_directory;
use super::recorded::Recorded;

/// The history file of a state directory.
#[derive(Debug)]
pub(super) struct History {
    directory: PathBuf,
    path: PathBuf,
    old: PathBuf,
    open: Option<Open>,
    limit: u64,
}

/// An open file whose last line is whole.
#[derive(Debug)]
struct Open {
    file: File,
    len: u64,
}

impl History {
    /// Names the files in `directory`; nothing is opened yet.
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            path: directory.join("history.jsonl"),
            old: directory.join("history.old.jsonl"),
            open: None,
            limit: LEN_MAX,
        }
    }

    /// Returns whether anything was ever recorded here.
    pub(super) fn exists(&self) -> bool {
        self.path.exists() || self.old.exists()
    }

    /// Opens what is there, for a reader; nothing of it is read yet.
    pub(super) fn recorded(&self) -> Recorded {
        Recorded::open([&self.old, &self.path])
    }

    /// Appends lines, each without its end, and makes them durable.
    pub(super) fn append(&mut self, lines: &[Vec<u8>]) -> Result<(), StoreError> {
        self.try_append(lines).map_err(|source| {
            // What was written of it is not known: repair before the next one.
            self.open = None;
            StoreError::Append { path: self.path.clone(), source }
        })
    }

    fn try_append(&mut self, lines: &[Vec<u8>]) -> io::Result<()> {
        let mut bytes: Vec<u8> = Vec::new();
        for line in lines {
            bytes.extend_from_slice(line);
            bytes.push(b'\n');
        }
        let added = bytes.len() as u64;
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.open_whole()?,
        };
        if open.len > 0 && open.len.saturating_add(added) > self.limit {
            fs::rename(&self.path, &self.old)?;
            open = self.open_whole()?;
            sync_directory(&self.directory)?;
        }
        if let Err(source) = open.file.write_all(&bytes).and_then(|()| open.file.sync_data()) {
            // The lines will come again: none of them may stand here twice.
            if let Err(torn) = open.file.set_len(open.len) {
                debug!(%torn, "the history keeps lines that will be there twice");
            }
            return Err(source);
        }
        open.len = open.len.saturating_add(added);
        self.open = Some(open);
        Ok(())
    }

    fn open_whole(&self) -> io::Result<Open> {
        let mut options = OpenOptions::new();
        let mut file = options.read(true).append(true).create(true).mode(0o600).open(&self.path)?;
        let len = file.metadata()?.len();
        let tail_at = len.saturating_sub(LINE_MAX);
        let mut tail = Vec::new();
        file.seek(SeekFrom::Start(tail_at))?;
        (&file).take(len - tail_at).read_to_end(&mut tail)?;
        let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let (kept, torn) = tail.split_at(whole);
        if torn.is_empty() {
            return Ok(Open { file, len });
        }
        if serde_json::from_slice::<IgnoredAny>(torn).is_ok() {
            file.write_all(b"\n")?;
            return Ok(Open { file, len: len + 1 });
        }
        if kept.is_empty() && tail_at > 0 {
            // Not one line end in all of it: this is no history of ours, and is rotated away.
            fs::rename(&self.path, &self.old)?;
            return self.open_whole();
        }
        let len = tail_at + kept.len() as u64;
        file.set_len(len)?;
        Ok(Open { file, len })
    }
}

/// The file of some ten thousand events; at a busy outage's hundred that is years.
const LEN_MAX: u64 = 1 << 20;
/// Far more than a line with all hosts of a large cluster in it.
const LINE_MAX: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_directory::TestDirectory;

    fn text(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    fn put(path: &Path, bytes: &[u8]) {
        File::create(path).unwrap().write_all(bytes).unwrap();
    }

    #[test]
    fn lines_are_appended_over_restarts() {
        let directory = TestDirectory::new();
        for number in 0..3 {
            let mut history = History::new(directory.path());
            assert_eq!(history.exists(), number > 0);
            history.append(&[format!("{{\"n\":{number}}}").into_bytes()]).unwrap();
        }
        let path = directory.path().join("history.jsonl");
        assert_eq!(text(&path), "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n");
    }

    #[test]
    fn a_torn_last_line_is_cut_and_a_whole_one_gets_its_end() {
        let directory = TestDirectory::new();
        let path = directory.path().join("history.jsonl");
        for (before, after) in [
            ("{\"a\":1}\n{\"b\"", "{\"a\":1}\n{}\n"),
            ("{\"a\":1}\n{\"b\":2}", "{\"a\":1}\n{\"b\":2}\n{}\n"),
            ("{\"a\"", "{}\n"),
            ("", "{}\n"),
            ("{\"a\":1}\n\0\0\0\0", "{\"a\":1}\n{}\n"),
        ] {
            put(&path, before.as_bytes());
            History::new(directory.path()).append(&[b"{}".to_vec()]).unwrap();
            assert_eq!(text(&path), after);
        }
    }

    #[test]
    fn a_long_history_is_rotated_and_one_old_file_is_kept() {
        let directory = TestDirectory::new();
        let mut history = History { limit: 20, ..History::new(directory.path()) };
        for number in 10..17 {
            history.append(&[format!("{{\"n\":{number}}}").into_bytes()]).unwrap();
        }
        let path = directory.path();
        assert_eq!(text(&path.join("history.jsonl")), "{\"n\":16}\n");
        assert_eq!(text(&path.join("history.old.jsonl")), "{\"n\":14}\n{\"n\":15}\n");
        assert_eq!(fs::read_dir(path).unwrap().count(), 2);
    }

    #[test]
    fn a_large_foreign_file_is_moved_away_whole() {
        let directory = TestDirectory::new();
        let path = directory.path().join("history.jsonl");
        let foreign = vec![b'x'; 100 << 10];
        put(&path, &foreign);
        History::new(directory.path()).append(&[b"{}".to_vec()]).unwrap();
        assert_eq!(text(&path), "{}\n");
        assert_eq!(fs::read(directory.path().join("history.old.jsonl")).unwrap(), foreign);
    }
}
