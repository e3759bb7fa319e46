//! Stories from a seed: clusters, machines and weather as they might be.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use curfew_coordinator::{Cluster, Host, HostName, ReadyBy, Settings, Ups};
use fastrand::Rng;

use super::file::{usual_address, usual_probe, usual_wake};
use super::{Change, Dated, HostTruth, KillPoint, NetworkTruth, Story, UpsTruth};

/// The numbers of the UPS are confirmed after 35 s: most outages come after that.
const SETTLED: u64 = 40_000;

impl Story {
    /// Makes the story of a seed: the same one each time.
    pub fn random(seed: u64) -> Self {
        let mut chance = Rng::with_seed(seed);
        let cluster = random_cluster(&mut chance);
        let hosts = cluster
            .hosts
            .iter()
            .map(|host| (host.name.clone(), random_host(&mut chance, host)))
            .collect();
        let ups = random_ups(&mut chance, &cluster);
        let network = NetworkTruth { latency: chance.u64(1..=20), is_on_ups: chance.u8(0..10) > 0 };
        let mut story = Self {
            about: String::new(),
            seed,
            cluster,
            hosts,
            ups,
            network,
            measured: BTreeMap::new(),
            changes: Vec::new(),
            heals_at: 0,
        };
        story.add_weather(&mut chance);
        story
    }

    fn add_weather(&mut self, chance: &mut Rng) {
        let runtime = self.ups.runtime;
        let fails_at = SETTLED + chance.u64(0..2_000);
        let mut end = fails_at;
        self.add(fails_at, Change::MainsFail);
        for _ in 0..[1, 1, 1, 2, 3][chance.usize(0..5)] {
            let dark = chance.u64(500..runtime * 3 / 2);
            end += dark;
            self.add(end, Change::MainsReturn);
            let again = end + chance.u64(500..60_000);
            if chance.bool() {
                end = again;
                self.add(end, Change::MainsFail);
            }
        }
        for _ in 0..[0, 0, 1, 2, 3, 5][chance.usize(0..6)] {
            let at = chance.u64(1_000..end + 10_000);
            self.add_trouble(chance, at);
        }
        self.changes.sort_by_key(|dated| dated.at);
        let last = self.changes.last().map_or(0, |dated| dated.at);
        self.heals_at = last + chance.u64(1_000..30_000);
    }

    fn add(&mut self, at: u64, change: Change) {
        self.changes.push(Dated { at, change });
    }

    fn any_host(&self, chance: &mut Rng) -> HostName {
        let place = chance.usize(0..self.cluster.hosts.len());
        self.cluster
            .hosts
            .get(place)
            .map_or_else(|| self.cluster.ups.owner.clone(), |host| host.name.clone())
    }

    fn add_trouble(&mut self, chance: &mut Rng, at: u64) {
        let host = self.any_host(chance);
        let span = chance.u64(500..60_000);
        match chance.u8(0..24) {
            0 => {
                self.add(
                    at,
                    Change::Rain {
                        lost_percent: chance.u64(0..60),
                        doubled_percent: chance.u64(0..30),
                        late: chance.u64(0..4_000),
                    },
                );
                self.add(at + span, Change::Dry);
            }
            1 => {
                let to = self.any_host(chance);
                self.add(at, Change::LinkCut { from: host.clone(), to: to.clone() });
                self.add(at + span, Change::LinkMended { from: host, to });
            }
            2 => {
                self.add(at, Change::Unplugged { host: host.clone() });
                self.add(at + span, Change::Plugged { host });
            }
            3..=6 => {
                let at_line = [
                    KillPoint::Now,
                    KillPoint::BeforeSave,
                    KillPoint::AfterSave,
                    KillPoint::BeforeCall,
                    KillPoint::AfterCall,
                ][chance.usize(0..5)];
                let back_after = (chance.u8(0..5) > 0).then(|| chance.u64(500..20_000));
                self.add(at, Change::AgentKilled { host, at_line, back_after });
            }
            7 => self.add(at, Change::HostCrashed { host }),
            8 => self.add(at, Change::StopTakes { host, span: Some(chance.u64(5_000..120_000)) }),
            9 => self.add(at, Change::StopTakes { host, span: None }),
            10 => {
                self.add(at, Change::StopRefused { host: host.clone(), refuses: true });
                self.add(at + span, Change::StopRefused { host, refuses: false });
            }
            11 => {
                self.add(at, Change::DiskFails { host: host.clone(), fails: true });
                self.add(at + span, Change::DiskFails { host, fails: false });
            }
            12 => self.add(at, Change::RecordTorn { host }),
            13 => self.add(at, Change::ClockJumped { host, date: chance.u64(0..4_000_000_000) }),
            14 => self.add(at, Change::Rehearsed { host, span }),
            15 => self.add(at, Change::RuntimeLies { percent: chance.u64(10..300) }),
            16 => self.add(
                at,
                Change::UpdateLies {
                    runtime_seconds: [Some(0), Some(5), Some(65_535), None][chance.usize(0..4)],
                    charge_percent: [Some(0), Some(100), None][chance.usize(0..3)],
                },
            ),
            17 => self.add(at, Change::LowFlashed { span: chance.u64(500..6_000) }),
            18 => self.add(at, Change::Calibrated { span }),
            19 => self.add(at, Change::DriverGone { span }),
            20 => self.add(at, Change::UsbFlaky { every: 60_000, gap: 4_000, span: 600_000 }),
            21 => {
                let host = chance.bool().then_some(host);
                self.add(at, Change::UpsdUnreachable { host, span });
            }
            22 => self.add(at, Change::BatteryCollapsed { percent: chance.u64(20..100) }),
            _ => self.add_order(chance, at, host),
        }
    }

    fn add_order(&mut self, chance: &mut Rng, at: u64, host: HostName) {
        self.add(
            at,
            match chance.u8(0..8) {
                0 => Change::Ordered { host, then_wake: chance.bool() },
                1 => Change::CalledOff { host },
                2 => Change::WakeOrdered { host },
                3 => Change::HostStopped { host },
                4 => Change::Forced,
                5 => Change::CutIgnored { times: chance.u32(1..3) },
                6 => Change::Doubled { host, span: 20_000 },
                _ => Change::HostStarted { host },
            },
        );
    }
}

fn random_cluster(chance: &mut Rng) -> Cluster {
    let count = [2, 3, 3, 3, 3, 4, 5][chance.usize(0..7)];
    let hosts = (0..count).map(|place| random_file_host(chance, place)).collect();
    let seconds = Duration::from_secs;
    Cluster {
        name: "home".to_owned(),
        hash: "hash".to_owned(),
        hosts,
        ups: Ups { name: "eaton".to_owned(), owner: "nfs".into(), returns: None },
        settings: Settings {
            reserve: seconds(chance.u64(5..30)),
            cut_margin: seconds(chance.u64(3..15)),
            low_battery_left: seconds(chance.u64(20..90)),
            mains_stable: seconds(chance.u64(8..30)),
            charge_above: 5,
            charge_wait: seconds(chance.u64(40..120)),
            wake_every: seconds(10),
            wake_timeout: seconds(chance.u64(50..90)),
            ..Settings::default()
        },
    }
}

/// The first host is the owner and serves files; each of the others needs some of those before it.
fn random_file_host(chance: &mut Rng, place: usize) -> Host {
    let name = |place: usize| {
        if place == 0 { HostName::from("nfs") } else { HostName::from(format!("k8s-{place}")) }
    };
    let needs: BTreeSet<HostName> =
        (0..place).filter(|need| *need == 0 || chance.bool()).map(name).collect();
    let ready = match place {
        0 => ReadyBy::Exports(usual_address(place)),
        _ if chance.bool() => ReadyBy::Probe(usual_probe(place)),
        _ => ReadyBy::Agent,
    };
    Host {
        name: name(place),
        needs,
        is_fed: true,
        stop_timeout: Duration::from_secs(chance.u64(10..40)),
        touches_power: true,
        ready,
        wake: Some(usual_wake(place)),
    }
}

fn random_host(chance: &mut Rng, host: &Host) -> HostTruth {
    let planned = u64::try_from(host.stop_timeout.as_millis()).unwrap_or(u64::MAX);
    HostTruth {
        watts: chance.u64(10..80),
        stops_in: planned * chance.u64(40..100) / 100,
        holds_in: chance.u64(2_000..8_000),
        boots_in: chance.u64(5_000..20_000),
        serves_in: chance.u64(3_000..10_000),
        starts_with_power: chance.u8(0..5) > 0,
        can_wake: true,
        answers_arp: chance.u8(0..3) == 0,
        is_off: false,
    }
}

fn random_ups(chance: &mut Rng, cluster: &Cluster) -> UpsTruth {
    let stops: Duration = cluster.hosts.iter().map(|host| host.stop_timeout).sum();
    let needed = u64::try_from(stops.as_millis()).unwrap_or(u64::MAX);
    let offers_return = chance.bool();
    UpsTruth {
        runtime: needed * chance.u64(80..300) / 100 + 40_000,
        charge_percent: chance.u64(60..=100),
        returns: true,
        offers_return,
        cut_delay: chance.u64(1_000..20_000),
        low_percent: chance.u64(0..25),
        status_every: 2_000,
        numbers_every: [2_000, 15_000, 30_000][chance.usize(0..3)],
        runtime_percent: chance.u64(92..=108),
        tells_charge: chance.u8(0..8) > 0,
        tells_runtime: chance.u8(0..8) > 0,
    }
}
