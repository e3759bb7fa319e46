//! From the wire to the coordinator: everything is checked.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use curfew_coordinator::{
    BootId, Cause, Command, Date, Debt, HeardOf, HostName, Line, OsStop, Owed, PeerReading, Phase,
    Plan, PlannedHost, ReadyBy, Reason, Session, Standing, StateMessage, StopTime, ToldShutdown,
    Trigger, WakeTarget,
};
use curfew_proto::v1;

use super::DecodeError::{self, Missing, Range, TooLong, Unknown};
use super::{
    ADDRESSES_MAX, COUNT_MAX, HOSTS_MAX, REASONS_MAX, SPAN_MAX_MS, STOP_TIMES_MAX, TEXT_LEN,
};
use crate::peer::OperatorCommand;
use crate::pki::{Identity, Subject};

/// Reads a state.
pub(in crate::peer) fn decode(state: v1::State) -> Result<StateMessage, DecodeError> {
    Ok(StateMessage {
        host: decode_name(state.host, "host")?,
        session: decode_session(state.session, "session")?,
        sequence: count(state.sequence, "sequence")?,
        version: text(state.version, "version")?,
        file_hash: text(state.file_hash, "file_hash")?,
        is_drill: state.is_drill,
        phase: decode_phase(state.phase, "phase")?,
        planned: state.planned.map(|stop| decode_planned_stop(stop, "planned")).transpose()?,
        waiting_for: decode_names(state.waiting_for, "waiting_for")?,
        reading: state.reading.map(decode_reading).transpose()?,
        shutdown: state.shutdown.map(decode_shutdown).transpose()?,
        ended: count(state.ended, "ended")?,
        highest: count(state.highest, "highest")?,
        owed: by_name(state.owed, "owed", decode_owed)?,
        heard: by_name(state.heard, "heard", decode_heard)?,
        mounts: state.mounts.map(|set| decode_names(set.hosts, "mounts")).transpose()?,
        stop_times: by_name(state.stop_times, "stop_times", decode_stop_times)?,
        date: state.date.map(|date| decode_date(date, "date")).transpose()?,
        client_addresses: decode_addresses(&state.client_addresses, "client_addresses")?,
    })
}

/// Reads a command of `operator`.
pub(in crate::peer) fn decode_command(
    request: v1::CommandRequest,
    operator: &str,
) -> Result<OperatorCommand, DecodeError> {
    let operator = operator.to_owned();
    let command = match request.command.ok_or(Unknown("command"))? {
        v1::command_request::Command::Shutdown(v1::Shutdown { then_wake }) => {
            Command::Shutdown { operator, then_wake }
        }
        v1::command_request::Command::CallOff(v1::CallOff {}) => Command::CallOff { operator },
        v1::command_request::Command::Wake(v1::Wake { hosts }) => {
            Command::Wake { operator, hosts: decode_names(hosts, "wake.hosts")? }
        }
        v1::command_request::Command::GetStatus(v1::GetStatus {}) => {
            return Ok(OperatorCommand::GetStatus);
        }
        v1::command_request::Command::Reboot(v1::Reboot { host, force }) => {
            return Ok(OperatorCommand::Reboot { host: decode_name(host, "reboot.host")?, force });
        }
    };
    Ok(OperatorCommand::Coordinator(command))
}

fn decode_session(session: Option<v1::Session>, field: Field) -> Result<Session, DecodeError> {
    let session = session.ok_or(Missing(field))?;
    if session.boot.is_empty() {
        return Err(Missing(field));
    }
    Ok(Session {
        boot: BootId::from(text(session.boot, field)?),
        start: count(session.start, field)?,
    })
}

fn decode_phase(phase: i32, field: Field) -> Result<Phase, DecodeError> {
    match v1::Phase::try_from(phase) {
        Ok(v1::Phase::Up) => Ok(Phase::Up),
        Ok(v1::Phase::Waiting) => Ok(Phase::Waiting),
        Ok(v1::Phase::Stopping) => Ok(Phase::Stopping),
        Ok(v1::Phase::Halting) => Ok(Phase::Halting),
        Ok(v1::Phase::Holding) => Ok(Phase::Holding),
        Ok(v1::Phase::Unspecified) | Err(_) => Err(Unknown(field)),
    }
}

fn decode_planned_stop(stop: i32, field: Field) -> Result<OsStop, DecodeError> {
    match v1::PlannedStop::try_from(stop) {
        Ok(v1::PlannedStop::Off) => Ok(OsStop::Off),
        Ok(v1::PlannedStop::Reboot) => Ok(OsStop::Reboot),
        Ok(v1::PlannedStop::Unknown) => Ok(OsStop::Unknown),
        Ok(v1::PlannedStop::Unspecified) | Err(_) => Err(Unknown(field)),
    }
}

fn decode_reading(reading: v1::Reading) -> Result<PeerReading, DecodeError> {
    let line = match v1::Line::try_from(reading.line) {
        Ok(v1::Line::Mains) => Line::Mains,
        Ok(v1::Line::Battery) => Line::Battery,
        Ok(v1::Line::Unknown) => Line::Unknown,
        Ok(v1::Line::Unspecified) | Err(_) => return Err(Unknown("reading.line")),
    };
    let charge = match reading.charge.map(u8::try_from) {
        None => None,
        Some(Ok(charge @ 0..=100)) => Some(charge),
        Some(Ok(_) | Err(_)) => return Err(Range("reading.charge")),
    };
    Ok(PeerReading {
        line,
        is_low: reading.is_low,
        charge,
        runtime_left: optional_span(reading.runtime_left_ms, "reading.runtime_left_ms")?,
        age: span(reading.age_ms, "reading.age_ms")?,
    })
}

fn decode_owed(owed: v1::Owed) -> Result<Owed, DecodeError> {
    let debt = match v1::Debt::try_from(owed.debt) {
        Ok(v1::Debt::Due) => Debt::Due,
        Ok(v1::Debt::GivenUp) => Debt::GivenUp,
        Ok(v1::Debt::Intended) => Debt::Intended,
        Ok(v1::Debt::Unspecified) | Err(_) => return Err(Unknown("owed.debt")),
    };
    let boot = owed.boot.map(|boot| text(boot, "owed.boot")).transpose()?;
    Ok(Owed { boot: boot.map(BootId::from), number: count(owed.number, "owed.number")?, debt })
}

fn decode_heard(heard: v1::HeardOf) -> Result<HeardOf, DecodeError> {
    Ok(HeardOf {
        session: decode_session(heard.session, "heard.session")?,
        sequence: count(heard.sequence, "heard.sequence")?,
        phase: decode_phase(heard.phase, "heard.phase")?,
        planned: heard
            .planned
            .map(|stop| decode_planned_stop(stop, "heard.planned"))
            .transpose()?,
        mounts: heard.mounts.map(|set| decode_names(set.hosts, "heard.mounts")).transpose()?,
        age: span(heard.age_ms, "heard.age_ms")?,
    })
}

fn decode_stop_times(times: v1::StopTimes) -> Result<Vec<StopTime>, DecodeError> {
    if times.times.len() > STOP_TIMES_MAX {
        return Err(TooLong("stop_times"));
    }
    let decode_time = |time: v1::StopTime| {
        Ok(StopTime {
            date: decode_date(time.date, "stop_times.date")?,
            took: span(time.took_ms, "stop_times.took_ms")?,
        })
    };
    times.times.into_iter().map(decode_time).collect()
}

fn decode_shutdown(shutdown: v1::ToldShutdown) -> Result<ToldShutdown, DecodeError> {
    let standing = match v1::Standing::try_from(shutdown.standing) {
        Ok(v1::Standing::Recorded) => Standing::Recorded,
        Ok(v1::Standing::Declared) => Standing::Declared,
        Ok(v1::Standing::Returning) => Standing::Returning,
        Ok(v1::Standing::Unspecified) | Err(_) => return Err(Unknown("shutdown.standing")),
    };
    if shutdown.reasons.len() > REASONS_MAX {
        return Err(TooLong("shutdown.reasons"));
    }
    if shutdown.number == 0 {
        return Err(Missing("shutdown.number"));
    }
    Ok(ToldShutdown {
        number: count(shutdown.number, "shutdown.number")?,
        standing,
        reasons: shutdown.reasons.into_iter().map(decode_reason).collect::<Result<_, _>>()?,
        plan: decode_plan(shutdown.plan.ok_or(Missing("shutdown.plan"))?)?.into(),
        planner: decode_name(shutdown.planner, "shutdown.planner")?,
        participants: decode_names(shutdown.participants, "shutdown.participants")?,
        time_left: optional_span(shutdown.time_left_ms, "shutdown.time_left_ms")?,
    })
}

fn decode_reason(reason: v1::Reason) -> Result<Reason, DecodeError> {
    let trigger = match v1::Trigger::try_from(reason.trigger) {
        Ok(v1::Trigger::Computed) => Trigger::Computed,
        Ok(v1::Trigger::LowBattery) => Trigger::LowBattery,
        Ok(v1::Trigger::Charge) => Trigger::Charge,
        Ok(v1::Trigger::Time) => Trigger::Time,
        Ok(v1::Trigger::Blind) => Trigger::Blind,
        Ok(v1::Trigger::Forced) => Trigger::Forced,
        Ok(v1::Trigger::Operator) => Trigger::Operator,
        Ok(v1::Trigger::Unspecified) | Err(_) => return Err(Unknown("reason.trigger")),
    };
    let cause = match v1::Cause::try_from(reason.cause) {
        Ok(v1::Cause::Battery) => Cause::Battery,
        Ok(v1::Cause::Order) => Cause::Order,
        Ok(v1::Cause::Unspecified) | Err(_) => return Err(Unknown("reason.cause")),
    };
    Ok(Reason {
        by: decode_name(reason.by, "reason.by")?,
        trigger,
        cause,
        evidence: text(reason.evidence, "reason.evidence")?,
        then_wake: reason.then_wake,
    })
}

fn decode_plan(plan: v1::Plan) -> Result<Plan, DecodeError> {
    Ok(Plan {
        file_hash: text(plan.file_hash, "plan.file_hash")?,
        owner: decode_name(plan.owner, "plan.owner")?,
        hosts: by_name(plan.hosts, "plan.hosts", decode_planned)?,
    })
}

fn decode_planned(planned: v1::PlannedHost) -> Result<PlannedHost, DecodeError> {
    let ready = match planned.ready {
        Some(v1::planned_host::Ready::Agent(v1::ReadyByAgent {})) => ReadyBy::Agent,
        Some(v1::planned_host::Ready::Probe(url)) => ReadyBy::Probe(text(url, "plan.probe")?),
        Some(v1::planned_host::Ready::Exports(address)) => {
            ReadyBy::Exports(text(address, "plan.exports")?)
        }
        None => return Err(Unknown("plan.ready")),
    };
    Ok(PlannedHost {
        needs: decode_names(planned.needs, "plan.needs")?,
        is_fed: planned.is_fed,
        stop: span(planned.stop_ms, "plan.stop_ms")?,
        ready,
        wake: planned.wake.map(decode_wake).transpose()?,
    })
}

fn decode_wake(wake: v1::WakeTarget) -> Result<WakeTarget, DecodeError> {
    Ok(WakeTarget {
        mac: wake.mac.try_into().map_err(|_| Range("plan.mac"))?,
        to: wake.to.map(|to| text(to, "plan.to")).transpose()?,
        address: text(wake.address, "plan.address")?,
    })
}

fn by_name<V, W>(
    map: BTreeMap<String, V>,
    field: Field,
    decode: impl Fn(V) -> Result<W, DecodeError>,
) -> Result<BTreeMap<HostName, W>, DecodeError> {
    if map.len() > HOSTS_MAX {
        return Err(TooLong(field));
    }
    map.into_iter().map(|(name, value)| Ok((decode_name(name, field)?, decode(value)?))).collect()
}

fn decode_names(names: Vec<String>, field: Field) -> Result<BTreeSet<HostName>, DecodeError> {
    if names.len() > HOSTS_MAX {
        return Err(TooLong(field));
    }
    names.into_iter().map(|name| decode_name(name, field)).collect()
}

fn decode_addresses(texts: &[String], field: Field) -> Result<BTreeSet<IpAddr>, DecodeError> {
    if texts.len() > ADDRESSES_MAX {
        return Err(TooLong(field));
    }
    texts.iter().map(|text| text.parse().map_err(|_no_address| Unknown(field))).collect()
}

fn decode_name(name: String, field: Field) -> Result<HostName, DecodeError> {
    // A host's name is one that a certificate can carry.
    let identity = Identity::new("cluster", Subject::Host(name));
    let name = identity.ok().and_then(|identity| identity.as_host().map(HostName::from));
    name.ok_or(DecodeError::Name(field))
}

fn text(text: String, field: Field) -> Result<String, DecodeError> {
    if text.len() <= TEXT_LEN { Ok(text) } else { Err(TooLong(field)) }
}

fn count(count: u64, field: Field) -> Result<u64, DecodeError> {
    if count <= COUNT_MAX { Ok(count) } else { Err(Range(field)) }
}

fn decode_date(date: u64, field: Field) -> Result<Date, DecodeError> {
    count(date, field).map(Date)
}

fn span(millis: u64, field: Field) -> Result<Duration, DecodeError> {
    if millis <= SPAN_MAX_MS { Ok(Duration::from_millis(millis)) } else { Err(Range(field)) }
}

fn optional_span(millis: Option<u64>, field: Field) -> Result<Option<Duration>, DecodeError> {
    millis.map(|millis| span(millis, field)).transpose()
}

/// The name of a field as in the `.proto` file.
type Field = &'static str;
