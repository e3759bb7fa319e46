//! Rules for the root file systems of services, for what is started in them, and for what lies
//! beside: in an empty root there is no loader and no library.

use serde_json::Value;

use super::service::Service;
use crate::elf::Elf;
use crate::finding::Finding;
use crate::tree::{CONTAINERS, Entry, Kind, MODE_EXECUTABLE, SBOMS, Tree};

/// Looks at the roots, the entrypoints, and the bills of materials.
pub fn check(tree: &Tree, services: &[Service], architecture: Option<&str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for service in services {
        findings.extend(entrypoint(tree, service, architecture));
    }
    for (name, entry) in tree.children(CONTAINERS) {
        if !services.iter().any(|service| service.name == name) {
            let what = format!("no service spec describes a service {name}");
            findings.push(Finding::new(&entry.path, what, "add one, or remove the root"));
        }
    }
    for (name, entry) in tree.children(SBOMS) {
        findings.extend(sbom(name, entry));
    }
    findings
}

fn entrypoint(tree: &Tree, service: &Service, architecture: Option<&str>) -> Option<Finding> {
    let Service { name, entrypoint, place } = service;
    let path = format!("{CONTAINERS}/{name}{entrypoint}");
    let Some(entry) = tree.get(&path) else {
        let what = format!("its entrypoint {entrypoint} is not in the container's root");
        return Some(Finding::new(place, what, format!("add {path}")));
    };
    let find = |what: String, remedy: &str| Some(Finding::new(&path, what, remedy));
    let Kind::File(program) = &entry.kind else {
        return find(
            "the entrypoint is no regular file".to_owned(),
            "put the program itself there",
        );
    };
    if entry.mode != MODE_EXECUTABLE {
        return find("the entrypoint cannot be run".to_owned(), "make it 0755");
    }
    let Some(elf) = Elf::parse(program) else {
        return find("it is no 64-bit ELF program".to_owned(), "put a static binary there");
    };
    let remedy = "link it statically: -C target-feature=+crt-static, or a musl target";
    if let Some(interpreter) = elf.interpreter {
        return find(format!("the kernel would look for the loader {interpreter}"), remedy);
    }
    if !elf.needed.is_empty() {
        return find(format!("it needs {}, and the root is empty", elf.needed.join(", ")), remedy);
    }
    if elf.architecture.is_none() || architecture.is_some_and(|it| elf.architecture != Some(it)) {
        let found = elf.architecture.unwrap_or("no machine of Talos");
        let what =
            format!("it is for {found}, the image for {}", architecture.unwrap_or("another"));
        return find(what, "build both for the same machine");
    }
    None
}

/// Talos gives up on all of them if one cannot be read.
fn sbom(name: &str, entry: &Entry) -> Option<Finding> {
    let find = |what: &str, remedy: &str| Some(Finding::new(&entry.path, what, remedy));
    let Kind::File(content) = &entry.kind else {
        return find("Talos passes it by, since it is no regular file", "remove it");
    };
    if !name.ends_with(".spdx.json") {
        return find("Talos passes it by", "let its name end with .spdx.json");
    }
    let document: Value = serde_json::from_slice(content).unwrap_or_default();
    let packages = document.get("packages").and_then(Value::as_array);
    let is_named =
        |it: &Value| it.get("name").and_then(Value::as_str).is_some_and(|it| !it.is_empty());
    if !packages.is_some_and(|packages| packages.iter().all(is_named)) {
        return find("it is no SPDX document with named packages", "write one in SPDX's JSON form");
    }
    None
}
