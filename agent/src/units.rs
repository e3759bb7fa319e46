//! What systemd says of its units, and which of them are in trouble.
//!
//! One call lists them all; the few properties that a metric shows are asked for besides, and those
//! that only a changed unit file changes are kept for a while. So a look costs systemd some
//! milliseconds, twice in a minute. It is asked over a connection of our own, which is given up at
//! the first failure, and made anew at the next look.
//!
//! Nothing is subscribed to: systemd would then tell of every change of every unit.

mod listing;
mod manager;
#[cfg(test)]
mod stand_in;
mod trouble;

use std::collections::BTreeMap;
use std::time::Duration;

use curfew_host::systemd::{Socket, Unit, Units};
use curfew_nut::error::Chain;
use tokio::time::{Instant, timeout};

use self::listing::{Listed, Listing};
use self::manager::{Manager, UnitsError};
use self::trouble::Watch;
pub use self::trouble::{Plight, Trouble};

/// All that was found at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// When.
    pub looked: Instant,
    /// How long it took.
    pub took: Duration,
    /// What was found, or why nothing was.
    pub found: Result<Found, Blind>,
}

/// What systemd has said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// What the metrics show.
    pub units: Units,
    /// How many units have no series because there are too many.
    pub left_out: usize,
    /// The units that have been in trouble for more than a moment, the worst first.
    pub trouble: Vec<Trouble>,
    /// How many more are in trouble that the cluster file has us ignore.
    pub ignored: usize,
    /// There is a unit of which the next look will tell whether it is in trouble.
    pub is_unsettled: bool,
}

/// Why nothing is known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Blind {
    /// In one clause.
    pub why: String,
    /// What to do about it.
    pub remedy: &'static str,
}

impl Report {
    /// Returns whether it is too old to be shown.
    pub fn is_stale(&self) -> bool {
        self.looked.elapsed() >= STALE_AFTER
    }

    /// Returns how long to wait for the next look.
    pub fn next_in(&self) -> Duration {
        let is_calm = |found: &Found| found.trouble.is_empty() && !found.is_unsettled;
        match &self.found {
            Ok(found) if !is_calm(found) => LOOK_AGAIN,
            Ok(_) | Err(_) => LOOK_EVERY,
        }
    }
}

#[cfg(test)]
impl Report {
    /// Returns one of a look at this moment that has found nothing.
    pub(crate) fn calm() -> Self {
        Self { looked: Instant::now(), took: Duration::ZERO, found: Ok(Found::default()) }
    }
}

/// Looks at the units again and again.
#[derive(Debug)]
pub struct Looker {
    /// None: where the environment (`DBUS_SYSTEM_BUS_ADDRESS`) says, else the system's own.
    address: Option<String>,
    manager: Option<Manager>,
    known: Known,
    watch: Watch,
    limit: Duration,
}

impl Looker {
    /// Takes the bus, none is the system's, and the units that may be in trouble.
    pub fn new(address: Option<String>, ignored: Vec<String>) -> Self {
        Self {
            address,
            manager: None,
            known: Known::default(),
            watch: Watch::new(ignored),
            limit: LOOK_LIMIT,
        }
    }

    /// Looks once, within a limit of time of its own.
    pub async fn look(&mut self) -> Report {
        let started = Instant::now();
        let limit = self.limit;
        let looking = timeout(limit, self.try_look()).await;
        let found = looking.unwrap_or(Err(UnitsError::Look { limit })).map_err(|failed| {
            // Whatever is left of that connection is not waited for.
            self.manager = None;
            self.known = Known::default();
            Blind { why: Chain(&failed).to_string(), remedy: failed.remedy() }
        });
        let looked = Instant::now();
        Report { looked, took: looked.duration_since(started), found }
    }

    async fn try_look(&mut self) -> Result<Found, UnitsError> {
        let manager = match &mut self.manager {
            Some(manager) => manager,
            none => none.insert(Manager::connect(self.address.as_deref()).await?),
        };
        let listing = manager.list().await?;
        self.known.refresh(manager, &listing).await?;
        let mut units = Vec::with_capacity(listing.shown.len());
        for listed in &listing.shown {
            units.push(self.known.unit(manager, listed).await?);
        }
        let system_state: String = manager.property("SystemState").await?;
        let now = Instant::now();
        self.watch.see(&listing.failed, &units, now);
        let (trouble, ignored) = self.watch.trouble(now);
        Ok(Found {
            units: Units {
                version: self.known.version.clone(),
                virtualization: self.known.virtualization.clone(),
                system_state,
                counts: listing.counts,
                units,
            },
            left_out: listing.left_out,
            trouble,
            ignored,
            is_unsettled: self.watch.is_unsettled(),
        })
    }
}

/// What changes with a unit's file alone, or with systemd itself.
#[derive(Debug, Default)]
struct Known {
    since: Option<Instant>,
    version: String,
    virtualization: String,
    units: BTreeMap<String, Nature>,
}

/// What a unit is by its file.
#[derive(Clone, Copy, Debug, Default)]
struct Nature {
    /// `Type` of a service.
    kind: &'static str,
    /// A service that is started again when it ends.
    does_restart: bool,
    /// A socket that takes connections itself; another one counts none.
    does_accept: bool,
}

impl Known {
    /// Asks for what is not known, and for all of it when it has become old.
    async fn refresh(&mut self, manager: &Manager, listing: &Listing) -> Result<(), UnitsError> {
        if self.since.is_none_or(|since| since.elapsed() >= KNOWN_FOR) {
            *self = Self {
                since: Some(Instant::now()),
                version: manager.property("Version").await?,
                virtualization: manager.property("Virtualization").await?,
                units: BTreeMap::new(),
            };
        }
        self.units.retain(|name, _| listing.shows(name));
        for listed in &listing.shown {
            if !self.units.contains_key(&listed.name) {
                let nature = nature(manager, listed).await?;
                self.units.insert(listed.name.clone(), nature);
            }
        }
        Ok(())
    }

    async fn unit(&self, manager: &Manager, listed: &Listed) -> Result<Unit, UnitsError> {
        let nature = self.units.get(&listed.name).copied().unwrap_or_default();
        let path = &listed.path;
        let mut unit = Unit {
            name: listed.name.clone(),
            state: listed.state,
            kind: nature.kind,
            ..Unit::default()
        };
        if nature.does_restart {
            unit.restarts = manager.property_of(path, SERVICE, "NRestarts").await?;
        }
        if kind_of(&unit.name) == "timer" {
            unit.last_trigger_microseconds =
                manager.property_of(path, TIMER, "LastTriggerUSec").await?;
        }
        if kind_of(&unit.name) == "socket" {
            unit.socket = socket(manager, path, nature).await?;
        }
        Ok(unit)
    }
}

/// Returns the end of a unit's name: `service`, `mount`.
fn kind_of(unit: &str) -> &str {
    unit.rsplit('.').next().unwrap_or_default()
}

async fn nature(manager: &Manager, listed: &Listed) -> Result<Nature, UnitsError> {
    let path = &listed.path;
    let mut nature = Nature::default();
    if kind_of(&listed.name) == "service" {
        let kind: Option<String> = manager.property_of(path, SERVICE, "Type").await?;
        let kind = kind.unwrap_or_default();
        nature.kind = KINDS.into_iter().find(|known| *known == kind).unwrap_or_default();
        let restart: Option<String> = manager.property_of(path, SERVICE, "Restart").await?;
        nature.does_restart = restart.is_some_and(|when| when != "no");
    }
    if kind_of(&listed.name) == "socket" {
        let accept: Option<bool> = manager.property_of(path, SOCKET, "Accept").await?;
        nature.does_accept = accept.unwrap_or(true);
    }
    Ok(nature)
}

async fn socket(
    manager: &Manager,
    path: &str,
    nature: Nature,
) -> Result<Option<Socket>, UnitsError> {
    if !nature.does_accept {
        return Ok(Some(Socket { accepted: 0, current: 0, refused: Some(0) }));
    }
    let accepted = manager.property_of(path, SOCKET, "NAccepted").await?;
    let current = manager.property_of(path, SOCKET, "NConnections").await?;
    let refused = manager.property_of(path, SOCKET, "NRefused").await?;
    let both = accepted.zip(current);
    Ok(both.map(|(accepted, current)| Socket { accepted, current, refused }))
}

const SERVICE: &str = "org.freedesktop.systemd1.Service";
const SOCKET: &str = "org.freedesktop.systemd1.Socket";
const TIMER: &str = "org.freedesktop.systemd1.Timer";
/// All values of `Type=`: the word becomes a label.
const KINDS: [&str; 8] =
    ["simple", "exec", "forking", "oneshot", "dbus", "notify", "notify-reload", "idle"];

/// Units fail seldom, and a person has to read of it.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Whether it lasts, and whether somebody has mended it, is worth a second glance.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// The first look of a big host asks some thousand questions of a tenth of a millisecond; systemd
/// may read all its files anew before it answers one.
const LOOK_LIMIT: Duration = Duration::from_secs(15);
/// Two looks that take as long as they may.
const STALE_AFTER: Duration = Duration::from_secs(90);
/// A changed `Type=` is shown a little later.
const KNOWN_FOR: Duration = Duration::from_mins(10);

#[cfg(test)]
mod tests;
