//! Rules for the entries of an extension: what the unpacker trips over, and where files may be.

use std::collections::BTreeSet;

use crate::finding::Finding;
use crate::tree::{Entry, Kind, MANIFEST, MODE_EXECUTABLE, MODE_FILE, ROOTFS, Tree};

/// The one prefix that every version of Talos allows and that a service needs.
const ALLOWED: &str = "rootfs/usr/local/";

/// Looks at each entry, in the order of the layer.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen = BTreeSet::new();
    for entry in &tree.entries {
        path(entry, &mut findings);
        if !seen.insert(entry.path.as_str()) {
            let what = "it is there twice, and the unpacker opens no file that exists";
            findings.push(Finding::new(&entry.path, what, "write it once"));
        }
        let parent = entry.path.rsplit_once('/').map(|(parent, _)| parent);
        if let Some(parent) = parent.filter(|parent| !seen.contains(parent)) {
            let what = format!("{parent} has no entry before it, so the unpacker makes it 0700");
            findings.push(Finding::new(&entry.path, what, "write a directory with 0755 first"));
        }
        kind(entry, &mut findings);
        mode(entry, &mut findings);
    }
    if !matches!(tree.get(ROOTFS), Some(Entry { kind: Kind::Directory, .. })) {
        findings.push(Finding::new(
            ROOTFS,
            "it is missing",
            "put the files of the extension there",
        ));
    }
    findings
}

fn path(entry: &Entry, findings: &mut Vec<Finding>) {
    let mut find = |what: &str, remedy: &str| {
        findings.push(Finding::new(&entry.path, what, remedy));
    };
    let path = entry.path.as_str();
    if path.is_empty() || path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        find(
            "the path is not a plain one",
            "write it from the root, without dots or a slash first",
        );
        return;
    }
    let top = path.split('/').next().unwrap_or_default();
    if top != MANIFEST && top != ROOTFS {
        let what = "Talos refuses an extension with anything beside manifest.yaml and rootfs";
        find(what, "remove it, or put it below rootfs/usr/local");
        return;
    }
    if path.rsplit('/').next().is_some_and(|name| name.starts_with(".wh.")) {
        find("it means \"removed\" to whoever flattens the layers of an image", "rename it");
    }
    let is_within = path.starts_with(ALLOWED) || path == MANIFEST;
    if entry.kind != Kind::Directory && !is_within {
        find("Talos allows no file of a service here", "put it below rootfs/usr/local");
    }
    // A directory that leads to an allowed place, or is in one.
    if entry.kind == Kind::Directory && !is_within && !ALLOWED.starts_with(&format!("{path}/")) {
        find("it would become a directory of the host's root", "remove it");
    }
}

fn kind(entry: &Entry, findings: &mut Vec<Finding>) {
    let mut find = |what: String, remedy: &str| {
        findings.push(Finding::new(&entry.path, what, remedy));
    };
    match &entry.kind {
        Kind::HardLink(target) => {
            let what =
                format!("it is a hard link ({target}), of which the unpacker makes an empty file");
            find(what, "write the content again, or a symbolic link");
        }
        Kind::Special(what) => find(format!("it is {what}"), "remove it: Talos takes none"),
        Kind::Directory if entry.path == MANIFEST => {
            find("it is a directory".to_owned(), "make it a file");
        }
        Kind::Symlink(_) if entry.path == MANIFEST => {
            find("it is a symbolic link".to_owned(), "make it a file");
        }
        Kind::Directory | Kind::File(_) | Kind::Symlink(_) => {}
    }
}

fn mode(entry: &Entry, findings: &mut Vec<Finding>) {
    let (allowed, remedy): (&[u32], _) = match entry.kind {
        Kind::Directory => (&[MODE_EXECUTABLE], "make it 0755"),
        Kind::File(_) => (&[MODE_FILE, MODE_EXECUTABLE], "make it 0644, or 0755 if it is run"),
        Kind::Symlink(_) | Kind::HardLink(_) | Kind::Special(_) => return,
    };
    if !allowed.contains(&entry.mode) {
        let what = format!("its mode is {:04o}", entry.mode);
        findings.push(Finding::new(&entry.path, what, remedy));
    }
}
