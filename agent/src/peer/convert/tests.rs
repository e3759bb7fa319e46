//! The wire carries every message whole, and nothing that a message cannot be.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use curfew_coordinator::{
    BootId, Cause, Date, Debt, HeardOf, HostName, Line, OsStop, Owed, PeerReading, Phase, Plan,
    PlannedHost, ReadyBy, Reason, Session, Standing, StateMessage, StopTime, ToldShutdown, Trigger,
    WakeTarget,
};
use curfew_proto::v1;
use proptest::prelude::*;

use super::*;

/// A state with something in every field.
pub(in crate::peer) fn full(host: &str) -> StateMessage {
    let session = Session { boot: BootId::from("boot-1"), start: 7 };
    let hosts = || BTreeSet::from([HostName::from("nfs"), HostName::from("k8s-2")]);
    let reason = Reason {
        by: HostName::from("nfs"),
        trigger: Trigger::Computed,
        cause: Cause::Battery,
        evidence: "runtime 5m, needed 4m30s".to_owned(),
        then_wake: true,
    };
    let owed = Owed { boot: Some(BootId::from("boot-0")), number: 3, debt: Debt::GivenUp };
    let heard = HeardOf {
        session: session.clone(),
        sequence: 12,
        phase: Phase::Halting,
        planned: Some(OsStop::Unknown),
        mounts: Some(hosts()),
        age: Duration::from_millis(1500),
    };
    StateMessage {
        host: HostName::from(host),
        session,
        sequence: 42,
        version: "0.1.0".to_owned(),
        file_hash: "abc".to_owned(),
        is_drill: false,
        phase: Phase::Waiting,
        planned: Some(OsStop::Reboot),
        waiting_for: hosts(),
        reading: Some(PeerReading {
            line: Line::Battery,
            is_low: true,
            charge: Some(55),
            runtime_left: Some(Duration::from_mins(5)),
            age: Duration::from_millis(700),
        }),
        shutdown: Some(ToldShutdown {
            number: 4,
            standing: Standing::Declared,
            reasons: BTreeSet::from([reason]),
            plan: plan().into(),
            planner: HostName::from("nfs"),
            participants: hosts(),
            time_left: Some(Duration::from_mins(4)),
        }),
        ended: 3,
        highest: 4,
        owed: BTreeMap::from([(HostName::from("k8s-2"), owed)]),
        heard: BTreeMap::from([(HostName::from("k8s-2"), heard)]),
        mounts: Some(BTreeSet::new()),
        client_addresses: ["10.0.1.11", "fd00::11"].map(|it| it.parse().unwrap()).into(),
        stop_times: BTreeMap::from([(
            HostName::from("k8s-2"),
            vec![StopTime { date: Date(1_795_334_400), took: Duration::from_millis(91_250) }],
        )]),
        date: Some(Date(1_795_334_401)),
    }
}

fn plan() -> Plan {
    let needs = BTreeSet::from([HostName::from("nfs"), HostName::from("k8s-2")]);
    let planned = |ready, wake| PlannedHost {
        needs: needs.clone(),
        is_fed: true,
        stop: Duration::from_mins(3),
        ready,
        wake,
    };
    let wake = WakeTarget { mac: [1, 2, 3, 4, 5, 6], to: None, address: "10.0.0.11".to_owned() };
    Plan {
        file_hash: "abc".to_owned(),
        owner: HostName::from("nfs"),
        hosts: BTreeMap::from([
            (HostName::from("k8s-1"), planned(ReadyBy::Agent, Some(wake))),
            (HostName::from("k8s-2"), planned(ReadyBy::Probe("https://x/readyz".into()), None)),
            (HostName::from("nfs"), planned(ReadyBy::Exports("10.0.0.13".into()), None)),
        ]),
    }
}

/// A state with as little as can be.
fn bare() -> StateMessage {
    StateMessage {
        waiting_for: BTreeSet::new(),
        planned: None,
        reading: None,
        shutdown: None,
        owed: BTreeMap::new(),
        heard: BTreeMap::new(),
        mounts: None,
        client_addresses: BTreeSet::new(),
        stop_times: BTreeMap::new(),
        date: None,
        ..full("k8s-1")
    }
}

#[test]
fn a_state_arrives_as_it_was_sent() {
    for message in [full("k8s-1"), bare()] {
        assert_eq!(decode(encode(&message)), Ok(message));
    }
}

#[test]
fn every_word_of_every_enum_arrives() {
    for phase in Phase::ALL {
        let message = StateMessage { phase, ..bare() };
        assert_eq!(decode(encode(&message)), Ok(message));
    }
    for stop in OsStop::ALL {
        let message = StateMessage { planned: Some(stop), ..bare() };
        assert_eq!(decode(encode(&message)), Ok(message));
    }
    for trigger in Trigger::ALL {
        for standing in [Standing::Recorded, Standing::Declared, Standing::Returning] {
            for cause in [Cause::Battery, Cause::Order] {
                let mut message = full("nfs");
                let shutdown = message.shutdown.as_mut().unwrap();
                shutdown.standing = standing;
                let reason = shutdown.reasons.pop_first().unwrap();
                shutdown.reasons.insert(Reason { trigger, cause, ..reason });
                assert_eq!(decode(encode(&message)), Ok(message));
            }
        }
    }
    for debt in [Debt::Due, Debt::GivenUp, Debt::Intended] {
        let mut message = full("nfs");
        message.owed.values_mut().for_each(|owed| owed.debt = debt);
        assert_eq!(decode(encode(&message)), Ok(message));
    }
    for line in [Line::Mains, Line::Battery, Line::Unknown] {
        let mut message = full("nfs");
        message.reading.as_mut().unwrap().line = line;
        assert_eq!(decode(encode(&message)), Ok(message));
    }
}

#[test]
fn no_mounts_and_unknown_mounts_stay_apart() {
    let none = StateMessage { mounts: Some(BTreeSet::new()), ..bare() };
    let unknown = StateMessage { mounts: None, ..bare() };
    assert_eq!(decode(encode(&none)).unwrap().mounts, Some(BTreeSet::new()));
    assert_eq!(decode(encode(&unknown)).unwrap().mounts, None);
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let refused = |change: fn(&mut v1::State)| {
        let mut state = encode(&full("k8s-1"));
        change(&mut state);
        decode(state).unwrap_err()
    };
    let many = |prefix: &str| (0..=HOSTS_MAX).map(|n| format!("{prefix}{n}")).collect::<Vec<_>>();
    assert_eq!(refused(|s| s.host = "../x".into()), DecodeError::Name("host"));
    assert_eq!(refused(|s| s.session = None), DecodeError::Missing("session"));
    assert_eq!(refused(|s| s.phase = 0), DecodeError::Unknown("phase"));
    assert_eq!(refused(|s| s.phase = 99), DecodeError::Unknown("phase"));
    assert_eq!(refused(|s| s.planned = Some(0)), DecodeError::Unknown("planned"));
    assert_eq!(refused(|s| s.highest = u64::MAX), DecodeError::Range("highest"));
    assert_eq!(refused(|s| s.version = "x".repeat(2000)), DecodeError::TooLong("version"));
    assert_eq!(
        refused(|s| s.reading.as_mut().unwrap().charge = Some(101)),
        DecodeError::Range("reading.charge")
    );
    assert_eq!(
        refused(|s| s.reading.as_mut().unwrap().age_ms = u64::MAX),
        DecodeError::Range("reading.age_ms")
    );
    assert_eq!(
        refused(|s| s.shutdown.as_mut().unwrap().plan = None),
        DecodeError::Missing("shutdown.plan")
    );
    assert_eq!(
        refused(|s| s.shutdown.as_mut().unwrap().number = 0),
        DecodeError::Missing("shutdown.number")
    );
    assert_eq!(
        refused(|s| {
            let plan = s.shutdown.as_mut().unwrap().plan.as_mut().unwrap();
            plan.hosts.get_mut("k8s-1").unwrap().wake.as_mut().unwrap().mac = vec![1; 5];
        }),
        DecodeError::Range("plan.mac")
    );
    let mut state = encode(&full("k8s-1"));
    state.waiting_for = many("h");
    assert_eq!(decode(state), Err(DecodeError::TooLong("waiting_for")));
}

#[test]
fn commands_carry_their_operator_by_certificate_only() {
    use curfew_coordinator::Command;
    let told = crate::peer::OperatorCommand::Coordinator(Command::Wake {
        operator: "mallory".to_owned(),
        hosts: BTreeSet::from([HostName::from("k8s-1")]),
    });
    let expected = crate::peer::OperatorCommand::Coordinator(Command::Wake {
        operator: "ann".to_owned(),
        hosts: BTreeSet::from([HostName::from("k8s-1")]),
    });
    assert_eq!(decode_command(encode_command(&told), "ann"), Ok(expected));
    let empty = v1::CommandRequest { protocol: 1, command: None };
    assert_eq!(decode_command(empty, "ann"), Err(DecodeError::Unknown("command")));
}

proptest! {
    #[test]
    fn numbers_arrive_or_are_refused_and_never_panic(
        sequence: u64, ended: u64, age_ms: u64, charge: u32, phase: i32, name in "\\PC{0,70}",
    ) {
        let mut state = encode(&full("k8s-1"));
        state.sequence = sequence;
        state.ended = ended;
        state.phase = phase;
        state.stop_times.insert(name, v1::StopTimes::default());
        if let Some(reading) = &mut state.reading {
            reading.age_ms = age_ms;
            reading.charge = Some(charge);
        }
        if let Ok(message) = decode(state.clone()) {
            prop_assert_eq!(encode(&message), state);
        }
    }
}

#[test]
fn an_order_to_reboot_names_a_host_that_can_be() {
    let told = crate::peer::OperatorCommand::Reboot { host: "k8s-2".into(), force: true };
    assert_eq!(decode_command(encode_command(&told), "ann"), Ok(told));
    let nobody = crate::peer::OperatorCommand::Reboot { host: "".into(), force: false };
    let refused = decode_command(encode_command(&nobody), "ann");
    assert_eq!(refused, Err(DecodeError::Name("reboot.host")));
}
