//! The configuration of the container, as Talos and its containerd make it.
//!
//! Every value is read from their sources: containerd's default specification
//! (`pkg/oci/spec.go`, `mounts.go`), what Talos adds for extension services
//! (`services/extension.go`, `runner/containerd`), containerd's default filter of system calls for
//! the capabilities that are left. Two things differ, since the laboratory's node is no machine:
//! what the kernel would say of the node (its boot, its pods, its mounts) is played, and the score
//! for the kernel's out-of-memory killer is left out where this machine may not lower it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::talos::extension::{Extension, Mount};

/// What a container is made of.
#[derive(Debug)]
pub struct Ingredients<'a> {
    /// The extension.
    pub extension: &'a Extension,
    /// The mounted, writable root file system.
    pub root: &'a Path,
    /// The root file system of the node.
    pub node: &'a Path,
    /// The network namespace of the node.
    pub network: &'a str,
    /// The name of its cgroup.
    pub cgroup: &'a str,
    /// What the `ExtensionServiceConfig` of the node has.
    pub config: &'a Config,
}

/// An `ExtensionServiceConfig`.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Files, each with its place in the container.
    pub files: Vec<(PathBuf, String)>,
    /// Variables, `KEY=VALUE`.
    pub environment: Vec<String>,
}

/// Returns the `config.json` of the container, after making on the node what Talos makes there.
pub fn config(of: &Ingredients<'_>) -> Result<Value> {
    let service = &of.extension.service;
    let mut mounts = default_mounts();
    for name in ["/etc/hosts", "/etc/resolv.conf"] {
        mounts.push(bind(&on(of.node, name), Path::new(name), &["rbind", "ro"]));
    }
    for mount in &service.mounts {
        mounts.extend(mounts_on(of.node, mount)?);
    }
    for (place, text) in &of.config.files {
        let file = config_file(of.node, &service.name, place);
        crate::directory::write(&file, text)?;
        mounts.push(bind(&file, place, &["ro", "bind"]));
    }
    let environment = [service.environment.as_slice(), &of.config.environment].concat();
    let capabilities = capabilities()?;
    let mut process = json!({
        "terminal": false,
        "user": { "uid": 0, "gid": 0 },
        "args": service.args,
        "env": environment,
        "cwd": "/",
        "noNewPrivileges": true,
        "capabilities": {
            "bounding": capabilities, "effective": capabilities, "permitted": capabilities,
        },
    });
    if may_lower_its_score()? {
        process.as_object_mut().context("a map")?.insert("oomScoreAdj".into(), OOM_SCORE.into());
    }
    Ok(json!({
        "ociVersion": OCI_VERSION,
        "process": process,
        "root": { "path": of.root, "readonly": true },
        "mounts": mounts,
        "linux": {
            "maskedPaths": MASKED,
            "readonlyPaths": READ_ONLY,
            "cgroupsPath": format!("/{}", of.cgroup),
            "resources": { "devices": [{ "allow": true, "access": "rwm" }] },
            "namespaces": [
                { "type": "pid" },
                { "type": "uts" },
                { "type": "mount" },
                { "type": "network", "path": Path::new("/run/netns").join(of.network) },
            ],
            "seccomp": seccomp(),
        },
    }))
}

/// Returns the `config.json` of the least that is a container, which says its version and ends.
pub fn least(root: &Path) -> Value {
    json!({
        "ociVersion": OCI_VERSION,
        "process": {
            "terminal": false,
            "user": { "uid": 0, "gid": 0 },
            "args": ["/curfew", "--version"],
            "cwd": "/",
        },
        "root": { "path": root, "readonly": true },
        "mounts": default_mounts(),
        "linux": { "namespaces": [{ "type": "pid" }, { "type": "uts" }, { "type": "mount" }] },
    })
}

/// Returns the place of `path` of the node on this machine.
pub fn on(node: &Path, path: impl AsRef<Path>) -> PathBuf {
    let path = path.as_ref();
    node.join(path.strip_prefix("/").unwrap_or(path))
}

/// Returns where Talos writes a file of an `ExtensionServiceConfig`: in one folder, slashes in its
/// name replaced.
fn config_file(node: &Path, service: &str, place: &Path) -> PathBuf {
    let name = place.to_string_lossy();
    let name = name.trim_start_matches('/').replace('/', "-");
    on(node, "/system/overlays/extensions").join(service).join(name)
}

/// Returns what stands for one mount of the service spec.
fn mounts_on(node: &Path, mount: &Mount) -> Result<Vec<Value>> {
    let Mount { source, destination, kind, options } = mount;
    let below = |path: &str| destination.join(path);
    match source.to_str().unwrap_or_default() {
        // This machine's, with what tells of the node's boot and of machined's mounts.
        "/proc" => Ok(vec![
            json!({
                "source": "/proc", "destination": destination, "type": kind, "options": options,
            }),
            bind(&on(node, "/proc/1"), &below("1"), &["bind", "ro"]),
            bind(&on(node, BOOT_ID), &below("sys/kernel/random/boot_id"), &["bind", "ro"]),
        ]),
        // A new one shows the links of the node's network namespace, which a bind would not.
        "/sys" => Ok(vec![
            json!({
                "source": "sysfs", "destination": destination, "type": "sysfs",
                "options": ["nosuid", "noexec", "nodev", "ro"],
            }),
            bind(&on(node, "/sys/fs/cgroup"), &below("fs/cgroup"), &["rbind", "rslave"]),
        ]),
        _ => {
            let source = on(node, source);
            if !source.exists() {
                make_as_talos(&source)?;
            }
            Ok(vec![json!({
                "source": source, "destination": destination, "type": kind, "options": options,
            })])
        }
    }
}

/// Makes what is missing: as a directory, whatever it should have been, for root alone.
fn make_as_talos(source: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(source).with_context(|| format!("make {}", source.display()))
}

fn bind(source: &Path, destination: &Path, options: &[&str]) -> Value {
    json!({ "source": source, "destination": destination, "type": "bind", "options": options })
}

fn default_mounts() -> Vec<Value> {
    let mounts: [(&str, &str, &str, &[&str]); 7] = [
        ("proc", "/proc", "proc", &["nosuid", "noexec", "nodev"]),
        ("tmpfs", "/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        (
            "devpts",
            "/dev/pts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        ("shm", "/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
        ("mqueue", "/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        ("sysfs", "/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        ("tmpfs", "/run", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
    ];
    let to_json = |(source, destination, kind, options): (&str, &str, &str, &[&str])| {
        json!({
            "source": source, "destination": destination, "type": kind, "options": options,
        })
    };
    mounts.into_iter().map(to_json).collect()
}

/// Returns what this process may grant, without what Talos drops.
fn capabilities() -> Result<Vec<&'static str>> {
    let set = bounding_set()?;
    let is_granted = |(bit, name): &(usize, &&str)| set >> bit & 1 == 1 && !DROPPED.contains(name);
    Ok(CAPABILITIES.iter().enumerate().filter(is_granted).map(|(_, name)| *name).collect())
}

fn may_lower_its_score() -> Result<bool> {
    let place = CAPABILITIES.iter().position(|name| *name == "CAP_SYS_RESOURCE");
    let set = bounding_set()?;
    Ok(place.is_some_and(|bit| set >> bit & 1 == 1))
}

fn bounding_set() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status").context("look at ourselves")?;
    let set = status.lines().find_map(|line| line.strip_prefix("CapBnd:"));
    let set = set.context("a kernel without capabilities")?.trim();
    u64::from_str_radix(set, 16).context("no set of capabilities")
}

/// containerd's default filter: what is not named is refused with `EPERM`.
fn seccomp() -> Value {
    let allow = |names: &[&str], value: u64, op: &str| {
        json!({
            "names": names,
            "action": "SCMP_ACT_ALLOW",
            "args": [{ "index": 0, "value": value, "op": op }],
        })
    };
    let names: Vec<_> = SYSTEM_CALLS.split_whitespace().collect();
    let mut calls = vec![json!({ "names": names, "action": "SCMP_ACT_ALLOW" })];
    // All address families but AF_ALG (38) and AF_VSOCK (40).
    for (family, op) in [(38, "SCMP_CMP_LT"), (39, "SCMP_CMP_EQ"), (40, "SCMP_CMP_GT")] {
        calls.push(allow(&["socket"], family, op));
    }
    for persona in [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff] {
        calls.push(allow(&["personality"], persona, "SCMP_CMP_EQ"));
    }
    json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": calls,
    })
}

/// The file of a node with the id of its boot.
pub const BOOT_ID: &str = "/boot-id";
/// That of the runtime that Debian 12 has.
const OCI_VERSION: &str = "1.0.2";
/// What Talos gives an extension service.
const OOM_SCORE: i32 = -600;
/// The names of `contrib/seccomp` of containerd 2.3.3, the one of Talos' newest version, on x86-64
/// with all capabilities but those that Talos drops; `socket` and `personality` have conditions.
const SYSTEM_CALLS: &str = include_str!("seccomp.txt");
const MASKED: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
    "/proc/scsi",
];
const READ_ONLY: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];
/// What Talos gives to no service.
pub const DROPPED: [&str; 2] = ["CAP_SYS_BOOT", "CAP_SYS_MODULE"];
/// Each at the place of its bit.
pub const CAPABILITIES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];
