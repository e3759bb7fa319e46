//! Whether the owner's account at `upsd` can do what an outage will ask of it.
//!
//! Found out while the mains are there, and without an order: an account that is refused when the
//! battery is empty is of no use. Nothing waits for the answer.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use curfew_nut::client::resolver::{Resolver, Server};
use curfew_nut::client::{Credentials, Limits};
use curfew_nut::codec::request::Secret;
use curfew_nut::door::Door;
use curfew_nut::error::Chain;
use curfew_nut::probe::Rights;
use tokio::sync::{Semaphore, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Agent;
use crate::cluster_file::Ups;
use crate::health::Check;
use crate::task::Supervisor;

/// The name of the check.
const NAME: &str = "ups-login";

/// How often the account is tried; a person who mends it looks again within a minute.
const TRY_EVERY: Duration = Duration::from_secs(30);

/// How long the disk may take for the password.
const READ_LIMIT: Duration = Duration::from_secs(2);

/// The longest password that is read: `upsd` takes 511 bytes.
const PASSWORD_MAX: u64 = 1024;

/// Spawns the task, where this host is an owner with an account; returns where the check is told.
pub(super) fn spawn(agent: &Agent, supervisor: &mut Supervisor) -> watch::Receiver<Check> {
    let idle = Check::pass(NAME, "this host needs no account to read the UPS");
    let (told, check) = watch::channel(idle);
    let ups = agent.file.ups.first().filter(|ups| ups.owner == agent.me.name);
    let Some(tester) = ups.and_then(Tester::new) else { return check };
    // A restarted task tells through the same channel.
    let told = Arc::new(told);
    supervisor.driver("ups-login", move |cancel| tester.clone().run(Arc::clone(&told), cancel));
    check
}

#[derive(Clone, Debug)]
struct Tester {
    ups: String,
    username: String,
    password_file: PathBuf,
    reading: Arc<Semaphore>,
    door: Door,
}

impl Tester {
    fn new(ups: &Ups) -> Option<Self> {
        let login = ups.login.as_ref()?;
        let server = Server { host: ups.upsd.host.clone(), port: ups.upsd.port };
        Some(Self {
            ups: ups.name.clone(),
            username: login.username.clone(),
            password_file: login.password_file.clone(),
            reading: Arc::new(Semaphore::new(1)),
            door: Door::new(Resolver::new(server), Limits::default()),
        })
    }

    async fn run(
        self,
        told: Arc<watch::Sender<Check>>,
        cancel: CancellationToken,
    ) -> Result<(), Infallible> {
        let mut tries = interval(TRY_EVERY);
        tries.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while cancel.run_until_cancelled(tries.tick()).await.is_some() {
            let check = self.look().await;
            if *told.borrow() != check {
                match &check.remedy {
                    None => info!("{}", check.reason),
                    Some(remedy) => warn!("{}: {remedy}", check.reason),
                }
                told.send_replace(check);
            }
        }
        Ok(())
    }

    async fn look(&self) -> Check {
        let Self { ups, username, .. } = self;
        let password = match self.password().await {
            Ok(password) => password,
            Err(failed) => {
                return Check::warn(
                    NAME,
                    format!("{}: {failed}", self.password_file.display()),
                    format!("write the password of the upsd user {username} into it, mode 0600"),
                );
            }
        };
        let credentials = Credentials { username: username.clone(), password };
        match self.door.rights(&credentials, ups).await {
            Ok(Rights { primary: true, .. }) => {
                Check::pass(NAME, format!("upsd takes {username} for a primary of {ups}"))
            }
            Ok(Rights { primary: false, .. }) => Check::fail(
                NAME,
                format!("upsd refuses {username} as a primary of {ups}"),
                "compare the password file with upsd.users, where the user needs \
                 `upsmon primary`, and reload upsd; it is tried again every 30 s",
            ),
            // An upsd or driver that is away has a check of its own.
            Err(failed) if failed.is_transient() => {
                Check::warn(NAME, format!("not known: {}", Chain(&failed)), "see ups-contact")
            }
            Err(failed) => Check::fail(
                NAME,
                format!("upsd refuses {username}: {}", Chain(&failed)),
                "compare username and password-file with upsd.users",
            ),
        }
    }

    /// Reads the password, without the line feed that an editor leaves behind.
    async fn password(&self) -> io::Result<Secret> {
        let path = self.password_file.clone();
        // One that hangs in a dead disk is not joined by another.
        let busy = || io::Error::from(io::ErrorKind::ResourceBusy);
        let turn = Arc::clone(&self.reading).try_acquire_owned().map_err(|_held| busy())?;
        let reading = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let mut text = String::new();
            File::open(path)?.take(PASSWORD_MAX).read_to_string(&mut text)?;
            Ok(Secret::new(text.trim_end_matches(['\r', '\n'])))
        });
        match timeout(READ_LIMIT, reading).await {
            Ok(Ok(read)) => read,
            Ok(Err(lost)) => Err(io::Error::other(lost)),
            Err(_late) => Err(io::Error::from(io::ErrorKind::TimedOut)),
        }
    }
}
