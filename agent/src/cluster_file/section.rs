//! Which keys each table of the file has, with their bounds and defaults.
//!
//! `docs/configuration.md` says the same for people; a test keeps the two equal. What cannot be
//! read is reported and replaced by a value that no file can hold (an empty name, the address
//! `0.0.0.0`), so that the rules between values are checked for all the rest.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeTable;

use super::form::{AbsolutePath, HostAddress, Name, OrOff, SystemWord, UpsName, Username};
use super::reader::{Bounded, Report, Section, Spot};
use super::value::HostPort;
use super::{
    Argv, ClusterFile, CommandSystem, FileHash, Host, Login, Network, OffProof, Parsed, Paths,
    Restart, Shutdown, System, SystemdSystem, TalosSystem, Ups, Waking, effective, rule, seeing,
};

/// A file while its rules are checked, with the place of each table.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub(super) file: ClusterFile,
    pub(super) cluster: Spot<'a>,
    /// As many as `file.ups`.
    pub(super) ups: Vec<Spot<'a>>,
    /// As many as `file.hosts`.
    pub(super) hosts: Vec<Spot<'a>>,
    pub(super) shutdown: Spot<'a>,
    pub(super) restart: Spot<'a>,
}

/// Parses a file; `exists` tells whether a file that it names is on this machine.
pub(super) fn parse(text: &str, exists: &dyn Fn(&Path) -> bool) -> Parsed {
    let (table, errors) = DeTable::parse_recoverable(text);
    let report = Report::new(text, errors.is_empty());
    for error in &errors {
        let at = error.span().map_or(0, |span| span.start);
        let message = format!("this is not TOML: {}", error.message());
        report.error(at, message, "write key = value, and strings in quotes".to_owned());
    }
    let mut draft = read(table.get_ref(), &report);
    let is_readable = !report.has_errors();
    if errors.is_empty() {
        rule::check(&draft, &report, exists);
    }
    draft.file.hash = effective::hash(&draft.file);
    let file = is_readable.then_some(draft.file);
    Parsed { findings: report.into_findings(), file }
}

/// Reads all tables of the file.
pub(super) fn read<'a>(table: &'a DeTable<'a>, report: &'a Report<'a>) -> Draft<'a> {
    let mut root = Section::new("the file", Spot::root(table), report);
    let mut cluster = root.table("cluster", "[cluster]");
    let name = cluster.required::<Name>("name").unwrap_or_default().0;
    let time_factor = cluster.bounded(&TIME_FACTOR);
    let shutdown = root.table("shutdown", "[shutdown]");
    let restart = root.table("restart", "[restart]");
    let ups = root.tables("ups", "[[ups]]");
    let hosts = root.tables("host", "[[host]]");
    let mut draft = Draft {
        cluster: cluster.spot(),
        ups: ups.iter().map(Section::spot).collect(),
        hosts: hosts.iter().map(Section::spot).collect(),
        shutdown: shutdown.spot(),
        restart: restart.spot(),
        file: ClusterFile {
            name,
            time_factor,
            shutdown: read_shutdown(shutdown),
            restart: read_restart(restart),
            ups: ups.into_iter().map(read_ups).collect(),
            hosts: Vec::new(),
            hash: FileHash([0; 32]),
        },
    };
    let stop_timeout = draft.file.shutdown.stop_timeout;
    draft.file.hosts = hosts.into_iter().map(|host| read_host(host, stop_timeout)).collect();
    cluster.finish();
    root.finish();
    draft
}

fn read_ups(mut section: Section<'_>) -> Ups {
    let nowhere = HostPort { host: String::new(), port: 0 };
    let ups = Ups {
        name: section.required::<UpsName>("name").unwrap_or_default().0,
        owner: section.required::<Name>("owner").unwrap_or_default().0,
        upsd: section.required("upsd").unwrap_or(nowhere),
        login: read_login(&mut section),
        returns: section.optional("returns"),
        poll: section.bounded(&POLL),
    };
    section.finish();
    ups
}

fn read_login(section: &mut Section<'_>) -> Option<Login> {
    let spot = section.spot();
    let username: Option<Username> = section.optional("username");
    let password_file: Option<AbsolutePath> = section.optional("password-file");
    match (spot.has("username"), spot.has("password-file")) {
        (true, false) => {
            section.missing("password-file", "write password-file = \"/etc/curfew/upsd.password\"");
        }
        (false, true) => section.missing("username", "write username = \"curfew\""),
        (true, true) | (false, false) => {}
    }
    Some(Login { username: username?.0, password_file: password_file?.0 })
}

fn read_host(mut section: Section<'_>, stop_timeout: Duration) -> Host {
    let name = section.required::<Name>("name").unwrap_or_default().0;
    let word = section.required("system").unwrap_or(SystemWord::DryRun);
    let default = match word {
        SystemWord::Systemd => stop_timeout.min(SYSTEMD_STOP_TIMEOUT),
        SystemWord::Talos | SystemWord::Command | SystemWord::DryRun => stop_timeout,
    };
    let exports = section.list::<AbsolutePath>("nfs-exports");
    let host = Host {
        name,
        ups: section.list::<UpsName>("ups").into_iter().map(|ups| ups.0).collect(),
        needs: section.list::<Name>("needs").into_iter().map(|host| host.0).collect(),
        control_plane: section.optional("control-plane").unwrap_or_default(),
        nfs_exports: exports.into_iter().map(|path| path.0).collect(),
        stop_timeout: section.bounded(&Bounded { default, ..STOP_TIMEOUT }),
        network: read_network(&mut section),
        waking: read_waking(&mut section),
        system: read_system(&mut section, word),
        paths: read_paths(&mut section, word),
        seeing: seeing::read(&mut section),
    };
    section.finish();
    host
}

fn read_network(section: &mut Section<'_>) -> Network {
    let address = section.required::<HostAddress>("address");
    let address = address.map_or(UNKNOWN_ADDRESS, |address| address.0);
    Network {
        address,
        listen: section.optional("listen").unwrap_or(address),
        http_port: section.bounded(&HTTP_PORT),
        names: section.list::<Name>("names").into_iter().map(|name| name.0).collect(),
        peer_port: section.bounded(&PEER_PORT),
    }
}

fn read_waking(section: &mut Section<'_>) -> Waking {
    Waking {
        mac: section.optional("mac"),
        packets_to: section.optional("wake"),
        ready: section.optional("ready"),
    }
}

fn read_system(section: &mut Section<'_>, word: SystemWord) -> System {
    let mut systemd = section.table("systemd", "[host.systemd]");
    let run = path_or(&mut systemd, "run", RUN);
    systemd.finish();
    let mut talos = section.table("talos", "[host.talos]");
    let socket = path_or(&mut talos, "socket", MACHINED_SOCKET);
    talos.finish();
    let mut command = section.table("command", "[host.command]");
    if word == SystemWord::Command && !command.spot().has("stop") {
        command.missing("stop", "write [host.command] and stop = [\"/usr/sbin/poweroff\"]");
    }
    let stop: Option<Argv> = command.optional("stop");
    let commands = CommandSystem {
        stop: stop.unwrap_or(Argv { program: PathBuf::new(), arguments: Vec::new() }),
        hold: command.optional("hold"),
        reboot: command.optional("reboot"),
        cut: command.optional("cut"),
        stopping: command.optional("stopping"),
        timeout: command.bounded(&COMMAND_TIMEOUT),
    };
    command.finish();
    match word {
        SystemWord::Systemd => System::Systemd(SystemdSystem { run }),
        SystemWord::Talos => System::Talos(TalosSystem { socket }),
        SystemWord::Command => System::Command(Box::new(commands)),
        SystemWord::DryRun => System::DryRun,
    }
}

fn read_paths(section: &mut Section<'_>, word: SystemWord) -> Paths {
    let mut paths = section.table("paths", "[host.paths]");
    let (proc, sys) = match word {
        SystemWord::Talos => (HOST_PROC, HOST_SYS),
        SystemWord::Systemd | SystemWord::Command | SystemWord::DryRun => ("/proc", "/sys"),
    };
    let read = Paths {
        proc: path_or(&mut paths, "proc", proc),
        sys: path_or(&mut paths, "sys", sys),
        root: path_or(&mut paths, "root", "/"),
    };
    paths.finish();
    read
}

fn path_or(section: &mut Section<'_>, key: &'static str, default: &str) -> PathBuf {
    section.optional::<AbsolutePath>(key).map_or_else(|| PathBuf::from(default), |path| path.0)
}

fn read_shutdown(mut section: Section<'_>) -> Shutdown {
    let shutdown = Shutdown {
        reserve: section.bounded(&RESERVE),
        cut_margin: section.bounded(&CUT_MARGIN),
        charge_below_percent: section.bounded(&CHARGE_BELOW),
        on_battery_for: section.bounded(&ON_BATTERY_FOR).0,
        stop_timeout: section.bounded(&STOP_TIMEOUT),
        debounce: section.bounded(&DEBOUNCE),
        low_battery_left: section.bounded(&LOW_BATTERY_LEFT),
        foreign_stop: section.bounded(&FOREIGN_STOP),
        off_proof: section.optional("off-proof").unwrap_or(OffProof::Network),
    };
    section.finish();
    shutdown
}

fn read_restart(mut section: Section<'_>) -> Restart {
    let restart = Restart {
        mains_stable: section.bounded(&MAINS_STABLE),
        charge_above_percent: section.bounded(&CHARGE_ABOVE),
        charge_wait: section.bounded(&CHARGE_WAIT),
        wake_every: section.bounded(&WAKE_EVERY),
        wake_timeout: section.bounded(&WAKE_TIMEOUT),
    };
    section.finish();
    restart
}

const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

const fn mins(count: u64) -> Duration {
    Duration::from_mins(count)
}

/// Beyond 100 the built-in limits of a second fall below what a loopback needs.
const TIME_FACTOR: Bounded<u32> = Bounded { name: "time-factor", default: 1, min: 1, max: 100 };

/// A reading is fresh for 3 s, so that even the slowest poll must be quicker.
const POLL: Bounded<Duration> =
    Bounded { name: "poll", default: secs(1), min: millis(100), max: secs(2) };

const HTTP_PORT: Bounded<u16> = Bounded { name: "http-port", default: 9100, min: 1, max: u16::MAX };

const PEER_PORT: Bounded<u16> = Bounded { name: "peer-port", default: 9101, min: 1, max: u16::MAX };

/// The lower bound lets a program do anything at all, the upper is a host's longest stop.
const COMMAND_TIMEOUT: Bounded<Duration> =
    Bounded { name: "timeout", default: secs(30), min: millis(100), max: mins(30) };

const RESERVE: Bounded<Duration> =
    Bounded { name: "reserve", default: secs(60), min: secs(0), max: mins(60) };

const CUT_MARGIN: Bounded<Duration> =
    Bounded { name: "cut-margin", default: secs(15), min: secs(0), max: mins(10) };

/// Above 95 the float charge of a healthy battery would count as low.
const CHARGE_BELOW: Bounded<u8> = Bounded { name: "charge-below", default: 20, min: 0, max: 95 };

/// `off` sorts before every duration; those below a second are refused where they are read.
const ON_BATTERY_FOR: Bounded<OrOff> = Bounded {
    name: "on-battery-for",
    default: OrOff(None),
    min: OrOff(None),
    max: OrOff(Some(mins(24 * 60))),
};

/// The lower bound serves rehearsals; longer than the upper, no battery of a home lasts.
const STOP_TIMEOUT: Bounded<Duration> =
    Bounded { name: "stop-timeout", default: mins(3), min: secs(1), max: mins(30) };

/// What a systemd host without pods needs, most of it for its services.
const SYSTEMD_STOP_TIMEOUT: Duration = secs(60);

/// Longer than a flash of `LB`, which lasts 2 s, and shorter than any battery.
const DEBOUNCE: Bounded<Duration> =
    Bounded { name: "debounce", default: secs(5), min: millis(100), max: mins(1) };

const LOW_BATTERY_LEFT: Bounded<Duration> =
    Bounded { name: "low-battery-left", default: secs(120), min: secs(1), max: mins(60) };

const FOREIGN_STOP: Bounded<Duration> =
    Bounded { name: "foreign-stop", default: secs(60), min: secs(0), max: mins(10) };

const MAINS_STABLE: Bounded<Duration> =
    Bounded { name: "mains-stable", default: secs(60), min: secs(1), max: mins(60) };

/// Above 95 a worn battery would never get there.
const CHARGE_ABOVE: Bounded<u8> = Bounded { name: "charge-above", default: 30, min: 0, max: 95 };

const CHARGE_WAIT: Bounded<Duration> =
    Bounded { name: "charge-wait", default: mins(90), min: secs(0), max: mins(24 * 60) };

const WAKE_EVERY: Bounded<Duration> =
    Bounded { name: "wake-every", default: secs(30), min: millis(100), max: mins(10) };

const WAKE_TIMEOUT: Bounded<Duration> =
    Bounded { name: "wake-timeout", default: mins(10), min: secs(1), max: mins(120) };

/// What stands for an address that could not be read; no file can hold it.
const UNKNOWN_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Where machined listens for extension services.
const MACHINED_SOCKET: &str = "/system/run/machined/machine.sock";

/// Where the service of the extension has the host's own: those of its container are not.
const HOST_PROC: &str = "/host/proc";
const HOST_SYS: &str = "/host/sys";

/// Where the Debian package has its sockets and flags.
const RUN: &str = "/run/curfew";
