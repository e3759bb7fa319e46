//! The laboratory proves itself, with a stand-in for the agent that does nothing.

use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use curfew_tests::directory::write_program;
use curfew_tests::{Fact, Host, Lab, Setup, Verb, ground};

const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn a_machine_that_is_told_to_stop_goes_down_and_a_magic_packet_starts_it() -> Result<()> {
    let mut lab = idle_lab()?;
    for host in [Host::Nfs, Host::K8s2] {
        lab.press_button(host);
        lab.until(host, &Fact::AgentStarted, LIMIT)?;
    }
    let boot = boot_id(&lab)?;

    call(&lab, Host::K8s2, Verb::Stop)?;
    lab.until(Host::K8s2, &Fact::Off, LIMIT)?;
    send_packet(&lab, Host::Nfs, Host::K8s2)?;
    lab.eventually("the machine starts again", LIMIT, |lab| {
        lab.timeline().count(Host::K8s2, &Fact::AgentStarted) == 2
    })?;

    let stop = Fact::Called(Verb::Stop);
    let order = [stop, Fact::Halting, Fact::Off, Fact::Packet(Host::Nfs.address().to_string())];
    lab.timeline().assert_order(&order.map(|fact| (Host::K8s2, fact)));
    assert_ne!(boot, boot_id(&lab)?);
    Ok(())
}

#[test]
fn an_agent_that_dies_is_started_again_in_the_same_boot() -> Result<()> {
    let mut lab = idle_lab()?;
    lab.press_button(Host::K8s1);
    lab.until(Host::K8s1, &Fact::AgentStarted, LIMIT)?;
    let boot = boot_id_of(&lab, Host::K8s1)?;
    lab.signal_agent(Host::K8s1, nix::sys::signal::Signal::SIGKILL)?;
    lab.eventually("the supervisor starts it", LIMIT, |lab| {
        lab.timeline().count(Host::K8s1, &Fact::AgentStarted) == 2
    })?;
    assert_eq!(lab.timeline().count(Host::K8s1, &Fact::AgentEnded(None)), 1);
    assert_eq!(boot, boot_id_of(&lab, Host::K8s1)?);
    Ok(())
}

#[test]
fn the_real_upsd_shows_the_battery_and_an_empty_one_takes_every_machine() -> Result<()> {
    let mut lab = idle_lab()?;
    lab.machine_mut(Host::K8s1).does_start_after_power_loss = false;
    for host in Host::ALL {
        lab.press_button(host);
    }
    lab.eventually("upsd shows mains", LIMIT, |lab| shows(lab, "ups.status", "OL"))?;
    lab.fail_mains(5)?;
    lab.eventually("upsd shows battery", LIMIT, |lab| shows(lab, "ups.status", "OB DISCHRG"))?;
    lab.eventually("the runtime falls", LIMIT, |lab| shows(lab, "battery.runtime", "3"))?;
    lab.until(None, &Fact::OutputOpened, LIMIT)?;
    assert!(Host::ALL.into_iter().all(|host| !lab.machine(host).is_on()));

    lab.restore_mains()?;
    lab.eventually("firmware starts the others", LIMIT, |lab| {
        lab.machine(Host::Nfs).agent().is_some() && lab.machine(Host::K8s2).agent().is_some()
    })?;
    assert!(!lab.machine(Host::K8s1).is_on());
    Ok(())
}

#[test]
fn a_pulled_cable_and_a_blocked_pair_keep_packets_away() -> Result<()> {
    let mut lab = idle_lab()?;
    for host in Host::ALL {
        lab.press_button(host);
        lab.until(host, &Fact::AgentStarted, LIMIT)?;
    }
    lab.network().block(Host::K8s1, Host::Nfs)?;
    assert!(!does_reach(&lab, Host::K8s1, Host::Nfs)?);
    until_reached(&mut lab, Host::K8s1, Host::K8s2)?;
    lab.network().unblock_all()?;
    until_reached(&mut lab, Host::K8s1, Host::Nfs)?;
    lab.plug(Host::K8s2, false)?;
    assert!(!does_reach(&lab, Host::K8s1, Host::K8s2)?);
    lab.plug(Host::K8s2, true)?;
    until_reached(&mut lab, Host::K8s1, Host::K8s2)
}

#[test]
fn the_simulated_ups_cuts_when_the_owners_last_hook_orders_it_and_comes_back() -> Result<()> {
    let mut lab = idle_lab_with(Setup { returning: Some(30), ..Setup::default() })?;
    for host in Host::ALL {
        lab.press_button(host);
        lab.until(host, &Fact::AgentStarted, LIMIT)?;
    }
    let failure = ground::now();
    lab.fail_mains(30)?;
    call(&lab, Host::Nfs, Verb::Cut)?;
    lab.until(None, &Fact::OutputOpened, LIMIT)?;
    assert!(Host::ALL.into_iter().all(|host| !lab.machine(host).is_on()));

    lab.restore_mains()?;
    lab.eventually("every machine starts again", LIMIT, |lab| {
        Host::ALL.into_iter().all(|host| lab.timeline().count(host, &Fact::AgentStarted) == 2)
    })?;
    let order = [Fact::Called(Verb::Cut), Fact::Halting, Fact::CutOrdered, Fact::Off, Fact::On];
    lab.timeline().assert_order_since(failure, &order.map(|fact| (Host::Nfs, fact)));
    Ok(())
}

/// A laboratory whose agents only wait for SIGTERM.
fn idle_lab() -> Result<Lab> {
    idle_lab_with(Setup::default())
}

fn idle_lab_with(setup: Setup) -> Result<Lab> {
    ground::require()?;
    let folder = std::env::temp_dir().join(ground::unique_name());
    let binary = folder.join("idle-agent");
    write_program(&binary, "#!/bin/sh\ntrap 'exit 0' TERM\nwhile :; do sleep 0.05; done\n")?;
    Lab::build(&Setup { binary: Some(binary), ..setup })
}

fn call(lab: &Lab, host: Host, verb: Verb) -> Result<()> {
    let program = lab.folder().join("machine");
    let status = Command::new(program).args([host.name(), verb.name()]).status();
    anyhow::ensure!(status.context("call")?.success());
    Ok(())
}

fn boot_id(lab: &Lab) -> Result<String> {
    boot_id_of(lab, Host::K8s2)
}

fn boot_id_of(lab: &Lab, host: Host) -> Result<String> {
    let path: PathBuf = lab.machine(host).state().join("boot-id");
    std::fs::read_to_string(path).context("read a boot id")
}

fn shows(lab: &Lab, variable: &str, wanted: &str) -> bool {
    let server = format!("eaton@{}", Host::Nfs.address());
    let mut command = in_namespace(lab, Host::Nfs);
    let output = command.args(["timeout", "1", "upsc", &server, variable]).output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == wanted)
}

fn does_reach(lab: &Lab, from: Host, to: Host) -> Result<bool> {
    let mut command = in_namespace(lab, from);
    command.args(["timeout", "2", "bash", "-c"]);
    // Refused is an answer too: nobody listens there, but somebody is there.
    let script = format!("exec 3<>/dev/tcp/{}/1", to.address());
    let output = command.arg(script).output().context("knock")?;
    Ok(String::from_utf8_lossy(&output.stderr).contains("refused"))
}

/// A neighbour that was just unreachable is asked for anew only after a moment.
fn until_reached(lab: &mut Lab, from: Host, to: Host) -> Result<()> {
    let what = format!("{from} reaches {to}");
    lab.eventually(&what, LIMIT, |lab| does_reach(lab, from, to).is_ok_and(|it| it))
}

fn in_namespace(lab: &Lab, host: Host) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &lab.network().namespace(host)]);
    command
}

fn send_packet(lab: &Lab, from: Host, to: Host) -> Result<()> {
    let send = || -> Result<()> {
        let socket = UdpSocket::bind(("0.0.0.0", 0))?;
        socket.set_broadcast(true)?;
        let packet = [[0xff; 6].as_slice(), &to.mac().repeat(16)].concat();
        socket.send_to(&packet, ("255.255.255.255", 9))?;
        Ok(())
    };
    lab.network().inside(from, send)?.context("send a magic packet")
}
