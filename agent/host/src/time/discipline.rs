//! How well the clock is kept: `adjtimex(2)`, which is asked and changes nothing.

use std::io;

use rtime_clock::adjtime::{Timex, adjtimex};

use crate::collector::Context;
use crate::read::CollectError;
use crate::sample::Family;
use crate::text::{one_if, signed};

pub(crate) fn collect(context: &mut Context<'_>) -> Result<(), CollectError> {
    // No bit of `modes` is set: so nothing is adjusted.
    let mut answer = Timex::new();
    let state = adjtimex(&mut answer).map_err(|source| {
        // A sandbox that keeps the clock from being set may take this away, too.
        if source.kind() == io::ErrorKind::PermissionDenied {
            CollectError::Absent { what: "leave to ask the clock" }
        } else {
            CollectError::Ask { call: "adjtimex", source }
        }
    })?;
    let clock = &answer.0;
    let second = if clock.status & NANOSECONDS == 0 { 1e6 } else { 1e9 };
    let values = [
        one_if(state != UNSYNCHRONISED),
        signed(clock.offset) / second,
        1.0 + signed(clock.freq) / FREQUENCY,
        signed(clock.maxerror) / 1e6,
        signed(clock.esterror) / 1e6,
        f64::from(clock.status),
        signed(clock.constant),
        signed(clock.tick) / 1e6,
        signed(clock.ppsfreq) / FREQUENCY,
        signed(clock.jitter) / second,
        f64::from(clock.shift),
        signed(clock.stabil) / FREQUENCY,
        signed(clock.jitcnt),
        signed(clock.calcnt),
        signed(clock.errcnt),
        signed(clock.stbcnt),
        f64::from(clock.tai),
    ];
    for (family, value) in FAMILIES.iter().zip(values) {
        context.samples.set(family, &[], value);
    }
    Ok(())
}

/// `TIME_ERROR`: nobody keeps the clock.
const UNSYNCHRONISED: i32 = 5;
/// `STA_NANO` in the status: some fields are in nanoseconds.
const NANOSECONDS: i32 = 0x2000;
/// Frequencies are in parts per million, with 16 bits behind the point.
const FREQUENCY: f64 = 1e6 * 65536.0;

/// In the order of the values above.
static FAMILIES: [Family; 17] = [
    Family::gauge("node_timex_sync_status", &[], "1 if somebody keeps the clock right, else 0."),
    Family::gauge("node_timex_offset_seconds", &[], "How far the clock is off."),
    Family::gauge("node_timex_frequency_adjustment_ratio", &[], "How fast the clock is made."),
    Family::gauge("node_timex_maxerror_seconds", &[], "How far the clock can be off."),
    Family::gauge("node_timex_estimated_error_seconds", &[], "How far the clock may be off."),
    Family::gauge("node_timex_status", &[], "The bits of the clock's status."),
    Family::gauge("node_timex_loop_time_constant", &[], "How quickly the clock is steered."),
    Family::gauge("node_timex_tick_seconds", &[], "From one tick of the clock to the next."),
    Family::gauge("node_timex_pps_frequency_hertz", &[], "Frequency of the pulse per second."),
    Family::gauge("node_timex_pps_jitter_seconds", &[], "Jitter of the pulse per second."),
    Family::gauge("node_timex_pps_shift_seconds", &[], "Interval of the pulse per second."),
    Family::gauge("node_timex_pps_stability_hertz", &[], "Stability of the pulse per second."),
    Family::counter("node_timex_pps_jitter_total", &[], "Pulses with too much jitter."),
    Family::counter("node_timex_pps_calibration_total", &[], "Calibrations by the pulse."),
    Family::counter("node_timex_pps_error_total", &[], "Calibrations that failed."),
    Family::counter("node_timex_pps_stability_exceeded_total", &[], "Pulses not stable enough."),
    Family::gauge("node_timex_tai_offset_seconds", &[], "How far atomic time is ahead of UTC."),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Tree;

    #[test]
    fn the_kernel_tells_how_the_clock_is_kept() {
        let (result, samples) = Tree::new(&[]).collect(collect);
        result.unwrap();
        assert_eq!(samples.len(), FAMILIES.len());
        let tick = samples.value("node_timex_tick_seconds").unwrap();
        assert!((0.009..0.011).contains(&tick), "{tick}");
        let ratio = samples.value("node_timex_frequency_adjustment_ratio").unwrap();
        assert!((0.999..1.001).contains(&ratio), "{ratio}");
    }
}
