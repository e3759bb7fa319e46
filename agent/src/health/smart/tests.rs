//! What the disks say, judged.

use tokio::time::{Instant, advance};

use super::*;
use crate::smart::tests::{BRIDGE, HARD_DISK, NVME, answer, disk, report};

fn look(disks: Vec<Disk>) -> (State, String) {
    let check = judge(&report(disks));
    (check.state, check.sentence())
}

/// One disk that says this.
fn one(name: &str, json: &str, edits: &[(&str, &str)]) -> (State, String) {
    look(vec![disk(name, answer(json, edits))])
}

fn seen(sight: Sight) -> Check {
    judge(&Report { looked: Instant::now(), hot_above: None, sight })
}

#[test]
fn disks_that_find_nothing_wrong_pass() {
    let (state, text) = one("sda", HARD_DISK, &[]);
    assert_eq!(
        (state, text.as_str()),
        (State::Pass, "sda finds nothing wrong with itself, asked 12 min ago")
    );
    let mut sleeper = disk("sdb", answer(HARD_DISK, &[]));
    sleeper.standing = Standing::Asleep;
    sleeper.answered = Some(Duration::from_hours(50));
    let (state, text) = look(vec![disk("nvme0", answer(NVME, &[])), sleeper]);
    assert_eq!(state, State::Pass);
    assert_eq!(
        text,
        "nvme0, sdb find nothing wrong with themselves, asked 12 min ago; sdb sleeps, last asked \
         2 days ago"
    );
}

#[test]
fn an_ata_disk_is_judged_by_what_it_says_and_counts() {
    const FAILED: (&str, &str) = ("\"passed\":true", "\"passed\":false");
    const PREFAIL: (&str, &str) = ("\"when_failed\":\"\"", "\"when_failed\":\"now\"");
    const PAST: (&str, &str) = ("\"when_failed\":\"\"", "\"when_failed\":\"past\"");
    let raw = |name: &str, number: u32| {
        let (before, after) = HARD_DISK.split_once(name).unwrap();
        let after = after.replacen("\"string\":\"0\"}", &format!("\"string\":\"{number}\"}}"), 1);
        format!("{before}{name}{after}")
    };
    for (json, edits, wanted, words) in [
        (HARD_DISK.to_owned(), vec![FAILED], State::Fail, "sda says itself that it is failing: "),
        (
            HARD_DISK.to_owned(),
            vec![PREFAIL],
            State::Fail,
            "Reallocated_Sector_Ct is at its threshold",
        ),
        (HARD_DISK.to_owned(), vec![PAST], State::Warn, "has been at its threshold"),
        (raw("Current_Pending", 8), vec![], State::Warn, "sda has 8 sectors that cannot be read: "),
        (raw("Offline_Unc", 2), vec![], State::Warn, "2 sectors that could not be read when"),
        (raw("Reallocated", 3), vec![], State::Warn, "3 sectors that have been replaced"),
    ] {
        let (state, text) = one("sda", &json, &edits);
        assert_eq!(state, wanted, "{text}");
        assert!(text.contains(words) && text.contains("/dev/sda"), "{text}");
    }
    // Cells that were replaced are what the spare of an SSD is for.
    let solid = raw("Reallocated", 3).replace("\"rotation_rate\":5400", "\"rotation_rate\":0");
    assert_eq!(one("sda", &solid, &[]).0, State::Pass);
}

#[test]
fn heat_is_told_while_it_lasts_and_forgotten_afterwards() {
    // The first without a threshold is that of the temperature.
    const COOL: &str = "\"thresh\":0,\"when_failed\":\"\"";
    let hot = |when: &str| {
        let failed = format!("\"thresh\":0,\"when_failed\":\"{when}\"");
        one("sda", HARD_DISK, &[(COOL, &failed)])
    };
    assert_eq!(hot("now").0, State::Warn);
    assert_eq!(hot("past").0, State::Pass);
    let limit = [(
        "\"temperature\":{\"current\":32}",
        "\"temperature\":{\"current\":61,\"op_limit_max\":60}",
    )];
    let (state, text) = one("sda", HARD_DISK, &limit);
    assert_eq!(state, State::Warn);
    assert!(text.starts_with("sda is at 61 °C: more air for sda"), "{text}");
    let mut cooled = disk("sda", answer(HARD_DISK, &limit));
    cooled.standing = Standing::Asleep;
    cooled.answered = Some(Duration::from_hours(3));
    assert_eq!(look(vec![cooled]).0, State::Pass, "it sleeps since");
    let mut report = report(vec![disk("sda", answer(HARD_DISK, &[]))]);
    for (hot_above, wanted) in
        [(None, State::Pass), (Some(33), State::Pass), (Some(32), State::Warn)]
    {
        report.hot_above = hot_above;
        assert_eq!(judge(&report).state, wanted);
    }
}

#[test]
fn an_nvme_disk_is_judged_by_its_warnings_and_its_wear() {
    let said = |field: &str, from: u32, to: u32| {
        let (from, to) = (format!("\"{field}\":{from}"), format!("\"{field}\":{to}"));
        one("nvme0", NVME, &[(&from, &to)])
    };
    for (bits, wanted, words) in [
        (1, State::Fail, "fewer spare blocks"),
        (2, State::Warn, "hotter or colder"),
        (4, State::Fail, "no longer reliable"),
        (8, State::Fail, "takes no writes any more"),
        (16, State::Warn, "backup of its memory"),
        (32, State::Warn, "persistent memory"),
        (64, State::Warn, "does not know"),
        (10, State::Fail, "takes no writes any more; nvme0 is hotter or colder"),
    ] {
        let (state, text) = said("critical_warning", 0, bits);
        assert_eq!(state, wanted, "{bits} {text}");
        assert!(text.contains(words), "{bits} {text}");
    }
    for (used, wanted) in [
        (89, State::Pass),
        (90, State::Warn),
        (99, State::Warn),
        (100, State::Fail),
        (255, State::Fail),
    ] {
        let (state, text) = said("percentage_used", 3, used);
        assert_eq!(state, wanted, "{text}");
    }
    assert_eq!(said("available_spare", 100, 9).0, State::Fail);
    assert_eq!(said("available_spare", 100, 10).0, State::Pass);
    // Errors of long ago say nothing, those that go on do.
    assert_eq!(said("media_errors", 0, 5).0, State::Pass);
    let mut rising = disk("nvme0", answer(NVME, &[]));
    rising.rises = vec![Rise { what: "media errors", from: 3.0, to: 5.0 }];
    let (state, text) = look(vec![rising]);
    assert_eq!(state, State::Warn);
    assert!(text.contains("media errors rose from 3 to 5"), "{text}");
}

#[test]
fn a_disk_that_says_nothing_of_itself_never_passes() {
    const SMARTLESS: &str = r#"{"smartctl":{"exit_status":4},"smart_support":{"available":false}}"#;
    const OFF: &str = r#"{"smartctl":{"exit_status":4},
        "smart_support":{"available":true,"enabled":false}}"#;
    for (json, words) in [
        (BRIDGE, "Unknown USB bridge [0x1234:0x5678 (0x100)]"),
        (SMARTLESS, "has no SMART, or none that its USB bridge passes on"),
        (OFF, "`smartctl -s on /dev/sdb`"),
        (r#"{"smartctl":{"exit_status":0}}"#, "does not say whether it fails"),
        (
            r#"{"smartctl":{"exit_status":0},"nvme_smart_health_information_log":{}}"#,
            "does not say whether it fails",
        ),
        (
            r#"{"smartctl":{"exit_status":68},"smart_status":{"passed":true}}"#,
            "answered only in part (smartctl ended with 68)",
        ),
    ] {
        let (state, text) = one("sdb", json, &[]);
        assert_eq!(state, State::Unknown, "{text}");
        assert!(text.starts_with("unknown: sdb ") && text.contains(words), "{text}");
        // Also beside one that is well, whose word is not its own.
        let both = vec![disk("sda", answer(HARD_DISK, &[])), disk("sdb", answer(json, &[]))];
        assert_eq!(look(both).0, State::Unknown);
    }
    // What a disk says of itself is a text of nobody's choice.
    let rude = BRIDGE.replace("Unknown USB", "\\u001b[2J\\n\\u202e");
    let (_, text) = one("sdb", &rude, &[]);
    assert!(text.chars().all(|it| !it.is_control() && it != '\u{202e}'), "{text}");
}

#[test]
fn a_disk_that_cannot_be_asked_says_why() {
    let with = |standing, says: bool| {
        let mut disk = disk("sdb", answer(HARD_DISK, &[]));
        disk.standing = standing;
        if !says {
            (disk.answered, disk.answer) = (None, None);
        }
        look(vec![disk])
    };
    assert_eq!(with(Standing::Silent(1), true).0, State::Unknown);
    let (state, text) = with(Standing::Silent(2), true);
    assert_eq!(state, State::Warn);
    assert!(text.starts_with("sdb has not answered smartctl for 2 times in a row: "), "{text}");
    assert_eq!(with(Standing::Offline, true).0, State::Fail);
    assert_eq!(with(Standing::Unknown, false).0, State::Unknown);
    let mut left_out = disk("sdb", answer(HARD_DISK, &[]));
    left_out.tried = Duration::from_hours(5);
    let (state, text) = look(vec![left_out]);
    assert_eq!(state, State::Unknown);
    assert!(text.starts_with("unknown: sdb has not been asked for 5 h: "), "{text}");
    let (state, text) = with(Standing::Asleep, false);
    assert_eq!(state, State::Unknown);
    assert!(text.starts_with("unknown: sdb sleeps, and has not been asked"), "{text}");
}

#[test]
fn the_worst_comes_first_and_the_rest_is_counted() {
    let failing = answer(HARD_DISK, &[("\"passed\":true", "\"passed\":false")]);
    let worn = answer(NVME, &[("\"percentage_used\":3", "\"percentage_used\":93")]);
    let unknown = || disk("sdb", answer(BRIDGE, &[]));
    let disks = vec![unknown(), disk("nvme0", worn), unknown(), disk("sdz", failing)];
    let (state, text) = look(disks);
    assert_eq!(state, State::Fail);
    let start = "sdz says itself that it is failing; nvme0 is worn: 93 % of what its maker \
                 promises; sdb could not be asked (";
    assert!(text.starts_with(start), "{text}");
    assert!(text.contains("; and 1 more: have a copy of what is on sdz"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_it_is_unknown_with_what_to_do() {
    for (sight, words) in [
        (Sight::Missing, "unknown: smartctl is not installed: `apt install smartmontools`"),
        (Sight::Unasked, "unknown: the disks have not been asked yet: wait some minutes"),
        (Sight::Old(Duration::from_hours(4)), "unknown: the disks were last asked 4 h ago: look"),
        (Sight::Unreadable("x".to_owned()), "unknown: x: `systemctl start"),
        (Sight::Impossible, "unknown: Talos has no smartctl, and nothing stands in for it: `smart"),
        (Sight::Asked(Disks::default()), "unknown: there is no disk here that can be asked"),
    ] {
        let check = seen(sight);
        assert_eq!(check.state, State::Unknown);
        assert!(check.sentence().starts_with(words), "{}", check.sentence());
    }
    let virtual_only = Disks { without: vec!["vda".to_owned()], ..Disks::default() };
    let check = seen(Sight::Asked(virtual_only));
    assert_eq!(check.state, State::Unknown);
    assert!(check.reason.contains("vda, of a virtual machine"), "{}", check.reason);
    assert!(!seen(Sight::Impossible).sentence().contains("systemctl"));

    // An agent whose look hangs does not go on showing its last one.
    let report = report(vec![disk("sda", answer(HARD_DISK, &[]))]);
    advance(Duration::from_mins(4)).await;
    assert_eq!(judge(&report).state, State::Pass);
    advance(Duration::from_mins(1)).await;
    assert_eq!(judge(&report).state, State::Unknown);
    assert!(report.disks().is_empty());
}
