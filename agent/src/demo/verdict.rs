//! Judges a demo by what truly happened: who ran when, and what the order of `needs` demands.
//!
//! A host may begin to stop when each host that needs it is down: its services have ended (its
//! operating system has told its agent to end) or it is off. A host may be switched on when each
//! host that it needs has booted again.

use std::time::Duration;

use curfew_coordinator::{HostName, Note, Phase, Time};

use super::cast::Role;
use super::timeline::{Fact, Occurrence, What};

/// What is to be said about a demo.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Verdict {
    /// What went wrong, as sentences; empty if the order held and everybody is back.
    pub(super) problems: Vec<String>,
    /// Who went down, in the order in which they truly did.
    pub(super) down_order: Vec<Role>,
    /// From the declaration until everybody was down.
    pub(super) down: Option<Duration>,
    /// Who came back, in the order in which they truly did.
    pub(super) up_order: Vec<Role>,
    /// From the return of the mains until everybody was back.
    pub(super) up: Option<Duration>,
}

impl Verdict {
    /// Judges what happened.
    pub(super) fn of(all: &[Occurrence]) -> Self {
        let story = Story { all };
        let mut problems = story.accidents();
        let (Some(failed), Some(returned)) = (
            story.first(None, Time::default(), |what| is(what, &Fact::MainsFailed)),
            story.first(None, Time::default(), |what| is(what, &Fact::MainsReturned)),
        ) else {
            problems.push("the story did not get as far as the return of the mains".to_owned());
            return Self { problems, ..Self::default() };
        };
        let lives: Vec<Life> =
            Role::ALL.into_iter().map(|role| Life::of(&story, role, failed)).collect();
        for life in &lives {
            life.judge_stop(&lives, &mut problems);
            life.judge_start(&lives, returned, &mut problems);
        }
        problems.extend(story.judge_end(returned));
        let declared =
            story.anywhere(failed, |what| matches!(told(what), Some(Note::Declared { .. })));
        let all_down: Option<Vec<Time>> = lives.iter().map(|life| life.down).collect();
        let down = all_down.into_iter().flatten().max();
        let ended = story.first(Some(Role::Nfs), returned, is_ended);
        Self {
            problems,
            down_order: in_order(&lives, |life| life.down),
            up_order: in_order(&lives, |life| life.booted),
            down: declared.zip(down).map(|(from, to)| to.since(from)),
            up: ended.map(|ended| ended.since(returned)),
        }
    }

    /// Returns whether all went as it should.
    pub(super) fn is_good(&self) -> bool {
        self.problems.is_empty()
    }
}

/// The stop and the start of one host.
#[derive(Clone, Copy, Debug)]
struct Life {
    role: Role,
    /// It called its operating system.
    began: Option<Time>,
    /// Nothing on it runs any more that could need another host; for the owner: the hold stands.
    down: Option<Time>,
    /// Its machine was off, or went through a reboot.
    off: Option<Time>,
    /// It was switched on again.
    on: Option<Time>,
    /// Its agent ran again.
    booted: Option<Time>,
}

impl Life {
    fn of(story: &Story<'_>, role: Role, failed: Time) -> Self {
        let first = |from, is: &dyn Fn(&What) -> bool| story.first(Some(role), from, is);
        let began = first(failed, &|what| matches!(told(what), Some(Note::Began { .. })));
        // Nothing runs on a machine whose agent crashed either; the crash itself is reported.
        let off = first(failed, &|what| {
            matches!(what, What::World(Fact::PoweredOff | Fact::Rebooted | Fact::Crashed { .. }))
        });
        let down = first(failed, &|what| {
            let Some(Note::PhaseChanged { phase }) = told(what) else { return false };
            matches!(phase, Phase::Halting | Phase::Holding)
        });
        let down = match (down, off) {
            (Some(down), Some(off)) => Some(down.min(off)),
            (down, off) => down.or(off),
        };
        let on = off.and_then(|off| {
            first(off, &|what| is(what, &Fact::PoweredOn) || is(what, &Fact::Rebooted))
        });
        let booted = on.and_then(|on| first(on, &|what| is(what, &Fact::Booted)));
        Self { role, began, down, off, on, booted }
    }

    fn judge_stop(&self, lives: &[Self], problems: &mut Vec<String>) {
        let name = self.role.name();
        let Some(began) = self.began else {
            if self.off.is_none() {
                problems.push(format!("{name} was never told to stop"));
            }
            return;
        };
        if self.down.is_none() {
            problems.push(format!("{name} began to stop and never got down"));
        }
        for other in lives.iter().filter(|it| it.role.needs().contains(&self.role)) {
            let needing = other.role.name();
            if other.down.is_none_or(|down| down > began) {
                problems.push(format!("{name} began to stop while {needing}, which needs it, ran"));
            } else if let (Some(own), Some(theirs)) = (self.off, other.off)
                && own < theirs
            {
                problems.push(format!("{name} was off before {needing}, which needs it"));
            }
        }
    }

    fn judge_start(&self, lives: &[Self], returned: Time, problems: &mut Vec<String>) {
        let name = self.role.name();
        let (Some(on), Some(_booted)) = (self.on, self.booted) else {
            if self.off.is_some() {
                problems.push(format!("{name} was left off"));
            } else if self.began.is_some() {
                problems.push(format!("{name} went into its stop and was never started anew"));
            }
            return;
        };
        if on < returned {
            problems.push(format!("{name} was started on battery"));
        }
        for need in lives.iter().filter(|it| self.role.needs().contains(&it.role)) {
            if need.booted.is_none_or(|booted| booted > on) {
                let needed = need.role.name();
                problems.push(format!("{name} was started before {needed}, which it needs"));
            }
        }
    }
}

/// All that happened, to be asked about.
struct Story<'a> {
    all: &'a [Occurrence],
}

impl Story<'_> {
    /// Returns when such a thing first happened at `role` from `from` on.
    fn first(&self, role: Option<Role>, from: Time, is: impl Fn(&What) -> bool) -> Option<Time> {
        let mut all = self.all.iter().filter(|it| it.role == role && it.at >= from);
        all.find(|it| is(&it.what)).map(|it| it.at)
    }

    fn anywhere(&self, from: Time, is: impl Fn(&What) -> bool) -> Option<Time> {
        self.all.iter().find(|it| it.at >= from && is(&it.what)).map(|it| it.at)
    }

    /// What may not happen at any time.
    fn accidents(&self) -> Vec<String> {
        let accident = |it: &Occurrence| {
            let What::World(fact) = &it.what else { return None };
            match fact {
                Fact::Crashed { how } => {
                    Some(format!("the agent of {} crashed: {how}", it.place()))
                }
                Fact::PowerLost => {
                    Some("the battery was empty before everybody was down".to_owned())
                }
                Fact::MainsFailed
                | Fact::MainsReturned
                | Fact::PacketReceived
                | Fact::PoweredOn
                | Fact::Booted
                | Fact::PoweredOff
                | Fact::Rebooted => None,
            }
        };
        self.all.iter().filter_map(accident).collect()
    }

    fn judge_end(&self, returned: Time) -> Option<String> {
        let ends =
            self.all.iter().rev().filter(|it| it.role == Some(Role::Nfs) && it.at >= returned);
        let mut missing = ends.filter_map(|it| match told(&it.what) {
            Some(Note::Ended { missing, .. }) => Some(missing),
            _ => None,
        });
        match missing.next() {
            None => Some("the recovery took too long: it has not ended".to_owned()),
            Some(missing) if missing.is_empty() => None,
            Some(missing) => {
                let names: Vec<&str> = missing.iter().map(HostName::as_str).collect();
                Some(format!("the recovery ended without {}", names.join(" and ")))
            }
        }
    }
}

/// Returns the hosts for which this happened, the first one first.
fn in_order(lives: &[Life], when: impl Fn(&Life) -> Option<Time>) -> Vec<Role> {
    let mut all: Vec<_> = lives.iter().filter_map(|it| Some((when(it)?, it.role))).collect();
    all.sort();
    all.into_iter().map(|(_, role)| role).collect()
}

/// Returns whether this is the end of the shutdown.
pub(super) fn is_ended(what: &What) -> bool {
    matches!(told(what), Some(Note::Ended { .. }))
}

fn told(what: &What) -> Option<&Note> {
    match what {
        What::Told(note) => Some(note),
        What::World(_) => None,
    }
}

fn is(what: &What, fact: &Fact) -> bool {
    matches!(what, What::World(known) if known == fact)
}

#[cfg(test)]
mod tests;
