//! An image on disk: as an OCI layout directory and as a docker-archive.

use std::fs::{self, DirBuilder, File};
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;

use crate::image::{Descriptor, Image, json};
use crate::layer;
use crate::tree::{Kind, MODE_EXECUTABLE, MODE_FILE, Tree};

/// Writes the image as an OCI layout directory, in place of what was there.
///
/// It has one manifest, with its platform: `crane push DIRECTORY` takes no more than one, and
/// Talos' imager skips those without platform.
pub fn layout(image: &Image, target: &Path) -> Result<()> {
    if target.exists() {
        fs::remove_dir_all(target).with_context(|| format!("remove {}", target.display()))?;
    }
    let blobs = target.join("blobs/sha256");
    folder(&blobs)?;
    for blob in [&image.config, &image.layer, &image.manifest] {
        put(&blobs.join(blob.digest.hex()), &blob.bytes)?;
    }
    let mut entry = image.manifest.descriptor();
    entry.platform = Some(image.platform());
    entry.annotations.insert("org.opencontainers.image.ref.name", image.about.version.clone());
    let index = Index { schema_version: 2, media_type: INDEX_TYPE, manifests: [entry] };
    put(&target.join("index.json"), &json(&index))?;
    put(&target.join("oci-layout"), &json(&Layout { image_layout_version: "1.0.0" }))
}

/// Writes the image as `docker save` would, under the name `tag`.
pub fn archive(image: &Image, tag: &str, target: &Path) -> Result<()> {
    let config = format!("{}.json", image.config.digest.hex());
    let layer = format!("{}.tar.gz", image.layer.digest.hex());
    let manifest = [Saved { config: &config, repo_tags: [tag], layers: [&layer] }];
    let tree = Tree::of_files([
        (config.clone(), MODE_FILE, image.config.bytes.clone()),
        (layer.clone(), MODE_FILE, image.layer.bytes.clone()),
        ("manifest.json".to_owned(), MODE_FILE, json(&manifest)),
    ]);
    put(target, &layer::pack(&tree, image.about.date)?)
}

/// Unpacks a tree as Talos' imager does: what has no entry of its own is made 0700, nothing is
/// opened that is there already. Unlike it, a path that leads out of `target`, by dots or by a
/// link, is refused: here it would be the person's own machine.
pub fn unpacked(tree: &Tree, target: &Path) -> Result<()> {
    folder(target)?;
    for entry in &tree.entries {
        let path = within(target, &entry.path)?;
        let parent = path.parent().context("find the folder of an entry")?;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .with_context(|| format!("make {}", parent.display()))?;
        match &entry.kind {
            Kind::Directory => folder(&path)?,
            Kind::Symlink(link) => std::os::unix::fs::symlink(link, &path)
                .with_context(|| format!("make {}", path.display()))?,
            Kind::File(content) => put_new(&path, content)?,
            Kind::HardLink(_) | Kind::Special(_) => put_new(&path, &[])?,
        }
        if !matches!(entry.kind, Kind::Symlink(_)) {
            let mode = if entry.kind == Kind::Directory { entry.mode | 0o700 } else { entry.mode };
            set_mode(&path, mode)?;
        }
    }
    Ok(())
}

/// Returns where an entry belongs.
fn within(target: &Path, entry: &str) -> Result<PathBuf> {
    let mut path = target.to_owned();
    for part in Path::new(entry).components() {
        let is_plain = matches!(part, Component::Normal(_)) && !path.is_symlink();
        ensure!(is_plain, "{entry:?} leads out of {}", target.display());
        path.push(part);
    }
    Ok(path)
}

/// Writes a file in place of what was there.
pub fn put(path: &Path, content: &[u8]) -> Result<()> {
    let mut file = File::create(path).with_context(|| format!("make {}", path.display()))?;
    file.write_all(content).with_context(|| format!("write {}", path.display()))?;
    set_mode(path, MODE_FILE)
}

fn put_new(path: &Path, content: &[u8]) -> Result<()> {
    let mut file = File::create_new(path).with_context(|| format!("make {}", path.display()))?;
    file.write_all(content).with_context(|| format!("write {}", path.display()))
}

fn folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("make {}", path.display()))?;
    set_mode(path, MODE_EXECUTABLE)
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
    fs::set_permissions(path, permissions).with_context(|| format!("chmod {}", path.display()))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u32,
    media_type: &'static str,
    manifests: [Descriptor; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Layout {
    image_layout_version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Saved<'a> {
    config: &'a str,
    repo_tags: [&'a str; 1],
    layers: [&'a str; 1],
}

const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
