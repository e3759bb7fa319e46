//! Who is owed a wake-up: a set that hosts unite, and from which each strikes what it sees done.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{BootId, HostName};

/// One entry about a host that is not, or may not be, running.
///
/// Hosts unite their sets by message, so an entry cannot just be deleted by the one who has done
/// its best: it would come back with the next message of another. So it is marked, the higher mark
/// wins over the same entry elsewhere, and an entry of a higher number wins over all of them.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Owed {
    /// The boot in which the host was last heard, if it was.
    pub boot: Option<BootId>,
    /// The shutdown by which it became owed, or the highest one known then.
    pub number: u64,
    /// What is owed to it.
    pub debt: Debt,
}

/// What is owed to a host, in rising rank.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Debt {
    /// Somebody must still wake it.
    Due,
    /// It got packets for a full `wake-timeout` while off, and that was reported.
    GivenUp,
    /// Nothing: it is off by intent, until an operator wakes it.
    Intended,
}

/// Adds `entry` for `host`.
pub(crate) fn unite(owed: &mut BTreeMap<HostName, Owed>, host: &HostName, entry: &Owed) {
    match owed.get_mut(host) {
        None => {
            owed.insert(host.clone(), entry.clone());
        }
        Some(known) if entry.number > known.number => known.clone_from(entry),
        Some(known) if entry.number == known.number => {
            known.debt = known.debt.max(entry.debt);
            if known.boot.is_none() {
                known.boot.clone_from(&entry.boot);
            }
        }
        Some(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u64, debt: Debt) -> Owed {
        Owed { boot: None, number, debt }
    }

    #[test]
    fn what_was_given_up_is_not_owed_again_by_an_account_that_has_not_seen_it() {
        let host = HostName::from("k8s-2");
        let mut owed = BTreeMap::from([(host.clone(), entry(3, Debt::GivenUp))]);
        unite(&mut owed, &host, &entry(3, Debt::Due));
        assert_eq!(owed[&host].debt, Debt::GivenUp);
    }

    #[test]
    fn a_later_shutdown_owes_anew_what_an_earlier_one_gave_up() {
        let host = HostName::from("k8s-2");
        let mut owed = BTreeMap::from([(host.clone(), entry(3, Debt::GivenUp))]);
        unite(&mut owed, &host, &entry(4, Debt::Due));
        unite(&mut owed, &host, &entry(3, Debt::GivenUp));
        assert_eq!(owed[&host], entry(4, Debt::Due));
    }
}
