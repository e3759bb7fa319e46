//! Whether this host's own link works: only then does the silence of others mean anything.

use crate::{BuiltIn, Link, OffProof, Time};

/// What is known of the link to the peers.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct LinkWatch {
    carrier_since: Option<Time>,
    frame_at: Option<Time>,
    gateway_at: Option<Time>,
}

impl LinkWatch {
    /// Takes one look into account.
    pub(crate) fn on_seen(&mut self, now: Time, link: Link) {
        if link.has_carrier == Some(true) {
            self.carrier_since.get_or_insert(now);
        } else {
            self.carrier_since = None;
        }
        if link.heard_gateway == Some(true) {
            self.gateway_at = Some(now);
        }
        // The gateway is another sender too: behind it an owner that is the first to come back
        // would otherwise have nobody to prove its link by.
        if link.heard_frame == Some(true) || link.heard_gateway == Some(true) {
            self.frame_at = Some(now);
        }
    }

    /// Returns whether silence of others proves something now.
    ///
    /// The link has carrier *and* a frame of another sender came within 3 s; if no gateway has
    /// answered since the mains failed, carrier without a break for 15 s is enough: a dead switch
    /// takes the carrier with it, and in a cluster that goes down there may be nobody left to send
    /// a frame.
    pub(crate) fn works(
        &self,
        now: Time,
        mains_lost: Time,
        proof: OffProof,
        limits: &BuiltIn,
    ) -> bool {
        if proof == OffProof::Session {
            return true;
        }
        let Some(carrier_since) = self.carrier_since else { return false };
        if self.frame_at.is_some_and(|at| now.since(at) <= limits.frame_window) {
            return true;
        }
        let gateway_is_gone = self.gateway_at.is_none_or(|at| at < mains_lost);
        gateway_is_gone && now.since(carrier_since) >= limits.carrier_hold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Link =
        Link { has_carrier: Some(true), heard_frame: Some(true), heard_gateway: Some(true) };

    fn at(seconds: u64) -> Time {
        Time::from_millis(seconds * 1000)
    }

    fn works(watch: &LinkWatch, now: Time) -> bool {
        watch.works(now, at(50), OffProof::Network, &BuiltIn::default())
    }

    #[test]
    fn a_link_that_was_never_looked_at_proves_nothing() {
        assert!(!works(&LinkWatch::default(), at(100)));
    }

    #[test]
    fn carrier_and_a_frame_of_another_sender_within_three_seconds_prove_the_link() {
        let mut watch = LinkWatch::default();
        watch.on_seen(at(100), ALL);
        assert!(works(&watch, at(103)));
        assert!(!works(&watch, at(104)), "the gateway answered since the mains failed");
    }

    #[test]
    fn carrier_alone_is_enough_after_fifteen_seconds_when_the_gateway_died_with_the_mains() {
        let mut watch = LinkWatch::default();
        watch.on_seen(at(40), ALL);
        let quiet = Link { heard_frame: Some(false), heard_gateway: Some(false), ..ALL };
        watch.on_seen(at(54), quiet);
        assert!(!works(&watch, at(54)));
        watch.on_seen(at(55), quiet);
        assert!(works(&watch, at(55)));
    }

    #[test]
    fn a_gateway_that_answers_is_another_sender() {
        let mut watch = LinkWatch::default();
        watch.on_seen(at(100), Link { heard_frame: Some(false), ..ALL });
        assert!(works(&watch, at(103)));
    }

    #[test]
    fn a_break_of_the_carrier_starts_its_fifteen_seconds_anew() {
        let mut watch = LinkWatch::default();
        watch.on_seen(at(60), Link { has_carrier: Some(true), ..Link::default() });
        watch.on_seen(at(70), Link { has_carrier: Some(false), ..Link::default() });
        watch.on_seen(at(71), Link { has_carrier: Some(true), ..Link::default() });
        assert!(!works(&watch, at(80)));
        assert!(works(&watch, at(86)));
    }

    #[test]
    fn where_hosts_share_one_machine_the_link_is_not_asked() {
        let watch = LinkWatch::default();
        assert!(watch.works(at(1), at(0), OffProof::Session, &BuiltIn::default()));
    }
}
