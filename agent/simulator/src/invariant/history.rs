//! What has been so far, as far as the invariants need to know of it: kept from facts alone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use curfew_coordinator::{Cause, Note, Standing, Trigger};

use super::millis;
pub(super) use super::trouble::Trouble;
use super::witness::Witness;
use crate::world::World;
use crate::{Change, Fact, Happened};

mod identity;

/// What a number of the UPS may be old: the driver's pace and the second update that confirms it.
const NUMBER_AGE: u64 = 75_000;
/// After the end of a disturbance nothing of it is left in anybody's readings or sessions.
const AFTERMATH: u64 = 20_000;

/// The past of one world. Its hash is without what only excuses: see
/// [`History::excuses_as_little`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct History {
    /// Each trouble since the cluster was last whole, and until when it lasts at least.
    troubles: BTreeMap<Trouble, u64>,
    /// For each pair, since when they cannot talk.
    apart_since: BTreeMap<(usize, usize), u64>,
    /// For each pair that can talk again since less than a poll, since when it could not, and when
    /// that ended.
    was_apart: BTreeMap<(usize, usize), (u64, u64)>,
    /// When anything last changed who can talk to whom.
    disturbed_at: u64,
    /// When each host last booted, in this story.
    booted_at: BTreeMap<usize, u64>,
    /// Hosts that a person has stopped outside of any shutdown, until they boot.
    pub(super) stopped_by_person: BTreeSet<usize>,
    /// Hosts as which a second agent speaks, and until when that is in anybody's mind.
    doubled_until: BTreeMap<usize, u64>,
    /// Since when each agent reads the UPS without a gap, and when it last did.
    reads: BTreeMap<usize, (u64, u64)>,
    /// When each agent last did before that gap.
    read_before: BTreeMap<usize, u64>,
    /// The number for which each host has stopped, until it boots.
    stopped_for: BTreeMap<usize, u64>,
    /// The numbers whose hosts somebody wants woken again: it was called off, or he said so.
    wanted_again: BTreeSet<u64>,
    /// When `FSD` was last set in this story.
    pub(super) forced_at: Option<u64>,
    /// When each agent last started.
    started_at: BTreeMap<usize, u64>,
    /// The boots in which each host has latched each number.
    latched: BTreeMap<(usize, u64), BTreeSet<u32>>,
    /// What set each number off.
    pub(super) triggers: BTreeMap<u64, BTreeSet<Trigger>>,
    /// The numbers for which an order stands among the reasons.
    orders: BTreeSet<u64>,
    /// Who could know of whom.
    pub(super) witness: Witness,
    /// What the battery truly had, by the load of that moment: when, how much, whether on mains.
    samples: VecDeque<(u64, u64, bool)>,
    /// Who was up when the mains first failed since the cluster was last whole.
    pub(super) up_at_failure: Option<BTreeSet<usize>>,
    /// When the mains last failed, and how long the longest outage was since all was calm.
    failed_at: Option<u64>,
    longest_dark: u64,
    /// When the story's weather ended.
    pub(super) healed_at: Option<u64>,
}

impl History {
    pub(super) fn new() -> Self {
        Self {
            troubles: BTreeMap::new(),
            apart_since: BTreeMap::new(),
            was_apart: BTreeMap::new(),
            disturbed_at: 0,
            booted_at: BTreeMap::new(),
            stopped_by_person: BTreeSet::new(),
            doubled_until: BTreeMap::new(),
            reads: BTreeMap::new(),
            read_before: BTreeMap::new(),
            stopped_for: BTreeMap::new(),
            wanted_again: BTreeSet::new(),
            forced_at: None,
            started_at: BTreeMap::new(),
            latched: BTreeMap::new(),
            triggers: BTreeMap::new(),
            orders: BTreeSet::new(),
            witness: Witness::default(),
            samples: VecDeque::new(),
            up_at_failure: None,
            failed_at: None,
            longest_dark: 0,
            healed_at: None,
        }
    }

    /// Takes the new facts in.
    pub(super) fn learn(&mut self, world: &World, news: &[Happened]) {
        let mut is_disturbed = false;
        for happened in news {
            is_disturbed |= self.learn_one(world, happened);
        }
        if is_disturbed {
            self.look_at_links(world);
        }
        for pair in news.windows(2) {
            let [before, next] = pair else { continue };
            let is_by_hand = matches!(
                before.fact,
                Fact::Changed(Change::HostStopped { .. } | Change::HostRebooted { .. })
            );
            if is_by_hand && next.fact == Fact::StopBegan {
                self.stopped_by_person.insert(next.host);
            }
        }
    }

    /// Returns whether it may change who can talk to whom.
    fn learn_one(&mut self, world: &World, happened: &Happened) -> bool {
        let Happened { at, host, fact } = happened;
        match fact {
            Fact::Changed(change) => {
                self.learn_change(*at, change);
                if let Change::Doubled { span, .. } = change {
                    self.doubled_until.insert(*host, at + span + AFTERMATH);
                }
                if let Change::WakeOrdered { .. } = change {
                    self.wanted_again.extend(self.stopped_for.values());
                }
                if *change == Change::Forced {
                    self.forced_at = Some(*at);
                }
                return true;
            }
            Fact::Healed => self.healed_at = Some(*at),
            Fact::AgentStarted => {
                self.started_at.insert(*host, *at);
                self.read_journal(world, *host);
            }
            Fact::MainsFailed => self.on_failure(world, *at),
            Fact::MainsReturned => {
                self.longest_dark = self.longest_dark(*at);
                self.failed_at = None;
            }
            Fact::Booted => {
                self.booted_at.insert(*host, *at);
                self.stopped_by_person.remove(host);
                self.stopped_for.remove(host);
            }
            Fact::AgentEnded => self.read_journal(world, *host),
            Fact::Note(note) => {
                self.learn_note(world, *host, note);
                return false;
            }
            Fact::OutputOpened { .. } | Fact::OutputClosed | Fact::Off { .. } => {}
            Fact::StopCalled(call) => {
                self.stopped_for.insert(*host, call.number);
                return false;
            }
            Fact::StopBegan
            | Fact::StopRepeated
            | Fact::Halted
            | Fact::Unmounted
            | Fact::Held
            | Fact::Rebooted
            | Fact::Served
            | Fact::PacketSent { .. } => return false,
        }
        true
    }

    fn on_failure(&mut self, world: &World, at: u64) {
        self.failed_at = Some(at);
        self.up_at_failure.get_or_insert_with(|| {
            world.hosts().filter(|host| is_up(world, *host)).collect::<BTreeSet<_>>()
        });
    }

    fn learn_note(&mut self, world: &World, host: usize, note: &Note) {
        match note {
            Note::JournalLost => self.witness.forget(world, host),
            Note::Declared { number, trigger, cause, .. } => {
                self.latch(world, host, *number);
                if *cause == Cause::Order {
                    self.orders.insert(*number);
                }
                self.triggers.entry(*number).or_default().insert(*trigger);
            }
            Note::Latched { number, .. } => self.latch(world, host, *number),
            Note::Turned { number, .. } => {
                self.wanted_again.insert(*number);
            }
            _ => {}
        }
    }

    fn latch(&mut self, world: &World, host: usize, number: u64) {
        let boot = world.machine(host).boots;
        self.latched.entry((host, number)).or_default().insert(boot);
    }

    /// An agent that was killed behind its record has latched what that says, and never said so.
    fn read_journal(&mut self, world: &World, host: usize) {
        let machine = world.machine(host);
        let Some(saved) = machine.journal().filter(|_| machine.is_journal_of_boot()) else {
            return;
        };
        let Some(open) = &saved.shutdown else { return };
        let is_known = self.latched.contains_key(&(host, open.number));
        if open.standing == Standing::Declared && !is_known {
            self.latch(world, host, open.number);
            let triggers = open.reasons.iter().map(|reason| reason.trigger);
            self.triggers.entry(open.number).or_default().extend(triggers);
            if open.reasons.iter().any(|reason| reason.cause == Cause::Order) {
                self.orders.insert(open.number);
            }
        }
    }

    fn learn_change(&mut self, at: u64, change: &Change) {
        let (trouble, lasts) = match change {
            Change::MainsFail
            | Change::MainsReturn
            | Change::ClockJumped { .. }
            | Change::CutIgnored { .. } => return,
            Change::Rain { .. }
            | Change::Dry
            | Change::MessageLost { .. }
            | Change::LinkCut { .. }
            | Change::LinkMended { .. }
            | Change::Unplugged { .. }
            | Change::Plugged { .. } => (Trouble::Network, 0),
            Change::AgentKilled { back_after, .. } => {
                (Trouble::Agents, back_after.unwrap_or_default())
            }
            Change::DiskFails { .. } | Change::RecordTorn { .. } => (Trouble::Agents, 0),
            Change::Doubled { span, .. } | Change::Rehearsed { span, .. } => {
                (Trouble::Agents, *span)
            }
            Change::HostCrashed { .. }
            | Change::HostStarted { .. }
            | Change::HostStopped { .. }
            | Change::HostRebooted { .. }
            | Change::HostBroken { .. } => (Trouble::Machines, 0),
            Change::StopTakes { .. } | Change::StopRefused { .. } | Change::MountsUnread { .. } => {
                (Trouble::Stops, 0)
            }
            Change::UpdateLies { .. } if !self.has(Trouble::Lie) => (Trouble::Lie, NUMBER_AGE),
            Change::RuntimeLies { .. }
            | Change::UpdateLies { .. }
            | Change::BatteryCollapsed { .. } => (Trouble::Numbers, NUMBER_AGE),
            Change::LowFlashed { span } | Change::Calibrated { span } => (Trouble::Status, *span),
            Change::Forced => (Trouble::Status, 0),
            Change::DriverGone { span }
            | Change::UsbFlaky { span, .. }
            | Change::UpsdUnreachable { span, .. } => (Trouble::Eyes, *span),
            Change::Ordered { .. } | Change::CalledOff { .. } | Change::WakeOrdered { .. } => {
                (Trouble::Orders, 0)
            }
        };
        let until = at + lasts + AFTERMATH;
        let known = self.troubles.entry(trouble).or_insert(until);
        *known = until.max(*known);
    }

    fn look_at_links(&mut self, world: &World) {
        let now = world.now();
        self.disturbed_at = now;
        for one in world.hosts() {
            for other in 0..one {
                if world.is_linked(one, other) {
                    if let Some(since) = self.apart_since.remove(&(one, other)) {
                        self.was_apart.insert((one, other), (since, now));
                    }
                } else {
                    self.apart_since.entry((one, other)).or_insert(now);
                }
            }
        }
    }

    /// Takes a sample of what changes slowly, once a second.
    pub(super) fn sample(&mut self, world: &World) {
        let now = world.now();
        let left = world.true_left();
        let reads = |host: &usize| world.can_read(*host) && world.agent(*host).is_some();
        for host in world.hosts().filter(reads) {
            let (since, last) = self.reads.entry(host).or_insert((now, now));
            if now > *last + READ_GAP {
                self.read_before.insert(host, *last);
                *since = now;
            }
            *last = now;
        }
        self.was_apart.retain(|_, (_, until)| now < *until + POLL);
        self.witness.look(world);
        self.samples.push_back((now, left, world.ups().has_mains));
        while self.samples.front().is_some_and(|(at, ..)| at + NUMBER_AGE < now) {
            self.samples.pop_front();
        }
        if world.rains() {
            self.disturbed_at = now;
        }
        if world.ups().has_mains && world.is_whole() {
            self.up_at_failure = None;
            let is_dry = self.flows(world);
            self.troubles
                .retain(|trouble, until| *until > now || (*trouble == Trouble::Network && !is_dry));
            if self.is_calm() && world.line_for() > AFTERMATH {
                self.longest_dark = 0;
            }
        }
    }

    /// Returns whether messages flow between all hosts, and have for 5 s.
    pub(super) fn flows(&self, world: &World) -> bool {
        let now = world.now();
        !world.rains() && self.apart_since.is_empty() && now >= self.disturbed_at + FLOWS_AFTER
    }

    /// Returns whether anything of this kind has happened since the cluster was last whole.
    pub(super) fn has(&self, trouble: Trouble) -> bool {
        self.troubles.contains_key(&trouble)
    }

    /// Returns whether this past excuses nothing that `other` does not excuse.
    ///
    /// Troubles and the end of the last disturbance are premises of the invariants and nothing
    /// else: the more of them, or the later, the less is judged. Of two worlds that are alike in
    /// all else, that with the lesser ones breaks whatever the other breaks, whatever comes.
    pub(super) fn excuses_as_little(&self, other: &Self) -> bool {
        let lasts = |(trouble, until): (&Trouble, &u64)| {
            other.troubles.get(trouble).is_some_and(|longer| until <= longer)
        };
        self.disturbed_at <= other.disturbed_at && self.troubles.iter().all(lasts)
    }

    /// Returns whether nothing but the mains has disturbed the cluster since it was last whole.
    pub(super) fn is_calm(&self) -> bool {
        self.troubles.is_empty() && self.apart_since.is_empty()
    }

    /// Returns whether what the UPS tells of its runtime is within 10 % of the truth, and has been
    /// since the cluster was last whole.
    pub(super) fn is_runtime_true(&self, world: &World) -> bool {
        let truth = &world.ups().truth;
        truth.tells_runtime
            && (90..=110).contains(&truth.runtime_percent)
            && !self.has(Trouble::Numbers)
            && !self.has(Trouble::Lie)
    }

    /// Returns the least time that the battery had left from now on, as of any update whose number
    /// may still count: since then the load may have become less.
    pub(super) fn least_left(&self, world: &World) -> u64 {
        let now = world.now();
        let dark_since = self.failed_at;
        let left = |(at, left, was_mains): &(u64, u64, bool)| {
            let from = match dark_since {
                Some(failed_at) if *was_mains => failed_at.max(*at),
                Some(_) => *at,
                None => now,
            };
            left.saturating_sub(now.saturating_sub(from))
        };
        self.samples.iter().map(left).chain([world.true_left()]).min().unwrap_or_default()
    }

    /// Returns for how long two hosts have not been able to talk; none if they can, and could at
    /// the last poll.
    pub(super) fn apart_for(&self, now: u64, one: usize, other: usize) -> Option<u64> {
        let pair = (one.max(other), one.min(other));
        let present = self.apart_since.get(&pair).map(|since| now - since);
        let past = self.was_apart.get(&pair).filter(|(_, until)| now < until + POLL);
        present.or_else(|| past.map(|(since, until)| until - since))
    }

    /// Returns whether `FSD` was set while this run of a host's agent watched.
    pub(super) fn saw_force(&self, host: usize) -> bool {
        self.forced_at >= self.started_at.get(&host).copied()
    }

    /// Returns since when a host has read the UPS without a gap, and when it last did.
    pub(super) fn reads(&self, host: usize) -> (u64, u64) {
        self.reads.get(&host).copied().unwrap_or_default()
    }

    /// Returns when a host has last read the UPS: it polls once in a beat, and before the first
    /// poll behind a gap what it read before that is all that it knows.
    pub(super) fn has_read_at(&self, now: u64, host: usize) -> u64 {
        let (since, last) = self.reads(host);
        let is_new = now < since + POLL;
        if is_new { self.read_before.get(&host).copied().unwrap_or_default() } else { last }
    }

    /// Returns whether a second agent speaks as a host, or has lately.
    pub(super) fn is_doubled(&self, now: u64, host: usize) -> bool {
        self.doubled_until.get(&host).is_some_and(|until| now < *until)
    }

    /// Returns whether a host booted less than `span` ago.
    pub(super) fn has_booted_within(&self, now: u64, host: usize, span: u64) -> bool {
        self.booted_at.get(&host).is_some_and(|at| now < at + span)
    }

    /// Returns the boots in which a host has latched a number.
    pub(super) fn boots_latched(&self, host: usize, number: u64) -> Option<&BTreeSet<u32>> {
        self.latched.get(&(host, number))
    }

    /// Returns whether a host has latched a number in the boot that runs, or in one that ended less
    /// than `span` ago.
    pub(super) fn has_latched(&self, world: &World, host: usize, number: u64, span: u64) -> bool {
        let boot = world.machine(host).boots;
        let Some(boots) = self.boots_latched(host, number) else { return false };
        let is_new = self.has_booted_within(world.now(), host, span) || !world.machine(host).runs();
        boots.contains(&boot) || (is_new && boots.contains(&boot.saturating_sub(1)))
    }

    /// Returns the number by whose order a host is off, or goes off, if it is one.
    pub(super) fn order_of(&self, host: usize) -> Option<u64> {
        let number = self.stopped_for.get(&host)?;
        let is_order = !self.wanted_again.contains(number) && self.is_order(*number);
        is_order.then_some(*number)
    }

    /// Returns whether an order stands among what set a number off.
    pub(super) fn is_order(&self, number: u64) -> bool {
        self.orders.contains(&number)
    }

    /// Returns whether the last number of all is an order that nobody has taken back.
    pub(super) fn has_standing_order(&self) -> bool {
        let last = self.triggers.keys().next_back();
        last.is_some_and(|number| self.is_order(*number) && !self.wanted_again.contains(number))
    }

    /// Returns whether anybody but `host` has read battery in this outage, and lives.
    pub(super) fn is_dark_known(&self, world: &World, host: usize, after: u64) -> bool {
        let Some(failed_at) = self.failed_at else { return false };
        let has_read = |it: usize| self.reads(it).1 > failed_at + after;
        world.hosts().any(|it| it != host && world.agent(it).is_some() && has_read(it))
    }

    /// Returns whether only hosts that saw nothing have declared a number.
    pub(super) fn is_blind(&self, number: u64) -> bool {
        let triggers = self.triggers.get(&number);
        triggers.is_some_and(|all| all.iter().all(|trigger| *trigger == Trigger::Blind))
    }

    /// Returns how long the longest outage has lasted since the cluster was last whole and calm.
    pub(super) fn longest_dark(&self, now: u64) -> u64 {
        let present = self.failed_at.map_or(0, |since| now - since);
        self.longest_dark.max(present)
    }

    /// Returns whether the plan fits a battery that is as full as it truly is now, by the
    /// reckoning of the owner's agent of how long a shutdown takes.
    pub(super) fn fits(world: &World) -> bool {
        let Some(agent) = world.agent(world.owner()) else { return false };
        let settings = &world.cluster().settings;
        let needed = millis(agent.status().plan.time_needed);
        let wanted = needed + millis(settings.reserve) + millis(settings.debounce);
        world.true_left() / 10 * 9 > wanted
    }
}

/// Returns whether a host runs and is not on its way down.
pub(super) fn is_up(world: &World, host: usize) -> bool {
    let machine = world.machine(host);
    machine.runs() && machine.stop.is_none()
}

/// Once messages have flowed for this long, everybody knows what anybody knows.
const FLOWS_AFTER: u64 = 5_000;

/// From the moment at which something can be seen to the poll that sees it.
const POLL: u64 = 1_000;
/// From one look at the UPS to the next, and a little more.
const READ_GAP: u64 = 2_500;
