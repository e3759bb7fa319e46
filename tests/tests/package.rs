//! The Debian package as `systemd/build-deb` makes it of the agent of this build: what is in it,
//! that it is the same twice, and that Debian is content with it and with its manual.
//!
//! What it does on a machine is shown by `debian_package`.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use curfew_tests::agent;
use curfew_tests::directory::Directory;
use curfew_tests::ground;

#[test]
fn debian_is_content_with_the_package() {
    let folder = folder();
    let package = build(&agent::binary().unwrap(), folder.path());

    let fields = output(Command::new("dpkg-deb").args(["--field"]).arg(&package));
    for field in ["Package: curfew", "Architecture: ", "Depends: libc6 (>= ", ", systemd\n"] {
        assert!(fields.contains(field), "{field:?} is not in\n{fields}");
    }
    // It prints what it finds and is silent otherwise; also what it holds for a mere remark.
    let mut lintian = Command::new("lintian");
    lintian.args(["--allow-root", "--display-info", "--fail-on", "error,warning,info"]);
    assert_eq!(output(lintian.arg(&package)), "");
}

#[test]
fn every_file_has_its_place_its_mode_and_root_for_its_owner() {
    let folder = folder();
    let package = build(Path::new(SMALL), folder.path());
    let listed = output(Command::new("dpkg-deb").arg("--contents").arg(&package));
    let mut files = Vec::new();
    for line in listed.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let &[mode, owner, .., path] = words.as_slice() else { panic!("a line is odd: {line}") };
        assert_eq!(owner, "root/root", "{line}");
        if mode.starts_with('d') {
            assert_eq!(mode, "drwxr-xr-x", "{line}");
        } else {
            files.push(format!("{mode} {}", path.trim_start_matches("./")));
        }
    }
    let is_page = |file: &String| file.contains("/man/man1/");
    let pages: Vec<_> = files.extract_if(.., |file| is_page(file)).collect();
    assert_eq!(files, FILES);
    assert!(pages.contains(&"-rw-r--r-- usr/share/man/man1/curfew.1.gz".to_owned()), "{pages:?}");
    assert!(pages.len() > 10, "a page for each command: {pages:?}");
}

#[test]
fn the_same_input_makes_the_same_package() {
    let folder = folder();
    let manual = manual(folder.path());
    let common =
        |command: &mut Command| made(command.args(["--binary", SMALL, "--manual"]).arg(&manual));
    let package = common(script().arg(folder.join("one")));
    // What a build could take from where it runs: permissions of new files, language, time zone,
    // and how many threads there are to compress.
    let elsewhere = "umask 077; TZ=Asia/Tokyo LANG=de_DE.UTF-8 exec taskset 1 \"$@\"";
    let again = common(
        Command::new("/bin/sh").args(["-c", elsewhere, "sh"]).arg(SCRIPT).arg(folder.join("other")),
    );
    assert_ne!(package, again);
    let (package, again) = (fs::read(package).unwrap(), fs::read(again).unwrap());
    assert!(package == again, "two packages of one input differ");
}

#[test]
fn a_build_without_its_input_says_what_is_missing() {
    let build = |args: &[&str]| script().args(args).output().unwrap();
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let refused = build(&["--binary", "/nowhere/curfew"]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(said(&refused), "build-deb: there is no binary /nowhere/curfew\n");
    assert!(said(&build(&["--fast"])).contains("there is no option --fast"));
}

#[test]
fn man_reads_every_page_without_a_warning() {
    let folder = folder();
    let pages = manual(folder.path()).join("man");
    let mut names = Vec::new();
    for page in fs::read_dir(pages).unwrap() {
        let page = page.unwrap().path();
        let mut man = Command::new("man");
        man.args(["--warnings", "--local-file", "-Tutf8", "--ditroff"]).arg(&page);
        let rendered = man.env("LC_ALL", "C.UTF-8").output().unwrap();
        assert_eq!(String::from_utf8_lossy(&rendered.stderr), "", "{}", page.display());
        assert!(rendered.status.success(), "{}", page.display());
        // What whatis and apropos will find: `page: "name - what it does"`.
        let whatis = output(Command::new("lexgrog").arg(&page));
        let name = page.file_stem().and_then(OsStr::to_str).unwrap().to_owned();
        assert!(whatis.contains(&format!("\"{name} - ")), "{whatis}");
        names.push(name);
    }
    for name in ["curfew", "curfew-run", "curfew-check", "curfew-pki-issue", "curfew-simulate"] {
        assert!(names.iter().any(|it| it == name), "{name} has no page: {names:?}");
    }
    assert!(!names.iter().any(|name| name.contains("help")), "{names:?}");
}

#[test]
fn bash_completes_commands_and_options() {
    let folder = folder();
    let completions = manual(folder.path()).join("completions/curfew");
    let complete = |words: &[&str]| {
        let last = words.last().unwrap();
        let script = format!(
            "source {}; COMP_WORDS=({}); COMP_CWORD={}; _curfew curfew '{last}' ''; \
             echo \"${{COMPREPLY[*]}}\"",
            completions.display(),
            words.join(" "),
            words.len() - 1,
        );
        output(Command::new("bash").args(["--norc", "-c", &script]))
    };
    assert_eq!(complete(&["curfew", "ch"]), "check\n");
    assert_eq!(complete(&["curfew", "run", "--clu"]), "--cluster\n");
    assert_eq!(complete(&["curfew", "pki", "iss"]), "issue\n");
}

/// Every crate that is linked has its licence in the package, with its text unless Debian has it.
#[test]
fn the_copyright_names_what_is_linked() {
    let folder = folder();
    let licences = fs::read_to_string(manual(folder.path()).join("licences")).unwrap();
    for name in ["tokio", "rustls", "ring", "tonic-prost"] {
        let paragraph = licences
            .split("\n\n")
            .find(|it| it.trim_start().starts_with(&format!("Files: crates/{name}-")));
        let paragraph = paragraph.unwrap_or_else(|| panic!("{name} is not there"));
        let is_apache = paragraph.ends_with("License: Apache-2.0");
        assert!(is_apache || paragraph.lines().count() > 10, "no text: {paragraph}");
    }
    for name in ["proptest", "clap_mangen", "serde_derive"] {
        assert!(!licences.contains(&format!("/{name}-")), "{name} is not linked");
    }
}

/// Returns a folder of this test, which ends with it.
fn folder() -> Directory {
    Directory::new(&ground::unique_name()).expect("a folder can be made")
}

fn script() -> Command {
    Command::new(SCRIPT)
}

/// Returns what a program prints that must succeed.
fn output(command: &mut Command) -> String {
    let output = command.output().expect("the program is installed: .ci/run names its package");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (said, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?} failed:\n{said}{errors}");
    said
}

/// Builds a package with `binary` and returns where it is.
fn build(binary: &Path, folder: &Path) -> PathBuf {
    let manual = manual(folder);
    made(
        script().arg("--quick").arg("--binary").arg(binary).arg("--manual").arg(manual).arg(folder),
    )
}

/// Writes the manual into `folder` and returns where it is.
fn manual(folder: &Path) -> PathBuf {
    let manual = folder.join("manual");
    curfew_manual::write(&manual).expect("the manual can be written");
    manual
}

/// Runs a build and returns the package that it names at its end.
fn made(build: &mut Command) -> PathBuf {
    // As from a commit of that time; a checkout without Git has none.
    let said = output(build.env("SOURCE_DATE_EPOCH", "1760000000"));
    let package = PathBuf::from(said.lines().last().expect("it names the package"));
    assert!(package.is_file(), "{said}");
    package
}

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../systemd/build-deb");
/// A program that is compressed in no time, where it matters little which it is.
const SMALL: &str = "/bin/true";
/// All but the man pages, in the order of the package.
const FILES: [&str; 35] = [
    "-rw-r--r-- etc/default/curfew",
    "-rwxr-xr-x usr/bin/curfew",
    "-rwxr-xr-x usr/lib/curfew/enter-hold",
    "-rwxr-xr-x usr/lib/curfew/hand",
    "-rwxr-xr-x usr/lib/curfew/hold-watch",
    "-rwxr-xr-x usr/lib/curfew/smart",
    "-rw-r--r-- usr/lib/sysctl.d/50-curfew.conf",
    "-rw-r--r-- usr/lib/systemd/system/curfew-hand.socket",
    "-rw-r--r-- usr/lib/systemd/system/curfew-hand@.service",
    "-rw-r--r-- usr/lib/systemd/system/curfew-hold-watch.service",
    "-rw-r--r-- usr/lib/systemd/system/curfew-hold-watch.timer",
    "-rw-r--r-- usr/lib/systemd/system/curfew-hold.service",
    "-rw-r--r-- usr/lib/systemd/system/curfew-hold.target",
    "-rw-r--r-- usr/lib/systemd/system/curfew-smart.service",
    "-rw-r--r-- usr/lib/systemd/system/curfew-smart.timer",
    "-rw-r--r-- usr/lib/systemd/system/curfew-tmp.service",
    "-rw-r--r-- usr/lib/systemd/system/curfew.service",
    "-rwxr-xr-x usr/lib/systemd/system-shutdown/curfew",
    "-rw-r--r-- usr/lib/sysusers.d/curfew.conf",
    "-rw-r--r-- usr/lib/tmpfiles.d/curfew.conf",
    "-rw-r--r-- usr/share/bash-completion/completions/curfew",
    "-rw-r--r-- usr/share/doc/curfew/changelog.Debian.gz",
    "-rw-r--r-- usr/share/doc/curfew/configuration.md",
    "-rw-r--r-- usr/share/doc/curfew/copyright",
    "-rw-r--r-- usr/share/doc/curfew/debian.md",
    "-rw-r--r-- usr/share/doc/curfew/examples/cluster.toml",
    "-rw-r--r-- usr/share/doc/curfew/examples/commands.toml",
    "-rw-r--r-- usr/share/doc/curfew/history.md",
    "-rw-r--r-- usr/share/doc/curfew/metrics.md",
    "-rw-r--r-- usr/share/doc/curfew/operations.md",
    "-rw-r--r-- usr/share/doc/curfew/simulator.md",
    "-rw-r--r-- usr/share/fish/vendor_completions.d/curfew.fish",
    "-rw-r--r-- usr/share/lintian/overrides/curfew",
    "-rw-r--r-- usr/share/polkit-1/rules.d/50-curfew.rules",
    "-rw-r--r-- usr/share/zsh/vendor-completions/_curfew",
];
