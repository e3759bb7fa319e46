//! The rules of the house that neither rustfmt nor clippy knows.
//!
//! Each finding names its place and says what to do. The rules look at the files of the checkout,
//! so that nothing has to be built for them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::Path;

/// Production lines of a file: beyond, it does more than one thing.
const FILE_MAX: usize = 500;
/// Lines of an inline `mod tests`.
const INLINE_TESTS_MAX: usize = 150;
/// Columns of a line, comments too; rustfmt leaves comments and texts alone.
const LINE_MAX: usize = 100;

/// Test code that sleeps, how often, and why that waits for no state.
const SLEEPS: [(&str, usize, &str); 6] = [
    ("agent/nut/tests/hostile.rs", 1, "the pace of a server that drips its answer"),
    ("agent/nut/tests/real_upsd.rs", 1, "between two looks of its eventually()"),
    ("agent/src/power/command/tests.rs", 1, "between two looks of its eventually()"),
    ("agent/src/task/tests.rs", 1, "a driver that runs long, on paused time"),
    ("tests/machined/src/node.rs", 4, "how long a machine takes that goes down; it is played"),
    ("tests/src/lab/world.rs", 1, "between two steps of the laboratory's eventually()"),
];

/// Hosts that a URL may lead to, besides `*.example` and addresses: no mirror and no machine of
/// ours gets into the repository with them.
const HOSTS: [&str; 4] = ["github.com", "www.apache.org", "www.debian.org", "www.w3.org"];

#[test]
fn files_are_short_enough_to_read_at_once() {
    let mut found = Vec::new();
    for source in rust().iter().filter(|source| !source.is_test_file()) {
        let tests = source.inline_tests();
        let lines = source.text.lines().count() - tests.len();
        if lines > FILE_MAX {
            let what = format!("{lines} production lines, at most {FILE_MAX}: split it by subject");
            found.push(source.finding(lines, &what));
        }
        if tests.len() > INLINE_TESTS_MAX {
            let what = format!(
                "{} lines of inline tests, at most {INLINE_TESTS_MAX}: move them to a tests.rs",
                tests.len()
            );
            found.push(source.finding(tests.start + 1, &what));
        }
    }
    report(&found);
}

/// What the documentation promises has a function of its name, which can be read.
#[test]
fn each_invariant_has_a_file_and_a_function_of_its_name() {
    let page = fs::read_to_string(root().join("docs/protocol.md")).expect("the page is there");
    let section = page.split("## Invariants").nth(1).unwrap_or_default();
    let section = section.split("\n## ").next().unwrap_or_default();
    let titles = section.lines().filter_map(|line| line.strip_prefix("- **")?.split("**").next());
    let mut found = Vec::new();
    let mut count = 0;
    for title in titles {
        count += 1;
        let name = title.to_lowercase().replace([' ', '-'], "_");
        let path = format!("agent/simulator/src/invariant/{name}.rs");
        let text = fs::read_to_string(root().join(&path)).unwrap_or_default();
        if !text.contains(&format!("pub(super) fn {name}(")) {
            found.push(format!("{path} has no function `{name}`, which docs/protocol.md names"));
        }
    }
    assert_eq!(count, 14, "the invariants of the design");
    report(&found);
}

#[test]
fn lines_fit_on_a_page() {
    let mut found = Vec::new();
    for source in files().iter().filter(|it| it.has_end(&[".rs", ".proto"]) && !it.is_generated()) {
        for (number, line) in source.lines() {
            // The row of a table cannot be broken.
            let is_row = line.trim_start().starts_with("//! |");
            if line.chars().count() > LINE_MAX && !is_row {
                found.push(source.finding(number, "longer than 100 columns: break it"));
            }
        }
    }
    report(&found);
}

#[test]
fn every_file_says_first_what_it_is_for() {
    let nameless = |source: &&Source| !source.text.starts_with("//! ");
    let what = "begin with `//!` and one sentence that says what this file is for";
    report(&rust().iter().filter(nameless).map(|it| it.finding(1, what)).collect::<Vec<_>>());
}

#[test]
fn modules_are_named_by_their_file() {
    let what = "use x.rs beside x/, not x/mod.rs";
    let sources = rust();
    let unnamed = sources.iter().filter(|source| source.has_end(&["/mod.rs"]));
    report(&unnamed.map(|source| source.finding(1, what)).collect::<Vec<_>>());
}

#[test]
fn what_is_left_to_do_has_an_issue() {
    // In pieces, so that they are not found here.
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let mut found = Vec::new();
    for source in files() {
        for (number, line) in source.lines() {
            let is_marked = marks.iter().any(|mark| words(line).any(|word| word == *mark));
            let has_issue = line.split('#').skip(1).any(|it| it.starts_with(char::is_numeric));
            if is_marked && !has_issue {
                found.push(source.finding(number, "name the issue (#123), or do it now"));
            }
        }
    }
    report(&found);
}

#[test]
fn tests_wait_for_states_and_not_for_time() {
    let mut found = Vec::new();
    let mut counts = BTreeMap::new();
    for source in rust() {
        let inline = source.inline_tests();
        for (number, line) in source.lines() {
            let is_test = source.is_test_file()
                || source.path.starts_with("tests/")
                || inline.contains(&(number - 1));
            if is_test && line.contains(concat!("sle", "ep(")) {
                let count: &mut usize = counts.entry(source.path.clone()).or_default();
                *count += 1;
                let allowed = SLEEPS.iter().find(|(path, ..)| *path == source.path);
                if allowed.is_none_or(|(_, allowed, _)| *count > *allowed) {
                    let what = "wait for a condition with a limit (eventually), or pause the time";
                    found.push(source.finding(number, what));
                }
            }
        }
    }
    for (path, allowed, why) in SLEEPS {
        if counts.get(path).copied().unwrap_or_default() < allowed {
            found.push(format!("{path}:1: sleeps less than SLEEPS allows ({why}): correct SLEEPS"));
        }
    }
    report(&found);
}

#[test]
fn urls_lead_only_to_public_places() {
    let mut found = Vec::new();
    for source in files() {
        for (number, line) in source.lines() {
            for url in line.split("://").skip(1) {
                let is_end = |c: char| !c.is_ascii_alphanumeric() && !".-".contains(c);
                let host = url.split(is_end).next().unwrap_or_default();
                let is_name = host.contains('.') && host.contains(|c: char| c.is_alphabetic());
                if is_name && !host.ends_with(".example") && !HOSTS.contains(&host) {
                    let what = format!("{host} is not in HOSTS of the tidy test: remove the URL");
                    found.push(source.finding(number, &what));
                }
            }
        }
    }
    report(&found);
}

#[test]
fn decisions_are_numbered_without_gaps() {
    let mut found = Vec::new();
    let decisions: Vec<_> =
        files().into_iter().filter(|it| it.path.starts_with("docs/decisions/")).collect();
    for (number, decision) in (1..).zip(&decisions) {
        if !decision.path.starts_with(&format!("docs/decisions/{number:04}-")) {
            let what = format!("is not {number:04}-title.md: a number is missing or there twice");
            found.push(decision.finding(1, &what));
        }
        if !decision.text.starts_with(&format!("# {number}. ")) {
            found.push(decision.finding(1, &format!("begin with `# {number}. ` and the decision")));
        }
    }
    assert!(!decisions.is_empty(), "docs/decisions has no decisions");
    report(&found);
}

#[test]
fn documents_name_only_what_is_there() {
    let mut found = Vec::new();
    let folders = ["agent/", "proto/", "tests/", "docs/", ".ci/", ".config/"];
    for source in files().iter().filter(|source| source.has_end(&[".md"])) {
        let folder = root().join(&source.path);
        let folder = folder.parent().expect("a file is in a folder");
        for (number, line) in source.lines() {
            // Between backticks are the odd pieces.
            let quoted = line.split('`').skip(1).step_by(2);
            let paths = quoted.filter(|it| folders.iter().any(|folder| it.starts_with(folder)));
            let paths = paths.filter(|it| !it.contains([' ', '*', '{'])).map(|it| root().join(it));
            let links = line.split("](").skip(1).filter_map(|it| it.split([')', '#']).next());
            let links = links.filter(|link| !link.is_empty() && !link.contains("://"));
            for path in paths.chain(links.map(|link| folder.join(link))) {
                if !path.exists() {
                    let what = format!("{} is not there: correct the path", path.display());
                    found.push(source.finding(number, &what));
                }
            }
        }
    }
    report(&found);
}

#[test]
fn the_readme_tests_as_ci_does() {
    let ci = fs::read_to_string(root().join(".ci/run")).expect(".ci/run is there");
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md is there");
    let command = ci.lines().rfind(|line| !line.trim().is_empty()).expect(".ci/run has lines");
    assert!(
        readme.lines().any(|line| line.trim() == command.trim()),
        "README.md: show the command with which .ci/run tests, on a line of its own: {command}"
    );
    // Each row of the list is a program and its package.
    let rows =
        ci.lines().filter(|line| line.starts_with('/')).filter_map(|row| row.split_once(' '));
    let missing: Vec<_> =
        rows.map(|(_, package)| package).filter(|package| !readme.contains(package)).collect();
    assert!(missing.is_empty(), "README.md: name these packages, too: {missing:?}");
}

#[test]
fn the_coordinator_depends_on_nothing_that_could_do_anything() {
    let path = "agent/coordinator/Cargo.toml";
    let manifest = fs::read_to_string(root().join(path)).expect("the coordinator has a manifest");
    let own = manifest.split("[dependencies]").nth(1).expect("it has dependencies");
    let own = own.split("\n[").next().unwrap_or_default();
    let names: BTreeSet<_> =
        own.lines().filter_map(|line| line.split(['.', ' ', '=']).next()).collect();
    let names: BTreeSet<_> = names.into_iter().filter(|name| !name.is_empty()).collect();
    assert_eq!(names, BTreeSet::from(["serde"]), "{path}: what does I/O belongs into the agent");
}

/// A coordinator that can be told to make a mistake is for tests: only a feature that nobody turns
/// on by default, and what tests depend on, may name it.
#[test]
fn nothing_that_is_shipped_can_be_told_to_make_a_mistake() {
    let mut found = Vec::new();
    for source in files().iter().filter(|source| source.has_end(&["Cargo.toml"])) {
        let mut section = "";
        for (number, line) in source.lines() {
            if line.starts_with('[') {
                section = line;
            }
            let names = line.split('#').next().is_some_and(|line| line.contains("mistakes"));
            let is_default = line.starts_with("default");
            if names && (is_default || !["[features]", "[dev-dependencies]"].contains(&section)) {
                found.push(source.finding(number, "turn mistakes on in dev-dependencies alone"));
            }
        }
    }
    report(&found);
}

#[test]
fn only_the_app_knows_the_coordinator_and_only_the_command_line_the_app() {
    let mut found = Vec::new();
    let sources = rust();
    let agent = sources.iter().filter(|source| source.path.starts_with("agent/src/"));
    for source in agent.filter(|source| !source.path.starts_with("agent/src/app")) {
        for (number, line) in source.lines() {
            if line.contains(concat!("Coordinator", "::recover")) {
                found.push(source.finding(number, "the keeper in app/ owns the one coordinator"));
            }
            if line.contains(concat!("crate::", "app")) && !source.path.starts_with("agent/src/cli")
            {
                found.push(source.finding(number, "drivers do not know the app: pass it in"));
            }
        }
    }
    report(&found);
}

/// A text file of the checkout.
struct Source {
    /// From the root, with `/`.
    path: String,
    text: String,
}

impl Source {
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }

    fn has_end(&self, ends: &[&str]) -> bool {
        ends.iter().any(|end| self.path.ends_with(end))
    }

    fn is_generated(&self) -> bool {
        self.path.contains("/generated/")
    }

    /// Returns whether there is nothing but tests in it.
    fn is_test_file(&self) -> bool {
        self.path.contains("/tests/") || self.has_end(&["/tests.rs"])
    }

    /// Returns the lines of the inline tests, from 0; empty without any.
    fn inline_tests(&self) -> Range<usize> {
        let lines: Vec<_> = self.text.lines().collect();
        let Some(start) = lines.iter().position(|line| line.ends_with("mod tests {")) else {
            return 0..0;
        };
        let len = lines.iter().skip(start).position(|line| *line == "}");
        start..start + len.expect("rustfmt closes a module at the margin") + 1
    }

    fn finding(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate is a folder of the workspace")
}

fn rust() -> Vec<Source> {
    files().into_iter().filter(|it| it.has_end(&[".rs"]) && !it.is_generated()).collect()
}

/// Returns all text files that somebody wrote or committed, sorted by path.
fn files() -> Vec<Source> {
    let mut sources = Vec::new();
    collect(root(), "", &mut sources);
    assert!(sources.len() > 100, "the checkout was not found");
    sources.sort_by(|one, other| one.path.cmp(&other.path));
    sources
}

fn collect(folder: &Path, prefix: &str, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let entry = entry.expect("the entry can be read");
        let name = entry.file_name().into_string().expect("file names are ASCII");
        let (place, path) = (entry.path(), format!("{prefix}{name}"));
        let kind = entry.file_type().expect("the file has a type");
        if kind.is_dir() && name != ".git" && !name.starts_with("target") {
            collect(&place, &format!("{path}/"), sources);
        } else if kind.is_file() && name != ".git" {
            // What is not text has no lines to judge.
            sources.extend(fs::read_to_string(&place).ok().map(|text| Source { path, text }));
        }
    }
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_ascii_alphanumeric())
}

fn report(found: &[String]) {
    assert!(found.is_empty(), "{} to put right:\n{}", found.len(), found.join("\n"));
}
