//! `curfew demo`: an outage to be watched.

use std::process::ExitCode;

use clap::Args;

use super::{complain, in_runtime};
use crate::demo::{self, DemoOptions};

#[derive(Args, Debug)]
pub(super) struct DemoArgs {
    /// Print what happens as JSON lines.
    #[arg(long)]
    json: bool,
    /// Leave the cluster file, the logs and the journals, and say where they are.
    #[arg(long)]
    keep: bool,
    /// The HTTP port of the agents; the next one is for their peers.
    #[arg(long, default_value_t = 9100, value_parser = clap::value_parser!(u16).range(1..65535))]
    port: u16,
}

/// Plays it.
pub(super) fn demo(args: &DemoArgs) -> ExitCode {
    let DemoArgs { json, keep, port } = *args;
    match in_runtime(demo::run(DemoOptions { json, keep, port })) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failed) => {
            complain(format_args!("curfew: {failed:#}"));
            ExitCode::FAILURE
        }
    }
}
