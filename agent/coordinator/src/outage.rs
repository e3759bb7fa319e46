//! What this host knows of the mains: its own readings first, those of its peers without them.

use std::time::Duration;

use crate::{Line, Time};

/// What was last seen of the line by anybody whose reading was fresh here.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Seen {
    /// Mains or battery, never unknown.
    pub(crate) line: Line,
    /// When.
    pub(crate) at: Time,
    /// The credible runtime left then.
    pub(crate) left: Option<Duration>,
}

/// The view of the outage that no single reading gives.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Outage {
    /// The last fresh reading of its own or of a peer.
    pub(crate) seen: Option<Seen>,
    /// The first `OB LB` of this outage, of its own or of a peer.
    pub(crate) low_since: Option<Time>,
    /// When the mains were last seen to go, for the judgement of the link.
    pub(crate) lost_at: Option<Time>,
    /// When battery was last seen.
    pub(crate) dark_at: Option<Time>,
    /// A shutdown was called off in this outage.
    pub(crate) is_called_off: bool,
    /// The plan fitted when the mains were last there and the runtime was known.
    pub(crate) did_not_fit: bool,
    /// When the owner last had a fresh reading, as told by its agent.
    pub(crate) owner_read_at: Time,
}

impl Outage {
    /// Takes a fresh reading, of whomever.
    pub(crate) fn on_line(&mut self, now: Time, line: Line, left: Option<Duration>) {
        // A reading that was older when it was told takes nothing back.
        if self.seen.is_some_and(|seen| seen.at > now) {
            return;
        }
        match line {
            Line::Unknown => return,
            Line::Mains => self.on_mains(),
            Line::Battery => {
                if self.seen.is_none_or(|seen| seen.line == Line::Mains) {
                    self.lost_at = Some(now);
                }
                self.dark_at = Some(now);
            }
        }
        // Who knows no runtime takes away nobody's who did: that one goes on counting down.
        let known = self.seen.filter(|seen| seen.line == line);
        let known = known.and_then(|seen| Some(seen.left?.saturating_sub(now.since(seen.at))));
        self.seen = Some(Seen { line, at: now, left: left.or(known) });
    }

    /// Takes an `OB LB`: from the first on, nobody reckons with more than `low-battery-left`.
    pub(crate) fn on_low(&mut self, now: Time) {
        self.low_since.get_or_insert(now);
    }

    /// Returns whether battery was the last that was seen, however long ago.
    pub(crate) fn is_dark(&self) -> bool {
        self.seen.is_some_and(|seen| seen.line == Line::Battery)
    }

    /// Returns whether `at` lies within the last time on battery, give or take `blur`.
    pub(crate) fn was_dark(&self, at: Time, blur: Duration) -> bool {
        let (Some(from), Some(to)) = (self.lost_at, self.dark_at) else { return false };
        from.minus(blur) <= at && at <= to + blur
    }

    fn on_mains(&mut self) {
        self.low_since = None;
        self.is_called_off = false;
    }

    /// Returns the runtime of a blind host, counting down at double speed since something was
    /// last seen on battery; none if that was on mains, or never.
    pub(crate) fn blind_left(&self, now: Time, without: Duration) -> Option<Duration> {
        let seen = self.seen.filter(|seen| seen.line == Line::Battery)?;
        let since = now.since(seen.at);
        Some(match seen.left {
            Some(left) => left.saturating_sub(since * 2),
            None => without.saturating_sub(since),
        })
    }
}
