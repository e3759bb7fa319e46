//! What the stories of Talos nodes begin with, and what they look at.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cluster_file::{Limits, Nodes};
use crate::debian::mount::{self, Mount};
use crate::ground::now;
use crate::host::Host;
use crate::lab::{Lab, Setup};
use crate::talos::{Container, ability};

/// How long a node may take for what it does; far above what it takes.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Plays a story in a laboratory whose k8s-1 and k8s-2 are Talos nodes, with everything off, and
/// says how long it took; says instead why it is skipped where no container can be run.
#[expect(clippy::print_stderr, reason = "shown beside the result of the story")]
pub fn play(story: impl FnOnce(&mut Lab) -> Result<()>) -> Result<()> {
    if !ability::can_be_played()? {
        return Ok(());
    }
    let start = now();
    let mut lab = Lab::build(&Setup { limits: limits(), nodes: Nodes::Talos, ..Setup::default() })?;
    // A story that fails by an error and not by a panic is reported, too.
    if let Err(error) = story(&mut lab) {
        lab.fail();
        return Err(error);
    }
    eprintln!("the story was over after {:.1} s", now().since(start).as_secs_f32());
    Ok(())
}

/// Returns the limits of a cluster with real systems in it, where no time runs faster.
pub fn limits() -> Limits {
    Limits {
        time_factor: 1,
        stop_timeout: "10s",
        wake_timeout: "60s",
        charge_wait: "5s",
        ..Limits::default()
    }
}

impl Lab {
    /// Presses every power button and waits until all agents hear each other and read mains.
    pub fn start_all(&mut self) -> Result<()> {
        for host in Host::ALL {
            self.press_button(host);
        }
        self.until_whole(PATIENCE)
    }

    /// Returns the container of a Talos node, in which the agent runs.
    pub fn container(&self, host: Host) -> Result<&Container> {
        self.node(host)?.container().with_context(|| format!("no container runs on {host}"))
    }
}

/// What the kernel says of the first process of a container.
#[derive(Debug)]
pub struct Seen {
    folder: PathBuf,
}

impl Seen {
    /// Looks at the process of `container`.
    pub fn of(container: &Container) -> Result<Self> {
        let pid = container.pid().context("the container has no process yet")?;
        Ok(Self { folder: Path::new("/proc").join(pid.to_string()) })
    }

    /// Returns a field of its `status`.
    pub fn status(&self, field: &str) -> Result<String> {
        let text = fs::read_to_string(self.folder.join("status")).context("look at a process")?;
        let mut fields = text.lines().filter_map(|line| line.split_once(':'));
        let value = fields.find(|(name, _)| *name == field).map(|(_, value)| value.trim());
        value.map(ToOwned::to_owned).with_context(|| format!("the kernel tells no {field}"))
    }

    /// Returns what it has mounted.
    pub fn mounts(&self) -> Result<Vec<Mount>> {
        let text = fs::read_to_string(self.folder.join("mountinfo"));
        Ok(mount::parse(&text.context("read the mounts of a container")?))
    }

    /// Returns a field of its `status` that is a size, in bytes.
    pub fn size(&self, field: &str) -> Result<u64> {
        let text = self.status(field)?;
        let kibibytes = text.strip_suffix("kB").context("no size")?.trim();
        Ok(kibibytes.parse::<u64>().context("no size")? * 1024)
    }

    /// Returns the namespace of this kind that it is in.
    pub fn namespace(&self, kind: &str) -> Result<PathBuf> {
        fs::read_link(self.folder.join("ns").join(kind)).context("look at a namespace")
    }

    /// Returns whether there is something at `path` in its root file system.
    pub fn has(&self, path: &str) -> bool {
        self.folder.join("root").join(path.trim_start_matches('/')).exists()
    }
}

/// Returns every file with something in it that is in `folder` or below.
pub fn files_with_content(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let below = |path: PathBuf| {
        let metadata = fs::symlink_metadata(&path);
        match metadata {
            Ok(metadata) if metadata.is_dir() => files_with_content(&path),
            Ok(metadata) if metadata.len() > 0 => vec![path],
            Ok(_) | Err(_) => Vec::new(),
        }
    };
    entries.flat_map(|entry| below(entry.path())).collect()
}
