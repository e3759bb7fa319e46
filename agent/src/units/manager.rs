//! What systemd's manager is asked over the system bus.

use std::time::Duration;

use tokio::time::timeout;
use zbus::connection::Builder;
use zbus::message::Message;
use zbus::zvariant::{DynamicType, OwnedValue};

use super::listing::Listing;

/// Why the units are unknown.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnitsError {
    /// There is no bus.
    #[error("the system bus cannot be reached")]
    Connect(#[source] Box<zbus::Error>),
    /// It refuses us.
    #[error("systemd does not let this user ask for {what}")]
    Refuse {
        /// What was asked for.
        what: &'static str,
        /// What it said.
        #[source]
        source: Box<zbus::Error>,
    },
    /// The question failed in another way.
    #[error("systemd does not say {what}")]
    Ask {
        /// What was asked for.
        what: &'static str,
        /// What it said.
        #[source]
        source: Box<zbus::Error>,
    },
    /// It took too long.
    #[error("{what} was not answered within {} s", LIMIT.as_secs())]
    Answer {
        /// What was asked for.
        what: &'static str,
    },
    /// All questions together took too long.
    #[error("systemd has not answered all questions within {} s", limit.as_secs())]
    Look {
        /// How long it may take.
        limit: Duration,
    },
}

impl UnitsError {
    /// Returns what to do about it.
    pub(super) fn remedy(&self) -> &'static str {
        match self {
            Self::Connect(_) => "`systemctl status dbus` says why; without it `apt install dbus`",
            Self::Refuse { .. } => {
                "compare /usr/share/dbus-1/system.d/org.freedesktop.systemd1.conf with that of the \
                 package, and look for others that deny"
            }
            Self::Ask { .. } | Self::Answer { .. } | Self::Look { .. } => {
                "see whether `systemctl list-units` answers, and `journalctl -b _PID=1`"
            }
        }
    }
}

/// A connection to it.
#[derive(Debug)]
pub(super) struct Manager {
    bus: zbus::Connection,
}

impl Manager {
    /// Connects to the bus at this address; none is the system's.
    pub(super) async fn connect(address: Option<&str>) -> Result<Self, UnitsError> {
        let connecting = async {
            let builder = match address {
                Some(address) => Builder::address(address),
                None => Builder::system(),
            };
            builder?.build().await
        };
        let connected = within("the connection", async {
            connecting.await.map_err(|failed| UnitsError::Connect(Box::new(failed)))
        });
        Ok(Self { bus: connected.await? })
    }

    /// Asks for all units.
    pub(super) async fn list(&self) -> Result<Listing, UnitsError> {
        const WHAT: &str = "ListUnits";
        let listing = async {
            let reply = self.call(PATH, MANAGER, WHAT, &()).await?;
            reply.body().deserialize()
        };
        ask(WHAT, listing).await
    }

    /// Asks for a property of systemd itself.
    pub(super) async fn property<Value>(&self, what: &'static str) -> Result<Value, UnitsError>
    where
        Value: TryFrom<OwnedValue>,
        Value::Error: Into<zbus::Error>,
    {
        ask(what, self.get(PATH, MANAGER, what)).await
    }

    /// Asks for a property of a unit; none if the unit is gone, or does not have it.
    pub(super) async fn property_of<Value>(
        &self,
        path: &str,
        interface: &'static str,
        what: &'static str,
    ) -> Result<Option<Value>, UnitsError>
    where
        Value: TryFrom<OwnedValue>,
        Value::Error: Into<zbus::Error>,
    {
        let got = within(what, async { Ok(self.get(path, interface, what).await) }).await?;
        match got {
            Ok(value) => Ok(Some(value)),
            Err(zbus::Error::MethodError(..) | zbus::Error::Variant(_)) => Ok(None),
            Err(failed) => Err(UnitsError::Ask { what, source: Box::new(failed) }),
        }
    }

    async fn get<Value>(
        &self,
        path: &str,
        interface: &'static str,
        what: &'static str,
    ) -> Result<Value, zbus::Error>
    where
        Value: TryFrom<OwnedValue>,
        Value::Error: Into<zbus::Error>,
    {
        let reply = self.call(path, PROPERTIES, "Get", &(interface, what)).await?;
        let value: OwnedValue = reply.body().deserialize()?;
        value.try_into().map_err(Into::into)
    }

    async fn call<Body>(
        &self,
        path: &str,
        interface: &'static str,
        method: &'static str,
        body: &Body,
    ) -> Result<Message, zbus::Error>
    where
        Body: serde::Serialize + DynamicType,
    {
        self.bus.call_method(Some(NAME), path, Some(interface), method, body).await
    }
}

/// A question with its limit.
async fn within<Answer>(
    what: &'static str,
    question: impl Future<Output = Result<Answer, UnitsError>>,
) -> Result<Answer, UnitsError> {
    timeout(LIMIT, question).await.unwrap_or(Err(UnitsError::Answer { what }))
}

async fn ask<Answer>(
    what: &'static str,
    question: impl Future<Output = Result<Answer, zbus::Error>>,
) -> Result<Answer, UnitsError> {
    within(what, async {
        question.await.map_err(|failed| {
            let is_refused = matches!(
                &failed,
                zbus::Error::MethodError(name, _, _) if name.as_str() == REFUSAL
            );
            let source = Box::new(failed);
            if is_refused {
                UnitsError::Refuse { what, source }
            } else {
                UnitsError::Ask { what, source }
            }
        })
    })
    .await
}

const NAME: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
/// How systemd, or the bus, says no to this user.
const REFUSAL: &str = "org.freedesktop.DBus.Error.AccessDenied";

/// It answers in a millisecond, unless it reads all unit files anew.
pub(super) const LIMIT: Duration = Duration::from_secs(5);
