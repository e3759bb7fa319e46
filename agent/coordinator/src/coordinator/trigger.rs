//! When to declare: the triggers, each of which must stand for `debounce`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Coordinator;
use crate::mistake::Mistake;
use crate::{Cause, Line, Note, Reading, Standing, Time, Trigger};

/// What the triggers remember between two looks.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Triggers {
    standing: BTreeMap<Trigger, Held>,
    /// Whether the last reading showed `FSD`, and over which connection; none before the first.
    forced: Option<(bool, u64)>,
    /// An `FSD` that was not acted on yet.
    force: Option<Force>,
    /// `FSD` is latched on mains, and no shutdown is behind it.
    is_left_over: bool,
}

/// How an `FSD` came to be known.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Force {
    /// It appeared while this agent watched.
    Appeared,
    /// It was there at the first look, on battery: of this outage, unless that ends at once.
    Found,
}

/// A trigger that holds.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Held {
    since: Time,
    /// The end of the battery that was assumed when it first held: from then on it counts down.
    end: Option<Time>,
}

/// What a trigger that holds now says.
struct Holding {
    trigger: Trigger,
    cause: Cause,
    left: Option<Duration>,
    evidence: String,
}

impl Triggers {
    /// Forgets what stands, but not which `FSD` was seen: that belongs to `upsd`.
    pub(super) fn with_force_of(self, known: &Self) -> Self {
        Self { forced: known.forced, is_left_over: known.is_left_over, force: None, ..self }
    }

    /// Returns whether a latch was left over, by the last reading.
    pub(super) const fn is_force_left_over(&self) -> bool {
        self.is_left_over
    }

    /// Returns whether none of them stands since before `now`.
    pub(super) fn are_newer_than(&self, now: Time) -> bool {
        self.force.is_none() && self.standing.values().all(|held| held.since >= now)
    }
}

impl Coordinator {
    /// Evaluates all triggers, and declares where one has stood for `debounce`.
    pub(super) fn judge_triggers(&mut self) {
        if self.begun.is_some() {
            return;
        }
        if self.is_between_readings() {
            return;
        }
        let holding = self.holding();
        self.triggers
            .standing
            .retain(|trigger, _| holding.iter().any(|held| held.trigger == *trigger));
        let debounce = self.settings().debounce;
        for held in holding {
            let now = self.now;
            let first = Held { since: now, end: held.left.map(|left| now + left) };
            let standing = *self.triggers.standing.entry(held.trigger).or_insert(first);
            if now.since(standing.since) < debounce && !self.errs(Mistake::NoDebounce) {
                self.wake_at(standing.since + debounce);
                continue;
            }
            if held.trigger == Trigger::Forced {
                self.triggers.force = None;
            }
            self.declare(held.trigger, held.cause, standing.end, held.evidence);
        }
    }

    /// Returns whether a reading is late, but not yet so late that the host is blind: what stood in
    /// every reading goes on standing, or an `upsd` that answers every other time would keep each
    /// trigger from ever standing long enough.
    fn is_between_readings(&self) -> bool {
        let limit = self.settings().built_in.peer_fresh;
        let is_recent = |at: Time| self.now.since(at) < limit;
        self.own_line() == Line::Unknown && self.gauge.last_line_at().is_some_and(is_recent)
    }

    /// Returns the triggers of this moment, shown as a metric.
    pub(super) fn triggers_standing(&self) -> impl Iterator<Item = Trigger> + '_ {
        self.triggers.standing.keys().copied()
    }

    /// Watches `FSD`: only its appearance counts, once per `upsd` process, since nothing but the
    /// end of that process takes it back.
    pub(super) fn watch_force(&mut self, reading: &Reading) {
        // Over a new connection nobody saw it appear: it is like one from before the start.
        let known = self.triggers.forced.filter(|(_, over)| *over == reading.connection);
        match (known.map(|(is_forced, _)| is_forced), reading.is_forced) {
            // Without a line nothing can be said of it yet.
            (None, true) if reading.line == Line::Unknown => return,
            (None, true)
                if reading.line == Line::Mains && !self.errs(Mistake::LeftoverForceCounts) => {}
            // A latch that was seen before a break is the same latch, on battery, too.
            (None, true) if self.triggers.forced.is_some_and(|(was_forced, _)| was_forced) => {}
            (None | Some(false), true) => {
                let force = if known.is_some() { Force::Appeared } else { Force::Found };
                self.triggers.force = self.shutdown.is_none().then_some(force);
            }
            (_, false) => self.triggers.force = None,
            (Some(true), true)
                if reading.line == Line::Mains
                    && self.triggers.force == Some(Force::Found)
                    && !self.errs(Mistake::LeftoverForceCounts) =>
            {
                self.triggers.force = None;
            }
            (Some(true), true) => {}
        }
        self.triggers.forced = Some((reading.is_forced, reading.connection));
    }

    /// A latch without a shutdown: set before this agent looked, or by a shutdown that was called
    /// off or could not be carried out. It is not acted on, and told once.
    pub(super) fn watch_leftover(&mut self, reading: &Reading) {
        let is_idle =
            self.triggers.force.is_none() && self.shutdown.is_none() && self.begun.is_none();
        let is_left_over = reading.is_forced
            && match reading.line {
                Line::Mains => is_idle,
                // Nothing new is known of it.
                Line::Battery | Line::Unknown => self.triggers.is_left_over,
            };
        if is_left_over && !self.triggers.is_left_over {
            let text = format!(
                "FSD is latched in upsd on mains and no shutdown is open: it is not acted on, but \
                 every upsmon that starts now goes down; on {} run `systemctl restart nut-server`",
                self.cluster.ups.owner
            );
            self.notes.push(Note::Warned { text });
        }
        self.triggers.is_left_over = is_left_over;
    }

    fn holding(&self) -> Vec<Holding> {
        let mut all = Vec::new();
        match self.own_line() {
            Line::Battery => self.hold_on_battery(&mut all),
            Line::Mains if self.errs(Mistake::LowAloneIsCritical) => all.extend(self.hold_low()),
            Line::Unknown => all.extend(self.hold_blind()),
            Line::Mains => {}
        }
        all.extend(self.hold_forced());
        all
    }

    fn hold_on_battery(&self, all: &mut Vec<Holding>) {
        let settings = self.settings();
        let left = self.gauge.runtime_left(self.now);
        all.extend(self.hold_low());
        if !self.may_judge_numbers() {
            return;
        }
        let needed = self.time_needed();
        if self.outage.is_called_off && !self.is_half_spent(left, needed) {
            return;
        }
        all.extend(self.hold_computed(left, needed));
        let assumed = left.unwrap_or(needed * 2);
        let missing = self.errs(Mistake::MissingChargeIsZero).then_some(0);
        if let Some(charge) = self.gauge.charge().or(missing)
            && charge < settings.charge_below
        {
            all.push(Holding {
                trigger: Trigger::Charge,
                cause: Cause::Battery,
                left: Some(assumed),
                evidence: format!("charge {charge} % is below {} %", settings.charge_below),
            });
        }
        if let (Some(limit), Some(since)) = (settings.on_battery_for, self.gauge.battery_since())
            && self.now.since(since) > limit
        {
            all.push(Holding {
                trigger: Trigger::Time,
                cause: Cause::Battery,
                left: Some(assumed),
                evidence: format!("on battery for longer than {} s", limit.as_secs()),
            });
        }
    }

    fn hold_low(&self) -> Option<Holding> {
        let settings = self.settings();
        let is_alone = self.errs(Mistake::LowAloneIsCritical)
            && self.gauge.reading().is_some_and(|(reading, _)| reading.is_low);
        if !self.gauge.is_low(self.now, &settings.built_in) && !is_alone {
            return None;
        }
        let least = settings.low_battery_left;
        let left = self.gauge.runtime_left(self.now);
        Some(Holding {
            trigger: Trigger::LowBattery,
            cause: Cause::Battery,
            left: Some(left.map_or(least, |left| left.min(least))),
            evidence: "the UPS says OB LB".to_owned(),
        })
    }

    fn hold_computed(&self, left: Option<Duration>, needed: Duration) -> Option<Holding> {
        let left = left?;
        let settings = self.settings();
        if left > needed + settings.reserve {
            return None;
        }
        // A cluster whose plan never fits would go down at each flicker.
        let since = self.gauge.battery_since()?;
        if self.outage.did_not_fit && self.now.since(since) < settings.built_in.tight_wait {
            return None;
        }
        Some(Holding {
            trigger: Trigger::Computed,
            cause: Cause::Battery,
            left: Some(left),
            evidence: format!(
                "runtime left {} s is down to the {} s needed and {} s of reserve",
                left.as_secs(),
                needed.as_secs(),
                settings.reserve.as_secs()
            ),
        })
    }

    /// The owner judges the numbers; another host does so only when the owner's agent has been
    /// silent, or without a fresh reading, for 15 s.
    fn may_judge_numbers(&self) -> bool {
        let silence = self.now.since(self.outage.owner_read_at);
        self.is_owner() || silence >= self.settings().built_in.owner_silent
    }

    /// After a call-off no number fires again with more than half the reserve left.
    fn is_half_spent(&self, left: Option<Duration>, needed: Duration) -> bool {
        left.is_some_and(|left| left <= needed + self.settings().reserve / 2)
    }

    /// On battery when last seen, and no reading of its own or of any peer since.
    fn hold_blind(&self) -> Option<Holding> {
        if !self.is_blind() {
            return None;
        }
        let settings = self.settings();
        let any_line = self.errs(Mistake::LostContactTriggers);
        let seen = self.outage.seen.filter(|seen| seen.line == Line::Battery || any_line)?;
        let left = self.outage.blind_left(self.now, settings.built_in.blind_left);
        let left = left.or_else(|| any_line.then_some(Duration::ZERO))?;
        // A call-off is no promise that the battery lasts: who sees nothing still goes in time.
        let reserve =
            if self.outage.is_called_off { settings.reserve / 2 } else { settings.reserve };
        let limit = match seen.left {
            Some(_) => self.time_needed() + reserve,
            None => Duration::ZERO,
        };
        if left > limit {
            return None;
        }
        Some(Holding {
            trigger: Trigger::Blind,
            cause: Cause::Battery,
            left: Some(if seen.left.is_some() { left } else { settings.built_in.blind_left }),
            evidence: format!(
                "on battery when last seen {} s ago, and nothing seen since",
                self.now.since(seen.at).as_secs()
            ),
        })
    }

    /// Returns whether this host has no fresh reading, its own or a peer's.
    pub(super) fn is_blind(&self) -> bool {
        let limit = self.settings().built_in.peer_fresh;
        let seen = self.outage.seen;
        // A UPS that says that it calibrates is seen, whatever its line.
        let is_calibrating = self
            .gauge
            .reading()
            .is_some_and(|(reading, at)| reading.is_calibrating && self.now.since(at) < limit);
        self.own_line() == Line::Unknown
            && !is_calibrating
            && seen.is_none_or(|seen| self.now.since(seen.at) >= limit)
    }

    fn hold_forced(&self) -> Option<Holding> {
        let is_latched =
            self.shutdown.as_ref().is_some_and(|shutdown| shutdown.standing == Standing::Declared);
        if self.triggers.force.is_none() || is_latched {
            return None;
        }
        let (cause, left) = match self.own_line() {
            Line::Unknown => return None,
            Line::Mains => (Cause::Order, None),
            Line::Battery => {
                let least = self.settings().low_battery_left;
                let left = self.gauge.runtime_left(self.now);
                (Cause::Battery, Some(left.map_or(least, |left| left.min(least))))
            }
        };
        let evidence = "FSD appeared in upsd".to_owned();
        Some(Holding { trigger: Trigger::Forced, cause, left, evidence })
    }
}
