//! A systemd with units, for tests: the same methods and properties as the original, and no more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zbus::connection::Builder;
use zbus::fdo;
use zbus::zvariant::OwnedObjectPath;

use crate::power::systemd::stand_in::{Bus, Manner};

/// What it says, to be changed while it runs.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) manner: Manner,
    pub(super) system_state: String,
    /// Name, load state, active state.
    pub(super) units: Vec<(String, &'static str, &'static str)>,
    pub(super) restarts: u32,
    /// The properties of units that were asked for, in order.
    pub(super) asked: Vec<&'static str>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct StandIn(Arc<Mutex<Said>>);

impl StandIn {
    /// Returns one with a service, a timer and two sockets, and no trouble.
    pub(super) fn new() -> Self {
        let stand_in = Self::default();
        stand_in.said().system_state = "running".to_owned();
        for name in [SERVICE, TIMER, ACCEPTING, SOCKET] {
            stand_in.said().units.push((name.to_owned(), "loaded", "active"));
        }
        stand_in.said().units.push(("-.mount".to_owned(), "loaded", "active"));
        stand_in.said().units.push(("gone.service".to_owned(), "not-found", "inactive"));
        stand_in
    }

    pub(super) fn said(&self) -> MutexGuard<'_, Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a unit be in this state.
    pub(super) fn put(&self, name: &str, active_state: &'static str) {
        let mut said = self.said();
        said.units.retain(|unit| unit.0 != name);
        said.units.push((name.to_owned(), "loaded", active_state));
    }

    /// Puts it on a bus, for as long as what it returns lives.
    pub(super) async fn put_on(&self, bus: &Bus) -> zbus::Connection {
        let builder = Builder::address(bus.address().as_str()).unwrap();
        let builder = builder.serve_at("/org/freedesktop/systemd1", Manager(self.clone())).unwrap();
        let builder = builder.serve_at(path(SERVICE), Service(self.clone())).unwrap();
        let builder = builder.serve_at(path(TIMER), Timer(self.clone())).unwrap();
        let socket = |does_accept| Socket { stand_in: self.clone(), does_accept };
        let builder = builder.serve_at(path(ACCEPTING), socket(true)).unwrap();
        let builder = builder.serve_at(path(SOCKET), socket(false)).unwrap();
        builder.name("org.freedesktop.systemd1").unwrap().build().await.unwrap()
    }

    fn note(&self, property: &'static str) {
        self.said().asked.push(property);
    }
}

type Row =
    (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);

struct Manager(StandIn);

#[zbus::interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    async fn list_units(&self) -> fdo::Result<Vec<Row>> {
        let manner = self.0.said().manner;
        match manner {
            Manner::Takes | Manner::Pretends => {}
            Manner::Refuses => return Err(fdo::Error::AccessDenied("no".to_owned())),
            Manner::Hangs => std::future::pending().await,
        }
        let none = OwnedObjectPath::try_from("/").unwrap();
        let row = |(name, load, active): &(String, &str, &str)| {
            let text = |text: &str| text.to_owned();
            let path = OwnedObjectPath::try_from(path(name)).unwrap();
            let (word, none) = (text("A description"), none.clone());
            let states = (text(load), text(active), text("dead"));
            let (load, active, sub) = states;
            (name.clone(), word, load, active, sub, text(""), path, 0, text(""), none)
        };
        Ok(self.0.said().units.iter().map(row).collect())
    }

    #[zbus(property)]
    fn version(&self) -> &'static str {
        self.0.note("Version");
        "252.39-1~deb12u1"
    }

    #[zbus(property)]
    fn virtualization(&self) -> &'static str {
        self.0.note("Virtualization");
        "kvm"
    }

    #[zbus(property)]
    fn system_state(&self) -> String {
        self.0.said().system_state.clone()
    }
}

struct Service(StandIn);

#[zbus::interface(name = "org.freedesktop.systemd1.Service")]
impl Service {
    #[zbus(property)]
    fn type_(&self) -> &'static str {
        self.0.note("Type");
        "notify"
    }

    #[zbus(property)]
    fn restart(&self) -> &'static str {
        self.0.note("Restart");
        "on-failure"
    }

    #[zbus(property, name = "NRestarts")]
    fn restarts(&self) -> u32 {
        self.0.note("NRestarts");
        self.0.said().restarts
    }
}

struct Timer(StandIn);

#[zbus::interface(name = "org.freedesktop.systemd1.Timer")]
impl Timer {
    #[zbus(property, name = "LastTriggerUSec")]
    fn last_trigger(&self) -> u64 {
        self.0.note("LastTriggerUSec");
        1_500_000
    }
}

struct Socket {
    stand_in: StandIn,
    does_accept: bool,
}

#[zbus::interface(name = "org.freedesktop.systemd1.Socket")]
impl Socket {
    #[zbus(property)]
    fn accept(&self) -> bool {
        self.stand_in.note("Accept");
        self.does_accept
    }

    #[zbus(property, name = "NAccepted")]
    fn accepted(&self) -> u32 {
        self.stand_in.note("NAccepted");
        3
    }

    /// An old version has no `NRefused`.
    #[zbus(property, name = "NConnections")]
    fn connections(&self) -> u32 {
        self.stand_in.note("NConnections");
        1
    }
}

/// As systemd escapes a name.
fn path(name: &str) -> String {
    let escape = |byte: u8| {
        let is_plain = byte.is_ascii_alphanumeric();
        if is_plain { char::from(byte).to_string() } else { format!("_{byte:02x}") }
    };
    let name: String = name.bytes().map(escape).collect();
    let name = if name.is_empty() { "_" } else { &name };
    format!("/org/freedesktop/systemd1/unit/{name}")
}

pub(super) const SERVICE: &str = "nginx.service";
pub(super) const TIMER: &str = "fstrim.timer";
pub(super) const ACCEPTING: &str = "sshd.socket";
pub(super) const SOCKET: &str = "dbus.socket";
