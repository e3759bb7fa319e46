//! NUT clients that are not ours: who is logged in to the owner's `upsd`, and what that means.
//!
//! Agents do not log in, so every login is somebody else's `upsmon`. On a machine that is not in
//! the file it is a tier of the shutdown (`tier`). On a host of the file it would stop that host by
//! itself, against the order: that is a fault, and `LIST CLIENT` is the only place where it shows.

mod tier;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use curfew_nut::client::resolver::{Resolver, Server};
use curfew_nut::client::{Client, Limits};
use curfew_nut::error::{Chain, ClientError, ErrorClass};
use nix::ifaddrs::getifaddrs;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub(super) use self::tier::Tier;
use super::Agent;
use crate::health::{Check, State};
use crate::snapshot::Snapshot;
use crate::task::Supervisor;

/// The name of the check.
const NAME: &str = "ups-clients";

/// How often it is looked while a shutdown is open.
const LOOK_OPEN: Duration = Duration::from_secs(1);

/// Every how many of these it is looked otherwise: every 10 s.
const CALM_TICKS: u32 = 10;

/// For how long a look counts: two calm ones may fail.
const LOOK_COUNTS: Duration = Duration::from_secs(25);

/// Who is logged in, by what that means for the shutdown.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Clients {
    /// On the owner itself: addresses.
    own: Vec<String>,
    /// On other hosts of the file: `k8s-1 (10.0.0.11)`.
    hosts: Vec<String>,
    /// Elsewhere: addresses.
    others: Vec<String>,
}

impl Clients {
    /// Returns those whom `FSD` is for: a host of the file whose `upsmon` is still there is none of
    /// ours any more when it is set.
    fn foreign(&self) -> impl Iterator<Item = &str> {
        self.hosts.iter().chain(&self.others).map(String::as_str)
    }

    /// Returns how many these are.
    fn count(&self) -> u32 {
        u32::try_from(self.foreign().count()).unwrap_or(u32::MAX)
    }
}

/// Whose an address is.
#[derive(Clone, Debug)]
struct Addresses {
    me: IpAddr,
    hosts: BTreeMap<IpAddr, String>,
}

impl Addresses {
    fn of(agent: &Agent) -> Self {
        let hosts = agent.file.hosts.iter().filter(|host| host.name != agent.me.name);
        let hosts = hosts.map(|host| (host.network.address.to_canonical(), host.name.clone()));
        Self { me: agent.me.network.address.to_canonical(), hosts: hosts.collect() }
    }

    /// Sorts the rows of LIST CLIENT.
    fn sort(&self, rows: Vec<String>) -> Clients {
        let own = own_addresses();
        let mut clients = Clients::default();
        for row in rows {
            let address = row.parse::<IpAddr>().ok().map(|address| address.to_canonical());
            let host = address.and_then(|address| self.hosts.get(&address));
            let is_own = |it: IpAddr| it.is_loopback() || it == self.me || own.contains(&it);
            match host {
                Some(host) => clients.hosts.push(format!("{host} ({row})")),
                None if address.is_some_and(is_own) => clients.own.push(row),
                None => clients.others.push(row),
            }
        }
        clients
    }
}

/// Returns the addresses of this machine's interfaces; one that cannot be read has none.
fn own_addresses() -> BTreeSet<IpAddr> {
    let interfaces = getifaddrs().into_iter().flatten();
    let storage = interfaces.filter_map(|interface| interface.address);
    let address = storage.filter_map(|it| {
        let four = it.as_sockaddr_in().map(|it| IpAddr::from(it.ip()));
        four.or_else(|| it.as_sockaddr_in6().map(|it| IpAddr::from(it.ip())))
    });
    address.map(|it| it.to_canonical()).collect()
}

/// What the last looks gave.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    clients: Option<(Clients, Instant)>,
    failed: Option<String>,
}

impl Seen {
    /// Returns how many foreign clients are logged in, if that is known by now.
    pub(super) fn count(&self) -> Option<u32> {
        Some(self.fresh()?.count())
    }

    fn fresh(&self) -> Option<&Clients> {
        let (clients, at) = self.clients.as_ref()?;
        (at.elapsed() < LOOK_COUNTS).then_some(clients)
    }
}

/// What is said of them.
#[derive(Clone, Debug)]
pub(super) struct Roster {
    seen: watch::Receiver<Seen>,
    ups: String,
    owner: String,
    has_account: bool,
    foreign_stop: Duration,
}

impl Roster {
    /// Returns what the looks gave.
    pub(super) fn seen(&self) -> &watch::Receiver<Seen> {
        &self.seen
    }

    /// Returns the check of this moment.
    pub(super) fn check(&self) -> Check {
        let seen = self.seen.borrow();
        let Some(clients) = seen.fresh() else {
            let why = seen.failed.as_deref().unwrap_or("not looked yet");
            return Check::warn(NAME, format!("not known: {why}"), "see ups-contact");
        };
        let faults = [self.on_hosts(clients), self.on_owner(clients)];
        let faults: Vec<_> = faults.into_iter().flatten().collect();
        if !faults.is_empty() {
            let remedy = format!(
                "there take the MONITOR line of {} out of upsmon.conf, or `systemctl mask \
                 --now nut-monitor`; `curfew check` cannot see it",
                self.ups
            );
            return Check::fail(NAME, faults.join("; "), remedy);
        }
        if clients.others.is_empty() {
            return Check::pass(NAME, format!("nobody else is logged in to {}", self.ups));
        }
        self.elsewhere(clients)
    }

    fn on_hosts(&self, clients: &Clients) -> Option<String> {
        let hosts = clients.hosts.join(", ");
        (!clients.hosts.is_empty()).then(|| {
            format!(
                "upsmon on {hosts} is logged in to {}: it would stop that host by itself, against \
                 the order",
                self.ups
            )
        })
    }

    fn on_owner(&self, clients: &Clients) -> Option<String> {
        let own = clients.own.join(", ");
        (!clients.own.is_empty()).then(|| {
            format!(
                "upsmon on {} itself ({own}) is logged in to {}: it would stop this host before \
                 all others, and while it is there no other NUT client is sent down",
                self.owner, self.ups
            )
        })
    }

    fn elsewhere(&self, clients: &Clients) -> Check {
        let (count, who) = (clients.others.len(), clients.others.join(", "));
        if self.has_account {
            let wait = self.foreign_stop.as_secs();
            let reason = format!(
                "{count} NUT clients that are not of the file ({who}) get FSD and {wait} s before \
                 {} ends",
                self.owner
            );
            return Check::pass(NAME, reason);
        }
        let reason = format!(
            "{count} NUT clients that are not of the file ({who}) cannot be sent down: {} has no \
             login",
            self.ups
        );
        Check::warn(NAME, reason, "write username and password-file into its [[ups]]")
    }
}

/// Spawns the task that looks, where this host is the owner.
pub(super) fn spawn(
    agent: &Agent,
    supervisor: &mut Supervisor,
    snapshots: watch::Receiver<Arc<Snapshot>>,
) -> Option<Roster> {
    let ups = agent.file.ups.first().filter(|ups| ups.owner == agent.me.name)?;
    let (told, seen) = watch::channel(Seen::default());
    let roster = Roster {
        seen,
        ups: ups.name.clone(),
        owner: ups.owner.clone(),
        has_account: ups.login.is_some(),
        foreign_stop: agent.file.shutdown.foreign_stop,
    };
    let server = Server { host: ups.upsd.host.clone(), port: ups.upsd.port };
    let watcher = Watcher {
        ups: ups.name.clone(),
        resolver: Resolver::new(server),
        addresses: Addresses::of(agent),
        snapshots,
        roster: roster.clone(),
        client: None,
    };
    // A restarted task tells through the same channel.
    let told = Arc::new(told);
    supervisor.driver("nut-clients", move |cancel| watcher.clone().run(Arc::clone(&told), cancel));
    Some(roster)
}

/// Looks at who is logged in.
#[derive(Debug)]
struct Watcher {
    ups: String,
    resolver: Resolver,
    addresses: Addresses,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    roster: Roster,
    client: Option<Client>,
}

impl Clone for Watcher {
    /// A connection has one owner: the clone makes its own.
    fn clone(&self) -> Self {
        Self {
            ups: self.ups.clone(),
            resolver: self.resolver.clone(),
            addresses: self.addresses.clone(),
            snapshots: self.snapshots.clone(),
            roster: self.roster.clone(),
            client: None,
        }
    }
}

impl Watcher {
    async fn run(
        mut self,
        told: Arc<watch::Sender<Seen>>,
        cancel: CancellationToken,
    ) -> Result<(), Infallible> {
        let mut ticks = interval(LOOK_OPEN);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut calm = 0;
        let mut said = None;
        while cancel.run_until_cancelled(ticks.tick()).await.is_some() {
            let is_open = self.snapshots.borrow().status.shutdown.is_some();
            if !is_open && calm % CALM_TICKS != 0 {
                calm += 1;
                continue;
            }
            calm = 1;
            let looked = self.look().await;
            told.send_modify(|seen| match looked {
                Ok(clients) => {
                    *seen = Seen { clients: Some((clients, Instant::now())), failed: None };
                }
                Err(failed) => seen.failed = Some(Chain(&failed).to_string()),
            });
            self.say(&mut said);
        }
        Ok(())
    }

    async fn look(&mut self) -> Result<Clients, ClientError> {
        let client = match &mut self.client {
            Some(client) => client,
            none => none.insert(Client::connect(&self.resolver, Limits::default()).await?),
        };
        let rows = client.list_clients(&self.ups).await;
        if rows.as_ref().is_err_and(|failed| failed.class() == ErrorClass::Spent) {
            self.client = None;
        }
        Ok(self.addresses.sort(rows?))
    }

    /// Logs what has changed; that nothing is known is said by who polls.
    fn say(&self, said: &mut Option<Check>) {
        let is_nobody = match self.roster.seen.borrow().fresh() {
            Some(clients) => *clients == Clients::default(),
            None => return,
        };
        let check = self.roster.check();
        if said.as_ref() == Some(&check) {
            return;
        }
        match check.state {
            State::Pass if said.is_none() && is_nobody => {}
            State::Pass => info!("{}", check.reason),
            State::Unknown | State::Warn | State::Fail => warn!("{}", check.sentence()),
        }
        *said = Some(check);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> Addresses {
        let hosts = [("10.0.0.11", "k8s-1"), ("127.0.0.12", "k8s-2")];
        let hosts = hosts.map(|(at, name)| (at.parse().unwrap(), name.to_owned()));
        Addresses { me: "10.0.0.13".parse().unwrap(), hosts: hosts.into() }
    }

    fn roster(rows: &[&str], has_account: bool) -> Roster {
        let rows = rows.iter().map(|row| (*row).to_owned()).collect();
        let clients = Some((addresses().sort(rows), Instant::now()));
        let (_told, seen) = watch::channel(Seen { clients, failed: None });
        Roster {
            seen,
            ups: "eaton".to_owned(),
            owner: "nfs".to_owned(),
            has_account,
            foreign_stop: Duration::from_mins(1),
        }
    }

    #[test]
    fn an_address_is_the_owners_a_hosts_or_foreign() {
        let rows = [
            "10.0.0.13",
            "127.0.0.1",
            "::1",
            "10.0.0.11",
            "::ffff:10.0.0.11",
            "127.0.0.12",
            "192.168.7.7",
            "fd00::7",
            "desktop",
        ];
        let clients = addresses().sort(rows.map(str::to_owned).into());
        assert_eq!(clients.own, ["10.0.0.13", "127.0.0.1", "::1"]);
        let hosts = ["k8s-1 (10.0.0.11)", "k8s-1 (::ffff:10.0.0.11)", "k8s-2 (127.0.0.12)"];
        assert_eq!(clients.hosts, hosts);
        assert_eq!(clients.others, ["192.168.7.7", "fd00::7", "desktop"]);
        assert_eq!(clients.count(), 6, "FSD is for all but the owner's own");
    }

    #[test]
    fn an_upsmon_on_a_host_of_the_file_fails_with_the_host_and_the_remedy() {
        for (row, who) in [("10.0.0.11", "k8s-1 (10.0.0.11)"), ("127.0.0.1", "nfs itself")] {
            let check = roster(&["192.168.7.7", row], true).check();
            assert_eq!(check.state, State::Fail);
            assert!(check.reason.contains(who), "{}", check.reason);
            assert!(check.sentence().contains("nut-monitor"), "{}", check.sentence());
        }
    }

    #[test]
    fn foreign_clients_are_fine_if_they_can_be_sent_down() {
        let with = roster(&["192.168.7.7"], true).check();
        assert_eq!(with.state, State::Pass);
        assert!(with.reason.contains("192.168.7.7") && with.reason.contains("60 s"));
        assert_eq!(roster(&["192.168.7.7"], false).check().state, State::Warn);
        assert_eq!(roster(&[], false).check().state, State::Pass);
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_look_counts_for_nothing() {
        let roster = roster(&["192.168.7.7"], true);
        assert_eq!(roster.seen.borrow().count(), Some(1));
        tokio::time::advance(LOOK_COUNTS).await;
        assert_eq!(roster.seen.borrow().count(), None, "unknown, not none");
        assert_eq!(roster.check().state, State::Warn);
    }
}
