//! Follows the history that an agent writes.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use crate::journal::Entry;

/// A history file that is read as it grows. It is far too short to be rotated in a demo.
#[derive(Debug)]
pub(super) struct History {
    path: PathBuf,
    read: u64,
}

impl History {
    /// Names the file, which need not be there yet.
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path, read: 0 }
    }

    /// Returns what was added since the last look. A line that is not whole yet is read next time.
    pub(super) fn news(&mut self) -> io::Result<Vec<Entry>> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(failed) => return Err(failed),
        };
        file.seek(SeekFrom::Start(self.read))?;
        let mut added = Vec::new();
        file.read_to_end(&mut added)?;
        let whole = added.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let (whole, _torn) = added.split_at(whole);
        self.read += whole.len() as u64;
        let lines = whole.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).map_err(io::Error::other)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write as _;

    use curfew_coordinator::Note;

    use super::*;
    use crate::test_directory::TestDirectory;

    const LINE: &str = r#"{"date":1,"boot_ms":2,"boot":"b","event":"mains-lost"}"#;

    #[test]
    fn reads_what_is_added_and_waits_for_the_end_of_a_line() {
        let directory = TestDirectory::new();
        let path = directory.path().join("history.jsonl");
        let mut history = History::new(path.clone());
        assert!(history.news().unwrap().is_empty(), "it is not there yet");
        let mut file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        let (start, end) = LINE.split_at(20);
        write!(file, "{LINE}\n{start}").unwrap();
        let news = history.news().unwrap();
        assert_eq!(news.len(), 1);
        assert_eq!((news[0].at.as_millis(), &news[0].note), (2, &Note::MainsLost.into()));
        assert!(history.news().unwrap().is_empty());
        writeln!(file, "{end}").unwrap();
        assert_eq!(history.news().unwrap().len(), 1);
    }

    #[test]
    fn a_line_that_means_nothing_is_an_error() {
        let directory = TestDirectory::new();
        let path = directory.path().join("history.jsonl");
        let mut file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        writeln!(file, "what").unwrap();
        assert!(History::new(path).news().is_err());
    }
}
