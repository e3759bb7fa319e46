//! The stream of events: what is published, how it looks on the wire, and the ring that keeps it.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use curfew_proto::talos::common;
use curfew_proto::talos::machine::{self, phase_event, sequence_event};
use prost::Message;
use tokio::sync::watch;

use crate::stage::Stage;

/// What is published.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    /// A sequence starts, stops, or has ended badly.
    Sequence(machine::SequenceEvent),
    /// A phase starts or stops.
    Phase(machine::PhaseEvent),
    /// A task starts or stops.
    Task(TaskEvent),
    /// A service has come to another state.
    Service(ServiceStateEvent),
    /// The node has come to another stage.
    Status(machine::MachineStatusEvent),
    /// The kernel is told to end.
    Restart(RestartEvent),
}

impl Payload {
    /// Returns the start or the stop of a sequence.
    pub fn sequence(name: &str, action: sequence_event::Action) -> Self {
        let (sequence, action) = (name.to_owned(), action.into());
        Self::Sequence(machine::SequenceEvent { sequence, action, error: None })
    }

    /// Returns the bad end of a sequence: a `NOOP` with an error, after its `STOP` (facts §2.3).
    pub fn failure(name: &str, code: common::Code, message: String) -> Self {
        let error = common::Error { code: code.into(), message };
        let action = sequence_event::Action::Noop.into();
        let sequence = name.to_owned();
        Self::Sequence(machine::SequenceEvent { sequence, action, error: Some(error) })
    }

    /// Returns the start or the stop of a phase.
    pub fn phase(name: &str, action: phase_event::Action) -> Self {
        Self::Phase(machine::PhaseEvent { phase: name.to_owned(), action: action.into() })
    }

    /// Returns the name of its message, and its bytes.
    fn encode(&self) -> (&'static str, Vec<u8>) {
        match self {
            Self::Sequence(event) => ("SequenceEvent", event.encode_to_vec()),
            Self::Phase(event) => ("PhaseEvent", event.encode_to_vec()),
            Self::Task(event) => ("TaskEvent", event.encode_to_vec()),
            Self::Service(event) => ("ServiceStateEvent", event.encode_to_vec()),
            Self::Status(event) => ("MachineStatusEvent", event.encode_to_vec()),
            Self::Restart(event) => ("RestartEvent", event.encode_to_vec()),
        }
    }
}

/// A task starts (0) or stops (1); a client of ours does not read it, but has to pass it by.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TaskEvent {
    /// The name of the task.
    #[prost(string, tag = "1")]
    pub task: String,
    /// What it does.
    #[prost(int32, tag = "2")]
    pub action: i32,
}

/// A service has come to another state; passed by as well.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ServiceStateEvent {
    /// The name of the service.
    #[prost(string, tag = "1")]
    pub service: String,
    /// The state: running is 3, stopping 4, finished 5.
    #[prost(int32, tag = "2")]
    pub action: i32,
    /// What Talos says of it.
    #[prost(string, tag = "3")]
    pub message: String,
}

/// The kernel is told to end.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RestartEvent {
    /// The word of `reboot(2)`.
    #[prost(int64, tag = "1")]
    pub cmd: i64,
}

/// The place of an event in the stream: the time in seconds, who made it, a counter.
///
/// Written as 20 characters, in an order that is that of time (facts §2.3).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct EventId([u8; 12]);

/// A text that is no id; what Talos answers to one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("error parsing tail_id: xid: invalid ID")]
pub struct InvalidId;

impl EventId {
    fn new(count: u32) -> Self {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        // The seconds, five bytes of who made it, three of the counter.
        let bits = u128::from(seconds) << 64 | MAKER << 24 | u128::from(count & 0x00ff_ffff);
        let [_, _, _, _, bytes @ ..] = bits.to_be_bytes();
        Self(bytes)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 96 bits in groups of five, the last of them filled up with zeros.
        let bits = self.0.iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte)) << 4;
        for place in (0..20).rev() {
            let digit = u8::try_from(bits >> (5 * place) & 31).unwrap_or_default();
            let letter = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
            write!(f, "{}", char::from(letter))?;
        }
        Ok(())
    }
}

impl FromStr for EventId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if text.len() != 20 {
            return Err(InvalidId);
        }
        let mut bits = 0_u128;
        for letter in text.bytes() {
            let digit = match letter {
                b'0'..=b'9' => letter - b'0',
                b'a'..=b'v' => letter - b'a' + 10,
                _ => return Err(InvalidId),
            };
            bits = bits << 5 | u128::from(digit);
        }
        let [_, _, _, _, bytes @ ..] = (bits >> 4).to_be_bytes();
        Ok(Self(bytes))
    }
}

/// One event.
#[derive(Clone, Debug)]
pub struct Event {
    id: EventId,
    actor: Option<String>,
    payload: Payload,
    at: SystemTime,
}

impl Event {
    /// Returns it as it is sent: with a type of its own kind (facts §2.3).
    pub fn to_wire(&self) -> machine::Event {
        let (name, value) = self.payload.encode();
        let type_url = format!("talos/runtime/machine.{name}");
        machine::Event {
            metadata: None,
            data: Some(prost_types::Any { type_url, value }),
            id: self.id.to_string(),
            actor_id: self.actor.clone().unwrap_or_default(),
        }
    }
}

/// Where a reader begins.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Tail {
    /// With what comes next.
    Next,
    /// With the last so many; all that there are if negative.
    Events(i32),
    /// With what comes after the event of this id.
    After(EventId),
    /// With the events of so many seconds.
    Seconds(u32),
}

/// All events of one boot that are still kept, and the stage that follows from them.
#[derive(Debug)]
pub struct Events {
    ring: Mutex<Ring>,
    /// How many have been published.
    count: watch::Sender<u64>,
}

#[derive(Debug)]
struct Ring {
    kept: VecDeque<Event>,
    published: u64,
    stage: Stage,
}

impl Default for Events {
    fn default() -> Self {
        let ring = Ring { kept: VecDeque::new(), published: 0, stage: Stage::default() };
        Self { ring: Mutex::new(ring), count: watch::Sender::new(0) }
    }
}

impl Events {
    /// Publishes an event of `actor`. Has it brought the node to another stage, that is published
    /// as well, without an actor (facts §2.3).
    pub fn publish(&self, actor: Option<&str>, payload: Payload) {
        let mut ring = self.lock();
        let is_new_stage = ring.stage.take(&payload);
        ring.push(actor, payload);
        if is_new_stage {
            let status = ring.stage.status();
            ring.push(None, Payload::Status(status));
        }
        let published = ring.published;
        drop(ring);
        self.count.send_replace(published);
    }

    /// Returns the stage and the conditions, as the resource has them.
    pub fn status(&self) -> machine::MachineStatusEvent {
        self.lock().stage.status()
    }

    /// Opens a reader.
    pub fn read(&self, tail: &Tail, actor: Option<String>) -> Reader {
        let ring = self.lock();
        let oldest = ring.published.saturating_sub(READABLE);
        let next = match tail {
            Tail::Next => ring.published,
            Tail::Events(count) => u64::try_from(*count)
                .map_or(oldest, |count| ring.published.saturating_sub(count).max(oldest)),
            Tail::After(id) => ring.first(oldest, |event| event.id > *id),
            Tail::Seconds(seconds) => {
                let span = std::time::Duration::from_secs(u64::from(*seconds));
                let since = SystemTime::now().checked_sub(span).unwrap_or(UNIX_EPOCH);
                ring.first(oldest, |event| event.at > since)
            }
        };
        Reader { next, actor, count: self.count.subscribe() }
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        // Whoever panicked with it left no half event behind.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn push(&mut self, actor: Option<&str>, payload: Payload) {
        let count = u32::try_from(self.published & 0x00ff_ffff).unwrap_or_default();
        let (id, actor) = (EventId::new(count), actor.map(ToOwned::to_owned));
        self.kept.push_back(Event { id, actor, payload, at: SystemTime::now() });
        self.published += 1;
        if self.kept.len() > CAPACITY {
            self.kept.pop_front();
        }
    }

    /// Returns the place of the first event from `oldest` on that `is_meant`, else of the next.
    fn first(&self, oldest: u64, is_meant: impl Fn(&Event) -> bool) -> u64 {
        (oldest..self.published)
            .find(|place| self.get(*place).is_some_and(&is_meant))
            .unwrap_or(self.published)
    }

    fn get(&self, place: u64) -> Option<&Event> {
        let start = self.published - u64::try_from(self.kept.len()).unwrap_or(u64::MAX);
        let index = usize::try_from(place.checked_sub(start)?).ok()?;
        self.kept.get(index)
    }
}

/// Reads the events in order, at its own pace.
#[derive(Debug)]
pub struct Reader {
    next: u64,
    actor: Option<String>,
    count: watch::Receiver<u64>,
}

impl Reader {
    /// Waits for the next event; none if it has fallen behind the ring, which ends the stream
    /// without a word (facts §2.3). Safe to cancel.
    pub async fn next(&mut self, events: &Events) -> Option<Event> {
        loop {
            let next = self.next;
            self.count.wait_for(|published| *published > next).await.ok()?;
            let ring = events.lock();
            if ring.published - self.next >= u64::try_from(CAPACITY).unwrap_or(u64::MAX) {
                return None;
            }
            let event = ring.get(self.next).cloned();
            drop(ring);
            self.next += 1;
            let event = event?;
            // Leaves out what has no actor, too: hence rule §2.3, do not use it.
            if self.actor.is_none() || self.actor == event.actor {
                return Some(event);
            }
        }
    }
}

/// This machine and its process.
const MAKER: u128 = 0x63_7572_6665;
/// How many events the ring of Talos has (facts §2.3).
const CAPACITY: usize = 1000;
/// How many of them can be asked for: Talos keeps readers and writer a little apart.
const READABLE: u64 = 990;

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(events: &Events, count: u32) {
        for number in 0..count {
            let name = format!("phase-{number}");
            events.publish(None, Payload::phase(&name, phase_event::Action::Start));
        }
    }

    async fn names(events: &Events, reader: &mut Reader, count: usize) -> Vec<String> {
        let mut names = Vec::new();
        for _ in 0..count {
            let event = reader.next(events).await.expect("it has not fallen behind");
            let Payload::Phase(phase) = event.payload else { panic!("only phases here") };
            names.push(phase.phase);
        }
        names
    }

    #[test]
    fn ids_are_twenty_characters_in_the_order_of_time() {
        let (one, other) = (EventId::new(1), EventId::new(2));
        assert_eq!(one.to_string().len(), 20);
        assert!(one < other && one.to_string() < other.to_string());
        assert_eq!(one.to_string().parse(), Ok(one));
        for text in ["", "0123456789", "0123456789abcdefghiw", "0123456789ABCDEFGHIJ"] {
            assert_eq!(text.parse::<EventId>(), Err(InvalidId), "{text}");
        }
    }

    #[tokio::test]
    async fn a_reader_goes_on_after_an_id() {
        let events = Events::default();
        fill(&events, 3);
        let mut all = events.read(&Tail::Events(-1), None);
        let first = all.next(&events).await.unwrap();
        let mut rest = events.read(&Tail::After(first.id), None);
        assert_eq!(names(&events, &mut rest, 2).await, ["phase-1", "phase-2"]);
        let mut last = events.read(&Tail::Events(1), None);
        assert_eq!(names(&events, &mut last, 1).await, ["phase-2"]);
    }

    #[tokio::test]
    async fn the_history_is_bounded() {
        let events = Events::default();
        fill(&events, 1500);
        let mut all = events.read(&Tail::Events(-1), None);
        assert_eq!(names(&events, &mut all, 1).await, ["phase-510"]);
    }

    #[tokio::test]
    async fn a_reader_that_falls_behind_is_ended() {
        let events = Events::default();
        let mut reader = events.read(&Tail::Next, None);
        fill(&events, 1000);
        assert!(reader.next(&events).await.is_none());
    }

    /// The wire knows no code 0: one has to look whether there is an error (facts §2.3).
    #[test]
    fn a_fatal_error_has_no_code_on_the_wire() {
        let payload = Payload::failure("shutdown", common::Code::Fatal, "x".to_owned());
        // Field 1 is the sequence, field 2 (NOOP, 0) is absent, field 3 the error, with a message
        // (field 2) alone.
        assert_eq!(payload.encode().1, b"\x0a\x08shutdown\x1a\x03\x12\x01x");
    }
}
