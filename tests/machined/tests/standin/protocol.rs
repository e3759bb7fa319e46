//! On the socket: each test is a fact of §2.

use std::time::Duration;

use crate::visitor::{Visitor, settings};
use curfew_machined::{Command, Fault, Refusal, Report, Sequence, Service, Standin, Tail, Version};
use curfew_proto::talos::machine::machine_status_event::MachineStage;
use curfew_proto::talos::machine::{EventsRequest, MachineStatusEvent, ShutdownRequest};
use prost::Message;
use tonic::Code;

#[tokio::test]
async fn who_sends_no_role_is_refused() {
    let (settings, folder) = settings("no-role");
    let mut standin = Standin::booted(settings).await;
    let mut visitor = Visitor::without_role(&folder).await;
    let status = visitor.machine.version(()).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::PermissionDenied, "not authorized"));
    standin.until(&Report::Refused(Refusal::Role)).await;
}

#[tokio::test]
async fn a_reader_may_look_but_not_stop() {
    let (settings, folder) = settings("reader");
    let mut standin = Standin::booted(settings).await;
    let mut visitor = Visitor::with_role(&folder, "os:reader").await;
    let tag = visitor.tag().await.unwrap();
    assert_eq!(tag, "v1.11.6");
    let refused = visitor.machine.shutdown(ShutdownRequest { force: true }).await;
    assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
    assert!(!standin.reports().iter().any(|report| matches!(report, Report::Called(..))));
}

#[tokio::test]
async fn since_1_13_an_unknown_caller_waits_and_is_refused() {
    let (mut settings, folder) = settings("caller");
    settings.version = Version::new(13, 9);
    settings.service = Service::OnCri;
    settings.times.caller_check = Duration::from_millis(100);
    let mut standin = Standin::booted(settings).await;
    let mut visitor = Visitor::new(&folder).await;
    let start = tokio::time::Instant::now();
    let refused = visitor.tag().await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(start.elapsed() >= Duration::from_millis(100));
    standin.until(&Report::Refused(Refusal::Caller)).await;
}

#[tokio::test]
async fn since_1_13_a_caller_that_has_just_started_waits_until_it_is_known() {
    let (mut settings, folder) = settings("latency");
    settings.version = Version::new(14, 0);
    settings.service = Service::OnCri;
    settings.times.caller_check = Duration::from_secs(5);
    settings.times.registration = Duration::from_millis(100);
    let standin = Standin::booted(settings).await;
    let start = tokio::time::Instant::now();
    standin.send(Command::Started(Some(std::process::id()))).await;
    let mut visitor = Visitor::new(&folder).await;
    assert!(visitor.tag().await.is_ok());
    assert!(start.elapsed() >= Duration::from_millis(100));
}

#[tokio::test]
async fn the_stream_begins_with_a_greeting_and_types_are_of_their_own_kind() {
    let (settings, folder) = settings("greeting");
    let _standin = Standin::booted(settings).await;
    let mut visitor = Visitor::new(&folder).await;
    let all = EventsRequest { tail_events: -1, ..EventsRequest::default() };
    let mut events = visitor.machine.events(all).await.unwrap().into_inner();
    let greeting = events.message().await.unwrap().unwrap();
    assert_eq!(greeting.data, Some(prost_types::Any::default()));
    let first = events.message().await.unwrap().unwrap();
    assert_eq!(first.data.unwrap().type_url, "talos/runtime/machine.SequenceEvent");
    assert_eq!((first.id.len(), first.actor_id.as_str()), (20, ""));
}

#[tokio::test]
async fn a_stream_goes_on_after_an_id_and_refuses_what_is_none() {
    let (settings, folder) = settings("tail");
    let mut standin = Standin::booted(settings).await;
    let mut visitor = Visitor::new(&folder).await;
    let all = EventsRequest { tail_events: -1, ..EventsRequest::default() };
    let mut events = visitor.machine.events(all).await.unwrap().into_inner();
    let mut past = Vec::new();
    for _ in 0..5 {
        past.push(events.message().await.unwrap().unwrap());
    }
    let tail_id = past[2].id.clone();
    standin.reports();
    let after = EventsRequest { tail_id: tail_id.clone(), ..EventsRequest::default() };
    let mut events = visitor.machine.events(after).await.unwrap().into_inner();
    assert_eq!(events.message().await.unwrap().unwrap().id, "", "the greeting");
    assert_eq!(events.message().await.unwrap().unwrap().id, past[3].id);
    standin.until(&Report::Reads(Tail::After(tail_id.parse().unwrap()))).await;
    let odd = EventsRequest { tail_id: "no id".to_owned(), ..EventsRequest::default() };
    let mut events = visitor.machine.events(odd).await.unwrap().into_inner();
    assert_eq!(events.message().await.unwrap().unwrap().id, "", "the greeting comes first");
    let refused = events.message().await.unwrap_err();
    assert_eq!(refused.message(), "error parsing tail_id: xid: invalid ID");
}

#[tokio::test]
async fn a_connection_may_end_at_any_time() {
    let (settings, folder) = settings("hang-up");
    let standin = Standin::booted(settings).await;
    let mut visitor = Visitor::new(&folder).await;
    let mut events = visitor.listen().await;
    standin.send(Command::HangUp).await;
    assert!(!matches!(events.message().await, Ok(Some(_))));
    assert!(Visitor::new(&folder).await.tag().await.is_ok());
}

#[tokio::test]
async fn the_stage_is_a_resource_in_two_forms() {
    let (settings, folder) = settings("stage");
    let _standin = Standin::booted(settings).await;
    let mut visitor = Visitor::new(&folder).await;
    let spec = visitor.status("machine").await.unwrap();
    let status = MachineStatusEvent::decode(spec.proto_spec.as_slice()).unwrap();
    assert_eq!(status.stage(), MachineStage::Running);
    assert_eq!(
        spec.yaml_spec,
        "stage: running\nstatus:\n    ready: true\n    unmetConditions: []\n"
    );
    let missing = visitor.status("other").await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
}

#[tokio::test]
async fn a_call_is_answered_before_there_is_a_sequence() {
    let (mut settings, folder) = settings("queued");
    settings.faults = vec![Fault::DropsCalls];
    let mut standin = Standin::booted(settings).await;
    let mut visitor = Visitor::new(&folder).await;
    let actor = visitor.shutdown(true).await;
    standin.until(&Report::Called(Sequence::Shutdown { force: true }, actor)).await;
    assert!(!standin.reports().iter().any(|report| matches!(report, Report::Started(..))));
}

#[tokio::test]
async fn pings_end_the_connection() {
    let (settings, folder) = settings("pings");
    let mut standin = Standin::booted(settings).await;
    let mut visitor = Visitor::that_pings(&folder, Duration::from_millis(20)).await;
    let request = EventsRequest::default();
    let mut events = visitor.machine.events(request).await.unwrap().into_inner();
    while let Ok(Some(_)) = events.message().await {}
    standin.until(&Report::Pinged).await;
}

#[tokio::test]
async fn a_frozen_machined_answers_nothing_and_a_machine_without_power_is_gone() {
    let (settings, folder) = settings("frozen");
    let standin = Standin::booted(settings).await;
    let mut visitor = Visitor::new(&folder).await;
    assert!(visitor.tag().await.is_ok());
    standin.send(Command::Break(Fault::Freezes)).await;
    let call = tokio::time::timeout(Duration::from_millis(100), visitor.tag());
    assert!(call.await.is_err(), "it does not answer");
    standin.send(Command::Mend(Fault::Freezes)).await;
    assert!(visitor.tag().await.is_ok());
    standin.send(Command::Cut).await;
    while visitor.tag().await.is_ok() {}
    assert!(!folder.join("machine.sock").exists());
}

#[tokio::test]
async fn streams_may_stand_still_while_calls_are_answered() {
    let (mut settings, folder) = settings("frozen-streams");
    settings.faults = vec![Fault::Hangs("cleanup".to_owned())];
    let mut standin = Standin::booted(settings).await;
    let mut visitor = Visitor::new(&folder).await;
    let mut events = visitor.listen().await;
    standin.send(Command::Break(Fault::FreezesStreams)).await;
    assert!(visitor.machine.shutdown(ShutdownRequest { force: true }).await.is_ok());
    standin.until(&Report::Phase("cleanup")).await;
    let told = tokio::time::timeout(Duration::from_millis(50), events.message());
    assert!(told.await.is_err(), "it is not told");
    let spec = visitor.status("machine").await.unwrap();
    let status = MachineStatusEvent::decode(spec.proto_spec.as_slice()).unwrap();
    assert_eq!(status.stage(), MachineStage::ShuttingDown);
    standin.send(Command::Mend(Fault::FreezesStreams)).await;
    assert!(events.message().await.unwrap().is_some(), "it is told later");
}
