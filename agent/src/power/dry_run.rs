//! The dry run: says what it would do and changes nothing.

use tracing::info;

use super::{Cut, Outcome, Reason, Stopping};

/// Accepts every call and does nothing.
#[derive(Clone, Debug, Default)]
pub struct DryRunPower;

impl DryRunPower {
    pub(super) fn stop(&self, reason: &Reason) -> Outcome {
        self.say("power off", reason)
    }

    pub(super) fn hold(&self, reason: &Reason) -> Outcome {
        self.say("enter the hold", reason)
    }

    pub(super) fn cut(&self, reason: &Reason, cut: &Cut) -> Outcome {
        let Cut { method, earliest } = cut;
        info!(shutdown = reason.shutdown, method, ?earliest, "dry run: would have the UPS cut");
        self.say("power off", reason)
    }

    pub(super) fn reboot(&self, reason: &Reason) -> Outcome {
        self.say("reboot", reason)
    }

    /// Nothing ever runs, so that the answer is known.
    #[expect(clippy::unused_self, reason = "each kind of power answers alike")]
    pub(super) fn is_stopping(&self) -> Stopping {
        Stopping::Idle
    }

    #[expect(clippy::unused_self, reason = "each kind of power answers alike")]
    fn say(&self, what: &str, reason: &Reason) -> Outcome {
        let Reason { shutdown, cause, attempt: _ } = reason;
        info!(shutdown, cause = cause.as_str(), what, "dry run: would act on the power");
        Outcome::Accepted
    }
}
