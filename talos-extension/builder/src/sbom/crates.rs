//! The crates that are linked into the agent: from cargo's own resolution of what it builds.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::Part;

/// Name and version.
type CrateId = (String, String);

/// Returns what of others is linked into the package `curfew` of the workspace at `root`, when it
/// is built for `target` with its own features: no build scripts, no macros, no tests. Of some the
/// linker keeps nothing; which, nobody says.
pub fn linked(root: &Path, target: &str) -> Result<Vec<Part>> {
    let ours = ids(root, target)?;
    let lock = fs::read_to_string(root.join("Cargo.lock")).context("read Cargo.lock")?;
    let checksums = checksums(&lock);
    let arguments = ["metadata", "--locked", "--format-version", "1", "--filter-platform", target];
    let metadata = cargo(root, &arguments)?;
    let metadata: Value = serde_json::from_str(&metadata).context("read cargo's metadata")?;
    let packages = metadata.get("packages").and_then(Value::as_array).context("find packages")?;
    let mut licences = BTreeMap::new();
    let mut names = BTreeMap::new();
    for package in packages {
        let text = |key| package.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let crate_id = (text("name"), text("version"));
        licences.insert(crate_id.clone(), text("license"));
        names.insert(text("id"), crate_id);
    }
    let nodes = metadata.pointer("/resolve/nodes").and_then(Value::as_array);
    let mut needs: BTreeMap<&CrateId, Vec<CrateId>> = BTreeMap::new();
    for node in nodes.context("find what cargo resolved")? {
        let of = |it: &Value| names.get(it.as_str().unwrap_or_default());
        let Some(from) = node.get("id").and_then(of) else { continue };
        let to = node.get("deps").and_then(Value::as_array).into_iter().flatten();
        let to = to.filter(|it| is_linked(it)).filter_map(|it| of(it.get("pkg")?));
        let to: BTreeSet<_> = to.filter(|it| ours.contains(*it)).cloned().collect();
        needs.insert(from, to.into_iter().collect());
    }
    let part = |crate_id: &CrateId| {
        let (name, version) = crate_id.clone();
        let licence = licences.get(crate_id).filter(|it| !it.is_empty());
        Part {
            purl: Some(format!("pkg:cargo/{name}@{version}")),
            // The older way to write a choice.
            licence: licence.map(|it| it.replace('/', " OR ")),
            checksum: checksums.get(crate_id).cloned(),
            needs: needs.get(crate_id).cloned().unwrap_or_default(),
            name,
            version,
        }
    };
    Ok(ours.iter().map(part).collect())
}

/// Returns whether a dependency is one of the code itself, not of a build script or a test.
fn is_linked(dependency: &Value) -> bool {
    let kinds = dependency.get("dep_kinds").and_then(Value::as_array);
    kinds.into_iter().flatten().any(|it| it.get("kind").is_none_or(Value::is_null))
}

/// Returns the crates of others, as `cargo tree` sees the one package; `cargo metadata` would add
/// the features that other packages of the workspace turn on.
fn ids(root: &Path, target: &str) -> Result<BTreeSet<CrateId>> {
    let edges = ["tree", "--locked", "--package", "curfew", "--edges", "normal,no-proc-macro"];
    let form = ["--target", target, "--prefix", "none", "--format", "{p}"];
    let tree = cargo(root, &[&edges[..], &form[..]].concat())?;
    let mut ids = BTreeSet::new();
    for line in tree.lines() {
        // `name v1.2.3`, and behind that `(/path)` if it is ours or `(*)` if it was there before.
        let mut words = line.split(' ');
        let (Some(name), Some(version)) = (words.next(), words.next()) else { continue };
        let is_ours = words.next().is_some_and(|word| word.starts_with("(/"));
        if let (Some(version), false) = (version.strip_prefix('v'), is_ours) {
            ids.insert((name.to_owned(), version.to_owned()));
        }
    }
    ensure!(!ids.is_empty(), "cargo tree names no crates:\n{tree}");
    Ok(ids)
}

/// Returns the checksums of Cargo.lock, whose form is one `key = "value"` a line.
fn checksums(lock: &str) -> BTreeMap<CrateId, String> {
    let mut checksums = BTreeMap::new();
    for package in lock.split("[[package]]").skip(1) {
        let text = |key: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(key))?;
            line.strip_prefix(" = \"")?.strip_suffix('"').map(ToOwned::to_owned)
        };
        if let (Some(name), Some(version), Some(sum)) =
            (text("name"), text("version"), text("checksum"))
        {
            checksums.insert((name, version), sum);
        }
    }
    checksums
}

fn cargo(root: &Path, arguments: &[&str]) -> Result<String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(arguments).current_dir(root);
    let output = command.output().with_context(|| format!("start {command:?}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed: {errors}");
    String::from_utf8(output.stdout).with_context(|| format!("read the output of {command:?}"))
}
