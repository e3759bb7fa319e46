//! `curfew simulate`: what happens to a cluster of one's own if the mains fail.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use curfew_coordinator::{BuiltIn, Cluster, HostName};
use curfew_simulator::{Course, Look, Measure, Moment, Question, Story, Trouble};

use super::{BAD_CONFIGURATION, complain, report_findings, say};
use crate::app;
use crate::cluster_file::value::parse_duration;
use crate::cluster_file::{ClusterFile, ClusterFileError, Purpose};
use crate::wrap::wrapped;

#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
#[derive(Args, Debug)]
pub(super) struct SimulateArgs {
    /// The cluster file.
    #[arg(long, env = "CURFEW_CLUSTER", default_value = "/etc/curfew/cluster.toml")]
    cluster: PathBuf,
    /// Take the cluster of docs/examples/home.toml instead.
    #[arg(long, conflicts_with = "cluster")]
    example: bool,

    /// The runtime that the UPS tells now, such as 9m; `upsc` calls it battery.runtime.
    #[arg(long, value_name = "SPAN", value_parser = duration)]
    runtime: Option<Duration>,
    /// The charge that it tells now, in percent.
    #[arg(long, value_name = "PERCENT", default_value_t = 100,
          value_parser = clap::value_parser!(u8).range(1..=100))]
    charge: u8,
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

    /// The columns of the chart.
    #[arg(long, value_name = "COLUMNS", env = "COLUMNS", default_value_t = 80)]
    width: usize,
    /// No character beyond ASCII.
    #[arg(long)]
    ascii: bool,
}

/// Simulates and prints.
pub(super) fn simulate(args: &SimulateArgs) -> ExitCode {
    match answer(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failed) => {
            complain(format_args!("curfew: {failed:#}"));
            report_findings(&failed);
            let is_configuration = failed.downcast_ref::<ClusterFileError>().is_some();
            if is_configuration { ExitCode::from(BAD_CONFIGURATION) } else { ExitCode::FAILURE }
        }
    }
}

fn answer(args: &SimulateArgs) -> anyhow::Result<bool> {
    let question = question(args)?;
    let story = question.story();
    Ok(show(args, &question, &story))
}

/// Plays one story and shows its course.
fn show(args: &SimulateArgs, question: &Question, story: &Story) -> bool {
    let course = Course::of(story);
    let measure = Measure::of(story, &course);
    let look = Look {
        width: args.width,
        is_coloured: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        is_ascii: args.ascii,
    };
    say(curfew_simulator::chart(&course, look));
    for moment in curfew_simulator::moments(&course) {
        say(moment_lines(&moment, &course, args.width));
    }
    say("");
    for sentence in measure.sentences(&course) {
        say(wrapped(&sentence, args.width).join("\n"));
    }
    say("\nAssumed:");
    for sentence in question.assumed() {
        let lines = wrapped(&sentence, args.width.saturating_sub(2));
        say(format_args!("- {}", lines.join("\n  ")));
    }
    measure.is_good()
}

fn moment_lines(moment: &Moment, course: &Course, width: usize) -> String {
    let since = moment.at.saturating_sub(course.failed_at);
    let time = format!("{}:{:02}", since / 60_000, since / 1_000 % 60);
    let names: Vec<&str> = moment.hosts.iter().map(HostName::as_str).collect();
    let text = match names.as_slice() {
        [] => moment.what.clone(),
        [name] => format!("{name} {}", moment.what),
        [first, second] => format!("{first} and {second}: {}", moment.what),
        [first, rest @ ..] => format!("{first} and {} more: {}", rest.len(), moment.what),
    };
    let lines = wrapped(&text, width.saturating_sub(INDENT));
    let indent = format!("\n{:INDENT$}", "");
    format!("{time:>7}  {}", lines.join(&indent))
}

fn question(args: &SimulateArgs) -> anyhow::Result<Question> {
    let mut question = Question::new(cluster(args)?);
    question.runtime = args.runtime;
    question.charge_percent = args.charge;
    question.return_after = args.return_after;
    question.returns = args.returns;
    question.stops = args.stop.iter().cloned().collect();
    question.measured = args.measured.iter().cloned().collect();
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
        anyhow::bail!("no host `{name}` is in the cluster file; it has {}", known.join(", "));
    }
    Ok(question)
}

fn cluster(args: &SimulateArgs) -> anyhow::Result<Cluster> {
    let file = if args.example {
        let parsed = ClusterFile::parse_for(Purpose::Simulate, EXAMPLE);
        parsed.file().cloned().context("the example has mistakes")?
    } else {
        ClusterFile::load_for(Purpose::Simulate, &args.cluster)?.0
    };
    let mut cluster = app::cluster(&file)?;
    // The world of the simulator runs at its own pace, that of a cluster that is no rehearsal.
    cluster.settings.built_in = BuiltIn::default();
    Ok(cluster)
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

/// The reference cluster.
const EXAMPLE: &str = include_str!("../../../docs/examples/home.toml");
/// Where the text of a moment begins.
const INDENT: usize = 9;
