//! What counts up over the life of the agent.

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};

use super::page::Recording;
use super::{Family, PEER_REFUSED, WAKE_PACKETS};

/// The counters; one of them for the whole agent, shared by reference.
///
/// Making it takes a moment once for each process, in which a clock is calibrated.
#[derive(Debug)]
pub struct Counters {
    recorder: PrometheusRecorder,
}

impl Default for Counters {
    fn default() -> Self {
        Self::new()
    }
}

impl Counters {
    /// Returns counters that stand at zero.
    pub fn new() -> Self {
        Self { recorder: PrometheusBuilder::new().build_recorder() }
    }

    /// Counts a refused connection or message; `reason` is a label of the peers' refusals.
    pub fn peer_refused(&self, reason: &'static str) {
        self.count(&PEER_REFUSED, reason);
    }

    /// Counts a magic packet to `host`.
    pub fn wake_packet(&self, host: &str) {
        self.count(&WAKE_PACKETS, host);
    }

    pub(crate) fn render(&self) -> String {
        self.recorder.handle().render()
    }

    fn count(&self, family: &Family, label: &str) {
        Recording::new(&self.recorder).counter(family, [label]).increment(1);
    }
}
