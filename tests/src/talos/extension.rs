//! What the image ships: the service spec and the container's root file system.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use curfew_extension::tree::{CONTAINERS, MODE_EXECUTABLE, MODE_FILE, SERVICES, Tree};
use curfew_extension::yaml::{self, Node};
use curfew_extension::{source, write};

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
    /// Unpacks the extension in `folder`, as Talos' imager does: what `talos-extension/` puts into
    /// an image, with the agent of this build. `CURFEW_EXTENSION` names an image to take instead.
    pub fn unpack(folder: &Path) -> Result<Self> {
        let tree = match std::env::var_os("CURFEW_EXTENSION") {
            Some(image) => source::open(Path::new(&image)).context("read CURFEW_EXTENSION")?.tree,
            None => own_tree()?,
        };
        let image = folder.join("image");
        write::unpacked(&tree, &image).context("unpack the extension")?;
        let service = Service::read(&image.join(SERVICES).join("curfew.yaml"))?;
        Ok(Self { root: image.join(CONTAINERS).join(&service.name), service })
    }
}

/// What of an image a container has to do with.
fn own_tree() -> Result<Tree> {
    let path = checkout().join("talos-extension/curfew.yaml");
    let text = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    let Service { name, args, .. } = Service::read(&path)?;
    let [program, ..] = args.as_slice() else { bail!("the service has no program") };
    let agent = fs::read(binary::linked()?).context("read the agent")?;
    Ok(Tree::of_files([
        (format!("{SERVICES}/{name}.yaml"), MODE_FILE, text),
        (format!("{CONTAINERS}/{name}{program}"), MODE_EXECUTABLE, agent),
    ]))
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
