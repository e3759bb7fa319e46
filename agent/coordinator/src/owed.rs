//! Who is owed a wake-up: a set that hosts unite, and from which each strikes what it sees done.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{BootId, HostName};

/// One entry: somebody must still wake this host.
///
/// Hosts unite their sets by message, so an entry cannot just be deleted by the one who has done
/// its best: it is marked as given up, and the mark wins over the same entry elsewhere. An entry
/// of a later shutdown wins over both.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Owed {
    /// The boot in which the host was last heard, if it was.
    pub boot: Option<BootId>,
    /// The highest shutdown known when it became owed.
    pub number: u64,
    /// It got packets for a full `wake-timeout` while off, and that was reported.
    pub is_given_up: bool,
}

/// Adds `entry` for `host`, and returns whether that changed anything.
pub(crate) fn unite(owed: &mut BTreeMap<HostName, Owed>, host: &HostName, entry: &Owed) -> bool {
    match owed.get_mut(host) {
        None => {
            owed.insert(host.clone(), entry.clone());
            true
        }
        Some(known) if entry.number > known.number => {
            let changed = known != entry;
            known.clone_from(entry);
            changed
        }
        Some(known) if entry.number == known.number => {
            let merged = Owed {
                boot: known.boot.clone().or_else(|| entry.boot.clone()),
                number: known.number,
                is_given_up: known.is_given_up || entry.is_given_up,
            };
            let changed = *known != merged;
            *known = merged;
            changed
        }
        Some(_) => false,
    }
}
