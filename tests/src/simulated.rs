//! The simulated UPS, which promises to come back, in a thread of the owner's namespace.
//!
//! The UPS outlives the owner's machine, as a real one does; with the owner's cable out of the
//! switch nobody else can reach its `upsd`.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, SocketAddrV4, TcpStream};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use curfew_nut::client::Credentials;
use curfew_nut::codec::request::Secret;
use curfew_nut::simulated::{Account, Battery, Cadence, SimulatedConfig, SimulatedHandle};
use curfew_nut::simulated::{SimulatedUps, Switching};
use nix::sched::{CloneFlags, setns};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::sync::CancellationToken;

use crate::host::Host;
use crate::nut::{PASSWORD, PORT, UPS, USER};

/// A running simulated UPS.
#[derive(Debug)]
pub struct Simulated {
    handle: SimulatedHandle,
    runtime: Handle,
    cancel: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Simulated {
    /// Starts it in the namespace of the UPS owner, with a battery that lasts for `seconds`.
    pub fn start(namespace: &str, seconds: u32) -> Result<Self> {
        let path = format!("/run/netns/{namespace}");
        let cancel = CancellationToken::new();
        let ended = cancel.clone();
        let (started, start) = mpsc::sync_channel(1);
        let thread = std::thread::spawn(move || match open(&path, seconds) {
            Ok((runtime, ups, handle)) => {
                if started.send(Ok((handle, runtime.handle().clone()))).is_ok() {
                    runtime.block_on(ups.run(ended));
                }
            }
            Err(error) => {
                if started.send(Err(error)).is_err() {
                    // The laboratory has given up on it.
                }
            }
        });
        let (handle, runtime) = start.recv().context("start the simulated UPS")??;
        Ok(Self { handle, runtime, cancel, thread: Some(thread) })
    }

    /// Takes the mains away, or gives them back.
    pub fn set_mains(&self, is_on: bool) -> Result<()> {
        let handle = &self.handle;
        let set =
            async { if is_on { handle.return_mains().await } else { handle.fail_mains().await } };
        Ok(self.runtime.block_on(set)?)
    }

    /// Returns whether the machines have power.
    pub fn is_output_closed(&self) -> bool {
        *self.handle.output.borrow()
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        self.cancel.cancel();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            // Its panic has been printed.
        }
    }
}

/// Tells the UPS to cut and to come back, as the owner's last hook does.
pub fn order_cut() -> Result<()> {
    let address = SocketAddr::V4(SocketAddrV4::new(Host::Nfs.address(), PORT));
    let mut upsd = TcpStream::connect_timeout(&address, LIMIT).context("reach upsd")?;
    upsd.set_read_timeout(Some(LIMIT)).context("set a limit")?;
    let lines = format!("USERNAME {USER}\nPASSWORD {PASSWORD}\nINSTCMD {UPS} shutdown.return\n");
    upsd.write_all(lines.as_bytes()).context("order the cut")?;
    for answer in BufReader::new(upsd).lines().take(3) {
        let answer = answer.context("hear upsd")?;
        ensure!(answer.starts_with("OK"), "upsd refuses the cut: {answer}");
    }
    Ok(())
}

/// The simulated `upsd` answers in the same machine.
const LIMIT: Duration = Duration::from_secs(2);

fn open(namespace: &str, seconds: u32) -> Result<(Runtime, SimulatedUps, SimulatedHandle)> {
    let namespace = File::open(namespace).context("open a namespace")?;
    setns(namespace, CloneFlags::CLONE_NEWNET).context("enter the owner's namespace")?;
    let runtime = Builder::new_current_thread().enable_all().build().context("make a runtime")?;
    let address = SocketAddr::V4(SocketAddrV4::new(Host::Nfs.address(), PORT));
    let bound = runtime.block_on(SimulatedUps::bind(address, config(seconds)));
    let (ups, handle) = bound.context("bind the simulated upsd")?;
    Ok((runtime, ups, handle))
}

fn config(seconds: u32) -> SimulatedConfig {
    let credentials = Credentials { username: USER.to_owned(), password: Secret::new(PASSWORD) };
    SimulatedConfig {
        name: UPS.to_owned(),
        battery: Battery {
            runtime: Duration::from_secs(seconds.into()),
            recharge: Duration::from_secs(20),
            charge_percent: 100.0,
            low_percent: 0.0,
            load_percent: 25.0,
        },
        switching: Switching {
            offers_return: true,
            shutdown_delay: Duration::from_secs(2),
            start_delay: Duration::from_secs(2),
        },
        cadence: Cadence { status: Duration::from_millis(500), numbers: Duration::from_secs(1) },
        time_factor: 1.0,
        accounts: vec![Account { credentials, is_primary: true, gives_orders: true }],
    }
}
