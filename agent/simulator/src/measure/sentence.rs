//! What a person reads of a measure: the verdict, the margin and the weakest link.

use std::time::Duration;

use curfew_coordinator::HostName;

use super::{Grade, Link, Margin, Measure, Step};
use crate::course::Course;
use crate::words::in_words;

impl Measure {
    /// Returns the verdict, the margin and the weakest link, each a sentence of its own.
    pub fn sentences(&self, course: &Course) -> Vec<String> {
        let mut all = vec![self.verdict(course)];
        if !self.vanished.is_empty() && self.grade > Grade::Vanished {
            all.push(format!("And {} lost power without a word.", names(&self.vanished)));
        }
        all.extend(self.margin.map(|margin| margin_sentence(margin, course)));
        all.extend(self.weakest_sentence());
        all
    }

    /// Returns the sentence on what to mend or shorten first.
    fn weakest_sentence(&self) -> Option<String> {
        if let Some(what) = self.endless_words() {
            return Some(format!("Weakest link: {what}."));
        }
        if self.shutdowns > 1 {
            let lacks = if self.margin.is_none() { "no margin and no" } else { "no" };
            return Some(format!(
                "Here {} shutdowns came one after another, of which {lacks} weakest link is told.",
                self.shutdowns
            ));
        }
        let (weakest, declared) = (self.weakest()?, self.declared_at?);
        let end = self.path.first().map_or(declared, |link| link.to);
        weakest_sentence(weakest, end.saturating_sub(declared))
    }

    /// Returns who hangs and who never begins; none if nobody does.
    fn endless_words(&self) -> Option<String> {
        let of = |step: Step| {
            let links = self.endless().filter(move |link| link.step == step);
            links.map(|link| link.host.clone()).collect::<Vec<_>>()
        };
        let (hanging, idle) = (of(Step::Hangs), of(Step::Idles));
        let hanging = match hanging.as_slice() {
            [] => None,
            [host] => Some(format!("{host} hangs, its stop never ends")),
            all => Some(format!("{} hang, their stops never end", names(all))),
        };
        let idle = match idle.as_slice() {
            [] => None,
            [host] => Some(format!("{host} never began to stop")),
            all => Some(format!("{} never began to stop", names(all))),
        };
        let both: Vec<String> = hanging.into_iter().chain(idle).collect();
        (!both.is_empty()).then(|| both.join("; "))
    }

    fn verdict(&self, course: &Course) -> String {
        let hosts = course.lanes.iter().filter(|lane| lane.is_fed).count();
        match self.grade {
            Grade::NotNeeded => {
                "All is well: the mains were back before a shutdown was needed.".to_owned()
            }
            // The order is that of one shutdown, and a later one began with whoever was back.
            Grade::InOrder if self.shutdowns > 1 => {
                format!(
                    "Nobody lost its power and all are back, after {} shutdowns.",
                    self.shutdowns
                )
            }
            Grade::InOrder => {
                let hosts = if hosts == 1 { "1 host".to_owned() } else { format!("{hosts} hosts") };
                format!("All is well: {hosts}, nobody stopped out of order, all are back.")
            }
            Grade::LatestStart => format!(
                "Nobody lost its power and all are back, but {} could not wait any longer for \
                 those that need it.",
                names(&self.by_latest_start)
            ),
            Grade::Vanished => format!(
                "POWER IS LOST under {}, by itself and without a word; nobody else lost it, and \
                 all are back.",
                names(&self.vanished)
            ),
            Grade::Stranded => {
                format!("NOT EVERYBODY IS BACK: somebody must look at {}.", names(&self.stranded))
            }
            Grade::LostPower => {
                format!("POWER IS LOST under {}, which had not stopped.", names(&self.lost))
            }
            Grade::Broken => {
                let (what, at) = course.violation.as_ref().map_or((String::new(), 0), |it| {
                    (format!("{:?}: {}", it.invariant, it.what), it.at)
                });
                let at = in_words(Duration::from_millis(at.saturating_sub(course.failed_at)));
                format!("AN INVARIANT DOES NOT HOLD {at} after the failure of the mains: {what}")
            }
        }
    }
}

fn margin_sentence(margin: Margin, course: &Course) -> String {
    match margin {
        Margin::Left { millis, charge, at, by_return } => {
            let left = in_words(Duration::from_millis(millis));
            let since = in_words(Duration::from_millis(at.saturating_sub(course.failed_at)));
            let when = if by_return { "the mains returned" } else { "the last host was safe" };
            format!(
                "Margin: when {when}, after {since}, the battery had {charge} % and would have \
                 carried what then had power for another {left}."
            )
        }
        Margin::Missing { millis: Some(millis) } => {
            let more = in_words(Duration::from_millis(millis));
            format!("Margin: the battery would have had to last {more} longer.")
        }
        Margin::Missing { millis: None } => {
            "Margin: no battery would have lasted long enough.".to_owned()
        }
    }
}

fn weakest_sentence(link: &Link, whole: u64) -> Option<String> {
    let took = in_words(Duration::from_millis(link.to - link.from));
    let share = (link.to - link.from) * 100 / whole.max(1);
    let host = &link.host;
    let what = match link.step {
        Step::Stop => format!("the stop of {host} takes {took}"),
        Step::Proof => format!("it takes {took} until it is proven that {host} is gone"),
        Step::Blocks => format!("others wait {took} for {host}, which does not go"),
        Step::Hangs | Step::Idles => return None,
    };
    let of = in_words(Duration::from_millis(whole));
    Some(format!("Weakest link: {what}, {share} % of the {of} from the declaration to the end."))
}

fn names(hosts: &[HostName]) -> String {
    let mut names: Vec<&str> = hosts.iter().map(HostName::as_str).take(NAMED).collect();
    let more = hosts.len().saturating_sub(NAMED);
    let rest = format!("{more} more");
    if more > 0 {
        names.push(&rest);
    }
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, first)) => format!("{} and {last}", first.join(", ")),
        None => String::new(),
    }
}

/// More hosts are counted and not named.
const NAMED: usize = 6;
