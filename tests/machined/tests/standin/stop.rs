//! How a machine stops: each test is a fact of §2.4 or §3.

use std::path::Path;
use std::time::Duration;

use curfew_machined::{Command, Fault, Report, Sequence, Service, Standin, Version};
use curfew_proto::talos::common::Code;

use crate::visitor::{NFS, Visitor, failure, read, settings};

/// Facts §3.1; §2.3: who has no actor.
#[tokio::test]
async fn a_shutdown_goes_through_its_phases_and_the_api_goes_before_its_end() {
    let (settings, folder) = settings("phases");
    let mut standin = Standin::booted(settings).await;
    let mut visitor = Visitor::new(&folder).await;
    let mut events = visitor.listen().await;
    visitor.shutdown(true).await;
    let lines = read(&mut events, "never").await;
    let expected = "actor shutdown START|- SHUTTING_DOWN|\
        actor storeShutdown START|actor storeShutdown STOP|actor cleanup START|actor cleanup STOP|\
        actor dbus START|actor dbus STOP|actor stopServices START|actor stopServices STOP|\
        actor umount START|actor umount STOP|actor unmountBind START|actor unmountBind STOP|\
        actor unmountSystem START|actor unmountSystem STOP|actor volumeFinalize START|\
        actor volumeFinalize STOP|actor stopEverything START";
    assert!(lines.join("|").starts_with(expected), "{lines:#?}");
    standin.until(&Report::Off).await;
    assert!(!folder.join("machine.sock").exists());
}

/// Facts §3.6, rows 2 and 3: pods go in `cleanup`, what they have mounted in `umount`.
#[tokio::test]
async fn the_kernel_tells_when_pods_and_their_mounts_are_gone() {
    let (mut settings, folder) = settings("kernel");
    settings.faults = ["cleanup", "stopServices", "unmountBind"]
        .map(|name| Fault::Hangs(name.to_owned()))
        .to_vec();
    let mut standin = Standin::booted(settings).await;
    assert_eq!(kernel(&folder), (true, true));
    standin.send(Command::Order(Sequence::Shutdown { force: true })).await;
    standin.until(&Report::Phase("cleanup")).await;
    assert_eq!(kernel(&folder), (true, true));
    standin.send(Command::Mend(Fault::Hangs("cleanup".to_owned()))).await;
    standin.until(&Report::Phase("stopServices")).await;
    assert_eq!(kernel(&folder), (false, true));
    standin.send(Command::Mend(Fault::Hangs("stopServices".to_owned()))).await;
    standin.until(&Report::Phase("unmountBind")).await;
    assert_eq!(kernel(&folder), (false, false));
}

/// Facts §3.6, row 2: phase 3 ends even if some containers could not be stopped.
#[tokio::test]
async fn pods_may_survive_the_cleanup() {
    let (mut settings, folder) = settings("survivors");
    settings.faults = vec![Fault::PodsSurvive, Fault::Hangs("stopServices".to_owned())];
    let mut standin = Standin::booted(settings).await;
    standin.send(Command::Order(Sequence::Shutdown { force: true })).await;
    standin.until(&Report::Phase("stopServices")).await;
    assert_eq!(kernel(&folder), (true, true));
}

/// Facts §0.2 and §3.4.
#[tokio::test]
async fn a_drain_that_fails_is_fatal_and_the_machine_powers_off_all_the_same() {
    let (mut settings, folder) = settings("fatal");
    settings.service = Service::OnCri;
    settings.faults = vec![Fault::Fails("drain".to_owned())];
    let mut standin = running(settings).await;
    let mut visitor = Visitor::new(&folder).await;
    let mut events = visitor.listen().await;
    visitor.shutdown(false).await;
    let lines = read(&mut events, "never").await;
    let last = &lines[lines.len() - 3..];
    assert_eq!(last, ["actor drain STOP", "actor shutdown STOP", "actor shutdown NOOPFATAL"]);
    standin.until(&Report::Failed("shutdown", Code::Fatal)).await;
    // Pods have not been stopped, and everything gets SIGTERM at once.
    standin.until(&Report::Term).await;
    assert_eq!(kernel(&folder), (true, true));
    standin.send(Command::Ended).await;
    standin.until(&Report::Off).await;
}

/// Facts §3.4: a failed reboot restarts.
#[tokio::test]
async fn a_reboot_that_fails_restarts() {
    let (mut settings, _) = settings("failed-reboot");
    settings.faults = vec![Fault::Fails("umount".to_owned())];
    let mut standin = Standin::booted(settings).await;
    standin.send(Command::Order(Sequence::Reboot { force: false })).await;
    standin.until(&Report::Failed("reboot", Code::Fatal)).await;
    standin.until(&Report::Restarts).await;
}

/// Facts §3.6, row 5: "may not reach the agent any more".
#[tokio::test]
async fn the_last_words_of_a_failure_may_be_lost() {
    let (mut settings, folder) = settings("lost");
    settings.faults = vec![Fault::Fails("drain".to_owned()), Fault::LosesLastWords];
    let _standin = Standin::booted(settings).await;
    let mut visitor = Visitor::new(&folder).await;
    let mut events = visitor.listen().await;
    visitor.shutdown(false).await;
    let lines = read(&mut events, "never").await;
    assert!(!lines.iter().any(|line| line.contains("FATAL")), "{lines:#?}");
}

/// Facts §0.1 and §2.4.
#[tokio::test]
async fn a_second_shutdown_cancels_the_first_and_starts_over_without_grace() {
    let (mut settings, folder) = settings("twice");
    settings.times.pods = Duration::from_mins(10);
    let mut standin = Standin::booted(settings).await;
    let mut visitor = Visitor::new(&folder).await;
    let mut events = visitor.listen().await;
    visitor.shutdown(true).await;
    standin.until(&Report::Phase("cleanup")).await;
    let second = visitor.shutdown(true).await;
    let lines = read(&mut events, "dbus START").await.join("|");
    let over = "actor cleanup STOP|actor shutdown STOP|actor shutdown NOOPCANCELED|\
        actor shutdown START|actor storeShutdown START";
    assert!(lines.contains(over), "{lines}");
    standin.until(&Report::Started("shutdown", Some(second))).await;
    standin.until(&Report::LostGrace).await;
    standin.until(&Report::Off).await;
}

/// Facts §2.4: escalation during the drain is safe.
#[tokio::test]
async fn force_during_the_drain_starts_over_without_one_and_keeps_the_grace() {
    let (mut settings, folder) = settings("escalation");
    settings.times.drain = Duration::from_mins(10);
    let mut standin = Standin::booted(settings).await;
    let mut visitor = Visitor::new(&folder).await;
    visitor.shutdown(false).await;
    standin.until(&Report::Phase("drain")).await;
    visitor.shutdown(true).await;
    let mut reports = vec![standin.report().await.unwrap()];
    while reports.last() != Some(&Report::Off) {
        reports.push(standin.report().await.unwrap());
    }
    assert!(!reports.contains(&Report::Phase("drain")));
    assert!(!reports.contains(&Report::LostGrace));
}

/// Facts §2.4: the new one is dropped silently; §3.8: nothing takes over a hanging phase.
#[tokio::test]
async fn nothing_takes_over_a_phase_that_hangs() {
    let (mut settings, folder) = settings("hangs");
    settings.faults = vec![Fault::Hangs("umount".to_owned())];
    settings.times.takeover = Duration::from_millis(100);
    let mut standin = Standin::booted(settings).await;
    let mut visitor = Visitor::new(&folder).await;
    let mut events = visitor.listen().await;
    visitor.shutdown(true).await;
    standin.until(&Report::Phase("umount")).await;
    visitor.shutdown(true).await;
    standin.until(&Report::Dropped("shutdown")).await;
    // What was cancelled meanwhile ends as such when it can: then nothing runs.
    standin.send(Command::Mend(Fault::Hangs("umount".to_owned()))).await;
    let lines = read(&mut events, "CANCELED").await;
    let starts = lines.iter().filter(|line| line.as_str() == "actor shutdown START");
    assert_eq!(starts.count(), 1, "{lines:#?}");
}

/// Facts §2.4.
#[tokio::test]
async fn a_reboot_during_a_shutdown_is_answered_and_told_as_locked_without_an_actor() {
    let (mut settings, folder) = settings("locked");
    settings.times.pods = Duration::from_mins(10);
    let mut standin = Standin::booted(settings).await;
    let mut visitor = Visitor::new(&folder).await;
    let mut events = visitor.listen().await;
    visitor.shutdown(true).await;
    standin.until(&Report::Phase("cleanup")).await;
    assert!(!visitor.reboot(false).await.is_empty());
    let lines = read(&mut events, "LOCKED").await;
    assert_eq!(lines.last().unwrap(), "- reboot NOOPLOCKED");
}

/// Facts §3.5, variant A, and §0.5: the API still answers.
#[tokio::test]
async fn an_agent_on_cri_gets_sigterm_before_the_unmounts_and_sigkill_after_its_grace() {
    let (mut settings, folder) = settings("variant-a");
    settings.service = Service::OnCri;
    let mut standin = running(settings).await;
    let mut visitor = Visitor::new(&folder).await;
    visitor.shutdown(true).await;
    standin.until(&Report::Phase("stopServices")).await;
    standin.until(&Report::Term).await;
    assert_eq!(kernel(&folder), (false, true));
    assert!(visitor.tag().await.is_ok());
    standin.until(&Report::Kill).await;
    // And then without limit (facts §0.7).
    assert!(visitor.tag().await.is_ok());
    assert_eq!(standin.reports(), []);
    standin.send(Command::Ended).await;
    standin.until(&Report::Phase("umount")).await;
    standin.until(&Report::Off).await;
}

/// Facts §3.5, variant B.
#[tokio::test]
async fn an_agent_on_its_own_gets_sigterm_after_the_unmounts() {
    let (mut settings, folder) = settings("variant-b");
    settings.service = Service::Alone;
    let mut standin = running(settings).await;
    standin.send(Command::PressButton).await;
    standin.until(&Report::Phase("stopEverything")).await;
    standin.until(&Report::Term).await;
    assert_eq!(kernel(&folder), (false, false));
}

/// Facts §2.4: the power button is a shutdown with force, of nobody.
#[tokio::test]
async fn the_power_button_shuts_down_without_a_drain() {
    let (settings, _) = settings("button");
    let mut standin = Standin::booted(settings).await;
    standin.send(Command::PressButton).await;
    let mut reports = vec![standin.report().await.unwrap()];
    while reports.last() != Some(&Report::Off) {
        reports.push(standin.report().await.unwrap());
    }
    assert!(reports.contains(&Report::Started("shutdown", None)));
    assert!(!reports.contains(&Report::Phase("drain")));
}

/// Facts §0.4, §3.1 and §3.5, "emergency path and forced reboot".
#[tokio::test]
async fn a_forced_reboot_ends_everything_at_once_with_pods_running() {
    let (mut settings, folder) = settings("forced");
    settings.version = Version::new(12, 11);
    settings.service = Service::OnCri;
    let mut standin = running(settings).await;
    let mut visitor = Visitor::new(&folder).await;
    let mut events = visitor.listen().await;
    visitor.reboot(true).await;
    standin.until(&Report::Phase("reboot")).await;
    standin.until(&Report::Term).await;
    assert_eq!(kernel(&folder), (true, true));
    // A good end is told as a failure, too (`runtime/errors.go`).
    let end = failure(&mut events).await;
    assert_eq!(
        end,
        "sequence failed: error running phase 1 in reboot sequence: task 1/1: failed, \
         unix.Reboot(1234567)"
    );
    standin.send(Command::Ended).await;
    standin.until(&Report::Restarts).await;
}

/// Facts §1.7 and §3.6, row 4: SIGTERM without a sequence.
#[tokio::test]
async fn a_change_of_the_configuration_stops_and_starts_the_agent_and_nothing_else() {
    let (mut settings, _) = settings("config");
    settings.service = Service::OnCri;
    let mut standin = running(settings).await;
    standin.send(Command::RestartService).await;
    standin.until(&Report::Term).await;
    standin.send(Command::Ended).await;
    assert_eq!(standin.report().await, Some(Report::Start));
}

/// Facts §1.6: `restart: always`.
#[tokio::test]
async fn an_agent_that_ends_by_itself_is_started_again() {
    let (mut settings, _) = settings("always");
    settings.service = Service::OnCri;
    let mut standin = running(settings).await;
    standin.send(Command::Ended).await;
    standin.until(&Report::Start).await;
}

/// Facts §0.6.
#[tokio::test]
async fn a_machine_whose_agent_does_not_come_up_restarts() {
    let (mut settings, _) = settings("boot");
    settings.service = Service::OnCri;
    settings.times.boot = Duration::from_millis(50);
    let mut standin = Standin::booted(settings).await;
    standin.until(&Report::Failed("boot", Code::Fatal)).await;
    standin.until(&Report::Restarts).await;
}

/// Facts §3.6, row 1.
#[tokio::test]
async fn an_upgrade_and_a_reset_are_stages_of_their_own() {
    for (name, sequence, stage, end) in [
        ("upgrade", Sequence::Upgrade, "- UPGRADING", Report::Restarts),
        ("reset", Sequence::Reset { reboot: false }, "- RESETTING", Report::Off),
        ("reboot", Sequence::Reboot { force: false }, "- REBOOTING", Report::Restarts),
    ] {
        let (settings, folder) = settings(name);
        let mut standin = Standin::booted(settings).await;
        let mut visitor = Visitor::new(&folder).await;
        let mut events = visitor.listen().await;
        standin.send(Command::Order(sequence)).await;
        assert!(read(&mut events, stage).await.contains(&stage.to_owned()));
        standin.until(&end).await;
    }
}

/// A machine that was off knows nothing of what was before: its events are those of this boot.
#[tokio::test]
async fn a_machine_boots_again() {
    let (settings, folder) = settings("again");
    let mut standin = Standin::booted(settings).await;
    standin.send(Command::PressButton).await;
    standin.until(&Report::Off).await;
    standin.send(Command::Boot).await;
    standin.until(&Report::Up).await;
    assert_eq!(kernel(&folder), (true, true));
    assert!(Visitor::new(&folder).await.tag().await.is_ok());
}

/// Boots a machine and says that its agent is this process.
async fn running(settings: curfew_machined::Settings) -> Standin {
    let mut standin = Standin::booted(settings).await;
    standin.until(&Report::Start).await;
    standin.send(Command::Started(Some(std::process::id()))).await;
    standin.until(&Report::Up).await;
    standin
}

/// Returns whether pods run, and whether one of them has mounted NFS.
fn kernel(folder: &Path) -> (bool, bool) {
    let events = folder.join("sys/fs/cgroup/kubepods/cgroup.events");
    let events = std::fs::read_to_string(events).unwrap();
    let mounts = std::fs::read_to_string(folder.join("mountinfo")).unwrap();
    (events.contains("populated 1\n"), mounts.contains(NFS))
}
