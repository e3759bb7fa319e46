//! Staying up when the agent cannot start, for a system that boots only with all its services.
//!
//! Talos waits for every service of an extension before it counts as booted, and restarts the
//! machine after 70 minutes. An agent that cannot be configured does nothing there, says so, and
//! leaves the machine alone.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{RunOptions, host_name};
use crate::cluster_file::{ClusterFile, ClusterFileError};
use crate::end::End;
use crate::http::{HttpError, Server, Standby, everywhere};

/// What comes after.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Then {
    /// The cause may have healed.
    TryAgain,
    /// The process is told to end.
    End,
}

/// Shows why the agent does not start, until that may have changed.
pub(super) async fn stand_by(options: &RunOptions, failed: &anyhow::Error, end: &mut End) -> Then {
    let standby = describe(options, failed);
    error!("the agent cannot start and stays up without doing anything: {failed:#}");
    for detail in &standby.details {
        error!("{detail}");
    }
    let is_final = failed.downcast_ref::<ClusterFileError>().is_some();
    let heals = async {
        // Whoever changes the cluster file has this restarted, and half a file is never read.
        if is_final { std::future::pending().await } else { sleep(TRY_EVERY).await }
    };
    tokio::select! {
        () = show(place(options), standby) => Then::End,
        () = heals => Then::TryAgain,
        signal = end.told() => {
            info!(signal, "told to end");
            Then::End
        }
    }
}

/// Serves the page for as long as somebody waits for this.
async fn show(address: SocketAddr, standby: Standby) {
    let mut has_failed = false;
    loop {
        let mut bound = Server::bind_standby(address, standby.clone()).await;
        if bound.as_ref().is_err_and(HttpError::is_address_missing) {
            let mut standby = standby.clone();
            let ip = address.ip();
            standby.details.push(format!("nor does this machine have its address {ip}"));
            bound = Server::bind_standby(everywhere(address), standby).await;
        }
        match bound {
            Ok(server) => {
                info!(%address, "why the agent does not start can be read at /health");
                if let Err(failed) = server.run(CancellationToken::new()).await {
                    warn!(error = %failed, "the page has ended");
                }
            }
            Err(failed) if !has_failed => warn!(error = %failed, "there is no page"),
            Err(_again) => {}
        }
        has_failed = true;
        sleep(TRY_EVERY).await;
    }
}

/// Where this host shows itself, if the cluster file says it, else where it does by default.
fn place(options: &RunOptions) -> SocketAddr {
    let file = ClusterFile::load(&options.cluster).ok().map(|(file, _findings)| file);
    let own = file.zip(host_name(options.host.as_deref()).ok());
    let known =
        own.and_then(|(file, name)| file.host(&name).ok().map(|me| me.network.http_listen()));
    known.unwrap_or_else(|| (Ipv4Addr::UNSPECIFIED, HTTP_PORT).into())
}

fn describe(options: &RunOptions, failed: &anyhow::Error) -> Standby {
    let host = host_name(options.host.as_deref()).unwrap_or_else(|_unknown| "curfew".to_owned());
    let of_file = failed.downcast_ref::<ClusterFileError>();
    let details = match of_file {
        Some(ClusterFileError::Refuse { findings, .. }) => {
            findings.iter().map(ToString::to_string).collect()
        }
        Some(ClusterFileError::Read { .. } | ClusterFileError::FindHost { .. }) | None => {
            Vec::new()
        }
    };
    let remedy = match of_file {
        Some(ClusterFileError::Read { .. }) => NO_FILE,
        Some(ClusterFileError::Refuse { .. }) => BAD_FILE,
        Some(ClusterFileError::FindHost { .. }) => NO_HOST,
        None => MAY_HEAL,
    };
    Standby { host, reason: format!("{failed:#}"), details, remedy: remedy.to_owned() }
}

const NO_FILE: &str = "give this host the file; on Talos it stands in the ExtensionServiceConfig \
                       document `curfew`, and Talos restarts the agent when that changes";
const BAD_FILE: &str = "correct these lines, try with `curfew check FILE`, and apply the file \
                        again; on Talos it stands in the ExtensionServiceConfig document `curfew`";
const NO_HOST: &str = "set CURFEW_HOST to the name of this host in the file; on Talos it stands in \
                       the `environment` of the ExtensionServiceConfig document `curfew`";
const MAY_HEAL: &str = "put that right; it is tried again every 10 s";

/// Often enough for a disk that comes back, and no load.
const TRY_EVERY: Duration = Duration::from_secs(10);
/// As `http-port` has it by default.
const HTTP_PORT: u16 = 9100;
