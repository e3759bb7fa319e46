//! The parts of `/sys` and `/proc` that tell of pods: what the kernel would say.

use std::fs;
use std::io;
use std::path::Path;

use crate::settings::Tree;

impl Tree {
    /// The kernel has started: no pods, nothing mounted by them.
    pub(crate) fn clear(&self) -> io::Result<()> {
        if let Some(sys) = &self.sys {
            let folder = sys.join("fs/cgroup/kubepods");
            if folder.exists() {
                fs::remove_dir_all(folder)?;
            }
        }
        self.write_mounts(&[])
    }

    /// Pods run, and have mounted what they mount.
    pub(crate) fn start_pods(&self) -> io::Result<()> {
        self.write_populated(true)?;
        self.write_mounts(&self.pod_mounts)
    }

    /// Whether there is a process in the cgroup of all pods: the truth of facts §3.6, row 2.
    pub(crate) fn write_populated(&self, is_populated: bool) -> io::Result<()> {
        let Some(sys) = &self.sys else { return Ok(()) };
        let text = format!("populated {}\nfrozen 0\n", u8::from(is_populated));
        replace(&sys.join("fs/cgroup/kubepods/cgroup.events"), &text)
    }

    /// The mounts of pods are gone: facts §3.6, row 3.
    pub(crate) fn unmount(&self) -> io::Result<()> {
        self.write_mounts(&[])
    }

    fn write_mounts(&self, more: &[String]) -> io::Result<()> {
        let Some(path) = &self.mountinfo else { return Ok(()) };
        let mut text = OWN_MOUNTS.to_owned();
        for line in more {
            text.push_str(line);
            text.push('\n');
        }
        replace(path, &text)
    }
}

/// Replaces a file so that nobody reads half of it.
#[expect(clippy::disallowed_methods, reason = "nothing here outlives the test")]
fn replace(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let fresh = path.with_extension("fresh");
    fs::write(&fresh, text)?;
    fs::rename(&fresh, path)
}

/// What machined has mounted itself.
const OWN_MOUNTS: &str = "\
    1 1 0:2 / / ro,relatime shared:1 - overlay overlay ro\n\
    30 1 259:6 / /var rw,relatime shared:12 - xfs /dev/nvme0n1p6 rw\n";
