//! Stories of a booted Debian machine that is not in good health when the mains fail: its disk is
//! full or read-only, logind or D-Bus is gone. The outage ends where it must all the same.

use anyhow::Result;
use curfew_tests::debian::story::{PATIENCE, play};
use curfew_tests::debian::{End, Server};
use curfew_tests::{Fact, Host, Lab, Verb, ground};

#[test]
fn a_full_and_a_read_only_disk_do_not_keep_an_outage_from_its_hold() -> Result<()> {
    play(Server { has_var: true, ..Server::default() }, |lab| {
        for fault in [FULL, BROKEN] {
            lab.server()?.shell(fault)?;
            ends_in_a_hold_and_begins_anew(lab)?;
        }
        Ok(())
    })
}

#[test]
fn without_logind_an_outage_holds_and_without_d_bus_an_order_powers_off() -> Result<()> {
    play(Server::default(), |lab| {
        lab.server()?.shell("systemctl mask --runtime --now systemd-logind.service")?;
        ends_in_a_hold_and_begins_anew(lab)?;

        lab.server()?.shell("systemctl stop dbus.socket dbus.service")?;
        let before = ground::now();
        lab.order(&["shutdown", "--yes"])?;
        lab.until_ended(End::PoweredOff, before)?;
        lab.until_off(&[Host::K8s1, Host::K8s2])?;
        lab.timeline().assert_order_since(
            before,
            &[
                (Host::K8s2, Fact::Called(Verb::Stop)),
                (Host::K8s2, Fact::Halting),
                (Host::K8s1, Fact::Called(Verb::Stop)),
                (Host::K8s1, Fact::Halting),
                (Host::Nfs, Fact::Ended(End::PoweredOff)),
            ],
        );
        Ok(())
    })
}

fn ends_in_a_hold_and_begins_anew(lab: &mut Lab) -> Result<()> {
    let failure = lab.fail_mains_with_spare(2)?;
    let held = Fact::Hold("held".to_owned());
    lab.eventually("it holds", PATIENCE, |lab| {
        lab.timeline().last(Host::Nfs, &held).is_some_and(|at| at >= failure)
    })?;
    lab.until_off(&[Host::K8s1, Host::K8s2])?;
    lab.timeline().assert_order_since(
        failure,
        &[(Host::K8s2, Fact::Halting), (Host::K8s1, Fact::Halting), (Host::Nfs, held)],
    );
    assert!(lab.writable()?.is_empty(), "{:?}", lab.writable());
    let mains_back = ground::now();
    lab.restore_mains()?;
    lab.until_ended(End::Reboots, mains_back)?;
    lab.until_whole(PATIENCE)
}

/// What ext4 does when its disk fails: from now on nothing can be written.
const BROKEN: &str = "mount --options remount,abort /var; ! touch /var/probe";
/// Until nothing more goes in, by the byte.
const FULL: &str = "cat /dev/zero > /var/filler 2> /dev/null; sync; \
    for word in a b c; do echo $word >> /var/filler; done 2> /dev/null; \
    test \"$(df --output=avail /var | tail -n 1)\" -eq 0";
