//! Rules for what a service mounts of the host.
//!
//! A source that is missing becomes a directory, or the service fails and is not tried again. What
//! is mounted here is held here: a shutdown unmounts the host's file systems around it.

use super::document::Document;
use super::service::Depends;
use crate::yaml::{Node, Value};

/// Looks at the mounts of a container.
pub(super) fn check(document: &mut Document, container: &Node, depends: &Depends) {
    let Some(mounts) = container.get("mounts") else { return };
    if !matches!(mounts.value, Value::List(_)) {
        document.find(mounts.line, "mounts is no list", "write one mount an item");
    }
    let mut destinations = Vec::new();
    for mount in mounts.items() {
        if !document.fields(mount, &["source", "destination", "type", "options"]) {
            continue;
        }
        if let Some(source) = document.required(mount, "source") {
            self::source(document, mount.line, source, depends);
        }
        if let Some(destination) = document.required(mount, "destination") {
            if !destination.starts_with('/') || destination == "/" {
                let what = format!("the destination {destination:?} is no place in the container");
                document.find(mount.line, what, "write an absolute path below the root");
            }
            if destinations.contains(&destination) {
                let what = format!("{destination} is the destination of two mounts");
                document.find(mount.line, what, "leave one out");
            }
            destinations.push(destination);
        }
        options(document, mount);
    }
}

fn source(document: &mut Document, line: usize, source: &str, depends: &Depends) {
    if !source.starts_with('/') {
        let what = format!("Talos would make a directory {source:?} in its own working directory");
        document.find(line, what, "write an absolute path");
        return;
    }
    let is_below = |folder: &str| source.strip_prefix(folder).is_some_and(|it| it.starts_with('/'));
    let is_whole = ["/", "/dev", "/var", "/var/lib"].contains(&source.trim_end_matches('/'))
        || source.trim_end_matches('/').is_empty();
    if is_whole || source == "/var/lib/kubelet" || is_below("/var/lib/kubelet") {
        let what = format!("a bind of {source} holds the file systems below it in a shutdown");
        document.find(line, what, "bind no more than the directory that is needed");
    }
    if is_below("/system/run") && !depends.paths.iter().any(|path| path == source) {
        let what = format!("if {source} is not there yet, Talos makes a directory of it");
        document.find(line, what, "add the dependency `path:` on it");
    }
    let waits = depends.services.iter().any(|it| it == "cri" || it == "kubelet")
        || depends.paths.iter().any(|path| path.starts_with("/var/"));
    if is_below("/var") && !waits {
        let what =
            format!("{source} cannot be made before /var is mounted, and is not tried again");
        document.find(line, what, "add the dependency `service: cri`");
    }
}

fn options(document: &mut Document, mount: &Node) {
    let line = mount.line;
    let options = document.texts(mount, "options");
    let has = |option: &str| options.iter().any(|(_, it)| *it == option);
    if document.required(mount, "type").is_some_and(|kind| kind != "bind") {
        document.find(line, "it is no bind of something of the host", "write type: bind");
    }
    for (line, option) in &options {
        if !KNOWN.contains(option) {
            document.find(*line, format!("{option} is no option of a bind"), "remove it");
        }
    }
    if has("bind") == has("rbind") {
        document.find(line, "the runtime needs one of bind and rbind", "write the one");
    }
    if has("ro") == has("rw") {
        document.find(line, "it says neither or both of ro and rw", "write the one that is needed");
    }
    if has("shared") || has("rshared") {
        let what = "mounts of the container would appear on the host, and keep it from unmounting";
        document.find(line, what, "write rslave");
    } else if has("rbind") && !has("rslave") {
        let what = "the copy keeps every file system mounted below it, also when the host lets go";
        document.find(line, what, "add rslave");
    }
}

const KNOWN: [&str; 17] = [
    "bind",
    "rbind",
    "ro",
    "rw",
    "nosuid",
    "nodev",
    "noexec",
    "noatime",
    "relatime",
    "private",
    "rprivate",
    "slave",
    "rslave",
    "shared",
    "rshared",
    "unbindable",
    "runbindable",
];
