//! Whether the server's eyes agree with what the hosts say of their own mounts, all the time: so
//! that the eyes are tried every day and not in the outage.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use curfew_coordinator::{ClientSight, HostName};
use tokio::time::Instant;

use super::sight::Seen;

/// How what is seen of a host stands to what it says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Agreement {
    /// Not compared: the host says nothing now, or is stopping, or cannot be judged.
    Unknown,
    /// It has a mount of this server and is seen, or neither.
    Agrees,
    /// It is seen and says that it has no mount: one that was left behind, or a mount of another
    /// namespace, such as a container's own.
    Unreported,
    /// It has a mount that is not seen, for so long.
    Unseen {
        /// Since the first look that did not show it.
        since: Duration,
        /// That has lasted too long: the eyes cannot be trusted for this host.
        is_failing: bool,
    },
}

/// Compares from look to look.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    unseen: BTreeMap<HostName, Unseen>,
    /// Those of whom it has once seen what they say.
    agreed: BTreeSet<HostName>,
}

#[derive(Clone, Copy, Debug)]
struct Unseen {
    since: Instant,
    is_failing: bool,
}

impl Comparison {
    /// Takes the next look. `reports` has, of each host that is up and heard, whether it has mounts
    /// of this server, as far as it can tell.
    pub fn update(
        &mut self,
        now: Instant,
        seen: &BTreeMap<HostName, Seen>,
        reports: &BTreeMap<HostName, bool>,
    ) -> BTreeMap<HostName, Agreement> {
        let compared = seen.iter().map(|(host, seen)| {
            let agreement = match (reports.get(host), seen.sight) {
                (Some(true), Some(ClientSight::Nothing)) => self.on_unseen(now, host),
                (Some(has_mount), Some(sight)) => {
                    self.unseen.remove(host);
                    let is_seen = sight != ClientSight::Nothing;
                    if *has_mount == is_seen {
                        self.agreed.insert(host.clone());
                        Agreement::Agrees
                    } else {
                        Agreement::Unreported
                    }
                }
                // A host that stops unmounts without having said so: what failed before is kept,
                // what only began to differ is not counted.
                (None, _) | (_, None) => {
                    self.unseen.retain(|other, unseen| other != host || unseen.is_failing);
                    Agreement::Unknown
                }
            };
            (host.clone(), agreement)
        });
        compared.collect()
    }

    /// Returns whether *nothing* may be believed of a host: not while a mount that it has reported
    /// is not seen for long, and not while a client may be its own without our knowing. `strangers`
    /// is how many clients belong to no host. An agent that was restarted has compared nothing yet,
    /// and a host that stops is not compared: what an earlier run knew of its addresses is gone.
    pub fn trusts(&self, host: &HostName, strangers: Option<usize>) -> bool {
        let is_failing = self.unseen.get(host).is_some_and(|unseen| unseen.is_failing);
        !is_failing && (strangers == Some(0) || self.agreed.contains(host))
    }

    fn on_unseen(&mut self, now: Instant, host: &HostName) -> Agreement {
        let first = Unseen { since: now, is_failing: false };
        let unseen = self.unseen.entry(host.clone()).or_insert(first);
        let since = now.duration_since(unseen.since);
        unseen.is_failing |= since >= UNSEEN_LIMIT;
        Agreement::Unseen { since, is_failing: unseen.is_failing }
    }
}

/// A host reads its mounts every five seconds and tells them within one; looks come every five. A
/// mount that is made or goes in between is over in twelve; the rest is room for a busy machine.
const UNSEEN_LIMIT: Duration = Duration::from_secs(30);
