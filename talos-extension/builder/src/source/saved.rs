//! A docker-archive: what `docker save` writes.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{Source, parse};
use crate::layer;

pub(super) fn open(path: &Path) -> Result<Source> {
    let mut source = Source::default();
    let bytes = fs::read(path).with_context(|| format!("read {}", path.display()))?;
    let saved = layer::unpack(&bytes).with_context(|| format!("read {}", path.display()))?;
    let place = "manifest.json";
    let Some(manifest) = saved.file(place) else {
        let what = "the archive has none, so it is no docker-archive";
        source.find(place, what, "write it with curfew-extension build, or unpack it first");
        return Ok(source);
    };
    let manifest = parse(manifest).context("manifest.json")?;
    let images = manifest.as_array().map(Vec::as_slice).unwrap_or_default();
    let [image, rest @ ..] = images else {
        source.find(place, "it names no image", "name the one");
        return Ok(source);
    };
    if !rest.is_empty() {
        source.find(place, "it names several images", "name one: crane push takes no more");
    }
    if image.pointer("/RepoTags/0").and_then(Value::as_str).is_none() {
        source.find(place, "RepoTags is empty", "give the image a name");
    }
    let layers = image.get("Layers").and_then(Value::as_array).map(Vec::as_slice);
    let [layer, rest @ ..] = layers.unwrap_or_default() else {
        source.find(place, "it names no layer", "put everything into one layer");
        return Ok(source);
    };
    if !rest.is_empty() {
        let what = format!("it names {} layers", rest.len() + 1);
        source.find(place, what, "put everything into one layer: nothing is to be overlaid");
    }
    let file = |name: Option<&Value>| {
        let name = name.and_then(Value::as_str).unwrap_or_default();
        saved.file(name).with_context(|| format!("{place} names {name:?}, which is not there"))
    };
    source.take(file(image.get("Config"))?, file(Some(layer))?)?;
    Ok(source)
}
