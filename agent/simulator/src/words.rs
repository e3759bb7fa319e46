//! What happened in a course, in words for a person.

use std::collections::BTreeSet;
use std::time::Duration;

use curfew_coordinator::{BeginReason, Gate, HostName, Note, ReleaseProof};

use crate::course::Course;
use crate::fact::Fact;
use crate::question::NEVER;
use crate::story::Change;

/// A moment that matters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Moment {
    /// When, in milliseconds since the story began.
    pub at: u64,
    /// The hosts that it is about; none for the mains and the UPS.
    pub hosts: Vec<HostName>,
    /// What happened to them.
    pub what: String,
}

/// Returns the moments that matter, in order; what happens to several hosts within a second is one.
pub fn moments(course: &Course) -> Vec<Moment> {
    let mut all: Vec<Moment> = Vec::new();
    let mut telling = Telling::default();
    for happened in &course.facts {
        if happened.at > course.ended_at {
            break;
        }
        let name = course.lanes.get(happened.host).map(|lane| lane.name.clone());
        let Some((is_of_host, what)) = telling.tell(course, happened.host, &happened.fact) else {
            continue;
        };
        let hosts: Vec<HostName> = name.filter(|_| is_of_host).into_iter().collect();
        let is_near = |known: &&mut Moment| happened.at - known.at <= TOGETHER;
        let same = all.iter_mut().rev().take_while(is_near).find(|known| known.what == what);
        match same {
            Some(known) => known.hosts.extend(hosts.into_iter().filter(|_| is_of_host)),
            None => all.push(Moment { at: happened.at, hosts, what }),
        }
    }
    all
}

impl Moment {
    /// Returns it as a sentence: what one host did, or several.
    pub fn sentence(&self) -> String {
        let names: Vec<&str> = self.hosts.iter().map(HostName::as_str).collect();
        let subject = match names.as_slice() {
            [] => return self.what.clone(),
            [name] => return format!("{name} {}", self.what),
            [first, second] => format!("{first} and {second}"),
            [first, second, third] => format!("{first}, {second} and {third}"),
            [first, rest @ ..] => format!("{first} and {} more", rest.len()),
        };
        if self.what == LOSES {
            return format!("{subject} LOSE THEIR POWER WHILE THEY RUN");
        }
        let (verb, rest) = self.what.split_once(' ').unwrap_or((&self.what, ""));
        let (verb, colon) = verb.strip_suffix(':').map_or((verb, ""), |verb| (verb, ":"));
        let plural = match verb {
            "is" => "are",
            "its" => "their",
            "goes" => "go",
            "misses" => "miss",
            "does" => "do",
            other => other.strip_suffix('s').unwrap_or(other),
        };
        format!("{subject} {plural}{colon} {rest}")
    }
}

/// What was told already, so that it is told once.
#[derive(Default)]
struct Telling {
    /// Who let each host go last.
    released: Vec<(usize, HostName, ReleaseProof)>,
    woken: BTreeSet<HostName>,
    turned: BTreeSet<u64>,
    declared: BTreeSet<u64>,
    warned: BTreeSet<String>,
}

impl Telling {
    /// Returns what happened, and whether it is said of the host; none for what need not be said.
    fn tell(&mut self, course: &Course, host: usize, fact: &Fact) -> Option<(bool, String)> {
        let of_host = |what: String| Some((true, what));
        let of_world = |what: &str| Some((false, what.to_owned()));
        match fact {
            Fact::MainsFailed => of_world("THE MAINS FAIL"),
            Fact::MainsReturned => of_world("THE MAINS ARE BACK"),
            Fact::OutputOpened { by_command: true } => of_world("the UPS cuts its output"),
            Fact::OutputOpened { by_command: false } => of_world("THE BATTERY IS EMPTY"),
            Fact::OutputClosed => of_world("the UPS gives power again"),
            Fact::Held => of_host("holds: nothing served or written, switched on".to_owned()),
            Fact::Off { is_clean: true } => of_host("is off".to_owned()),
            Fact::Off { is_clean: false } => of_host(LOSES.to_owned()),
            Fact::Rebooted => of_host("boots out of its hold".to_owned()),
            Fact::Served => {
                self.woken.retain(|name| name.as_str() != course.name(host));
                of_host("is up again".to_owned())
            }
            Fact::PacketSent { to, .. } => {
                let is_first = self.woken.insert(to.clone());
                is_first.then(|| (true, format!("sends {to} a magic packet")))
            }
            Fact::Changed(change) => changed(change).map(|what| (change.host().is_some(), what)),
            Fact::Note(note) => self.note(host, note).map(|what| (true, what)),
            Fact::Healed
            | Fact::StopCalled(_)
            | Fact::StopBegan
            | Fact::StopRepeated
            | Fact::Halted
            | Fact::Unmounted
            | Fact::Booted
            | Fact::AgentStarted
            | Fact::AgentEnded => None,
        }
    }

    fn note(&mut self, host: usize, note: &Note) -> Option<String> {
        match note {
            Note::Declared { number, evidence, .. } => {
                let says = if self.declared.insert(*number) { "declares" } else { "also declares" };
                Some(format!("{says} shutdown {number}: {evidence}"))
            }
            Note::Released { host: dependent, how } => {
                self.released.retain(|(waits, ..)| *waits != host);
                self.released.push((host, dependent.clone(), *how));
                None
            }
            Note::Began { end, why } => {
                let last = self.released.iter().find(|(waits, ..)| *waits == host);
                let last = last.map(|(_, dependent, how)| (dependent, *how));
                Some(format!("{}: {}", end.in_words(), reason(*why, last)))
            }
            Note::Paused => Some("waits: it reads mains".to_owned()),
            Note::Resumed => Some("goes on: the mains are away again".to_owned()),
            Note::StopFailed { why, .. } => Some(format!("its stop failed: {why}")),
            Note::Lost { host } => Some(format!("misses {host}, which fell silent without a word")),
            Note::AskedAbout { host } => Some(format!("asks to look at {host}")),
            Note::Turned { number, why } => self
                .turned
                .insert(*number)
                .then(|| format!("turns shutdown {number}: {}", why.in_words())),
            Note::GatePassed { gate, by_limit: true } => {
                Some(format!("waits no longer until {}", gate.in_words()))
            }
            Note::GatePassed { gate: gate @ (Gate::Mains | Gate::Charge), by_limit: false } => {
                Some(format!("goes on with the recovery: {}", gate.in_words()))
            }
            Note::PassedBy { host, why } => {
                Some(format!("goes on without {host}: {}", why.in_words()))
            }
            Note::Ended { number, missing } => Some(ended(*number, missing)),
            Note::Warned { text } => {
                self.warned.insert(text.clone()).then(|| format!("warns: {text}"))
            }
            Note::BlindHeard { number, by } => {
                Some(format!("does not follow {by}, which declared {number} without readings"))
            }
            Note::PlannedStopSeen { stop, .. } => {
                Some(format!("{}: somebody wants it", stop.in_words()))
            }
            Note::PlannedStopTakenBack => Some("is not stopped any more".to_owned()),
            Note::OwnerLeaves { is_cut: true } => Some("has the UPS cut when it is off".to_owned()),
            Note::OwnerLeaves { is_cut: false } => {
                Some("stays off when the mains return".to_owned())
            }
            Note::PlannedStopOverdue { host } => {
                Some(format!("misses {host}, which was to boot again"))
            }
            Note::WithoutAgent { host } => Some(format!("sees {host} run without its agent")),
            Note::AgentBack { host } => Some(format!("hears the agent of {host} again")),
            Note::PhaseChanged { .. }
            | Note::Recovered { .. }
            | Note::JournalLost
            | Note::MainsLost
            | Note::MainsBack
            | Note::Latched { .. }
            | Note::EndedHeard { .. }
            | Note::ForeignSent { .. }
            | Note::StopAccepted
            | Note::Off { .. }
            | Note::Conducting { .. }
            | Note::GatePassed { gate: Gate::Exports, .. }
            | Note::Woken { .. }
            | Note::Ready { .. }
            | Note::PlannedStopHeard { .. }
            | Note::PlannedStopOver { .. } => None,
        }
    }
}

fn changed(change: &Change) -> Option<String> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "what no question asks is shown as it is")]
    let what = match change {
        Change::MainsFail | Change::MainsReturn => return None,
        Change::HostCrashed { .. } => "loses its power without a word",
        Change::HostStarted { .. } => "is switched on",
        Change::StopTakes { span: Some(NEVER), .. } => "will hang in its stop",
        Change::AgentKilled { back_after: None, .. } => "its agent ends for good",
        Change::Unplugged { .. } => "its network cable is out",
        Change::CutIgnored { .. } => "the UPS will ignore the command to cut",
        other => return Some(format!("{other:?}")),
    };
    Some(what.to_owned())
}

fn reason(why: BeginReason, last: Option<(&HostName, ReleaseProof)>) -> String {
    let proof = last.map(|(host, how)| match how {
        ReleaseProof::Halting => {
            format!("; {host} was the last, its workloads and mounts are gone")
        }
        ReleaseProof::Off => format!("; {host} was the last, it is off"),
        ReleaseProof::Absent => format!("; {host} was the last, it is not there"),
    });
    match why {
        BeginReason::NoDependents => "nobody needs it".to_owned(),
        BeginReason::Released => format!("all are gone that need it{}", proof.unwrap_or_default()),
        BeginReason::AllOff => format!("all others are off{}", proof.unwrap_or_default()),
        BeginReason::LatestStart => "ITS LATEST START HAS COME".to_owned(),
        BeginReason::StoppedByOther => "somebody stops it".to_owned(),
    }
}

fn ended(number: u64, missing: &BTreeSet<HostName>) -> String {
    if missing.is_empty() {
        return format!("ends shutdown {number}: everybody is back");
    }
    let names: Vec<&str> = missing.iter().map(HostName::as_str).collect();
    format!("ends shutdown {number} WITHOUT {}", names.join(", "))
}

/// Returns a duration in the two units that matter: `45s`, `2m 10s`, `1h 5m`.
pub fn in_words(span: Duration) -> String {
    let whole = (span + Duration::from_millis(500)).as_secs();
    match whole {
        0..60 => format!("{whole}s"),
        60..3600 if whole.is_multiple_of(60) => format!("{}m", whole / 60),
        60..3600 => format!("{}m {}s", whole / 60, whole % 60),
        _ if whole % 3600 / 60 == 0 => format!("{}h", whole / 3600),
        _ => format!("{}h {}m", whole / 3600, whole % 3600 / 60),
    }
}

/// What becomes of a host that had something to lose.
const LOSES: &str = "LOSES ITS POWER WHILE IT RUNS";
/// What happens to several hosts within this time is told together.
const TOGETHER: u64 = 1_000;
