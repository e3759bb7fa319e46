//! The journal on real disks: full, read-only, hung, cut off in any step, and full of rubbish.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;

use curfew_coordinator::{Date, Note, SavedGauge, Session, Time};
use nix::sys::stat::Mode;
use nix::unistd::{Uid, mkfifo};
use proptest::prelude::*;
use serde_json::Value;
use tokio::time::Instant;

use super::directory::Store;
use super::*;
use crate::test_directory::TestDirectory;

fn saved(ended: u64) -> Saved {
    Saved {
        session: Session { boot: "b".into(), start: 3 },
        ended,
        highest: ended,
        shutdown: None,
        begun: None,
        owed: BTreeMap::new(),
        up: BTreeMap::new(),
        planned: BTreeMap::new(),
        leaving: BTreeMap::new(),
        gauge: SavedGauge::default(),
        is_called_off: false,
        conducting_since: Some(Time::from_millis(5)),
        stop_times: BTreeMap::new(),
    }
}

fn entry(note: Note) -> Entry {
    Entry {
        date: Date(1_700_000_000),
        at: Time::from_millis(1234),
        boot: "b".into(),
        note: note.into(),
        seen: None,
    }
}

fn body(ended: u64) -> Body {
    Body { start: 3, saved: Some(saved(ended)) }
}

fn put(path: &Path, bytes: &[u8]) {
    fs::File::create(path).unwrap().write_all(bytes).unwrap();
}

/// Opens, closes and returns what was found.
async fn look(path: &Path) -> Opened {
    let (journal, opened) = Journal::open(path).await.unwrap();
    journal.close().await;
    opened
}

async fn eventually(journal: &Journal, what: impl FnMut(&Report) -> bool) -> Report {
    let mut reports = journal.reports();
    let limit = Duration::from_secs(20);
    timeout(limit, reports.wait_for(what)).await.expect("the report came in time").unwrap().clone()
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let directory = TestDirectory::in_memory();
    let path = directory.path().join("made/on the way");
    let (journal, first) = Journal::open(&path).await.unwrap();
    assert_eq!((&first.saved, first.is_lost, &first.failure), (&None, false, &None));
    for ended in 0..5 {
        journal.write(saved(ended)).await.unwrap();
    }
    journal.close().await;
    let second = look(&path).await;
    assert_eq!(second.saved, Some(saved(4)));
    assert!(second.start > first.start && !second.is_lost && second.damaged.is_none());
    let third = look(&path).await;
    assert_eq!(third.saved, Some(saved(4)), "opening alone loses nothing");
    assert!(third.start > second.start);
    assert_eq!(fs::metadata(path.join("state.json")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn the_state_is_on_disk_when_write_returns() {
    let directory = TestDirectory::in_memory();
    let (journal, _) = Journal::open(directory.path()).await.unwrap();
    for ended in 1..20 {
        journal.write(saved(ended)).await.unwrap();
        let bytes = fs::read(directory.path().join("state.json")).unwrap();
        assert_eq!(envelope::decode(&bytes).unwrap().saved, Some(saved(ended)));
    }
}

/// What a file holds at the moment of a crash, if it is there.
type Left<'a> = Option<&'a [u8]>;

#[tokio::test]
async fn a_crash_between_any_two_steps_leaves_the_old_state_or_the_new_one() {
    let (old, new) = (envelope::encode(&body(1)).unwrap(), envelope::encode(&body(2)).unwrap());
    let half = &new[..new.len() / 2];
    // (state.json, state.json.new) at the moment of the crash, and what must be found.
    let crashes: [(Left<'_>, Left<'_>, Option<u64>); 8] = [
        (None, None, None),
        (None, Some(b""), None),
        (None, Some(half), None),
        (None, Some(&new), None),
        (Some(&old), Some(b""), Some(1)),
        (Some(&old), Some(half), Some(1)),
        (Some(&old), Some(&new), Some(1)),
        (Some(&new), None, Some(2)),
    ];
    for (state, fresh, found) in crashes {
        let directory = TestDirectory::in_memory();
        for (name, bytes) in [("state.json", state), ("state.json.new", fresh)] {
            if let Some(bytes) = bytes {
                put(&directory.path().join(name), bytes);
            }
        }
        let opened = look(directory.path()).await;
        assert_eq!(opened.saved, found.map(saved));
        assert!(!opened.is_lost && opened.failure.is_none());
        assert!(!directory.path().join("state.json.new").exists());
    }
}

#[tokio::test]
async fn an_agent_that_is_killed_has_kept_all_that_it_told() {
    // On a real disk.
    let directory = TestDirectory::new();
    let mut last = 0;
    for _ in 0..8 {
        let mut agent = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "journal::tests::writes_until_it_is_killed", "--ignored"])
            .arg("--nocapture")
            .env(KILLED_IN, directory.path())
            .env(KILLED_FROM, last.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut told = BufReader::new(agent.stdout.take().unwrap()).lines();
        let mut number = || told.find_map(|line| line.unwrap().strip_prefix("told ")?.parse().ok());
        for _ in 0..fastrand::u32(1..40) {
            last = number().expect("it goes on until it is killed");
        }
        agent.kill().unwrap();
        agent.wait().unwrap();
        last = std::iter::from_fn(number).last().unwrap_or(last);
        let found = look(directory.path()).await.saved.unwrap().ended;
        assert!(found == last || found == last + 1, "told {last}, found {found}");
        last = found;
    }
}

#[tokio::test]
#[ignore = "the victim of another test"]
async fn writes_until_it_is_killed() {
    let (Ok(path), Ok(from)) = (std::env::var(KILLED_IN), std::env::var(KILLED_FROM)) else {
        return;
    };
    let (journal, _) = Journal::open(Path::new(&path)).await.unwrap();
    for number in from.parse::<u64>().unwrap() + 1.. {
        while journal.write(saved(number)).await.is_err() {}
        println!("told {number}");
    }
}

const KILLED_IN: &str = "CURFEW_TEST_KILLED_IN";
const KILLED_FROM: &str = "CURFEW_TEST_KILLED_FROM";

#[tokio::test]
async fn a_damaged_state_is_set_aside_and_kept() {
    let directory = TestDirectory::in_memory();
    let state = directory.path().join("state.json");
    for number in 1..=8 {
        let rubbish = format!("rubbish {number}");
        put(&state, rubbish.as_bytes());
        let opened = look(directory.path()).await;
        let damaged = opened.damaged.expect("the damage is reported");
        assert!(opened.is_lost && opened.saved.is_none());
        assert_eq!(damaged.path, directory.path().join(format!("state.json.damaged-{number}")));
        assert_eq!(fs::read_to_string(&damaged.path).unwrap(), rubbish);
        assert!(damaged.sentence.contains("is not a whole state file: it was set aside as"));
    }
    let kept = directory::damaged_numbers(directory.path()).unwrap();
    assert_eq!(kept, [4, 5, 6, 7, 8]);
}

#[tokio::test]
async fn a_state_of_a_newer_curfew_is_set_aside_whole() {
    let directory = TestDirectory::in_memory();
    let newer = br#"{"format":"curfew-state","version":2,"new":"things"}"#;
    put(&directory.path().join("state.json"), newer);
    let damaged = look(directory.path()).await.damaged.unwrap();
    assert!(damaged.sentence.contains("was written by a newer curfew (format 2"));
    assert_eq!(fs::read(damaged.path).unwrap(), newer);
}

#[tokio::test]
async fn a_directory_in_the_place_of_the_state_is_set_aside() {
    let directory = TestDirectory::in_memory();
    fs::create_dir(directory.path().join("state.json")).unwrap();
    let opened = look(directory.path()).await;
    assert!(opened.damaged.unwrap().sentence.contains("cannot be read"));
    assert_eq!(opened.failure, None);
}

#[tokio::test]
async fn a_state_that_vanished_under_a_history_is_lost() {
    let directory = TestDirectory::in_memory();
    put(&directory.path().join("history.jsonl"), b"{}\n");
    assert!(look(directory.path()).await.is_lost);
}

#[tokio::test]
async fn a_second_agent_on_the_same_directory_is_an_error() {
    let directory = TestDirectory::in_memory();
    let (first, _) = Journal::open(directory.path()).await.unwrap();
    let second = Journal::open(directory.path()).await.expect_err("the directory is locked");
    assert!(second.to_string().starts_with("another agent uses the state directory /"));
    first.close().await;
    Journal::open(directory.path()).await.expect("the lock ends with its agent");
}

#[tokio::test]
async fn a_place_where_no_directory_can_be_is_not_fatal() {
    let directory = TestDirectory::in_memory();
    put(&directory.path().join("file"), b"");
    let (journal, opened) = Journal::open(&directory.path().join("file/state")).await.unwrap();
    assert!(opened.failure.unwrap().contains("cannot create the state directory"));
    assert!(opened.start > 0 && opened.saved.is_none());
    let failure = journal.write(saved(1)).await.expect_err("nothing can be durable here");
    assert!(failure.sentence().ends_with("Not a directory (os error 20)"), "{failure:?}");
}

#[tokio::test]
async fn a_read_only_directory_is_read_and_not_fatal() {
    let directory = TestDirectory::in_memory();
    let path = directory.path().join("disk");
    fs::create_dir(&path).unwrap();
    let guard = Uid::effective().is_root().then(|| Mounted::tmpfs(&path, "size=1m"));
    let before = {
        let (journal, opened) = Journal::open(&path).await.unwrap();
        journal.write(saved(7)).await.unwrap();
        journal.close().await;
        opened
    };
    match &guard {
        Some(mounted) => mounted.make_read_only(),
        None => fs::set_permissions(&path, fs::Permissions::from_mode(0o500)).unwrap(),
    }
    let (journal, opened) = Journal::open(&path).await.unwrap();
    assert_eq!(opened.saved, Some(saved(7)));
    assert!(opened.start > before.start && !opened.is_lost);
    assert!(opened.failure.unwrap().contains("cannot replace"));
    assert!(matches!(journal.write(saved(8)).await, Err(WriteError::Store { .. })));
    assert!(journal.reports().borrow().write_failures >= 2);
    journal.close().await;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap_or_default();
}

#[tokio::test]
async fn a_damaged_state_that_cannot_be_moved_is_not_overwritten() {
    let directory = TestDirectory::in_memory();
    let state = directory.path().join("state.json");
    put(&state, b"rubbish");
    // The next number is the highest there is, and a directory that is not empty has it.
    let in_the_way = directory.path().join(format!("state.json.damaged-{}/x", u64::MAX));
    fs::create_dir_all(&in_the_way).unwrap();
    let (journal, opened) = Journal::open(directory.path()).await.unwrap();
    let damaged = opened.damaged.unwrap();
    assert_eq!(damaged.path, state);
    assert!(damaged.sentence.contains("nothing is written until it can be moved away"));
    assert!(opened.failure.unwrap().contains("cannot set the damaged state aside"));
    journal.write(saved(1)).await.expect_err("it would overwrite the damaged one");
    assert_eq!(fs::read(&state).unwrap(), b"rubbish");
    fs::remove_dir_all(in_the_way.parent().unwrap()).unwrap();
    journal.write(saved(2)).await.expect("now it can be moved away");
    journal.close().await;
    assert_eq!(look(directory.path()).await.saved, Some(saved(2)));
    assert_eq!(fs::read(directory.path().join("state.json.damaged-1")).unwrap(), b"rubbish");
}

#[tokio::test]
async fn a_full_disk_is_reported_and_so_is_its_recovery() {
    let directory = TestDirectory::in_memory();
    let (journal, _) = Journal::open(directory.path()).await.unwrap();
    journal.write(saved(1)).await.unwrap();
    let fresh = directory.path().join("state.json.new");
    symlink("/dev/full", &fresh).unwrap();
    let failure = journal.write(saved(2)).await.expect_err("the disk is full");
    assert!(failure.sentence().contains("No space left on device"), "{failure:?}");
    let old = fs::read(directory.path().join("state.json")).unwrap();
    assert_eq!(envelope::decode(&old).unwrap().saved, Some(saved(1)), "the old state stands");
    fs::remove_file(fresh).unwrap();
    // No one writes again: the journal tries by itself.
    eventually(&journal, |report| report.failure.is_none()).await;
    journal.close().await;
    assert_eq!(look(directory.path()).await.saved, Some(saved(2)));
}

#[tokio::test]
async fn a_full_disk_loses_no_event_and_doubles_none() {
    let directory = TestDirectory::in_memory();
    let history = directory.path().join("history.jsonl");
    symlink("/dev/full", &history).unwrap();
    let (journal, _) = Journal::open(directory.path()).await.unwrap();
    for number in 0..10 {
        journal.append(entry(Note::EndedHeard { number }));
    }
    let report = eventually(&journal, |report| report.history_failure.is_some()).await;
    assert!(report.history_failure.unwrap().contains("No space left on device"));
    assert_eq!(report.failure, None, "the state is another matter");
    fs::remove_file(&history).unwrap();
    eventually(&journal, |report| report.history_failure.is_none()).await;
    journal.close().await;
    let lines = lines(&history);
    let numbers: Vec<_> = lines.iter().map(|line| line["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..10).collect::<Vec<_>>());
    let first = r#"{"date":1700000000,"boot_ms":1234,"boot":"b","event":"ended-heard","number":0}"#;
    assert_eq!(lines[0], serde_json::from_str::<Value>(first).unwrap());
}

#[tokio::test]
async fn a_hung_disk_holds_nobody_for_more_than_a_second() {
    let directory = TestDirectory::in_memory();
    let (journal, _) = Journal::open(directory.path()).await.unwrap();
    journal.write(saved(1)).await.unwrap();
    // Opening a FIFO blocks until somebody reads it.
    let fresh = directory.path().join("state.json.new");
    mkfifo(&fresh, Mode::S_IRWXU).unwrap();
    let started = Instant::now();
    let failure = journal.write(saved(2)).await.expect_err("the disk hangs");
    assert!(matches!(failure, WriteError::TimedOut { .. }));
    assert!((WRITE_LIMIT..WRITE_LIMIT * 2).contains(&started.elapsed()));
    let started = Instant::now();
    for ended in 3..100 {
        journal.write(saved(ended)).await.expect_err("the disk still hangs");
    }
    assert!(started.elapsed() < WRITE_LIMIT, "later writes do not wait again");
    let report = journal.reports().borrow().clone();
    assert!(report.failure.unwrap().contains("did not answer within 1 s"));
    let mut end = fs::File::open(&fresh).unwrap();
    fs::remove_file(&fresh).unwrap();
    end.read_to_end(&mut Vec::new()).unwrap();
    eventually(&journal, |report| report.failure.is_none()).await;
    journal.close().await;
    assert_eq!(look(directory.path()).await.saved, Some(saved(99)), "the latest wins");
}

/// A disk that answers only when it is told to, and tells what it was asked.
struct FakeDisk {
    asked: mpsc::Sender<u64>,
    answers: mpsc::Receiver<()>,
}

impl Store for FakeDisk {
    fn replace(&mut self, body: &Body) -> Result<(), StoreError> {
        self.asked.send(body.saved.as_ref().map_or(0, |saved| saved.ended)).unwrap();
        self.answers.recv().unwrap();
        Ok(())
    }

    fn append(&mut self, lines: &[Vec<u8>]) -> Result<(), StoreError> {
        self.asked.send(1000 + lines.len() as u64).unwrap();
        self.answers.recv().unwrap();
        Ok(())
    }
}

fn fake_disk() -> (Journal, mpsc::Receiver<u64>, mpsc::Sender<()>) {
    let ((ask, asked), (answer, answers)) = (mpsc::channel(), mpsc::channel());
    let writer = Writer::spawn(move || FakeDisk { asked: ask, answers }).unwrap();
    let path = "/fake".into();
    (Journal { path, start: 1, writer, recorded: None, listener: None }, asked, answer)
}

#[test]
fn one_write_is_under_way_and_the_latest_waits_before_the_history() {
    let (journal, asked, answer) = fake_disk();
    journal.writer.put(body(1));
    assert_eq!(asked.recv(), Ok(1));
    journal.append(entry(Note::MainsLost));
    for ended in 2..=9 {
        journal.writer.put(body(ended));
    }
    answer.send(()).unwrap();
    assert_eq!(asked.recv(), Ok(9));
    answer.send(()).unwrap();
    assert_eq!(asked.recv(), Ok(1001));
    answer.send(()).unwrap();
}

#[test]
fn a_slow_disk_bounds_the_history_and_the_gap_is_recorded() {
    let (journal, asked, answer) = fake_disk();
    journal.writer.put(body(1));
    assert_eq!(asked.recv(), Ok(1));
    for _ in 0..300 {
        journal.append(entry(Note::MainsLost));
    }
    assert_eq!(journal.reports().borrow().events_lost, 300 - 256);
    answer.send(()).unwrap();
    assert_eq!(asked.recv(), Ok(1000 + 256 + 1), "and one line about the gap");
    answer.send(()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_hangs_from_the_start_counts_as_lost_and_is_not_fatal() {
    let (journal, _asked, _answer) = fake_disk();
    let (_never, found) = oneshot::channel();
    let started = Instant::now();
    let opened = Journal::open_with(&journal.path, journal.writer, found).await;
    let (_journal, opened) = opened.unwrap();
    assert_eq!(started.elapsed(), OPEN_LIMIT + WRITE_LIMIT);
    assert!(opened.is_lost && opened.saved.is_none() && opened.start > 1_700_000_000);
    assert!(opened.failure.unwrap().contains("did not answer"));
}

#[tokio::test(start_paused = true)]
async fn closing_on_a_hung_disk_has_an_end() {
    let (journal, asked, _answer) = fake_disk();
    journal.writer.put(body(1));
    assert_eq!(asked.recv(), Ok(1));
    let started = Instant::now();
    journal.close().await;
    assert_eq!(started.elapsed(), WRITE_LIMIT);
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A file system of its own, unmounted when dropped; needs root.
struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    fn tmpfs(path: &'a Path, options: &str) -> Self {
        run(Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(path));
        Self(path)
    }

    fn make_read_only(&self) {
        run(Command::new("mount").args(["-o", "remount,ro"]).arg(self.0));
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        run(Command::new("umount").arg("-l").arg(self.0));
    }
}

fn run(command: &mut Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

proptest! {
    #[test]
    fn no_damage_is_taken_for_a_state(at in 0_usize..4096, mask in 1_u8..=255, ended: u64) {
        let mut bytes = envelope::encode(&body(ended)).unwrap();
        let at = at % bytes.len();
        bytes[at] ^= mask;
        // White space around the object may change into other white space.
        if let Ok(read) = envelope::decode(&bytes) {
            prop_assert_eq!(read, body(ended));
        }
    }

    #[test]
    fn no_torn_state_is_taken_for_one(ended: u64, at in 0_usize..4096) {
        let bytes = envelope::encode(&body(ended)).unwrap();
        let torn = &bytes[..at % (bytes.len() - 1)];
        prop_assert!(envelope::decode(torn).is_err());
        prop_assert_eq!(envelope::decode(&bytes), Ok(body(ended)));
    }

    #[test]
    fn foreign_bytes_never_hinder_the_start(bytes: Vec<u8>, history: Vec<u8>) {
        let directory = TestDirectory::in_memory();
        put(&directory.path().join("state.json"), &bytes);
        put(&directory.path().join("history.jsonl"), &history);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (journal, opened) = Journal::open(directory.path()).await.unwrap();
            assert_eq!(opened.failure, None);
            assert_eq!(fs::read(opened.damaged.unwrap().path).unwrap(), bytes);
            journal.write(saved(1)).await.unwrap();
            journal.append(entry(Note::MainsLost));
            journal.close().await;
        });
        let history = fs::read(directory.path().join("history.jsonl")).unwrap();
        let last = history.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap();
        let last: Value = serde_json::from_slice(last).unwrap();
        prop_assert_eq!(&last["event"], "mains-lost");
    }
}
