//! One step of the world: what agents have called for, what crossed the switch, what is due.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::net::UdpSocket;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use curfew_machined::{Report, Sequence};
use nix::fcntl::OFlag;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::Lab;
use crate::debian::End;
use crate::ground::now;
use crate::host::Host;
use crate::machine::Next;
use crate::talos::node::Event;
use crate::timeline::{Fact, Verb};

impl Lab {
    /// Takes one step; nothing in it waits.
    pub(super) fn step(&mut self) -> Result<()> {
        self.pass_time()?;
        for call in self.read_calls()? {
            self.on_call(call);
        }
        self.read_packets()?;
        for host in Host::ALL {
            while let Some(next) = self.machine_mut(host).pop_due() {
                self.carry_out(host, next)?;
            }
            self.look_at_agent(host)?;
            self.look_at_node(host)?;
        }
        self.look_at_server()
    }

    fn pass_time(&mut self) -> Result<()> {
        if now() >= self.next_second {
            self.next_second = now() + Duration::from_secs(1);
            self.ups.pass_second()?;
        }
        match (self.has_output, self.ups.is_output_closed()) {
            (true, false) => self.open_output(),
            (false, true) => {
                self.close_output();
                Ok(())
            }
            (true, true) | (false, false) => Ok(()),
        }
    }

    /// Every machine loses its power at once.
    fn open_output(&mut self) -> Result<()> {
        self.has_output = false;
        self.timeline.add(None, Fact::OutputOpened);
        Host::ALL.into_iter().try_for_each(|host| self.power_off(host))
    }

    /// The machines have power again: firmware decides who starts.
    fn close_output(&mut self) {
        self.has_output = true;
        self.timeline.add(None, Fact::OutputClosed);
        for host in Host::ALL {
            if self.machine(host).does_start_after_power_loss {
                self.press_button(host);
            }
        }
    }

    fn read_calls(&mut self) -> Result<Vec<Call>> {
        let mut text = String::new();
        match self.calls.read_to_string(&mut text) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error).context("read calls"),
            Ok(_) | Err(_) => text.lines().map(parse_call).collect(),
        }
    }

    fn on_call(&mut self, call: Call) {
        let Call { host, verb, cut } = call;
        self.timeline.add(host, Fact::Called(verb));
        let machine = self.machine_mut(host);
        let off = machine.timing.services + machine.timing.halt;
        let boot = off + machine.timing.boot;
        // The services of the hold are not played: the agent and upsd go on.
        if verb == Verb::Hold || !machine.plan_stop() {
            return;
        }
        match verb {
            Verb::Stop | Verb::Hold => machine.plan(off, Next::PowerOff),
            Verb::Cut => machine.plan(off.max(cut), Next::Cut),
            Verb::Reboot => {
                machine.plan(off, Next::PowerOff);
                machine.plan(off, Next::PowerOn);
                machine.plan(boot, Next::Boot);
            }
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
            let machine = self.machine(host);
            if machine.is_plugged && machine.has_button && self.has_output {
                self.press_button(host);
            }
        }
    }

    fn carry_out(&mut self, host: Host, next: Next) -> Result<()> {
        match next {
            Next::Halt => {
                self.timeline.add(host, Fact::Halting);
                self.machine(host).signal_agent(Signal::SIGTERM)
            }
            Next::PowerOff => self.power_off_keeping_plans(host),
            Next::Cut => self.cut(host),
            Next::PowerOn => self.power_on(host),
            Next::Boot | Next::RestartAgent if self.machine(host).does_start_agent() => Ok(()),
            Next::Boot | Next::RestartAgent if !self.machine(host).has_agent => Ok(()),
            Next::Boot | Next::RestartAgent => {
                self.timeline.add(host, Fact::AgentStarted);
                self.machine_mut(host).start_agent()
            }
        }
    }

    /// The late-shutdown hook: services and agent are gone, and it orders the cut; on mains it
    /// reboots instead.
    fn cut(&mut self, host: Host) -> Result<()> {
        self.machine_mut(host).end_agent();
        if self.has_mains {
            let machine = self.machine_mut(host);
            machine.plan(Duration::ZERO, Next::PowerOff);
            machine.plan(Duration::ZERO, Next::PowerOn);
            machine.plan(machine.timing.boot, Next::Boot);
            return Ok(());
        }
        self.timeline.add(host, Fact::CutOrdered);
        self.ups.order_cut()
    }

    fn power_on(&mut self, host: Host) -> Result<()> {
        if self.machine(host).is_on() {
            return Ok(());
        }
        self.timeline.add(host, Fact::On);
        self.machine_mut(host).power_on()?;
        self.network.plug(host, self.machine(host).is_plugged)?;
        if host.is_owner() { self.ups.start_daemons() } else { Ok(()) }
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
        self.machine_mut(host).power_off()?;
        if host.is_owner() {
            self.ups.stop_daemons();
        }
        self.network.plug(host, false)
    }

    /// Looks at the machine that boots Debian: whether it still runs, what it holds, what its
    /// kernel log tells.
    fn look_at_server(&mut self) -> Result<()> {
        let host = Host::Nfs;
        let Some(server) = self.machine_mut(host).debian_mut() else { return Ok(()) };
        let container = server.container_mut();
        let lines = container.kernel_log().read()?;
        let hold = container.read(HOLD_STATE).unwrap_or_default();
        let end = container.end()?;
        for line in lines.into_iter().filter(|line| is_ours(line)) {
            let is_cut = line.contains(CUT_LINE);
            self.timeline.add(host, Fact::Kernel(line));
            if is_cut {
                self.timeline.add(host, Fact::CutOrdered);
                self.ups.order_cut()?;
            }
        }
        let hold = Fact::Hold(hold.trim().to_owned());
        let last = self.timeline.last_that(host, |fact| matches!(fact, Fact::Hold(_)));
        if last.unwrap_or(&Fact::Hold(String::new())) != &hold {
            self.timeline.add(host, hold);
        }
        let Some(end) = end else { return Ok(()) };
        self.timeline.add(host, Fact::Ended(end));
        self.power_off(host)?;
        if end == End::Reboots {
            self.press_button(host);
        }
        Ok(())
    }

    /// Looks at a Talos node: what machined does, and how the agent takes it.
    fn look_at_node(&mut self, host: Host) -> Result<()> {
        for event in self.machine_mut(host).look_at_node()? {
            match event {
                Event::Said(report) => self.on_report(host, report)?,
                Event::Ended(code) => self.timeline.add(host, Fact::AgentEnded(code)),
            }
        }
        Ok(())
    }

    fn on_report(&mut self, host: Host, report: Report) -> Result<()> {
        let fact = if report == Report::Start {
            Some(Fact::AgentStarted)
        } else if report == Report::Term {
            Some(Fact::Halting)
        } else if let Report::Called(Sequence::Shutdown { .. }, _) = report {
            Some(Fact::Called(Verb::Stop))
        } else if let Report::Called(Sequence::Reboot { .. }, _) = report {
            Some(Fact::Called(Verb::Reboot))
        } else {
            None
        };
        let (is_off, is_reboot) = (report == Report::Off, report == Report::Restarts);
        self.timeline.add(host, Fact::Machined(report));
        if let Some(fact) = fact {
            self.timeline.add(host, fact);
        }
        if is_off || is_reboot {
            self.power_off(host)?;
        }
        if is_reboot {
            self.press_button(host);
        }
        Ok(())
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

/// A call of an agent to its operating system.
#[derive(Clone, Copy, Debug)]
struct Call {
    host: Host,
    verb: Verb,
    /// The earliest cut, from now.
    cut: Duration,
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
pub(crate) fn pass_a_moment() {
    pass(MOMENT);
}

/// Lets the processes of the laboratory run for `span`.
#[expect(
    clippy::disallowed_methods,
    reason = "the pace at which conditions are looked at; nothing relies on its length"
)]
pub(super) fn pass(span: Duration) {
    std::thread::sleep(span);
}

/// One line of the pipe: host, verb, and for a cut how many seconds it must wait at least.
fn parse_call(line: &str) -> Result<Call> {
    let mut words = line.split_whitespace();
    let host = words.next().and_then(Host::from_name);
    let verb = words.next().and_then(Verb::from_name);
    let seconds = words.next().and_then(|word| word.parse().ok()).unwrap_or_default();
    let (host, verb) = host.zip(verb).with_context(|| format!("odd call {line:?}"))?;
    Ok(Call { host, verb, cut: Duration::from_secs(seconds) })
}

fn is_magic(packet: &[u8], mac: [u8; 6]) -> bool {
    let mut magic = [0xff; 6].to_vec();
    magic.extend(mac.repeat(16));
    packet.windows(magic.len()).any(|window| window == magic)
}

/// Returns whether a line of the kernel log tells of us or of the UPS.
fn is_ours(line: &str) -> bool {
    line.contains("curfew") || line.contains(CUT_LINE) || line.contains("nutshutdown")
}

/// What the driver of the laboratory writes when it is told to cut: see `debian/server.rs`.
const CUT_LINE: &str = "lab-ups: shutdown.return";
/// Where the hold says how far it is.
const HOLD_STATE: &str = "/run/curfew-hold/state";
const WAKE_PORT: u16 = 9;
/// Short beside what a person notices, long beside what a step takes.
pub(super) const MOMENT: Duration = Duration::from_millis(20);
/// A supervisor does not start an agent again that ended with this code.
const BAD_CONFIGURATION: i32 = 78;
