//! Who is still to be woken: entries that others keep too, struck by whoever sees them done.

use super::Coordinator;
use crate::owed::{Debt, unite};
use crate::{HostName, Line, Owed, Phase};

impl Coordinator {
    /// Strikes what is done, and owes hosts that fell silent on battery.
    pub(super) fn strike_owed(&mut self) {
        let done: Vec<HostName> = self
            .owed
            .iter()
            .filter(|(host, entry)| self.is_settled(host, entry))
            .map(|(host, _)| host.clone())
            .collect();
        for host in done {
            self.owed.remove(&host);
        }
        self.owe_the_silent();
    }

    /// Returns whether an entry has come to its end: the host is heard up in another boot, or up
    /// in the same one with no shutdown open.
    pub(super) fn is_settled(&self, host: &HostName, entry: &Owed) -> bool {
        let is_up = if *host == self.me {
            self.phase() == Phase::Up
        } else {
            self.peers.get(host).is_some_and(|peer| {
                peer.is_connected(self.now, self.settings()) && peer.phase == Some(Phase::Up)
            })
        };
        if !is_up {
            return false;
        }
        let is_other_boot = self.boot_of(host) != entry.boot && entry.boot.is_some();
        is_other_boot || self.shutdown.is_none()
    }

    /// A host heard `up` that falls silent on battery may have lost its power: somebody must wake
    /// it, whether or not it ever hears of a shutdown.
    fn owe_the_silent(&mut self) {
        if self.line_gone_by() != Line::Battery {
            return;
        }
        let lost: Vec<HostName> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.is_lost(self.now, self.settings()))
            .map(|(name, _)| name.clone())
            .collect();
        for host in lost {
            if self.owed.contains_key(&host) {
                continue;
            }
            let entry = Owed { boot: self.boot_of(&host), number: self.highest, debt: Debt::Due };
            unite(&mut self.owed, &host, &entry);
        }
    }
}
