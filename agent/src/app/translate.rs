//! From the cluster file's words to the coordinator's.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use curfew_coordinator::{
    BuiltIn, Cluster, Host, HostName, OffProof, ReadyBy, Settings, Ups, WakeTarget,
};

use crate::cluster_file::{self, ClusterFile, CommandSystem, System};
use crate::power::command::{Argv, ArgvError, Commands};
use crate::power::systemd::OwnedUps;
use crate::power::{CommandPower, DryRunPower, Power, SystemdPower, SystemdSettings, TalosPower};
use crate::talos::Talos;

/// Returns the cluster as the coordinator knows it. The file has been validated.
pub(super) fn cluster(file: &ClusterFile) -> anyhow::Result<Cluster> {
    let ups = file.ups.first().context("the cluster file has no [[ups]]")?;
    let hosts = file.hosts.iter().map(|host| translate_host(host, &ups.name)).collect();
    Ok(Cluster {
        name: file.name.clone(),
        hash: file.hash.to_string(),
        hosts,
        ups: Ups {
            name: ups.name.clone(),
            owner: HostName::from(ups.owner.as_str()),
            returns: if can_cut(file, &ups.owner) { ups.returns } else { Some(false) },
        },
        settings: settings(file),
    })
}

/// An owner without a way to have the UPS cut must hold, whatever the UPS offers.
fn can_cut(file: &ClusterFile, owner: &str) -> bool {
    file.host(owner).is_ok_and(|owner| match &owner.system {
        System::Command(command) => command.cut.is_some(),
        System::Systemd(_) | System::Talos(_) | System::DryRun => true,
    })
}

/// Returns the way to stop this host in this boot. The file has been validated.
pub(super) fn power(
    file: &ClusterFile,
    me: &cluster_file::Host,
    boot: &str,
) -> anyhow::Result<Power> {
    match &me.system {
        System::Systemd(system) => {
            let owned = file.ups.first().filter(|ups| ups.owner == me.name);
            let settings = SystemdSettings {
                run: system.run.clone(),
                bus: None,
                ups: owned
                    .map(|ups| OwnedUps { name: ups.name.clone(), upsd: ups.upsd.to_string() }),
                mains_stable: file.restart.mains_stable,
                stop_timeout: me.stop_timeout,
                boot: boot.to_owned(),
            };
            Ok(Power::Systemd(Box::new(SystemdPower::new(settings))))
        }
        System::Command(system) => {
            // A hold unmounts and syncs: it is not killed before it has had a stop's time.
            let least = if system.hold.is_some() { me.stop_timeout } else { Duration::ZERO };
            let commands = commands(&me.name, system, system.timeout.max(least))?;
            Ok(Power::Command(Box::new(CommandPower::new(commands))))
        }
        System::DryRun => Ok(Power::DryRun(DryRunPower)),
        System::Talos(system) => {
            let talos = Talos::new(&system.socket);
            Ok(Power::Talos(Arc::new(TalosPower::new(talos))))
        }
    }
}

fn commands(host: &str, system: &CommandSystem, limit: Duration) -> Result<Commands, ArgvError> {
    let argv = |argv: &cluster_file::Argv| {
        let program = argv.program.to_string_lossy().into_owned();
        Argv::try_from([vec![program], argv.arguments.clone()].concat())
    };
    let optional = |it: &Option<cluster_file::Argv>| it.as_ref().map(argv).transpose();
    Ok(Commands {
        host: host.to_owned(),
        stop: argv(&system.stop)?,
        hold: optional(&system.hold)?,
        cut: optional(&system.cut)?,
        reboot: optional(&system.reboot)?,
        stopping: optional(&system.stopping)?,
        limit,
    })
}

fn translate_host(host: &cluster_file::Host, ups: &str) -> Host {
    Host {
        name: HostName::from(host.name.as_str()),
        needs: host.needs.iter().map(|name| HostName::from(name.as_str())).collect(),
        is_fed: host.ups.iter().any(|name| name == ups),
        stop_timeout: host.stop_timeout,
        touches_power: !matches!(host.system, System::DryRun),
        ready: ready_by(host),
        wake: host.waking.mac.map(|mac| WakeTarget {
            mac: mac.into(),
            to: host.waking.packets_to.map(|to| to.to_string()),
            address: host.network.address.to_string(),
        }),
    }
}

fn ready_by(host: &cluster_file::Host) -> ReadyBy {
    match &host.waking.ready {
        Some(ready) => ReadyBy::Probe(ready.to_string()),
        None if !host.nfs_exports.is_empty() => ReadyBy::Exports(host.network.address.to_string()),
        None => ReadyBy::Agent,
    }
}

fn settings(file: &ClusterFile) -> Settings {
    let (stop, start) = (&file.shutdown, &file.restart);
    Settings {
        reserve: stop.reserve,
        cut_margin: stop.cut_margin,
        charge_below: stop.charge_below_percent,
        on_battery_for: stop.on_battery_for,
        debounce: stop.debounce,
        low_battery_left: stop.low_battery_left,
        foreign_stop: stop.foreign_stop,
        off_proof: match stop.off_proof {
            cluster_file::OffProof::Network => OffProof::Network,
            cluster_file::OffProof::Session => OffProof::Session,
        },
        mains_stable: start.mains_stable,
        charge_above: start.charge_above_percent,
        charge_wait: start.charge_wait,
        wake_every: start.wake_every,
        wake_timeout: start.wake_timeout,
        built_in: BuiltIn::scaled(file.time_factor),
    }
}
