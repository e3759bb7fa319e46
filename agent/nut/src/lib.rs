//! A client for NUT's `upsd`, written for a daemon that decides on shutdown.
//!
//! Reading order: [`codec`] (pure: words, lines, requests, answers), [`error`] (what `upsd` and the
//! wire can say), [`status`] and [`snapshot`] (what a poll means), [`client`] (one connection),
//! [`probe`] and [`delay`] (what the UPS can do, and when), [`monitor`] (the polling session),
//! [`door`] (orders with a login). With the feature `simulated` there is also a UPS to talk to.
//!
//! Nothing here decides anything, keeps a password in a log, waits without a limit or grows with
//! what the network sends. STARTTLS has its place in [`client::Client::connect`].

mod vocabulary;

pub mod client;
pub mod codec;
pub mod delay;
pub mod door;
pub mod error;
pub mod monitor;
pub mod probe;
#[cfg(feature = "simulated")]
pub mod simulated;
pub mod snapshot;
pub mod status;
