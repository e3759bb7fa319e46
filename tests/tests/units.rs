//! The units of `systemd/` as systemd itself judges them: without a mistake, and the sandbox of the
//! agent as tight as it was.
//!
//! Whether the agent can work in it is shown by the tests of the laboratory.

use std::fs;
use std::path::Path;
use std::process::Command;

use curfew_tests::directory::{self, Directory};
use curfew_tests::ground;

const UNITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../systemd");
/// In tenths, as `--threshold` wants it. More needs a reason in the unit, and in decision 23 or 40.
const MOST_EXPOSED: &str = "19";
/// Of what asks the disks. It is root with two capabilities, in a sandbox otherwise; decision 41.
const SMART_EXPOSED: &str = "17";
/// `HOLD_LIMIT` of the agent's own end of the hand.
const AGENT_WAITS_S: u64 = 180;

#[test]
fn the_sandboxes_are_as_tight_as_they_were() {
    for (name, most) in [("curfew.service", MOST_EXPOSED), ("curfew-smart.service", SMART_EXPOSED)]
    {
        let unit = format!("{UNITS}/{name}");
        let (succeeded, said) = analyze(&["security", "--offline=yes", "--threshold", most, &unit]);
        assert!(succeeded, "{said}");
        // It did look at the unit.
        assert!(said.contains(&format!("Overall exposure level for {name}")), "{said}");
    }
}

#[test]
fn systemd_understands_every_line_of_every_unit() {
    let folder = Directory::new(&ground::unique_name()).unwrap();
    // Programs are looked for; where they will be is none of this test.
    let program = folder.join("program");
    directory::write_program(&program, "#!/bin/sh\n").unwrap();
    let mut units = Vec::new();
    for entry in fs::read_dir(UNITS).unwrap() {
        let path = entry.unwrap().path();
        let is_unit = path.extension().is_some_and(|it| {
            ["service", "socket", "target", "timer"].iter().any(|kind| it == *kind)
        });
        if !is_unit {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let copy = folder.join(path.file_name().unwrap());
        directory::write(&copy, &with_program(&text, &program)).unwrap();
        // A template is looked at as one of its instances.
        let name = path.file_name().and_then(|name| name.to_str()).unwrap().replace('@', "@1");
        if name.contains('@') {
            fs::copy(&copy, folder.join(&name)).unwrap();
        }
        units.push(folder.join(name).display().to_string());
    }
    assert!(units.len() > 5, "{units:?}");
    let mut arguments = vec!["verify", "--man=no"];
    arguments.extend(units.iter().map(String::as_str));
    assert_eq!(analyze(&arguments), (true, String::new()));
}

#[test]
fn who_waits_for_the_hold_waits_longer_than_who_is_waited_for() {
    let forced = 25;
    let script = number("lib/enter-hold", "ENTER_LIMIT=") + forced;
    let unit = number("curfew-hold.service", "TimeoutStartSec=");
    let hand = number("lib/hand", "HOLD_LIMIT=");
    let hand_unit = number("curfew-hand@.service", "RuntimeMaxSec=");
    assert!(script < unit && unit < hand && hand < AGENT_WAITS_S, "{script} {unit} {hand}");
    assert!(hand < hand_unit, "{hand} {hand_unit}");
}

#[test]
fn disks_that_all_hang_are_given_up_before_systemd_gives_up_the_script() {
    let script = |key| number("lib/smart", key);
    let longest = script("DISKS_MAX=") * (script("ASK_LIMIT=") + script("KILL_LIMIT="));
    let unit = number("curfew-smart.service", "TimeoutStartSec=");
    assert!(longest < unit, "{longest} {unit}");
    // A stop of the machine, or the hold, which kills what has not stopped after STOP_LIMIT.
    let stop = number("curfew-smart.service", "TimeoutStopSec=");
    assert!(stop < number("lib/enter-hold", "STOP_LIMIT=") / 2, "{stop}");
}

/// Returns the seconds that the line says which begins with `key`.
fn number(path: &str, key: &str) -> u64 {
    let text = fs::read_to_string(Path::new(UNITS).join(path)).expect("the file is there");
    let value = text.lines().find_map(|line| line.strip_prefix(key)).expect("the line is there");
    value.trim_end_matches('s').parse().expect("seconds")
}

/// Starts `program` where a unit starts one that the package brings.
fn with_program(unit: &str, program: &Path) -> String {
    let program = program.display().to_string();
    let mut text = String::new();
    for line in unit.lines() {
        let is_ours = line.contains("=/usr/bin/curfew") || line.contains("=/usr/lib/curfew/");
        if line.starts_with("ExecStart=") && is_ours {
            text.push_str("ExecStart=");
            text.push_str(&program);
        } else {
            text.push_str(line);
        }
        text.push('\n');
    }
    text
}

/// Returns whether `systemd-analyze` succeeds, and all that it says.
fn analyze(arguments: &[&str]) -> (bool, String) {
    let output = Command::new("systemd-analyze")
        .args(["--no-pager"])
        .args(arguments)
        .output()
        .expect("the program is installed: .ci/run names its package");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}
