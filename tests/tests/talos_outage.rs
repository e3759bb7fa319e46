//! Stories of an outage with two Talos nodes, from its first second to the last host that is back.

use anyhow::{Result, ensure};
use curfew_coordinator::Phase;
use curfew_machined::{Command, Report, Sequence};
use curfew_tests::cluster_file::Nodes;
use curfew_tests::story::DOWN;
use curfew_tests::talos::bare_story::{PATIENCE, limits};
use curfew_tests::{Fact, Host, Lab, Setup, Verb, ground};

#[test]
fn an_outage_stops_both_nodes_in_order_by_machined_and_mains_bring_them_back() -> Result<()> {
    let mut lab = whole()?;
    let failure = lab.fail_mains_with_spare(2)?;
    lab.until_held()?;
    lab.assert_stopped_in_order(failure, Verb::Hold);
    for host in [Host::K8s1, Host::K8s2] {
        let forced = Sequence::Shutdown { force: true };
        assert_eq!(lab.calls_of(host), [forced], "{host}");
        assert_eq!(lab.count_said(host, Report::LostGrace), 0, "{host}");
        lab.ensure_ended_in_time(host, failure)?;
    }
    lab.ensure_polite()?;
    let mains_back = ground::now();
    lab.restore_mains()?;
    lab.until_whole(PATIENCE * 2)?;
    lab.assert_woken_in_order(mains_back);
    ensure!(lab.declared() == [1], "declared: {:?}", lab.declared());
    Ok(())
}

/// Facts §3.5 and §3.6: on the way down by somebody else, during an outage, too: it is not called
/// again, and the others wait for what they wait for.
#[test]
fn a_node_that_somebody_shuts_down_in_an_outage_is_not_called_again() -> Result<()> {
    let mut lab = whole()?;
    let failure = lab.fail_mains_with_spare(4)?;
    lab.tell(Host::K8s2, Command::PressButton)?;
    lab.until_held()?;
    assert_eq!(lab.calls_of(Host::K8s2), [], "k8s-2");
    lab.timeline().assert_order_since(
        failure,
        &[
            (Host::K8s2, Fact::Halting),
            (Host::K8s1, Fact::Called(Verb::Stop)),
            (Host::K8s1, Fact::Halting),
            (Host::Nfs, Fact::Called(Verb::Hold)),
        ],
    );
    lab.eventually("the owner holds", DOWN, |lab| {
        lab.status(Host::Nfs).is_ok_and(|status| status.phase == Phase::Holding)
    })
}

fn whole() -> Result<Lab> {
    Lab::whole(&Setup { limits: limits(), nodes: Nodes::Bare, ..Setup::default() })
}
