//! What is asked of logind and of the hand, and what becomes of it when one of them is ill.
//!
//! The limits are real ones: a hanging logind costs its two seconds.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::stand_in::{
    Bus, FakeHand, Manner, Shared, eventually, machine, of, put_on, run_directory, write,
};
use super::{OwnedUps, SystemdPower, SystemdSettings};
use crate::power::{Cause, Cut, Goal, Outcome, Reason, Stopping};
use crate::test_directory::TestDirectory;

const REASON: Reason = Reason { shutdown: 7, cause: Cause::Battery, attempt: 1 };

/// A machine with all that belongs to it.
struct Host {
    power: SystemdPower,
    machine: Shared,
    bus: Bus,
    logind: Option<zbus::Connection>,
    run: std::path::PathBuf,
    _directory: TestDirectory,
}

impl Host {
    async fn with(manner: Manner) -> Self {
        let (directory, run) = run_directory();
        let (bus, machine) = (Bus::start(), machine());
        of(&machine).manner = manner;
        let logind = Some(put_on(&bus, &machine).await);
        let power = power(&run, bus.address());
        Self { power, machine, bus, logind, run, _directory: directory }
    }

    fn calls(&self) -> Vec<String> {
        of(&self.machine).calls.clone()
    }

    fn flag(&self) -> Option<String> {
        fs::read_to_string(self.run.join("cut")).ok()
    }
}

fn power(run: &Path, bus: String) -> SystemdPower {
    SystemdPower::new(SystemdSettings {
        run: run.to_owned(),
        bus: Some(bus),
        ups: Some(OwnedUps { name: "eaton".to_owned(), upsd: "10.0.0.13:3493".to_owned() }),
        mains_stable: Duration::from_millis(59_001),
        stop_timeout: Duration::from_mins(1),
        boot: "b-o-o-t".to_owned(),
    })
}

fn failure(outcome: Outcome) -> String {
    match outcome {
        Outcome::Failed(why) | Outcome::Unanswered(why) => why,
        Outcome::Accepted | Outcome::GoesDown | Outcome::TimedOut(_) => panic!("{outcome:?}"),
    }
}

#[tokio::test]
async fn logind_is_asked_first_and_the_hand_is_left_alone() {
    let host = Host::with(Manner::Takes).await;
    let hand = FakeHand::start(&host.run, Some("ok"));
    assert_eq!(host.power.is_stopping(Goal::Off).await, Stopping::Idle);
    assert_eq!(host.power.stop(&REASON).await, Outcome::Accepted);
    assert_eq!(host.power.is_stopping(Goal::Off).await, Stopping::Running);
    assert_eq!(host.power.reboot(&REASON).await, Outcome::Accepted, "it goes down already");
    assert_eq!(host.calls(), ["PowerOff"]);
    assert!(hand.asked().is_empty());
}

#[tokio::test]
async fn leaving_the_hold_is_a_reboot() {
    let host = Host::with(Manner::Takes).await;
    assert_eq!(host.power.reboot(&REASON).await, Outcome::Accepted);
    assert_eq!(host.calls(), ["Reboot"]);
    of(&host.machine).manner = Manner::Refuses;
    of(&host.machine).is_preparing = false;
    of(&host.machine).system_state = "running".to_owned();
    let hand = FakeHand::start(&host.run, Some("ok"));
    assert_eq!(host.power.reboot(&REASON).await, Outcome::Accepted);
    assert_eq!(hand.asked(), ["reboot 7"]);
}

#[tokio::test]
async fn without_polkit_the_hand_does_it() {
    let host = Host::with(Manner::Refuses).await;
    let hand = FakeHand::start(&host.run, Some("ok"));
    assert_eq!(host.power.stop(&REASON).await, Outcome::Accepted);
    assert_eq!(hand.asked(), ["poweroff 7"]);
}

#[tokio::test]
async fn where_nobody_takes_it_both_reasons_are_told() {
    let host = Host::with(Manner::Refuses).await;
    let why = failure(host.power.stop(&REASON).await);
    let expected = "logind refuses PowerOff to this user: `apt install polkitd`";
    assert!(why.starts_with(expected), "{why}");
    let expected = "; the hand cannot be reached at ";
    assert!(why.contains(expected), "{why}");
    assert!(why.contains("systemctl enable --now curfew-hand.socket"), "{why}");
    let _hand = FakeHand::start(&host.run, Some("failed: no such unit"));
    let why = failure(host.power.stop(&REASON).await);
    assert!(why.ends_with("the hand has not done `poweroff 7`: no such unit"), "{why}");
}

#[tokio::test]
async fn a_logind_that_hangs_costs_two_seconds() {
    let host = Host::with(Manner::Hangs).await;
    let hand = FakeHand::start(&host.run, Some("ok"));
    let started = Instant::now();
    assert_eq!(host.power.stop(&REASON).await, Outcome::Accepted);
    let took = started.elapsed();
    assert!((Duration::from_secs(2)..Duration::from_secs(5)).contains(&took), "{took:?}");
    assert_eq!(hand.asked(), ["poweroff 7"]);
}

#[tokio::test]
async fn a_logind_that_is_not_there_costs_nothing() {
    let mut host = Host::with(Manner::Takes).await;
    let hand = FakeHand::start(&host.run, Some("ok"));
    drop(host.logind.take());
    let bus = host.bus.address();
    eventually("the names are free", || {
        let list = std::process::Command::new("/usr/bin/dbus-send")
            .arg(format!("--bus={bus}"))
            .args(["--print-reply", "--dest=org.freedesktop.DBus", "/org/freedesktop/DBus"])
            .arg("org.freedesktop.DBus.ListNames")
            .output()
            .expect("no /usr/bin/dbus-send: apt-get install dbus");
        !String::from_utf8_lossy(&list.stdout).contains("login1")
    })
    .await;
    let started = Instant::now();
    assert_eq!(host.power.stop(&REASON).await, Outcome::Accepted);
    assert!(started.elapsed() < Duration::from_secs(2));
    assert_eq!(hand.asked(), ["poweroff 7"]);
    let Stopping::Unknown(why) = host.power.is_stopping(Goal::Off).await else { panic!("known") };
    assert!(why.contains("systemd has not done SystemState"), "{why}");
}

#[tokio::test]
async fn a_bus_that_is_dead_costs_nothing_and_a_new_one_is_found() {
    let mut host = Host::with(Manner::Takes).await;
    let hand = FakeHand::start(&host.run, Some("ok"));
    assert_eq!(host.power.is_stopping(Goal::Off).await, Stopping::Idle);
    host.bus.end();
    let started = Instant::now();
    assert_eq!(host.power.stop(&REASON).await, Outcome::Accepted);
    assert!(started.elapsed() < Duration::from_secs(2));
    assert_eq!(hand.asked(), ["poweroff 7"]);
    let Stopping::Unknown(why) = host.power.is_stopping(Goal::Off).await else { panic!("known") };
    assert!(why.contains("the system bus cannot be reached"), "{why}");
    host.bus.restart();
    host.logind = Some(put_on(&host.bus, &host.machine).await);
    assert_eq!(host.power.stop(&REASON).await, Outcome::Accepted);
    assert_eq!(host.calls(), ["PowerOff"]);
}

#[tokio::test]
async fn a_bus_that_says_nothing_costs_two_seconds() {
    let (directory, run) = run_directory();
    let silent = directory.path().join("silent");
    let _silent = std::os::unix::net::UnixListener::bind(&silent).unwrap();
    let hand = FakeHand::start(&run, Some("ok"));
    let power = power(&run, format!("unix:path={}", silent.display()));
    let started = Instant::now();
    assert_eq!(power.stop(&REASON).await, Outcome::Accepted);
    let took = started.elapsed();
    assert!((Duration::from_secs(2)..Duration::from_secs(5)).contains(&took), "{took:?}");
    assert_eq!(hand.asked(), ["poweroff 7"]);
}

#[tokio::test]
async fn a_hand_that_hangs_costs_six_seconds_and_may_still_do_it() {
    let host = Host::with(Manner::Refuses).await;
    let _hand = FakeHand::start(&host.run, None);
    let started = Instant::now();
    let outcome = host.power.stop(&REASON).await;
    let took = started.elapsed();
    assert!((Duration::from_secs(6)..Duration::from_secs(8)).contains(&took), "{took:?}");
    assert!(matches!(outcome, Outcome::Unanswered(_)), "{outcome:?}");
    let why = failure(outcome);
    assert!(why.contains("has not answered `poweroff 7` within 6 s"), "{why}");
}

#[tokio::test]
async fn the_third_attempt_asks_no_unit_any_more() {
    let host = Host::with(Manner::Takes).await;
    let reason = Reason { attempt: 3, ..REASON };
    assert_eq!(host.power.stop(&reason).await, Outcome::Accepted, "without a hand by logind");
    assert_eq!(host.calls(), ["PowerOff"]);
    let hand = FakeHand::start(&host.run, Some("ok"));
    assert_eq!(host.power.stop(&reason).await, Outcome::Accepted);
    assert_eq!(hand.asked(), ["poweroff-now 7"]);
    assert_eq!(host.calls(), ["PowerOff"]);
}

#[tokio::test]
async fn a_cut_is_a_flag_and_then_a_stop() {
    let host = Host::with(Manner::Takes).await;
    let cut = Cut { method: "shutdown.return".to_owned(), earliest: Duration::from_secs(20) };
    assert_eq!(host.power.cut(&REASON, &cut).await, Outcome::Accepted);
    assert_eq!(host.calls(), ["PowerOff"]);
    let flag = host.flag().expect("it is raised");
    assert!(flag.starts_with("version=1\nshutdown=7\nboot=b-o-o-t\nups=eaton\n"), "{flag}");
    assert!(flag.contains("\nmethod=shutdown.return\nearliest="), "{flag}");
    assert!(flag.ends_with("\nstop-within=60\n"), "{flag}");
}

#[tokio::test]
async fn a_cut_in_its_turn_is_due_while_the_hook_waits_and_one_before_it_when_the_others_are_done()
{
    let host = Host::with(Manner::Takes).await;
    let cut = Cut { method: "shutdown.return".to_owned(), earliest: Duration::from_mins(3) };
    host.power.raise_cut(7, &cut);
    let flag = host.flag().expect("it is raised");
    assert!(flag.ends_with("\nstop-within=180\n"), "the hook boots the machine again: {flag}");
    assert_eq!(host.power.cut(&REASON, &cut).await, Outcome::Accepted);
    let flag = host.flag().expect("it is raised");
    assert!(flag.ends_with("\nstop-within=60\n"), "{flag}");
}

#[tokio::test]
async fn the_flag_comes_down_when_the_cut_fails_or_something_else_is_done() {
    let host = Host::with(Manner::Refuses).await;
    let cut = Cut { method: "load.off.delay".to_owned(), earliest: Duration::ZERO };
    failure(host.power.cut(&REASON, &cut).await);
    assert_eq!(host.flag(), None, "nobody took it");
    for done in ["hold", "stop", "reboot"] {
        write(&host.run.join("cut"), "version=1\n");
        let outcome = match done {
            "hold" => host.power.hold(&REASON, None).await,
            "stop" => host.power.stop(&REASON).await,
            _ => host.power.reboot(&REASON).await,
        };
        failure(outcome);
        assert_eq!(host.flag(), None, "{done}");
    }
}

#[tokio::test]
async fn a_cut_that_cannot_raise_its_flag_stops_nothing() {
    let host = Host::with(Manner::Takes).await;
    fs::create_dir(host.run.join("cut")).unwrap();
    let cut = Cut { method: "shutdown.return".to_owned(), earliest: Duration::ZERO };
    let why = failure(host.power.cut(&REASON, &cut).await);
    assert!(why.starts_with("the flag for the cut cannot be written at"), "{why}");
    assert!(host.calls().is_empty());
}

#[tokio::test]
async fn the_hold_is_entered_by_the_hand_alone() {
    let host = Host::with(Manner::Takes).await;
    let hand = FakeHand::start(&host.run, Some("ok"));
    let left = Some(Duration::from_millis(300_900));
    assert_eq!(host.power.hold(&REASON, left).await, Outcome::Accepted);
    assert_eq!(host.power.hold(&REASON, None).await, Outcome::Accepted);
    let expected = ["hold 7 60 300 eaton@10.0.0.13:3493", "hold 7 60 0 eaton@10.0.0.13:3493"];
    assert_eq!(hand.asked(), expected);
    assert!(host.calls().is_empty());
    hand.answer("failed: /srv is busy");
    let why = failure(host.power.hold(&REASON, None).await);
    assert!(why.ends_with(": /srv is busy"), "{why}");
}

#[tokio::test]
async fn a_power_off_that_comes_through_late_keeps_its_cut_and_is_no_hold() {
    let host = Host::with(Manner::Hangs).await;
    let hand = FakeHand::start(&host.run, None);
    let cut = Cut { method: "shutdown.return".to_owned(), earliest: Duration::ZERO };
    let outcome = host.power.cut(&REASON, &cut).await;
    assert!(matches!(outcome, Outcome::Unanswered(_)), "{outcome:?}");
    of(&host.machine).is_preparing = true;
    assert_eq!(host.power.hold(&REASON, None).await, Outcome::GoesDown);
    assert!(host.flag().is_some(), "it goes down, and is to be cut");
    assert!(!hand.asked().iter().any(|it| it.starts_with("hold")), "{:?}", hand.asked());
}

#[tokio::test]
async fn where_nobody_says_whether_a_stop_runs_the_flag_stays_until_the_hold_is_entered() {
    let mut host = Host::with(Manner::Takes).await;
    host.bus.end();
    write(&host.run.join("cut"), "version=1\n");
    let hand = FakeHand::start(&host.run, Some("failed: /srv is busy"));
    failure(host.power.hold(&REASON, None).await);
    assert!(host.flag().is_some(), "a late power-off must still be cut");
    hand.answer("ok");
    assert_eq!(host.power.hold(&REASON, None).await, Outcome::Accepted);
    assert_eq!(host.flag(), None);
}

#[tokio::test]
async fn a_hold_stands_when_its_state_says_so() {
    let host = Host::with(Manner::Takes).await;
    let mut directory = host.run.clone().into_os_string();
    directory.push("-hold");
    let state = Path::new(&directory).join("state");
    assert_eq!(host.power.is_stopping(Goal::Held).await, Stopping::Idle, "it was never begun");
    fs::create_dir(&directory).unwrap();
    write(&state, "entering\n");
    assert_eq!(host.power.is_stopping(Goal::Held).await, Stopping::Idle, "to be waited for");
    write(&state, "held\n");
    assert_eq!(host.power.is_stopping(Goal::Held).await, Stopping::Running);
    assert_eq!(host.power.is_stopping(Goal::Off).await, Stopping::Idle, "a held machine is on");
}

/// Runs `see_to` next to `story`, which ends the test: on a machine that goes down nothing returns.
async fn while_seen_to(host: &Host, most: Duration, story: impl Future<Output = ()>) {
    tokio::select! {
        () = host.power.see_to(&REASON, most) => panic!("it was given up"),
        () = story => {}
    }
}

#[tokio::test]
async fn a_stop_that_systemd_carries_out_is_left_alone_for_its_time() {
    let host = Host::with(Manner::Takes).await;
    let hand = FakeHand::start(&host.run, Some("ok"));
    assert_eq!(host.power.stop(&REASON).await, Outcome::Accepted);
    let started = Instant::now();
    let most = Duration::from_secs(12);
    let asked = eventually("it hangs", || !hand.asked().is_empty());
    while_seen_to(&host, most, asked).await;
    assert!(started.elapsed() >= most);
    assert_eq!(hand.asked(), ["poweroff-now 7"], "a stop that hangs is not asked politely");
}

#[tokio::test]
async fn a_stop_that_leads_to_nothing_is_asked_of_the_hand_and_then_given_up_with_its_cut() {
    let host = Host::with(Manner::Pretends).await;
    let hand = FakeHand::start(&host.run, Some("ok"));
    let cut = Cut { method: "shutdown.return".to_owned(), earliest: Duration::ZERO };
    assert_eq!(host.power.cut(&REASON, &cut).await, Outcome::Accepted);
    let started = Instant::now();
    host.power.see_to(&REASON, Duration::from_mins(1)).await;
    assert!(started.elapsed() >= Duration::from_secs(20), "it is looked at after the hand, too");
    assert_eq!(hand.asked(), ["poweroff-now 7"], "it is known that nothing goes down");
    assert_eq!(host.flag(), None, "a power-off that comes later is another one");
}

#[tokio::test]
async fn a_stop_that_may_still_come_keeps_its_cut_when_it_is_given_up() {
    let host = Host::with(Manner::Takes).await;
    let cut = Cut { method: "shutdown.return".to_owned(), earliest: Duration::ZERO };
    assert_eq!(host.power.cut(&REASON, &cut).await, Outcome::Accepted);
    host.power.see_to(&REASON, Duration::ZERO).await;
    assert!(host.flag().is_some());
}

#[tokio::test]
async fn a_stop_of_the_hand_is_not_repeated_because_the_bus_is_gone() {
    let mut host = Host::with(Manner::Refuses).await;
    let hand = FakeHand::start(&host.run, Some("ok"));
    assert_eq!(host.power.stop(&REASON).await, Outcome::Accepted);
    host.bus.end();
    let started = Instant::now();
    let patience = Duration::from_secs(11);
    let beyond = eventually("patience is over", || started.elapsed() > patience);
    while_seen_to(&host, Duration::from_mins(1), beyond).await;
    assert_eq!(hand.asked(), ["poweroff 7"], "the bus goes down with the rest of the machine");
}

#[tokio::test]
async fn a_logind_that_waits_for_others_is_given_the_time_it_may_take() {
    let host = Host::with(Manner::Pretends).await;
    let hand = FakeHand::start(&host.run, Some("ok"));
    of(&host.machine).is_preparing = true;
    of(&host.machine).delay_most = Duration::from_secs(11);
    assert_eq!(host.power.stop(&REASON).await, Outcome::Accepted);
    let started = Instant::now();
    let asked = eventually("it hangs", || !hand.asked().is_empty());
    while_seen_to(&host, Duration::from_mins(1), asked).await;
    assert!(started.elapsed() >= Duration::from_secs(13), "the delay and its margin");
    assert_eq!(hand.asked(), ["poweroff 7"]);
}
