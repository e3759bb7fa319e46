//! Known mistakes: each breaks a story, or nothing would show that its switch does anything.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::panic;

use curfew_coordinator::Mistake;

use crate::{cycle, declaring, ending, forced, numbers, owed, recovery, stopping, triggers};

thread_local! {
    static CHOSEN: Cell<Option<Mistake>> = const { Cell::new(None) };
}

/// Returns the mistake that all coordinators of this story make.
pub(crate) fn chosen() -> Option<Mistake> {
    CHOSEN.get()
}

/// A mistake that a story can be told with finds its way into the rules; one that breaks it does
/// harm there.
#[test]
fn each_mistake_breaks_a_story() {
    let unbroken = STORIES.into_iter().filter(|(mistake, story)| {
        CHOSEN.set(Some(*mistake));
        panic::catch_unwind(story).is_ok()
    });
    let unbroken: Vec<_> = unbroken.map(|(mistake, _)| mistake).collect();
    CHOSEN.set(None);
    assert!(unbroken.is_empty(), "nothing breaks: {unbroken:?}");
    let tried: BTreeSet<_> = STORIES.into_iter().map(|(mistake, _)| mistake).collect();
    assert_eq!(tried, BTreeSet::from(Mistake::ALL), "all are tried");
}

/// For each mistake a story that holds without it.
const STORIES: [(Mistake, fn()); 51] = [
    (Mistake::NoDebounce, triggers::an_outage_shorter_than_the_debounce_is_none),
    (Mistake::CountsPolls, numbers::one_driver_update_that_lies_declares_nothing),
    (Mistake::LowAloneIsCritical, triggers::low_battery_on_mains_never_triggers),
    (
        Mistake::MissingChargeIsZero,
        triggers::who_never_had_a_runtime_and_sees_nothing_declares_blind_after_60_s,
    ),
    (
        Mistake::LostContactTriggers,
        forced::fsd_that_is_found_over_a_new_connection_on_mains_is_alarmed_and_not_acted_on,
    ),
    (
        Mistake::LeftoverForceCounts,
        forced::fsd_that_was_there_before_the_agent_is_alarmed_and_not_acted_on,
    ),
    (Mistake::NeedsLongestStop, cycle::an_outage_ends_in_the_hold_and_all_come_back_in_order),
    (Mistake::NumberPerTrigger, declaring::a_second_trigger_adds_its_reason_to_the_open_shutdown),
    (Mistake::DeclaresById, declaring::the_next_outage_has_the_next_number),
    (
        Mistake::BlindLatchedBySeeing,
        triggers::a_blind_declaration_is_reported_by_those_who_see_and_its_declarer_is_woken,
    ),
    (Mistake::LastHeardWins, declaring::new_evidence_after_a_turn_takes_the_next_number),
    (Mistake::ActsOnEnded, declaring::the_next_outage_has_the_next_number),
    (Mistake::EndedFalls, declaring::the_next_outage_has_the_next_number),
    (Mistake::ForgetsSuperseded, declaring::new_evidence_after_a_turn_takes_the_next_number),
    (Mistake::ActsOnOldLatch, declaring::a_host_that_booted_does_not_act_on_what_it_latched_before),
    (
        Mistake::ForgetsLatchAtRestart,
        declaring::an_agent_that_starts_again_alone_resumes_where_the_journal_stands,
    ),
    (
        Mistake::ReserveInLatestStarts,
        stopping::a_host_that_hangs_delays_the_others_until_their_latest_start_and_no_longer,
    ),
    (Mistake::CarriedBeatsOwn, stopping::a_host_reckons_with_its_own_readings),
    (Mistake::IgnoresLow, triggers::from_the_first_low_battery_on_no_host_reckons_with_more),
    (Mistake::KeepsOldLow, triggers::low_battery_of_one_outage_is_forgotten_in_the_next),
    (
        Mistake::CompressesOwner,
        stopping::a_plan_that_does_not_fit_is_compressed_and_the_owner_stays_for_the_others,
    ),
    (
        Mistake::BeginsAtOnce,
        stopping::hosts_without_dependents_begin_at_once_and_the_others_when_theirs_are_released,
    ),
    (Mistake::WaitsForRelease, stopping::a_host_that_hears_nobody_begins_at_its_latest_start),
    (Mistake::OwnerIgnoresFed, stopping::the_owner_waits_for_a_fed_host_that_needs_nothing),
    (
        Mistake::NoPause,
        stopping::a_host_that_has_not_begun_pauses_on_mains_and_goes_on_without_debounce,
    ),
    (
        Mistake::BeginsUnread,
        stopping::an_agent_restarted_in_the_pause_looks_at_the_ups_before_it_begins,
    ),
    (
        Mistake::ReleasedByStopping,
        cycle::mains_that_return_when_only_k8s_2_has_begun_bring_back_k8s_2_alone,
    ),
    (
        Mistake::HaltingIsEnough,
        stopping::halting_does_not_release_while_the_server_still_sees_the_mounts,
    ),
    (Mistake::UnreadMountsAreNone, stopping::mounts_that_cannot_be_read_count_as_still_there),
    (Mistake::NoSessionIsAbsent, stopping::a_host_never_heard_is_waited_for_until_the_latest_start),
    (Mistake::KeepsReleased, ending::an_owner_that_cuts_waits_until_each_fed_host_is_off),
    (Mistake::SilenceWithoutLink, stopping::an_owner_with_a_loose_cable_waits_for_its_latest_start),
    (
        Mistake::ArpIsLife,
        stopping::a_network_card_that_answers_arp_for_a_halted_machine_keeps_nobody_waiting,
    ),
    (Mistake::DrillCounts, declaring::the_state_of_a_drill_proves_nothing_and_declares_nothing),
    (
        Mistake::TellsBeforeSaving,
        declaring::an_agent_that_starts_again_alone_resumes_where_the_journal_stands,
    ),
    (Mistake::CallsAgain, cycle::agents_restarted_while_they_stop_do_not_stop_twice),
    (Mistake::SleepsWhenBegun, cycle::an_outage_ends_in_the_hold_and_all_come_back_in_order),
    (Mistake::CutsUnpromised, cycle::an_outage_ends_in_the_hold_and_all_come_back_in_order),
    (Mistake::CutsWhenReleased, ending::an_owner_that_cuts_waits_until_each_fed_host_is_off),
    (
        Mistake::TurnsAtFirstMains,
        ending::a_shutdown_turns_when_the_mains_have_held_and_not_at_a_flicker,
    ),
    (
        Mistake::BeginsAlthoughTurned,
        declaring::an_order_that_is_called_off_turns_and_leaves_nobody_off_by_intent,
    ),
    (
        Mistake::CallOffEnds,
        declaring::an_order_that_is_called_off_turns_and_leaves_nobody_off_by_intent,
    ),
    (
        Mistake::ForgetsOwedAtEnd,
        recovery::a_host_that_hangs_in_its_stop_is_passed_by_and_woken_when_it_is_off_at_last,
    ),
    (
        Mistake::NobodyStandsIn,
        ending::a_host_turns_in_place_of_an_owner_whose_agent_is_dead_and_conducts,
    ),
    (
        Mistake::WakesOnBattery,
        cycle::a_second_outage_during_recovery_is_a_new_number_and_strands_nobody,
    ),
    (Mistake::WakesAllAtOnce, cycle::an_outage_ends_in_the_hold_and_all_come_back_in_order),
    (Mistake::WaitsForReported, recovery::a_host_that_comes_after_the_end_is_owed_nothing),
    (
        Mistake::WaitsForCharge,
        recovery::a_battery_that_does_not_charge_is_waited_for_no_longer_than_charge_wait,
    ),
    (
        Mistake::GivesUpByClock,
        recovery::a_host_that_hangs_in_its_stop_is_passed_by_and_woken_when_it_is_off_at_last,
    ),
    (
        Mistake::ForgetsTheSilent,
        owed::a_host_that_falls_silent_on_battery_is_woken_without_any_shutdown,
    ),
    (Mistake::WakesIntended, declaring::an_owner_that_boots_with_an_order_recorded_wakes_nobody),
];
