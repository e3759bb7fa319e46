//! `curfew history`: the outages, shutdowns and recoveries of a host, as its agent tells them.

mod page;

use std::process::ExitCode;

use clap::Args;

use super::status::{Asked, fail};
use super::{in_runtime, say};
use crate::ask::{self, AskError};

#[derive(Args, Debug)]
pub(super) struct HistoryArgs {
    #[command(flatten)]
    asked: Asked,
    /// How many of each to show, the newest first.
    #[arg(long, value_name = "N", default_value_t = 5)]
    limit: usize,
    /// Print the document of the agent as it is.
    #[arg(long)]
    json: bool,
}

/// Asks and prints.
pub(super) fn history(args: &HistoryArgs) -> ExitCode {
    let place = args.asked.place();
    let printed = place.and_then(|at| {
        in_runtime(async {
            let document = ask::history(at, args.limit).await?;
            if args.json {
                say(String::from_utf8_lossy(&document));
                return Ok(());
            }
            let past = serde_json::from_slice(&document);
            let past = past.map_err(|source| AskError::Decode { at, source })?;
            say(page::page(&past).trim_end());
            Ok(())
        })
    });
    printed.map_or_else(|failed| fail(&failed), |()| ExitCode::SUCCESS)
}
