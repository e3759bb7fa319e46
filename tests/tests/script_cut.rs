//! The late hook (`systemd/system-shutdown/curfew`): when it cuts, when it reboots, when it does
//! nothing at all.

use anyhow::Result;
use curfew_tests::script::{START_S, Stage};

const HOOK: &str = "systemd/system-shutdown/curfew";
/// systemd goes on without the hook after that.
const SYSTEMD_LIMIT_S: u64 = 90;
const CUT: &str = " -k";
const READ: &str = " -d 1";
const REBOOT: &str = "--force --force reboot";
const ON_BATTERY: &str = "echo 'battery.charge: 30'\necho 'ups.status: OB DISCHRG'";
const NEVER: [u64; 0] = [];
const ON_MAINS: &str = "echo 'ups.status: OL CHRG'";

#[test]
fn on_battery_the_load_is_switched_off_at_the_earliest_time_and_not_before() -> Result<()> {
    let stage = stage("earliest", ON_BATTERY)?;
    leave_flag(&stage, &[("earliest", &(START_S + 20).to_string())])?;
    stage.play(&["poweroff"], "")?;
    let cuts = stage.times_of(CUT);
    assert_eq!(cuts.first(), Some(&(START_S + 20)));
    assert_eq!(cuts.len(), 2, "what did not help is tried once more: {:?}", stage.calls());
    assert_eq!(stage.times_of(REBOOT).len(), 1, "a machine that still has power comes back");
    assert!(stage.clock()? < START_S + SYSTEMD_LIMIT_S);
    Ok(())
}

#[test]
fn on_mains_it_reboots_and_never_cuts() -> Result<()> {
    for status in ["OL", "FSD OL CHRG LB", "ALARM OL RB"] {
        let stage = stage("mains", &format!("echo 'ups.status: {status}'"))?;
        leave_flag(&stage, &[])?;
        stage.play(&["poweroff"], "")?;
        assert_eq!(stage.times_of(CUT), NEVER, "{status}");
        assert_eq!(stage.times_of(REBOOT).len(), 1, "{status}");
    }
    Ok(())
}

#[test]
fn what_cannot_be_read_counts_as_battery() -> Result<()> {
    for body in ["exit 1", "echo 'ups.status: WAIT'", "echo 'ups.status: OL OB'", "true"] {
        let stage = stage("unreadable", body)?;
        leave_flag(&stage, &[])?;
        stage.play(&["poweroff"], "")?;
        assert_eq!(stage.times_of(CUT).len(), 2, "{body}");
    }
    Ok(())
}

#[test]
fn mains_after_the_command_bring_the_machine_back_without_another_one() -> Result<()> {
    let stage =
        stage("returned", &format!("if [ -e cut ]; then {ON_MAINS}; else {ON_BATTERY}; fi"))?;
    leave_flag(&stage, &[])?;
    stage.play(&["poweroff"], "")?;
    assert_eq!(stage.times_of(CUT).len(), 1);
    assert_eq!(stage.times_of(REBOOT).len(), 1);
    Ok(())
}

#[test]
fn a_ups_with_a_long_delay_is_commanded_and_the_machine_goes_off_before() -> Result<()> {
    let stage = stage("delay", &format!("{ON_BATTERY}\necho 'ups.delay.shutdown: 180'"))?;
    leave_flag(&stage, &[])?;
    let output = stage.play(&["poweroff"], "")?;
    assert_eq!(stage.times_of(CUT).len(), 1);
    assert_eq!(stage.times_of(REBOOT), NEVER, "the power would go in the middle of the boot");
    assert!(output.status.success());
    Ok(())
}

#[test]
fn even_at_its_slowest_it_ends_before_systemd_ends_it() -> Result<()> {
    // Each call of the driver takes nearly as long as it may.
    let stage = stage("slow", &format!("sleep 9\n{ON_BATTERY}"))?;
    leave_flag(&stage, &[("earliest", &(START_S + 60).to_string())])?;
    stage.play(&["halt"], "")?;
    assert_eq!(stage.times_of(CUT).len(), 1, "{:?}", stage.calls());
    assert!(stage.clock()? < START_S + SYSTEMD_LIMIT_S, "{:?}", stage.calls());
    Ok(())
}

#[test]
fn without_a_flag_of_this_boot_it_does_nothing() -> Result<()> {
    let stage = stage("nothing", ON_BATTERY)?;
    assert!(stage.play(&["poweroff"], "")?.status.success());
    for other in [("boot", "another"), ("version", "2")] {
        leave_flag(&stage, &[other])?;
        assert!(stage.play(&["poweroff"], "")?.status.success());
    }
    leave_flag(&stage, &[])?;
    for verb in ["reboot", "kexec", "exit", ""] {
        assert!(stage.play(&[verb], "")?.status.success());
    }
    assert!(stage.calls().is_empty());
    Ok(())
}

#[test]
fn a_time_that_comes_late_is_waited_for_as_long_as_the_command_still_fits() -> Result<()> {
    let stage = stage("late", ON_BATTERY)?;
    leave_flag(&stage, &[("stop-within", "180"), ("earliest", &(START_S + 72).to_string())])?;
    let output = stage.play(&["poweroff"], "")?;
    assert_eq!(stage.times_of(READ).first(), Some(&(START_S + 62)));
    assert_eq!(stage.times_of(CUT), [START_S + 72]);
    assert_eq!(stage.times_of(REBOOT), NEVER);
    assert!(output.status.success(), "it goes off while the UPS counts down");
    assert!(stage.clock()? < START_S + SYSTEMD_LIMIT_S);
    Ok(())
}

#[test]
fn a_time_that_does_not_come_brings_the_machine_back_and_not_before_a_look() -> Result<()> {
    for (status, reboots_at) in [(ON_MAINS, 62), (ON_BATTERY, 73), ("exit 1", 73)] {
        let stage = stage("never", status)?;
        leave_flag(&stage, &[("stop-within", "180"), ("earliest", &(START_S + 120).to_string())])?;
        stage.play(&["poweroff"], "")?;
        assert_eq!(stage.times_of(CUT), NEVER, "{status}");
        assert_eq!(stage.times_of(READ), [START_S + 62], "{status}");
        assert_eq!(stage.times_of(REBOOT), [START_S + reboots_at], "{status}");
        assert!(stage.clock()? < START_S + SYSTEMD_LIMIT_S, "{status}");
    }
    Ok(())
}

#[test]
fn a_command_that_fails_when_there_is_no_time_for_another_leaves_nobody_off() -> Result<()> {
    let stage = stage("failed", ON_BATTERY)?;
    stage.program_at("lib/nut/usbhid-ups", &format!("note \"$@\"\n{ON_BATTERY}\nexit 1"))?;
    leave_flag(&stage, &[("stop-within", "70"), ("earliest", &(START_S + 70).to_string())])?;
    stage.play(&["poweroff"], "")?;
    assert_eq!(stage.times_of(CUT), [START_S + 70]);
    assert_eq!(stage.times_of(REBOOT).len(), 1);
    Ok(())
}

#[test]
fn the_flag_of_a_power_off_that_never_came_is_not_followed() -> Result<()> {
    for (age_s, cuts) in [(1800, 2), (3600, 2), (3601, 0)] {
        let stage = stage("stale", ON_BATTERY)?;
        stage.set_clock(START_S + age_s)?;
        leave_flag(&stage, &[])?;
        stage.play(&["poweroff"], "")?;
        assert_eq!(stage.times_of(CUT).len(), cuts, "{age_s}");
        assert_eq!(stage.times_of(REBOOT).len(), usize::from(cuts != 0), "{age_s}");
    }
    Ok(())
}

#[test]
fn a_flag_that_cannot_be_followed_cuts_nothing_and_leaves_nobody_off() -> Result<()> {
    let far = (START_S + 61).to_string();
    for bad in [
        ("method", "load.off"),
        ("method", "shutdown.stayoff"),
        ("earliest", far.as_str()),
        ("earliest", "0x10"),
        ("earliest", ""),
        ("earliest", "99999999999999999999"),
        ("stop-within", "010"),
        ("shutdown", "$(reboot)"),
        ("ups", "../eaton"),
        ("ups", "-x"),
        ("ups", "other"),
        ("ups", "ea ton"),
    ] {
        let stage = stage("bad", ON_BATTERY)?;
        leave_flag(&stage, &[bad])?;
        stage.play(&["poweroff"], "")?;
        assert_eq!(stage.times_of(CUT), NEVER, "{bad:?}");
        // Without the name of one there is no UPS to look at.
        assert_eq!(stage.times_of(READ).len(), usize::from(bad.0 != "ups"), "{bad:?}");
        assert_eq!(stage.times_of(REBOOT).len(), 1, "{bad:?}");
    }
    Ok(())
}

#[test]
fn a_reboot_that_systemctl_does_not_do_is_asked_of_the_kernel() -> Result<()> {
    let stage = stage("sysrq", ON_MAINS)?;
    leave_flag(&stage, &[])?;
    stage.play(&["poweroff"], "")?;
    assert_eq!(stage.read("proc/sysrq-trigger"), "b\n");
    assert!(stage.clock()? >= START_S + 5, "systemctl has its time first");
    Ok(())
}

/// A stage whose UPS is read by `body`.
fn stage(name: &str, body: &str) -> Result<Stage> {
    let stage = Stage::new(&format!("cut-{name}"), HOOK)?;
    stage.write("proc/sys/kernel/random/boot_id", "this\n")?;
    stage.write("etc/nut/ups.conf", UPS_CONF)?;
    stage.program_at(
        "lib/nut/usbhid-ups",
        &format!("note \"$@\"\ncase $* in *-k) touch cut; exit 0 ;; esac\nPATH=bin:$PATH\n{body}"),
    )?;
    stage.program("systemctl", "note \"$@\"")?;
    Ok(stage)
}

/// Leaves the agent's flag, with other values for some keys.
fn leave_flag(stage: &Stage, other: &[(&str, &str)]) -> Result<()> {
    let now = START_S.to_string();
    let usual = [
        ("version", "1"),
        ("shutdown", "7"),
        ("boot", "this"),
        ("ups", "eaton"),
        ("method", "shutdown.return"),
        ("earliest", now.as_str()),
        ("stop-within", "60"),
    ];
    let line = |(key, value): &(&str, &str)| {
        let other = other.iter().find(|(other, _)| other == key);
        format!("{key}={}\n", other.map_or(*value, |(_, other)| *other))
    };
    stage.write("run/curfew/cut", &usual.iter().map(line).collect::<String>())
}

/// What a careless reading would trip over.
const UPS_CONF: &str = r#"# driver = nonsense
pollinterval = 1
[other]   # driver = "usbhid-ups"
    driver = absent-ups
[eaton-2]
    driver = absent-ups
  [eaton]   # the one with the cable
	desc = "driver = trap"
	# driver = trap
	driver="usbhid-ups" # in quotes
    port = auto
[last]
    driver = absent-ups
"#;
