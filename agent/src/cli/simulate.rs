//! `curfew simulate`: what happens to a cluster of one's own if the mains fail.
//!
//! Here the options become a question; `show` prints the course of one outage, `survey` what comes
//! of many.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use curfew_coordinator::{BuiltIn, Cluster, HostName, Line, Status};
use curfew_simulator::{LEAST_WIDTH, Question, Story, StoryFileError, Trouble};

use super::{BAD_CONFIGURATION, complain, in_runtime, report_findings};
use crate::cluster_file::value::parse_duration;
use crate::cluster_file::{ClusterFile, ClusterFileError};
use crate::{app, ask};

mod show;
mod survey;
#[cfg(test)]
mod tests;

#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
#[derive(Args, Clone, Debug)]
pub(super) struct SimulateArgs {
    /// The cluster file; unless it is given, `CURFEW_CLUSTER` or /etc/curfew/cluster.toml.
    // Clap would let the environment conflict with --example, as if somebody had typed it.
    #[arg(long, value_name = "FILE")]
    cluster: Option<PathBuf>,
    /// Take the cluster of docs/examples/home.toml instead.
    #[arg(long, conflicts_with = "cluster")]
    example: bool,

    /// The runtime that the UPS tells now, such as 9m; `upsc` calls it battery.runtime.
    #[arg(long, value_name = "SPAN", value_parser = duration)]
    runtime: Option<Duration>,
    /// The charge that it tells now, in percent.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(1..=100))]
    charge: Option<u8>,
    /// How long the mains are away, such as 4m.
    #[arg(long, value_name = "SPAN", value_parser = duration)]
    return_after: Option<Duration>,
    /// Whether the UPS comes back by itself after it was told to cut its output.
    #[arg(long, value_name = "yes|no", value_parser = yes_or_no)]
    returns: Option<bool>,

    /// How long a stop truly takes, such as k8s-1=90s; may be repeated, as all that names a host.
    #[arg(long, value_name = "HOST=SPAN", value_parser = host_and_span)]
    stop: Vec<(HostName, Duration)>,
    /// How long the agents have measured that it takes: what they plan with.
    #[arg(long, value_name = "HOST=SPAN", value_parser = host_and_span)]
    measured: Vec<(HostName, Duration)>,
    /// A host whose stop never ends.
    #[arg(long, value_name = "HOST")]
    hangs: Vec<String>,
    /// A host that loses its power with the mains, without a word.
    #[arg(long, value_name = "HOST")]
    vanishes: Vec<String>,
    /// A host whose agent does not run.
    #[arg(long, value_name = "HOST")]
    dead_agent: Vec<String>,
    /// A host whose network cable is out.
    #[arg(long, value_name = "HOST")]
    unplugged: Vec<String>,
    /// The switch is not on the UPS.
    #[arg(long)]
    no_network: bool,
    /// The UPS ignores the command to cut.
    #[arg(long)]
    cut_ignored: bool,

    /// Play so many outages with stops that vary, and print what came of them.
    #[arg(long, value_name = "COUNT", value_parser = runs)]
    runs: Option<u64>,
    /// Play the one outage of this seed, or begin with it.
    #[arg(long)]
    seed: Option<u64>,
    /// How much stops vary with --runs or --seed: the standard deviation in percent.
    /// [default: 10]
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u64).range(0..=50))]
    vary: Option<u64>,
    /// With --runs or --seed: all sorts of weather, and not one outage with true readings.
    #[arg(long)]
    weather: bool,
    /// Play a story file, with the cluster that is in it.
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "cluster", "example", "runtime", "charge", "return_after", "returns", "stop", "measured",
        "hangs", "vanishes", "dead_agent", "unplugged", "no_network", "cut_ignored", "runs",
        "seed", "vary", "weather", "at",
    ])]
    replay: Option<PathBuf>,
    /// Take runtime, charge and measured stops from this agent, as `curfew status` does.
    #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = super::status::parse_at)]
    at: Option<SocketAddr>,

    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// The columns of the chart.
    #[arg(long, value_name = "COLUMNS", env = "COLUMNS", default_value_t = 80)]
    width: usize,
    /// No character beyond ASCII.
    #[arg(long)]
    ascii: bool,
}

impl SimulateArgs {
    fn vary(&self) -> u64 {
        self.vary.unwrap_or(VARY_PERCENT)
    }
}

/// Options that make no question.
#[derive(Debug, thiserror::Error)]
enum UsageError {
    #[error("no host `{name}` is in the cluster file: name one of {known}")]
    Host { name: HostName, known: String },
    #[error("{option} is of random outages only: add --seed 1 for one or --runs 1000 for many")]
    NotRandom { option: &'static str },
    #[error(
        "a UPS that does not return is never told to cut, so --cut-ignored has no effect: add \
         --returns yes, or leave it out"
    )]
    NeverCuts,
}

/// Simulates and prints.
pub(super) fn simulate(args: &SimulateArgs) -> ExitCode {
    let args = &SimulateArgs { width: args.width.max(LEAST_WIDTH), ..args.clone() };
    match answer(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failed) => {
            complain(format_args!("curfew: {failed:#}"));
            report_findings(&failed);
            if failed.downcast_ref::<UsageError>().is_some() {
                return ExitCode::from(USAGE);
            }
            let is_configuration = failed.downcast_ref::<ClusterFileError>().is_some()
                || failed.downcast_ref::<StoryFileError>().is_some()
                || failed.downcast_ref::<std::io::Error>().is_some_and(|_| args.replay.is_some());
            if is_configuration { ExitCode::from(BAD_CONFIGURATION) } else { ExitCode::FAILURE }
        }
    }
}

/// Returns whether all went well.
fn answer(args: &SimulateArgs) -> anyhow::Result<bool> {
    if let Some(path) = &args.replay {
        return Ok(show::show(args, &read_story(path)?, &[]));
    }
    if args.runs.is_none() && args.seed.is_none() {
        let given = [("--weather", args.weather), ("--vary", args.vary.is_some())];
        if let Some((option, _)) = given.into_iter().find(|(_, is_given)| *is_given) {
            return Err(UsageError::NotRandom { option }.into());
        }
    }
    let question = question(args)?;
    if let Some(runs) = args.runs {
        return Ok(survey::survey(args, &question, runs));
    }
    let story = match args.seed {
        Some(seed) => varied(args, &question, seed),
        None => question.story(),
    };
    Ok(show::show(args, &story, &assumed(args, &question)))
}

/// Returns the outage of a seed.
fn varied(args: &SimulateArgs, question: &Question, seed: u64) -> Story {
    let story = question.varied(seed, args.vary());
    if args.weather { story.with_weather() } else { story }
}

fn assumed(args: &SimulateArgs, question: &Question) -> Vec<String> {
    let mut all = question.assumed();
    if args.runs.is_some() || args.seed.is_some() {
        all.push(format!(
            "each stop differs by {} % (standard deviation), and the agents have measured five \
             before (--vary)",
            args.vary()
        ));
    }
    if args.weather {
        all.push("when the mains fail and return, and what else goes wrong, is random".to_owned());
    }
    all
}

fn read_story(path: &Path) -> anyhow::Result<Story> {
    let text = std::fs::read_to_string(path).with_context(|| {
        format!("cannot read the story {}; name another one with --replay", path.display())
    })?;
    Story::from_text(&text).with_context(|| format!("the story {} is refused", path.display()))
}

fn question(args: &SimulateArgs) -> anyhow::Result<Question> {
    let mut question = Question::new(cluster(args)?);
    if let Some(at) = args.at {
        let answer = in_runtime(async { Ok(ask::status(at).await?) }).context(
            "cannot ask an agent; leave --at out and say --runtime and --charge yourself",
        )?;
        learn(&mut question, &answer.status);
    }
    question.runtime = args.runtime.or(question.runtime);
    question.charge_percent = args.charge.unwrap_or(question.charge_percent);
    question.return_after = args.return_after;
    question.returns = args.returns;
    question.stops = args.stop.iter().cloned().collect();
    question.measured.extend(args.measured.iter().cloned());
    let troubles = |names: &[String], trouble: fn(HostName) -> Trouble| {
        names.iter().map(|name| trouble(HostName::from(name.as_str()))).collect::<Vec<_>>()
    };
    question.troubles.extend(troubles(&args.hangs, Trouble::Hangs));
    question.troubles.extend(troubles(&args.vanishes, Trouble::Vanishes));
    question.troubles.extend(troubles(&args.dead_agent, Trouble::DeadAgent));
    question.troubles.extend(troubles(&args.unplugged, Trouble::Unplugged));
    question.troubles.extend(args.no_network.then_some(Trouble::NoNetwork));
    question.troubles.extend(args.cut_ignored.then_some(Trouble::CutIgnored));
    if let Some(name) = question.unknown().first() {
        let known: Vec<&str> =
            question.cluster.hosts.iter().map(|host| host.name.as_str()).collect();
        let known = known.join(", ");
        return Err(UsageError::Host { name: (*name).clone(), known }.into());
    }
    if args.cut_ignored && !question.returns() {
        return Err(UsageError::NeverCuts.into());
    }
    Ok(question)
}

/// Takes from a running agent what it knows and the file does not.
fn learn(question: &mut Question, status: &Status) {
    // On battery the runtime is that of a battery that is being emptied, which is as good.
    if status.ups.line != Line::Unknown {
        question.runtime = status.ups.runtime_left;
        question.charge_percent = status.ups.charge.unwrap_or(question.charge_percent);
    }
    for (host, planned) in &status.plan.stop_times {
        if !planned.measured.is_empty() && question.cluster.host(host).is_some() {
            question.measured.insert(host.clone(), planned.takes);
        }
    }
}

fn cluster(args: &SimulateArgs) -> anyhow::Result<Cluster> {
    let file = if args.example {
        let parsed = ClusterFile::parse(EXAMPLE);
        parsed.file().cloned().context("the example has mistakes")?
    } else {
        let path = cluster_path(args, std::env::var_os("CURFEW_CLUSTER"));
        ClusterFile::load(&path)?.0
    };
    let mut cluster = app::cluster(&file)?;
    // The world of the simulator runs at its own pace, that of a cluster that is no rehearsal.
    cluster.settings.built_in = BuiltIn::default();
    Ok(cluster)
}

/// Returns the file that somebody named, or else the one of the environment, or the usual one.
fn cluster_path(args: &SimulateArgs, of_environment: Option<OsString>) -> PathBuf {
    let of_environment = of_environment.filter(|path| !path.is_empty()).map(PathBuf::from);
    args.cluster.clone().or(of_environment).unwrap_or_else(|| USUAL_FILE.into())
}

fn runs(text: &str) -> Result<u64, String> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| "write how many outages, at least 1".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|failed| failed.to_string())
}

fn host_and_span(text: &str) -> Result<(HostName, Duration), String> {
    let (host, span) = text.split_once('=').ok_or("write HOST=SPAN, such as k8s-1=90s")?;
    Ok((HostName::from(host), duration(span)?))
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("write yes or no".to_owned()),
    }
}

/// How clap ends, too, when an option is wrong.
const USAGE: u8 = 2;
/// The standard deviation of stops, unless somebody says otherwise.
const VARY_PERCENT: u64 = 10;
/// As `curfew run` takes it.
const USUAL_FILE: &str = "/etc/curfew/cluster.toml";
/// The reference cluster.
const EXAMPLE: &str = include_str!("../../../docs/examples/home.toml");
