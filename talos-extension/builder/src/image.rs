//! An extension as an image: one layer, its configuration, and the manifest that names both.
//!
//! Nothing but the tree and [`About`] goes into it, so the same input has the same digest. The
//! documents are structs and not free JSON, so that the order of their fields is fixed.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::digest::Digest;
use crate::layer::{self, LayerError};
use crate::tree::Tree;

/// Media type of an image's manifest.
pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of an image's configuration.
pub const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
/// Media type of the one layer.
pub const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// What an image says of itself.
#[derive(Clone, Debug)]
pub struct About {
    /// The name of the extension.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it is for, in a sentence.
    pub description: String,
    /// The commit that it was built from.
    pub revision: Option<String>,
    /// The date of all that is in it, in seconds of Unix time.
    pub date: u64,
    /// `amd64` or `arm64`.
    pub architecture: &'static str,
}

/// Bytes that are named by their digest.
#[derive(Clone, Debug)]
pub struct Blob {
    /// What they are.
    pub media_type: &'static str,
    /// Their name.
    pub digest: Digest,
    /// They themselves.
    pub bytes: Vec<u8>,
}

impl Blob {
    fn new(media_type: &'static str, bytes: Vec<u8>) -> Self {
        Self { media_type, digest: Digest::of(&bytes), bytes }
    }

    /// Returns how others refer to it.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor {
            media_type: self.media_type,
            digest: self.digest.clone(),
            size: self.bytes.len(),
            platform: None,
            annotations: BTreeMap::new(),
        }
    }
}

/// A reference to a blob.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    media_type: &'static str,
    digest: Digest,
    size: usize,
    /// Talos skips entries of an index without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Further facts.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<&'static str, String>,
}

/// What an image runs on.
#[derive(Clone, Debug, Serialize)]
pub struct Platform {
    architecture: &'static str,
    os: &'static str,
}

/// An image, ready to be written in one form or another.
#[derive(Clone, Debug)]
pub struct Image {
    /// What it is about.
    pub about: About,
    /// The configuration.
    pub config: Blob,
    /// The layer, compressed.
    pub layer: Blob,
    /// The manifest; its digest is that of the image.
    pub manifest: Blob,
    /// Size of the layer when it is unfolded.
    pub unfolded_size: usize,
}

impl Image {
    /// Makes the image of a tree.
    pub fn new(tree: &Tree, about: About) -> Result<Self, LayerError> {
        let archive = layer::pack(tree, about.date)?;
        let layer = Blob::new(LAYER_TYPE, layer::compress(&archive)?);
        let config = Config {
            created: timestamp(about.date),
            architecture: about.architecture,
            os: OS,
            execution: Empty {},
            rootfs: RootFs { kind: "layers", diff_ids: [Digest::of(&archive)] },
            history: [History { created: timestamp(about.date), created_by: CREATED_BY }],
        };
        let config = Blob::new(CONFIG_TYPE, json(&config));
        let manifest = Manifest {
            schema_version: 2,
            media_type: MANIFEST_TYPE,
            config: config.descriptor(),
            layers: [layer.descriptor()],
            annotations: annotations(&about),
        };
        let manifest = Blob::new(MANIFEST_TYPE, json(&manifest));
        Ok(Self { about, config, layer, manifest, unfolded_size: archive.len() })
    }

    /// Returns what it runs on.
    pub fn platform(&self) -> Platform {
        Platform { architecture: self.about.architecture, os: OS }
    }
}

/// Writes a document as it is stored.
///
/// # Panics
///
/// If it is none: JSON can hold all that our documents are made of.
pub fn json(document: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(document).expect("texts, numbers and lists of them are always JSON")
}

fn annotations(about: &About) -> BTreeMap<&'static str, String> {
    let mut annotations = BTreeMap::from([
        ("org.opencontainers.image.title", format!("{}-extension", about.name)),
        ("org.opencontainers.image.description", about.description.clone()),
        ("org.opencontainers.image.version", about.version.clone()),
        ("org.opencontainers.image.created", timestamp(about.date)),
        ("org.opencontainers.image.licenses", "Apache-2.0".to_owned()),
    ]);
    if let Some(revision) = &about.revision {
        annotations.insert("org.opencontainers.image.revision", revision.clone());
    }
    annotations
}

/// Returns a moment of Unix time as RFC 3339 has it, in UTC.
pub fn timestamp(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days of eras of 400 years that begin on the first of March, so that a leap day is the last.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = 400 * era + year + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[derive(Serialize)]
struct Config {
    created: String,
    architecture: &'static str,
    os: &'static str,
    /// Nothing is run from the image: Talos unpacks it.
    #[serde(rename = "config")]
    execution: Empty,
    rootfs: RootFs,
    history: [History; 1],
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
struct RootFs {
    #[serde(rename = "type")]
    kind: &'static str,
    diff_ids: [Digest; 1],
}

#[derive(Serialize)]
struct History {
    created: String,
    created_by: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u32,
    media_type: &'static str,
    config: Descriptor,
    layers: [Descriptor; 1],
    annotations: BTreeMap<&'static str, String>,
}

const OS: &str = "linux";
const CREATED_BY: &str = "curfew-extension build";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_dates() {
        assert_eq!(timestamp(0), "1970-01-01T00:00:00Z");
        assert_eq!(timestamp(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(timestamp(1_798_761_599), "2026-12-31T23:59:59Z");
        assert_eq!(timestamp(1_709_210_096), "2024-02-29T12:34:56Z");
        assert_eq!(timestamp(4_107_542_400), "2100-03-01T00:00:00Z");
    }
}
