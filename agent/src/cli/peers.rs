//! `curfew pki`: the certificates of the cluster.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Subcommand;

use super::{complain, say};
use crate::pki::{self, PkiError, Subject};

#[derive(Debug, Subcommand)]
pub(super) enum Pki {
    /// Make the cluster's own authority. Keep its directory where your secrets are.
    Init {
        /// The directory to make.
        directory: PathBuf,
        /// The name of the cluster, as in the cluster file.
        #[arg(long)]
        cluster: String,
    },
    /// Issue certificates, each into a directory of its own, ready to copy.
    Issue {
        /// The directory of the authority.
        #[arg(long, default_value = ".")]
        dir: PathBuf,
        /// The hosts, named as in the cluster file.
        #[arg(required_unless_present = "operator")]
        hosts: Vec<String>,
        /// A person who may give commands.
        #[arg(long, value_name = "NAME")]
        operator: Option<String>,
    },
}

/// Makes what is asked for; goes on to the next when one fails.
pub(super) fn pki(command: &Pki) -> ExitCode {
    let now = SystemTime::now();
    let failures = match command {
        Pki::Init { directory, cluster } => {
            usize::from(!report(pki::init(directory, cluster, now)))
        }
        Pki::Issue { dir, hosts, operator } => {
            let hosts = hosts.iter().map(|host| Subject::Host(host.clone()));
            let operator = operator.iter().map(|name| Subject::Operator(name.clone()));
            hosts.chain(operator).filter(|subject| !issue(dir, subject.clone(), now)).count()
        }
    };
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn issue(directory: &Path, subject: Subject, now: SystemTime) -> bool {
    report(pki::issue(directory, subject, now))
}

fn report(outcome: Result<impl std::fmt::Display, PkiError>) -> bool {
    match outcome {
        Ok(made) => {
            say(made);
            true
        }
        Err(failed) => {
            complain(format_args!("curfew: {:#}", anyhow::Error::from(failed)));
            false
        }
    }
}
