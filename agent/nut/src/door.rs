//! Orders with a login, each on a connection of its own, so that polling never waits for them.

use std::time::Duration;

use crate::client::resolver::Resolver;
use crate::client::{Acceptance, Client, Credentials, Limits, Verdict};
use crate::error::{ClientError, ErrorCode};
use crate::probe::Rights;

/// How long the driver's verdict is awaited: drivers answer within their poll of 2 s, slow USB
/// devices within a few more.
pub const VERDICT_LIMIT: Duration = Duration::from_secs(10);

/// A variable that no UPS has: who may not SET is refused before that is noticed.
const NO_VARIABLE: &str = "curfew.rights";

/// Gives orders to one `upsd`.
#[derive(Clone, Debug)]
pub struct Door {
    resolver: Resolver,
    limits: Limits,
}

impl Door {
    /// Uses this server; the resolver may be shared with a monitor.
    pub fn new(resolver: Resolver, limits: Limits) -> Self {
        Self { resolver, limits }
    }

    /// Runs an instant command and waits for the driver's verdict, at most [`VERDICT_LIMIT`].
    ///
    /// Not cancel safe: a command that was sent is sent; after an error of the class `Spent` it may
    /// have been, too. `Succeeded` is the driver's word;
    /// `Pending` and `Untracked` must be verified by reading, a countdown by
    /// [`crate::snapshot::Snapshot::shutdown_countdown`].
    pub async fn run_command(
        &self,
        credentials: &Credentials,
        ups: &str,
        command: &str,
        parameter: Option<&str>,
    ) -> Result<Verdict, ClientError> {
        let mut client = self.tracked(credentials).await?;
        let acceptance = client.run_command(ups, command, parameter).await?;
        finish(client, acceptance).await
    }

    /// Sets a variable and waits for the driver's verdict, at most [`VERDICT_LIMIT`].
    pub async fn set_variable(
        &self,
        credentials: &Credentials,
        ups: &str,
        name: &str,
        value: &str,
    ) -> Result<Verdict, ClientError> {
        let mut client = self.tracked(credentials).await?;
        let acceptance = client.set_variable(ups, name, value).await?;
        finish(client, acceptance).await
    }

    /// Logs in as the primary of a UPS; from then on counts as one of its clients.
    pub async fn log_in_as_primary(
        &self,
        credentials: &Credentials,
        ups: &str,
    ) -> Result<Primary, ClientError> {
        let mut client = self.authenticated(credentials).await?;
        client.log_in(ups).await?;
        client.become_primary(ups).await?;
        Ok(Primary { client, ups: ups.to_owned() })
    }

    /// Sets FSD: all foreign clients of the UPS go down, and only a restart of `upsd` ends it. It
    /// needs the right and no LOGIN, so that no client of ours is counted.
    ///
    /// Not cancel safe: after an error of the class `Spent` it may have been set.
    pub async fn force_shutdown(
        &self,
        credentials: &Credentials,
        ups: &str,
    ) -> Result<(), ClientError> {
        let mut client = self.authenticated(credentials).await?;
        client.force_shutdown(ups).await?;
        if let Err(error) = client.log_out().await {
            tracing::debug!(%error, "cannot log out");
        }
        Ok(())
    }

    /// Returns the addresses of those logged in; needs no login.
    pub async fn clients(&self, ups: &str) -> Result<Vec<String>, ClientError> {
        let mut client = Client::connect(&self.resolver, self.limits).await?;
        client.list_clients(ups).await
    }

    /// Finds out what an account may do, without doing anything. SET can be judged only while the
    /// driver gives news; until then the answer is its refusal.
    pub async fn rights(
        &self,
        credentials: &Credentials,
        ups: &str,
    ) -> Result<Rights, ClientError> {
        let mut client = self.authenticated(credentials).await?;
        let primary = granted(client.become_primary(ups).await)?;
        let set = match client.set_variable(ups, NO_VARIABLE, "").await {
            Err(error) if error.code() == Some(&ErrorCode::VarNotSupported) => true,
            other => granted(other.map(drop))?,
        };
        Ok(Rights { primary, set })
    }

    async fn authenticated(&self, credentials: &Credentials) -> Result<Client, ClientError> {
        let mut client = Client::connect(&self.resolver, self.limits).await?;
        client.authenticate(credentials).await?;
        Ok(client)
    }

    async fn tracked(&self, credentials: &Credentials) -> Result<Client, ClientError> {
        let mut client = self.authenticated(credentials).await?;
        if !client.set_tracking(true).await? {
            tracing::debug!("upsd knows no tracking: the driver's verdict will not be known");
        }
        Ok(client)
    }
}

/// A login as primary. `upsd` closes it after 60 s without a request: ask at least every 30 s.
#[derive(Debug)]
pub struct Primary {
    client: Client,
    ups: String,
}

impl Primary {
    /// Sets FSD: all foreign clients of the UPS go down, and only a restart of `upsd` ends it.
    pub async fn force_shutdown(&mut self) -> Result<(), ClientError> {
        self.client.force_shutdown(&self.ups).await
    }

    /// Returns the addresses of those logged in, this login included; works without a driver.
    pub async fn clients(&mut self) -> Result<Vec<String>, ClientError> {
        self.client.list_clients(&self.ups).await
    }

    /// Logs out.
    pub async fn log_out(self) -> Result<(), ClientError> {
        self.client.log_out().await
    }
}

fn granted(outcome: Result<(), ClientError>) -> Result<bool, ClientError> {
    match outcome {
        Ok(()) => Ok(true),
        Err(error) if error.code() == Some(&ErrorCode::AccessDenied) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Awaits the verdict. Once the order was accepted a failure to ask is not a failed order.
async fn finish(mut client: Client, acceptance: Acceptance) -> Result<Verdict, ClientError> {
    let verdict = match client.await_verdict(&acceptance, VERDICT_LIMIT).await {
        Ok(verdict) => verdict,
        Err(error) => {
            tracing::warn!(%error, "the order was accepted, but its verdict cannot be read");
            return Ok(Verdict::Pending);
        }
    };
    if let Err(error) = client.log_out().await {
        tracing::debug!(%error, "cannot log out");
    }
    Ok(verdict)
}
