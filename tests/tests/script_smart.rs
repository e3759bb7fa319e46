//! The script that asks the disks (`systemd/lib/smart`): what it leaves for the agent, and that no
//! disk holds up another one, or the machine.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use curfew_tests::ground;
use curfew_tests::script::Stage;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const SCRIPT: &str = "systemd/lib/smart";
/// Says who is asked, and answers.
const ANSWERS: &str = "note \"$@\"; for device in \"$@\"; do :; done; echo \"{\\\"$device\\\"}\"";
const HANGS: &str = "exec timeout 60 tail -f /dev/null";
/// `TimeoutStopSec=` of the unit.
const STOP_LIMIT: Duration = Duration::from_secs(2);

#[test]
fn each_disk_leaves_what_smartctl_says_of_it() -> Result<()> {
    let stage = stage("all", ANSWERS)?;
    disk(&stage, "sda", "0")?;
    disk(&stage, "sdb", "1")?;
    controller(&stage, "nvme0", "live")?;
    for name in ["vda", "mmcblk0", "mmcblk0boot0", "loop0", "zram0", "sr0"] {
        disk(&stage, name, "0")?;
    }
    // In a container: the kernel's disk, and no way to it.
    stage.write("sys/block/sdc/removable", "0\n")?;
    play(&stage)?;
    assert!(left(&stage, "sda").starts_with("at=1000 result=answered answered=1000 misses=0\n{"));
    assert!(left(&stage, "sda").contains("/dev/sda\"}\n"), "{}", left(&stage, "sda"));
    assert!(left(&stage, "nvme0").contains("/dev/nvme0\"}\n"));
    let mut files = files(&stage)?;
    files.sort();
    assert_eq!(files, ["list", "nvme0.disk", "sda.disk", "summary"]);
    let summary = "at=1000 smartctl=found virtual=vda,mmcblk0 left-out=0\n";
    assert_eq!(stage.read("run/curfew-smart/summary"), summary);
    let asked = calls(&stage);
    assert_eq!(asked.len(), 2, "{asked:?}");
    for call in asked {
        let options = "--json=c --health --attributes --info --nocheck=standby,3 --device=auto ";
        assert!(call.starts_with(options), "{call}");
    }
    Ok(())
}

#[test]
fn what_smartctl_finds_wrong_is_an_answer() -> Result<()> {
    // Not opened, a checksum, failing, attributes, the error log: all but the command line's bit.
    for code in [1, 2, 4, 8, 16, 32, 64, 128, 0b1111_1000] {
        let stage = stage("codes", &format!("echo '{{}}'; exit {code}"))?;
        disk(&stage, "sda", "0")?;
        play(&stage)?;
        let answer = "at=1000 result=answered answered=1000 misses=0\n{}\n";
        assert_eq!(left(&stage, "sda"), answer, "{code}");
    }
    Ok(())
}

#[test]
fn a_disk_that_sleeps_keeps_what_it_said_last() -> Result<()> {
    let stage = stage("sleeps", "exit 3")?;
    disk(&stage, "sda", "0")?;
    play(&stage)?;
    assert_eq!(left(&stage, "sda"), "at=1000 result=standby misses=0\n");
    stage.program("smartctl", "echo '{\"awake\": 1}'")?;
    stage.set_clock(4600)?;
    play(&stage)?;
    stage.program("smartctl", "echo '{\"message\": \"STANDBY\"}'; exit 3")?;
    for at in [8200, 11_800] {
        stage.set_clock(at)?;
        play(&stage)?;
        let kept = format!("at={at} result=standby answered=4600 misses=0\n{{\"awake\": 1}}\n");
        assert_eq!(left(&stage, "sda"), kept);
    }
    Ok(())
}

#[test]
fn a_disk_that_hangs_holds_up_no_other_and_is_counted() -> Result<()> {
    let body = format!("case $* in */sda) {HANGS} ;; esac\n{ANSWERS}");
    let stage = stage("hangs", &body)?;
    stage.edit("ASK_LIMIT=20", "ASK_LIMIT=5")?;
    disk(&stage, "sda", "0")?;
    disk(&stage, "sdb", "0")?;
    for (look, misses) in [(1000, 1), (5000, 2)] {
        stage.set_clock(look)?;
        play(&stage)?;
        let found = left(&stage, "sda");
        assert!(found.ends_with(&format!(" result=silent misses={misses}\n")), "{found}");
        assert!(left(&stage, "sdb").contains(" result=answered "));
        // The limit of one disk, on the boot clock.
        let took = stage.clock()? - look;
        assert!((4..8).contains(&took), "{took}");
    }
    stage.program("smartctl", ANSWERS)?;
    play(&stage)?;
    assert!(left(&stage, "sda").contains("result=answered") && !files_of("hung", &stage)?);
    Ok(())
}

#[test]
fn a_smartctl_that_cannot_be_killed_is_not_joined_by_another() -> Result<()> {
    let stage = stage("stuck", ANSWERS)?;
    disk(&stage, "sda", "0")?;
    stage.write("run/curfew-smart/sda.disk", "at=10 result=answered answered=10 misses=0\n{}\n")?;
    stage.write("run/curfew-smart/sda.hung", "4242\n")?;
    stage.write("proc/4242/comm", "smartctl\n")?;
    play(&stage)?;
    play(&stage)?;
    assert_eq!(left(&stage, "sda"), "at=1000 result=silent answered=10 misses=2\n{}\n");
    assert!(calls(&stage).is_empty());
    // Its number has passed to somebody else.
    stage.write("proc/4242/comm", "cat\n")?;
    play(&stage)?;
    assert!(left(&stage, "sda").contains("result=answered answered=1000"));
    assert!(!files_of("hung", &stage)?);
    Ok(())
}

#[test]
fn a_disk_that_the_kernel_has_given_up_is_not_asked() -> Result<()> {
    let stage = stage("offline", ANSWERS)?;
    disk(&stage, "sda", "0")?;
    stage.write("sys/block/sda/device/state", "offline\n")?;
    controller(&stage, "nvme0", "dead")?;
    controller(&stage, "nvme1", "resetting")?;
    play(&stage)?;
    assert_eq!(left(&stage, "sda"), "at=1000 result=offline misses=0\n");
    assert_eq!(left(&stage, "nvme0"), "at=1000 result=offline misses=0\n");
    assert_eq!(left(&stage, "nvme1"), "at=1000 result=silent misses=1\n");
    assert!(calls(&stage).is_empty());
    Ok(())
}

#[test]
fn a_disk_that_is_gone_leaves_no_file() -> Result<()> {
    let stage = stage("gone", ANSWERS)?;
    disk(&stage, "sda", "0")?;
    for file in ["sdb.disk", "sdb.new", "sdb.answer", "sdb.hung", "a*.disk"] {
        stage.write(&format!("run/curfew-smart/{file}"), "old\n")?;
    }
    play(&stage)?;
    let mut files = files(&stage)?;
    files.sort();
    assert_eq!(files, ["list", "sda.disk", "summary"]);
    Ok(())
}

#[test]
fn without_smartctl_it_says_so_and_leaves_nothing_old() -> Result<()> {
    let stage = stage("missing", "")?;
    std::fs::remove_file(stage.join("bin/smartctl"))?;
    disk(&stage, "sda", "0")?;
    stage.write("run/curfew-smart/sda.disk", "at=10 result=answered answered=10 misses=0\n{}\n")?;
    play(&stage)?;
    let summary = "at=1000 smartctl=missing virtual= left-out=0\n";
    assert_eq!(stage.read("run/curfew-smart/summary"), summary);
    assert!(!stage.join("run/curfew-smart/sda.disk").exists());
    Ok(())
}

#[test]
fn more_disks_than_are_asked_are_counted() -> Result<()> {
    let stage = stage("many", "echo '{}'")?;
    stage.edit("DISKS_MAX=32", "DISKS_MAX=2")?;
    for name in ["sda", "sdb", "sdc", "sdd", "sde"] {
        disk(&stage, name, "0")?;
    }
    play(&stage)?;
    assert!(stage.read("run/curfew-smart/summary").ends_with(" left-out=3\n"));
    Ok(())
}

#[test]
fn it_ends_at_once_when_it_is_told_to_while_a_disk_hangs() -> Result<()> {
    let stage = stage("told", &format!("note asked; echo $$ > asked; {HANGS}"))?;
    // The clock stands: by itself it would wait for ever.
    stage.program("sleep", "exec /bin/sleep \"$@\"")?;
    disk(&stage, "sda", "0")?;
    let mut child = Command::new(stage.join("script"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("start the script")?;
    let limit = Duration::from_secs(10);
    eventually("it asks the disk", limit, || stage.read("asked").ends_with('\n'))?;
    let asked: i32 = stage.read("asked").trim().parse()?;
    kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGTERM)?;
    let told = ground::now();
    eventually("it ends", STOP_LIMIT, || has_ended(&mut child))?;
    assert!(ground::now().since(told) < STOP_LIMIT);
    // One that the kernel keeps would be asked anew by the next look.
    assert!(files_of("hung", &stage)?);
    eventually("what it started ends", STOP_LIMIT, || kill(Pid::from_raw(asked), None).is_err())
}

fn eventually(what: &str, limit: Duration, mut is: impl FnMut() -> bool) -> Result<()> {
    let started = ground::now();
    while !is() {
        ensure!(ground::now().since(started) < limit, "{what}: not within {limit:?}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    Ok(())
}

fn has_ended(child: &mut Child) -> bool {
    child.try_wait().is_ok_and(|status| status.is_some())
}

/// A stage with a `smartctl` that does `body`.
fn stage(name: &str, body: &str) -> Result<Stage> {
    let stage = Stage::new(&format!("smart-{name}"), SCRIPT)?;
    stage.program("smartctl", body)?;
    stage.write("run/curfew-smart/.here", "")?;
    Ok(stage)
}

fn disk(stage: &Stage, name: &str, removable: &str) -> Result<()> {
    stage.write(&format!("sys/block/{name}/removable"), &format!("{removable}\n"))?;
    stage.write(&format!("sys/block/{name}/device/state"), "running\n")?;
    stage.write(&format!("dev/{name}"), "")
}

fn controller(stage: &Stage, name: &str, state: &str) -> Result<()> {
    stage.write(&format!("sys/class/nvme/{name}/state"), &format!("{state}\n"))?;
    stage.write(&format!("dev/{name}"), "")
}

fn play(stage: &Stage) -> Result<()> {
    let output = stage.play(&[], "")?;
    assert!(output.status.success(), "{output:?}");
    Ok(())
}

/// What there is for the agent of a disk.
fn left(stage: &Stage, name: &str) -> String {
    stage.read(&format!("run/curfew-smart/{name}.disk"))
}

fn files(stage: &Stage) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(stage.join("run/curfew-smart"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            names.push(name);
        }
    }
    Ok(names)
}

fn files_of(kind: &str, stage: &Stage) -> Result<bool> {
    Ok(files(stage)?.iter().any(|name| name.ends_with(kind)))
}

fn calls(stage: &Stage) -> Vec<String> {
    stage.calls().into_iter().map(|(_, call)| call).collect()
}
