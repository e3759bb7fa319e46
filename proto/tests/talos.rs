//! What Curfew says to Talos is what Talos understands: names, numbers, types and calls.
//!
//! Our `.proto` files have a small part of Talos' own. Here stands that part once more, as it was
//! read in the sources of Talos 1.8 to 1.14 and of COSI; and where the variable
//! `CURFEW_TALOS_SOURCES` names a directory with their files, those are asked, too:
//!
//! ```text
//! git -C talos archive v1.14.0 api | tar x -C DIRECTORY
//! git -C cosi-specification archive HEAD proto | tar x -C DIRECTORY
//! CURFEW_TALOS_SOURCES=DIRECTORY cargo test -p curfew-proto --test talos
//! ```

use std::collections::BTreeSet;
use std::path::Path;

use curfew_proto::talos::machine::{
    Event, EventsRequest, MachineStatusEvent, PhaseEvent, RebootRequest, SequenceEvent, Shutdown,
    ShutdownRequest, ShutdownResponse, VersionResponse, machine_status_event, phase_event,
    reboot_request, sequence_event,
};
use curfew_proto::talos::resource::{GetRequest, GetResponse};
use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto};

/// One fact a line, in the words of [`facts`].
const TALOS: &str = "
common.Code = enum
common.Code.FATAL = 0
common.Code.LOCKED = 1
common.Code.CANCELED = 2
common.Error.code = 1 one common.Code
common.Error.message = 2 one string
common.Metadata.hostname = 1 one string
common.Metadata.error = 2 one string
machine.MachineService.Events: one machine.EventsRequest -> stream machine.Event
machine.MachineService.Reboot: one machine.RebootRequest -> one machine.RebootResponse
machine.MachineService.Shutdown: one machine.ShutdownRequest -> one machine.ShutdownResponse
machine.MachineService.Version: one google.protobuf.Empty -> one machine.VersionResponse
machine.EventsRequest.tail_events = 1 one int32
machine.EventsRequest.tail_id = 2 one string
machine.EventsRequest.tail_seconds = 3 one int32
machine.EventsRequest.with_actor_id = 4 one string
machine.Event.metadata = 1 one common.Metadata
machine.Event.data = 2 one google.protobuf.Any
machine.Event.id = 3 one string
machine.Event.actor_id = 4 one string
machine.SequenceEvent.sequence = 1 one string
machine.SequenceEvent.action = 2 one machine.SequenceEvent.Action
machine.SequenceEvent.error = 3 one common.Error
machine.SequenceEvent.Action = enum
machine.SequenceEvent.Action.NOOP = 0
machine.SequenceEvent.Action.START = 1
machine.SequenceEvent.Action.STOP = 2
machine.PhaseEvent.phase = 1 one string
machine.PhaseEvent.action = 2 one machine.PhaseEvent.Action
machine.PhaseEvent.Action = enum
machine.PhaseEvent.Action.START = 0
machine.PhaseEvent.Action.STOP = 1
machine.MachineStatusEvent.stage = 1 one machine.MachineStatusEvent.MachineStage
machine.MachineStatusEvent.status = 2 one machine.MachineStatusEvent.MachineStatus
machine.MachineStatusEvent.MachineStage = enum
machine.MachineStatusEvent.MachineStage.UNKNOWN = 0
machine.MachineStatusEvent.MachineStage.BOOTING = 1
machine.MachineStatusEvent.MachineStage.INSTALLING = 2
machine.MachineStatusEvent.MachineStage.MAINTENANCE = 3
machine.MachineStatusEvent.MachineStage.RUNNING = 4
machine.MachineStatusEvent.MachineStage.REBOOTING = 5
machine.MachineStatusEvent.MachineStage.SHUTTING_DOWN = 6
machine.MachineStatusEvent.MachineStage.RESETTING = 7
machine.MachineStatusEvent.MachineStage.UPGRADING = 8
machine.MachineStatusEvent.MachineStatus.ready = 1 one bool
machine.MachineStatusEvent.MachineStatus.unmet_conditions = 2 many \
    machine.MachineStatusEvent.MachineStatus.UnmetCondition
machine.MachineStatusEvent.MachineStatus.UnmetCondition.name = 1 one string
machine.MachineStatusEvent.MachineStatus.UnmetCondition.reason = 2 one string
machine.RebootRequest.mode = 1 one machine.RebootRequest.Mode
machine.RebootRequest.Mode = enum
machine.RebootRequest.Mode.DEFAULT = 0
machine.RebootRequest.Mode.POWERCYCLE = 1
machine.RebootRequest.Mode.FORCE = 2
machine.Reboot.metadata = 1 one common.Metadata
machine.Reboot.actor_id = 2 one string
machine.RebootResponse.messages = 1 many machine.Reboot
machine.ShutdownRequest.force = 1 one bool
machine.Shutdown.metadata = 1 one common.Metadata
machine.Shutdown.actor_id = 2 one string
machine.ShutdownResponse.messages = 1 many machine.Shutdown
machine.Version.metadata = 1 one common.Metadata
machine.Version.version = 2 one machine.VersionInfo
machine.Version.platform = 3 one machine.PlatformInfo
machine.VersionInfo.tag = 1 one string
machine.VersionInfo.sha = 2 one string
machine.VersionInfo.arch = 6 one string
machine.PlatformInfo.name = 1 one string
machine.PlatformInfo.mode = 2 one string
machine.VersionResponse.messages = 1 many machine.Version
cosi.resource.State.Get: one cosi.resource.GetRequest -> one cosi.resource.GetResponse
cosi.resource.GetRequest.namespace = 1 one string
cosi.resource.GetRequest.type = 2 one string
cosi.resource.GetRequest.id = 3 one string
cosi.resource.GetResponse.resource = 1 one cosi.resource.Resource
cosi.resource.Resource.metadata = 1 one cosi.resource.Metadata
cosi.resource.Resource.spec = 2 one cosi.resource.Spec
cosi.resource.Metadata.namespace = 1 one string
cosi.resource.Metadata.type = 2 one string
cosi.resource.Metadata.id = 3 one string
cosi.resource.Metadata.version = 4 one string
cosi.resource.Spec.proto_spec = 1 one bytes
cosi.resource.Spec.yaml_spec = 2 one string
";

/// The one line that Talos 1.8 to 1.11 does not have; Curfew does not ask for it.
const SINCE_1_12: &str = "machine.RebootRequest.Mode.FORCE = 2";

/// The resource that is read as a `MachineStatusEvent`, as Talos defines it.
const MACHINE_STATUS: &str = "
talos.resource.definitions.runtime.MachineStatusSpec.stage = 1 one \
    talos.resource.definitions.enums.RuntimeMachineStage
talos.resource.definitions.runtime.MachineStatusSpec.status = 2 one \
    talos.resource.definitions.runtime.MachineStatusStatus
talos.resource.definitions.enums.RuntimeMachineStage = enum
talos.resource.definitions.enums.RuntimeMachineStage.MACHINE_STAGE_UNKNOWN = 0
talos.resource.definitions.enums.RuntimeMachineStage.MACHINE_STAGE_BOOTING = 1
talos.resource.definitions.enums.RuntimeMachineStage.MACHINE_STAGE_INSTALLING = 2
talos.resource.definitions.enums.RuntimeMachineStage.MACHINE_STAGE_MAINTENANCE = 3
talos.resource.definitions.enums.RuntimeMachineStage.MACHINE_STAGE_RUNNING = 4
talos.resource.definitions.enums.RuntimeMachineStage.MACHINE_STAGE_REBOOTING = 5
talos.resource.definitions.enums.RuntimeMachineStage.MACHINE_STAGE_SHUTTING_DOWN = 6
talos.resource.definitions.enums.RuntimeMachineStage.MACHINE_STAGE_RESETTING = 7
talos.resource.definitions.enums.RuntimeMachineStage.MACHINE_STAGE_UPGRADING = 8
talos.resource.definitions.runtime.MachineStatusStatus.ready = 1 one bool
talos.resource.definitions.runtime.MachineStatusStatus.unmet_conditions = 2 many \
    talos.resource.definitions.runtime.UnmetCondition
talos.resource.definitions.runtime.UnmetCondition.name = 1 one string
talos.resource.definitions.runtime.UnmetCondition.reason = 2 one string
";

#[test]
fn our_part_of_talos_is_what_was_read_in_its_sources() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let files = ["talos/common.proto", "talos/machine.proto", "talos/state.proto"];
    let ours = compile(&files, &[&root]);
    let read = table(TALOS);
    let missing: Vec<_> = read.difference(&ours).collect();
    let more: Vec<_> = ours.difference(&read).collect();
    assert!(missing.is_empty() && more.is_empty(), "not ours: {missing:#?}\nnot read: {more:#?}");
}

#[test]
fn the_sources_of_talos_say_the_same() {
    let Some(sources) = std::env::var_os("CURFEW_TALOS_SOURCES") else { return };
    let sources = Path::new(&sources);
    let api = sources.join("api");
    let files = [
        "machine/machine.proto",
        "common/common.proto",
        "resource/definitions/runtime/runtime.proto",
    ];
    let mut theirs = compile(&files, &[&api, &api.join("vendor")]);
    theirs.extend(compile(&["v1alpha1/state.proto"], &[&sources.join("proto")]));
    let mut wanted = table(TALOS);
    wanted.extend(table(MACHINE_STATUS));
    let missing: Vec<_> = wanted.difference(&theirs).filter(|fact| *fact != SINCE_1_12).collect();
    assert!(missing.is_empty(), "Talos does not have: {missing:#?}");
}

/// Written out by the rules of the wire format: a key is `number << 3 | type`, with 0 for numbers
/// and 2 for what has a length; what is 0, false or empty is left out.
#[test]
fn messages_are_on_the_wire_what_the_format_says() {
    assert_eq!(ShutdownRequest { force: true }.encode_to_vec(), [0x08, 1]);
    assert_eq!(ShutdownRequest { force: false }.encode_to_vec(), []);
    let mode = reboot_request::Mode::Default.into();
    assert_eq!(RebootRequest { mode }.encode_to_vec(), []);
    // -1 of an int32 takes the ten bytes of a 64-bit one.
    let all = EventsRequest { tail_events: -1, ..EventsRequest::default() }.encode_to_vec();
    assert_eq!(all, [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
    let after = EventsRequest { tail_id: "x1".to_owned(), ..EventsRequest::default() };
    assert_eq!(after.encode_to_vec(), [0x12, 2, b'x', b'1']);
    let asked = GetRequest { namespace: "n".into(), r#type: "T".into(), id: "i".into() };
    assert_eq!(asked.encode_to_vec(), [0x0a, 1, b'n', 0x12, 1, b'T', 0x1a, 1, b'i']);
}

#[test]
fn messages_are_read_from_the_wire_as_the_format_says() {
    let answer = ShutdownResponse::decode(&[0x0a, 4, 0x12, 2, b'i', b'd'][..]).unwrap();
    let queued = Shutdown { metadata: None, actor_id: "id".to_owned() };
    assert_eq!(answer, ShutdownResponse { messages: vec![queued] });

    let event = SequenceEvent::decode(&[0x0a, 1, b's', 0x10, 1][..]).unwrap();
    assert_eq!((event.sequence.as_str(), event.action()), ("s", sequence_event::Action::Start));
    // A fatal error has neither a code nor, perhaps, a message: it is there all the same.
    let event = SequenceEvent::decode(&[0x1a, 0][..]).unwrap();
    assert!(event.error.is_some(), "{event:?}");

    let event = PhaseEvent::decode(&[0x0a, 1, b'p'][..]).unwrap();
    assert_eq!(event.action(), phase_event::Action::Start);
    // ready: true, and a field that this version does not know.
    let event = MachineStatusEvent::decode(&[0x08, 6, 0x12, 2, 0x08, 1, 0x78, 1][..]).unwrap();
    assert_eq!(event.stage(), machine_status_event::MachineStage::ShuttingDown);

    // metadata skipped, data: Any { type_url: "t", value: [8, 4] }, id, actor.
    let wire = [0x12, 7, 0x0a, 1, b't', 0x12, 2, 0x08, 4, 0x1a, 1, b'i', 0x22, 1, b'a'];
    let event = Event::decode(&wire[..]).unwrap();
    let data = event.data.unwrap();
    assert_eq!((data.type_url.as_str(), data.value.as_slice()), ("t", &[8, 4][..]));
    assert_eq!((event.id.as_str(), event.actor_id.as_str()), ("i", "a"));

    let answer = VersionResponse::decode(&[0x0a, 6, 0x12, 4, 0x0a, 2, b'v', b'1'][..]).unwrap();
    assert_eq!(answer.messages[0].version.as_ref().unwrap().tag, "v1");
    let answer = GetResponse::decode(&[0x0a, 6, 0x12, 4, 0x0a, 2, 0x08, 4][..]).unwrap();
    assert_eq!(answer.resource.unwrap().spec.unwrap().proto_spec, [0x08, 4]);
}

fn table(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| !line.is_empty());
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// Returns what the files say, with those that they import but for Google's.
fn compile(files: &[&str], roots: &[&Path]) -> BTreeSet<String> {
    let set = protox::compile(files, roots).expect("the files are well-formed");
    let own = set.file.iter().filter(|file| !file.package().starts_with("google."));
    own.flat_map(facts).collect()
}

fn facts(file: &FileDescriptorProto) -> Vec<String> {
    let package = file.package();
    let mut facts = Vec::new();
    for message in &file.message_type {
        add_message(package, message, &mut facts);
    }
    for one in &file.enum_type {
        add_enum(package, one, &mut facts);
    }
    for service in &file.service {
        for method in &service.method {
            let (asked, answer) = (plain(method.input_type()), plain(method.output_type()));
            let stream = |is_stream| if is_stream { "stream" } else { "one" };
            let (to, from) = (method.client_streaming(), method.server_streaming());
            let name = format!("{package}.{}.{}", service.name(), method.name());
            facts.push(format!("{name}: {} {asked} -> {} {answer}", stream(to), stream(from)));
        }
    }
    facts
}

fn add_message(parent: &str, message: &DescriptorProto, facts: &mut Vec<String>) {
    let name = format!("{parent}.{}", message.name());
    for field in &message.field {
        let label = if field.label() == Label::Repeated { "many" } else { "one" };
        let kind = if matches!(field.r#type(), Type::Message | Type::Enum) {
            plain(field.type_name()).to_owned()
        } else {
            field.r#type().as_str_name().trim_start_matches("TYPE_").to_lowercase()
        };
        facts.push(format!("{name}.{} = {} {label} {kind}", field.name(), field.number()));
    }
    for nested in &message.nested_type {
        add_message(&name, nested, facts);
    }
    for nested in &message.enum_type {
        add_enum(&name, nested, facts);
    }
}

fn add_enum(parent: &str, one: &EnumDescriptorProto, facts: &mut Vec<String>) {
    let name = format!("{parent}.{}", one.name());
    for value in &one.value {
        facts.push(format!("{name}.{} = {}", value.name(), value.number()));
    }
    facts.push(format!("{name} = enum"));
}

fn plain(name: &str) -> &str {
    name.trim_start_matches('.')
}
