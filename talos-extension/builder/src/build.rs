//! From the sources and a binary to the files that are handed out.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use crate::elf::Elf;
use crate::image::{About, Image};
use crate::sbom::{self, Part, Subject};
use crate::tree::{CONTAINERS, MANIFEST, MODE_EXECUTABLE, MODE_FILE, SBOMS, SERVICES, Tree};
use crate::write;
use crate::yaml;

/// What an extension is made of.
#[derive(Clone, Debug)]
pub struct Ingredients {
    /// The static binary.
    pub binary: Vec<u8>,
    /// `manifest.yaml`.
    pub manifest: String,
    /// `curfew.yaml`, the service spec.
    pub service: String,
    /// What is linked into the binary.
    pub parts: Vec<Part>,
    /// The commit that it is built from.
    pub revision: Option<String>,
    /// The date of everything in it, in seconds of Unix time.
    pub date: u64,
}

impl Ingredients {
    /// Reads `manifest.yaml` and `curfew.yaml` from the folder `sources`, and the binary.
    pub fn read(sources: &Path, binary: &Path, date: u64) -> Result<Self> {
        let text = |name: &str| {
            let path = sources.join(name);
            fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
        };
        Ok(Self {
            binary: fs::read(binary).with_context(|| format!("read {}", binary.display()))?,
            manifest: text(MANIFEST)?,
            service: text("curfew.yaml")?,
            parts: Vec::new(),
            revision: None,
            date,
        })
    }
}

/// An extension that is built, but not on disk.
#[derive(Clone, Debug)]
pub struct Extension {
    /// What is in it.
    pub tree: Tree,
    /// Its image.
    pub image: Image,
    /// Its bill of materials.
    pub sbom: Vec<u8>,
}

/// Builds the extension. The same ingredients give the same bytes.
pub fn build(ingredients: &Ingredients) -> Result<Extension> {
    let Ingredients { binary, manifest, service, parts, revision, date } = ingredients;
    let about = about(manifest)?;
    let Some(elf) = Elf::parse(binary) else { bail!("the binary is no 64-bit ELF program") };
    let architecture = elf.architecture.context("the binary is for no machine of Talos")?;
    let service_name = scalar(service, &["name"]).context("find name in curfew.yaml")?;
    let entrypoint = scalar(service, &["container", "entrypoint"]);
    let entrypoint = entrypoint.context("find container.entrypoint in curfew.yaml")?;
    let subject = Subject { name: &about.name, version: &about.version, binary, date: *date };
    let sbom = sbom::document(subject, parts);
    let tree = Tree::of_files([
        (MANIFEST.to_owned(), MODE_FILE, manifest.clone().into_bytes()),
        (format!("{SERVICES}/{service_name}.yaml"), MODE_FILE, service.clone().into_bytes()),
        (format!("{CONTAINERS}/{service_name}{entrypoint}"), MODE_EXECUTABLE, binary.clone()),
        (format!("{SBOMS}/{}.spdx.json", about.name), MODE_FILE, sbom.clone()),
    ]);
    let about = About { architecture, revision: revision.clone(), date: *date, ..about };
    let image = Image::new(&tree, about)?;
    Ok(Extension { tree, image, sbom })
}

/// Where the parts of an extension were written.
#[derive(Clone, Debug)]
pub struct Written {
    /// The OCI layout directory.
    pub layout: PathBuf,
    /// The docker-archive.
    pub archive: PathBuf,
    /// The bill of materials.
    pub sbom: PathBuf,
}

/// Writes an extension into a folder, under names with version and architecture.
pub fn write(extension: &Extension, folder: &Path) -> Result<Written> {
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let about = &extension.image.about;
    let stem = format!("{}-{}-{}", about.name, about.version, about.architecture);
    let written = Written {
        layout: folder.join(format!("{stem}.oci")),
        archive: folder.join(format!("{stem}.tar")),
        sbom: folder.join(format!("{stem}.spdx.json")),
    };
    write::layout(&extension.image, &written.layout)?;
    let tag = format!("{}-extension:{}", about.name, about.version);
    write::archive(&extension.image, &tag, &written.archive)?;
    write::put(&written.sbom, &extension.sbom)?;
    Ok(written)
}

/// Takes what the image says of itself from the manifest.
fn about(manifest: &str) -> Result<About> {
    let field = |key: &str| {
        let text = scalar(manifest, &["metadata", key]);
        text.with_context(|| format!("find metadata.{key} in manifest.yaml"))
    };
    let version = field("version")?;
    ensure!(
        version == env!("CARGO_PKG_VERSION"),
        "manifest.yaml has version {version}, and Cargo.toml {}: make them the same",
        env!("CARGO_PKG_VERSION")
    );
    let description = field("description")?.split_whitespace().collect::<Vec<_>>().join(" ");
    let name = field("name")?;
    Ok(About { name, version, description, revision: None, date: 0, architecture: "" })
}

/// Returns the text at a path of keys in the first document.
fn scalar(text: &str, keys: &[&str]) -> Option<String> {
    let documents = yaml::parse(text).ok()?;
    let first = documents.first()?;
    let node = keys.iter().try_fold(first, |node, key| node.get(key))?;
    node.text().map(ToOwned::to_owned)
}
