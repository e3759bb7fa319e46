//! Questions, and what comes of them.

use std::time::Duration;

use curfew_coordinator::{Host, HostName, Settings, Ups, WakeTarget};

use super::*;
use crate::course::Course;
use crate::measure::{Grade, Margin, Measure, Step};
use crate::naive::Rule;
use crate::survey::Survey;
use crate::{Tally as _, moments};

/// Returns a question about the reference cluster, with short limits for the recovery.
pub(crate) fn example() -> Question {
    let needs: [(&str, &[&str]); 3] =
        [("nfs", &[]), ("k8s-1", &["nfs"]), ("k8s-2", &["nfs", "k8s-1"])];
    Question::new(cluster(&needs.map(|(name, needs)| (name.to_owned(), owned(needs)))))
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Returns a cluster; its first host owns the UPS and serves files.
fn cluster(hosts: &[(String, Vec<String>)]) -> Cluster {
    let host = |(place, (name, needs)): (usize, &(String, Vec<String>))| Host {
        name: HostName::from(name.as_str()),
        needs: needs.iter().map(|need| HostName::from(need.as_str())).collect(),
        is_fed: true,
        stop_timeout: Duration::from_secs(if place == 0 { 60 } else { 180 }),
        touches_power: true,
        ready: if place == 0 { ReadyBy::Exports("10.0.0.1".to_owned()) } else { ReadyBy::Agent },
        wake: Some(WakeTarget {
            mac: [2, 0, 0, 0, 0, u8::try_from(place).unwrap()],
            to: None,
            address: format!("10.0.0.{place}"),
        }),
    };
    Cluster {
        name: "home".to_owned(),
        hash: "hash".to_owned(),
        hosts: hosts.iter().enumerate().map(host).collect(),
        ups: Ups {
            name: "eaton".to_owned(),
            owner: HostName::from(hosts[0].0.as_str()),
            returns: None,
        },
        settings: Settings::default(),
    }
}

fn measured(question: &Question) -> (Course, Measure) {
    let story = question.story();
    let course = Course::unaided(&story);
    let measure = Measure::of(&story, &course);
    (course, measure)
}

#[test]
fn the_reference_cluster_survives_an_outage_that_outlasts_its_battery() {
    let (course, measure) = measured(&example());
    assert_eq!(measure.grade, Grade::InOrder, "{:?}", measure.sentences(&course));
    assert!(matches!(measure.margin, Some(Margin::Left { millis, .. }) if millis > 60_000));
    let weakest = measure.weakest().unwrap();
    assert_eq!((weakest.host.as_str(), weakest.step), ("k8s-1", Step::Stop));
}

#[test]
fn mains_that_return_in_time_need_no_shutdown() {
    let question = Question { return_after: Some(Duration::from_secs(20)), ..example() };
    let (_, measure) = measured(&question);
    assert_eq!(measure.grade, Grade::NotNeeded);
    assert!(matches!(measure.margin, Some(Margin::Left { by_return: true, .. })));
}

#[test]
fn who_waits_for_a_host_that_hangs_begins_by_its_latest_start() {
    let question = Question { troubles: vec![Trouble::Hangs("k8s-1".into())], ..example() };
    let (course, measure) = measured(&question);
    assert_eq!(measure.by_latest_start, [HostName::from("nfs")]);
    assert_eq!(measure.lost, [HostName::from("k8s-1")], "{:?}", measure.sentences(&course));
    assert_eq!(measure.margin, Some(Margin::Missing { millis: None }));
    assert_eq!(measure.weakest().unwrap().host, HostName::from("k8s-1"));
}

#[test]
fn everybody_who_never_ends_is_named_and_no_length_is_told() {
    let troubles = ["k8s-1", "k8s-2"].map(|host| Trouble::Hangs(host.into())).to_vec();
    let (course, measure) = measured(&Question { troubles, ..example() });
    let told = measure.sentences(&course);
    let weakest = "Weakest link: k8s-1 and k8s-2 hang, their stops never end.";
    assert!(told.iter().any(|it| it == weakest), "{told:?}");

    let troubles = vec![Trouble::Hangs("k8s-1".into()), Trouble::DeadAgent("k8s-2".into())];
    let (course, measure) = measured(&Question { troubles, ..example() });
    let told = measure.sentences(&course);
    let weakest = "Weakest link: k8s-1 hangs, its stop never ends; k8s-2 never began to stop.";
    assert!(told.iter().any(|it| it == weakest), "{told:?}");
}

#[test]
fn a_hang_counts_until_the_mains_are_back() {
    let question = Question {
        runtime: Some(Duration::from_mins(9)),
        charge_percent: 80,
        return_after: Some(Duration::from_mins(4)),
        troubles: vec![Trouble::Hangs("k8s-1".into())],
        ..example()
    };
    let (course, measure) = measured(&question);
    assert_eq!(measure.grade, Grade::Stranded, "{:?}", measure.sentences(&course));
    let hang = measure.weakest().unwrap();
    assert_eq!((hang.step, Some(hang.to)), (Step::Hangs, course.returned_at));
}

#[test]
fn a_cut_that_does_not_come_mixes_no_shutdowns() {
    let troubles = vec![Trouble::CutIgnored];
    let question = Question { troubles, returns: Some(true), ..example() };
    let (course, measure) = measured(&question);
    let told = measure.sentences(&course);
    assert!(measure.shutdowns > 1, "{told:?}");
    assert!(measure.is_good() && measure.margin.is_none(), "{told:?}");
    assert!(!told.iter().any(|it| it.contains("All is well")), "{told:?}");
    assert!(told.iter().any(|it| it.contains("came one after another")), "{told:?}");
    let longest = measure.path.iter().map(|link| link.to - link.from).max();
    assert!(longest.is_some_and(|it| it < 120_000), "{:?}", measure.path);
}

#[test]
fn a_host_without_an_agent_loses_its_power_and_is_named() {
    let question = Question { troubles: vec![Trouble::DeadAgent("k8s-2".into())], ..example() };
    let (course, measure) = measured(&question);
    assert_eq!(measure.grade, Grade::LostPower, "{:?}", measure.sentences(&course));
    assert_eq!(measure.lost, [HostName::from("k8s-2")]);
    assert!(measure.sentences(&course)[0].contains("k8s-2"));
}

#[test]
fn a_host_that_vanishes_is_said_and_no_loss_of_the_shutdown() {
    let question = Question { troubles: vec![Trouble::Vanishes("k8s-2".into())], ..example() };
    let (course, measure) = measured(&question);
    assert!(measure.lost.is_empty(), "{:?}", measure.sentences(&course));
    assert_eq!((measure.grade, measure.is_good()), (Grade::Vanished, false));
    assert!(measure.sentences(&course)[0].starts_with("POWER IS LOST under k8s-2, by itself"));
    let told: Vec<String> = moments(&course).iter().map(crate::Moment::sentence).collect();
    assert!(told.iter().any(|it| it == "k8s-2 loses its power without a word"), "{told:?}");
}

#[test]
fn a_stop_longer_than_the_battery_says_how_much_was_missing() {
    let mut question = Question { runtime: Some(Duration::from_mins(5)), ..example() };
    question.stops.insert("k8s-2".into(), Duration::from_mins(12));
    let (course, measure) = measured(&question);
    assert_eq!(measure.grade, Grade::LostPower, "{:?}", measure.sentences(&course));
    let Some(Margin::Missing { millis: Some(missing) }) = measure.margin else {
        panic!("{:?}", measure.margin)
    };
    assert!((60_000..720_000).contains(&missing), "{missing}");
}

#[test]
fn what_nobody_said_is_assumed_aloud_and_what_was_said_is_not() {
    let question = example();
    assert!(question.assumed().iter().any(|it| it.contains("--runtime")));
    assert!(question.assumed().iter().any(|it| it.contains("k8s-1 1m 30s")));
    let mut question = Question {
        runtime: Some(Duration::from_mins(9)),
        return_after: Some(Duration::from_mins(4)),
        returns: Some(true),
        ..question
    };
    for host in ["nfs", "k8s-1", "k8s-2"] {
        question.measured.insert(host.into(), Duration::from_secs(50));
    }
    assert_eq!(question.assumed().len(), 1, "{:?}", question.assumed());
}

#[test]
fn chains_and_diamonds_of_any_size_go_down_and_come_up_in_order() {
    let name = |place: usize| format!("h{place:02}");
    let chain = |place: usize| vec![name(place.saturating_sub(1))];
    let diamond = |place: usize| vec![name((place - 1) / 2), name(place / 2)];
    let shapes: [&dyn Fn(usize) -> Vec<String>; 2] = [&chain, &diamond];
    for count in [1, 2, 5, 9] {
        for needs in shapes {
            let hosts: Vec<_> = (0..count)
                .map(|place| {
                    let mut needs = if place == 0 { Vec::new() } else { needs(place) };
                    needs.retain(|need| *need != name(place));
                    (name(place), needs)
                })
                .collect();
            let (course, measure) = measured(&Question::new(cluster(&hosts)));
            let sentences = measure.sentences(&course);
            assert_eq!(measure.grade, Grade::InOrder, "{count}: {sentences:?}");
        }
    }
}

#[test]
fn with_stops_that_vary_by_a_tenth_hardly_anybody_begins_by_its_latest_start() {
    let mut survey = Survey::default();
    let question = example();
    for seed in 0..40 {
        let story = question.varied(seed, 10);
        assert_eq!(story, question.varied(seed, 10), "the same each time");
        survey.add(Survey::of(&story, &Course::unaided(&story)));
    }
    assert_eq!((survey.runs, survey.declared), (40, 40));
    assert_eq!(survey.latest_starts, 0);
    let [ours, all_at_once, _] = survey.rules;
    assert_eq!((ours.order_broken, ours.power_lost), (0, 0));
    assert_eq!(all_at_once.order_broken, 40);
}

#[test]
fn fixed_delays_hold_as_long_as_no_stop_is_longer_than_those_that_were_seen() {
    let mut story = example().story();
    for (name, truth) in &story.hosts {
        story.measured.insert(name.clone(), vec![truth.stops_in; 5]);
    }
    let fate = Rule::FixedDelays.fate(&story);
    assert!(!fate.is_order_broken && !fate.is_overlapping, "{fate:?}");
    story.hosts.get_mut(&"k8s-2".into()).unwrap().stops_in *= 3;
    let fate = Rule::FixedDelays.fate(&story);
    assert!(fate.is_order_broken && fate.is_overlapping, "{fate:?}");
}

#[test]
fn a_low_battery_that_is_short_takes_the_power_from_who_waited_for_it() {
    let mut story = example().story();
    assert!(!Rule::AllAtOnce.fate(&story).loses_power);
    story.ups.runtime /= 4;
    assert!(Rule::AllAtOnce.fate(&story).loses_power);
}

#[test]
fn a_page_names_the_worst_seed_and_every_line_fits() {
    let story = example().varied(7, 10);
    let survey = Survey::of(&story, &Course::unaided(&story));
    let page = survey.page("curfew simulate --example");
    assert!(page.contains("curfew simulate --example --seed 7"), "{page}");
    assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");
}
