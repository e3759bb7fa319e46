//! What has been: the outages, shutdowns and recoveries of this host, folded from its history.
//!
//! A pure function of the lines, one after the other, so that the file of years and what happens
//! at this moment go the same way. It is the view of one host: what it saw, decided and did.
//! Nothing is taken for granted: lines may be torn, unknown or missing, agents start in the middle,
//! and clocks jump. A span is measured by the boot clock within a boot; across boots by dates, and
//! marked; where those contradict each other it is unknown, never negative.
//!
//! Read on in `outage`, `shutdown` and `recovery`, then in `document`, the form of what is told.

mod document;
mod moment;
mod outage;
mod recovery;
mod shutdown;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeSet, VecDeque};

use curfew_coordinator::{BootId, Cause, Gate, HostName, Note, Reason, TurnReason};

pub use self::document::{Document, Latest};
use self::moment::Moment;
pub use self::moment::{Clock, Span};
use self::outage::{End, Outage};
use self::recovery::Recovery;
use self::shutdown::Shutdown;
use crate::journal::{AgentNote, Entry, Head, Line, Noted, Seen, Supply};

/// What has been on this host, as far as its history goes back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Past {
    me: HostName,
    /// The oldest first, in all three.
    outages: VecDeque<Outage>,
    shutdowns: VecDeque<Shutdown>,
    recoveries: VecDeque<Recovery>,
    totals: Totals,
    lines: Lines,
    /// Why the file could not be read to its end.
    failure: Option<String>,
    boot: Option<BootId>,
    last: Option<Moment>,
}

/// All that the history has, also what is not kept in full any more.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Totals {
    outages: u64,
    shutdowns: u64,
    recoveries: u64,
    /// Milliseconds on battery in outages that are not kept.
    on_battery_before: u64,
}

/// The lines that were read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Lines {
    /// Those of this version.
    pub known: u64,
    /// Those with an event of a newer one.
    pub unknown: u64,
    /// Those that are torn or foreign.
    pub unreadable: u64,
    /// The date of the first, in seconds since 1970.
    pub since: Option<u64>,
}

impl Past {
    /// Returns an empty one.
    pub fn new(me: HostName) -> Self {
        Self {
            me,
            outages: VecDeque::new(),
            shutdowns: VecDeque::new(),
            recoveries: VecDeque::new(),
            totals: Totals::default(),
            lines: Lines::default(),
            failure: None,
            boot: None,
            last: None,
        }
    }

    /// Takes the next line of a file.
    pub fn read(&mut self, line: Line) {
        match line {
            Line::Entry(entry) => self.take(&entry),
            Line::Unknown(head) => self.pass(&head),
            Line::Unreadable => self.lines.unreadable += 1,
        }
    }

    /// Takes what happened next.
    pub fn take(&mut self, entry: &Entry) {
        self.lines.known += 1;
        let (date, at) = (entry.date.0, entry.at.as_millis());
        let before = self.last;
        let moment = self.enter(date, at, &entry.boot);
        let seen = entry.seen.as_deref();
        self.advance(moment, seen);
        match &entry.note {
            Noted::Agent(AgentNote::LineSeen { supply }) => self.on_line(moment, *supply),
            Noted::Coordinator(note) => {
                self.on_mains(moment, note, seen);
                self.on_declared(moment, note, seen);
                self.on_start(moment, note, before);
                self.on_turned(moment, note, seen);
                if let Some(open) = self.open_shutdown() {
                    open.take(moment, note, seen);
                }
                self.on_recovery(moment, note);
                self.on_ended(moment, note);
            }
        }
    }

    /// Notes why the file could not be read to its end.
    pub fn fail(&mut self, why: String) {
        self.failure = Some(why);
    }

    /// Returns why the file could not be read, if so.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Returns what was read.
    pub const fn lines(&self) -> Lines {
        self.lines
    }

    /// An event that this version does not know: that the agent lived is all that it says.
    fn pass(&mut self, head: &Head) {
        self.lines.unknown += 1;
        let moment = self.enter(head.date.0, head.at.as_millis(), &head.boot);
        self.advance(moment, None);
    }

    fn enter(&mut self, date: u64, at: u64, boot: &BootId) -> Moment {
        let known = self.last.map_or(0, |last| last.boot);
        let is_same = self.boot.as_ref() == Some(boot);
        if !is_same {
            self.boot = Some(boot.clone());
        }
        let moment = Moment { date, at, boot: if is_same { known } else { known + 1 } };
        self.last = Some(moment);
        if self.lines.since.is_none() && date > 0 {
            self.lines.since = Some(date);
        }
        moment
    }

    fn advance(&mut self, moment: Moment, seen: Option<&Seen>) {
        if let Some(open) = self.open_outage() {
            open.advance(moment, seen);
        }
    }

    fn on_line(&mut self, moment: Moment, supply: Supply) {
        match (supply, self.open_outage()) {
            (Supply::Mains, Some(open)) => open.end = End::Found(moment),
            (Supply::Mains, None) => {}
            (Supply::Battery, Some(open)) if open.is_of_boot(moment.boot) => {}
            (Supply::Battery, Some(open)) => open.go_on(moment),
            (Supply::Battery, None) => self.add_outage(Outage::new(moment, false)),
        }
    }

    fn on_mains(&mut self, moment: Moment, note: &Note, seen: Option<&Seen>) {
        let is_back = matches!(note, Note::MainsBack);
        let are_mains_known = matches!(
            note,
            Note::Turned { why: TurnReason::MainsStable, .. }
                | Note::GatePassed { gate: Gate::Mains, by_limit: false }
        );
        if matches!(note, Note::MainsLost) {
            match self.open_outage() {
                Some(open) if open.is_of_boot(moment.boot) => {}
                open => {
                    // Of an agent that did not note what it saw first: whether the mains were there
                    // in between, nobody knows.
                    if let Some(open) = open {
                        open.end = End::Unknown;
                    }
                    let mut outage = Outage::new(moment, true);
                    outage.advance(moment, seen);
                    self.add_outage(outage);
                }
            }
        } else if let Some(open) = self.open_outage() {
            if is_back && open.is_of_boot(moment.boot) {
                open.end = End::Seen(moment);
            } else if is_back || are_mains_known {
                open.end = End::Found(moment);
            }
        }
    }

    fn on_declared(&mut self, moment: Moment, note: &Note, seen: Option<&Seen>) {
        let (number, by, left, reason) =
            if let Note::Declared { number, trigger, cause, evidence, time_left } = note {
                let (by, evidence) = (self.me.clone(), evidence.clone());
                let (trigger, cause, then_wake) = (*trigger, *cause, false);
                let reason = Reason { by: by.clone(), trigger, cause, evidence, then_wake };
                let left = time_left.and_then(|left| u64::try_from(left.as_millis()).ok());
                (*number, by, left, Some(reason))
            } else if let Note::Latched { number, from } = note {
                (*number, from.clone(), None, None)
            } else {
                return;
            };
        let open = self.shutdown(number, moment);
        open.declare(moment, &by, left);
        open.see(seen);
        // Where what was seen has it, too, that one may also say to wake everybody.
        let is_known = |known: &Reason, reason: &Reason| {
            known.by == reason.by && known.trigger == reason.trigger
        };
        if let Some(reason) = reason
            && !open.reasons.iter().any(|known| is_known(known, &reason))
        {
            open.reasons.insert(reason);
        }
        if open.reasons.iter().any(|reason| reason.cause == Cause::Battery)
            && let Some(outage) = self.open_outage()
        {
            outage.shutdown = Some(number);
        }
        if let Some(recovery) = self.open_recovery()
            && recovery.number != Some(number)
        {
            recovery.state = recovery::State::Interrupted;
        }
    }

    /// An agent starts: what the journal held decides what is still open.
    fn on_start(&mut self, moment: Moment, note: &Note, before: Option<Moment>) {
        let number = if let Note::Recovered { number } = note {
            *number
        } else if matches!(note, Note::JournalLost) {
            None
        } else {
            return;
        };
        for open in self.shutdowns.iter_mut().filter(|open| open.is_open()) {
            if Some(open.number) != number {
                open.state = shutdown::State::Unknown;
            }
        }
        for open in self.recoveries.iter_mut().filter(|open| open.is_open()) {
            if open.number.is_none() || open.number != number {
                open.state = recovery::State::Unknown;
            }
        }
        let Some(number) = number else { return };
        self.shutdown(number, moment);
        let Some(before) = before.filter(|before| before.boot != moment.boot) else { return };
        let recovery = self.recovery(Some(number), moment);
        recovery.own = recovery.own.or(Some((moment, before)));
    }

    fn on_turned(&mut self, moment: Moment, note: &Note, seen: Option<&Seen>) {
        let Note::Turned { number, why } = note else { return };
        let open = self.shutdown(*number, moment);
        open.see(seen);
        open.state = shutdown::State::Returning;
        open.turned = open.turned.or(Some((moment, *why)));
        self.recovery(Some(*number), moment);
    }

    fn on_recovery(&mut self, moment: Moment, note: &Note) {
        if let Note::Conducting { number } = note {
            let recovery = self.recovery(*number, moment);
            recovery.is_conducted_here = true;
        } else if let Some(latest) = self.recoveries.back_mut() {
            latest.take(moment, note);
        }
    }

    fn on_ended(&mut self, moment: Moment, note: &Note) {
        let nobody = BTreeSet::new();
        let (number, missing) = if let Note::Ended { number, missing } = note {
            (*number, missing)
        } else if let Note::EndedHeard { number } = note {
            (*number, &nobody)
        } else {
            return;
        };
        let is_over = |of: Option<u64>| of.is_some_and(|of| of <= number);
        for open in &mut self.shutdowns {
            if open.is_open() && is_over(Some(open.number)) {
                open.state = shutdown::State::Ended;
                open.ended = Some(moment);
                open.missing.extend(missing.iter().cloned());
            }
        }
        for open in &mut self.recoveries {
            if open.is_open() && is_over(open.number) {
                open.end(moment, missing);
            }
        }
    }

    fn open_outage(&mut self) -> Option<&mut Outage> {
        self.outages.back_mut().filter(|latest| latest.is_open())
    }

    fn open_shutdown(&mut self) -> Option<&mut Shutdown> {
        self.shutdowns.back_mut().filter(|latest| latest.is_open())
    }

    fn open_recovery(&mut self) -> Option<&mut Recovery> {
        self.recoveries.back_mut().filter(|latest| latest.is_open())
    }

    fn add_outage(&mut self, outage: Outage) {
        self.totals.outages += 1;
        self.outages.push_back(outage);
        if self.outages.len() > KEPT
            && let Some(old) = self.outages.pop_front()
        {
            let before = self.totals.on_battery_before;
            self.totals.on_battery_before = before.saturating_add(old.watched());
        }
    }

    /// Returns the open shutdown of that number, which takes the place of a lower one.
    fn shutdown(&mut self, number: u64, moment: Moment) -> &mut Shutdown {
        let is_open = self.open_shutdown().is_some_and(|open| open.number == number);
        if !is_open {
            if let Some(open) = self.open_shutdown() {
                open.state = shutdown::State::Superseded;
            }
            self.totals.shutdowns += 1;
            self.shutdowns.push_back(Shutdown::new(number, moment));
            self.shutdowns.truncate_front_to(KEPT);
        }
        self.shutdowns.back_mut().expect("one was just found there, or put there")
    }

    /// Returns the open recovery of that shutdown.
    fn recovery(&mut self, number: Option<u64>, moment: Moment) -> &mut Recovery {
        let is_open = self.open_recovery().is_some_and(|open| open.number == number);
        if !is_open {
            if let Some(open) = self.open_recovery() {
                open.state = recovery::State::Interrupted;
            }
            if self.recoveries.back().is_some_and(|latest| !latest.is_told()) {
                self.recoveries.pop_back();
                self.totals.recoveries = self.totals.recoveries.saturating_sub(1);
            }
            self.totals.recoveries += 1;
            self.recoveries.push_back(Recovery::new(number, moment));
            self.recoveries.truncate_front_to(KEPT);
        }
        self.recoveries.back_mut().expect("one was just found there, or put there")
    }
}

/// Forgets the oldest.
trait TruncateFront {
    fn truncate_front_to(&mut self, len: usize);
}

impl<T> TruncateFront for VecDeque<T> {
    fn truncate_front_to(&mut self, len: usize) {
        self.drain(..self.len().saturating_sub(len));
    }
}

/// Decades of outages in most places, in some 100 KiB.
const KEPT: usize = 100;
