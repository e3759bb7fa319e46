//! What is said to logind, and to systemd itself, over the system bus.
//!
//! Each question opens a connection of its own and gives it up afterwards. A question comes once in
//! a shutdown and a connection takes a millisecond; one that was kept would have died with
//! `systemctl restart dbus`, and would say so only when it is needed.
//!
//! Every question, the connection included, has 2 s at the most.

use std::time::Duration;

use tokio::time::timeout;
use zbus::connection::Builder;
use zbus::message::Message;
use zbus::zvariant::{DynamicType, OwnedFd, OwnedObjectPath, OwnedValue};

/// The system bus, as far as this host is stopped by it.
#[derive(Clone, Debug, Default)]
pub struct Logind {
    /// None: where the environment (`DBUS_SYSTEM_BUS_ADDRESS`) says, else the system's own.
    address: Option<String>,
}

/// How the machine goes down.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Way {
    /// It powers off.
    Off,
    /// It starts anew.
    Reboot,
}

/// Why logind, or systemd, has not done or said what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LogindError {
    /// There is no bus.
    #[error("the system bus cannot be reached (`systemctl status dbus`)")]
    Connect(#[source] Box<zbus::Error>),
    /// Who is asked refuses it to this user.
    #[error("{who} refuses {what} to this user: {remedy}")]
    Refuse {
        /// Who was asked.
        who: &'static str,
        /// For what.
        what: &'static str,
        /// What lets it through.
        remedy: &'static str,
        /// What it said.
        #[source]
        source: Box<zbus::Error>,
    },
    /// The call failed in another way.
    #[error("{who} has not done {what}")]
    Call {
        /// Who was asked.
        who: &'static str,
        /// For what.
        what: &'static str,
        /// What it said.
        #[source]
        source: Box<zbus::Error>,
    },
    /// It may or may not do it.
    #[error("{what} was not answered within {} s", LIMIT.as_secs())]
    Answer {
        /// What was asked.
        what: &'static str,
    },
}

impl LogindError {
    /// Whether what was asked may still come to pass.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Answer { .. } => true,
            Self::Connect(_) | Self::Refuse { .. } | Self::Call { .. } => false,
        }
    }
}

impl Logind {
    /// Returns the bus at this address; none is the system's.
    pub fn new(address: Option<String>) -> Self {
        Self { address }
    }

    /// Asks logind to power off or to reboot.
    pub async fn stop(&self, way: Way) -> Result<(), LogindError> {
        let what = match way {
            Way::Off => "PowerOff",
            Way::Reboot => "Reboot",
        };
        // Not interactive: nobody is there to type a password.
        within(what, async {
            let bus = self.connect().await?;
            ask(&bus, &LOGIND, what, &false).await.map(drop)
        })
        .await
    }

    /// Asks logind whether it takes the machine down, or waits for those who asked it to.
    pub async fn is_preparing(&self) -> Result<bool, LogindError> {
        within(PREPARING, async { is_preparing(&self.connect().await?).await }).await
    }

    /// Asks logind for how long it lets itself be held up at most.
    pub async fn delay_most(&self) -> Result<Duration, LogindError> {
        within("InhibitDelayMaxUSec", async {
            let bus = self.connect().await?;
            property(&bus, &LOGIND, "InhibitDelayMaxUSec").await.map(Duration::from_micros)
        })
        .await
    }

    /// Asks systemd itself whether it takes the machine down, whoever told it to.
    pub async fn is_system_stopping(&self) -> Result<bool, LogindError> {
        within("SystemState", async {
            let bus = self.connect().await?;
            let state: String = property(&bus, &SYSTEMD, "SystemState").await?;
            Ok(state == "stopping")
        })
        .await
    }

    /// Asks systemd which way it takes the machine down; none if it does not, or does neither.
    pub async fn way(&self) -> Result<Option<Way>, LogindError> {
        within("ListJobs", async {
            let bus = self.connect().await?;
            let reply = ask(&bus, &SYSTEMD, "ListJobs", &()).await?;
            let jobs: Vec<Job> = decode(&SYSTEMD, "ListJobs", &reply)?;
            Ok(jobs.iter().filter(|job| job.2 == "start").find_map(|job| way_of(&job.1)))
        })
        .await
    }

    /// Opens a connection, for who listens.
    pub async fn connect(&self) -> Result<zbus::Connection, LogindError> {
        let builder = match &self.address {
            Some(address) => Builder::address(address.as_str()),
            None => Builder::system(),
        };
        let connecting = async { builder?.build().await };
        connecting.await.map_err(|failed: zbus::Error| LogindError::Connect(Box::new(failed)))
    }
}

/// Asks logind over a connection to wait a moment for us whenever it takes the machine down; it
/// does as long as what it returns is not dropped.
pub(crate) async fn inhibit(bus: &zbus::Connection) -> Result<OwnedFd, LogindError> {
    const WHAT: &str = "Inhibit";
    let words = ("shutdown", "curfew", "telling the other hosts that this one goes down", "delay");
    let reply = within(WHAT, ask(bus, &LOGIND, WHAT, &words)).await?;
    decode(&LOGIND, WHAT, &reply)
}

/// Asks logind over a connection whether it takes the machine down.
pub(crate) async fn is_preparing(bus: &zbus::Connection) -> Result<bool, LogindError> {
    within(PREPARING, property(bus, &LOGIND, PREPARING)).await
}

/// A question with its limit.
async fn within<Answer>(
    what: &'static str,
    question: impl Future<Output = Result<Answer, LogindError>>,
) -> Result<Answer, LogindError> {
    timeout(LIMIT, question).await.unwrap_or(Err(LogindError::Answer { what }))
}

async fn property<Value>(
    bus: &zbus::Connection,
    whom: &Service,
    what: &'static str,
) -> Result<Value, LogindError>
where
    Value: TryFrom<OwnedValue>,
    Value::Error: Into<zbus::Error>,
{
    let properties = Service { interface: "org.freedesktop.DBus.Properties", ..*whom };
    let reply = ask_as(bus, &properties, "Get", what, &(whom.interface, what)).await?;
    let value: OwnedValue = decode(whom, what, &reply)?;
    value.try_into().map_err(|failed: Value::Error| whom.failed(what, failed.into()))
}

async fn ask<Body>(
    bus: &zbus::Connection,
    whom: &Service,
    what: &'static str,
    body: &Body,
) -> Result<Message, LogindError>
where
    Body: serde::Serialize + DynamicType,
{
    ask_as(bus, whom, what, what, body).await
}

async fn ask_as<Body>(
    bus: &zbus::Connection,
    whom: &Service,
    method: &'static str,
    what: &'static str,
    body: &Body,
) -> Result<Message, LogindError>
where
    Body: serde::Serialize + DynamicType,
{
    let Service { name, path, interface, .. } = *whom;
    let reply = bus.call_method(Some(name), path, Some(interface), method, body).await;
    reply.map_err(|failed| whom.failed(what, failed))
}

fn decode<Body>(whom: &Service, what: &'static str, reply: &Message) -> Result<Body, LogindError>
where
    Body: serde::de::DeserializeOwned + zbus::zvariant::Type,
{
    reply.body().deserialize().map_err(|failed| whom.failed(what, failed))
}

fn way_of(unit: &str) -> Option<Way> {
    match unit {
        "poweroff.target" | "halt.target" => Some(Way::Off),
        "reboot.target" | "kexec.target" | "soft-reboot.target" => Some(Way::Reboot),
        _ => None,
    }
}

/// Number, unit, kind, state, and two paths.
type Job = (u32, String, String, String, OwnedObjectPath, OwnedObjectPath);

/// Who is asked.
#[derive(Clone, Copy, Debug)]
struct Service {
    who: &'static str,
    name: &'static str,
    path: &'static str,
    interface: &'static str,
}

impl Service {
    fn failed(&self, what: &'static str, source: zbus::Error) -> LogindError {
        let who = self.who;
        let is_refused = matches!(
            &source,
            zbus::Error::MethodError(name, _, _) if REFUSALS.contains(&name.as_str())
        );
        let source = Box::new(source);
        if is_refused {
            LogindError::Refuse { who, what, remedy: REMEDY, source }
        } else {
            LogindError::Call { who, what, source }
        }
    }
}

const PREPARING: &str = "PreparingForShutdown";

/// How logind, or the bus, says no to this user.
const REFUSALS: [&str; 2] = [
    "org.freedesktop.DBus.Error.AccessDenied",
    "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
];

const LOGIND: Service = Service {
    who: "logind",
    name: "org.freedesktop.login1",
    path: "/org/freedesktop/login1",
    interface: "org.freedesktop.login1.Manager",
};

const SYSTEMD: Service = Service {
    who: "systemd",
    name: "org.freedesktop.systemd1",
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
};

/// logind grants it to root, and to others through polkit alone (decision 22).
const REMEDY: &str = "`apt install polkitd`, the package has the rule";

/// logind answers in milliseconds; a plan of ten seconds can spare this once.
pub(super) const LIMIT: Duration = Duration::from_secs(2);
