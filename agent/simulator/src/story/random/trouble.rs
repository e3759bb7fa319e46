//! What can go wrong, and with which chance.

use curfew_coordinator::HostName;
use fastrand::Rng;

use super::{Genre, happens, pick, pick_weighted, span};
use crate::story::{Change, KillPoint};

/// A kind of trouble. Each genre has its own; the mixed one has all.
const KINDS: [(Genre, u64); 7] = [
    (Genre::Network, 20),
    (Genre::Agents, 22),
    (Genre::Machines, 16),
    (Genre::Ups, 18),
    (Genre::Mains, 12),
    (Genre::Operators, 8),
    (Genre::Strangers, 4),
];

/// What can be had without an outage, the mains only for a moment.
const KINDS_ON_MAINS: [(Genre, u64); 5] = [
    (Genre::Ups, 40),
    (Genre::Network, 15),
    (Genre::Agents, 15),
    (Genre::Mains, 20),
    (Genre::Strangers, 10),
];

/// So many troubles of a hundred are of the genre's own kind.
const FAITHFUL: u64 = 75;

/// What is said to happen: so many milliseconds from now each.
pub(super) type Plot = Vec<(u64, Change)>;

/// Makes troubles.
pub(super) struct Trouble<'a> {
    pub(super) chance: &'a mut Rng,
    pub(super) genre: Genre,
    pub(super) hosts: &'a [HostName],
    pub(super) owner: &'a HostName,
    /// The host to which something has just happened.
    pub(super) about: HostName,
}

impl Trouble<'_> {
    /// Makes one trouble, with what mends it.
    pub(super) fn make(mut self) -> Plot {
        let is_faithful = happens(self.chance, FAITHFUL);
        let kind = if self.genre == Genre::NoOutage {
            pick_weighted(self.chance, &KINDS_ON_MAINS)
        } else if is_faithful && KINDS.iter().any(|(kind, _)| *kind == self.genre) {
            self.genre
        } else {
            pick_weighted(self.chance, &KINDS)
        };
        match kind {
            Genre::Network => self.network(),
            Genre::Agents => self.agents(),
            Genre::Machines => self.machines(),
            Genre::Mains => self.mains(),
            Genre::Operators => self.operators(),
            Genre::Strangers => self.strangers(),
            Genre::Ups | Genre::Calm | Genre::Mixed | Genre::NoOutage => self.ups(),
        }
    }

    fn host(&mut self) -> HostName {
        if happens(self.chance, 55) {
            return self.about.clone();
        }
        if happens(self.chance, 30) {
            return self.owner.clone();
        }
        self.any()
    }

    fn any(&mut self) -> HostName {
        let place = self.chance.usize(0..self.hosts.len());
        self.hosts.get(place).unwrap_or(self.owner).clone()
    }

    fn span(&mut self) -> u64 {
        span(self.chance, 9, 16)
    }

    fn network(&mut self) -> Plot {
        let host = self.host();
        let span = self.span();
        match self.chance.u8(0..10) {
            0..4 => {
                let rain = Change::Rain {
                    lost_percent: pick(self.chance, &[0, 10, 30, 60, 90]),
                    doubled_percent: pick(self.chance, &[0, 10, 50]),
                    late: pick(self.chance, &[0, 50, 1_000, 4_000, 12_000]),
                };
                vec![(0, rain), (span, Change::Dry)]
            }
            4..6 => {
                let to = self.any();
                let cut = Change::LinkCut { from: host.clone(), to: to.clone() };
                vec![(0, cut), (span, Change::LinkMended { from: host, to })]
            }
            6 => self.partition(span),
            7 => self.deaf(&host),
            8 => self.split_outage(),
            _ => {
                let plugged = Change::Plugged { host: host.clone() };
                vec![(0, Change::Unplugged { host }), (span, plugged)]
            }
        }
    }

    /// Two groups that hear nothing of each other, or of which one hears nothing of the other.
    fn partition(&mut self, span: u64) -> Plot {
        let hosts = self.hosts;
        let sides: Vec<bool> = hosts.iter().map(|_| self.chance.bool()).collect();
        let is_one_way = happens(self.chance, 30);
        let mut plot = Vec::new();
        for (from, from_side) in hosts.iter().zip(&sides) {
            for (to, to_side) in hosts.iter().zip(&sides) {
                if from_side != to_side && (*from_side || !is_one_way) {
                    let (from, to) = (from.clone(), to.clone());
                    plot.push((0, Change::LinkCut { from: from.clone(), to: to.clone() }));
                    plot.push((span, Change::LinkMended { from, to }));
                }
            }
        }
        plot
    }

    /// A host that is heard and hears nobody, for long enough to go by itself.
    fn deaf(&mut self, host: &HostName) -> Plot {
        let span = span(self.chance, 14, 17);
        let mut plot = Vec::new();
        for from in self.hosts.iter().filter(|from| *from != host) {
            let (from, to) = (from.clone(), host.clone());
            plot.push((0, Change::LinkCut { from: from.clone(), to: to.clone() }));
            plot.push((span, Change::LinkMended { from, to }));
        }
        plot
    }

    /// Two groups that are apart while the mains come and go.
    fn split_outage(&mut self) -> Plot {
        let span = span(self.chance, 15, 17);
        let returns = self.chance.u64(0..span);
        let fails = returns + self.chance.u64(1_000..30_000);
        let mut plot = self.partition(span);
        plot.push((returns, Change::MainsReturn));
        plot.push((fails, Change::MainsFail));
        plot.push((fails + span, Change::MainsReturn));
        plot
    }

    fn agents(&mut self) -> Plot {
        let host = self.host();
        let span = self.span();
        match self.chance.u8(0..12) {
            0..7 => {
                let at_line = pick(
                    self.chance,
                    &[
                        KillPoint::Now,
                        KillPoint::Now,
                        KillPoint::BeforeSave,
                        KillPoint::AfterSave,
                        KillPoint::BeforeCall,
                        KillPoint::AfterCall,
                    ],
                );
                let back_after = happens(self.chance, 80).then_some(span.min(40_000));
                vec![(0, Change::AgentKilled { host, at_line, back_after })]
            }
            7..9 => vec![
                (0, Change::DiskFails { host: host.clone(), fails: true }),
                (span, Change::DiskFails { host, fails: false }),
            ],
            9 => {
                // The record is torn as the agent is killed, or it would be written anew.
                let back_after = Some(span.min(40_000));
                let at_line = KillPoint::Now;
                vec![
                    (0, Change::RecordTorn { host: host.clone() }),
                    (0, Change::AgentKilled { host, at_line, back_after }),
                ]
            }
            10 => vec![(0, Change::RecordTorn { host })],
            _ => vec![(0, Change::ClockJumped { host, date: self.chance.u64(0..4_000_000_000) })],
        }
    }

    fn machines(&mut self) -> Plot {
        let host = self.host();
        let span = self.span();
        match self.chance.u8(0..14) {
            12.. => vec![
                (0, Change::MountsUnread { host: host.clone(), unread: true }),
                (span + 60_000, Change::MountsUnread { host, unread: false }),
            ],
            0..4 => {
                let mut plot = vec![(0, Change::HostCrashed { host: host.clone() })];
                if happens(self.chance, 60) {
                    plot.push((span, Change::HostStarted { host }));
                }
                plot
            }
            4..6 => vec![(0, Change::StopTakes { host, span: Some(span * 2) })],
            6..8 => vec![(0, Change::StopTakes { host, span: None })],
            8..10 => vec![
                (0, Change::StopRefused { host: host.clone(), refuses: true }),
                (span, Change::StopRefused { host, refuses: false }),
            ],
            10 => vec![(0, Change::HostStarted { host })],
            _ if host == *self.owner => vec![(0, Change::StopTakes { host, span: Some(span) })],
            _ => vec![(0, Change::HostBroken { host })],
        }
    }

    fn ups(&mut self) -> Plot {
        let span = self.span();
        let change = match self.chance.u8(0..15) {
            0 => Change::RuntimeLies { percent: pick(self.chance, &[5, 30, 60, 150, 400]) },
            1..4 => Change::UpdateLies {
                runtime_seconds: pick(
                    self.chance,
                    &[Some(0), Some(5), Some(30), Some(3_000), Some(65_535), None],
                ),
                charge_percent: pick(self.chance, &[Some(0), Some(5), Some(100), None]),
            },
            4..6 => Change::LowFlashed { span: span.min(8_000) },
            6 => Change::Calibrated { span },
            7 => Change::DriverGone { span },
            8 => Change::UsbFlaky { every: 60_000, gap: 4_000, span: 600_000 },
            9..11 => {
                let host = self.host();
                let host = happens(self.chance, 70).then_some(host);
                Change::UpsdUnreachable { host, span: span * 2 }
            }
            11 => Change::BatteryCollapsed { percent: self.chance.u64(20..100) },
            12 => Change::CutIgnored { times: self.chance.u32(1..3) },
            _ if self.genre == Genre::NoOutage => Change::LowFlashed { span },
            _ => return self.force(span),
        };
        vec![(0, change)]
    }

    /// `FSD`, which stays: an agent that starts later finds it.
    fn force(&mut self, span: u64) -> Plot {
        let mut plot = vec![(0, Change::Forced)];
        if self.chance.bool() {
            plot.push((span, Change::MainsReturn));
        }
        if self.chance.bool() {
            let (host, at_line) = (self.host(), KillPoint::Now);
            plot.push((span, Change::AgentKilled { host, at_line, back_after: Some(span) }));
        }
        plot
    }

    /// What the mains do next, whatever they do now.
    fn mains(&mut self) -> Plot {
        if self.genre == Genre::NoOutage {
            let dark = self.chance.u64(50..1_500);
            return vec![(0, Change::MainsFail), (dark, Change::MainsReturn)];
        }
        let first = span(self.chance, 8, 15);
        let next = span(self.chance, 8, 15);
        match self.chance.u8(0..7) {
            // Long enough to come back, and to go again.
            6 => {
                let up = span(self.chance, 14, 17);
                let dark = span(self.chance, 14, 17);
                vec![
                    (0, Change::MainsReturn),
                    (up, Change::MainsFail),
                    (up + dark, Change::MainsReturn),
                ]
            }
            0..2 => vec![(0, Change::MainsReturn), (first, Change::MainsFail)],
            2..4 => vec![(0, Change::MainsFail), (first, Change::MainsReturn)],
            4 => vec![
                (0, Change::MainsReturn),
                (first, Change::MainsFail),
                (first + next, Change::MainsReturn),
            ],
            _ => {
                let beat = self.chance.u64(300..7_000);
                (0..6)
                    .map(|flap| {
                        let is_on = flap % 2 == 0;
                        let change = if is_on { Change::MainsReturn } else { Change::MainsFail };
                        (flap * beat, change)
                    })
                    .collect()
            }
        }
    }

    fn operators(&mut self) -> Plot {
        let host = self.host();
        let change = match self.chance.u8(0..10) {
            0..2 => Change::Ordered { host, then_wake: happens(self.chance, 60) },
            2..6 => Change::CalledOff { host },
            6..8 => Change::WakeOrdered { host },
            8 if host != *self.owner => Change::HostStopped { host },
            8 => Change::HostStarted { host },
            _ => Change::HostRebooted { host },
        };
        vec![(0, change)]
    }

    fn strangers(&mut self) -> Plot {
        let host = self.host();
        let span = self.span();
        if happens(self.chance, 70) {
            return vec![(0, Change::Rehearsed { host, span: span.max(4_000) })];
        }
        vec![(0, Change::Doubled { host, span })]
    }
}
