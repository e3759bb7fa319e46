//! An extension as somebody else finds it: an OCI layout, a docker-archive, or unpacked.
//!
//! What the readers of Talos and of registries insist on is looked at here; what is in the tree is
//! the business of [`mod@crate::validate`]. Only what cannot be read at all is an error.

mod layout;
mod saved;
mod unpacked;

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::digest::Digest;
use crate::finding::Finding;
use crate::layer;
use crate::tree::Tree;

/// An extension that was read.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// What it holds.
    pub tree: Tree,
    /// What the image says that it runs on; an unpacked one says nothing.
    pub architecture: Option<String>,
    /// What is wrong with the wrapping.
    pub findings: Vec<Finding>,
}

/// Reads the extension at `path`, whatever its form.
pub fn open(path: &Path) -> Result<Source> {
    if path.is_file() {
        saved::open(path)
    } else if path.join("oci-layout").exists() || path.join("index.json").exists() {
        layout::open(path)
    } else {
        ensure!(path.is_dir(), "there is no {}", path.display());
        unpacked::open(path)
    }
}

impl Source {
    fn find(&mut self, place: &str, what: impl Into<String>, remedy: impl Into<String>) {
        self.findings.push(Finding::new(place, what, remedy));
    }

    /// Adds a finding if a text of a document is not the one that readers want.
    fn want(&mut self, place: &str, document: &Value, pointer: &str, wanted: &Value) {
        let found = document.pointer(pointer).unwrap_or(&Value::Null);
        if found != wanted {
            let name = pointer.trim_start_matches('/').replace('/', ".");
            self.find(place, format!("{name} is {found}"), format!("make it {wanted}"));
        }
    }

    /// Takes the configuration and the compressed layer in.
    fn take(&mut self, config: &[u8], layer: &[u8]) -> Result<()> {
        let document = parse(config).context("read the configuration")?;
        let place = "configuration";
        self.want(place, &document, "/os", &"linux".into());
        self.want(place, &document, "/rootfs/type", &"layers".into());
        let architecture = document.get("architecture").and_then(Value::as_str);
        if !matches!(architecture, Some("amd64" | "arm64")) {
            let what = format!("architecture is {}", architecture.unwrap_or("missing"));
            self.find(place, what, "Talos runs on amd64 and arm64");
        }
        self.architecture = architecture.map(ToOwned::to_owned);
        let archive = layer::decompress(layer).context("read the layer")?;
        let wanted = Value::from([Digest::of(&archive).to_string()].to_vec());
        self.want(place, &document, "/rootfs/diff_ids", &wanted);
        self.tree = layer::unpack(&archive).context("read the layer")?;
        Ok(())
    }
}

fn parse(document: &[u8]) -> Result<Value> {
    serde_json::from_slice(document).context("read JSON")
}
