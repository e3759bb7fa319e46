//! What the image ships: the service spec and the container's root file system.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use curfew_extension::yaml::{self, Node};

use crate::talos::binary;

/// The extension, unpacked.
#[derive(Debug)]
pub struct Extension {
    /// The container's root file system, as the image has it.
    pub root: PathBuf,
    /// The service spec.
    pub service: Service,
}

/// What the service spec says of the container.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// The program and its arguments.
    pub args: Vec<String>,
    /// Its environment, `KEY=VALUE`.
    pub environment: Vec<String>,
    /// What is mounted in it.
    pub mounts: Vec<Mount>,
}

/// One mount of the service spec.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mount {
    /// Where it comes from on the node.
    pub source: PathBuf,
    /// Where it is in the container.
    pub destination: PathBuf,
    /// Its kind.
    pub kind: String,
    /// How.
    pub options: Vec<String>,
}

impl Extension {
    /// Unpacks the extension in the new folder `folder`; `CURFEW_EXTENSION` names the unpacked
    /// tree of an image, with `manifest.yaml` and `rootfs/`, to take instead.
    pub fn unpack(folder: &Path) -> Result<Self> {
        if let Some(image) = std::env::var_os("CURFEW_EXTENSION") {
            let base = PathBuf::from(image).join("rootfs/usr/local");
            let service = Service::read(&base.join("etc/containers/curfew.yaml"))?;
            return Ok(Self { root: base.join("lib/containers").join(&service.name), service });
        }
        let service = Service::read(&checkout().join("talos-extension/curfew.yaml"))?;
        let [program, ..] = service.args.as_slice() else { bail!("the service has no program") };
        let root = folder.join("root");
        fs::create_dir_all(&root).context("make the root of a container")?;
        let place = root.join(program.trim_start_matches('/'));
        fs::copy(binary::linked()?, place).context("put the agent into its root")?;
        Ok(Self { root, service })
    }
}

impl Service {
    fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("understand {}", path.display()))
    }

    /// Reads a service spec; whether it is a good one is the business of its validator.
    pub fn parse(text: &str) -> Result<Self> {
        let documents = yaml::parse(text).context("no YAML")?;
        let spec = documents.first().context("it is empty")?;
        let container = spec.get("container").context("it has no container")?;
        let entrypoint = text_of(container, "entrypoint")?;
        let args = std::iter::once(entrypoint).chain(texts(container.get("args"))).collect();
        let mounts = container.get("mounts").map(Node::items).unwrap_or_default();
        Ok(Self {
            name: text_of(spec, "name")?,
            args,
            environment: texts(container.get("environment")),
            mounts: mounts.iter().map(mount).collect::<Result<_>>()?,
        })
    }
}

fn mount(node: &Node) -> Result<Mount> {
    Ok(Mount {
        source: text_of(node, "source")?.into(),
        destination: text_of(node, "destination")?.into(),
        kind: text_of(node, "type")?,
        options: texts(node.get("options")),
    })
}

fn text_of(node: &Node, key: &str) -> Result<String> {
    let text = node.get(key).and_then(Node::text);
    text.map(ToOwned::to_owned).with_context(|| format!("it has no {key}"))
}

fn texts(list: Option<&Node>) -> Vec<String> {
    let items = list.map(Node::items).unwrap_or_default();
    items.iter().filter_map(Node::text).map(ToOwned::to_owned).collect()
}

fn checkout() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}
