//! Whether this machine can run containers.

use std::fs;
use std::path::Path;

use anyhow::{Result, bail};
use nix::unistd::Uid;

use crate::directory::Directory;
use crate::ground;
use crate::talos::container::{self, RUNC};
use crate::talos::{binary, spec};

/// Returns what this machine lacks and no package can give; none if it can run containers.
pub fn missing() -> Result<Option<String>> {
    require_programs()?;
    if !Uid::effective().is_root() {
        return Ok(Some("it must be run as root".to_owned()));
    }
    let filesystems = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if !filesystems.lines().any(|line| line.ends_with("overlay")) {
        return Ok(Some("this kernel has no file system overlay".to_owned()));
    }
    let name = ground::unique_name();
    let directory = Directory::new(&name)?;
    let root = directory.join("root");
    fs::create_dir_all(&root)?;
    fs::copy(binary::linked()?, root.join("curfew"))?;
    // The least of a container: what is wrong with ours is not this machine's inability.
    let outcome = container::run_once(directory.path(), &name, &spec::least(&root));
    Ok(outcome.err().map(|error| format!("runc cannot run one here: {error:#}")))
}

/// Says that the story cannot be played here and why, in one line; returns whether it can.
#[expect(clippy::print_stderr, reason = "who runs the stories must see which were skipped")]
pub fn can_be_played() -> Result<bool> {
    let missing = missing()?;
    if let Some(missing) = &missing {
        eprintln!("SKIPPED: a container is needed, and {missing}");
    }
    Ok(missing.is_none())
}

/// Fails with the remedy when a program is missing.
fn require_programs() -> Result<()> {
    let missing = PROGRAMS.iter().find(|(path, _)| !Path::new(path).exists());
    let Some((_, package)) = missing else { return Ok(()) };
    bail!(
        "the stories of Talos nodes need one more program: \
         apt-get install --no-install-recommends {package}"
    )
}

/// Each with the package that holds it.
const PROGRAMS: [(&str, &str); 2] = [(RUNC, "runc"), ("/bin/busybox", "busybox-static")];
