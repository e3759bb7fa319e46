//! When a unit is in trouble, and when no more.

use super::*;

const MINUTE: Duration = Duration::from_mins(1);

fn failed(names: &[&str]) -> BTreeSet<String> {
    names.iter().copied().map(str::to_owned).collect()
}

fn service(restarts: u32) -> Unit {
    Unit { name: "nginx.service".to_owned(), restarts: Some(restarts), ..Unit::default() }
}

fn names(watch: &Watch, now: Instant) -> Vec<String> {
    watch.trouble(now).0.into_iter().map(|trouble| trouble.unit).collect()
}

#[test]
fn one_that_is_up_again_at_the_next_look_is_in_none() {
    let (mut watch, now) = (Watch::default(), Instant::now());
    for _ in 0..3 {
        watch.see(&failed(&["nginx.service"]), &[], now);
        assert!(watch.is_unsettled());
        assert_eq!(names(&watch, now), Vec::<String>::new());
        watch.see(&failed(&[]), &[], now);
        assert!(!watch.is_unsettled());
    }
}

#[test]
fn the_worst_comes_first() {
    let (mut watch, now) = (Watch::new(vec!["x.service".to_owned()]), Instant::now());
    let all = failed(&["a.timer", "b.service", "a.service", "srv.mount", "odd", "x.service"]);
    watch.see(&all, &[service(0)], now);
    watch.see(&all, &[service(3)], now);
    let expected = ["srv.mount", "a.service", "b.service", "a.timer", "odd", "nginx.service"];
    assert_eq!(names(&watch, now), expected);
    assert_eq!(watch.trouble(now).1, 1);
}

#[test]
fn three_restarts_in_five_minutes_are_trouble_until_they_are_longer_ago() {
    let (mut watch, start) = (Watch::default(), Instant::now());
    watch.see(&failed(&[]), &[service(40)], start);
    assert_eq!(names(&watch, start), Vec::<String>::new(), "those were before");
    for restarts in 1..=2 {
        watch.see(&failed(&[]), &[service(40 + restarts)], start + MINUTE);
    }
    assert_eq!(names(&watch, start + MINUTE), Vec::<String>::new());
    let third = start + 2 * MINUTE;
    watch.see(&failed(&[]), &[service(43)], third);
    let (trouble, _) = watch.trouble(third);
    assert_eq!(trouble[0].plight, Plight::Restarts(3));
    let over = start + 6 * MINUTE;
    watch.see(&failed(&[]), &[service(43)], over);
    assert_eq!(names(&watch, over), Vec::<String>::new(), "two of them are five minutes ago");
}

#[test]
fn two_restarts_in_every_five_minutes_are_none() {
    let (mut watch, start) = (Watch::default(), Instant::now());
    for step in 0..100 {
        let now = start + step * 150 * Duration::from_secs(1);
        watch.see(&failed(&[]), &[service(step)], now);
        assert_eq!(names(&watch, now), Vec::<String>::new(), "{step}");
    }
    let marks = &watch.restarts["nginx.service"];
    assert!(marks.len() <= 4, "old ones are forgotten: {marks:?}");
}

#[test]
fn a_start_by_hand_begins_anew() {
    let (mut watch, now) = (Watch::default(), Instant::now());
    watch.see(&failed(&[]), &[service(0)], now);
    watch.see(&failed(&[]), &[service(9)], now);
    assert_eq!(names(&watch, now), ["nginx.service"]);
    watch.see(&failed(&[]), &[service(0)], now);
    assert_eq!(names(&watch, now), Vec::<String>::new());
}

#[test]
fn one_that_gives_up_has_failed() {
    let (mut watch, now) = (Watch::default(), Instant::now());
    watch.see(&failed(&[]), &[service(0)], now);
    watch.see(&failed(&["nginx.service"]), &[service(5)], now);
    assert_eq!(names(&watch, now), Vec::<String>::new(), "the next look tells");
    watch.see(&failed(&["nginx.service"]), &[service(5)], now);
    assert_eq!(watch.trouble(now).0[0].plight, Plight::Failed);
}
