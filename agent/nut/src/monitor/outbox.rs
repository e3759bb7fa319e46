//! Updates to a consumer that may lag, without waiting for it and without growing.
//!
//! The channel drops nothing that it took, so a full one would keep the oldest and lose the newest.
//! Here the newest of each kind waits in a slot of its own until there is room.

use std::sync::Arc;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};

use crate::monitor::update::{Connection, Update};
use crate::probe::Capabilities;

#[derive(Debug)]
pub(super) struct Outbox {
    updates: mpsc::Sender<Update>,
    latest: watch::Sender<Option<Update>>,
    /// What waits for room, in the order of telling.
    connected: Option<Update>,
    probed: Option<Update>,
    newest: Option<Update>,
}

impl Outbox {
    pub(super) fn new(
        updates: mpsc::Sender<Update>,
        latest: watch::Sender<Option<Update>>,
    ) -> Self {
        Self { updates, latest, connected: None, probed: None, newest: None }
    }

    /// Tells of a new connection; what waits of the one before is no longer of interest.
    pub(super) fn connected(&mut self, connection: Connection) {
        self.connected = Some(Update::Connected(connection));
        self.probed = None;
        self.newest = None;
        self.flush();
    }

    pub(super) fn probed(&mut self, session: u64, capabilities: Arc<Capabilities>) {
        self.probed = Some(Update::Probed { session, capabilities });
        self.flush();
    }

    /// Tells the newest state: a reading, or that there is none.
    pub(super) fn newest(&mut self, update: Update) {
        self.latest.send_replace(Some(update.clone()));
        self.newest = Some(update);
        self.flush();
    }

    fn flush(&mut self) {
        for slot in [&mut self.connected, &mut self.probed, &mut self.newest] {
            let Some(update) = slot.take() else { continue };
            match self.updates.try_send(update) {
                // A consumer that is gone wants nothing more; `latest` may still be read.
                Ok(()) | Err(TrySendError::Closed(_)) => {}
                Err(TrySendError::Full(update)) => {
                    *slot = Some(update);
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::snapshot::Snapshot;

    fn polled(session: u64, charge: u8) -> Update {
        let rows = [("battery.charge".to_owned(), charge.to_string())];
        Update::Polled(Arc::new(Snapshot::new("u", session, Instant::now(), rows)))
    }

    fn connection(session: u64) -> Connection {
        Connection { session, address: None, version: None, network_version: None }
    }

    #[tokio::test]
    async fn a_consumer_that_lagged_gets_the_connection_and_then_the_newest_reading() {
        let (sender, mut updates) = mpsc::channel(1);
        let mut outbox = Outbox::new(sender, watch::channel(None).0);
        let (first, second, third) = (polled(1, 1), polled(1, 2), polled(2, 3));
        outbox.newest(first.clone());
        outbox.newest(second);
        outbox.connected(connection(2));
        outbox.newest(third.clone());
        assert_eq!(updates.try_recv(), Ok(first));
        outbox.newest(third.clone());
        assert_eq!(updates.try_recv(), Ok(Update::Connected(connection(2))));
        outbox.newest(third.clone());
        assert_eq!(updates.try_recv(), Ok(third));
        assert!(updates.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_consumer_that_is_gone_does_not_matter() {
        let (sender, updates) = mpsc::channel(1);
        let (newest, latest) = watch::channel(None);
        let mut outbox = Outbox::new(sender, newest);
        drop(updates);
        outbox.newest(polled(1, 1));
        assert!(latest.borrow().is_some());
    }
}
