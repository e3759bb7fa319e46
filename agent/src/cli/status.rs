//! `curfew status`: how the cluster stands, as an agent sees it.

mod page;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use super::{complain, in_runtime, say};
use crate::app;
use crate::ask::{self, AskError};
use crate::cluster_file::ClusterFile;
use crate::wrap::{WIDTH, wrapped};

#[derive(Args, Debug)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    asked: Asked,
    /// Print the document of the agent as it is.
    #[arg(long)]
    json: bool,
}

/// Which agent is asked.
#[derive(Args, Debug)]
pub(super) struct Asked {
    /// The agent to ask; by default that of this host in the cluster file, else 127.0.0.1.
    #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = parse_at)]
    at: Option<SocketAddr>,
    /// The cluster file, /etc/curfew/cluster.toml if there is one.
    #[arg(long, env = "CURFEW_CLUSTER", value_name = "FILE")]
    cluster: Option<PathBuf>,
    /// The host of the cluster file to ask; the machine's own name if it is not given.
    #[arg(long, env = "CURFEW_HOST", value_name = "NAME")]
    host: Option<String>,
}

/// Asks and prints.
pub(super) fn status(args: &StatusArgs) -> ExitCode {
    let place = args.asked.place();
    let asked = place.and_then(|at| in_runtime(async { Ok(ask_and_print(at, args).await?) }));
    asked.map_or_else(|failed| fail(&failed), |()| ExitCode::SUCCESS)
}

/// Says why there is no answer, and what to do.
pub(super) fn fail(failed: &anyhow::Error) -> ExitCode {
    complain(format_args!("curfew: {failed:#}"));
    if let Some(remedy) = failed.downcast_ref().map(remedy) {
        complain(wrapped(remedy, WIDTH).join("\n"));
    }
    ExitCode::FAILURE
}

async fn ask_and_print(at: SocketAddr, args: &StatusArgs) -> Result<(), AskError> {
    let document = ask::document(at).await?;
    if args.json {
        say(String::from_utf8_lossy(&document));
    } else {
        say(page::page(&ask::decode(at, &document)?).trim_end());
    }
    Ok(())
}

impl Asked {
    /// Returns which agent is asked.
    pub(super) fn place(&self) -> anyhow::Result<SocketAddr> {
        if let Some(at) = self.at {
            return Ok(at);
        }
        let usual = Path::new(USUAL_FILE);
        let file = self.cluster.as_deref().or_else(|| usual.exists().then_some(usual));
        let Some(file) = file else {
            // A name without a file leads nowhere, and the local agent may be another host.
            anyhow::ensure!(
                self.host.is_none(),
                "--host needs --cluster FILE, or use --at ADDRESS"
            );
            return Ok(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), HTTP_PORT));
        };
        let name = app::host_name(self.host.as_deref())?;
        let (cluster, _findings) = ClusterFile::load(file).with_context(|| {
            format!("see `curfew check {}`, or use --at ADDRESS", file.display())
        })?;
        let host = cluster.host(&name).context("name one with --host NAME, or use --at ADDRESS")?;
        let at = host.network.http_listen();
        // What listens everywhere is asked where it is reached.
        let ip = if at.ip().is_unspecified() { host.network.address } else { at.ip() };
        Ok(SocketAddr::new(ip, at.port()))
    }
}

/// Takes an address with or without a port.
pub(super) fn parse_at(text: &str) -> Result<SocketAddr, String> {
    let with_port = text.parse::<SocketAddr>();
    let alone = || text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, HTTP_PORT));
    with_port
        .or_else(|_no_port| alone())
        .map_err(|_neither| "write an IP address such as 10.0.0.13 or 10.0.0.13:9100".to_owned())
}

fn remedy(failed: &AskError) -> &'static str {
    match failed {
        AskError::Connect { .. } => {
            "Is it running (`systemctl status curfew`, on Talos `talosctl service ext-curfew`)? \
             An agent elsewhere is asked with `curfew status --at ADDRESS`."
        }
        AskError::TimeOut { .. } => "Its log says more, or the machine is very busy: try again.",
        AskError::Standby { .. } => {
            "`curl` its /health: it says what keeps it from starting. Without that it is asked by \
             too many at once: try again."
        }
        AskError::Decode { .. } => "Use --json, or the curfew of that host's version.",
        AskError::Exchange { .. } | AskError::Body { .. } | AskError::Refuse { .. } => {
            "Another program may have that port: see http-port in the cluster file."
        }
    }
}

/// Where agents show themselves unless the cluster file says otherwise.
const HTTP_PORT: u16 = 9100;
/// As `curfew run` takes it.
const USUAL_FILE: &str = "/etc/curfew/cluster.toml";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_needs_no_port() {
        for (text, at) in [
            ("127.0.0.13", "127.0.0.13:9100"),
            ("10.0.0.1:19100", "10.0.0.1:19100"),
            ("::1", "[::1]:9100"),
            ("[::1]:1", "[::1]:1"),
        ] {
            assert_eq!(parse_at(text).unwrap(), at.parse().unwrap());
        }
        for text in ["", "nfs", "10.0.0.1:", "10.0.0.1:99999"] {
            assert!(parse_at(text).unwrap_err().contains("10.0.0.13:9100"), "{text}");
        }
    }

    #[test]
    fn the_cluster_file_says_where_the_own_agent_is() {
        let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/examples/rehearsal.toml");
        let args = |host: Option<&str>, cluster: Option<&str>| Asked {
            at: None,
            cluster: cluster.map(PathBuf::from),
            host: host.map(str::to_owned),
        };
        let at = args(Some("k8s-1"), Some(example)).place().unwrap();
        assert_eq!(at, "127.0.0.11:9100".parse().unwrap());
        let unknown = args(Some("k8s-9"), Some(example)).place().unwrap_err();
        assert!(format!("{unknown:#}").contains("--host NAME"), "{unknown:#}");
        let missing = args(Some("nfs"), Some("/nonexistent")).place().unwrap_err();
        assert!(format!("{missing:#}").contains("--at ADDRESS"), "{missing:#}");
    }
}
