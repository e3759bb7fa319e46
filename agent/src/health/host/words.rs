//! What to type about the machine itself, in the words of the system that it runs.

use std::net::IpAddr;
use std::path::Path;

use super::{Watched, finding};

/// What a person can do on a host.
#[derive(Clone, Copy, Debug)]
pub(super) enum Words {
    /// Log in.
    Shell,
    /// Call it by `talosctl`.
    Talos(IpAddr),
}

impl Watched {
    pub(super) fn dmesg(&self, what: &str) -> String {
        match self.words {
            Words::Shell => format!("see `dmesg` for {what}"),
            Words::Talos(at) => format!("see `talosctl -n {at} dmesg` for {what}"),
        }
    }

    pub(super) fn log(&self) -> String {
        match self.words {
            Words::Shell => "see the log of the agent, `journalctl -u curfew`".to_owned(),
            Words::Talos(at) => {
                format!("see the log of the agent, `talosctl -n {at} logs ext-curfew`")
            }
        }
    }

    pub(super) fn read_only(&self, point: &Path) -> String {
        let point = point.display();
        match self.words {
            Words::Shell => format!(
                "see `dmesg` for errors of its disk and check it, then `mount -o remount,rw \
                 {point}`; if it is meant so, write `ro` into /etc/fstab"
            ),
            Words::Talos(at) => format!(
                "see `talosctl -n {at} dmesg` for errors of its disk, then \
                 `talosctl -n {at} reboot`"
            ),
        }
    }

    /// What is to be done with a file system that has counted errors, such as `ext4 on sda1`, and
    /// where it is mounted, if that is known.
    pub(super) fn repair(&self, name: &str, point: Option<&Path>) -> String {
        let device = name.split(' ').next_back().unwrap_or(name);
        let root = "boot once with `fsck.mode=force` on the kernel's command line";
        let check = format!("end what uses it, unmount it, `e2fsck -f /dev/{device}`");
        let way = match (self.words, name.starts_with("btrfs"), point) {
            (Words::Talos(at), ..) => {
                return format!(
                    "see `talosctl -n {at} dmesg` for {device}; a reboot checks it, a disk that \
                     goes on has to be replaced"
                );
            }
            (Words::Shell, true, point) => {
                let point = point.map_or_else(|| format!("/dev/{device}"), word);
                format!("`btrfs scrub start {point}`, then `btrfs device stats --reset {point}`")
            }
            (Words::Shell, false, Some(point)) if point == Path::new("/") => {
                format!("{root}, which also resets the count")
            }
            (Words::Shell, false, Some(_)) => format!("{check}, which also resets the count"),
            (Words::Shell, false, None) => {
                format!("{check}, or where it is mounted at `/` {root}; both reset the count")
            }
        };
        format!("{way}; replace a disk that goes on")
    }

    /// What shows what takes up the room of a file system.
    pub(super) fn large(&self, point: &Path) -> String {
        let point = word(point);
        match self.words {
            Words::Shell => {
                format!("`du -xhd2 {point} | sort -h | tail` shows what is large there")
            }
            Words::Talos(at) => {
                format!("`talosctl -n {at} usage -H -d 2 {point}` shows what is large there")
            }
        }
    }

    /// What shows who uses the memory.
    pub(super) fn processes(&self) -> String {
        match self.words {
            Words::Shell => {
                "`ps aux --sort=-rss | head` shows what uses it: end or limit that".to_owned()
            }
            Words::Talos(at) => format!(
                "`talosctl -n {at} processes --sort rss` shows what uses it: end or limit that"
            ),
        }
    }

    /// What shows which container, or service, is short of memory though the host is not.
    pub(super) fn containers(&self) -> String {
        match self.words {
            Words::Shell => "`systemd-cgtop -m` shows which service or container is at its \
                             limit: raise it, as by MemoryMax="
                .to_owned(),
            Words::Talos(_) => "`kubectl get pods -A` shows which was OOMKilled or restarts: \
                                raise the limit of its memory"
                .to_owned(),
        }
    }

    pub(super) fn time_service(&self) -> String {
        match self.words {
            Words::Shell => "see `timedatectl`, and the log of the service that keeps it, such as \
                             systemd-timesyncd or chrony"
                .to_owned(),
            Words::Talos(at) => format!("see `talosctl -n {at} get timestatus`"),
        }
    }

    /// Talos has no `mdadm` that one could call.
    pub(super) fn without_shell(&self, finding: finding::Finding) -> finding::Finding {
        match self.words {
            Words::Shell => finding,
            Words::Talos(at) => finding::Finding {
                remedy: format!("see `talosctl -n {at} read /proc/mdstat`, and replace the disk"),
                ..finding
            },
        }
    }
}

/// Returns a path as a shell takes it.
fn word(path: &Path) -> String {
    let path = path.display().to_string();
    if path.contains(|letter: char| !letter.is_ascii_alphanumeric() && !"/._-".contains(letter)) {
        format!("'{path}'")
    } else {
        path
    }
}
