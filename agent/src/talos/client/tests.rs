//! Calls to a machined that answers, refuses, or is not there.

use curfew_proto::talos::machine::MachineStatusEvent;

use super::*;
use crate::talos::node::Stage;
use crate::talos::stand_in::{Asked, FakeMachined};
use crate::test_directory::TestDirectory;

#[tokio::test]
async fn each_call_says_what_it_is_and_is_answered() {
    let fake = FakeMachined::start();
    fake.set_stage(Stage::Upgrading);
    let machined = Machined::new(fake.socket());
    assert_eq!(machined.version().await.unwrap(), "v1.11.6");
    assert_eq!(machined.stage().await.unwrap(), Stage::Upgrading);
    assert_eq!(machined.shutdown(true).await.unwrap(), "call-1");
    assert_eq!(machined.shutdown(false).await.unwrap(), "call-2");
    assert_eq!(machined.reboot().await.unwrap(), "reboot");
    let asked = [Asked::Shutdown { force: true }, Asked::Shutdown { force: false }, Asked::Reboot];
    assert_eq!(fake.asked(), asked);
}

#[tokio::test]
async fn a_refusal_is_told_from_an_error_and_both_from_nobody() {
    let fake = FakeMachined::start();
    let machined = Machined::new(fake.socket());
    fake.refuse(Some(Status::permission_denied("not authorized")));
    let refused = machined.shutdown(true).await.unwrap_err();
    assert!(refused.is_refusal() && !refused.is_open(), "{refused:?}");
    let refused = machined.events(&Tail::All).await.unwrap_err();
    assert!(refused.is_refusal(), "{refused:?}");
    // machined says itself that it does not do it.
    fake.refuse(Some(Status::unimplemented("method is not supported in container mode")));
    let failed = machined.shutdown(true).await.unwrap_err();
    assert!(!failed.is_open() && failed.to_string().contains("container mode"), "{failed}");
    // What breaks on the way may have come through.
    fake.refuse(Some(Status::unavailable("connection closed")));
    assert!(machined.shutdown(true).await.unwrap_err().is_open());
    drop(fake);
    let failed = machined.shutdown(true).await.unwrap_err();
    assert!(matches!(failed, CallError::Connect { .. }) && !failed.is_open(), "{failed:?}");
}

/// What containerd makes of a socket that is missing when the service starts.
#[tokio::test]
async fn a_directory_in_place_of_the_socket_is_nobody() {
    let directory = TestDirectory::in_memory();
    let failed = Machined::new(directory.path()).version().await.unwrap_err();
    assert!(matches!(failed, CallError::Connect { .. }), "{failed:?}");
}

#[test]
fn the_name_of_a_payload_counts_and_what_cannot_be_read_is_passed_over() {
    let told = |type_url: &str, value: Vec<u8>| {
        let data = prost_types::Any { type_url: type_url.to_owned(), value };
        let event = machine::Event { data: Some(data), ..machine::Event::default() };
        decode(event).what
    };
    let stage = MachineStatusEvent { stage: 4, status: None }.encode_to_vec();
    let running = Happening::Staged(Stage::Running);
    assert_eq!(told("talos/runtime/machine.MachineStatusEvent", stage.clone()), running);
    assert_eq!(told("talos/runtime/machine.ServiceStateEvent", stage), Happening::Other);
    assert_eq!(told("talos/runtime/machine.PhaseEvent", vec![0xff]), Happening::Other);
    assert_eq!(decode(machine::Event::default()).what, Happening::Other);
}

/// FATAL is 0, and so absent on the wire: that there is an error is what counts.
#[test]
fn a_fatal_error_is_one_without_a_code() {
    // SequenceEvent { sequence: "boot", error: Error { message: "no" } }
    let wire = [0x0a, 4, b'b', b'o', b'o', b't', 0x1a, 4, 0x12, 2, b'n', b'o'];
    let event = SequenceEvent::decode(wire.as_slice()).unwrap();
    let error = Some(Failure { code: FailureCode::Fatal, message: "no".to_owned() });
    let name = "boot".to_owned();
    assert_eq!(sequence(event), Happening::Sequence { name, action: Action::Noop, error });
}
