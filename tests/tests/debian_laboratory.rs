//! The booted machines prove themselves, without an agent: a power button, a power cord, a disk.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use curfew_tests::Host;
use curfew_tests::debian::data_disk::DataDisk;
use curfew_tests::debian::{Container, End, ability, tree};
use curfew_tests::directory::Directory;
use curfew_tests::ground;
use curfew_tests::network::Network;

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn a_machine_powers_off_reboots_and_keeps_its_files_and_what_it_said() -> Result<()> {
    if !ability::can_be_played() {
        return Ok(());
    }
    let mut bench = Bench::build()?;
    let machine = &mut bench.machine;
    machine.boot()?;
    machine.until_booted(LIMIT)?;
    let first = boot_id(machine)?;
    machine.shell("echo kept > /root/file; echo '<4>told the kernel' > /dev/kmsg")?;
    machine.shell("echo shown to a person > /dev/console")?;
    machine.shell("systemctl reboot")?;
    assert_eq!(machine.until_end(LIMIT)?, End::Reboots);

    machine.boot()?;
    machine.until_booted(LIMIT)?;
    assert_ne!(first, boot_id(machine)?, "another boot");
    assert_eq!(machine.shell("cat /root/file")?, "kept\n");
    machine.shell("systemctl poweroff")?;
    assert_eq!(machine.until_end(LIMIT)?, End::PoweredOff);

    assert!(machine.console().contains("shown to a person"), "{}", machine.console());
    let lines = machine.kernel_log().lines();
    assert!(lines.iter().any(|(_, line)| line == "<4>told the kernel"), "{lines:?}");
    Ok(())
}

#[test]
fn a_cut_leaves_nothing_running_and_a_disk_as_it_was_at_that_moment() -> Result<()> {
    if !ability::can_be_played() {
        return Ok(());
    }
    let mut bench = Bench::build()?;
    let disk = DataDisk::make(&bench.machine.folder().join("data.img"))?;
    let machine = &mut bench.machine;
    machine.bind(disk.device().as_ref(), disk.device(), true);
    for (last_words, is_clean) in [("", false), ("umount /mnt", true)] {
        machine.boot()?;
        machine.until_booted(LIMIT)?;
        machine.shell(&format!("mount {} /mnt; echo written > /mnt/file", disk.device()))?;
        machine.shell(&format!("sync; {last_words}"))?;
        let mounts = machine.mounts()?;
        assert_eq!(mounts.iter().any(|it| it.path == "/mnt" && it.is_writable), !is_clean);
        disk.keep_for_cut()?;
        machine.cut()?;
        assert!(!machine.is_on());
        disk.restore_cut()?;
        assert_eq!(disk.state()?.needs_recovery, !is_clean, "{:?}", disk.state());
    }
    Ok(())
}

/// One machine with nothing of ours on it, and a network.
///
/// The fields are dropped in their order.
struct Bench {
    machine: Container,
    _network: Network,
    _directory: Directory,
}

impl Bench {
    fn build() -> Result<Self> {
        ground::require()?;
        ground::sweep()?;
        let base = tree::base()?;
        let name = ground::unique_name();
        let directory = Directory::new(&name)?;
        let network = Network::build(&name)?;
        let namespace = network.namespace(Host::Nfs);
        let machine = Container::new(&name, &directory.join("machine"), &namespace, &[base])?;
        Ok(Self { machine, _network: network, _directory: directory })
    }
}

fn boot_id(machine: &Container) -> Result<String> {
    let id = machine.shell("cat /proc/sys/kernel/random/boot_id").context("read the boot id")?;
    ensure!(id.trim().len() == 36, "an odd boot id: {id}");
    Ok(id)
}
