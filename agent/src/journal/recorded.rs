//! What the history held when the agent started, for those who tell of the past.
//!
//! The writer's thread opens the files before it appends to them, and does no more: they are read
//! from these handles elsewhere, up to the length that they had, whatever becomes of their names.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::entry::{Entry, Head};

/// The files of the history, as they were at the start.
#[derive(Debug, Default)]
pub struct Recorded {
    /// The oldest first, each with its length.
    files: Vec<(File, u64)>,
    /// Why there is a file that is not among them.
    failure: Option<String>,
}

/// One line of a history.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Line {
    /// It is one of ours.
    Entry(Box<Entry>),
    /// A newer version wrote it.
    Unknown(Head),
    /// It is torn, or none of ours.
    Unreadable,
}

impl Recorded {
    /// Opens what is there of `paths`, the oldest first.
    pub(super) fn open(paths: [&Path; 2]) -> Self {
        let mut recorded = Self::default();
        for path in paths {
            match open(path) {
                Ok(piece) => recorded.files.extend(piece),
                Err(failed) => {
                    recorded.failure = Some(format!("cannot open {}: {failed}", path.display()));
                }
            }
        }
        recorded
    }

    /// Reads all lines in their order; waits for the disk.
    ///
    /// # Errors
    ///
    /// Says what could not be read; the lines before it were told.
    pub fn read(self, mut tell: impl FnMut(Line)) -> Result<(), String> {
        for (file, len) in self.files {
            read_file(file, len, &mut tell).map_err(|failed| failed.to_string())?;
        }
        self.failure.map_or(Ok(()), Err)
    }
}

fn open(path: &Path) -> io::Result<Option<(File, u64)>> {
    let mut options = OpenOptions::new();
    // A FIFO in the place of the file must not block the writer.
    options.read(true).custom_flags(nix::libc::O_NONBLOCK);
    let file = match options.open(path) {
        Ok(file) => file,
        Err(absent) if absent.kind() == ErrorKind::NotFound => return Ok(None),
        Err(failed) => return Err(failed),
    };
    let len = file.metadata()?.len();
    Ok(Some((file, len)))
}

fn read_file(file: File, len: u64, tell: &mut impl FnMut(Line)) -> io::Result<()> {
    let mut reader = BufReader::new(file.take(len.min(FILE_MAX)));
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(());
        }
        if line.last() != Some(&b'\n') && read as u64 == LINE_MAX {
            reader.skip_until(b'\n')?;
        }
        tell(parse(&line));
    }
}

/// Returns what a line says, with or without its end.
pub fn parse(line: &[u8]) -> Line {
    if let Ok(entry) = serde_json::from_slice(line) {
        return Line::Entry(Box::new(entry));
    }
    serde_json::from_slice(line).map_or(Line::Unreadable, Line::Unknown)
}

/// Far more than a line with all hosts of a large cluster in it.
const LINE_MAX: u64 = 64 << 10;
/// Twice what the writer lets a file grow to: a longer one is foreign.
const FILE_MAX: u64 = 2 << 20;

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use curfew_coordinator::Note;

    use super::super::entry::Noted;
    use super::*;
    use crate::test_directory::TestDirectory;

    const LOST: &str = r#"{"date":1,"boot_ms":2,"boot":"b","event":"mains-lost"}"#;

    fn read(bytes: [&[u8]; 2]) -> Vec<Line> {
        let directory = TestDirectory::new();
        let paths = ["old", "new"].map(|name| directory.path().join(name));
        for (path, bytes) in paths.iter().zip(bytes) {
            File::create(path).unwrap().write_all(bytes).unwrap();
        }
        let recorded = Recorded::open([&paths[0], &paths[1]]);
        // What is appended after the start comes by another way.
        let mut file = OpenOptions::new().append(true).open(&paths[1]).unwrap();
        writeln!(file, "{LOST}").unwrap();
        let mut lines = Vec::new();
        recorded.read(|line| lines.push(line)).unwrap();
        lines
    }

    fn is_lost(line: &Line) -> bool {
        matches!(line, Line::Entry(entry) if entry.note == Noted::Coordinator(Note::MainsLost))
    }

    #[test]
    fn both_files_are_read_and_nothing_that_was_appended_since() {
        let (old, new) = (format!("{LOST}\n{LOST}\n"), format!("{LOST}\n"));
        let lines = read([old.as_bytes(), new.as_bytes()]);
        assert_eq!(lines.iter().filter(|line| is_lost(line)).count(), 3);
        assert_eq!(lines.len(), 3);
    }

    #[test]
    fn torn_foreign_and_newer_lines_are_told_apart() {
        let newer = LOST.replace("mains-lost", "ate-a-fish");
        let foreign = vec![b'x'; 200 << 10];
        let torn = LOST.get(..30).unwrap();
        let old = [&foreign, b"\n".as_slice(), LOST.as_bytes(), b"\n"].concat();
        let new = format!("{newer}\n{torn}\n{LOST}");
        let lines = read([&old, new.as_bytes()]);
        assert_eq!(lines.len(), 5, "{lines:?}");
        assert_eq!(lines[0], Line::Unreadable);
        assert!(is_lost(&lines[1]));
        assert!(matches!(&lines[2], Line::Unknown(head) if head.at.as_millis() == 2));
        assert_eq!(lines[3], Line::Unreadable);
        assert!(is_lost(&lines[4]), "whole but for its end");
    }

    #[test]
    fn no_history_is_none_and_no_failure() {
        let nowhere = Path::new("/nonexistent/history");
        Recorded::open([nowhere, nowhere]).read(|line| panic!("{line:?}")).unwrap();
    }

    #[test]
    fn a_folder_in_its_place_is_a_failure() {
        let directory = TestDirectory::new();
        let nowhere = Path::new("/nonexistent/history");
        let recorded = Recorded::open([nowhere, directory.path()]);
        assert!(recorded.read(|line| panic!("{line:?}")).unwrap_err().contains("directory"));
    }
}
