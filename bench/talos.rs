//! What the extension costs on a Talos node and how fast it is: outages of a cluster of which two
//! hosts run it in a container, as Talos starts it.
//!
//! `--runs N` outages (5), after `--idle SECONDS` (30) of rest each; `CURFEW_STATIC_BINARY` and
//! `CURFEW_BINARY` name the release builds for the nodes and for the owner. Needs what the stories
//! of `tests/` need. The tables go to standard output.
#![expect(clippy::print_stdout, clippy::cast_precision_loss, reason = "a table for people")]

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use curfew_coordinator::Time;
use curfew_tests::cluster_file::Nodes;
use curfew_tests::story::DOWN;
use curfew_tests::talos::story::{PATIENCE, Seen, limits};
use curfew_tests::{Fact, Host, Lab, Setup, Verb, http, report};

/// The nodes, in the order in which they stop.
const NODES: [Host; 2] = [Host::K8s2, Host::K8s1];

/// What was measured, one value of each run and node.
#[derive(Debug, Default)]
struct Results {
    /// From the start of the container, `runc` included, until HTTP answers.
    start: Vec<f64>,
    /// Resident memory in MiB: at rest, and the most at any time until the agent was told to end.
    idle: Vec<f64>,
    peak: Vec<f64>,
    /// From the declaration, on whichever host, until machined has the call of the first node.
    declared_to_call: Vec<f64>,
    /// From the decision of a node to begin until machined has its call.
    begun_to_call: Vec<f64>,
    /// From SIGTERM until the container is gone.
    end: Vec<f64>,
}

fn main() -> Result<()> {
    let runs = option("--runs")?.unwrap_or(5);
    let idle = Duration::from_secs(option("--idle")?.unwrap_or(30));
    let mut results = Results::default();
    for run in 1..=runs {
        results.measure(idle).with_context(|| format!("outage {run}"))?;
    }
    println!("{runs} outages       {:>9} {:>9} {:>9}", "min", "median", "max");
    show("start until HTTP answers, ms", results.start);
    show("resident at rest, MiB", results.idle);
    show("resident at most, MiB", results.peak);
    show("declared until Shutdown is called, ms", results.declared_to_call);
    show("begun until Shutdown is called, ms", results.begun_to_call);
    show("SIGTERM until the end, ms", results.end);
    Ok(())
}

impl Results {
    fn measure(&mut self, idle: Duration) -> Result<()> {
        let setup = Setup { limits: limits(), nodes: Nodes::Talos, ..Setup::default() };
        let mut lab = Lab::build(&setup)?;
        lab.look_every(Duration::from_millis(1));
        lab.press_button(Host::Nfs);
        for host in NODES {
            lab.press_button(host);
            let start = lab.until(host, &Fact::AgentStarted, PATIENCE)?;
            lab.eventually("it answers", PATIENCE, |_| http::get(host, "/livez").is_ok())?;
            self.start.push(millis(start, curfew_tests::ground::now()));
        }
        lab.until_whole(PATIENCE)?;
        lab.look_every(Duration::from_millis(20));
        lab.throughout("all rest", idle, |lab| lab.timeline().calls().is_empty())?;
        for host in NODES {
            self.idle.push(mebibytes(Seen::of(lab.container(host)?)?.size("VmRSS")?));
        }

        lab.look_every(Duration::from_millis(1));
        lab.fail_mains_with_spare(3)?;
        let mut peaks = [0; NODES.len()];
        lab.eventually("the owner holds", DOWN, |lab| {
            for (peak, host) in peaks.iter_mut().zip(NODES) {
                let seen = lab.container(host).and_then(Seen::of);
                *peak = seen.and_then(|seen| seen.size("VmHWM")).unwrap_or(*peak);
            }
            lab.timeline().first(Host::Nfs, &Fact::Called(Verb::Hold)).is_some()
        })?;
        lab.until_off(&NODES)?;
        self.peak.extend(peaks.map(mebibytes));
        self.take_times(&lab)
    }

    fn take_times(&mut self, lab: &Lab) -> Result<()> {
        let declared = Host::ALL.into_iter().filter_map(|host| noted(lab, host, "declared"));
        let declared = declared.min().context("nobody has declared")?;
        for (place, host) in NODES.into_iter().enumerate() {
            let calls = lab.timeline().count(host, &Fact::Called(Verb::Stop));
            ensure!(calls == 1, "{host} was called {calls} times");
            let first = |fact: &Fact| lab.timeline().first(host, fact).context("it never came");
            let call = first(&Fact::Called(Verb::Stop))?;
            if place == 0 {
                self.declared_to_call.push(millis(declared, call));
            }
            let begun = noted(lab, host, "began").context("it has not begun")?;
            self.begun_to_call.push(millis(begun, call));
            self.end.push(millis(first(&Fact::Halting)?, first(&Fact::AgentEnded(Some(0)))?));
        }
        Ok(())
    }
}

/// Returns when the agent of `host` first noted this.
fn noted(lab: &Lab, host: Host, event: &str) -> Option<Time> {
    let notes = report::notes(lab.machine(host), event);
    notes.first()?.get("boot_ms")?.as_u64().map(Time::from_millis)
}

fn millis(from: Time, until: Time) -> f64 {
    until.since(from).as_secs_f64() * 1000.0
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1024.0 / 1024.0
}

fn show(what: &str, mut values: Vec<f64>) {
    values.sort_by(f64::total_cmp);
    let at = |place: usize| values.get(place).copied().unwrap_or(f64::NAN);
    let (middle, last) = (values.len() / 2, values.len().saturating_sub(1));
    println!("{what:<38} {:>9.1} {:>9.1} {:>9.1}", at(0), at(middle), at(last));
}

/// Returns the number after this option, if it is given.
fn option(name: &str) -> Result<Option<u64>> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
    arguments.next().map(|text| text.parse().with_context(|| format!("{name} {text}"))).transpose()
}
