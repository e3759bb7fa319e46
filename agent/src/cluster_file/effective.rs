//! The file as it counts: all defaults filled in, as TOML and JSON, and the hash over it.

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::seeing::{HealthTable, MetricsTable};
use super::value::format_duration;
use super::{Argv, ClusterFile, CommandSystem, FileHash, Host, Paths, System, Ups};

/// The file as a person would write it who leaves nothing out.
#[derive(Debug, Serialize)]
pub(super) struct Effective<'a> {
    cluster: ClusterTable<'a>,
    ups: Vec<UpsTable<'a>>,
    host: Vec<HostTable<'a>>,
    shutdown: ShutdownTable,
    restart: RestartTable,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct ClusterTable<'a> {
    name: &'a str,
    time_factor: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct UpsTable<'a> {
    name: &'a str,
    owner: &'a str,
    upsd: String,
    username: Option<&'a str>,
    password_file: Option<String>,
    returns: Option<bool>,
    poll: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct HostTable<'a> {
    name: &'a str,
    address: String,
    listen: String,
    http_port: u16,
    names: &'a [String],
    peer_port: u16,
    system: &'static str,
    ups: &'a [String],
    needs: &'a [String],
    control_plane: bool,
    nfs_exports: Vec<String>,
    stop_timeout: String,
    mac: Option<String>,
    wake: Option<String>,
    ready: Option<String>,
    command: Option<CommandTable>,
    systemd: Option<SystemdTable>,
    talos: Option<TalosTable>,
    paths: PathsTable,
    health: HealthTable<'a>,
    metrics: MetricsTable<'a>,
}

#[derive(Debug, Serialize)]
struct CommandTable {
    stop: Vec<String>,
    hold: Option<Vec<String>>,
    reboot: Option<Vec<String>>,
    cut: Option<Vec<String>>,
    stopping: Option<Vec<String>>,
    timeout: String,
}

#[derive(Debug, Serialize)]
struct SystemdTable {
    run: String,
}

#[derive(Debug, Serialize)]
struct TalosTable {
    socket: String,
}

#[derive(Debug, Serialize)]
struct PathsTable {
    proc: String,
    sys: String,
    root: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct ShutdownTable {
    reserve: String,
    cut_margin: String,
    charge_below: u8,
    on_battery_for: String,
    stop_timeout: String,
    debounce: String,
    low_battery_left: String,
    foreign_stop: String,
    off_proof: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct RestartTable {
    mains_stable: String,
    charge_above: u8,
    charge_wait: String,
    wake_every: String,
    wake_timeout: String,
}

/// Returns the file as TOML.
pub(super) fn to_toml(file: &ClusterFile) -> String {
    toml::to_string(&Effective::of(file)).expect("strings, numbers and tables of them are TOML")
}

/// Returns the hash over all that the hosts must agree on: the whole of the effective file.
pub(super) fn hash(file: &ClusterFile) -> FileHash {
    FileHash(Sha256::digest(to_toml(file)).into())
}

impl<'a> Effective<'a> {
    /// Returns the view of a file.
    pub(super) fn of(file: &'a ClusterFile) -> Self {
        let ClusterFile { name, time_factor, ups, hosts, shutdown, restart, hash: _ } = file;
        let never = || "off".to_owned();
        Self {
            cluster: ClusterTable { name, time_factor: *time_factor },
            ups: ups.iter().map(UpsTable::of).collect(),
            host: hosts.iter().map(HostTable::of).collect(),
            shutdown: ShutdownTable {
                reserve: format_duration(shutdown.reserve),
                cut_margin: format_duration(shutdown.cut_margin),
                charge_below: shutdown.charge_below_percent,
                on_battery_for: shutdown.on_battery_for.map_or_else(never, format_duration),
                stop_timeout: format_duration(shutdown.stop_timeout),
                debounce: format_duration(shutdown.debounce),
                low_battery_left: format_duration(shutdown.low_battery_left),
                foreign_stop: format_duration(shutdown.foreign_stop),
                off_proof: shutdown.off_proof.label(),
            },
            restart: RestartTable {
                mains_stable: format_duration(restart.mains_stable),
                charge_above: restart.charge_above_percent,
                charge_wait: format_duration(restart.charge_wait),
                wake_every: format_duration(restart.wake_every),
                wake_timeout: format_duration(restart.wake_timeout),
            },
        }
    }
}

impl<'a> UpsTable<'a> {
    fn of(ups: &'a Ups) -> Self {
        let login = ups.login.as_ref();
        Self {
            name: &ups.name,
            owner: &ups.owner,
            upsd: ups.upsd.to_string(),
            username: login.map(|login| login.username.as_str()),
            password_file: login.map(|login| login.password_file.display().to_string()),
            returns: ups.returns,
            poll: format_duration(ups.poll),
        }
    }
}

impl<'a> HostTable<'a> {
    fn of(host: &'a Host) -> Self {
        let (mut command, mut systemd, mut talos) = (None, None, None);
        match &host.system {
            System::Command(commands) => command = Some(CommandTable::of(commands)),
            System::Systemd(it) => {
                systemd = Some(SystemdTable { run: it.run.display().to_string() });
            }
            System::Talos(it) => {
                talos = Some(TalosTable { socket: it.socket.display().to_string() });
            }
            System::DryRun => {}
        }
        let exports = host.nfs_exports.iter().map(|path| path.display().to_string());
        let Paths { proc, sys, root } = &host.paths;
        Self {
            name: &host.name,
            address: host.network.address.to_string(),
            listen: host.network.listen.to_string(),
            http_port: host.network.http_port,
            names: &host.network.names,
            peer_port: host.network.peer_port,
            system: host.system.label(),
            ups: &host.ups,
            needs: &host.needs,
            control_plane: host.control_plane,
            nfs_exports: exports.collect(),
            stop_timeout: format_duration(host.stop_timeout),
            mac: host.waking.mac.map(|mac| mac.to_string()),
            wake: host.waking.packets_to.map(|to| to.to_string()),
            ready: host.waking.ready.as_ref().map(ToString::to_string),
            command,
            systemd,
            talos,
            paths: PathsTable {
                proc: proc.display().to_string(),
                sys: sys.display().to_string(),
                root: root.display().to_string(),
            },
            health: HealthTable::of(&host.seeing.health),
            metrics: MetricsTable::of(&host.seeing.metrics),
        }
    }
}

impl CommandTable {
    fn of(commands: &CommandSystem) -> Self {
        Self {
            stop: words(&commands.stop),
            hold: commands.hold.as_ref().map(words),
            reboot: commands.reboot.as_ref().map(words),
            cut: commands.cut.as_ref().map(words),
            stopping: commands.stopping.as_ref().map(words),
            timeout: format_duration(commands.timeout),
        }
    }
}

fn words(argv: &Argv) -> Vec<String> {
    let program = argv.program.display().to_string();
    std::iter::once(program).chain(argv.arguments.iter().cloned()).collect()
}
