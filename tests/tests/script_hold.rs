//! The hold's scripts: what entering does and leaves alone (`systemd/lib/enter-hold`), and when the
//! machine reboots out of it (`systemd/lib/hold-watch`).

use std::time::Duration;

use anyhow::Result;
use curfew_tests::ground;
use curfew_tests::script::{START_S, Stage};

const ENTER: &str = "systemd/lib/enter-hold";
const WATCH: &str = "systemd/lib/hold-watch";
/// How often systemd starts the watch.
const EVERY_S: u64 = 10;
const NEVER: [u64; 0] = [];
const REBOOT: &str = "systemctl --no-block reboot";

#[test]
fn entering_stops_what_serves_and_leaves_what_the_hold_needs() -> Result<()> {
    let stage = entering("units")?;
    stage.play(&[], "")?;
    let stopped = stage.read("stopped");
    for unit in [
        "nfs-server.service",
        "cron.service",
        "docker.socket",
        "fstrim.timer",
        "nut-monitor.service",
        "srv-media.automount",
        "machine-x.scope",
        "systemd-nspawn@x.service",
        "curfew-smart.service",
        "curfew-smart.timer",
    ] {
        assert!(stopped.lines().any(|line| line == unit), "{unit} goes on: {stopped}");
    }
    for unit in [
        "curfew.service",
        "curfew-hold-watch.timer",
        "nut-server.service",
        "nut-driver@eaton.service",
        "dbus.socket",
        "networking.service",
        "ssh.service",
        "session-1.scope",
        "vpn.service",
        "helper.service",
    ] {
        assert!(!stopped.lines().any(|line| line == unit), "{unit} was stopped");
    }
    assert_eq!(stage.read("run/curfew-hold/state"), "held\n");
    assert_eq!(stage.read("run/curfew-hold/report"), "");
    assert!(stage.read("run/issue.d/curfew.issue").contains("systemctl reboot"));
    Ok(())
}

#[test]
fn entering_unmounts_the_data_from_the_top_and_makes_the_rest_read_only() -> Result<()> {
    let stage = entering("mounts")?;
    stage.play(&[], "")?;
    let calls = stage.calls();
    let done: Vec<_> = calls
        .iter()
        .map(|(_, call)| call.as_str())
        .filter(|call| call.starts_with("umount") || call.starts_with("mount"))
        .collect();
    assert_eq!(
        done,
        [
            "umount -f -l /mnt/other",
            "umount /srv/media/with blanks",
            "umount /srv/media",
            "mount --no-mtab --options remount,ro /var",
            "mount --no-mtab --options remount,ro /",
        ]
    );
    Ok(())
}

#[test]
fn what_hangs_is_left_behind_and_what_stays_written_is_told() -> Result<()> {
    let stage = entering("hung")?;
    stage.edit("MOUNT_LIMIT=5", "MOUNT_LIMIT=1")?;
    stage.program(
        "umount",
        "note umount \"$@\"\ncase $* in *'/srv/media') ;; *) exit ;; esac\n\
         exec timeout 10 tail -f /dev/null > /dev/null 2>&1",
    )?;
    stage.program("mount", "note mount \"$@\"; false")?;
    stage.play(&[], "")?;
    assert_eq!(stage.read("run/curfew-hold/state"), "held\n");
    let report = stage.read("run/curfew-hold/report");
    assert!(report.contains("/srv/media (ext4) could neither be unmounted"), "{report}");
    assert!(!stage.times_of("remount,ro /").is_empty(), "the root had its turn all the same");
    Ok(())
}

#[test]
fn a_mount_that_has_hung_is_not_tried_again() -> Result<()> {
    let stage = entering("hung-once")?;
    stage.edit("MOUNT_LIMIT=5", "MOUNT_LIMIT=1")?;
    stage.program("umount", &format!("note umount \"$@\"\n{HANG} > /dev/null"))?;
    stage.program("mount", "note mount \"$@\"; false")?;
    stage.play(&[], "")?;
    for place in ["/srv/media", "/srv/media/with blanks", "/mnt/other"] {
        let tries = stage.calls().into_iter().filter(|(_, call)| call.ends_with(place)).count();
        assert_eq!(tries, 1, "{place}: {:?}", stage.calls());
    }
    assert_eq!(stage.times_of("remount,ro /var").len(), 2, "one that only fails has another turn");
    Ok(())
}

#[test]
fn a_systemd_that_does_not_say_what_runs_holds_up_nothing() -> Result<()> {
    let stage = entering("mute")?;
    stage.edit("CALL_LIMIT=5", "CALL_LIMIT=1")?;
    // Left behind it has its standard output open for much longer.
    stage.program("systemctl", &format!("case $* in list-units*) ;; *) exit ;; esac\n{HANG}"))?;
    let started = ground::now();
    stage.play(&[], "")?;
    assert!(ground::now().since(started) < HANGS, "{:?}", ground::now().since(started));
    assert_eq!(stage.read("run/curfew-hold/state"), "held\n");
    assert!(stage.read("run/curfew-hold/report").contains("systemd does not say what runs"));
    assert!(!stage.times_of("remount,ro /").is_empty());
    Ok(())
}

#[test]
fn after_its_time_the_disks_are_made_read_only_by_force() -> Result<()> {
    let stage = entering("deadline")?;
    stage.edit("ENTER_LIMIT=115", "ENTER_LIMIT=2")?;
    stage.edit("MOUNT_LIMIT=5", "MOUNT_LIMIT=1")?;
    // Not one of the calls that have a limit of their own.
    stage.program("sort", HANG)?;
    // The kernel takes a moment, and does not get at /var.
    let forced = "[ ! -s sysrq ] || { grep ' /var ' mountinfo > forced; mv forced mountinfo; }";
    stage.program("sleep", &format!("{forced}\nexec /bin/sleep \"$1\""))?;
    let started = ground::now();
    stage.play(&[], "")?;
    assert!(ground::now().since(started) < HANGS, "{:?}", ground::now().since(started));
    assert_eq!(stage.read("sysrq"), "u\n");
    assert_eq!(stage.read("run/curfew-hold/state"), "held\n");
    let report = stage.read("run/curfew-hold/report");
    assert!(report.contains("not done within 2 s: to stop the services"), "{report}");
    assert!(report.contains("/var (ext4) could neither be unmounted"), "{report}");
    assert!(!report.contains("/srv/media"), "{report}");
    assert!(!stage.times_of("sync").is_empty());
    Ok(())
}

#[test]
fn a_service_that_does_not_stop_is_killed_and_told() -> Result<()> {
    let stage = entering("stubborn")?;
    stage.edit("STOP_LIMIT=20", "STOP_LIMIT=1")?;
    stage.edit("KILL_LIMIT=5", "KILL_LIMIT=1")?;
    stage.write("stubborn", "cron.service\n")?;
    stage.play(&[], "")?;
    assert_eq!(stage.times_of("systemctl kill --signal=KILL -- cron.service").len(), 1);
    assert!(stage.read("run/curfew-hold/report").contains("cron.service did not stop"));
    Ok(())
}

#[test]
fn entered_again_in_the_middle_it_goes_on() -> Result<()> {
    let stage = entering("again")?;
    stage.write("run/curfew-hold/state", "entering\n")?;
    stage.write("run/curfew-hold/report", "an old sentence\n")?;
    stage.play(&[], "")?;
    assert_eq!(stage.read("run/curfew-hold/state"), "held\n");
    assert_eq!(stage.read("run/curfew-hold/report"), "");
    // While it stands, nobody ever sees it as not yet entered.
    stage.program("exportfs", "cp run/curfew-hold/state seen")?;
    stage.play(&[], "")?;
    assert_eq!(stage.read("seen"), "held\n");
    Ok(())
}

#[test]
fn mains_for_twice_their_time_end_the_hold() -> Result<()> {
    let stage = watching("mains", 540)?;
    look(&stage, "OB DISCHRG", 3)?;
    look(&stage, "OL CHRG LB", 12)?;
    assert_eq!(stage.times_of(REBOOT), NEVER);
    look(&stage, "FSD OL CHRG", 1)?;
    assert_eq!(stage.times_of(REBOOT).len(), 1);
    Ok(())
}

#[test]
fn mains_that_come_and_go_or_cannot_be_read_begin_anew() -> Result<()> {
    for gap in ["OB", "", "WAIT", "OL OB", "ALARM"] {
        let stage = watching("flap", 540)?;
        look(&stage, "OL", 10)?;
        look(&stage, gap, 1)?;
        look(&stage, "OL", 12)?;
        assert_eq!(stage.times_of(REBOOT), NEVER, "{gap}");
        look(&stage, "OL", 1)?;
        assert_eq!(stage.times_of(REBOOT).len(), 1, "{gap}");
    }
    Ok(())
}

#[test]
fn what_outlives_its_battery_is_on_mains() -> Result<()> {
    for (runtime_left, least_s) in [(0, 1800), (540, 1800), (900, 2700)] {
        let stage = watching("outlives", runtime_left)?;
        look(&stage, "OB", 1)?;
        stage.set_clock(START_S + least_s - 1)?;
        look(&stage, "", 1)?;
        assert_eq!(stage.times_of(REBOOT), NEVER, "{runtime_left}");
        stage.set_clock(START_S + least_s)?;
        look(&stage, "", 1)?;
        assert_eq!(stage.times_of(REBOOT), [START_S + least_s], "{runtime_left}");
    }
    Ok(())
}

#[test]
fn a_ups_that_cannot_be_read_gets_its_driver_every_half_minute() -> Result<()> {
    let stage = watching("driver", 540)?;
    look(&stage, "OB", 1)?;
    look(&stage, "", 10)?;
    let restarts = stage.times_of("restart nut-driver@eaton.service");
    assert_eq!(restarts, [START_S + 10, START_S + 40, START_S + 70, START_S + 100]);
    look(&stage, "OB", 6)?;
    assert_eq!(stage.times_of("restart nut-driver@eaton.service").len(), 4);
    Ok(())
}

#[test]
fn a_driver_that_starts_is_left_to_it() -> Result<()> {
    let stage = watching("starting", 540)?;
    stage.program("systemctl", "note systemctl \"$@\"\ncase $* in show*) echo start ;; esac")?;
    look(&stage, "", 6)?;
    assert_eq!(stage.times_of("restart nut-driver"), NEVER);
    Ok(())
}

#[test]
fn a_reboot_that_does_not_come_is_asked_for_more_firmly() -> Result<()> {
    let stage = watching("firmer", 540)?;
    look(&stage, "OL", 13)?;
    let asked = START_S + 120;
    assert_eq!(stage.times_of(REBOOT), [asked]);
    // Once asked for it is not taken back.
    for later in [119, 120, 239, 240] {
        stage.set_clock(asked + later)?;
        look(&stage, "OB", 1)?;
    }
    assert_eq!(stage.times_of(REBOOT), [asked]);
    let without_units = stage.times_of("systemctl --force reboot");
    assert_eq!(without_units, [asked + 120, asked + 239]);
    assert_eq!(stage.times_of("--force --force reboot"), [asked + 240]);
    Ok(())
}

/// A stage on which the hold is entered. The clock is the machine's: programs take their time.
fn entering(name: &str) -> Result<Stage> {
    let stage = Stage::new(&format!("enter-{name}"), ENTER)?;
    stage.edit(&format!("proc={}", stage.join("proc").display()), "proc=/proc")?;
    stage.edit("$proc/self/mountinfo", &stage.join("mountinfo").display().to_string())?;
    stage.edit("$proc/sysrq-trigger", &stage.join("sysrq").display().to_string())?;
    stage.edit("$proc/fs/nfsd", &stage.join("nfsd").display().to_string())?;
    stage.program("sleep", "exec /bin/sleep \"$1\"")?;
    stage.write("run/curfew-hold/request", REQUEST)?;
    stage.write("etc/curfew/hold.keep", "# ours\nvpn.service # stays\n")?;
    stage.write("units", UNITS)?;
    stage.write("mountinfo", MOUNTS)?;
    for program in ["wall", "agetty", "swapoff", "exportfs", "journalctl", "sync", "rpc.nfsd"] {
        stage.program(program, "note $0 \"$@\"")?;
    }
    stage.program("systemd-detect-virt", "false")?;
    stage.program("umount", &format!("note umount \"$@\"\n{UNMOUNT}"))?;
    stage.program("mount", &format!("note mount \"$@\"\n{UNMOUNT}"))?;
    stage.program("systemctl", SYSTEMCTL)?;
    Ok(stage)
}

/// A stage on which the hold stands.
fn watching(name: &str, runtime_left: u64) -> Result<Stage> {
    let stage = Stage::new(&format!("watch-{name}"), WATCH)?;
    let request = REQUEST.replace("=540", &format!("={runtime_left}"));
    stage.write("run/curfew-hold/request", &request)?;
    stage.program("systemctl", "note systemctl \"$@\"")?;
    stage.program("wall", "true")?;
    stage.program("upsc", "[ -s status ] && cat status")?;
    Ok(stage)
}

/// Looks at a UPS in that state so often; empty is an error.
fn look(stage: &Stage, status: &str, times: usize) -> Result<()> {
    stage.write("status", status)?;
    for _ in 0..times {
        stage.play(&[], "")?;
        stage.set_clock(stage.clock()? + EVERY_S)?;
    }
    Ok(())
}

const REQUEST: &str = "shutdown=7\nmains-stable=60\nruntime-left=540\nups=eaton@10.0.0.13:3493\n";
/// Keeps a list of what runs; a unit that it has in `stubborn` does not stop.
const SYSTEMCTL: &str = r#"note systemctl "$@"
case "$*" in
    list-units*) sed 's/$/ loaded active running A unit/' units ;;
    show*) case "$*" in *nut-server.service*) echo 'helper.service system.slice' ;; esac ;;
    "--no-block stop -- "* | "kill "*)
        for unit in "$@"; do
            grep -qx -- "$unit" units || continue
            echo "$unit" >> stopped
            grep -qx -- "$unit" stubborn 2> /dev/null && continue
            grep -vx -- "$unit" units > units.new; mv units.new units
        done ;;
esac"#;
/// Hangs with its standard output open, far longer than what has a limit.
const HANG: &str = "exec timeout 20 tail -f /dev/null 2> /dev/null";
const HANGS: Duration = Duration::from_secs(18);
/// Takes a place out of the mount table.
const UNMOUNT: &str = r#"for place in "$@"; do :; done
place=$(printf '%s' "$place" | sed 's/ /\\040/g')
PLACE=$place awk '$5 != ENVIRON["PLACE"]' mountinfo > mountinfo.new; mv mountinfo.new mountinfo"#;
const UNITS: &str = "\
cron.service
curfew-hold-watch.timer
curfew-smart.service
curfew-smart.timer
curfew.service
dbus.service
dbus.socket
docker.socket
fstrim.timer
helper.service
machine-x.scope
networking.service
nfs-server.service
nut-driver@eaton.service
nut-monitor.service
nut-server.service
session-1.scope
srv-media.automount
ssh.service
systemd-journald.service
systemd-nspawn@x.service
vpn.service
";
const MOUNTS: &str = "\
1 0 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
2 1 0:5 / /proc rw,nosuid shared:2 - proc proc rw
3 1 0:6 / /run rw,nosuid shared:3 - tmpfs tmpfs rw
4 1 8:2 / /var rw shared:4 - ext4 /dev/sda2 rw
5 1 8:3 / /boot ro shared:5 - ext4 /dev/sda3 rw
6 1 8:16 / /srv/media rw,relatime shared:6 - ext4 /dev/sdb rw
7 6 8:32 / /srv/media/with\\040blanks rw shared:7 master:1 - xfs /dev/sdc rw
8 1 0:40 / /mnt/other rw shared:8 - nfs4 10.0.0.9:/x rw,vers=4.2
";
