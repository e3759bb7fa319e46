//! Collectors that answer, hang, fail and panic.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;
use crate::fixture::Tree;
use crate::sample::{Family, Kind};

static ONE: Family = Family::gauge("one", &[], "One.");

#[expect(clippy::unnecessary_wraps, reason = "as all collectors")]
fn answers(context: &mut Context<'_>) -> Result<(), CollectError> {
    context.samples.set(&ONE, &[], 1.0);
    Ok(())
}

fn fails(context: &mut Context<'_>) -> Result<(), CollectError> {
    context.samples.named("two", Kind::Gauge, "", &[], 2.0);
    Err(CollectError::Absent { what: "luck" })
}

fn panics(_: &mut Context<'_>) -> Result<(), CollectError> {
    panic!("a bug in a collector")
}

fn collector(name: &'static str, limit_ms: u64, collect: crate::collector::Collect) -> Collector {
    Collector { name, limit: Duration::from_millis(limit_ms), collect }
}

fn host(collectors: Vec<Collector>) -> Host {
    let tree = Tree::new(&[]);
    Host::with(tree.roots(), Settings::default(), collectors)
}

fn results(collected: &Collected) -> Vec<(&str, String)> {
    let outcomes = collected.outcomes.iter();
    let result = |outcome: &Outcome| match &outcome.result {
        Ok(()) => "ok".to_owned(),
        Err(failure) => failure.to_string(),
    };
    outcomes.map(|outcome| (outcome.collector, result(outcome))).collect()
}

/// Hangs until the test lets it go; each test that needs one has its own.
macro_rules! hanging {
    ($name:ident, $gate:ident) => {
        static $gate: Mutex<Option<Receiver<()>>> = Mutex::new(None);
        fn $name(context: &mut Context<'_>) -> Result<(), CollectError> {
            let gate = $gate.lock().unwrap().take();
            if let Some(gate) = gate {
                // Ends when the test drops its end, too.
                gate.recv().unwrap_or_default();
            }
            context.samples.set(&ONE, &[], 1.0);
            Ok(())
        }
    };
}

fn close(gate: &Mutex<Option<Receiver<()>>>) -> Sender<()> {
    let (sender, receiver) = channel();
    *gate.lock().unwrap() = Some(receiver);
    sender
}

#[test]
fn what_is_found_before_a_failure_counts() {
    let host = host(vec![collector("a", 9000, answers), collector("b", 9000, fails)]);
    for _ in 0..3 {
        let collected = host.collect();
        let expected = [("a", "ok".to_owned()), ("b", "this host has no luck".to_owned())];
        assert_eq!(results(&collected), expected);
        let values: Vec<_> =
            collected.outcomes.iter().filter_map(|outcome| outcome.samples.value("two")).collect();
        assert_eq!(values, [2.0]);
    }
    assert_eq!(host.shared.lock().workers, 1, "one thread for all rounds");
}

hanging!(hangs_once, ONCE);

#[test]
fn a_collector_that_hangs_costs_its_limit_once_and_nobody_else() {
    let host = host(vec![
        collector("a", 9000, answers),
        collector("hung", 60, hangs_once),
        collector("z", 9000, answers),
    ]);
    let gate = close(&ONCE);
    let started = now();
    let first = host.collect();
    assert!(started.elapsed() < LIMIT, "{:?}", started.elapsed());
    let result = results(&first);
    assert_eq!(result.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["a", "hung", "z"]);
    assert!(result[1].1.starts_with("no answer within"), "{result:?}");
    assert_eq!((result[0].1.as_str(), result[2].1.as_str()), ("ok", "ok"));

    let started = now();
    let second = host.collect();
    assert!(started.elapsed() < Duration::from_millis(60), "{:?}", started.elapsed());
    assert_eq!(results(&second)[1].1, "an earlier question is still not answered");

    drop(gate);
    // Its late answer is not used; it is asked again as soon as that has come.
    let is_asked = || results(&host.collect())[1].1 == "ok";
    let waited = now();
    while !is_asked() {
        assert!(waited.elapsed() < Duration::from_secs(10), "it is never asked again");
    }
    assert_eq!(host.shared.lock().workers, 2);
}

hanging!(hangs_first, FIRST);
hanging!(hangs_second, SECOND);

#[test]
fn a_round_ends_in_time_however_many_hang() {
    let host = host(vec![
        collector("one", 450, hangs_first),
        collector("two", 450, hangs_second),
        collector("z", 600, answers),
    ]);
    let gates = (close(&FIRST), close(&SECOND));
    let started = now();
    let collected = host.collect();
    let took = started.elapsed();
    assert!(took >= LIMIT && took < LIMIT + Duration::from_millis(150), "{took:?}");
    assert_eq!(results(&collected)[2].1, "other collectors took all the time");
    assert_eq!(results(&host.collect())[2].1, "ok", "the next round asks it");
    drop(gates);
}

#[test]
fn a_panic_costs_no_more_than_its_collector() {
    let host = host(vec![collector("bug", 9000, panics), collector("z", 9000, answers)]);
    for _ in 0..2 {
        let collected = host.collect();
        let result = results(&collected);
        assert_eq!(result[0].1, "the collector has panicked", "{result:?}");
        assert_eq!(result[1].1, "ok");
    }
    assert_eq!(host.shared.lock().workers, 1, "its thread lives on");
}

static LATE: Mutex<Option<Receiver<()>>> = Mutex::new(None);

#[expect(clippy::unnecessary_wraps, reason = "as all collectors")]
fn panics_late(_: &mut Context<'_>) -> Result<(), CollectError> {
    let Some(gate) = LATE.lock().unwrap().take() else { return Ok(()) };
    gate.recv().unwrap_or_default();
    panic!("a bug in a collector that nobody waits for")
}

#[test]
fn a_collector_that_panics_too_late_is_asked_again() {
    let host = host(vec![collector("bug", 30, panics_late), collector("z", 9000, answers)]);
    let gate = close(&LATE);
    assert!(results(&host.collect())[0].1.starts_with("no answer within"));
    assert_eq!(results(&host.collect())[0].1, "an earlier question is still not answered");
    drop(gate);
    let waited = now();
    while results(&host.collect())[0].1 != "ok" {
        assert!(waited.elapsed() < Duration::from_secs(10), "it is never asked again");
    }
}

#[test]
fn without_collectors_there_is_nothing_and_no_thread() {
    let host = host(Vec::new());
    assert!(host.collect().outcomes.is_empty());
    assert_eq!(host.shared.lock().workers, 0);
}

#[test]
fn scrapes_at_once_wait_for_each_other() {
    let host = Arc::new(host(vec![collector("a", 9000, answers)]));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let host = Arc::clone(&host);
            thread::spawn(move || host.collect().outcomes.len())
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), 1);
    }
}
