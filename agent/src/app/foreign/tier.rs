//! The tier of the foreign clients: sent down by `FSD` once the owner has begun, and waited for.
//!
//! Everything here has a limit, and nothing here keeps the owner from its own stop: what fails is
//! reported, and the owner goes on.

use std::time::Duration;

use curfew_coordinator::{Event, ForeignTier};
use curfew_nut::client::Limits;
use curfew_nut::client::resolver::{Resolver, Server};
use curfew_nut::door::Door;
use curfew_nut::error::Chain;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{info, warn};

use super::{Addresses, Clients};
use crate::app::Agent;
use crate::app::account::Account;
use crate::app::keeper::Input;
use crate::app::ups::Latest;

/// How long one look at who is logged in may take: `upsd` is on this host and answers in 0.1 s.
const LOOK_LIMIT: Duration = Duration::from_secs(2);

/// How long it may take to set `FSD`, password file and all. Both limits together leave a stop that
/// is called at its latest start accepted within 10 s.
const SEND_LIMIT: Duration = Duration::from_secs(3);

/// How often it is looked whether they have logged out.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Sends foreign clients down before the owner's OS is called.
#[derive(Debug)]
pub(in crate::app) struct Tier {
    ups: String,
    addresses: Addresses,
    door: Door,
    account: Option<Account>,
    latest: watch::Receiver<Latest>,
    hurry: watch::Receiver<bool>,
}

impl Tier {
    /// Makes the tier, where this host is the owner. `hurry` says that the battery leaves no more
    /// time.
    pub(in crate::app) fn new(
        agent: &Agent,
        latest: watch::Receiver<Latest>,
        hurry: watch::Receiver<bool>,
    ) -> Option<Self> {
        let ups = agent.file.ups.first().filter(|ups| ups.owner == agent.me.name)?;
        let server = Server { host: ups.upsd.host.clone(), port: ups.upsd.port };
        Some(Self {
            ups: ups.name.clone(),
            addresses: Addresses::of(agent),
            door: Door::new(Resolver::new(server), Limits::default()),
            account: Account::new(ups),
            latest,
            hurry,
        })
    }

    /// Sends down who is logged in, and returns when they have had their time.
    pub(in crate::app) async fn pass(&mut self, due: ForeignTier, inputs: &mpsc::Sender<Input>) {
        let started = Instant::now();
        match self.send(due).await {
            Ok(0) if !due.is_sent => return,
            // Those who were sent by an earlier call have logged out, which is not yet their end.
            Ok(0) => {}
            Ok(clients) => tell(inputs, Event::ForeignSent(clients)).await,
            Err(why) => {
                tell(inputs, Event::ForeignFailed(why)).await;
                // Who was sent by an earlier call may still be stopping, seen or not.
                if !due.is_sent {
                    return;
                }
            }
        }
        if let Some(why) = self.wait(started, due.wait).await {
            tell(inputs, Event::ForeignFailed(why)).await;
        }
    }

    /// Has `FSD` set if anybody is logged in who is to go down; returns how many.
    async fn send(&self, due: ForeignTier) -> Result<u32, String> {
        let clients = self.look().await.map_err(|why| {
            format!(
                "who else is logged in to {} is not known, nobody is sent down: {why}",
                self.ups
            )
        })?;
        let count = clients.count();
        if count == 0 {
            return Ok(0);
        }
        let who = clients.foreign().collect::<Vec<_>>().join(", ");
        if !clients.own.is_empty() {
            return Err(format!(
                "NUT clients ({who}) are not sent down: an upsmon on this host would stop it at \
                 once; `systemctl mask --now nut-monitor`"
            ));
        }
        // A latch that is there has sent them down already.
        if self.is_forced() {
            info!(who, "FSD is set already");
            return Ok(count);
        }
        info!(who, wait = ?due.wait, "NUT clients that are not ours are sent down");
        match timeout(SEND_LIMIT, self.force()).await {
            Ok(Ok(())) => Ok(count),
            Ok(Err(why)) => Err(format!("NUT clients ({who}) cannot be sent down: {why}")),
            Err(_late) => Err(format!("NUT clients ({who}) cannot be sent down: no answer")),
        }
    }

    async fn force(&self) -> Result<(), String> {
        let Some(account) = &self.account else {
            return Err("[[ups]] has no username and password-file".to_owned());
        };
        let credentials = account.credentials().await.map_err(|it| Chain(&it).to_string())?;
        let set = self.door.force_shutdown(&credentials, &self.ups).await;
        set.map_err(|failed| Chain(&failed).to_string())
    }

    /// Waits until they have had their time; returns who is still there then, in a sentence.
    async fn wait(&mut self, started: Instant, span: Duration) -> Option<String> {
        let end = started + span;
        let mut staying = None;
        let mut left_at = None;
        while Instant::now() < end && !*self.hurry.borrow_and_update() {
            if left_at.is_none() {
                let clients = self.look().await;
                if clients.as_ref().is_ok_and(|clients| clients.count() == 0) {
                    left_at = Some(Instant::now());
                    info!(after = ?started.elapsed(), "the foreign NUT clients have logged out");
                }
                staying = clients.ok().or(staying);
            }
            let next = end.min(Instant::now() + LOOK_EVERY);
            tokio::select! {
                () = sleep_until(next) => {}
                // The sender lives as long as the agent; without one, time alone ends this.
                Ok(()) = self.hurry.changed() => {}
            }
        }
        if Instant::now() < end {
            let after = started.elapsed();
            warn!(?after, "the battery leaves foreign NUT clients no more time");
        }
        let staying = staying.filter(|_| left_at.is_none() && !span.is_zero())?;
        let who = staying.foreign().collect::<Vec<_>>().join(", ");
        Some(format!("NUT clients ({who}) were sent down and have not logged out in their time"))
    }

    async fn look(&self) -> Result<Clients, String> {
        match timeout(LOOK_LIMIT, self.door.clients(&self.ups)).await {
            Ok(Ok(rows)) => Ok(self.addresses.sort(rows)),
            Ok(Err(failed)) => Err(Chain(&failed).to_string()),
            Err(_late) => Err(format!("no answer within {} s", LOOK_LIMIT.as_secs())),
        }
    }

    fn is_forced(&self) -> bool {
        let latest = self.latest.borrow();
        let status = latest.variables.get("ups.status");
        status.is_some_and(|status| status.split_ascii_whitespace().any(|word| word == "FSD"))
    }
}

async fn tell(inputs: &mpsc::Sender<Input>, event: Event) {
    if inputs.send(Input::Fact(event)).await.is_err() {
        info!("the keeper has ended before the foreign clients");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tier whose `upsd` is not there.
    fn blind() -> (Tier, watch::Sender<Latest>, watch::Sender<bool>) {
        let (latest_told, latest) = watch::channel(Latest::default());
        let (hurry_told, hurry) = watch::channel(false);
        // Nobody listens on the port of discarded bytes, and where somebody does it never answers.
        let server = Server { host: "127.0.0.1".to_owned(), port: 9 };
        let addresses = Addresses { me: [127, 0, 0, 1].into(), hosts: [].into() };
        let door = Door::new(Resolver::new(server), Limits::default());
        let ups = "eaton".to_owned();
        let tier = Tier { ups, addresses, door, account: None, latest, hurry };
        (tier, latest_told, hurry_told)
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_sent_down_gets_all_the_time_though_nobody_can_be_seen() {
        let (mut tier, _latest, _hurry) = blind();
        let (inputs, mut told) = mpsc::channel(4);
        let wait = Duration::from_mins(1);

        let started = Instant::now();
        tier.pass(ForeignTier { wait, is_sent: false }, &inputs).await;
        assert!(started.elapsed() <= LOOK_LIMIT, "nobody was sent, nobody is waited for");
        assert!(matches!(told.try_recv(), Ok(Input::Fact(Event::ForeignFailed(_)))));

        let started = Instant::now();
        tier.pass(ForeignTier { wait, is_sent: true }, &inputs).await;
        assert!(started.elapsed() >= wait, "unknown is not gone: {:?}", started.elapsed());
        assert!(matches!(told.try_recv(), Ok(Input::Fact(Event::ForeignFailed(_)))));
    }
}
