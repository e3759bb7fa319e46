//! Rules for service specs: what Talos refuses, what it ignores, and what would block the node.
//!
//! A spec that is refused is a line in a log and no service; a dependency that is never met is a
//! boot that never ends.

use super::document::Document;
use super::{is_service_name, mount};
use crate::finding::Finding;
use crate::tree::{Kind, SERVICES, Tree};
use crate::yaml::{Node, Value};

/// A service that could be started.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// What it starts, in its container's root.
    pub entrypoint: String,
    /// The file that describes it.
    pub place: String,
}

/// Looks at all specs; returns the services that they describe as well.
pub fn check(tree: &Tree) -> (Vec<Service>, Vec<Finding>) {
    let mut services: Vec<Service> = Vec::new();
    let mut findings = Vec::new();
    let mut count = 0;
    for (name, entry) in tree.children(SERVICES) {
        let extension = std::path::Path::new(name).extension();
        if !matches!(entry.kind, Kind::File(_)) || extension.is_none_or(|it| it != "yaml") {
            let what = "Talos passes it by, since it is no file whose name ends with .yaml";
            findings.push(Finding::new(&entry.path, what, "rename it or remove it"));
            continue;
        }
        count += 1;
        let (mut document, root) = Document::open(tree, &entry.path);
        let service = root.and_then(|root| spec(&mut document, &root));
        findings.append(&mut document.findings);
        let Some((name, entrypoint)) = service else { continue };
        if let Some(other) = services.iter().find(|it| it.name == name) {
            let what =
                format!("{} describes a service {name}, too, and only one counts", other.place);
            findings.push(Finding::new(&entry.path, what, "give each its own name"));
        }
        services.push(Service { name, entrypoint, place: entry.path.clone() });
    }
    if count == 0 {
        let what = "there is no service spec, so Talos would start nothing";
        findings.push(Finding::new(SERVICES, what, "add NAME.yaml"));
    }
    (services, findings)
}

/// Looks at one spec; returns name and entrypoint if it has both.
fn spec(document: &mut Document, root: &Node) -> Option<(String, String)> {
    document.fields(root, &["name", "container", "depends", "restart", "logToConsole"]);
    let name = document.required(root, "name").map(ToOwned::to_owned);
    if let Some(name) = name.as_deref().filter(|name| !is_service_name(name)) {
        let what = format!("Talos refuses the name {name:?}");
        document.find(root.line, what, "use a-z, 0-9, - and _");
    }
    if let Some(restart) = document.required(root, "restart")
        && !["always", "never", "untilSuccess"].contains(&restart)
    {
        let what = format!("Talos refuses restart: {restart}");
        document.find(root.line, what, "write always, never or untilSuccess");
    }
    document.flag(root, "logToConsole");
    let depends = depends(document, root);
    let Some(node) = root.get("container") else {
        document.find(root.line, "container is missing", "say what is to be started");
        return None;
    };
    let entrypoint = container(document, node, &depends);
    Some((name?, entrypoint?))
}

/// What a service waits for, as far as mounts rely on it.
#[derive(Debug, Default)]
pub(super) struct Depends {
    pub(super) paths: Vec<String>,
    pub(super) services: Vec<String>,
}

fn depends(document: &mut Document, root: &Node) -> Depends {
    let mut depends = Depends::default();
    let Some(list) = root.get("depends") else { return depends };
    if !matches!(list.value, Value::List(_)) {
        document.find(list.line, "depends is no list", "write one dependency an item");
    }
    for item in list.items() {
        if !document.fields(item, &["service", "path", "network", "time", "configuration"]) {
            continue;
        }
        let service = item.get("service").and_then(Node::text).filter(|it| !it.is_empty());
        let path = item.get("path").and_then(Node::text).filter(|it| !it.is_empty());
        let network = document.texts(item, "network");
        let flags = ["time", "configuration"].map(|key| document.flag(item, key) == Some(true));
        let set = [service.is_some(), path.is_some(), !network.is_empty(), flags[0], flags[1]];
        match set.iter().filter(|it| **it).count() {
            0 => document.find(item.line, "it depends on nothing", "name one thing"),
            1 => {}
            _ => document.find(item.line, "it depends on several things", "one thing an item"),
        }
        if let Some(service) = service {
            if !SERVICES_OF_TALOS.contains(&service) && !service.starts_with("ext-") {
                let what =
                    format!("not every node has a service {service}: it would wait for ever");
                let remedy = format!("name one of {}", SERVICES_OF_TALOS.join(", "));
                document.find(item.line, what, remedy);
            }
            depends.services.push(service.to_owned());
        }
        if let Some(path) = path {
            if !path.starts_with('/') {
                document.find(item.line, "the path is not absolute", "begin it with a slash");
            }
            depends.paths.push(path.to_owned());
        }
        for (line, status) in network {
            if !["addresses", "connectivity", "hostname", "etcfiles"].contains(&status) {
                let what = format!("Talos knows no state {status} of the network");
                document.find(line, what, "write addresses, connectivity, hostname or etcfiles");
            }
        }
    }
    depends
}

/// Looks at the container; returns its entrypoint.
fn container(document: &mut Document, node: &Node, depends: &Depends) -> Option<String> {
    let known = ["entrypoint", "args", "environment", "environmentFile", "mounts", "security"];
    if !document.fields(node, &known) {
        return None;
    }
    let entrypoint = document.required(node, "entrypoint");
    if entrypoint.is_some_and(|entrypoint| !entrypoint.starts_with('/')) {
        let what = "the entrypoint is not absolute, and Talos sets no PATH";
        document.find(node.line, what, "begin it with a slash, in the container's root");
    }
    document.texts(node, "args");
    if let Some(file) = node.get("environmentFile") {
        let what = "environmentFile is deprecated, and the boot waits for the file";
        document.find(file.line, what, "use environment, or an ExtensionServiceConfig");
    }
    let mut names = Vec::new();
    for (line, variable) in document.texts(node, "environment") {
        let name = variable.split_once('=').map(|(name, _)| name);
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
        match name {
            Some(name) if names.contains(&name) => {
                document.find(line, format!("{name} is there twice"), "set it once");
            }
            Some(name) if !name.is_empty() && name.chars().all(allowed) => names.push(name),
            _ => document.find(line, "it is no variable", "write NAME=VALUE"),
        }
    }
    mount::check(document, node, depends);
    if let Some(security) = node.get("security") {
        self::security(document, security);
    }
    entrypoint.map(ToOwned::to_owned)
}

fn security(document: &mut Document, node: &Node) {
    let flags = ["writeableRootfs", "writeableSysfs"];
    let lists = ["maskedPaths", "readonlyPaths"];
    let known = [&flags[..], &lists[..], &["rootfsPropagation"]].concat();
    if !document.fields(node, &known) {
        return;
    }
    for key in flags {
        document.flag(node, key);
    }
    for key in lists {
        for (line, path) in document.texts(node, key) {
            if !path.starts_with('/') {
                document.find(line, format!("{key}: {path:?} is no path"), "begin it with a slash");
            }
        }
    }
    let kinds = ["private", "rprivate", "slave", "rslave"];
    if let Some(propagation) = node.get("rootfsPropagation")
        && !propagation.text().is_some_and(|text| kinds.contains(&text))
    {
        let what = "mounts of the container could stay behind on the host";
        document.find(propagation.line, what, format!("write one of {}", kinds.join(", ")));
    }
}

/// Those that every node has; etcd and trustd run on control planes only.
const SERVICES_OF_TALOS: [&str; 7] =
    ["apid", "containerd", "cri", "kubelet", "machined", "syslogd", "udevd"];
