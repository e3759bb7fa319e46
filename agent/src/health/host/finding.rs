//! What was found of many things of one kind, told in one check: the worst first.

use std::cmp::Ordering;

use super::super::{Check, State};

/// One thing that is worth a word.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) state: State,
    /// Of two in the same state the heavier one is told first.
    pub(super) weight: f64,
    /// One clause; of what is unknown, why.
    pub(super) reason: String,
    pub(super) remedy: String,
}

impl Finding {
    /// Returns one that is as grave as any of its state.
    pub(super) fn new(state: State, reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { state, weight: 0.0, reason: reason.into(), remedy: remedy.into() }
    }

    fn gravity(&self, other: &Self) -> Ordering {
        self.state.cmp(&other.state).then(self.weight.total_cmp(&other.weight))
    }
}

/// Returns the check: the worst finding and how many more there are, else what is fine.
pub(super) fn check(name: &str, findings: Vec<Finding>, fine: impl FnOnce() -> String) -> Check {
    let count = |state: State| findings.iter().filter(|it| it.state >= state).count();
    let (known, all) = (count(State::Warn), findings.len());
    let Some(worst) = findings.into_iter().max_by(Finding::gravity) else {
        return Check::pass(name, fine());
    };
    let Finding { state, reason, remedy, .. } = worst;
    let more = if state == State::Unknown { all } else { known } - 1;
    let reason = if more == 0 { reason } else { format!("{reason}, and {more} more") };
    match state {
        State::Pass => Check::pass(name, reason),
        State::Unknown => Check::unknown(name, reason, Some(&remedy)),
        State::Warn => Check::warn(name, reason, remedy),
        State::Fail => Check::fail(name, reason, remedy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_comes_first_and_the_others_are_counted() {
        let finding = |state, weight, reason: &str| Finding {
            weight,
            ..Finding::new(state, reason, "mend it")
        };
        let all = vec![
            finding(State::Warn, 9.0, "sdb is odd"),
            finding(State::Unknown, 0.0, "sdd does not answer"),
            finding(State::Fail, 1.0, "sda is gone"),
            finding(State::Fail, 2.0, "sdc is worse"),
        ];
        let told = check("disks", all.clone(), String::new);
        assert_eq!(told, Check::fail("disks", "sdc is worse, and 2 more", "mend it"));
        let unknown = check("disks", vec![all[1].clone()], String::new);
        let sentence = "unknown: sdd does not answer: mend it";
        assert_eq!((unknown.state, unknown.sentence().as_str()), (State::Unknown, sentence));
        let fine = check("disks", Vec::new(), || "2 disks".to_owned());
        assert_eq!(fine, Check::pass("disks", "2 disks"));
    }
}
