//! Looks at a stand-in of systemd, on a bus of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use curfew_host::systemd::{Socket, State};

use super::listing::{FAILED_MAX, SHOWN_MAX};
use super::stand_in::{ACCEPTING, SERVICE, SOCKET, StandIn, TIMER};
use super::{Blind, Found, LOOK_AGAIN, LOOK_EVERY, Looker, Plight, Report, STALE_AFTER};
use crate::power::systemd::stand_in::{Bus, Manner};

struct Lab {
    bus: Bus,
    systemd: StandIn,
    serving: Option<zbus::Connection>,
    looker: Looker,
}

impl Lab {
    async fn start() -> Self {
        let (bus, systemd) = (Bus::start(), StandIn::new());
        let serving = Some(systemd.put_on(&bus).await);
        let looker = Looker::new(Some(bus.address()), vec!["apt-daily.service".to_owned()]);
        Self { bus, systemd, serving, looker }
    }

    async fn found(&mut self) -> Found {
        self.looker.look().await.found.expect("it can be asked")
    }

    async fn blind(&mut self) -> Blind {
        self.looker.look().await.found.expect_err("it cannot be asked")
    }
}

fn names(found: &Found) -> Vec<&str> {
    found.trouble.iter().map(|trouble| trouble.unit.as_str()).collect()
}

#[tokio::test]
async fn a_look_finds_what_node_exporter_shows() {
    let mut lab = Lab::start().await;
    lab.systemd.said().restarts = 7;
    let found = lab.found().await;
    let units = &found.units;
    assert_eq!(
        (units.version.as_str(), units.virtualization.as_str()),
        ("252.39-1~deb12u1", "kvm")
    );
    assert_eq!(units.system_state, "running");
    assert_eq!(units.counts, BTreeMap::from([(State::Active, 5), (State::Inactive, 1)]));
    let unit = |name: &str| units.units.iter().find(|unit| unit.name == name);
    let service = unit(SERVICE).expect("it is shown");
    assert_eq!((service.state, service.kind, service.restarts), (State::Active, "notify", Some(7)));
    assert_eq!(unit(TIMER).unwrap().last_trigger_microseconds, Some(1_500_000));
    let accepting = Socket { accepted: 3, current: 1, refused: None };
    assert_eq!(unit(ACCEPTING).unwrap().socket, Some(accepting));
    let passing_on = Socket { accepted: 0, current: 0, refused: Some(0) };
    assert_eq!(unit(SOCKET).unwrap().socket, Some(passing_on));
    assert_eq!(units.units.len(), 4, "no mounts, and nothing that is not loaded: {units:?}");
    assert_eq!((names(&found), found.left_out), (vec![], 0));
}

#[tokio::test]
async fn a_second_look_asks_only_for_what_may_have_changed() {
    let mut lab = Lab::start().await;
    lab.found().await;
    lab.systemd.said().asked.clear();
    lab.found().await;
    let mut asked = lab.systemd.said().asked.clone();
    asked.sort_unstable();
    // As above: old versions lack the fourth.
    assert_eq!(asked, ["LastTriggerUSec", "NAccepted", "NConnections", "NRestarts"]);
}

#[tokio::test]
async fn a_unit_that_stays_failed_is_in_trouble_until_it_is_reset() {
    let mut lab = Lab::start().await;
    assert_eq!(lab.looker.look().await.next_in(), LOOK_EVERY);
    lab.systemd.put("srv-media.mount", "failed");
    lab.systemd.put("apt-daily.service", "failed");
    lab.systemd.said().system_state = "degraded".to_owned();
    let report = lab.looker.look().await;
    assert_eq!(report.next_in(), LOOK_AGAIN, "to see whether it lasts");
    assert_eq!(names(&report.found.unwrap()), Vec::<&str>::new(), "it may be over in a moment");
    let found = lab.found().await;
    assert_eq!((names(&found), found.ignored), (vec!["srv-media.mount"], 1));
    assert_eq!(found.trouble[0].plight, Plight::Failed);
    assert_eq!(found.units.counts[&State::Failed], 2);
    lab.systemd.put("srv-media.mount", "inactive");
    assert_eq!(names(&lab.found().await), Vec::<&str>::new());
}

#[tokio::test]
async fn a_systemd_that_hangs_or_refuses_is_given_up_and_asked_again() {
    let mut lab = Lab::start().await;
    lab.found().await;
    lab.looker.limit = Duration::from_millis(300);
    lab.systemd.said().manner = Manner::Hangs;
    let report = lab.looker.look().await;
    assert!(report.took < Duration::from_secs(5), "{report:?}");
    let why = report.found.unwrap_err().why;
    assert!(why.contains("has not answered all questions"), "{why}");

    lab.looker.limit = super::LOOK_LIMIT;
    lab.systemd.said().manner = Manner::Refuses;
    let blind = lab.blind().await;
    assert!(blind.why.starts_with("systemd does not let this user ask for ListUnits"), "{blind:?}");
    assert!(blind.remedy.contains("org.freedesktop.systemd1.conf"), "{blind:?}");

    lab.systemd.said().manner = Manner::Takes;
    assert_eq!(lab.found().await.units.units.len(), 4);
}

#[tokio::test]
async fn a_bus_that_goes_and_comes_back_is_connected_to_again() {
    let mut lab = Lab::start().await;
    lab.found().await;
    lab.bus.end();
    let report = lab.looker.look().await;
    assert_eq!(report.next_in(), LOOK_EVERY);
    lab.blind().await;
    let blind = lab.blind().await;
    assert!(blind.why.starts_with("the system bus cannot be reached"), "{blind:?}");
    assert!(blind.remedy.contains("systemctl status dbus"), "{blind:?}");

    lab.bus.restart();
    let blind = lab.blind().await;
    assert!(blind.why.starts_with("systemd does not say ListUnits"), "{blind:?}");
    lab.serving = Some(lab.systemd.put_on(&lab.bus).await);
    assert_eq!(lab.found().await.units.units.len(), 4);
}

#[tokio::test]
async fn a_bus_that_takes_the_call_and_says_nothing_costs_its_limit() {
    let directory = crate::test_directory::TestDirectory::in_memory();
    let path = directory.path().join("bus");
    let _silent = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let mut looker = Looker::new(Some(format!("unix:path={}", path.display())), Vec::new());
    looker.limit = Duration::from_millis(100);
    let report = looker.look().await;
    assert!(report.found.is_err() && report.took < Duration::from_secs(5), "{report:?}");
}

#[tokio::test]
async fn a_list_without_end_costs_no_more_than_its_bounds() {
    let mut lab = Lab::start().await;
    {
        let mut said = lab.systemd.said();
        let more = SHOWN_MAX + 500;
        said.units.extend((0..more).map(|n| (format!("n{n}.target"), "loaded", "active")));
        said.units.extend((0..1000).map(|n| (format!("z{n:04}.scope"), "loaded", "failed")));
    }
    let found = lab.found().await;
    assert_eq!(found.units.units.len(), SHOWN_MAX);
    assert_eq!(found.left_out, 504);
    assert_eq!(found.units.counts[&State::Failed], 1000, "all are counted");
    assert_eq!(names(&lab.found().await).len(), FAILED_MAX);
}

#[tokio::test]
async fn nonsense_comes_near_no_page() {
    let mut lab = Lab::start().await;
    for (name, state) in [
        ("evil\"} 1\n.service", "failed"),
        ("\u{1b}[2J.service", "failed"),
        ("", "failed"),
        ("odd.service", "a word of the future"),
    ] {
        lab.systemd.put(name, state);
    }
    lab.systemd.put(&"a".repeat(256), "failed");
    let found = (lab.found().await, lab.found().await).1;
    assert_eq!(names(&found), Vec::<&str>::new());
    assert_eq!(found.units.counts.get(&State::Failed), None);
    // It has no object on the bus, as one that has gone since it was listed.
    let odd = found.units.units.iter().find(|unit| unit.name == "odd.service").unwrap();
    assert_eq!((odd.state, odd.kind, odd.restarts), (State::Other, "", None));
}

#[tokio::test(start_paused = true)]
async fn a_report_grows_old() {
    let report = Report::calm();
    assert!(!report.is_stale());
    tokio::time::advance(STALE_AFTER).await;
    assert!(report.is_stale());
}
