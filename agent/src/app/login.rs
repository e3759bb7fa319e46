//! Whether the owner's account at `upsd` can do what an outage will ask of it.
//!
//! Found out while the mains are there, and without an order: an account that is refused when the
//! battery is empty is of no use. Nothing waits for the answer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use curfew_nut::client::Limits;
use curfew_nut::client::resolver::{Resolver, Server};
use curfew_nut::door::Door;
use curfew_nut::error::Chain;
use curfew_nut::probe::Rights;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Agent;
use super::account::Account;
use crate::cluster_file::Ups;
use crate::health::Check;
use crate::task::Supervisor;

/// The name of the check.
const NAME: &str = "ups-login";

/// How often the account is tried; a person who mends it looks again within a minute.
const TRY_EVERY: Duration = Duration::from_secs(30);

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
    account: Account,
    door: Door,
}

impl Tester {
    fn new(ups: &Ups) -> Option<Self> {
        let account = Account::new(ups)?;
        let server = Server { host: ups.upsd.host.clone(), port: ups.upsd.port };
        Some(Self {
            ups: ups.name.clone(),
            account,
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
        let Self { ups, account, .. } = self;
        let username = account.username();
        let credentials = match account.credentials().await {
            Ok(credentials) => credentials,
            Err(failed) => {
                return Check::warn(
                    NAME,
                    Chain(&failed).to_string(),
                    format!("write the password of the upsd user {username} into it, mode 0600"),
                );
            }
        };
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
}
