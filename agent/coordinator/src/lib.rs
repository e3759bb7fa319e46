//! The pure decision core of Curfew: facts in, instructions out.
//!
//! It knows no clock, socket, file or task; time is a parameter, and everything that it learns is
//! an [`Event`]. The daemon, the simulator and the tests all run this code.
//!
//! Reading order: [`Phase`] has the states of a host, [`Event`] and [`Action`] are the whole
//! boundary, [`StateMessage`] is what hosts tell each other.

mod action;
mod cluster;
mod event;
mod gauge;
mod message;
mod name;
mod note;
mod owed;
mod phase;
mod plan;
mod reading;
mod reason;
mod record;
mod status;
mod stop_time;
mod time;

pub use action::{Action, Call, End, Step, Watch};
pub use cluster::{
    BuiltIn, Cluster, Host, OffProof, ReadyBy, Settings, StopTimes, Ups, WakeTarget,
};
pub use event::{Answer, Command, Event, Link};
pub use gauge::{Gauge, SavedGauge};
pub use message::{HeardOf, Standing, StateMessage, ToldShutdown};
pub use name::{BootId, HostName, Session};
pub use note::{BeginReason, Gate, Note, PassReason, ReleaseProof, TurnReason};
pub use owed::{Debt, Owed};
pub use phase::Phase;
pub use plan::{Overhead, Plan, PlannedHost};
pub use reading::{Abilities, Line, PeerReading, Reading};
pub use reason::{Cause, Reason, Trigger};
pub use record::{Begun, Leaving, Saved, SavedShutdown};
pub use status::{
    HostStatus, PlanStatus, PlannedStop, Presence, ShutdownStatus, Status, UpsStatus,
};
pub use stop_time::{StopHistory, StopTime};
pub use time::{Date, Time};
