//! The command line: what a person types, and what comes back.

mod demo;
mod history;
mod operator;
mod peers;
mod reboot;
mod simulate;
mod status;

use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::builder::FalseyValueParser;
use clap::{Args, CommandFactory as _, Parser, Subcommand};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::app::{self, RunOptions};
use crate::cluster_file::ClusterFileError;
use crate::cluster_file::check::check;
use crate::end::End;

/// Bad configuration, as in `sysexits.h`.
const BAD_CONFIGURATION: u8 = 78;

/// How long threads that hang in a dead disk may hold the process up at its end.
const RUNTIME_STOP_LIMIT: Duration = Duration::from_millis(500);

/// Brings all machines down in order when the battery runs out, and up in order when power is back.
#[derive(Debug, Parser)]
#[command(name = "curfew", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the agent of this host.
    Run(Run),
    /// Check a cluster file, and print the effective configuration.
    Check {
        /// The cluster file.
        #[arg(env = "CURFEW_CLUSTER", default_value = "/etc/curfew/cluster.toml")]
        file: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show how the cluster stands, as an agent sees it.
    Status(status::StatusArgs),
    /// Show the outages, shutdowns and recoveries of a host, as its agent tells them.
    History(history::HistoryArgs),
    /// Make the certificates of the cluster.
    #[command(subcommand)]
    Pki(peers::Pki),
    /// Play an outage with three agents and a simulated UPS, in less than a minute.
    ///
    /// Nothing of this machine is touched, and it needs neither root nor hardware. It ends with 1
    /// if a host stopped or started out of order, or was left off.
    Demo(demo::DemoArgs),
    /// Simulate an outage of a cluster of your own: what if the mains fail now?
    ///
    /// The agents are the real ones, on virtual time; machines, network and UPS are simulated, and
    /// nothing is asked or touched. It ends with 1 if a host loses its power while it runs, or is
    /// not back at the end.
    Simulate(Box<simulate::SimulateArgs>),
    /// Order the whole cluster to shut down, as an operator.
    Shutdown(operator::Shutdown),
    /// Turn the open shutdown, as an operator: nobody begins any more, all come back.
    CallOff(operator::Server),
    /// Wake hosts that are off, in order, as an operator.
    Wake(operator::Wake),
    /// Reboot one host outside of any shutdown, as an operator, and wait until it is back.
    ///
    /// The others are told. On Talos its pods are moved to other nodes first; for that it powers
    /// off, and is woken by another agent.
    Reboot(reboot::Reboot),
}

#[derive(Args, Debug)]
struct Run {
    /// The cluster file.
    #[arg(long, env = "CURFEW_CLUSTER", default_value = "/etc/curfew/cluster.toml")]
    cluster: PathBuf,
    /// The name of this host in the cluster file; the machine's own name if it is not given.
    #[arg(long, env = "CURFEW_HOST")]
    host: Option<String>,
    /// The state directory.
    #[arg(long, env = "CURFEW_STATE", default_value = "/var/lib/curfew")]
    state: PathBuf,
    /// The directory with `host.crt`, `host.key` and `ca.crt`.
    #[arg(long, env = "CURFEW_PKI", default_value = "/etc/curfew/pki")]
    pki: PathBuf,
    /// Show what keeps the agent from starting, on port 9100, instead of ending because of it.
    ///
    /// For a system on which a service that ends keeps the machine from booting, as Talos does.
    #[arg(long, env = "CURFEW_STAY_UP", value_parser = FalseyValueParser::new())]
    stay_up: bool,
    /// End at once when the process with this id does, which must be the parent.
    #[arg(long, hide = true, value_name = "PID")]
    end_with: Option<i32>,
}

/// Returns the whole command line as clap knows it, for man pages and completions.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(run) => run_agent(run),
        Command::Check { file, json } => {
            let outcome = check(&file, json);
            say(outcome.report.trim_end());
            ExitCode::from(outcome.exit_code)
        }
        Command::Status(args) => status::status(&args),
        Command::History(args) => history::history(&args),
        Command::Pki(pki) => peers::pki(&pki),
        Command::Demo(args) => demo::demo(&args),
        Command::Simulate(args) => simulate::simulate(&args),
        Command::Shutdown(args) => operator::shutdown(args),
        Command::CallOff(server) => operator::call_off(&server),
        Command::Wake(args) => operator::wake(args),
        Command::Reboot(args) => reboot::reboot(args),
    }
}

/// Reads what of the log is wanted: by target and level alone, since what filters fields as well
/// brings regular expressions along. Nothing, and what nobody understands, is `info`.
fn log_filter(wanted: &str) -> Targets {
    let read = if wanted.trim().is_empty() { None } else { wanted.parse().ok() };
    read.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO))
}

fn run_agent(run: Run) -> ExitCode {
    let wanted = std::env::var("CURFEW_LOG").unwrap_or_default();
    let log = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE);
    log.with_writer(io::stderr).finish().with(log_filter(&wanted)).init();
    let Run { cluster, host, state, pki, stay_up, end_with } = run;
    if let Some(failed) = end_with.and_then(|parent| end_with_parent(parent).err()) {
        complain(format_args!("curfew: {failed:#}"));
        return ExitCode::FAILURE;
    }
    let options = RunOptions { cluster, host, state, pki, stays_up: stay_up };
    let end = match End::listen() {
        Ok(end) => end,
        Err(failed) => {
            complain(format_args!("curfew: cannot listen for signals: {failed}"));
            return ExitCode::FAILURE;
        }
    };
    match in_runtime(app::run(options, end)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            complain(format_args!("curfew: {failed:#}"));
            report_findings(&failed);
            let is_configuration = failed.downcast_ref::<ClusterFileError>().is_some();
            if is_configuration { ExitCode::from(BAD_CONFIGURATION) } else { ExitCode::FAILURE }
        }
    }
}

/// Has the kernel end this process with its parent, so that no demo leaves agents behind.
fn end_with_parent(parent: i32) -> anyhow::Result<()> {
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)
        .context("cannot ask the kernel to be ended with the parent")?;
    // It may have ended before the kernel was asked.
    let own = nix::unistd::getppid().as_raw();
    anyhow::ensure!(own == parent, "the process {parent} is not, or no longer, the parent");
    Ok(())
}

/// Prints every mistake of a refused cluster file.
fn report_findings(failed: &anyhow::Error) {
    if let Some(ClusterFileError::Read { .. }) = failed.downcast_ref() {
        complain("  name another with --cluster FILE or CURFEW_CLUSTER, or let this user read it");
    }
    let Some(ClusterFileError::Refuse { findings, .. }) = failed.downcast_ref() else { return };
    for finding in findings {
        complain(format_args!("  {finding}"));
    }
}

/// Runs one future on a runtime of one thread: the agent's work is waiting.
fn in_runtime<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(future);
    runtime.shutdown_timeout(RUNTIME_STOP_LIMIT);
    outcome
}

/// Prints a line for a person; a closed terminal is not an error.
fn say(line: impl Display) {
    if writeln!(io::stdout(), "{line}").is_err() {
        tracing::debug!("nobody reads the output");
    }
}

/// Prints a line about what went wrong.
fn complain(line: impl Display) {
    if writeln!(io::stderr(), "{line}").is_err() {
        tracing::debug!("nobody reads the errors");
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn the_log_is_filtered_by_target_and_level() {
        let shows =
            |wanted: &str, target: &str, level| log_filter(wanted).would_enable(target, &level);
        for (wanted, target, level, is_shown) in [
            ("", "curfew::app", Level::INFO, true),
            (" ", "curfew::app", Level::DEBUG, false),
            ("debug", "zbus", Level::DEBUG, true),
            ("info,curfew::peer=debug,curfew_nut=trace", "curfew::peer::tls", Level::DEBUG, true),
            ("info,curfew::peer=debug,curfew_nut=trace", "curfew::app", Level::DEBUG, false),
            ("info,curfew::peer=debug,curfew_nut=trace", "curfew_nut", Level::TRACE, true),
            ("error", "curfew::app", Level::WARN, false),
            ("no=such=filter", "curfew::app", Level::INFO, true),
            ("no=such=filter", "curfew::app", Level::DEBUG, false),
        ] {
            assert_eq!(shows(wanted, target, level), is_shown, "{wanted:?} {target} {level}");
        }
    }
}
