//! Charts as they must look.

use super::*;
use crate::course::{Lane, Sample};
use crate::fact::Happened;
use crate::question::tests::example;
use crate::{Measure, moments};

fn course() -> Course {
    let lane = |name: &str, states: &[(u64, State)]| Lane {
        name: name.into(),
        is_fed: true,
        states: states.to_vec(),
    };
    let happened = |at, fact| Happened { at, host: 0, fact };
    let sample = |second: u64| Sample {
        at: second * 1_000,
        charge: if second < 110 { 100 - second / 2 } else { 45 + (second - 110) / 10 },
        left: 60_000,
    };
    Course {
        failed_at: 10_000,
        returned_at: Some(110_000),
        ended_at: 200_000,
        lanes: vec![
            lane(
                "nfs",
                &[
                    (0, State::Up),
                    (20_000, State::Waiting),
                    (60_000, State::Stopping),
                    (70_000, State::Holding),
                    (150_000, State::Booting),
                    (180_000, State::Up),
                ],
            ),
            lane(
                "a-host-of-a-very-long-name",
                &[
                    (0, State::Up),
                    (20_000, State::Waiting),
                    (20_001, State::Off),
                    (160_000, State::Lost),
                ],
            ),
        ],
        mains: vec![(0, true), (10_000, false), (110_000, true)],
        samples: (0..200).map(sample).collect(),
        facts: vec![
            happened(10_000, Fact::MainsFailed),
            happened(110_000, Fact::MainsReturned),
            happened(151_000, Fact::PacketSent { to: "nfs".into(), is_off: true, arrives: true }),
            happened(151_001, Fact::OutputOpened { by_command: true }),
        ],
        violation: None,
        is_aided: false,
    }
}

#[test]
fn a_chart_of_80_columns() {
    let page = chart(&course(), Look::default());
    assert_eq!(page, include_str!("tests/width-80.txt"), "\n{page}");
}

#[test]
fn a_chart_of_120_columns_in_ascii() {
    let look = Look { width: 120, is_ascii: true, ..Look::default() };
    let page = chart(&course(), look);
    assert!(page.is_ascii());
    assert_eq!(page, include_str!("tests/width-120-ascii.txt"), "\n{page}");
}

#[test]
fn a_chart_of_a_real_outage_of_the_reference_cluster() {
    let mut question = example();
    question.return_after = Some(std::time::Duration::from_mins(4));
    question.runtime = Some(std::time::Duration::from_mins(9));
    question.charge_percent = 80;
    let story = question.story();
    let course = Course::unaided(&story);
    let page = chart(&course, Look::default());
    assert_eq!(page, include_str!("tests/reference.txt"), "\n{page}");
    let told: Vec<_> = moments(&course).iter().map(crate::Moment::sentence).collect();
    assert!(told.contains(&"k8s-2 stops: nobody needs it".to_owned()), "{told:?}");
    assert!(Measure::of(&story, &course).is_good());
}

#[test]
fn every_line_fits_whatever_the_width() {
    for width in 0..200 {
        let page = chart(&course(), Look { width, ..Look::default() });
        for line in page.lines() {
            assert!(line.chars().count() <= width.max(LEAST_WIDTH), "{width}: {line}");
        }
    }
}

#[test]
fn colours_leave_the_text_as_it_is() {
    let page = chart(&course(), Look { is_coloured: true, ..Look::default() });
    assert!(page.contains("\x1b[1;31m"));
    let mut plain = String::new();
    for part in page.split('\x1b') {
        plain.push_str(
            part.split_once('m').filter(|_| part.starts_with('[')).map_or(part, |it| it.1),
        );
    }
    let trimmed =
        |page: &str| page.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
    assert_eq!(trimmed(&plain), trimmed(&chart(&course(), Look::default())));
}

#[test]
fn a_state_that_is_shorter_than_a_column_is_still_seen() {
    let page = chart(&course(), Look::default());
    let lane = page.lines().find(|line| line.starts_with("a-host")).unwrap();
    assert!(lane.contains('░'), "{lane}");
}
