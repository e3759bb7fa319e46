//! `curfew shutdown`, `call-off` and `wake`: what an operator orders, from any machine.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use curfew_coordinator::{Command, HostName};

use super::{complain, in_runtime, say};
use crate::peer::{OperatorCommand, command};

/// Where agents listen for peers and operators, unless the cluster file says otherwise.
const PEER_PORT: u16 = 9101;

/// Whom to ask, and as whom.
#[derive(Args, Debug)]
pub(super) struct Server {
    /// Any agent of the cluster: `ADDRESS` or `ADDRESS:PORT`.
    #[arg(long, env = "CURFEW_SERVER", value_name = "ADDRESS", value_parser = address)]
    server: SocketAddr,
    /// The directory of `curfew pki issue --operator NAME`.
    #[arg(long, env = "CURFEW_PKI", default_value = "/etc/curfew/operator")]
    pki: PathBuf,
}

impl Server {
    pub(super) const fn address(&self) -> SocketAddr {
        self.server
    }

    pub(super) fn pki(&self) -> &Path {
        &self.pki
    }
}

#[derive(Args, Debug)]
pub(super) struct Shutdown {
    #[command(flatten)]
    server: Server,
    /// Wake everything again when the owner is back.
    #[arg(long)]
    then_wake: bool,
    /// Yes, every host of the cluster.
    #[arg(long)]
    yes: bool,
}

#[derive(Args, Debug)]
pub(super) struct Wake {
    #[command(flatten)]
    server: Server,
    /// The hosts; all that are off if none is named.
    hosts: Vec<String>,
}

pub(super) fn shutdown(args: Shutdown) -> ExitCode {
    let Shutdown { server, then_wake, yes } = args;
    if !yes {
        complain(
            "curfew: this powers off every host of the cluster, the UPS owner last; say --yes to \
             do it",
        );
        return ExitCode::from(2);
    }
    order(&server, Command::Shutdown { operator: String::new(), then_wake })
}

pub(super) fn call_off(server: &Server) -> ExitCode {
    order(server, Command::CallOff { operator: String::new() })
}

pub(super) fn wake(args: Wake) -> ExitCode {
    let Wake { server, hosts } = args;
    let hosts: BTreeSet<HostName> = hosts.into_iter().map(HostName::from).collect();
    order(&server, Command::Wake { operator: String::new(), hosts })
}

/// Sends the command; the operator's name is the one in the certificate.
fn order(server: &Server, order: Command) -> ExitCode {
    let order = OperatorCommand::Coordinator(order);
    let answer = in_runtime(async { Ok(command(server.server, None, &server.pki, &order).await?) });
    match answer {
        Ok(answer) if answer.is_accepted => {
            say(answer.sentence);
            ExitCode::SUCCESS
        }
        Ok(answer) => {
            complain(format_args!("curfew: refused: {}", answer.sentence));
            ExitCode::FAILURE
        }
        Err(failed) => {
            complain(format_args!("curfew: {failed:#}"));
            ExitCode::FAILURE
        }
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let alone = text.parse::<IpAddr>().map(|address| SocketAddr::new(address, PEER_PORT));
    alone.or_else(|_| text.parse()).map_err(|_| {
        "write the address of an agent, such as 10.0.0.13 or 10.0.0.13:9101".to_owned()
    })
}
