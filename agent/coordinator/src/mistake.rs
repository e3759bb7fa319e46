//! Known mistakes: wrong rules that a good engineer could have written, for the simulator to find.
//!
//! A simulator that finds nothing proves nothing until it is shown what there is to find. With the
//! feature `mistakes` a coordinator can be told to make one; each costs the rule that it spoils a
//! line: `self.errs(Mistake::…)`. Without the feature, and so in every shipped binary, that is a
//! constant, and no coordinator can be told anything.

#[cfg(feature = "mistakes")]
use std::fmt;

/// A wrong rule; *Weather* is where it does harm, *Breaks* is the invariant that must tell of it.
#[cfg_attr(
    feature = "mistakes",
    derive(Ord, PartialOrd, serde::Deserialize, serde::Serialize),
    serde(rename_all = "kebab-case")
)]
#[cfg_attr(not(feature = "mistakes"), expect(unreachable_pub, reason = "nobody can choose one"))]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Mistake {
    /// A trigger declares at the first reading in which it holds, against «each must stand in
    /// every reading over `debounce`».
    ///
    /// *Weather:* a flicker of less than `debounce` at which the UPS says `OB LB`, or with a
    /// battery that is nearly empty. *Breaks:* No false shutdown.
    NoDebounce,
    /// A number counts when it was polled twice, against «when a second *driver update* confirms
    /// it, not when it was polled twice».
    ///
    /// *Weather:* one lying driver update of the runtime, or of the charge, on battery with plenty
    /// left. *Breaks:* No false shutdown (one update may lie).
    CountsPolls,
    /// `LB` is critical on mains too, against «`LB` alone never».
    ///
    /// *Weather:* an `LB` flash of longer than `debounce` on mains. *Breaks:* No false shutdown (a
    /// declaration with all of the battery left); No thrash.
    LowAloneIsCritical,
    /// A charge that is absent, or not confirmed yet, counts as 0 %, against «a missing variable
    /// is absent, never 0».
    ///
    /// *Weather:* an outage with a UPS that tells no charge, or an owner's agent that starts on
    /// battery. *Breaks:* Unsure is not zero; No false shutdown.
    MissingChargeIsZero,
    /// Who was on mains when last seen can be blind too, against «lost contact on mains never
    /// triggers».
    ///
    /// *Weather:* on mains `upsd` or its host is dead for all, or one host is cut off from
    /// everybody, for longer than 10 s. *Breaks:* No false shutdown.
    LostContactTriggers,
    /// An `FSD` found at the start on mains is acted on, against «a leftover latch: not acted on,
    /// alarmed».
    ///
    /// *Weather:* an agent starts, or connects to `upsd` anew, on mains while `FSD` is latched
    /// there. *Breaks:* No false shutdown.
    LeftoverForceCounts,
    /// Time needed is the longest stop, against «`time-needed` is the critical path of the stop
    /// times».
    ///
    /// *Weather:* a plain outage, true readings, stops that take most of their planned time.
    /// *Breaks:* Order holds if the plan fits (hosts begin by their latest start).
    NeedsLongestStop,
    /// Each trigger takes a number of its own, against «while a host has N `declared`, a trigger
    /// adds its reason to N and takes no number».
    ///
    /// *Weather:* an outage in which a second trigger holds after the first: computed, then charge
    /// or `OB LB`. *Breaks:* No thrash.
    NumberPerTrigger,
    /// No two hosts can declare the same number, as if by id, against «declarations with one
    /// number are one shutdown».
    ///
    /// *Weather:* triggers that hold on several hosts within one message: `OB LB`, or healed
    /// partitions. *Breaks:* No thrash; Agreement.
    DeclaresById,
    /// Hosts that can see latch a blind declaration, against «latched only by hosts that are blind
    /// themselves».
    ///
    /// *Weather:* on battery with plenty left one host reads and hears nobody until it declares,
    /// and is still heard, or its link comes back. *Breaks:* No false shutdown.
    BlindLatchedBySeeing,
    /// The declaration heard last is the open one, against «only the highest number is open: N+1
    /// supersedes N».
    ///
    /// *Weather:* partitions that declare, turn and declare anew apart from each other, and heal
    /// while both stand. *Breaks:* Agreement.
    LastHeardWins,
    /// A number that has ended is latched again, against «drops everything at or below it».
    ///
    /// *Weather:* a host that latched N is cut off while N ends, and is heard again on battery.
    /// *Breaks:* Agreement (somebody acts on a number at or below `ended`).
    ActsOnEnded,
    /// Whatever `ended` was heard last is taken over, against «the highest number that has ended».
    ///
    /// *Weather:* a host whose journal was lost, or that was cut off while N ended, is heard
    /// again. *Breaks:* Agreement (`ended` falls).
    EndedFalls,
    /// N+1 starts from who is heard then, and what N owed is dropped, against «plus all
    /// participants of every shutdown that has not ended».
    ///
    /// *Weather:* mains return when some have gone and the owner has not; it turns; before those
    /// are woken (low charge) the mains fail again, N+1 is declared, and turns too before the
    /// owner's end. *Breaks:* Nobody stranded.
    ForgetsSuperseded,
    /// A declaration recorded in an earlier boot is acted on, against «acted on only in the boot
    /// in which it was latched».
    ///
    /// *Weather:* a host boots with N recorded and reads battery, or nothing for 15 s (`upsd`
    /// comes up later). *Breaks:* Latch (a stop for a shutdown latched in an earlier boot).
    ActsOnOldLatch,
    /// An agent that starts again in the same boot has no open shutdown, against «resumes where
    /// the journal stands».
    ///
    /// *Weather:* an agent crashes between latch and begin while nobody who latched N can be
    /// heard, or all agents crash. *Breaks:* Latch (a crash changed the set that a host acts on).
    ForgetsLatchAtRestart,
    /// The reserve is subtracted from the latest starts, against «the reserve is … spent before
    /// the order is».
    ///
    /// *Weather:* a plain outage, true readings, stops that take all of their planned time, or one
    /// that hangs. *Breaks:* Release is true (a latest start earlier than 60 s before the true
    /// one); Order holds if the plan fits.
    ReserveInLatestStarts,
    /// A carried time left beats a fresh reading of one's own, against «a host with fresh readings
    /// of its own uses those, both ways».
    ///
    /// *Weather:* the owner's agent dies after it has told its time left, and then the load or the
    /// runtime changes by more than 10 %. *Breaks:* Deadline (too late), or Release is true (a
    /// latest start too early).
    CarriedBeatsOwn,
    /// `OB LB` limits nothing once a runtime is known, against «no host reckons with more than
    /// `low-battery-left`».
    ///
    /// *Weather:* a runtime that lies high until `OB LB`, with `OB LB` at its true time, and a
    /// dependent that is late. *Breaks:* Deadline; Order.
    IgnoresLow,
    /// The first `OB LB` of an earlier outage counts in the next, against «until mains» (trap: old
    /// seconds on battery).
    ///
    /// *Weather:* an outage with `OB LB` that ends before the owner does, a recharge, and a second
    /// long outage without an agent's restart. *Breaks:* Release is true (a latest start too
    /// early); Re-arm.
    KeepsOldLow,
    /// In a compressed plan the owner begins at once as the others do, against «except for the
    /// owner: it … begins when all are released».
    ///
    /// *Weather:* a declaration with less time left than the plan takes (`OB LB`, 120 s).
    /// *Breaks:* Release is true.
    CompressesOwner,
    /// Every host begins when declared, against «the others begin when all dependents are
    /// released».
    ///
    /// *Weather:* a plain outage. *Breaks:* Release is true; Order holds if the plan fits.
    BeginsAtOnce,
    /// No latest start makes a host begin, against «never later than their latest start, whatever
    /// the others do or fail to do».
    ///
    /// *Weather:* an outage with a dependent that is never released: a stop that hangs, a dead
    /// agent on a running host. *Breaks:* Deadline.
    WaitsForRelease,
    /// The owner waits only for those that need it, against «every host that a UPS feeds counts as
    /// a dependent of that UPS's owner».
    ///
    /// *Weather:* an outage of a cluster with a fed host that needs nothing. *Breaks:* Release is
    /// true; No early cut, if return is promised.
    OwnerIgnoresFed,
    /// A host begins although it reads mains, against «does not begin … while a fresh reading of
    /// its own says mains».
    ///
    /// *Weather:* mains return between the declaration and the turn, for less or more than
    /// `mains-stable`. *Breaks:* No false shutdown, read as: no accepted stop for a battery reason
    /// while its own fresh reading is mains (§5, Pause).
    NoPause,
    /// An agent that starts again begins before it has read the UPS, against «not before its first
    /// own reading or 15 s after its start».
    ///
    /// *Weather:* the mains are back, hosts pause, and an agent is killed and starts again before
    /// the turn. *Breaks:* the same as `NoPause`.
    BeginsUnread,
    /// `stopping` releases as `halting` does, against «waits until the dependent said `halting`».
    ///
    /// *Weather:* a plain outage; a host without exports that others need (`k8s-1` before
    /// `k8s-2`). *Breaks:* Release is true (workloads run).
    ReleasedByStopping,
    /// `halting` releases whatever is mounted, against «*and* its last report of mounts of X was
    /// *none*, or X sees nothing of it».
    ///
    /// *Weather:* an outage in which a host unmounts late after `halting`, as Talos does.
    /// *Breaks:* Release is true (a mount on X).
    HaltingIsEnough,
    /// Mounts that could not be read are none, against «what it cannot read counts as still
    /// there».
    ///
    /// *Weather:* the same with a dependent that cannot read its mounts. *Breaks:* Unsure is not
    /// zero; Release is true.
    UnreadMountsAreNone,
    /// Without a session a host is absent, against «no session, silent on the network and no NFS
    /// client of it, over 10 s».
    ///
    /// *Weather:* an outage in which a dependent's agent is dead or restarts, or its session is
    /// cut, while its machine runs. *Breaks:* Release is true.
    NoSessionIsAbsent,
    /// Who was released once stays so, also for the next number, against «any sign of life takes
    /// `off` back» and the clean start of N+1.
    ///
    /// *Weather:* k8s-2 is released, the mains return and the owner turns before it has begun; all
    /// come back; a second outage. *Breaks:* Release is true; Re-arm.
    KeepsReleased,
    /// Silence proves off whatever the own link is, against «silence proves nothing unless X has
    /// carrier … and heard any frame».
    ///
    /// *Weather:* an outage in which the cable or the switch port of the waiting host (the owner)
    /// is lost while the others stop slowly. *Breaks:* Release is true; No early cut, if return is
    /// promised.
    SilenceWithoutLink,
    /// ARP is a sign of life after `halting`, against «ARP alone is no sign of life after
    /// `halting`».
    ///
    /// *Weather:* an outage with return promised and network cards that answer ARP when off.
    /// *Breaks:* Order holds if the plan fits (the owner waits until its latest start).
    ArpIsLife,
    /// The phase of a drill counts in an outage, against «drill states never count in an outage».
    ///
    /// *Weather:* a host that rehearses tells `halting` without mounts while the others latch a
    /// real shutdown. *Breaks:* Drill is harmless; Release is true.
    DrillCounts,
    /// What changes is told and done one step before it is saved, against «written to the journal
    /// before it is told or acted on».
    ///
    /// *Weather:* an agent dies right after a step with a stop call, or with a latch, and starts
    /// again in the same boot. *Breaks:* Latch.
    TellsBeforeSaving,
    /// After a crash the call is made without asking, against «the driver first asks the OS … a
    /// stop that runs is not called again».
    ///
    /// *Weather:* an agent dies after its stop was accepted and starts again before the machine is
    /// down. *Breaks:* Latch (a second accepted stop).
    CallsAgain,
    /// Who has begun asks for no time any more, against «while a shutdown is open `next_deadline`
    /// is never *none*».
    ///
    /// *Weather:* any shutdown; does harm where a refused call is not repeated because nothing
    /// else happens. *Breaks:* Limits; Deadline.
    SleepsWhenBegun,
    /// The owner cuts whatever the UPS promises, against «**Cut**, if return is promised».
    ///
    /// *Weather:* any battery shutdown with a UPS that promises nothing. *Breaks:* No early cut;
    /// Nobody stranded, where the load stays off.
    CutsUnpromised,
    /// The owner cuts when all are released, against «begins only when each fed host is *off*, or
    /// at its latest start».
    ///
    /// *Weather:* an outage with return promised and a host that takes longer from `halting` to
    /// off than the owner to stop. *Breaks:* No early cut.
    CutsWhenReleased,
    /// The owner turns at its first reading of mains, against «when mains have held for
    /// `mains-stable`».
    ///
    /// *Weather:* mains that flap every few seconds with a battery that is nearly empty. *Breaks:*
    /// No thrash.
    TurnsAtFirstMains,
    /// A host that has not begun begins for a turned shutdown, against «no one begins any more».
    ///
    /// *Weather:* mains return, the owner turns, and the mains fail again before recovery has
    /// ended (with plenty left after a recharge). *Breaks:* No false shutdown (a stop for a
    /// shutdown that nobody has declared any more); No early cut (it has turned).
    BeginsAlthoughTurned,
    /// A call-off ends the shutdown, against «an operator's turn»: those that have begun are
    /// brought back.
    ///
    /// *Weather:* an order (in an outage, or on mains) that is called off after the first host has
    /// begun. *Breaks:* Nobody stranded, a call-off counting as a return of mains.
    CallOffEnds,
    /// What is owed is forgotten when a number ends, against «ending, superseding or dropping a
    /// number never clears it».
    ///
    /// *Weather:* a host hangs in its stop for longer than `wake-timeout`, recovery ends without
    /// it, and it goes off after that. *Breaks:* Nobody stranded.
    ForgetsOwedAtEnd,
    /// Only the owner turns and conducts, against «when its agent has been silent for twice
    /// `mains-stable`, the first host in file order».
    ///
    /// *Weather:* the owner's machine or agent is dead for good from some moment of the outage on.
    /// *Breaks:* Nobody stranded.
    NobodyStandsIn,
    /// Packets are sent on battery, against «nothing is woken while on battery».
    ///
    /// *Weather:* the mains fail again while recovery waits or wakes, with charge above
    /// `charge-above`, so that nothing is declared. *Breaks:* Restart order (a packet on battery).
    WakesOnBattery,
    /// Hosts are woken before what they need is ready, against «the next one when all that it
    /// needs is *ready*».
    ///
    /// *Weather:* recovery after a turn, with hosts that need minutes until they serve. *Breaks:*
    /// Restart order.
    WakesAllAtOnce,
    /// Recovery waits for ever for a host that was reported, against «every gate has a limit,
    /// after which it goes on and says so».
    ///
    /// *Weather:* recovery in which a host that others need never starts, or starts and never
    /// serves. *Breaks:* Nobody stranded; its number never ends.
    WaitsForReported,
    /// The gate of the charge has no limit, against «every gate has a limit: `charge-wait`».
    ///
    /// *Weather:* recovery with a battery that never gets above `charge-above`. *Breaks:* Nobody
    /// stranded.
    WaitsForCharge,
    /// A debt is struck a `wake-timeout` after recovery turned to the host, against «after a full
    /// `wake-timeout` of packets *while off*».
    ///
    /// *Weather:* a host hangs in its stop for longer than `wake-timeout` after the turn, and goes
    /// off then. *Breaks:* Nobody stranded.
    GivesUpByClock,
    /// A host that falls silent on battery is not owed, against «owed are … a host heard `up` that
    /// falls silent on battery».
    ///
    /// *Weather:* a machine loses its power on battery (its supply fails at the transfer), and the
    /// mains return before anything is declared. *Breaks:* Nobody stranded.
    ForgetsTheSilent,
    /// Hosts that are off by intent are woken, against «hosts that an order turned off are off by
    /// intent … until they are woken».
    ///
    /// *Weather:* an order turns hosts off, the owner is switched on by hand; also an outage after
    /// that. *Breaks:* Restart order, read as: no packet to a host that is off by intent (§4;
    /// trap: a host that was off before is woken).
    WakesIntended,
}

/// The mistake that one coordinator makes, if any.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Mistaken(#[cfg(feature = "mistakes")] Option<Mistake>);

impl Mistaken {
    /// Returns whether `mistake` is to be made.
    #[cfg(feature = "mistakes")]
    pub(crate) fn makes(self, mistake: Mistake) -> bool {
        self.0 == Some(mistake)
    }

    /// Returns false: no mistake can be chosen.
    #[cfg(not(feature = "mistakes"))]
    pub(crate) const fn makes(self, _: Mistake) -> bool {
        let Self() = self;
        false
    }
}

#[cfg(feature = "mistakes")]
impl From<Mistake> for Mistaken {
    fn from(mistake: Mistake) -> Self {
        Self(Some(mistake))
    }
}

#[cfg(feature = "mistakes")]
impl Mistake {
    /// All mistakes.
    pub const ALL: [Self; 51] = [
        Self::NoDebounce,
        Self::CountsPolls,
        Self::LowAloneIsCritical,
        Self::MissingChargeIsZero,
        Self::LostContactTriggers,
        Self::LeftoverForceCounts,
        Self::NeedsLongestStop,
        Self::NumberPerTrigger,
        Self::DeclaresById,
        Self::BlindLatchedBySeeing,
        Self::LastHeardWins,
        Self::ActsOnEnded,
        Self::EndedFalls,
        Self::ForgetsSuperseded,
        Self::ActsOnOldLatch,
        Self::ForgetsLatchAtRestart,
        Self::ReserveInLatestStarts,
        Self::CarriedBeatsOwn,
        Self::IgnoresLow,
        Self::KeepsOldLow,
        Self::CompressesOwner,
        Self::BeginsAtOnce,
        Self::WaitsForRelease,
        Self::OwnerIgnoresFed,
        Self::NoPause,
        Self::BeginsUnread,
        Self::ReleasedByStopping,
        Self::HaltingIsEnough,
        Self::UnreadMountsAreNone,
        Self::NoSessionIsAbsent,
        Self::KeepsReleased,
        Self::SilenceWithoutLink,
        Self::ArpIsLife,
        Self::DrillCounts,
        Self::TellsBeforeSaving,
        Self::CallsAgain,
        Self::SleepsWhenBegun,
        Self::CutsUnpromised,
        Self::CutsWhenReleased,
        Self::TurnsAtFirstMains,
        Self::BeginsAlthoughTurned,
        Self::CallOffEnds,
        Self::ForgetsOwedAtEnd,
        Self::NobodyStandsIn,
        Self::WakesOnBattery,
        Self::WakesAllAtOnce,
        Self::WaitsForReported,
        Self::WaitsForCharge,
        Self::GivesUpByClock,
        Self::ForgetsTheSilent,
        Self::WakesIntended,
    ];

    /// Returns the word for command lines and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoDebounce => "no-debounce",
            Self::CountsPolls => "counts-polls",
            Self::LowAloneIsCritical => "low-alone-is-critical",
            Self::MissingChargeIsZero => "missing-charge-is-zero",
            Self::LostContactTriggers => "lost-contact-triggers",
            Self::LeftoverForceCounts => "leftover-force-counts",
            Self::NeedsLongestStop => "needs-longest-stop",
            Self::NumberPerTrigger => "number-per-trigger",
            Self::DeclaresById => "declares-by-id",
            Self::BlindLatchedBySeeing => "blind-latched-by-seeing",
            Self::LastHeardWins => "last-heard-wins",
            Self::ActsOnEnded => "acts-on-ended",
            Self::EndedFalls => "ended-falls",
            Self::ForgetsSuperseded => "forgets-superseded",
            Self::ActsOnOldLatch => "acts-on-old-latch",
            Self::ForgetsLatchAtRestart => "forgets-latch-at-restart",
            Self::ReserveInLatestStarts => "reserve-in-latest-starts",
            Self::CarriedBeatsOwn => "carried-beats-own",
            Self::IgnoresLow => "ignores-low",
            Self::KeepsOldLow => "keeps-old-low",
            Self::CompressesOwner => "compresses-owner",
            Self::BeginsAtOnce => "begins-at-once",
            Self::WaitsForRelease => "waits-for-release",
            Self::OwnerIgnoresFed => "owner-ignores-fed",
            Self::NoPause => "no-pause",
            Self::BeginsUnread => "begins-unread",
            Self::ReleasedByStopping => "released-by-stopping",
            Self::HaltingIsEnough => "halting-is-enough",
            Self::UnreadMountsAreNone => "unread-mounts-are-none",
            Self::NoSessionIsAbsent => "no-session-is-absent",
            Self::KeepsReleased => "keeps-released",
            Self::SilenceWithoutLink => "silence-without-link",
            Self::ArpIsLife => "arp-is-life",
            Self::DrillCounts => "drill-counts",
            Self::TellsBeforeSaving => "tells-before-saving",
            Self::CallsAgain => "calls-again",
            Self::SleepsWhenBegun => "sleeps-when-begun",
            Self::CutsUnpromised => "cuts-unpromised",
            Self::CutsWhenReleased => "cuts-when-released",
            Self::TurnsAtFirstMains => "turns-at-first-mains",
            Self::BeginsAlthoughTurned => "begins-although-turned",
            Self::CallOffEnds => "call-off-ends",
            Self::ForgetsOwedAtEnd => "forgets-owed-at-end",
            Self::NobodyStandsIn => "nobody-stands-in",
            Self::WakesOnBattery => "wakes-on-battery",
            Self::WakesAllAtOnce => "wakes-all-at-once",
            Self::WaitsForReported => "waits-for-reported",
            Self::WaitsForCharge => "waits-for-charge",
            Self::GivesUpByClock => "gives-up-by-clock",
            Self::ForgetsTheSilent => "forgets-the-silent",
            Self::WakesIntended => "wakes-intended",
        }
    }
}

#[cfg(feature = "mistakes")]
impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(all(test, feature = "mistakes"))]
mod tests {
    use super::*;

    #[test]
    fn all_are_listed_in_order_and_named_as_they_are_written() {
        let last = Mistake::WakesIntended as usize;
        assert_eq!(Mistake::ALL.len(), last + 1, "all are listed");
        for (place, mistake) in Mistake::ALL.into_iter().enumerate() {
            assert_eq!(mistake as usize, place, "{mistake}");
            let written = serde_json::to_value(mistake).unwrap();
            assert_eq!(written, mistake.as_str());
        }
    }
}
