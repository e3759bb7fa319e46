//! What the agent itself has to show, collected anew from a snapshot.

use std::time::Duration;

use curfew_coordinator::{Absence, Cause, Phase, Presence, ShutdownStatus, Status, Trigger};
use curfew_host::{Format, Samples};

use super::{
    BUILD_INFO, CERTIFICATE_EXPIRY, Counters, Family, HEALTH_STATUS, HISTORY_EVENTS_LOST,
    HOST_PRESENCE, JOURNAL_DURABLE, JOURNAL_WRITE_FAILURES, Kind, PEER_UP, PEER_WITHOUT_AGENT,
    PHASE, PLAN_MARGIN, PLAN_RUNTIME_LEFT, PLAN_TIME_NEEDED, PLANNED_STOP, SHUTDOWN, STOP_TIME,
    TALOS_CONTACT, TALOS_INFO, TALOS_STAGE, TRIGGER, UPS_CUT_METHOD, UPS_FOREIGN_CLIENTS,
    UPS_READING_AGE, UPS_RETURN_PROMISED, battery, filesystem, holding, nfs_server, nut, past,
    smart,
};
use crate::health::{Health, State};
use crate::snapshot::Snapshot;
use crate::talos::View;
use crate::talos::node::{STAGES, stage_word};

/// Returns the page of the agent alone, as text.
pub fn render(snapshot: &Snapshot, counters: &Counters) -> String {
    let mut page = String::new();
    curfew_host::render([&collect(snapshot, counters)], Format::Text, &mut page);
    page
}

/// Collects everything that is so at this moment, and the counters.
pub fn collect(snapshot: &Snapshot, counters: &Counters) -> Samples {
    let mut samples = Page::default();
    let page = &mut samples;
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
    if let Some(report) = &snapshot.smart {
        smart::record(page, report);
    }
    if let Some(view) = &snapshot.talos {
        talos(page, view);
    }
    if let Some(report) = &snapshot.battery {
        battery::record(page, &status.ups.name, report);
    }
    if let Some(known) = &snapshot.past {
        past::record(page, known);
    }
    counters.record(page);
    samples.0
}

/// Collects what there is of an agent that cannot start: that it is there, and that it fails.
pub fn collect_standby() -> Samples {
    let mut page = Page::default();
    page.set(&BUILD_INFO, [env!("CARGO_PKG_VERSION")], 1.0);
    for state in State::ALL {
        let value = one_if(state == State::Fail);
        page.set(&HEALTH_STATUS, ["agent", state.as_str()], value);
    }
    page.0
}

/// What is known of the end of the UPS; nothing where nobody has asked.
fn owned(page: &mut Page, snapshot: &Snapshot) {
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
fn watched(page: &mut Page, snapshot: &Snapshot) {
    for ups in &snapshot.watched {
        let Some(age) = ups.read_at.map(|at| at.elapsed()) else { continue };
        page.set(&UPS_READING_AGE, [ups.name.as_str()], age.as_secs_f64());
        if age < snapshot.fresh {
            nut::record(page, &ups.name, &ups.variables);
        }
    }
}

fn talos(page: &mut Page, view: &View) {
    page.set(&TALOS_CONTACT, [], one_if(view.contact.is_kept));
    if let Some(version) = &view.version {
        page.set(&TALOS_INFO, [version.as_str()], 1.0);
    }
    let Some(current) = view.stage() else { return };
    for stage in STAGES {
        page.set(&TALOS_STAGE, [stage_word(stage)], one_if(stage == current));
    }
}

fn hosts(page: &mut Page, status: &Status) {
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

fn plan(page: &mut Page, status: &Status) {
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

fn shutdown(page: &mut Page, status: &Status) {
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

fn health(page: &mut Page, snapshot: &Snapshot) {
    for check in Health::of(snapshot).checks {
        for state in State::ALL {
            let value = one_if(state == check.state);
            page.set(&HEALTH_STATUS, [&check.name, state.as_str()], value);
        }
    }
}

fn journal(page: &mut Page, snapshot: &Snapshot) {
    let report = &snapshot.journal;
    let is_durable = report.failure.is_none() && snapshot.status.journal_failure.is_none();
    page.set(&JOURNAL_DURABLE, [], one_if(is_durable));
    page.count(&JOURNAL_WRITE_FAILURES, [], report.write_failures);
    page.count(&HISTORY_EVENTS_LOST, [], report.events_lost);
}

/// Takes series by the families' own names and labels.
#[derive(Debug, Default)]
pub(super) struct Page(Samples);

impl Page {
    /// Adds a series with these values of the family's labels, in its order.
    pub(super) fn set<const N: usize>(&mut self, family: &Family, labels: [&str; N], value: f64) {
        assert_eq!(family.labels.len(), N, "{} has these labels", family.name);
        self.0.set(family, &labels, value);
    }

    /// Adds one whose value was counted.
    #[expect(clippy::cast_precision_loss, reason = "the page has doubles: exact below 2^53")]
    pub(super) fn count<const N: usize>(&mut self, family: &Family, labels: [&str; N], value: u64) {
        self.set(family, labels, value as f64);
    }

    /// Adds a gauge of a family that is known only at run time.
    pub(super) fn named(&mut self, name: &str, help: &str, label: (&str, &str), value: f64) {
        self.0.named(name, Kind::Gauge, help, &[label], value);
    }
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
