//! The owner's account at `upsd`: its name, and the file with its password.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::time::Duration;

use curfew_nut::client::Credentials;
use curfew_nut::codec::request::Secret;
use thiserror::Error;

use crate::blocking::{AskError, Asker};
use crate::cluster_file::Ups;

/// How long the disk may take for the password.
const READ_LIMIT: Duration = Duration::from_secs(2);

/// The longest password that is read: `upsd` takes 511 bytes.
const PASSWORD_MAX: u64 = 1024;

/// The password cannot be read.
#[derive(Debug, Error)]
#[error("{} cannot be read", file.display())]
pub(super) struct AccountError {
    file: PathBuf,
    source: io::Error,
}

/// An account; its clones share the one look at the file that runs.
#[derive(Clone, Debug)]
pub(super) struct Account {
    username: String,
    password_file: PathBuf,
    asker: Asker,
}

impl Account {
    /// Returns the account of a UPS, if the cluster file has one.
    pub(super) fn new(ups: &Ups) -> Option<Self> {
        let login = ups.login.as_ref()?;
        Some(Self {
            username: login.username.clone(),
            password_file: login.password_file.clone(),
            asker: Asker::new(READ_LIMIT),
        })
    }

    /// Returns the name in `upsd.users`.
    pub(super) fn username(&self) -> &str {
        &self.username
    }

    /// Reads the password, anew each time: a person may have changed it.
    pub(super) async fn credentials(&self) -> Result<Credentials, AccountError> {
        let password = self.password().await;
        let file = || self.password_file.clone();
        let password = password.map_err(|source| AccountError { file: file(), source })?;
        Ok(Credentials { username: self.username.clone(), password })
    }

    /// Reads the password, without the line feed that an editor leaves behind.
    async fn password(&self) -> io::Result<Secret> {
        let path = self.password_file.clone();
        let read = self.asker.ask(move || {
            let mut text = String::new();
            File::open(path)?.take(PASSWORD_MAX).read_to_string(&mut text)?;
            Ok(Secret::new(text.trim_end_matches(['\r', '\n'])))
        });
        read.await.unwrap_or_else(|unanswered| match unanswered {
            // One that hangs in a dead disk is not joined by another.
            AskError::Wait => Err(io::Error::from(io::ErrorKind::ResourceBusy)),
            AskError::TimeOut(_) => Err(io::Error::from(io::ErrorKind::TimedOut)),
            AskError::Lost(lost) => Err(io::Error::other(lost)),
        })
    }
}
