//! The cluster file of a laboratory.

use std::path::Path;

use crate::host::Host;
use crate::nut::{PORT, UPS, USER};
use crate::talos::bare;
use crate::timeline::Verb;

/// The limits that a story sets; each is a value of the cluster file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    /// `time-factor`: divides the limits that are built in.
    pub time_factor: u32,
    /// `reserve`.
    pub reserve: &'static str,
    /// `cut-margin`.
    pub cut_margin: &'static str,
    /// `charge-below`.
    pub charge_below: u8,
    /// `stop-timeout`.
    pub stop_timeout: &'static str,
    /// `debounce`.
    pub debounce: &'static str,
    /// `foreign-stop`.
    pub foreign_stop: &'static str,
    /// `mains-stable`.
    pub mains_stable: &'static str,
    /// `charge-above`.
    pub charge_above: u8,
    /// `charge-wait`.
    pub charge_wait: &'static str,
    /// `wake-every`.
    pub wake_every: &'static str,
    /// `wake-timeout`.
    pub wake_timeout: &'static str,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time_factor: 4,
            reserve: "3s",
            cut_margin: "1s",
            charge_below: 0,
            stop_timeout: "4s",
            debounce: "1s",
            foreign_stop: "8s",
            mains_stable: "3s",
            charge_above: 30,
            charge_wait: "10s",
            wake_every: "1s",
            wake_timeout: "20s",
        }
    }
}

/// What the owner's machine is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Owner {
    /// Its operating system is played; with a UPS that promises to come back it has a cut.
    Played {
        /// It has a cut.
        does_cut: bool,
    },
    /// It boots Debian; somebody may have proven that the UPS comes back.
    Debian {
        /// `returns = true`.
        does_return: bool,
        /// The first of the others reads what it has mounted from a recorded table.
        is_mounted: bool,
    },
}

/// What the machines are that do not own the UPS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Nodes {
    /// Their operating systems are played.
    Played,
    /// They are Talos nodes with the extension.
    Talos,
    /// They are Talos nodes, and the agent is a plain process.
    Bare,
}

/// Returns the file of the laboratory in `folder`.
pub fn cluster_file(folder: &Path, limits: &Limits, owner: Owner, nodes: Nodes) -> String {
    let mut parts = vec![head(folder, limits, owner)];
    parts.extend(Host::ALL.map(|host| match owner {
        _ if nodes == Nodes::Talos && !host.is_owner() => talos_table(host, ""),
        _ if nodes == Nodes::Bare && !host.is_owner() => {
            talos_table(host, &control_plane(host))
                + &bare_tables(&folder.join(host.name()).join("node"))
        }
        Owner::Played { does_cut } => host_table(folder, host, does_cut),
        Owner::Debian { .. } if host.is_owner() => debian_table(host),
        Owner::Debian { is_mounted, .. } if is_mounted && host == Host::K8s1 => {
            host_table(folder, host, false) + &paths(folder, host)
        }
        Owner::Debian { .. } => host_table(folder, host, false),
    }));
    parts.concat()
}

fn head(folder: &Path, limits: &Limits, kind: Owner) -> String {
    let Limits { time_factor, reserve, cut_margin, charge_below, stop_timeout, .. } = limits;
    let Limits { debounce, foreign_stop, mains_stable, charge_above, charge_wait, .. } = limits;
    let Limits { wake_every, wake_timeout, .. } = limits;
    let owner = Host::Nfs;
    let address = owner.address();
    let (password, returns) = match kind {
        Owner::Played { .. } => (folder.join("upsd.password"), ""),
        Owner::Debian { does_return: true, .. } => (PASSWORD_FILE.into(), "returns = true\n"),
        Owner::Debian { does_return: false, .. } => (PASSWORD_FILE.into(), ""),
    };
    let password = password.display();
    format!(
        r#"[cluster]
name = "{CLUSTER}"
time-factor = {time_factor}

[[ups]]
name = "{UPS}"
owner = "{owner}"
upsd = "{address}:{PORT}"
poll = "500ms"
username = "{USER}"
password-file = "{password}"
{returns}
[shutdown]
reserve = "{reserve}"
cut-margin = "{cut_margin}"
charge-below = {charge_below}
stop-timeout = "{stop_timeout}"
debounce = "{debounce}"
foreign-stop = "{foreign_stop}"

[restart]
mains-stable = "{mains_stable}"
charge-above = {charge_above}
charge-wait = "{charge_wait}"
wake-every = "{wake_every}"
wake-timeout = "{wake_timeout}"
"#
    )
}

fn host_table(folder: &Path, host: Host, does_owner_cut: bool) -> String {
    let verbs = [
        (Verb::Stop, true),
        (Verb::Hold, host.is_owner()),
        (Verb::Reboot, true),
        (Verb::Cut, host.is_owner() && does_owner_cut),
    ];
    let program = folder.join("machine");
    let command = |verb: Verb| {
        let verb = verb.name();
        format!("{verb} = [\"{}\", \"{host}\", \"{verb}\"]", program.display())
    };
    let verbs = verbs.into_iter().filter(|(_, is_there)| *is_there).map(|(verb, _)| command(verb));
    let (needs, commands) = (
        needs(host),
        verbs.collect::<Vec<_>>().join(
            "
",
        ),
    );
    table(
        host,
        "command",
        &format!(
            "needs = [{needs}]
[host.command]
{commands}"
        ),
    )
}

fn paths(folder: &Path, host: Host) -> String {
    format!("[host.paths]\nproc = \"{}\"\n", folder.join(host.name()).join("proc").display())
}

fn talos_table(host: Host, more: &str) -> String {
    table(host, "talos", &format!("needs = [{}]\n{more}", needs(host)))
}

/// The first node has the API server; the agent's port of HTTP is open as long as it would be.
fn control_plane(host: Host) -> String {
    if host != Host::K8s1 {
        return String::new();
    }
    format!("control-plane = true\nready = \"tcp://{}:9100\"", host.address())
}

fn bare_tables(tree: &Path) -> String {
    let (socket, proc, sys) = (bare::socket(tree), tree.join("proc"), tree.join("sys"));
    let (socket, proc, sys) = (socket.display(), proc.display(), sys.display());
    format!(
        "[host.talos]\nsocket = \"{socket}\"\n[host.paths]\nproc = \"{proc}\"\nsys = \"{sys}\"\n"
    )
}

fn needs(host: Host) -> String {
    let needs: Vec<_> = host.needs().iter().map(|need| format!("\"{need}\"")).collect();
    needs.join(", ")
}

fn debian_table(host: Host) -> String {
    table(host, "systemd", &format!("[host.paths]\nsys = \"{SYS}\""))
}

fn table(host: Host, system: &str, rest: &str) -> String {
    let (address, mac) = (host.address(), host.mac_text());
    format!(
        r#"
[[host]]
name = "{host}"
address = "{address}"
mac = "{mac}"
system = "{system}"
ups = ["{UPS}"]
{rest}
"#
    )
}

/// Where a machine that boots Debian has the `/sys` of its own network: see `debian/server.rs`.
const SYS: &str = "/run/sys";
/// Where the cluster file is on a machine that boots Debian.
pub const CLUSTER_FILE: &str = "/etc/curfew/cluster.toml";
/// Where the password of `upsd` is there.
pub const PASSWORD_FILE: &str = "/etc/curfew/upsd.password";
/// The name of the cluster, in the file and in the certificates.
pub const CLUSTER: &str = "lab";

/// Returns the program that an agent calls for its operating system; it tells the laboratory, by
/// a line in the pipe `calls`, which then plays the machine. With a file `HOST/refuse-VERB` it
/// fails instead.
pub fn machine_program(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "#!/bin/sh\n\
         # usage: machine HOST VERB; called by an agent in place of its operating system\n\
         set -eu\n\
         if [ -e \"{folder}/$1/refuse-$2\" ]; then\n\
         \techo \"$1 refuses to $2\" >&2\n\
         \texit 1\n\
         fi\n\
         printf '%s %s %s\\n' \"$1\" \"$2\" \
         \"${{CURFEW_CUT_EARLIEST_SECONDS:-0}}\" > \"{folder}/calls\"\n"
    )
}
