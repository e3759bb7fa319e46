//! What a laboratory stands on: root, the programs of four Debian packages, and no leftovers.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use curfew_coordinator::Time;
use nix::sys::signal::{Signal, kill};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{Pid, Uid};

use crate::debian::{container, data_disk};
use crate::disk::unmount;
use crate::talos;

/// Returns the moment on the boot clock, which is the one that the agents' histories use.
pub fn now() -> Time {
    let since_boot = clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from);
    // The kernel has had this clock since 2.6.39.
    let millis = since_boot.map(|span| span.as_millis()).unwrap_or_default();
    Time::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// Fails with the remedy when this machine cannot carry a laboratory.
pub fn require() -> Result<()> {
    ensure!(
        Uid::effective().is_root(),
        "the end-to-end stories make network namespaces and start upsd: run them as root"
    );
    let missing: Vec<_> = PROGRAMS.iter().filter(|(path, _)| !Path::new(path).exists()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
    packages.dedup();
    let paths: Vec<_> = missing.iter().map(|(path, _)| *path).collect();
    bail!(
        "the end-to-end stories need {}: apt-get install --no-install-recommends {}",
        paths.join(", "),
        packages.join(" ")
    )
}

/// Removes what laboratories of processes that no longer live have left behind.
pub fn sweep() -> Result<()> {
    container::sweep(is_orphan);
    for entry in fs::read_dir(std::env::temp_dir()).context("list the temporary folder")?.flatten()
    {
        if entry.file_name().into_string().is_ok_and(|name| is_orphan(&name)) {
            talos::node::sweep(&entry.path());
        }
    }
    let entries = fs::read_dir(NAMESPACES).into_iter().flatten().flatten();
    for name in entries.filter_map(|entry| entry.file_name().into_string().ok()) {
        if is_orphan(&name) {
            remove_namespace(&name);
        }
    }
    let mounts = fs::read_to_string("/proc/mounts").context("list the mounts")?;
    for path in mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(Path::new) {
        let mut names = path.iter().filter_map(|name| name.to_str());
        if path.starts_with(std::env::temp_dir()) && names.any(is_orphan) {
            unmount(path);
        }
    }
    data_disk::sweep(|image| image.iter().filter_map(|name| name.to_str()).any(is_orphan));
    for entry in fs::read_dir(std::env::temp_dir()).context("list the temporary folder")?.flatten()
    {
        let is_left = entry.file_name().into_string().is_ok_and(|name| is_orphan(&name));
        if is_left && fs::remove_dir_all(entry.path()).is_err() {
            // Another laboratory sweeps at the same time.
        }
    }
    Ok(())
}

/// Ends every process in the namespace `name`, and removes it.
pub fn remove_namespace(name: &str) {
    let pids = Command::new("ip").args(["netns", "pids", name]).output();
    let pids = pids.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    for pid in pids.unwrap_or_default().lines().filter_map(|line| line.trim().parse().ok()) {
        if Pid::this() != Pid::from_raw(pid) && kill(Pid::from_raw(pid), Signal::SIGKILL).is_err() {
            // It ended by itself in the meantime.
        }
    }
    if Command::new("ip").args(["netns", "del", name]).output().is_err() {
        // Nothing to remove, or another laboratory swept it.
    }
}

/// Returns a name that no other laboratory of this machine has: `curfew-PID-COUNT`.
pub fn unique_name() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{PREFIX}{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

fn is_orphan(name: &str) -> bool {
    let pid = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
    pid.and_then(|pid| pid.parse::<u32>().ok())
        .is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists())
}

const PREFIX: &str = "curfew-lab-";
const NAMESPACES: &str = "/run/netns";
/// Each with the package that holds it, packages in order.
const PROGRAMS: [(&str, &str); 6] = [
    ("/sbin/ip", "iproute2"),
    ("/usr/sbin/nft", "nftables"),
    ("/lib/nut/upsd", "nut-server"),
    ("/lib/nut/dummy-ups", "nut-server"),
    ("/bin/upsc", "nut-client"),
    ("/lib/nut/upsmon", "nut-client"),
];
