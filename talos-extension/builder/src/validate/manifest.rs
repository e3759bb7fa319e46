//! Rules for `manifest.yaml`.

use super::document::Document;
use super::is_service_name;
use super::range::{Range, Version};
use crate::finding::Finding;
use crate::tree::{MANIFEST, Tree};

/// Looks at the manifest, and whether the extension is for a version of Talos.
pub fn check(tree: &Tree, talos: Option<Version>) -> Vec<Finding> {
    if tree.get(MANIFEST).is_none() {
        return vec![Finding::new(
            MANIFEST,
            "it is missing",
            "add it: Talos refuses to go without",
        )];
    }
    let (mut document, root) = Document::open(tree, MANIFEST);
    let Some(root) = root else { return document.findings };
    document.fields(&root, &["version", "metadata"]);
    if document.required(&root, "version").is_some_and(|version| version != "v1alpha1") {
        document.find(root.line, "Talos knows no such version of manifests", "write v1alpha1");
    }
    let Some(metadata) = root.get("metadata") else {
        document.find(root.line, "metadata is missing", "name the extension and its version");
        return document.findings;
    };
    let known = ["name", "version", "author", "description", "compatibility", "extraInfo"];
    if !document.fields(metadata, &known) {
        return document.findings;
    }
    if let Some(name) = document.required(metadata, "name")
        && !is_service_name(name)
    {
        let what = format!("the name {name:?} has other characters than a-z, 0-9, - and _");
        document.find(metadata.line, what, "name it as its service");
    }
    for key in ["version", "author", "description"] {
        document.required(metadata, key);
    }
    let Some(compatibility) = metadata.get("compatibility") else { return document.findings };
    document.fields(compatibility, &["talos"]);
    if let Some(of_talos) = compatibility.get("talos") {
        document.fields(of_talos, &["version"]);
        let text = document.required(of_talos, "version").unwrap_or_default();
        match (Range::parse(text), talos) {
            (None, _) if text.is_empty() => {}
            (None, _) => {
                let what = format!("{text:?} is no range of versions");
                document.find(of_talos.line, what, "write one like \">= v1.8.0\"");
            }
            (Some(range), Some(version)) if !range.has(version) => {
                let what = format!("{text:?} leaves out the version of Talos asked for");
                document.find(of_talos.line, what, "widen it, or take another extension");
            }
            (Some(_), _) => {}
        }
    }
    document.findings
}
