//! From the coordinator to the wire: cannot fail.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use curfew_coordinator::{
    Cause, Command, Debt, HeardOf, HostName, Line, OsStop, Owed, PeerReading, Phase, Plan,
    PlannedHost, ReadyBy, Reason, Session, Standing, StateMessage, StopTime, ToldShutdown, Trigger,
    WakeTarget,
};
use curfew_proto::{PROTOCOL, v1};

use crate::peer::OperatorCommand;

/// Writes a state; ages and times left go out as they stand in it.
pub(in crate::peer) fn encode(message: &StateMessage) -> v1::State {
    let StateMessage {
        host,
        session,
        sequence,
        version,
        file_hash,
        is_drill,
        phase,
        planned,
        waiting_for,
        reading,
        shutdown,
        ended,
        highest,
        owed,
        heard,
        mounts,
        client_addresses,
        stop_times,
        date,
    } = message;
    v1::State {
        host: host.to_string(),
        session: Some(encode_session(session)),
        sequence: *sequence,
        version: version.clone(),
        file_hash: file_hash.clone(),
        is_drill: *is_drill,
        phase: encode_phase(*phase).into(),
        waiting_for: names(waiting_for),
        reading: reading.as_ref().map(encode_reading),
        shutdown: shutdown.as_ref().map(encode_shutdown),
        ended: *ended,
        highest: *highest,
        owed: by_name(owed, encode_owed),
        heard: by_name(heard, encode_heard),
        mounts: mounts.as_ref().map(host_set),
        stop_times: by_name(stop_times, |times| encode_stop_times(times)),
        date: date.map(|date| date.0),
        planned: planned.map(|stop| encode_planned_stop(stop).into()),
        client_addresses: client_addresses.iter().map(ToString::to_string).collect(),
    }
}

/// Writes a command; whose it is stands in the certificate.
pub(in crate::peer) fn encode_command(command: &OperatorCommand) -> v1::CommandRequest {
    use v1::command_request::Command as Wire;
    let command = match command {
        OperatorCommand::Coordinator(Command::Shutdown { operator: _, then_wake }) => {
            Wire::Shutdown(v1::Shutdown { then_wake: *then_wake })
        }
        OperatorCommand::Coordinator(Command::CallOff { operator: _ }) => {
            Wire::CallOff(v1::CallOff {})
        }
        OperatorCommand::Coordinator(Command::Wake { operator: _, hosts }) => {
            Wire::Wake(v1::Wake { hosts: names(hosts) })
        }
        OperatorCommand::Reboot { host, force } => {
            Wire::Reboot(v1::Reboot { host: host.to_string(), force: *force })
        }
        OperatorCommand::GetStatus => Wire::GetStatus(v1::GetStatus {}),
    };
    v1::CommandRequest { protocol: PROTOCOL, command: Some(command) }
}

fn encode_session(session: &Session) -> v1::Session {
    v1::Session { boot: session.boot.to_string(), start: session.start }
}

fn encode_phase(phase: Phase) -> v1::Phase {
    match phase {
        Phase::Up => v1::Phase::Up,
        Phase::Waiting => v1::Phase::Waiting,
        Phase::Stopping => v1::Phase::Stopping,
        Phase::Halting => v1::Phase::Halting,
        Phase::Holding => v1::Phase::Holding,
    }
}

fn encode_planned_stop(stop: OsStop) -> v1::PlannedStop {
    match stop {
        OsStop::Off => v1::PlannedStop::Off,
        OsStop::Reboot => v1::PlannedStop::Reboot,
        OsStop::Unknown => v1::PlannedStop::Unknown,
    }
}

fn encode_reading(reading: &PeerReading) -> v1::Reading {
    let PeerReading { line, is_low, charge, runtime_left, age } = reading;
    let line = match line {
        Line::Mains => v1::Line::Mains,
        Line::Battery => v1::Line::Battery,
        Line::Unknown => v1::Line::Unknown,
    };
    v1::Reading {
        line: line.into(),
        is_low: *is_low,
        charge: charge.map(u32::from),
        runtime_left_ms: runtime_left.map(millis),
        age_ms: millis(*age),
    }
}

fn encode_owed(owed: &Owed) -> v1::Owed {
    let Owed { boot, number, debt } = owed;
    let debt = match debt {
        Debt::Due => v1::Debt::Due,
        Debt::GivenUp => v1::Debt::GivenUp,
        Debt::Intended => v1::Debt::Intended,
    };
    let boot = boot.as_ref().map(ToString::to_string);
    v1::Owed { boot, number: *number, debt: debt.into() }
}

fn encode_heard(heard: &HeardOf) -> v1::HeardOf {
    let HeardOf { session, sequence, phase, planned, mounts, age } = heard;
    v1::HeardOf {
        session: Some(encode_session(session)),
        sequence: *sequence,
        phase: encode_phase(*phase).into(),
        mounts: mounts.as_ref().map(host_set),
        age_ms: millis(*age),
        planned: planned.map(|stop| encode_planned_stop(stop).into()),
    }
}

fn encode_stop_times(times: &[StopTime]) -> v1::StopTimes {
    let times = times
        .iter()
        .map(|time| v1::StopTime { date: time.date.0, took_ms: millis(time.took) })
        .collect();
    v1::StopTimes { times }
}

fn encode_shutdown(shutdown: &ToldShutdown) -> v1::ToldShutdown {
    let ToldShutdown { number, standing, reasons, plan, planner, participants, time_left } =
        shutdown;
    let standing = match standing {
        Standing::Recorded => v1::Standing::Recorded,
        Standing::Declared => v1::Standing::Declared,
        Standing::Returning => v1::Standing::Returning,
    };
    v1::ToldShutdown {
        number: *number,
        standing: standing.into(),
        reasons: reasons.iter().map(encode_reason).collect(),
        plan: Some(encode_plan(plan)),
        planner: planner.to_string(),
        participants: names(participants),
        time_left_ms: time_left.map(millis),
    }
}

fn encode_reason(reason: &Reason) -> v1::Reason {
    let Reason { by, trigger, cause, evidence, then_wake } = reason;
    let trigger = match trigger {
        Trigger::Computed => v1::Trigger::Computed,
        Trigger::LowBattery => v1::Trigger::LowBattery,
        Trigger::Charge => v1::Trigger::Charge,
        Trigger::Time => v1::Trigger::Time,
        Trigger::Blind => v1::Trigger::Blind,
        Trigger::Forced => v1::Trigger::Forced,
        Trigger::Operator => v1::Trigger::Operator,
    };
    let cause = match cause {
        Cause::Battery => v1::Cause::Battery,
        Cause::Order => v1::Cause::Order,
    };
    v1::Reason {
        by: by.to_string(),
        trigger: trigger.into(),
        cause: cause.into(),
        evidence: evidence.clone(),
        then_wake: *then_wake,
    }
}

fn encode_plan(plan: &Plan) -> v1::Plan {
    let Plan { file_hash, owner, hosts } = plan;
    v1::Plan {
        file_hash: file_hash.clone(),
        owner: owner.to_string(),
        hosts: by_name(hosts, encode_planned),
    }
}

fn encode_planned(planned: &PlannedHost) -> v1::PlannedHost {
    let PlannedHost { needs, is_fed, stop, ready, wake } = planned;
    let ready = match ready {
        ReadyBy::Agent => v1::planned_host::Ready::Agent(v1::ReadyByAgent {}),
        ReadyBy::Probe(url) => v1::planned_host::Ready::Probe(url.clone()),
        ReadyBy::Exports(address) => v1::planned_host::Ready::Exports(address.clone()),
    };
    v1::PlannedHost {
        needs: names(needs),
        is_fed: *is_fed,
        stop_ms: millis(*stop),
        ready: Some(ready),
        wake: wake.as_ref().map(|WakeTarget { mac, to, address }| v1::WakeTarget {
            mac: mac.to_vec(),
            to: to.clone(),
            address: address.clone(),
        }),
    }
}

fn host_set(hosts: &BTreeSet<HostName>) -> v1::HostSet {
    v1::HostSet { hosts: names(hosts) }
}

fn names(hosts: &BTreeSet<HostName>) -> Vec<String> {
    hosts.iter().map(ToString::to_string).collect()
}

fn by_name<V, W>(map: &BTreeMap<HostName, V>, encode: impl Fn(&V) -> W) -> BTreeMap<String, W> {
    map.iter().map(|(host, value)| (host.to_string(), encode(value))).collect()
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
