//! What is installed on a machine: Debian, made once, and over it our package, made for each build.
//!
//! Both lie in the folder of the build, or in the one that `CURFEW_DEBIAN_FOLDER` names, and are
//! made by the first who needs them; the others wait.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::agent;
use crate::debian::ability;
use crate::debian::overlay::Overlay;
use crate::process::run;

/// Returns the folder with Debian, without anything of ours.
pub fn base() -> Result<PathBuf> {
    ability::require_programs()?;
    let mut key = DefaultHasher::new();
    (SUITE, PACKAGES, PREPARE).hash(&mut key);
    let name = format!("base-{:016x}", key.finish());
    made_once(&name, |folder| {
        let include = format!("--include={}", PACKAGES.join(","));
        let options = ["--variant=minbase", "--mode=root", "--quiet", FASTER, SMALLER, &include];
        // The sources of this machine: it runs the same Debian, and they are near.
        let sources = ["/etc/apt/sources.list", "/etc/apt/sources.list.d/debian.sources"];
        let sources = sources.into_iter().filter(|path| Path::new(path).exists());
        let folder = folder.to_str().context("an odd folder")?;
        let args = options.into_iter().chain([SUITE, folder]).chain(sources);
        run("mmdebstrap", args).context("install Debian in a folder")?;
        run("chroot", [folder, "/bin/sh", "-ec", PREPARE]).context("prepare Debian").map(drop)
    })
}

/// Returns our package with the agent `binary` in it, as `systemd/build-deb` makes it;
/// `CURFEW_DEB` names another.
pub fn package(binary: &Path) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("CURFEW_DEB") {
        return Ok(path.into());
    }
    ability::require_programs()?;
    let script = checkout().join("systemd/build-deb");
    let folder = made_once(&format!("package-{:016x}", key_of(binary)?), |folder| {
        fs::create_dir_all(folder).context("make a folder for the package")?;
        let manual = folder.join("manual");
        curfew_manual::write(&manual).context("write the manual")?;
        let mut command = Command::new(&script);
        command.arg("--binary").arg(binary).arg("--manual").arg(&manual).arg("--quick").arg(folder);
        let output = command.output().with_context(|| format!("start {}", script.display()))?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{} failed: {errors}", script.display());
        Ok(())
    })?;
    let entries = fs::read_dir(&folder).context("look for the package")?;
    let paths = entries.flatten().map(|entry| entry.path());
    let is_package = |path: &PathBuf| path.extension().is_some_and(|it| it == "deb");
    paths.into_iter().find(is_package).context("build-deb has made no package")
}

/// Returns the layers of a machine on which our package is installed, the topmost first.
pub fn installed(binary: &Path) -> Result<Vec<PathBuf>> {
    let (base, package) = (base()?, package(binary)?);
    let key = key_of(&package)?;
    let layer = made_once(&format!("installed-{key:016x}"), |folder| {
        let overlay = Overlay::mount(folder, std::slice::from_ref(&base))?;
        let inside = overlay.root().join("curfew.deb");
        fs::copy(&package, &inside).context("copy the package")?;
        let root = overlay.root();
        let chroot = [root.as_os_str(), "/usr/bin/dpkg".as_ref()];
        let args = ["--install", "/curfew.deb"].map(AsRef::as_ref);
        run("chroot", [chroot, args].concat()).context("install the package")?;
        fs::remove_file(inside).context("remove the package's file")
    })?;
    Ok(vec![layer.join("upper"), base])
}

/// Returns the folder of that name among those that are kept, after `make` has made it if it was
/// not there yet.
fn made_once(name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let kept = kept()?;
    fs::create_dir_all(&kept).with_context(|| format!("make {}", kept.display()))?;
    let lock = File::create(kept.join("lock")).context("make a lock")?;
    // Each test is a process of its own; the lock ends with this function, however that ends.
    lock.lock().context("wait for who makes it already")?;
    let folder = kept.join(name);
    if folder.is_dir() {
        return Ok(folder);
    }
    let unfinished = kept.join("unfinished");
    if unfinished.is_dir() {
        fs::remove_dir_all(&unfinished).context("remove what somebody left unfinished")?;
    }
    make(&unfinished)?;
    fs::rename(&unfinished, &folder).with_context(|| format!("make {}", folder.display()))?;
    Ok(folder)
}

fn kept() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("CURFEW_DEBIAN_FOLDER") {
        return Ok(path.into());
    }
    // Test binaries lie in `TARGET/PROFILE/deps`.
    let test = std::env::current_exe().context("find this test's binary")?;
    let target = test.ancestors().nth(3).context("find the build's folder")?;
    Ok(target.join("debian-machines"))
}

/// Tells one build of `binary` with our files from another.
fn key_of(binary: &Path) -> Result<u64> {
    let mut key = DefaultHasher::new();
    let mut files = vec![binary.to_owned()];
    let mut folders = vec![checkout().join("systemd"), checkout().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    for path in files {
        let metadata = fs::metadata(&path).with_context(|| format!("look at {}", path.display()));
        let metadata = metadata?;
        (path, metadata.len(), metadata.mtime(), metadata.mtime_nsec()).hash(&mut key);
    }
    Ok(key.finish())
}

fn checkout() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// The agent of this build.
pub fn binary() -> Result<PathBuf> {
    agent::binary()
}

const SUITE: &str = "bookworm";
/// A minimal Debian with systemd as it is on a server, and what an NFS server with a UPS has.
const PACKAGES: [&str; 17] = [
    "ca-certificates",
    "curl",
    "dbus",
    "iproute2",
    "iputils-ping",
    "kmod",
    "netbase",
    "nfs-common",
    "nut-client",
    "nut-server",
    "procps",
    "socat",
    "systemd",
    "systemd-sysv",
    "udev",
    "bash-completion",
    "man-db",
];
/// It can be made anew: nothing is lost if the power goes in between.
const FASTER: &str = "--dpkgopt=force-unsafe-io";
/// No descriptions in other languages, which are half of what is downloaded.
const SMALLER: &str = "--aptopt=Acquire::Languages \"none\"";
/// This kernel may have no NFS, and a machine without a clock of its own needs no timers that
/// wake up in the middle of a story.
const PREPARE: &str = "ln -sf /dev/null /etc/systemd/system/run-rpc_pipefs.mount; \
    for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
    e2scrub_reap.service fstrim.timer man-db.timer; do \
    ln -sf /dev/null /etc/systemd/system/$unit; done; \
    mkdir -p /var/log/journal; : > /etc/machine-id; rm -f /var/lib/dbus/machine-id";
