//! Memory that is short, that is waited for, and for want of which tasks are killed.

use curfew_host::Samples;

use super::super::tests::{LOOK, assert_told, here, on_talos, samples, watched};
use super::*;
use crate::health::State::{Pass, Unknown, Warn};

/// Looks at a host on which so much is available and waited for.
struct Looks {
    watched: Watched,
    memory: Memory,
    waited: f64,
    kills: f64,
    at: Instant,
}

impl Looks {
    fn new() -> Self {
        let watched = watched("");
        let memory = Memory::new(&watched);
        Self { watched, memory, waited: 7.0, kills: 4.0, at: Instant::now() }
    }

    /// Looks after half a minute, in so many seconds of which some task has waited.
    fn look(&mut self, available: f64, waited: f64) -> Check {
        self.waited += waited;
        let pressure = samples(&[("node_pressure_memory_waiting_seconds_total", &[], self.waited)]);
        self.with(available, here(&pressure))
    }

    fn with(&mut self, available: f64, pressure: Source<'_>) -> Check {
        self.at += LOOK;
        let meminfo = samples(&[
            ("node_memory_MemTotal_bytes", &[], 100.0),
            ("node_memory_MemAvailable_bytes", &[], available),
        ]);
        let vmstat: Samples = samples(&[("node_vmstat_oom_kill", &[], self.kills)]);
        let seen = Seen { pressure, meminfo: here(&meminfo), vmstat: here(&vmstat) };
        self.memory.judge(&self.watched, seen, self.at).unwrap()
    }
}

#[tokio::test]
async fn who_waits_for_memory_is_told_with_what_is_left_of_it() {
    let mut looks = Looks::new();
    assert_told(&looks.look(50.0, 0.0), Pass, "50 % is available");
    assert_told(&looks.look(50.0, 3.0), Pass, "tasks wait for it 10 % of the time");
    for _look in 0..12 {
        looks.look(50.0, 9.0);
    }
    let told = looks.look(50.0, 9.0);
    assert_told(&told, Warn, "tasks wait for memory 30 % of the time with 50 % available");
    assert!(told.remedy.unwrap().contains("`systemd-cgtop -m`"));
    let told = looks.look(6.0, 9.0);
    assert!(told.remedy.unwrap().contains("`ps aux --sort=-rss | head`"));
}

#[tokio::test]
async fn around_the_threshold_it_is_told_once() {
    let mut looks = Looks::new();
    let mut turns = 0;
    let mut last = Pass;
    // Eighteen and twenty-two percent.
    for look in 0..400 {
        let told = looks.look(50.0, if look / 20 % 2 == 0 { 6.6 } else { 5.4 });
        turns += u32::from(told.state != last);
        last = told.state;
    }
    assert_eq!((turns, last), (1, Warn));
    for _look in 0..30 {
        looks.look(50.0, 0.0);
    }
    assert_eq!(looks.look(50.0, 0.0).state, Pass);
}

#[tokio::test]
async fn little_memory_warns_where_nobody_says_who_waits() {
    let mut looks = Looks::new();
    for _look in 0..2 {
        assert_eq!(looks.with(3.0, Source::Absent).state, Pass);
    }
    assert_told(&looks.with(3.0, Source::Absent), Warn, "3.0 % of memory is available");
    for _look in 0..20 {
        assert_eq!(looks.with(5.0, Source::Absent).state, Warn, "within the gap");
    }
    for _look in 0..11 {
        looks.with(30.0, Source::Absent);
    }
    let told = looks.with(30.0, Source::Absent);
    assert_told(&told, Pass, "this kernel does not say who waits for it");
}

#[tokio::test]
async fn a_task_that_was_killed_is_told_for_an_hour() {
    let mut looks = Looks::new();
    assert_eq!(looks.look(50.0, 0.0).state, Pass, "what was before is no news");
    looks.kills += 2.0;
    let told = looks.look(50.0, 0.0);
    assert_told(&told, Warn, "a container was at its limit: 2 tasks were killed");
    assert!(told.remedy.unwrap().contains("`systemd-cgtop -m`"));
    let told = looks.look(10.0, 0.0);
    assert_told(&told, Warn, "the kernel has killed 2 tasks for want of memory");
    looks.watched = on_talos();
    let told = looks.look(50.0, 0.0);
    assert!(told.remedy.unwrap().contains("`kubectl get pods -A`"));
    looks.at += KILLS_TOLD;
    assert_eq!(looks.look(50.0, 0.0).state, Pass);
}

#[tokio::test]
async fn what_does_not_answer_is_unknown() {
    let mut looks = Looks::new();
    assert_told(&looks.with(50.0, Source::Unknown("late")), Unknown, "unknown: late");
    let late = Source::Unknown("no answer within 250 ms");
    let seen = Seen { pressure: Source::Absent, meminfo: late, vmstat: late };
    let told = looks.memory.judge(&looks.watched, seen, looks.at).unwrap();
    assert_told(&told, Unknown, "unknown: no answer within 250 ms");
}

#[tokio::test]
async fn what_is_not_to_be_asked_is_left_out_and_not_unknown() {
    let out = Source::LeftOut;
    let mut looks = Looks::new();
    assert_told(&looks.with(50.0, out), Pass, "50 % is available");
    let vmstat = samples(&[("node_vmstat_oom_kill", &[], 4.0)]);
    let seen = Seen { pressure: out, meminfo: out, vmstat: here(&vmstat) };
    let told = looks.memory.judge(&looks.watched, seen, looks.at).unwrap();
    assert_told(&told, Pass, "no task was killed");
    let seen = Seen { pressure: out, meminfo: out, vmstat: out };
    assert_eq!(looks.memory.judge(&looks.watched, seen, looks.at), None);
}
