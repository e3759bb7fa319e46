//! Laws of what keeps a check from wavering.

use proptest::prelude::*;
use tokio::time::advance;

use super::*;

const LIMIT: Limit = Limit::Below(10.0, 11.0);
const PATIENCE: Patience =
    Patience { raise: Duration::from_mins(1), clear: Duration::from_mins(2) };
const LOOK: Duration = Duration::from_secs(30);

fn run(alarm: &mut Alarm, values: &[Option<f64>]) -> Vec<Verdict> {
    let start = Instant::now();
    let at = |index: usize| start + LOOK * u32::try_from(index).unwrap();
    values.iter().enumerate().map(|(index, value)| alarm.see(*value, at(index))).collect()
}

/// Counts how often what is known changes.
fn turns(verdicts: &[Verdict]) -> usize {
    let known: Vec<_> = verdicts.iter().filter(|it| **it != Verdict::Unknown).collect();
    known.windows(2).filter(|pair| pair.first() != pair.last()).count()
}

#[tokio::test(start_paused = true)]
async fn it_is_raised_after_its_patience_and_cleared_beyond_the_gap() {
    let mut alarm = Alarm::new(LIMIT, PATIENCE);
    assert_eq!(alarm.see(Some(50.0), Instant::now()), Verdict::Clear);
    advance(LOOK).await;
    assert_eq!(alarm.see(Some(9.0), Instant::now()), Verdict::Clear);
    advance(PATIENCE.raise).await;
    assert_eq!(alarm.see(Some(9.0), Instant::now()), Verdict::Raised);
    advance(PATIENCE.clear * 2).await;
    assert_eq!(alarm.see(Some(10.5), Instant::now()), Verdict::Raised, "in the gap");
    advance(PATIENCE.clear * 2).await;
    assert_eq!(alarm.see(Some(11.0), Instant::now()), Verdict::Raised, "only now beyond it");
    advance(PATIENCE.clear).await;
    assert_eq!(alarm.see(Some(11.0), Instant::now()), Verdict::Clear);
}

#[tokio::test(start_paused = true)]
async fn the_first_value_counts_at_once_unless_it_is_to_be_calm() {
    let now = Instant::now();
    assert_eq!(Alarm::new(LIMIT, PATIENCE).see(Some(9.0), now), Verdict::Raised);
    let mut calm = Alarm::calm(LIMIT, PATIENCE);
    assert_eq!(calm.see(None, now), Verdict::Unknown);
    assert_eq!(calm.see(Some(9.0), now), Verdict::Clear);
    assert_eq!(calm.see(Some(9.0), now + PATIENCE.raise), Verdict::Raised);
}

#[tokio::test(start_paused = true)]
async fn time_in_which_nobody_could_look_is_no_patience() {
    let mut alarm = Alarm::calm(LIMIT, PATIENCE);
    let blind = [None; 20];
    let values = [&[Some(9.0)], &blind[..], &[Some(9.0), Some(9.0)]].concat();
    let verdicts = run(&mut alarm, &values);
    assert_eq!(verdicts.last_chunk(), Some(&[Verdict::Clear, Verdict::Raised]));
}

#[tokio::test(start_paused = true)]
async fn a_grade_is_that_of_the_graver_limit() {
    let patience = Patience { raise: Duration::ZERO, clear: Duration::ZERO };
    let mut grade = Grade::new(Limit::Above(80.0, 75.0), Limit::Above(100.0, 95.0), patience);
    for (value, state) in [
        (Some(70.0), State::Pass),
        (Some(80.0), State::Warn),
        (Some(100.0), State::Fail),
        (Some(96.0), State::Fail),
        (None, State::Unknown),
        (Some(f64::NAN), State::Unknown),
        (Some(94.0), State::Warn),
        (Some(74.0), State::Pass),
    ] {
        assert_eq!(grade.see(value, Instant::now()), state, "{value:?}");
        advance(LOOK).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_rise_is_forgotten_after_its_time_and_a_reset_is_none() {
    let mut rise = Rise::new(Duration::from_mins(10));
    assert_eq!(rise.see(Some(7), Instant::now()), Some(0), "what was before is no rise");
    advance(LOOK).await;
    assert_eq!(rise.see(Some(9), Instant::now()), Some(2));
    assert_eq!(rise.see(None, Instant::now()), None);
    assert_eq!(rise.see(Some(1), Instant::now()), Some(2), "the counter began anew");
    advance(Duration::from_mins(10)).await;
    assert_eq!(rise.see(Some(1), Instant::now()), Some(0));
}

#[tokio::test(start_paused = true)]
async fn a_share_is_that_of_the_window() {
    let mut share = Share::new(Duration::from_mins(5));
    assert_eq!(share.see(Some(100.0), Instant::now()), None, "one total is no share");
    for look in 1..=20 {
        advance(LOOK).await;
        let total = 100.0 + 0.5 * f64::from(look) * 30.0;
        let part = share.see(Some(total), Instant::now()).unwrap();
        assert!((part - 0.5).abs() < 1e-9, "{part}");
    }
    for _look in 0..11 {
        advance(LOOK).await;
        share.see(Some(400.0), Instant::now()).unwrap();
    }
    assert_eq!(share.see(Some(400.0), Instant::now() + LOOK), Some(0.0), "what is past is past");
    assert_eq!(share.see(Some(3.0), Instant::now() + LOOK * 2), None, "the counter began anew");
}

fn reading() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        6 => (0.0..30.0_f64).prop_map(Some),
        2 => (9.5..11.5_f64).prop_map(Some),
        1 => Just(None),
        1 => Just(Some(f64::NAN)),
    ]
}

proptest! {
    /// Around the threshold, within the gap, nothing is ever told twice.
    #[test]
    fn within_the_gap_it_turns_at_most_once(
        values in prop::collection::vec(prop::option::weighted(0.9, 9.0..11.0_f64), 0..200),
    ) {
        let verdicts = run(&mut Alarm::new(LIMIT, PATIENCE), &values);
        prop_assert!(turns(&verdicts) <= 1, "{verdicts:?}");
    }

    /// Whatever it sees, two turns of the same kind are at least both patiences apart.
    #[test]
    fn it_never_flaps(values in prop::collection::vec(reading(), 0..200)) {
        let verdicts = run(&mut Alarm::new(LIMIT, PATIENCE), &values);
        let round = PATIENCE.raise + PATIENCE.clear;
        let span = LOOK * u32::try_from(values.len()).unwrap();
        let most = 2 + 2 * usize::try_from(span.as_secs() / round.as_secs()).unwrap();
        prop_assert!(turns(&verdicts) <= most, "{} of {most}", turns(&verdicts));
    }

    /// What is not known is told as such, and changes nothing of what is told afterwards, but for
    /// the time that passes.
    #[test]
    fn unknown_is_never_a_pass_and_never_an_alarm(
        values in prop::collection::vec(reading(), 1..200),
    ) {
        let verdicts = run(&mut Alarm::new(LIMIT, PATIENCE), &values);
        let mut last = None;
        for (value, verdict) in values.iter().zip(&verdicts) {
            let is_known = value.is_some_and(|value| !value.is_nan());
            prop_assert_eq!(is_known, *verdict != Verdict::Unknown);
            // A clear alarm is raised only by a value that is ill, and the other way round.
            if let Some(value) = value.filter(|_| is_known) {
                if last == Some(Verdict::Raised) && *verdict == Verdict::Clear {
                    prop_assert!(value >= 11.0, "cleared by {value}");
                }
                if last == Some(Verdict::Clear) && *verdict == Verdict::Raised {
                    prop_assert!(value < 10.0, "raised by {value}");
                }
                last = Some(*verdict);
            }
        }
    }

    /// From whatever has been, what lasts is told in the end.
    #[test]
    fn it_is_never_stuck(values in prop::collection::vec(reading(), 0..100), is_ill: bool) {
        let (lasting, told) =
            if is_ill { (9.0, Verdict::Raised) } else { (20.0, Verdict::Clear) };
        let looks = usize::try_from(PATIENCE.clear.as_secs() / LOOK.as_secs() + 1).unwrap();
        let mut values = values;
        // Every other look fails.
        values.extend((0..2 * looks).flat_map(|_| [Some(lasting), None]));
        values.push(Some(lasting));
        let verdicts = run(&mut Alarm::new(LIMIT, PATIENCE), &values);
        prop_assert_eq!(verdicts.last(), Some(&told));
    }

    #[test]
    fn a_rise_is_the_sum_of_its_steps(steps in prop::collection::vec(0_u64..50, 1..100)) {
        let start = Instant::now();
        let mut rise = Rise::new(Duration::from_hours(24));
        let (mut value, mut seen) = (0, 0);
        rise.see(Some(0), start);
        for (index, step) in steps.iter().enumerate() {
            value += step;
            let at = start + LOOK * u32::try_from(index).unwrap();
            seen = rise.see(Some(value), at).unwrap();
        }
        prop_assert_eq!(seen, value);
    }
}
