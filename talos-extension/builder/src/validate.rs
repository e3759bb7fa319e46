//! The rules of Talos for what is in an extension, and those of a service that must not block it.
//!
//! Some are enforced by Talos when the installer is built, some by nobody until the node hangs;
//! here all are the same. Each rule is beside its reason, in the module of its subject:
//! [`content`], [`manifest`], [`service`] with [`mount`], [`root`].

pub mod content;
mod document;
pub mod manifest;
pub mod mount;
pub mod range;
pub mod root;
pub mod service;

use anyhow::{Context as _, Result};

use crate::finding::Finding;
use crate::source::Source;
use range::Version;

/// Returns what is wrong with an extension, in the order in which it would be met. With `talos` it
/// must also be compatible with that version.
pub fn validate(source: &Source, talos: Option<&str>) -> Result<Vec<Finding>> {
    let talos = match talos {
        Some(text) => {
            Some(Version::parse(text).with_context(|| format!("{text:?} is no version"))?)
        }
        None => None,
    };
    let mut findings = source.findings.clone();
    // An image that could not be opened up has been told about.
    if source.tree.entries.is_empty() && !findings.is_empty() {
        return Ok(findings);
    }
    findings.extend(content::check(&source.tree));
    findings.extend(manifest::check(&source.tree, talos));
    let (services, of_services) = service::check(&source.tree);
    findings.extend(of_services);
    findings.extend(root::check(&source.tree, &services, source.architecture.as_deref()));
    Ok(findings)
}

/// Returns whether a name may be one of a service: `[-_a-z0-9]+`.
fn is_service_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
    !name.is_empty() && name.chars().all(allowed)
}
