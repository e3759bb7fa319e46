//! A healthy cluster, and what each thing that is wrong with it looks like.

mod absence;
mod expectation;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use curfew_coordinator::{
    Abilities, Cause, Debt, HostName, HostStatus, Line, OsStop, Owed, Phase, PlanStatus,
    PlannedStop, Presence, Reason, ShutdownStatus, Standing, Status, Time, Trigger, UpsStatus,
};
use curfew_nut::delay::Delays;
use tokio::time::Instant;

use super::*;
use crate::battery::charge::Charging;
use crate::battery::trend::{Record, Verdict};
use crate::battery::{self, Test};
use crate::journal;
use crate::snapshot::{OwnedUps, WatchedUps};

/// A host on a good day.
fn good(name: &HostName) -> HostStatus {
    HostStatus {
        phase: Some(Phase::Up),
        presence: Presence::Connected,
        absence: None,
        planned_stop: None,
        heard: Some(Duration::from_millis(300)),
        waiting_for: BTreeSet::new(),
        is_ready: Some(true),
        mounts: Some(BTreeSet::new()),
        client_addresses: BTreeSet::new(),
        version: Some("0.1.0".to_owned()),
        has_other_file: false,
        boot: Some(format!("boot-of-{name}").into()),
        clock_skew_seconds: Some(0),
    }
}

/// The reference cluster as `nfs` sees it on a good day.
pub(crate) fn snapshot() -> Snapshot {
    let seconds = Duration::from_secs;
    let names = ["k8s-1", "k8s-2", "nfs"].map(HostName::from);
    let stop = |takes| PlannedStop { takes, measured: Vec::new(), latest_start_in: None };
    let status = Status {
        host: "nfs".into(),
        owner: "nfs".into(),
        phase: Phase::Up,
        is_paused: false,
        is_conducting: false,
        recovery: None,
        planned_stop: None,
        live_dependents: BTreeSet::new(),
        ups: UpsStatus {
            name: "eaton".to_owned(),
            line: Line::Mains,
            age: Some(Duration::from_millis(400)),
            on_battery_for: None,
            charge: Some(100),
            runtime_left: Some(seconds(1800)),
            is_low: false,
            abilities: Some(Abilities { returns: false, shutdown_delay: Some(seconds(20)) }),
            is_return_promised: false,
            is_force_left_over: false,
            missed: None,
        },
        plan: PlanStatus {
            time_needed: seconds(412),
            runtime_left: Some(seconds(1800)),
            margin_millis: Some(1_328_000),
            stop_times: names.iter().map(|name| (name.clone(), stop(seconds(180)))).collect(),
        },
        shutdown: None,
        ended: 6,
        hosts: names.iter().map(|name| (name.clone(), good(name))).collect(),
        owed: BTreeMap::new(),
        warnings: BTreeSet::new(),
        triggers: BTreeSet::new(),
        journal_failure: None,
    };
    Snapshot {
        status,
        at: Time::from_millis(3_600_000),
        taken: Instant::now(),
        running_for: seconds(3600),
        fresh: seconds(3),
        ups_variables: VARIABLES.map(|(name, value)| (name.into(), value.into())).into(),
        returns: None,
        owned: Some(owned()),
        watched: Vec::new(),
        places: Arc::default(),
        certificates: [("nfs".to_owned(), 2_110_000_000)].into(),
        journal: journal::Report::default(),
        past: Some(Arc::new(crate::past::Past::new("nfs".into()))),
        battery: Some(Arc::new(battery())),
        nfs_server: None,
        holding: None,
        filesystems: None,
        units: None,
        host: None,
        smart: None,
        talos: None,
        extra: Vec::new(),
    }
}

/// What `upsd` says of an Eaton 5E.
const VARIABLES: [(&str, &str); 8] = [
    ("battery.charge", "100"),
    ("battery.runtime", "1800"),
    ("battery.voltage", "27.3"),
    ("device.mfr", "EATON"),
    ("device.model", "Eaton 5E 1100i"),
    ("ups.beeper.status", "enabled"),
    ("ups.status", "OL CHRG"),
    ("ups.firmware", "01.10.0005"),
];

/// A battery that is full, and lasts almost as it once did.
pub(crate) fn battery() -> battery::Report {
    let record = |date, runtime| Record { date, runtime, load: 26.0 };
    let (first, last) = (record(1_767_225_600, 1900.0), record(1_795_305_600, 1800.0));
    battery::Report {
        taken: Instant::now(),
        reading: battery::reading(
            &VARIABLES.map(|(name, value)| (name.into(), value.into())).into(),
        ),
        asks_for_new_for: None,
        charging: Charging::Full,
        full: Some(last),
        verdict: Verdict::Compared { first, last, ratio: 0.95, is_worn: false },
        problem: None,
        problem_for: Duration::ZERO,
    }
}

/// What its owner knows of an Eaton 5E.
fn owned() -> OwnedUps {
    OwnedUps {
        cut_method: Some("load.off.delay"),
        delays: Delays { shutdown: Some(Duration::from_secs(20)), ..Delays::default() },
        foreign_clients: Some(0),
    }
}

/// Opens a shutdown for `trigger` and `cause`.
pub(crate) fn declare(snapshot: &mut Snapshot, trigger: Trigger, cause: Cause) {
    let reason = Reason {
        by: "nfs".into(),
        trigger,
        cause,
        evidence: "400 s left".to_owned(),
        then_wake: false,
    };
    let participants = snapshot.status.hosts.keys().cloned().collect();
    snapshot.status.shutdown = Some(ShutdownStatus {
        number: 7,
        standing: Standing::Declared,
        reasons: BTreeSet::from([reason]),
        participants,
        time_left: Some(Duration::from_secs(400)),
        is_compressed: false,
    });
}

fn host<'a>(snapshot: &'a mut Snapshot, name: &str) -> &'a mut HostStatus {
    snapshot.status.hosts.get_mut(&HostName::from(name)).unwrap()
}

/// Returns the check `name` after `change`: its state, and all that it says.
fn look(name: &str, change: impl FnOnce(&mut Snapshot)) -> (State, String) {
    let mut snapshot = snapshot();
    change(&mut snapshot);
    let health = Health::of(&snapshot);
    let check = health.checks.iter().find(|check| check.name == name).expect("the check is there");
    (check.state, check.sentence())
}

/// Looks as `seconds` had passed since the snapshot.
fn passed(snapshot: &mut Snapshot, seconds: u64) {
    snapshot.taken = snapshot.taken.checked_sub(Duration::from_secs(seconds)).unwrap();
}

#[test]
fn a_healthy_cluster_passes_and_is_ready() {
    let health = Health::of(&snapshot());
    assert_eq!((health.state, health.obstacles.len()), (State::Pass, 0), "{health:#?}");
    let names: BTreeSet<_> = health.checks.iter().map(|check| &check.name).collect();
    assert_eq!(names.len(), health.checks.len());
    assert!(names.iter().all(|name| *name != "peer-nfs"), "a host is no peer of its own");
}

#[test]
fn a_reading_that_grows_old_warns_and_then_fails() {
    let at = |seconds| look("ups-contact", |snapshot| passed(snapshot, seconds));
    assert_eq!(at(0), (State::Pass, "reading 0.4 s old".to_owned()));
    assert_eq!(at(3).0, State::Warn);
    let (state, sentence) = at(20);
    assert_eq!(state, State::Fail);
    assert_eq!(
        sentence,
        "the last reading of eaton is 20 s old: on nfs see whether upsd and its driver run, `upsc \
         eaton` and the USB cable; if all is well there, LISTEN in its upsd.conf and TCP port 3493"
    );
}

#[test]
fn no_reading_at_all_is_forgiven_only_at_the_start() {
    let at = |running_for| {
        look("ups-contact", |snapshot| {
            snapshot.status.ups.age = None;
            snapshot.status.ups.missed = Some("connection refused".to_owned());
            snapshot.running_for = Duration::from_secs(running_for);
        })
    };
    assert_eq!(at(5).0, State::Warn);
    let (state, sentence) = at(60);
    assert_eq!(state, State::Fail);
    assert!(sentence.contains("since the agent started (connection refused): "), "{sentence}");
}

#[test]
fn battery_warns_and_a_low_one_fails() {
    let battery = |is_low| {
        look("ups-supply", |snapshot| {
            snapshot.status.ups.line = Line::Battery;
            snapshot.status.ups.on_battery_for = Some(Duration::from_secs(40));
            snapshot.status.ups.is_low = is_low;
        })
    };
    let (state, sentence) = battery(false);
    assert_eq!(state, State::Warn);
    assert!(sentence.starts_with("on battery for 40 s, charge 100 %, 1800 s left: "), "{sentence}");
    assert_eq!(battery(true).0, State::Fail);
}

#[test]
fn the_verdict_of_the_end_is_a_sentence_for_each_case() {
    let offers = |returns| Some(Abilities { returns, shutdown_delay: None });
    // By the file, by the UPS, the command, whether the owner goes by a promise.
    let cases = [
        (
            None,
            offers(true),
            Some("shutdown.return"),
            true,
            "eaton offers shutdown.return: nfs will",
        ),
        (Some(true), offers(false), Some("load.off.delay"), true, "proven to return"),
        (Some(true), None, None, true, "proven to return"),
        (
            Some(false),
            offers(true),
            Some("shutdown.return"),
            false,
            "`returns = false`): nfs will h",
        ),
        (None, None, None, false, "not known until it has been asked: nfs will hold"),
        (None, offers(true), Some("shutdown.return"), false, "nfs has no `cut` command to use it"),
    ];
    for (returns, abilities, method, is_promised, words) in cases {
        let (state, sentence) = look("ups-end", |snapshot| {
            snapshot.returns = returns;
            snapshot.status.ups.abilities = abilities;
            snapshot.status.ups.is_return_promised = is_promised;
            snapshot.owned.as_mut().unwrap().cut_method = method;
        });
        assert_eq!(state, State::Pass, "{sentence}");
        assert!(sentence.contains(words), "{words}: {sentence}");
    }
    let (state, sentence) = look("ups-end", |snapshot| {
        snapshot.returns = Some(true);
        snapshot.status.ups.is_return_promised = true;
        snapshot.owned.as_mut().unwrap().cut_method = None;
    });
    assert_eq!(state, State::Warn, "a proven return without a command to cut");
    assert!(sentence.contains("nfs holds"), "{sentence}");
    let (_, sentence) = look("ups-end", |snapshot| {
        snapshot.owned = None;
        snapshot.status.ups.abilities = None;
    });
    assert!(sentence.contains("nfs asks eaton"), "another host: {sentence}");
}

#[test]
fn delays_that_do_not_fit_a_cut_say_which_to_set() {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let check = |shutdown, start, is_in_minutes| {
        look("ups-delays", |snapshot| {
            snapshot.status.ups.is_return_promised = true;
            let delays = &mut snapshot.owned.as_mut().unwrap().delays;
            *delays = Delays { shutdown, start, asked_shutdown: None, is_in_minutes };
        })
    };
    for (shutdown, start, is_in_minutes, words) in [
        (seconds(20), seconds(20), false, "the start must be the longer one"),
        (seconds(20), seconds(25), false, "off for 5.0 s only"),
        (seconds(120), seconds(180), false, "cannot wait longer than 60 s"),
        (seconds(0), seconds(60), true, "cut at once"),
    ] {
        let (state, sentence) = check(shutdown, start, is_in_minutes);
        assert_eq!(state, State::Warn, "{sentence}");
        assert!(sentence.contains(words) && sentence.contains("offdelay = "), "{sentence}");
    }
    for (shutdown, start, is_in_minutes) in [
        (seconds(20), seconds(30), false),
        (seconds(20), None, false),
        (seconds(60), seconds(120), true),
    ] {
        let (state, sentence) = check(shutdown, start, is_in_minutes);
        assert_eq!(state, State::Pass, "{sentence}");
    }
    let (state, _) = look("ups-delays", |snapshot| {
        snapshot.owned.as_mut().unwrap().delays.start = seconds(0);
    });
    assert_eq!(state, State::Pass, "of no matter where the owner holds");
}

#[test]
fn a_latch_without_a_shutdown_fails_with_the_command() {
    let (state, sentence) = look("ups-fsd", |snapshot| {
        snapshot.status.ups.is_force_left_over = true;
    });
    assert_eq!(state, State::Fail);
    assert!(sentence.contains("on nfs run `systemctl restart nut-server`"), "{sentence}");
}

#[test]
fn the_end_without_a_promise_is_told_and_no_fault() {
    let (state, sentence) = look("ups-end", |_| {});
    assert_eq!(state, State::Pass);
    assert_eq!(
        sentence,
        "eaton does not promise to come back after a cut: nfs will hold until the mains return or \
         the battery is empty"
    );
}

#[test]
fn a_plan_that_does_not_fit_fails_on_mains_only() {
    let tight = |snapshot: &mut Snapshot| {
        snapshot.status.plan.runtime_left = Some(Duration::from_mins(5));
        snapshot.status.plan.margin_millis = Some(-172_000);
    };
    let (state, sentence) = look("plan-margin", tight);
    assert_eq!(state, State::Fail);
    let start = "an outage now could not be finished: needed 412 s, battery gives 300 s: ";
    assert!(sentence.starts_with(start), "{sentence}");
    let on_battery = look("plan-margin", |snapshot| {
        tight(snapshot);
        snapshot.status.ups.line = Line::Battery;
    });
    assert_eq!(on_battery.0, State::Warn);
    let unknown = look("plan-margin", |snapshot| {
        snapshot.status.plan.runtime_left = None;
        snapshot.status.plan.margin_millis = None;
    });
    assert_eq!(unknown.0, State::Warn);
}

#[test]
fn a_peer_is_judged_by_its_presence() {
    let seen = |presence, heard: Option<u64>, running_for| {
        let state = look("peer-k8s-1", |snapshot| {
            let host = host(snapshot, "k8s-1");
            host.presence = presence;
            host.heard = heard.map(Duration::from_secs);
            snapshot.running_for = Duration::from_secs(running_for);
        });
        state.0
    };
    assert_eq!(seen(Presence::Connected, Some(0), 5), State::Pass);
    assert_eq!(seen(Presence::Silent, Some(5), 3600), State::Warn);
    assert_eq!(seen(Presence::Silent, Some(31), 3600), State::Fail);
    assert_eq!(seen(Presence::Lost, Some(5), 3600), State::Fail);
    assert_eq!(seen(Presence::Unknown, None, 5), State::Warn);
    assert_eq!(seen(Presence::Unknown, None, 31), State::Fail);
    assert_eq!(seen(Presence::Off, Some(60), 3600), State::Fail);
}

#[test]
fn a_peer_that_is_off_for_a_reason_passes() {
    let off = |snapshot: &mut Snapshot| host(snapshot, "k8s-1").presence = Presence::Off;
    let in_shutdown = look("peer-k8s-1", |snapshot| {
        off(snapshot);
        declare(snapshot, Trigger::Computed, Cause::Battery);
    });
    assert_eq!(in_shutdown, (State::Pass, "off, as the shutdown wants it".to_owned()));
    let by_intent = look("peer-k8s-1", |snapshot| {
        off(snapshot);
        let owed = Owed { boot: None, number: 6, debt: Debt::Intended };
        snapshot.status.owed.insert("k8s-1".into(), owed);
    });
    assert_eq!(by_intent, (State::Pass, "off by intent, until `curfew wake k8s-1`".to_owned()));
}

#[test]
fn a_host_that_waits_for_another_says_for_which() {
    let waiting = |snapshot: &mut Snapshot| {
        host(snapshot, "k8s-1").waiting_for = BTreeSet::from(["nfs".into()]);
    };
    let (state, sentence) = look("peer-k8s-1", waiting);
    assert_eq!(state, State::Warn);
    assert!(sentence.starts_with("up, but not ready: waiting for nfs: "), "{sentence}");
    let mut own = snapshot();
    waiting(&mut own);
    own.status.host = "k8s-1".into();
    assert_eq!(Health::of(&own).obstacles, ["waiting for nfs"]);
}

#[test]
fn what_is_forgiven_at_the_start_is_an_obstacle_all_the_same() {
    let mut early = snapshot();
    early.running_for = Duration::from_secs(2);
    early.status.ups.age = None;
    host(&mut early, "k8s-1").presence = Presence::Unknown;
    let health = Health::of(&early);
    assert_eq!((health.state, health.obstacles.len()), (State::Warn, 2), "{health:#?}");
}

#[test]
fn another_cluster_file_fails_and_is_an_obstacle() {
    let mut snapshot = snapshot();
    host(&mut snapshot, "k8s-2").has_other_file = true;
    let health = Health::of(&snapshot);
    assert_eq!(health.state, State::Fail);
    assert_eq!(health.obstacles.len(), 1);
    assert!(health.obstacles[0].starts_with("cluster-file: not the same here and on k8s-2: give"));
}

#[test]
fn another_version_warns_while_its_host_is_there() {
    let other = |presence| {
        look("versions", |snapshot| {
            let host = host(snapshot, "k8s-2");
            (host.version, host.presence) = (Some("0.2.0".to_owned()), presence);
        })
    };
    assert_eq!(look("versions", |_| {}).0, State::Pass);
    let (state, sentence) = other(Presence::Connected);
    assert_eq!(state, State::Warn);
    assert!(sentence.starts_with("k8s-2 runs 0.2.0, this host 0.1.0: nothing in an"), "{sentence}");
    assert_eq!(other(Presence::Off).0, State::Pass, "it may have another one when it is back");
}

#[test]
fn an_open_shutdown_warns_with_its_evidence() {
    let battery = |snapshot: &mut Snapshot| declare(snapshot, Trigger::Computed, Cause::Battery);
    let (state, sentence) = look("shutdown", battery);
    assert_eq!(state, State::Warn);
    assert_eq!(
        sentence,
        "shutdown 7 is declared (computed by nfs: 400 s left): nothing, it turns when the mains \
         are back"
    );
    let order = |snapshot: &mut Snapshot| declare(snapshot, Trigger::Operator, Cause::Order);
    assert!(look("shutdown", order).1.ends_with("`curfew call-off` ends it"));
}

#[test]
fn hosts_that_are_owed_warn_until_they_are_given_up() {
    let owed = |debt| {
        look("recovery", |snapshot| {
            let owed = Owed { boot: None, number: 6, debt };
            snapshot.status.owed.insert("k8s-2".into(), owed);
            host(snapshot, "k8s-2").presence = Presence::Off;
        })
    };
    assert_eq!(owed(Debt::Due).0, State::Warn);
    assert_eq!(owed(Debt::Intended).0, State::Pass);
    let (state, sentence) = owed(Debt::GivenUp);
    assert_eq!(state, State::Fail);
    assert!(sentence.starts_with("k8s-2 did not come back when woken: "), "{sentence}");
}

#[test]
fn a_journal_that_is_not_durable_fails() {
    let (state, sentence) = look("journal", |snapshot| {
        snapshot.status.journal_failure = Some("disk full".to_owned());
    });
    assert_eq!(state, State::Fail);
    assert!(sentence.contains("(disk full)"));
    let held = look("journal", |snapshot| {
        snapshot.status.journal_failure = Some("read-only".to_owned());
        snapshot.status.phase = Phase::Holding;
    });
    assert_eq!(held.0, State::Pass, "the hold makes it so");
}

#[test]
fn a_battery_is_judged_by_what_it_says_and_what_it_once_gave() {
    let judged = |change: &dyn Fn(&mut battery::Report)| {
        look("battery", |snapshot| {
            let mut report = battery();
            change(&mut report);
            snapshot.battery = Some(Arc::new(report));
        })
    };
    let (state, sentence) = judged(&|_| ());
    assert_eq!(state, State::Pass);
    assert_eq!(sentence, "charge 100 %, 1800 s at full charge and 26 % load, 95 % of what it was");
    let asking =
        |minutes| judged(&|report| report.asks_for_new_for = Some(Duration::from_mins(minutes)));
    assert_eq!(asking(1).0, State::Warn);
    assert_eq!(asking(11).0, State::Fail);
    assert!(asking(11).1.contains("renew the battery"));
    let tested = |test| judged(&|report| report.reading.as_mut().unwrap().test = Some(test)).0;
    let states = [Test::Good, Test::Doubtful, Test::Bad].map(tested);
    assert_eq!(states, [State::Pass, State::Warn, State::Fail]);
    let stuck = Charging::Stuck { charge: 63.0, span: Duration::from_hours(7) };
    let (state, sentence) = judged(&|report| report.charging = stuck);
    assert_eq!(state, State::Warn);
    assert!(sentence.starts_with("its charge has stood at 63 % for 7 h on mains"), "{sentence}");
    let (state, sentence) = judged(&|report| {
        if let Verdict::Compared { last, ratio, is_worn, .. } = &mut report.verdict {
            (last.runtime, *ratio, *is_worn) = (1100.0, 0.579, true);
        }
    });
    assert_eq!(state, State::Warn);
    let both = "it lasts 1100 s (2026-11-22, load 26 %), and once lasted 1900 s (2026-01-01, \
                load 26 %): 58 % of that, brought to one load";
    assert!(sentence.contains(both), "{sentence}");
    let unkept = |hours| {
        judged(&|report| {
            report.problem = Some("cannot replace battery.json".to_owned());
            report.problem_for = Duration::from_hours(hours);
        })
    };
    assert_eq!([unkept(23).0, unkept(25).0], [State::Pass, State::Warn]);
    assert!(unkept(25).1.contains("not kept"), "{}", unkept(25).1);
    let (state, sentence) = judged(&|report| report.verdict = Verdict::Few { records: 2 });
    assert_eq!(state, State::Pass);
    assert!(sentence.contains("compared when there are more days"), "{sentence}");
}

#[test]
fn a_battery_of_which_nothing_is_said_is_unknown_and_never_good() {
    let no_charge = look("battery", |snapshot| {
        let mut report = battery();
        report.reading.as_mut().unwrap().charge = None;
        snapshot.battery = Some(Arc::new(report));
    });
    assert_eq!(no_charge.0, State::Unknown);
    assert!(no_charge.1.contains("does not say its charge"), "{}", no_charge.1);
    assert_eq!(look("battery", |snapshot| snapshot.battery = None).0, State::Unknown);
    let old = look("battery", |snapshot| {
        let taken = Instant::now().checked_sub(Duration::from_mins(5)).unwrap();
        snapshot.battery = Some(Arc::new(battery::Report { taken, ..battery() }));
    });
    assert_eq!(old.0, State::Unknown);
    let blind = look("battery", |snapshot| {
        snapshot.status.ups.age = Some(Duration::from_mins(1));
    });
    assert_eq!(blind.0, State::Unknown);
}

#[test]
fn a_history_that_is_not_written_or_read_warns() {
    let good = look("history", |snapshot| {
        snapshot.past = Some(Arc::new(crate::past::tests::example()));
    });
    assert_eq!(good, (State::Pass, "23 events can be told".to_owned()));
    let (state, sentence) = look("history", |snapshot| {
        snapshot.journal.history_failure = Some("disk full".to_owned());
    });
    assert_eq!(state, State::Warn);
    assert!(sentence.contains("not written (disk full)"), "{sentence}");
    let held = look("history", |snapshot| {
        snapshot.journal.history_failure = Some("read-only".to_owned());
        snapshot.status.phase = Phase::Holding;
    });
    assert_eq!(held.0, State::Pass, "the hold makes it so");
    let (state, sentence) = look("history", |snapshot| snapshot.journal.events_lost = 3);
    assert_eq!(state, State::Warn);
    assert!(sentence.starts_with("3 events are missing"), "{sentence}");
    let (state, sentence) = look("history", |snapshot| {
        let mut past = crate::past::tests::example();
        past.fail("Input/output error".to_owned());
        snapshot.past = Some(Arc::new(past));
    });
    assert_eq!(state, State::Unknown);
    assert!(sentence.contains("(Input/output error)"), "{sentence}");
    assert_eq!(look("history", |snapshot| snapshot.past = None).0, State::Unknown);
}

#[test]
fn a_clock_that_differs_warns() {
    let skewed = |seconds| {
        look("clock", |snapshot| host(snapshot, "k8s-2").clock_skew_seconds = Some(seconds)).0
    };
    assert_eq!(skewed(4), State::Pass);
    assert_eq!(skewed(-5), State::Warn);
    assert_eq!(skewed(i64::MIN), State::Warn);
}

#[test]
fn what_the_coordinator_and_the_agent_know_is_passed_on() {
    let latch = "FSD was set before this agent started: restart upsd";
    let warned = look("coordinator", |snapshot| {
        snapshot.status.warnings.insert(latch.to_owned());
    });
    assert_eq!(warned, (State::Warn, latch.to_owned()));
    let extra = look("certificate", |snapshot| {
        snapshot.extra.push(Check::fail("certificate", "expired", "issue a new one"));
        snapshot.extra.push(Check::pass("certificate", "a second one of that name"));
    });
    assert_eq!(extra, (State::Fail, "expired: issue a new one".to_owned()));
}

#[test]
fn what_is_unknown_makes_nothing_else_worse() {
    let mut snapshot = snapshot();
    let remedy = Some("install smartmontools");
    snapshot.extra.push(Check::unknown("smart", "smartctl is not installed", remedy));
    let health = Health::of(&snapshot);
    assert_eq!((health.state, health.count(State::Unknown)), (State::Pass, 1));
    assert_eq!(health.obstacles, Vec::<String>::new());
    let check = health.checks.iter().find(|check| check.name == "smart").unwrap();
    let sentence = "unknown: smartctl is not installed: install smartmontools";
    assert_eq!((check.state, check.sentence().as_str()), (State::Unknown, sentence));
    snapshot.extra.push(Check::warn("disks", "errors", "look"));
    assert_eq!(Health::of(&snapshot).state, State::Warn);
}

#[test]
fn a_loop_that_hangs_fails() {
    assert_eq!(look("agent", |snapshot| passed(snapshot, 9)).0, State::Pass);
    assert_eq!(look("agent", |snapshot| passed(snapshot, 10)).0, State::Fail);
}

#[tokio::test(start_paused = true)]
async fn a_second_ups_that_is_silent_is_a_warning_and_no_more() {
    let mut snapshot = snapshot();
    let second = WatchedUps {
        name: "rack".to_owned(),
        variables: [("battery.charge".to_owned(), "77".to_owned())].into(),
        read_at: Some(Instant::now()),
        missed: None,
    };
    snapshot.watched = vec![second];
    let find = |snapshot: &Snapshot| {
        Health::of(snapshot).checks.into_iter().find(|check| check.name == "ups-watched").unwrap()
    };
    assert_eq!(find(&snapshot).state, State::Pass);
    let page = crate::metrics::render(&snapshot, &crate::metrics::Counters::new());
    assert!(page.contains("network_ups_tools_battery_charge{ups=\"rack\"} 77"), "{page}");

    tokio::time::advance(Duration::from_secs(4)).await;
    assert_eq!(find(&snapshot).state, State::Warn);
    let page = crate::metrics::render(&snapshot, &crate::metrics::Counters::new());
    assert!(!page.contains("network_ups_tools_battery_charge{ups=\"rack\"}"), "{page}");
}

#[test]
fn a_stop_by_hand_is_told_and_fails_where_it_hurts() {
    assert_eq!(look("planned-stop", |_| {}).0, State::Pass);
    let (state, text) = look("planned-stop", |it| {
        host(it, "k8s-1").planned_stop = Some(OsStop::Reboot);
    });
    assert_eq!(state, State::Warn);
    assert!(text.starts_with("by hand: k8s-1 reboots: "), "{text}");
    let (state, text) = look("planned-stop", |it| it.status.planned_stop = Some(OsStop::Off));
    assert_eq!(state, State::Warn);
    assert!(text.starts_with("this host powers off, and nobody uses its files"), "{text}");
    let (state, text) = look("planned-stop", |it| {
        it.status.planned_stop = Some(OsStop::Off);
        it.status.live_dependents = BTreeSet::from([HostName::from("k8s-2")]);
    });
    assert_eq!(state, State::Fail);
    assert!(text.starts_with("this host powers off while k8s-2 use its files"), "{text}");
}
