//! Every story that failed once, played again: none of them may fail a second time.
//!
//! To add one, save what a failing run printed as `corpus/NNNN-name.json`, with the next number,
//! and say in `about` what went wrong and which rule mended it. That is all.
#![expect(clippy::panic, reason = "so does a test fail")]

use std::fs;
use std::path::{Path, PathBuf};

use curfew_simulator::{Attempt, Story, play};

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let entries = fs::read_dir(&folder).expect("the corpus is there");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("it can be read").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files
}

#[expect(clippy::disallowed_methods, reason = "the corpus is a folder of files")]
fn text(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn story(file: &Path) -> Story {
    Story::from_text(&text(file)).unwrap_or_else(|error| {
        let source = std::error::Error::source(&error).map(ToString::to_string);
        panic!("{}: {error}: {}", file.display(), source.unwrap_or_default())
    })
}

#[test]
fn no_story_that_failed_once_fails_again() {
    let mut failed = Vec::new();
    for file in files() {
        if let Some(failure) = Attempt::of(|| play(&story(&file))).failure {
            failed.push(format!("{}: {failure}", file.display()));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn every_kept_story_is_canonical_and_says_what_it_is_about() {
    for file in files() {
        let name = file.display();
        let story = story(&file);
        assert!(
            text(&file) == story.to_text(),
            "{name} is not in its canonical form, which is:\n{}",
            story.to_text()
        );
        assert!(
            !story.about.is_empty(),
            "{name}: say in `about` what went wrong and what mended it"
        );
    }
}

#[test]
fn kept_stories_are_numbered_without_a_gap() {
    for (number, file) in (1..).zip(files()) {
        let name = file.file_name().expect("it is a file").to_string_lossy();
        let is_json = file.extension().is_some_and(|extension| extension == "json");
        assert!(
            is_json && name.starts_with(&format!("{number:04}-")),
            "{name}: name it {number:04}-what-went-wrong.json"
        );
    }
}
