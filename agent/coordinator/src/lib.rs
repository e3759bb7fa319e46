//! The pure decision core of Curfew: facts in, instructions out.
//!
//! It knows no clock, socket, file or task; time is a parameter, and everything that it learns is
//! an [`Event`]. The daemon, the simulator and the tests all run this code.
//!
//! Reading order: [`Phase`] has the states of a host, [`Event`] and [`Action`] are the whole
//! boundary, [`StateMessage`] is what hosts tell each other, [`Coordinator`] decides; its rules are
//! one file each below `coordinator/`. What they rest on is kept apart: `gauge` (the numbers of the
//! UPS), `plan` (order and times), `peer` and `link` (what the silence of others proves),
//! `shutdown` (how two accounts of one number are united), `owed` (who is still to be woken).
//! `mistake` lists wrong rules for the simulator to find; a shipped binary knows none of them.

mod action;
mod cluster;
mod coordinator;
mod event;
mod gauge;
mod link;
mod message;
mod mistake;
mod name;
mod note;
mod outage;
mod owed;
mod peer;
mod phase;
mod plan;
mod reading;
mod reason;
mod record;
mod seconds;
mod shutdown;
mod status;
mod stop_time;
mod time;

pub use action::{Action, Call, End, ForeignTier, Step, Watch};
pub use cluster::{
    BuiltIn, Cluster, Host, OffProof, ReadyBy, Settings, StopTimes, Ups, WakeTarget,
};
pub use coordinator::{Coordinator, Start};
pub use event::{Answer, ClientSight, Command, Event, Link, OsStop};
pub use gauge::{Gauge, SavedGauge};
pub use message::{HeardOf, Standing, StateMessage, ToldShutdown};
#[cfg(feature = "mistakes")]
pub use mistake::Mistake;
pub use name::{BootId, HostName, Session};
pub use note::{BeginReason, Gate, Note, PassReason, ReleaseProof, TurnReason};
pub use owed::{Debt, Owed};
pub use phase::Phase;
pub use plan::{Overhead, Plan, PlannedHost};
pub use reading::{Abilities, Line, PeerReading, Reading};
pub use reason::{Cause, Reason, Trigger};
pub use record::{Begun, Leaving, Planned, Saved, SavedShutdown};
pub use status::{
    Absence, HostStatus, PlanStatus, PlannedStop, Presence, RecoveryStatus, ShutdownStatus, Status,
    UpsStatus,
};
pub use stop_time::{StopHistory, StopTime};
pub use time::{Date, Time};
