//! The licences of the crates that are linked into the agent, with their texts.
//!
//! A crate that may be taken under Apache-2.0 is taken under it, since Debian has that text in
//! `/usr/share/common-licenses`. Of any other all texts that it carries are repeated, as they ask.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// Returns the part of `/usr/share/doc/curfew/copyright` that follows our own, in the form of
/// `copyright-format/1.0`. It fails if a crate has no licence that can be named.
pub fn licences() -> Result<String> {
    let crates = crates()?;
    let mut text = String::new();
    for name in linked()? {
        let found = crates.get(&name).with_context(|| format!("find the crate {name:?}"))?;
        paragraph(found, &crates, &mut text)?;
    }
    Ok(text)
}

/// Name and version.
type CrateId = (String, String);

#[derive(Debug)]
struct Crate {
    id: CrateId,
    authors: Vec<String>,
    /// As in its manifest.
    licence: String,
    repository: String,
    folder: PathBuf,
}

impl Crate {
    /// Returns what its licence files say, sorted by their names.
    fn texts(&self, starts: &[&str]) -> Result<Vec<String>> {
        let folder = || format!("read {}", self.folder.display());
        let mut paths = Vec::new();
        for entry in fs::read_dir(&self.folder).with_context(folder)? {
            let path = entry.with_context(folder)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
            if path.is_file() && starts.iter().any(|start| name.starts_with(start)) {
                paths.push(path);
            }
        }
        paths.sort();
        let read = |path: PathBuf| fs::read_to_string(&path).context(path.display().to_string());
        paths.into_iter().map(read).collect()
    }

    /// Returns whether Apache-2.0 is one of the licences to choose from.
    fn has_apache(&self) -> bool {
        let licence = self.licence.replace('/', " OR ");
        licence.split(" OR ").any(|choice| choice.trim() == "Apache-2.0")
    }
}

/// Writes what is to be said of one crate.
fn paragraph(found: &Crate, crates: &BTreeMap<CrateId, Crate>, text: &mut String) -> Result<()> {
    let (name, version) = &found.id;
    let (licence, mut quoted) = if found.has_apache() {
        ("Apache-2.0", found.texts(&["NOTICE"])?)
    } else {
        (found.licence.as_str(), found.texts(&["LICEN", "COPYING", "NOTICE"])?)
    };
    if quoted.is_empty() && !found.has_apache() {
        // One crate of several in a repository may carry the text for all.
        let mut siblings = crates.values().filter(|it| it.repository == found.repository);
        let carries = |it: &Crate| it.texts(&["LICEN", "COPYING"]).is_ok_and(|it| !it.is_empty());
        let sibling = siblings.find(|it| it.licence == found.licence && carries(it));
        let sibling = sibling.with_context(|| format!("{name} {version} has no licence text"))?;
        quoted = sibling.texts(&["LICEN", "COPYING"])?;
    }
    let holders = holders(found, &quoted);
    writeln!(text, "\nFiles: crates/{name}-{version}/*\nCopyright: {holders}\nLicense: {licence}")?;
    let mut in_apache = false;
    for line in quoted.iter().flat_map(|text| text.lines().chain([""])).map(str::trim) {
        in_apache |= line == APACHE_FIRST;
        if !in_apache {
            writeln!(text, " {}", if line.is_empty() { "." } else { line })?;
        } else if line.starts_with(APACHE_LAST) {
            writeln!(text, " Apache License, see /usr/share/common-licenses/Apache-2.0.")?;
            in_apache = false;
        }
    }
    ensure!(!in_apache, "the Apache License of {name} {version} has no end");
    Ok(())
}

/// Between these two lines stands what Debian has in one place for all.
const APACHE_FIRST: &str = "Apache License";
const APACHE_LAST: &str = "END OF TERMS AND CONDITIONS";

/// Returns who holds the copyright: as the texts say, else the authors of the manifest.
fn holders(found: &Crate, quoted: &[String]) -> String {
    let lines = quoted.iter().flat_map(|text| text.lines()).map(str::trim);
    let mut named: Vec<_> = lines
        .filter(|line| line.starts_with("Copyright ") || line.starts_with("\u{a9}"))
        .map(ToOwned::to_owned)
        .collect();
    named.dedup();
    if named.is_empty() {
        named.clone_from(&found.authors);
    }
    if named.is_empty() {
        named.push(format!("The authors of {}", found.id.0));
    }
    named.join("\n ")
}

/// Returns the crates of others that are linked into the binary: no build scripts, no macros.
fn linked() -> Result<Vec<CrateId>> {
    let tree = cargo(&[
        "tree",
        "--locked",
        "--package",
        "curfew",
        "--edges",
        "normal,no-proc-macro",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ])?;
    let mut linked = Vec::new();
    for line in tree.lines() {
        // `name v1.2.3`, and behind that `(/path)` if it is ours or `(*)` if it was there before.
        let mut words = line.split(' ');
        let (Some(name), Some(version)) = (words.next(), words.next()) else { continue };
        let is_ours = words.next().is_some_and(|word| word.starts_with("(/"));
        if let (Some(version), false) = (version.strip_prefix('v'), is_ours) {
            linked.push((name.to_owned(), version.to_owned()));
        }
    }
    linked.sort();
    linked.dedup();
    ensure!(!linked.is_empty(), "cargo tree names no crates:\n{tree}");
    Ok(linked)
}

/// Returns what the manifests of all crates say of themselves.
fn crates() -> Result<BTreeMap<CrateId, Crate>> {
    let host = host()?;
    let metadata =
        cargo(&["metadata", "--locked", "--format-version", "1", "--filter-platform", &host])?;
    let metadata: Value = serde_json::from_str(&metadata).context("read cargo's metadata")?;
    let packages = metadata.get("packages").and_then(Value::as_array).context("find packages")?;
    let mut crates = BTreeMap::new();
    for package in packages {
        let text =
            |key: &str| package.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let authors = package.get("authors").and_then(Value::as_array).into_iter().flatten();
        let manifest = text("manifest_path");
        let folder = Path::new(&manifest).parent().context("find the folder of a manifest")?;
        let id = (text("name"), text("version"));
        let found = Crate {
            id: id.clone(),
            authors: authors.filter_map(Value::as_str).map(ToOwned::to_owned).collect(),
            licence: text("license"),
            repository: text("repository"),
            folder: folder.to_owned(),
        };
        crates.insert(id, found);
    }
    Ok(crates)
}

/// Returns the platform of this compiler.
fn host() -> Result<String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let about = output(Command::new(rustc).arg("-vV"))?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("find the platform of rustc")?.to_owned())
}

/// Runs cargo in this workspace.
fn cargo(arguments: &[&str]) -> Result<String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    output(Command::new(cargo).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")))
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("start {command:?}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed: {errors}");
    String::from_utf8(output.stdout).with_context(|| format!("read the output of {command:?}"))
}
