//! A simulated UPS behind a real `upsd` protocol server, for the demo and for end-to-end tests.
//!
//! [`model`] is the battery, the mains and the output (pure, model time as a parameter), `desk`
//! answers requests about it (pure), `server` puts both behind a TCP listener in one task. The
//! words and quotes are those of [`crate::codec`].
//!
//! Model time runs `time_factor` times as fast as the clock; all delays, intervals, and the runtime
//! that the UPS shows, are model time. Virtual time (`tokio::time::pause`) works through the
//! handle; real sockets under a paused clock make the runtime jump over client deadlines.
//!
//! What it leaves out of `upsd`: STARTTLS, HELP, several UPSes, and answers longer than 512 bytes.

mod desk;
pub mod model;
mod server;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::client::Credentials;
use crate::simulated::desk::Desk;
use crate::simulated::model::Model;
use crate::simulated::server::Server;

/// How many orders of handles may wait.
const ORDER_QUEUE_LEN: usize = 16;

/// A UPS and its `upsd`.
#[derive(Clone, Debug)]
pub struct SimulatedConfig {
    /// The name of the UPS.
    pub name: String,
    /// The battery.
    pub battery: Battery,
    /// What the UPS can be told to do.
    pub switching: Switching,
    /// How often the driver gives news.
    pub cadence: Cadence,
    /// How many times faster than the clock it all happens.
    pub time_factor: f64,
    /// Who may give orders; reading needs no account.
    pub accounts: Vec<Account>,
}

/// A battery under a constant load.
#[derive(Clone, Debug)]
pub struct Battery {
    /// How long it carries the load when full.
    pub runtime: Duration,
    /// How long it takes from empty to full.
    pub recharge: Duration,
    /// The charge at the start.
    pub charge_percent: f64,
    /// At and below this charge the status has `LB`.
    pub low_percent: f64,
    /// The load that is shown; the runtime is at this load.
    pub load_percent: f64,
}

/// How the output opens and closes by command.
#[derive(Clone, Debug)]
pub struct Switching {
    /// Whether `shutdown.return` is offered. Without it, an output that was opened on mains stays
    /// open until the mains have failed and returned, as is feared of the Eaton 5E.
    pub offers_return: bool,
    /// From the command to the open output.
    pub shutdown_delay: Duration,
    /// From mains that are back to the closed output.
    pub start_delay: Duration,
}

/// How old shown values may be.
#[derive(Clone, Debug)]
pub struct Cadence {
    /// Between two updates of the status.
    pub status: Duration,
    /// Between two updates of charge, runtime and voltages.
    pub numbers: Duration,
}

/// An account of `upsd.users` that may do everything that its flags say.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its name and password.
    pub credentials: Credentials,
    /// `upsmon primary`: PRIMARY and FSD, besides LOGIN.
    pub is_primary: bool,
    /// `actions = SET` and `instcmds = ALL`.
    pub gives_orders: bool,
}

impl Default for SimulatedConfig {
    /// A small UPS that promises to return, with usbhid-ups' cadence and ten minutes of battery.
    fn default() -> Self {
        Self {
            name: "eaton".to_owned(),
            battery: Battery {
                runtime: Duration::from_mins(10),
                recharge: Duration::from_hours(4),
                charge_percent: 100.0,
                low_percent: 20.0,
                load_percent: 25.0,
            },
            switching: Switching {
                offers_return: true,
                shutdown_delay: Duration::from_secs(20),
                start_delay: Duration::from_secs(30),
            },
            cadence: Cadence { status: Duration::from_secs(2), numbers: Duration::from_secs(10) },
            time_factor: 1.0,
            accounts: Vec::new(),
        }
    }
}

/// What is there of the driver.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Driver {
    /// It gives news.
    Running,
    /// It just started: `WAIT`.
    Starting,
    /// It is silent: `DATA-STALE`.
    Stale,
    /// It is not running: `DRIVER-NOT-CONNECTED`.
    Away,
}

/// The task that is a UPS and its `upsd`.
#[derive(Debug)]
pub struct SimulatedUps {
    server: Server,
}

/// What happens to a simulated UPS from outside of `upsd`. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SimulatedHandle {
    /// Where its `upsd` listens.
    pub address: SocketAddr,
    /// Whether the output is closed, that is: whether the load has power.
    pub output: watch::Receiver<bool>,
    orders: mpsc::Sender<Order>,
}

/// The simulated UPS has ended.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("the simulated UPS has ended")]
pub struct SimulatedGone;

#[derive(Debug)]
enum Order {
    Mains(bool),
    Driver(Driver),
    RestartUpsd,
}

impl SimulatedUps {
    /// Listens at an address; port 0 takes a free one, which the handle tells.
    pub async fn bind(
        address: SocketAddr,
        config: SimulatedConfig,
    ) -> io::Result<(Self, SimulatedHandle)> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (closed, output) = watch::channel(true);
        let (orders, queue) = mpsc::channel(ORDER_QUEUE_LEN);
        let time_factor = config.time_factor;
        let desk = Desk::new(Model::new(&config), config.name, config.accounts);
        let server = Server::new(listener, desk, time_factor, queue, closed);
        Ok((Self { server }, SimulatedHandle { address, output, orders }))
    }

    /// Lives until cancelled.
    pub async fn run(self, cancel: CancellationToken) {
        cancel.run_until_cancelled(self.server.serve()).await;
    }
}

impl SimulatedHandle {
    /// Takes the mains away.
    pub async fn fail_mains(&self) -> Result<(), SimulatedGone> {
        self.order(Order::Mains(false)).await
    }

    /// Gives the mains back.
    pub async fn return_mains(&self) -> Result<(), SimulatedGone> {
        self.order(Order::Mains(true)).await
    }

    /// Changes what is there of the driver.
    pub async fn set_driver(&self, driver: Driver) -> Result<(), SimulatedGone> {
        self.order(Order::Driver(driver)).await
    }

    /// Restarts `upsd`: all connections close, FSD is gone.
    pub async fn restart_upsd(&self) -> Result<(), SimulatedGone> {
        self.order(Order::RestartUpsd).await
    }

    async fn order(&self, order: Order) -> Result<(), SimulatedGone> {
        self.orders.send(order).await.map_err(|_gone| SimulatedGone)
    }
}
