//! An OCI layout directory.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{Source, parse};
use crate::digest::Digest;
use crate::image::{CONFIG_TYPE, LAYER_TYPE, MANIFEST_TYPE};

pub(super) fn open(root: &Path) -> Result<Source> {
    let mut source = Source::default();
    match document(&root.join("oci-layout")) {
        Ok(layout) => {
            source.want("oci-layout", &layout, "/imageLayoutVersion", &"1.0.0".into());
        }
        Err(failed) => source.find(
            "oci-layout",
            format!("it cannot be read ({failed:#})"),
            "write {\"imageLayoutVersion\":\"1.0.0\"} into it",
        ),
    }
    let index = document(&root.join("index.json"))?;
    source.want("index.json", &index, "/schemaVersion", &2.into());
    let manifests = index.get("manifests").and_then(Value::as_array).map(Vec::as_slice);
    let [entry, rest @ ..] = manifests.unwrap_or_default() else {
        source.find("index.json", "it names no manifest", "name the one of the image");
        return Ok(source);
    };
    if !rest.is_empty() {
        let what = format!("it names {} manifests", rest.len() + 1);
        source.find("index.json", what, "name one: crane push takes no more from a directory");
    }
    source.want("index.json", entry, "/mediaType", &MANIFEST_TYPE.into());
    source.want("index.json", entry, "/platform/os", &"linux".into());
    let mut reader = Reader { root, used: Vec::new() };
    let manifest = parse(&reader.blob(&mut source, "index.json", entry)?).context("manifest")?;
    let place = "manifest";
    source.want(place, &manifest, "/schemaVersion", &2.into());
    source.want(place, &manifest, "/mediaType", &MANIFEST_TYPE.into());
    source.want(place, &manifest, "/config/mediaType", &CONFIG_TYPE.into());
    let layers = manifest.get("layers").and_then(Value::as_array).map(Vec::as_slice);
    let [layer, rest @ ..] = layers.unwrap_or_default() else {
        source.find(place, "it names no layer", "put everything into one layer");
        return Ok(source);
    };
    if !rest.is_empty() {
        let what = format!("it names {} layers", rest.len() + 1);
        source.find(place, what, "put everything into one layer: nothing is to be overlaid");
    }
    source.want(place, layer, "/mediaType", &LAYER_TYPE.into());
    let config = manifest.get("config").unwrap_or(&Value::Null);
    let config = reader.blob(&mut source, place, config)?;
    let layer = reader.blob(&mut source, place, layer)?;
    source.take(&config, &layer)?;
    let architecture = source.architecture.clone().unwrap_or_default();
    source.want("index.json", entry, "/platform/architecture", &architecture.into());
    reader.look_for_strays(&mut source)?;
    Ok(source)
}

struct Reader<'a> {
    root: &'a Path,
    used: Vec<PathBuf>,
}

impl Reader<'_> {
    /// Reads what a descriptor refers to, and compares it with that.
    fn blob(&mut self, source: &mut Source, place: &str, descriptor: &Value) -> Result<Vec<u8>> {
        let digest = descriptor.get("digest").and_then(Value::as_str).unwrap_or_default();
        let hex =
            digest.strip_prefix("sha256:").filter(|hex| hex.len() == 64 && !hex.contains('/'));
        let hex = hex.with_context(|| format!("{place} refers to a blob as {digest:?}"))?;
        let path = self.root.join("blobs/sha256").join(hex);
        let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        let place = &format!("blobs/sha256/{hex}");
        if Digest::of(&bytes).hex() != hex {
            source.find(place, "its content has another digest", "write the layout anew");
        }
        if descriptor.get("size").and_then(Value::as_u64) != Some(bytes.len() as u64) {
            let what = format!("it has {} bytes, and its reference another size", bytes.len());
            source.find(place, what, "write the layout anew");
        }
        self.used.push(path);
        Ok(bytes)
    }

    /// Blobs that nothing refers to are pushed by some tools, and are at least in the way.
    fn look_for_strays(&self, source: &mut Source) -> Result<()> {
        let folder = self.root.join("blobs/sha256");
        let mut strays = Vec::new();
        for entry in fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
            let path = entry.with_context(|| format!("read {}", folder.display()))?.path();
            if !self.used.contains(&path) {
                strays.push(path);
            }
        }
        strays.sort();
        for stray in strays {
            let name = stray.file_name().unwrap_or_default().to_string_lossy();
            source.find(&format!("blobs/sha256/{name}"), "nothing refers to it", "remove it");
        }
        Ok(())
    }
}

fn document(path: &Path) -> Result<Value> {
    let bytes = fs::read(path).with_context(|| format!("read {}", path.display()))?;
    parse(&bytes).with_context(|| format!("read {}", path.display()))
}
