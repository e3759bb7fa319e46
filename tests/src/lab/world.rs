//! One step of the world: what agents have called for, what crossed the switch, what is due.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::net::UdpSocket;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::fcntl::OFlag;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::Lab;
use crate::ground::now;
use crate::host::Host;
use crate::machine::Next;
use crate::timeline::{Fact, Verb};

impl Lab {
    /// Takes one step; nothing in it waits.
    pub(super) fn step(&mut self) -> Result<()> {
        self.pass_time()?;
        for (host, verb) in self.read_calls()? {
            self.on_call(host, verb);
        }
        self.read_packets()?;
        for host in Host::ALL {
            while let Some(next) = self.machine_mut(host).pop_due() {
                self.carry_out(host, next)?;
            }
            self.look_at_agent(host)?;
        }
        Ok(())
    }

    /// The UPS has its output on again: firmware decides who starts.
    pub(super) fn close_output(&mut self) {
        self.timeline.add(None, Fact::OutputClosed);
        for host in Host::ALL {
            if self.machine(host).does_start_after_power_loss {
                self.press_button(host);
            }
        }
    }

    fn pass_time(&mut self) -> Result<()> {
        if now() < self.next_second {
            return Ok(());
        }
        self.next_second = now() + Duration::from_secs(1);
        let was_empty = self.battery.is_empty();
        self.battery.pass_second();
        if self.battery.is_empty() && !was_empty {
            self.open_output()?;
        }
        self.nut.show(&self.battery)
    }

    fn open_output(&mut self) -> Result<()> {
        self.timeline.add(None, Fact::OutputOpened);
        Host::ALL.into_iter().try_for_each(|host| self.power_off(host))
    }

    fn read_calls(&mut self) -> Result<Vec<(Host, Verb)>> {
        let mut text = String::new();
        match self.calls.read_to_string(&mut text) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error).context("read calls"),
            Ok(_) | Err(_) => text.lines().map(parse_call).collect(),
        }
    }

    fn on_call(&mut self, host: Host, verb: Verb) {
        self.timeline.add(host, Fact::Called(verb));
        let machine = self.machine_mut(host);
        let was_new = match verb {
            Verb::Stop | Verb::Cut | Verb::Reboot => machine.plan_stop(),
            // The services of the hold are not played: the agent and upsd go on.
            Verb::Hold => false,
        };
        if was_new && verb == Verb::Reboot {
            let timing = machine.timing;
            let off = timing.services + timing.halt;
            machine.plan(off, Next::PowerOn);
            machine.plan(off + timing.boot, Next::Boot);
        }
    }

    fn read_packets(&mut self) -> Result<()> {
        let mut buffer = [0; 256];
        loop {
            let (len, from) = match self.packets.recv_from(&mut buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("hear packets"),
            };
            let packet = buffer.get(..len).unwrap_or_default();
            let Some(host) = Host::ALL.into_iter().find(|host| is_magic(packet, host.mac())) else {
                continue;
            };
            self.timeline.add(host, Fact::Packet(from.ip().to_string()));
            // An open output feeds no network card.
            if self.machine(host).is_plugged && !self.battery.is_empty() {
                self.press_button(host);
            }
        }
    }

    fn carry_out(&mut self, host: Host, next: Next) -> Result<()> {
        match next {
            Next::Halt => {
                self.timeline.add(host, Fact::Halting);
                self.machine(host).signal_agent(Signal::SIGTERM);
                Ok(())
            }
            Next::PowerOff => self.power_off_keeping_plans(host),
            Next::PowerOn => self.power_on(host),
            Next::Boot | Next::RestartAgent => {
                self.timeline.add(host, Fact::AgentStarted);
                self.machine_mut(host).start_agent()
            }
        }
    }

    fn power_on(&mut self, host: Host) -> Result<()> {
        if self.machine(host).is_on() {
            return Ok(());
        }
        self.timeline.add(host, Fact::On);
        self.machine_mut(host).power_on()?;
        self.network.plug(host, self.machine(host).is_plugged)?;
        if host.is_owner() { self.nut.start(&self.battery) } else { Ok(()) }
    }

    /// A machine that reboots has its next boot planned already.
    fn power_off_keeping_plans(&mut self, host: Host) -> Result<()> {
        let plans = self.machine_mut(host).take_plans();
        self.power_off(host)?;
        self.machine_mut(host).put_plans(plans);
        Ok(())
    }

    fn power_off(&mut self, host: Host) -> Result<()> {
        if self.machine(host).is_on() {
            self.timeline.add(host, Fact::Off);
        }
        self.machine_mut(host).power_off();
        if host.is_owner() {
            self.nut.stop();
        }
        self.network.plug(host, false)
    }

    fn look_at_agent(&mut self, host: Host) -> Result<()> {
        let Some(code) = self.machine_mut(host).reap()? else { return Ok(()) };
        self.timeline.add(host, Fact::AgentEnded(code));
        let machine = self.machine_mut(host);
        let is_final = code == Some(BAD_CONFIGURATION);
        if machine.is_on() && machine.is_supervised && !machine.is_stopping() && !is_final {
            machine.plan(machine.timing.restart, Next::RestartAgent);
        }
        Ok(())
    }
}

/// Opens the pipe in which agents' calls arrive; held open for writing too, so that it never ends.
pub(super) fn open_calls(path: &Path) -> Result<File> {
    mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR).context("make a pipe")?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(OFlag::O_NONBLOCK.bits());
    options.open(path).context("open a pipe")
}

/// Opens the ear for magic packets; the calling thread is in the switch's namespace.
pub(super) fn open_packets() -> Result<UdpSocket> {
    let socket = UdpSocket::bind(("0.0.0.0", WAKE_PORT)).context("listen for magic packets")?;
    socket.set_nonblocking(true).context("listen without waiting")?;
    Ok(socket)
}

/// Lets the processes of the laboratory run until the next step.
#[expect(
    clippy::disallowed_methods,
    reason = "the pace at which conditions are looked at; nothing relies on its length"
)]
pub(super) fn pass_a_moment() {
    std::thread::sleep(Duration::from_millis(20));
}

fn parse_call(line: &str) -> Result<(Host, Verb)> {
    let (host, verb) = line.split_once(' ').with_context(|| format!("odd call {line:?}"))?;
    let call = Host::from_name(host).zip(Verb::from_name(verb));
    call.with_context(|| format!("odd call {line:?}"))
}

fn is_magic(packet: &[u8], mac: [u8; 6]) -> bool {
    let mut magic = [0xff; 6].to_vec();
    magic.extend(mac.repeat(16));
    packet.windows(magic.len()).any(|window| window == magic)
}

const WAKE_PORT: u16 = 9;
/// A supervisor does not start an agent again that ended with this code.
const BAD_CONFIGURATION: i32 = 78;
