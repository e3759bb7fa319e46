//! What a course amounts to: how it went, what the battery had left, and what took longest.
//!
//! `sentence` says it to a person.

use std::collections::BTreeSet;

use curfew_coordinator::{BeginReason, Host, HostName, Note, Plan, ReadyBy, ReleaseProof};

use crate::course::{Course, State};
use crate::fact::{Fact, Happened};
use crate::question::NEVER;
use crate::story::{Change, Story};

mod sentence;

/// How an outage went, the best first.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Grade {
    /// The mains were back before a shutdown was declared.
    NotNeeded,
    /// Whoever stopped did so in order, and everybody came back.
    InOrder,
    /// A host did not wait for others any longer, since its latest start had come.
    LatestStart,
    /// A host lost its power by itself, and all others are as well as with `LatestStart`.
    Vanished,
    /// A host did not come back.
    Stranded,
    /// A host lost its power while it had something to lose.
    LostPower,
    /// An invariant did not hold.
    Broken,
}

/// What the battery had left when the last host was safe.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Margin {
    /// So long it would have carried what it carried then, and so full it was.
    Left {
        /// In milliseconds.
        millis: u64,
        /// In percent.
        charge: u64,
        /// When.
        at: u64,
        /// The mains came back before everybody was safe, or before anybody had to be.
        by_return: bool,
    },
    /// So much was missing to the host that needed most; none if no battery would have been enough.
    Missing {
        /// In milliseconds.
        millis: Option<u64>,
    },
}

/// A step of the critical path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Link {
    /// The host.
    pub host: HostName,
    /// What of it.
    pub step: Step,
    /// From when.
    pub from: u64,
    /// Until when.
    pub to: u64,
}

/// What takes time on the critical path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// The host stops, until nobody waits for it any more.
    Stop,
    /// It is gone, and the next one waits for the proof.
    Proof,
    /// It is not gone, and the next one waits until its latest start.
    Blocks,
    /// Its stop never ends.
    Hangs,
    /// It never begins to stop, and loses its power.
    Idles,
}

impl Step {
    /// Returns the word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Proof => "proof",
            Self::Blocks => "blocks",
            Self::Hangs => "hangs",
            Self::Idles => "idles",
        }
    }
}

/// What a course amounts to.
#[derive(Clone, Debug)]
pub struct Measure {
    /// How it went.
    pub grade: Grade,
    /// What was left; none without a battery in the story.
    pub margin: Option<Margin>,
    /// When the first shutdown was declared.
    pub declared_at: Option<u64>,
    /// How many shutdowns were declared.
    pub shutdowns: usize,
    /// The critical path of the first shutdown, the last step first; or all that never ends.
    pub path: Vec<Link>,
    /// Who began by its latest start.
    pub by_latest_start: Vec<HostName>,
    /// Who lost its power while it had something to lose.
    pub lost: Vec<HostName>,
    /// Who lost its power by itself, without a word, before anybody could act.
    pub vanished: Vec<HostName>,
    /// Who was not back at the end.
    pub stranded: Vec<HostName>,
    /// A host stopped while another one had workloads or mounts that needed it.
    pub is_order_broken: bool,
    /// A host stopped while another one that needed it still had power.
    pub is_overlapping: bool,
}

impl Measure {
    /// Measures a course of a story.
    pub fn of(story: &Story, course: &Course) -> Self {
        Surveyor::new(story, course).measure()
    }

    /// Returns the step whose shortening would help most.
    pub fn weakest(&self) -> Option<&Link> {
        // What never ends cannot be shortened: it must be mended first.
        let longest = || self.path.iter().max_by_key(|link| link.to - link.from);
        self.endless().next().or_else(longest)
    }

    /// Returns the steps of the critical path that never end.
    pub fn endless(&self) -> impl Iterator<Item = &Link> {
        self.path.iter().filter(|link| matches!(link.step, Step::Hangs | Step::Idles))
    }

    /// Returns whether everybody was safe in time and came back.
    pub fn is_good(&self) -> bool {
        self.grade <= Grade::LatestStart
    }
}

/// What one host did first in the outage.
#[derive(Clone, Copy, Debug, Default)]
struct Way {
    began: Option<(u64, BeginReason)>,
    /// Since when it stopped as it lost its power; none if it had booted after that.
    stops_since: Option<u64>,
    has_reached_latest_start: bool,
    halted: Option<u64>,
    unmounted: Option<u64>,
    /// Off by its own stop, or held; or it had stopped for a cut that did not come, and booted.
    safe: Option<u64>,
    lost: Option<u64>,
    crashed: bool,
}

struct Surveyor<'a> {
    story: &'a Story,
    course: &'a Course,
    plan: Plan,
    ways: Vec<Way>,
}

impl<'a> Surveyor<'a> {
    fn new(story: &'a Story, course: &'a Course) -> Self {
        let plan = Plan::new(&story.cluster, &std::collections::BTreeMap::new());
        let mut ways = vec![Way::default(); course.lanes.len()];
        for happened in course.facts.iter().filter(|it| it.at >= course.failed_at) {
            if let Some(way) = ways.get_mut(happened.host) {
                learn(way, happened);
            }
        }
        Self { story, course, plan, ways }
    }

    fn measure(&self) -> Measure {
        let lost = self.hosts(|way| way.lost.is_some() && !way.crashed);
        let by_latest_start = self.hosts(|way| way.has_reached_latest_start);
        let vanished = self.hosts(|way| way.crashed && way.lost.is_some() && way.began.is_none());
        let stranded = self.stranded();
        let declared_at = self.declared_at();
        let grade = if self.course.violation.is_some() {
            Grade::Broken
        } else if !lost.is_empty() {
            Grade::LostPower
        } else if !stranded.is_empty() {
            Grade::Stranded
        } else if !vanished.is_empty() {
            Grade::Vanished
        } else if !by_latest_start.is_empty() {
            Grade::LatestStart
        } else if declared_at.is_some() {
            Grade::InOrder
        } else {
            Grade::NotNeeded
        };
        Measure {
            grade,
            margin: self.margin(),
            declared_at,
            shutdowns: self.shutdowns(),
            path: self.path(),
            by_latest_start,
            lost,
            vanished,
            stranded,
            is_order_broken: self.has_pair(|before, has_mounts| {
                let mounts = before.unmounted.filter(|_| has_mounts);
                before.halted.max(mounts).or(before.safe)
            }),
            is_overlapping: self.has_pair(|before, _| before.safe),
        }
    }

    fn hosts(&self, is_meant: impl Fn(&Way) -> bool) -> Vec<HostName> {
        let pairs = self.course.lanes.iter().zip(&self.ways);
        let fed = pairs.filter(|(lane, way)| lane.is_fed && is_meant(way));
        fed.map(|(lane, _)| lane.name.clone()).collect()
    }

    /// With help at the end only the judge knows who was left behind.
    fn stranded(&self) -> Vec<HostName> {
        if self.course.is_aided {
            return Vec::new();
        }
        let at = self.course.ended_at;
        let is_back = |host: usize| {
            matches!(self.course.state_at(host, at), State::Up | State::Unwatched | State::Waiting)
        };
        let lanes = self.course.lanes.iter().enumerate();
        lanes.filter(|(host, _)| !is_back(*host)).map(|(_, lane)| lane.name.clone()).collect()
    }

    fn declared_at(&self) -> Option<u64> {
        let is_meant = |it: &&Happened| matches!(it.fact, Fact::Note(Note::Declared { .. }));
        self.course.facts.iter().find(is_meant).map(|it| it.at)
    }

    fn shutdowns(&self) -> usize {
        let numbers = self.course.facts.iter().filter_map(|it| {
            let Fact::Note(Note::Declared { number, .. }) = &it.fact else { return None };
            Some(*number)
        });
        numbers.collect::<BTreeSet<_>>().len()
    }

    /// Returns whether a host began before one that needs it was gone, by the meaning of `gone`: it
    /// is asked with a way, and whether mounts were of the host that began.
    fn has_pair(&self, gone: impl Fn(&Way, bool) -> Option<u64>) -> bool {
        self.course.lanes.iter().zip(&self.ways).any(|(lane, way)| {
            let Some((began, _)) = way.began else { return false };
            let host = self.story.cluster.host(&lane.name);
            let serves = host.is_some_and(|host| matches!(host.ready, ReadyBy::Exports(_)));
            self.plan.dependents(&lane.name).iter().any(|name| {
                let needs = |host: &Host| host.needs.contains(&lane.name);
                let has_mounts = serves && self.story.cluster.host(name).is_some_and(needs);
                // Who never began was off, or had vanished.
                let before = self.way(name).filter(|before| before.began.is_some());
                before.is_some_and(|it| gone(it, has_mounts).is_none_or(|gone| began < gone))
            })
        })
    }

    fn way(&self, name: &HostName) -> Option<&Way> {
        self.ways.get(self.place(name)?)
    }

    fn place(&self, name: &HostName) -> Option<usize> {
        self.course.lanes.iter().position(|lane| lane.name == *name)
    }

    fn margin(&self) -> Option<Margin> {
        let lost = self.ways.iter().zip(&self.course.lanes);
        let mut lost = lost
            .filter(|(way, lane)| way.lost.is_some() && !way.crashed && lane.is_fed)
            .map(|(way, lane)| self.missing(way, &lane.name))
            .peekable();
        if lost.peek().is_some() {
            // None outranks every number here: such a host would never have been safe.
            let missing: Option<Vec<u64>> = lost.collect();
            return Some(Margin::Missing { millis: missing.and_then(|it| it.into_iter().max()) });
        }
        // What was left after the first of several was used up by the next one.
        if self.shutdowns() > 1 {
            return None;
        }
        // While one hangs nobody can say that the last one was safe.
        let hangs = (0..self.ways.len()).any(|host| self.endless_step(host) == Some(Step::Hangs));
        let safe = self.ways.iter().filter_map(|way| way.safe).max().filter(|_| !hangs);
        let returned = self.course.returned_at;
        let at = safe.into_iter().chain(returned).min()?;
        let sample = self.course.battery_before(at)?;
        Some(Margin::Left {
            millis: sample.left.saturating_sub(at - sample.at),
            charge: sample.charge,
            at,
            by_return: safe.is_none_or(|safe| returned.is_some_and(|returned| returned < safe)),
        })
    }

    /// Returns how much longer the battery would have had to last for a host.
    fn missing(&self, way: &Way, name: &HostName) -> Option<u64> {
        let began = way.stops_since?;
        let truth = self.story.hosts.get(name).cloned().unwrap_or_default();
        (!self.hangs(name))
            .then(|| (began + truth.stops_in).saturating_sub(way.lost.unwrap_or(began)))
    }

    fn hangs(&self, name: &HostName) -> bool {
        let hang = Change::StopTakes { host: name.clone(), span: Some(NEVER) };
        let hang = Fact::Changed(hang);
        self.course.facts.iter().any(|it| it.fact == hang)
    }

    /// Returns why a host never ends: it hangs, or it never began and lost its power.
    fn endless_step(&self, host: usize) -> Option<Step> {
        let (way, lane) = (self.ways.get(host)?, self.course.lanes.get(host)?);
        if !lane.is_fed {
            return None;
        }
        if way.began.is_some() {
            return (way.safe.is_none() && self.hangs(&lane.name)).then_some(Step::Hangs);
        }
        (way.lost.is_some() && !way.crashed).then_some(Step::Idles)
    }

    /// Returns the hosts that never end, the last first: no other step matters then.
    ///
    /// A hang counts until its host loses its power, or until the mains are back: from then on
    /// nobody is in a hurry.
    fn endless(&self) -> Vec<Link> {
        let Some(declared) = self.declared_at() else { return Vec::new() };
        let links = (0..self.ways.len()).filter_map(|host| {
            let step = self.endless_step(host)?;
            let way = self.ways.get(host)?;
            let began = way.began.map_or(declared, |(at, _)| at);
            let ends = way.lost.into_iter().chain(self.course.returned_at);
            let end = ends.min().unwrap_or(self.course.ended_at);
            Some(self.link(host, step, began, end))
        });
        let mut links: Vec<Link> = links.collect();
        links.sort_by_key(|link| std::cmp::Reverse(link.to));
        links
    }

    /// Walks back from the host that was safe last to the one that began first.
    fn path(&self) -> Vec<Link> {
        let endless = self.endless();
        if !endless.is_empty() {
            return endless;
        }
        let last = self.ways.iter().enumerate().filter(|(_, way)| way.began.is_some());
        // Who hangs for ever is on the path of those who waited for it.
        let last = last.max_by_key(|(_, way)| first(way.lost, way.safe).unwrap_or_default());
        let Some((mut host, _)) = last else { return Vec::new() };
        let end = |way: &Way| first(way.lost, way.safe).unwrap_or(self.course.ended_at);
        let mut links = Vec::new();
        let mut gone = self.ways.get(host).map_or(0, end);
        let mut seen = BTreeSet::new();
        while seen.insert(host) {
            let Some(way) = self.ways.get(host) else { break };
            let Some((began, why)) = way.began else { break };
            links.push(self.link(host, Step::Stop, began, gone));
            let Some((before, step, from)) = self.waited_for(host, began, why) else { break };
            links.push(self.link(before, step, from.min(began), began));
            if step == Step::Blocks {
                break;
            }
            (host, gone) = (before, from);
        }
        links
    }

    fn link(&self, host: usize, step: Step, from: u64, to: u64) -> Link {
        let name = self.course.lanes.get(host).map(|lane| lane.name.clone());
        Link { host: name.unwrap_or_else(|| "?".into()), step, from, to: to.max(from) }
    }

    /// Returns whom a host waited for last, for what, and since when.
    fn waited_for(&self, host: usize, began: u64, why: BeginReason) -> Option<(usize, Step, u64)> {
        let declared = self.declared_at()?;
        match why {
            BeginReason::NoDependents | BeginReason::StoppedByOther => None,
            BeginReason::LatestStart => {
                let name = &self.course.lanes.get(host)?.name;
                let dependents = self.plan.dependents(name);
                let places = dependents.iter().filter_map(|name| self.place(name));
                let blocks = |place: &usize| {
                    self.ways.get(*place).is_some_and(|way| way.safe.is_none_or(|at| at >= began))
                };
                let since = |place: usize| {
                    let way = self.ways.get(place).and_then(|way| way.began);
                    way.map_or(declared, |(at, _)| at)
                };
                // Of several the one that was first to begin: the others may have waited for it.
                let first = places.filter(blocks).min_by_key(|place| since(*place))?;
                Some((first, Step::Blocks, since(first)))
            }
            BeginReason::Released | BeginReason::AllOff => {
                let notes = self.course.facts.iter().filter(|it| it.host == host && it.at <= began);
                let notes = notes.filter(|it| it.at >= declared);
                let (before, how) = notes.rev().find_map(|it| proof(&it.fact, why))?;
                let place = self.place(before)?;
                let way = self.ways.get(place)?;
                let gone = match how {
                    ReleaseProof::Halting => way.unmounted.or(way.halted),
                    ReleaseProof::Off | ReleaseProof::Absent => way.safe.or(way.lost),
                };
                // Who was gone before the declaration delayed nobody until then.
                let gone = gone.filter(|gone| *gone <= began)?;
                Some((place, Step::Proof, gone.max(declared)))
            }
        }
    }
}

/// Returns whom a note calls gone, by a proof that lets a host begin for that reason.
fn proof(fact: &Fact, why: BeginReason) -> Option<(&HostName, ReleaseProof)> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "only two facts are proofs")]
    match fact {
        Fact::Note(Note::Released { host, how }) if why == BeginReason::Released => {
            Some((host, *how))
        }
        Fact::Note(Note::Off { host }) if why == BeginReason::AllOff => {
            Some((host, ReleaseProof::Off))
        }
        _ => None,
    }
}

fn learn(way: &mut Way, happened: &Happened) {
    let at = happened.at;
    #[expect(clippy::wildcard_enum_match_arm, reason = "only these are steps of the way")]
    match &happened.fact {
        Fact::Changed(Change::HostCrashed { .. }) => way.crashed = true,
        Fact::Note(Note::Began { why, .. }) => {
            way.began = way.began.or(Some((at, *why)));
            if way.lost.is_none() {
                way.stops_since = way.stops_since.or(Some(at));
            }
            way.has_reached_latest_start |= *why == BeginReason::LatestStart;
        }
        Fact::Rebooted => {
            way.safe = way.safe.or_else(|| way.began.map(|_| at));
            way.stops_since = way.stops_since.filter(|_| way.lost.is_some());
        }
        Fact::Booted => way.stops_since = way.stops_since.filter(|_| way.lost.is_some()),
        Fact::Halted => way.halted = way.halted.or(Some(at)),
        Fact::Unmounted => way.unmounted = way.unmounted.or(Some(at)),
        Fact::Held | Fact::Off { is_clean: true } => way.safe = way.safe.or(Some(at)),
        Fact::Off { is_clean: false } => way.lost = way.lost.or(Some(at)),
        _ => {}
    }
}

/// Returns the earlier of two moments.
fn first(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}
