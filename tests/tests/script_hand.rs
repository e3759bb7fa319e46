//! The hand (`systemd/lib/hand`): does what it is asked to, and nothing that only looks like it.

use std::time::Duration;

use anyhow::Result;
use curfew_tests::ground;
use curfew_tests::script::Stage;

const HAND: &str = "systemd/lib/hand";
const HOLD: &str = "hold 7 60 540 eaton@10.0.0.13:3493\n";
/// To what is not a hold.
const AGENT_LISTENS: Duration = Duration::from_secs(6);

#[test]
fn a_power_off_goes_by_way_of_logind() -> Result<()> {
    let stage = stage("logind", "")?;
    assert_eq!(ask(&stage, "poweroff 7\n")?, "ok\n");
    assert_eq!(ask(&stage, "reboot 8\n")?, "ok\n");
    assert_eq!(calls(&stage), ["--no-wall poweroff", "--no-wall reboot"]);
    Ok(())
}

#[test]
fn what_logind_does_not_take_systemd_does() -> Result<()> {
    let stage = stage("systemd", "case $* in --no-wall*) exit 1 ;; esac")?;
    assert_eq!(ask(&stage, "poweroff 7\n")?, "ok\n");
    let last = calls(&stage).pop();
    assert_eq!(
        last.as_deref(),
        Some("--no-block --job-mode=replace-irreversibly start poweroff.target")
    );
    Ok(())
}

#[test]
fn now_means_that_no_unit_is_asked() -> Result<()> {
    let stage = stage("now", "")?;
    assert_eq!(ask(&stage, "poweroff-now 7\n")?, "ok\n");
    assert_eq!(ask(&stage, "reboot-now 7\n")?, "ok\n");
    assert_eq!(calls(&stage), ["--force poweroff", "--force reboot"]);
    Ok(())
}

#[test]
fn a_systemd_that_takes_nothing_is_told_of() -> Result<()> {
    let stage = stage("none", "exit 1")?;
    for request in ["poweroff 7\n", "poweroff-now 7\n", "reboot 7\n", "reboot-now 7\n", HOLD] {
        let answer = ask(&stage, request)?;
        assert!(answer.starts_with("failed: systemd did not take"), "{request} {answer}");
    }
    Ok(())
}

#[test]
fn a_systemd_that_hangs_is_told_of_while_the_agent_still_listens() -> Result<()> {
    let stage = stage("hangs", "exec /bin/sleep 20 > /dev/null 2>&1")?;
    for request in ["poweroff 7\n", "reboot-now 7\n"] {
        let started = ground::now();
        assert!(ask(&stage, request)?.starts_with("failed: systemd did not take"), "{request}");
        assert!(
            ground::now().since(started) < AGENT_LISTENS,
            "{request} {:?}",
            ground::now().since(started)
        );
    }
    Ok(())
}

#[test]
fn a_hold_is_answered_when_it_is_entered() -> Result<()> {
    // Entered after half a minute of waiting.
    let stage = stage("hold", "echo entering > run/curfew-hold/state")?;
    stage.program(
        "cat",
        "[ $(cut -d. -f1 proc/uptime) -lt 1030 ] && exec /bin/cat \"$@\"\necho held",
    )?;
    assert_eq!(ask(&stage, HOLD)?, "ok\n");
    assert!(stage.clock()? >= 1030);
    assert_eq!(calls(&stage), ["--no-block start curfew-hold.target"]);
    let request = "shutdown=7\nmains-stable=60\nruntime-left=540\nups=eaton@10.0.0.13:3493\n";
    assert_eq!(stage.read("run/curfew-hold/request"), request);
    // Asked again it answers the same, and what was asked first stands.
    assert_eq!(ask(&stage, "hold 7 1 0 other@[fd00::1]:3493\n")?, "ok\n");
    assert_eq!(stage.read("run/curfew-hold/request"), request);
    Ok(())
}

#[test]
fn a_hold_that_is_never_entered_is_told_of() -> Result<()> {
    let stage = stage("never", "echo entering > run/curfew-hold/state")?;
    stage.edit("HOLD_LIMIT=170", "HOLD_LIMIT=2")?;
    assert!(ask(&stage, HOLD)?.starts_with("failed: the hold is not entered"));
    Ok(())
}

#[test]
fn a_word_to_the_terminals_is_text_and_no_more() -> Result<()> {
    let stage = stage("wall", "")?;
    stage.program("wall", "shift; note \"wall:$*\"")?;
    let text = "NFS has 2 clients; $(reboot) `reboot` 'x' \\033 -- *";
    assert_eq!(ask(&stage, &format!("wall {text}\n"))?, "ok\n");
    assert_eq!(calls(&stage), [format!("wall:{text}")]);
    assert!(stage.read("dev/console").contains(text));
    Ok(())
}

#[test]
fn what_is_not_exactly_a_request_is_refused() -> Result<()> {
    let stage = stage("refused", "")?;
    let long = format!("wall {}\n", "x".repeat(401));
    let endless = "x".repeat(5000);
    for request in [
        "",
        "\n",
        "\n\n",
        "poweroff",
        "poweroff \n",
        "poweroff 7 8\n",
        "poweroff  7\n",
        " poweroff 7\n",
        "poweroff 7 \n",
        "poweroff\t7\n",
        "poweroff -7\n",
        "poweroff 07\n",
        "poweroff 7.5\n",
        "poweroff 12345678901234567890\n",
        "poweroff *\n",
        "poweroff $(reboot)\n",
        "POWEROFF 7\n",
        "halt 7\n",
        "poweroff 7\nreboot 7\n",
        "poweroff 7\r\n",
        "reboot 7\u{1b}[1m\n",
        "reboot \u{fc}\n",
        "wall\n",
        "wall \n",
        "wall \u{1b}]0;x\u{7}\n",
        "hold 7\n",
        "hold 7 60 540\n",
        "hold 7 60 540 eaton\n",
        "hold 7 60 540 eaton@nfs\n",
        "hold 7 60 540 eaton@:3493\n",
        "hold 7 60 540 @nfs:3493\n",
        "hold 7 60 540 eaton@nfs:\n",
        "hold 7 60 540 eaton@nfs:34o3\n",
        "hold 7 60 540 -x@nfs:3493\n",
        "hold 7 60 540 eaton@-x:3493\n",
        "hold 7 60 540 ea;ton@nfs:3493\n",
        "hold 7 60 540 eaton@n$fs:3493\n",
        "hold 7 60 540 eaton@a@b:3493\n",
        "hold 7 60 540 eaton@nfs/x:3493\n",
        "hold 7 six 540 eaton@nfs:3493\n",
        "hold 7 60 540 eaton@nfs:3493 x\n",
        &long,
        &endless,
    ] {
        let answer = ask(&stage, request)?;
        assert!(answer.starts_with("failed: refused: "), "{request:?} {answer:?}");
        assert_eq!(answer.lines().count(), 1, "{request:?} {answer:?}");
    }
    assert!(stage.calls().is_empty());
    assert!(!stage.join("run/curfew-hold/request").exists());
    Ok(())
}

/// A stage with a `systemctl` that does `body`.
fn stage(name: &str, body: &str) -> Result<Stage> {
    let stage = Stage::new(&format!("hand-{name}"), HAND)?;
    stage.program("systemctl", &format!("note \"$@\"\n{body}"))?;
    stage.program("wall", "note wall")?;
    stage.write("run/curfew-hold/.here", "")?;
    stage.write("dev/.here", "")?;
    Ok(stage)
}

fn ask(stage: &Stage, request: &str) -> Result<String> {
    let output = stage.play(&[], request)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn calls(stage: &Stage) -> Vec<String> {
    stage.calls().into_iter().map(|(_, call)| call).collect()
}
