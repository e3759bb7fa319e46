//! The page that Prometheus reads, collected from a snapshot with a recorder of its own.

use std::time::Duration;

use curfew_coordinator::{Absence, Cause, Phase, Presence, ShutdownStatus, Status, Trigger};
use metrics::{Counter, Gauge, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};

use super::{
    BUILD_INFO, CERTIFICATE_EXPIRY, Counters, Family, HEALTH_STATUS, HISTORY_EVENTS_LOST,
    HOST_PRESENCE, JOURNAL_DURABLE, JOURNAL_WRITE_FAILURES, Kind, PEER_UP, PEER_WITHOUT_AGENT,
    PHASE, PLAN_MARGIN, PLAN_RUNTIME_LEFT, PLAN_TIME_NEEDED, PLANNED_STOP, SHUTDOWN, STOP_TIME,
    TALOS_CONTACT, TALOS_INFO, TALOS_STAGE, TRIGGER, UPS_CUT_METHOD, UPS_FOREIGN_CLIENTS,
    UPS_READING_AGE, UPS_RETURN_PROMISED, filesystem, holding, nfs_server, nut,
};
use crate::health::{Health, State};
use crate::snapshot::Snapshot;
use crate::talos::View;
use crate::talos::node::{STAGES, stage_word};

/// The media type of the page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Returns the page: everything that is so at this moment, and the counters.
pub fn render(snapshot: &Snapshot, counters: &Counters) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    let page = Recording::new(&recorder);
    let status = &snapshot.status;
    page.set(&BUILD_INFO, [env!("CARGO_PKG_VERSION")], 1.0);
    hosts(page, status);
    plan(page, status);
    shutdown(page, status);
    health(page, snapshot);
    journal(page, snapshot);
    for (holder, expiry) in &snapshot.certificates {
        let at = Duration::from_secs(*expiry).as_secs_f64();
        page.set(&CERTIFICATE_EXPIRY, [holder.as_str()], at);
    }
    if let Some(age) = snapshot.reading_age() {
        page.set(&UPS_READING_AGE, [&status.ups.name], age.as_secs_f64());
    }
    owned(page, snapshot);
    if snapshot.has_fresh_reading() {
        nut::record(page, &status.ups.name, &snapshot.ups_variables);
    }
    watched(page, snapshot);
    if let Some(report) = &snapshot.nfs_server {
        nfs_server::record(page, report);
    }
    if let Some(holding) = &snapshot.holding {
        holding::record(page, holding);
    }
    if let Some(report) = &snapshot.filesystems {
        filesystem::record(page, report);
    }
    if let Some(view) = &snapshot.talos {
        talos(page, view);
    }
    sorted(&(recorder.handle().render() + &counters.render()))
}

/// Returns the page of an agent that cannot start: that it is there, and that it fails.
pub fn render_standby() -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    let page = Recording::new(&recorder);
    page.set(&BUILD_INFO, [env!("CARGO_PKG_VERSION")], 1.0);
    for state in State::ALL {
        let value = one_if(state == State::Fail);
        page.set(&HEALTH_STATUS, ["agent", state.as_str()], value);
    }
    sorted(&recorder.handle().render())
}

/// What is known of the end of the UPS; nothing where nobody has asked.
fn owned(page: Recording<'_>, snapshot: &Snapshot) {
    let ups = &snapshot.status.ups;
    if ups.abilities.is_some() || snapshot.returns.is_some() {
        page.set(&UPS_RETURN_PROMISED, [&ups.name], one_if(ups.is_return_promised));
    }
    let Some(owned) = &snapshot.owned else { return };
    if let Some(method) = owned.cut_method {
        page.set(&UPS_CUT_METHOD, [ups.name.as_str(), method], 1.0);
    }
    if let Some(clients) = owned.foreign_clients {
        page.set(&UPS_FOREIGN_CLIENTS, [&ups.name], f64::from(clients));
    }
}

/// The UPSes that are not acted on: without a fresh reading only its age is shown.
fn watched(page: Recording<'_>, snapshot: &Snapshot) {
    for ups in &snapshot.watched {
        let Some(age) = ups.read_at.map(|at| at.elapsed()) else { continue };
        page.set(&UPS_READING_AGE, [ups.name.as_str()], age.as_secs_f64());
        if age < snapshot.fresh {
            nut::record(page, &ups.name, &ups.variables);
        }
    }
}

fn talos(page: Recording<'_>, view: &View) {
    page.set(&TALOS_CONTACT, [], one_if(view.contact.is_kept));
    if let Some(version) = &view.version {
        page.set(&TALOS_INFO, [version.as_str()], 1.0);
    }
    let Some(current) = view.node.stage else { return };
    for stage in STAGES {
        page.set(&TALOS_STAGE, [stage_word(stage)], one_if(stage == current));
    }
}

fn hosts(page: Recording<'_>, status: &Status) {
    for (name, host) in &status.hosts {
        if let Some(current) = host.phase {
            for phase in Phase::ALL {
                page.set(&PHASE, [name.as_str(), phase.as_str()], one_if(phase == current));
            }
        }
        let is_me = *name == status.host;
        let planned = if is_me { status.planned_stop } else { host.planned_stop };
        page.set(&PLANNED_STOP, [name.as_str()], one_if(planned.is_some()));
        if is_me {
            continue;
        }
        for (presence, word) in PRESENCES {
            let value = one_if(presence == host.presence);
            page.set(&HOST_PRESENCE, [name.as_str(), word], value);
        }
        page.set(&PEER_UP, [name.as_str()], one_if(host.presence == Presence::Connected));
        let is_without_agent = host.absence == Some(Absence::WithoutAgent);
        page.set(&PEER_WITHOUT_AGENT, [name.as_str()], one_if(is_without_agent));
    }
}

fn plan(page: Recording<'_>, status: &Status) {
    let plan = &status.plan;
    page.set(&PLAN_TIME_NEEDED, [], plan.time_needed.as_secs_f64());
    if let Some(left) = plan.runtime_left {
        page.set(&PLAN_RUNTIME_LEFT, [], left.as_secs_f64());
    }
    if let Some(margin) = plan.margin_millis {
        page.set(&PLAN_MARGIN, [], seconds(margin));
    }
    for (host, stop) in &plan.stop_times {
        page.set(&STOP_TIME, [host.as_str()], stop.takes.as_secs_f64());
    }
}

fn shutdown(page: Recording<'_>, status: &Status) {
    let open = status.shutdown.as_ref();
    for trigger in Trigger::ALL {
        let is_reason =
            |open: &ShutdownStatus| open.reasons.iter().any(|reason| reason.trigger == trigger);
        let holds = status.triggers.contains(&trigger) || open.is_some_and(is_reason);
        page.set(&TRIGGER, [trigger.as_str()], one_if(holds));
    }
    if let Some(open) = open {
        let has = |cause| open.reasons.iter().any(|reason| reason.cause == cause);
        // An order outlasts the battery's reasons, so it is what the shutdown rests on.
        let cause = if has(Cause::Order) { Cause::Order } else { Cause::Battery };
        let number = open.number.to_string();
        page.set(&SHUTDOWN, [&number, open.standing.as_str(), cause.as_str()], 1.0);
    }
}

fn health(page: Recording<'_>, snapshot: &Snapshot) {
    for check in Health::of(snapshot).checks {
        for state in State::ALL {
            let value = one_if(state == check.state);
            page.set(&HEALTH_STATUS, [&check.name, state.as_str()], value);
        }
    }
}

fn journal(page: Recording<'_>, snapshot: &Snapshot) {
    let report = &snapshot.journal;
    let is_durable = report.failure.is_none() && snapshot.status.journal_failure.is_none();
    page.set(&JOURNAL_DURABLE, [], one_if(is_durable));
    page.counter(&JOURNAL_WRITE_FAILURES, []).absolute(report.write_failures);
    page.counter(&HISTORY_EVENTS_LOST, []).absolute(report.events_lost);
}

/// Writes into a recorder by the families' own names and labels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recording<'a>(&'a PrometheusRecorder);

impl<'a> Recording<'a> {
    pub(super) fn new(recorder: &'a PrometheusRecorder) -> Self {
        Self(recorder)
    }

    /// Sets the gauge with these values of its labels, in the family's order.
    pub(super) fn set<const N: usize>(self, family: &Family, labels: [&str; N], value: f64) {
        assert_eq!(family.kind, Kind::Gauge, "{} is a gauge", family.name);
        self.0.describe_gauge(family.name.into(), None, family.help.into());
        self.0.register_gauge(&key(family, labels), &METADATA).set(value);
    }

    /// Returns the counter with these values of its labels, in the family's order.
    pub(super) fn counter<const N: usize>(self, family: &Family, labels: [&str; N]) -> Counter {
        assert_eq!(family.kind, Kind::Counter, "{} is a counter", family.name);
        self.0.describe_counter(family.name.into(), None, family.help.into());
        self.0.register_counter(&key(family, labels), &METADATA)
    }

    /// Returns the gauge of a family that is known only at run time.
    pub(super) fn named(self, name: String, help: String, label: (&'static str, &str)) -> Gauge {
        self.0.describe_gauge(name.clone().into(), None, help.into());
        let labels = vec![Label::new(label.0, label.1.to_owned())];
        self.0.register_gauge(&Key::from_parts(name, labels), &METADATA)
    }
}

fn key<const N: usize>(family: &Family, values: [&str; N]) -> Key {
    assert_eq!(family.labels.len(), N, "{} has these labels", family.name);
    let labels = family.labels.iter().zip(values);
    let labels: Vec<_> = labels.map(|(name, value)| Label::new(*name, value.to_owned())).collect();
    Key::from_parts(family.name, labels)
}

/// Sorts the families and the series in them: for people, and to see what changed between two.
fn sorted(page: &str) -> String {
    let mut families: Vec<Vec<&str>> = page
        .split("\n\n")
        .map(|family| family.lines().filter(|line| !line.is_empty()).collect())
        .filter(|lines: &Vec<_>| !lines.is_empty())
        .collect();
    for lines in &mut families {
        // HELP and TYPE begin with `#`, which sorts before every name.
        lines.sort_unstable();
    }
    families.sort_unstable();
    let mut text = String::with_capacity(page.len());
    for line in families.iter().flatten() {
        text.push_str(line);
        text.push('\n');
    }
    text
}

pub(super) fn one_if(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}

/// A margin in seconds; a float has room for it to the millisecond for longer than anything lasts.
#[expect(clippy::cast_precision_loss, reason = "exact below 285 years")]
fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

const PRESENCES: [(Presence, &str); 5] = [
    (Presence::Unknown, "unknown"),
    (Presence::Connected, "connected"),
    (Presence::Silent, "silent"),
    (Presence::Lost, "lost"),
    (Presence::Off, "off"),
];

static METADATA: Metadata<'_> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));
