//! The reference cluster of the design, and short names for what stories ask of it.

use std::collections::BTreeSet;
use std::time::Duration;

use curfew_coordinator::{
    Cluster, Command, End, Host, HostName, Note, Phase, ReadyBy, Settings, Trigger, Ups, WakeTarget,
};

use super::{Fact, World};

pub(crate) const NFS: &str = "nfs";
pub(crate) const K1: &str = "k8s-1";
pub(crate) const K2: &str = "k8s-2";
pub(crate) const ALL: [&str; 3] = [NFS, K1, K2];

/// Battery of the stories in seconds: a hundred more than the defaults need.
const BATTERY: u64 = 600;

/// Returns the reference cluster with the design's defaults.
pub(crate) fn cluster() -> Cluster {
    Cluster {
        name: "home".to_owned(),
        hash: "hash".to_owned(),
        hosts: vec![
            host(NFS, 13, &[], 60, ReadyBy::Exports("10.0.0.13".to_owned())),
            host(K1, 11, &[NFS], 180, ReadyBy::Probe("https://10.0.0.11:6443/readyz".to_owned())),
            host(K2, 12, &[NFS, K1], 180, ReadyBy::Agent),
        ],
        ups: Ups { name: "eaton".to_owned(), owner: NFS.into(), returns: None },
        settings: Settings::default(),
    }
}

fn host(name: &str, number: u8, needs: &[&str], stop: u64, ready: ReadyBy) -> Host {
    let wake = WakeTarget {
        mac: [0xaa, 0xbb, 0xcc, 0xdd, 0xee, number],
        to: None,
        address: format!("10.0.0.{number}"),
    };
    Host {
        name: name.into(),
        needs: needs.iter().map(|need| HostName::from(*need)).collect(),
        is_fed: true,
        stop_timeout: Duration::from_secs(stop),
        touches_power: true,
        ready,
        wake: Some(wake).filter(|_| name != NFS),
    }
}

impl World {
    /// The reference cluster, watched long enough that the numbers of the UPS count.
    pub(crate) fn reference() -> Self {
        Self::settled(cluster())
    }

    /// Another cluster, watched as long.
    pub(crate) fn settled(cluster: Cluster) -> Self {
        let mut world = Self::new(cluster, BATTERY);
        world.run(40);
        world
    }

    /// Lets the mains fail and waits until everybody has latched the shutdown that follows.
    pub(crate) fn outage(&mut self) -> u64 {
        self.outage_of(&ALL)
    }

    /// The same where only `hosts` run.
    pub(crate) fn outage_of(&mut self, hosts: &[&str]) -> u64 {
        self.mains_fail();
        self.until("all have latched", 300, |world| {
            hosts.iter().all(|host| world.is_in_shutdown(host))
        })
    }

    /// Returns what `host` did that `is` describes.
    pub(crate) fn facts(&self, host: &str, is: impl Fn(&Fact) -> bool) -> Vec<Fact> {
        self.timeline.of(host).filter(|fact| is(fact)).cloned().collect()
    }

    /// Returns whether `host` acts on a shutdown.
    pub(crate) fn is_in_shutdown(&self, host: &str) -> bool {
        self.phase(host).is_some_and(|phase| phase != Phase::Up)
    }

    pub(crate) fn phase(&self, host: &str) -> Option<Phase> {
        Some(self.machine(host).agent.as_ref()?.phase())
    }

    /// Returns the highest number that has ended for `host`, if its agent runs.
    pub(crate) fn ended(&self, host: &str) -> Option<u64> {
        Some(self.machine(host).agent.as_ref()?.ended())
    }

    pub(crate) fn is_off(&self, host: &str) -> bool {
        self.machine(host).power == super::Power::Off
    }

    /// Returns whether everybody runs, is in no shutdown, and owes nobody anything.
    pub(crate) fn is_whole(&self) -> bool {
        let runs = |host: &&str| {
            self.phase(host) == Some(Phase::Up) && self.machine(host).stopping.is_none()
        };
        let is_done = |host: &&str| {
            let status = self.status(host);
            status.shutdown.is_none() && status.owed.is_empty() && !status.is_conducting
        };
        ALL.iter().all(runs) && ALL.iter().all(is_done)
    }

    pub(crate) fn began(&self, host: &str) -> Option<u64> {
        self.noted(host, |note| matches!(note, Note::Began { .. }))
    }

    /// Returns how `host` was called to end, each time.
    pub(crate) fn calls(&self, host: &str) -> Vec<u64> {
        self.timeline.times(host, |fact| matches!(fact, Fact::StopCalled(_)))
    }

    pub(crate) fn called(&self, host: &str, end: End) -> bool {
        let is = |fact: &Fact| matches!(fact, Fact::StopCalled(call) if call.end == end);
        !self.timeline.times(host, is).is_empty()
    }

    pub(crate) fn off(&self, host: &str) -> Option<u64> {
        self.timeline.times(host, |fact| *fact == Fact::Off).first().copied()
    }

    pub(crate) fn booted(&self, host: &str) -> Option<u64> {
        self.timeline.times(host, |fact| *fact == Fact::Booted).last().copied()
    }

    /// Returns when packets were sent to `host`, by whomever.
    pub(crate) fn packets(&self, host: &str) -> Vec<u64> {
        let to = HostName::from(host);
        self.timeline.times_of_any(|fact| matches!(fact, Fact::Packet(host) if *host == to))
    }

    /// Returns the triggers by which `host` declared, in order.
    pub(crate) fn triggers(&self, host: &str) -> Vec<Trigger> {
        let notes = self.timeline.notes(host).into_iter();
        notes
            .filter_map(|note| {
                if let Note::Declared { trigger, .. } = note { Some(*trigger) } else { None }
            })
            .collect()
    }

    /// Returns the numbers that anybody declared.
    pub(crate) fn numbers(&self) -> BTreeSet<u64> {
        let of = |host: &&str| {
            let notes = self.timeline.notes(host).into_iter();
            notes
                .filter_map(|note| {
                    if let Note::Declared { number, .. } = note { Some(*number) } else { None }
                })
                .collect::<Vec<_>>()
        };
        ALL.iter().flat_map(of).collect()
    }

    /// No host has begun.
    #[track_caller]
    pub(crate) fn check_nobody_stopped(&self) {
        let calls = ALL.iter().any(|host| !self.calls(host).is_empty());
        self.check(!calls, "nobody stops");
    }

    /// Pulls the cable of `host`.
    pub(crate) fn isolate(&mut self, host: &str) {
        self.unplugged.insert(host.into());
    }

    /// Nothing gets from `from` to `to`.
    pub(crate) fn cut(&mut self, from: &str, to: &str) {
        self.cuts.insert((from.into(), to.into()));
    }

    pub(crate) fn heal(&mut self) {
        self.cuts.clear();
        self.cut_sessions.clear();
        self.unplugged.clear();
    }

    /// Nobody gets an answer from `upsd`, or all do again.
    pub(crate) fn let_all_see_upsd(&mut self, sees: bool) {
        for host in ALL {
            self.machine_mut(host).sees_upsd = sees;
        }
    }

    pub(crate) fn order_shutdown(&mut self, host: &str, then_wake: bool) {
        self.command(host, Command::Shutdown { operator: "anna".to_owned(), then_wake });
    }

    pub(crate) fn call_off(&mut self, host: &str) {
        self.command(host, Command::CallOff { operator: "anna".to_owned() });
    }

    pub(crate) fn wake(&mut self, host: &str, hosts: &[&str]) {
        let hosts = hosts.iter().map(|host| HostName::from(*host)).collect();
        self.command(host, Command::Wake { operator: "anna".to_owned(), hosts });
    }

    /// Kills the agent of `host` and starts it again three seconds later.
    pub(crate) fn restart_agent(&mut self, host: &str) {
        self.kill_agent(host);
        self.run(3);
        if self.machine(host).runs() {
            self.start_agent(host);
        }
    }
}

impl World {
    /// The reference cluster with a UPS whose return is promised.
    pub(crate) fn promised() -> Self {
        let mut cluster = cluster();
        cluster.ups.returns = Some(true);
        Self::settled(cluster)
    }
}
