//! Sensors with limits of their own, with absurd ones, and with none.

use super::super::tests::{LOOK, assert_told, here, samples, watched};
use super::*;
use crate::health::State::{Fail, Pass, Unknown, Warn};

/// One sensor of a chip: its limits, and what it measures at each look.
struct Looks {
    watched: Watched,
    temperatures: Temperatures,
    chip: &'static str,
    max: f64,
    critical: f64,
    at: Instant,
}

impl Looks {
    fn new(chip: &'static str, max: f64, critical: f64) -> Self {
        let temperatures = Temperatures::default();
        Self { watched: watched(""), temperatures, chip, max, critical, at: Instant::now() }
    }

    fn look(&mut self, celsius: f64) -> Check {
        self.at += LOOK;
        let of: &[_] = &[("chip", "platform_0"), ("sensor", "temp1")];
        let own = [("chip", "platform_0"), ("chip_name", self.chip)];
        let label = [("chip", "platform_0"), ("sensor", "temp1"), ("label", "Composite")];
        let samples = samples(&[
            ("node_hwmon_chip_names", &own, 1.0),
            ("node_hwmon_sensor_label", &label, 1.0),
            ("node_hwmon_temp_celsius", of, celsius),
            ("node_hwmon_temp_max_celsius", of, self.max),
            ("node_hwmon_temp_crit_celsius", of, self.critical),
        ]);
        self.temperatures.judge(&self.watched, here(&samples), self.at)
    }
}

#[tokio::test]
async fn a_sensor_is_judged_by_its_own_limits() {
    let at = |celsius| Looks::new("nvme", 75.0, 85.0).look(celsius);
    assert_told(&at(70.0), Pass, "nvme Composite is the hottest with 70 °C");
    assert_told(&at(75.0), Warn, "nvme Composite has 75 °C, and 75 is much");
    assert_told(&at(85.0), Fail, "nvme Composite has 85 °C, and 85 is much");
}

#[tokio::test]
async fn absurd_limits_are_none_and_boards_are_left_out() {
    let at = |celsius| Looks::new("nvme", 65_261.0, 65_261.0).look(celsius).state;
    assert_eq!((at(84.0), at(85.0), at(120.0)), (Pass, Warn, Warn));
    let critical_only = |celsius| Looks::new("k10temp", 0.0, 70.0).look(celsius).state;
    assert_eq!((critical_only(64.0), critical_only(65.0), critical_only(70.0)), (Pass, Warn, Fail));
    let board = Looks::new("nct6775", 80.0, 90.0).look(127.0);
    assert_told(&board, Pass, "no sensor measures one that can be relied on");
    assert_eq!(Looks::new("coretemp", 80.0, 100.0).look(-128.0).state, Pass, "it is not wired");
}

#[tokio::test]
async fn the_cluster_file_overrules_a_sensor_and_not_what_is_critical() {
    let at = |celsius| {
        let mut looks = Looks::new("drivetemp", 45.0, 70.0);
        looks.watched = watched("temperature-above = 55");
        looks.look(celsius).state
    };
    assert_eq!((at(50.0), at(55.0), at(70.0)), (Pass, Warn, Fail));
    let late = |celsius| {
        let mut looks = Looks::new("nvme", 75.0, 85.0);
        looks.watched = watched("temperature-above = 100");
        looks.look(celsius).state
    };
    assert_eq!((late(84.0), late(85.0)), (Pass, Fail), "it never lifts what is critical");
}

#[tokio::test]
async fn around_the_threshold_it_is_told_once() {
    let mut looks = Looks::new("coretemp", 80.0, 100.0);
    assert_eq!(looks.look(70.0).state, Pass);
    for _look in 0..20 {
        assert_eq!(looks.look(90.0).state, Pass, "never for three minutes");
        assert_eq!(looks.look(70.0).state, Pass);
    }
    for _look in 0..7 {
        looks.look(81.0);
    }
    for _look in 0..20 {
        assert_eq!(looks.look(80.0).state, Warn);
        assert_eq!(looks.look(78.0).state, Warn, "within the gap");
    }
}

#[tokio::test]
async fn a_sensor_that_is_gone_leaves_nothing_and_one_that_hangs_is_unknown() {
    let mut looks = Looks::new("drivetemp", 45.0, 70.0);
    assert_eq!(looks.look(71.0).state, Fail);
    let hangs = looks.temperatures.judge(&looks.watched, Source::Unknown("late"), looks.at);
    assert_told(&hangs, Unknown, "unknown: late");
    let none = looks.temperatures.judge(&looks.watched, here(&samples(&[])), looks.at);
    assert_eq!((none.state, looks.temperatures.known.len()), (Pass, 0));
    let absent = looks.temperatures.judge(&looks.watched, Source::Absent, looks.at);
    assert_told(&absent, Pass, "this host has no sensors");
}
