//! Commands as real processes.

use std::fs;
use std::path::Path;

use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::*;
use crate::power::{Cause, Goal, Power};
use crate::test_directory::TestDirectory;

const REASON: Reason = Reason { shutdown: 7, cause: Cause::Battery, attempt: 1 };

fn shell(script: &str) -> Argv {
    Argv::try_from(["/bin/sh", "-c", script].map(String::from).to_vec()).unwrap()
}

fn commands(stop: &str) -> Commands {
    Commands {
        host: "nfs".into(),
        stop: shell(stop),
        hold: None,
        cut: None,
        reboot: None,
        stopping: None,
        limit: Duration::from_secs(10),
    }
}

fn power(commands: Commands) -> Power {
    Power::Command(Box::new(CommandPower::new(commands)))
}

async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let held = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), held).await.expect(what);
}

fn number(path: &Path) -> Option<i32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// A killed process that nobody reaps yet is gone too.
fn is_alive(process: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[tokio::test]
async fn a_command_sees_its_environment_and_nothing_else() {
    let folder = TestDirectory::new();
    let seen = folder.path().join("seen");
    let script =
        format!("/usr/bin/env > {0}.part; pwd >> {0}.part; mv {0}.part {0}", seen.display());
    let mut commands = commands(&script);
    commands.cut = Some(shell(&script));
    let power = power(commands);

    assert_eq!(power.stop(&REASON).await, Outcome::Accepted);
    let lines = fs::read_to_string(&seen).unwrap();
    let mut lines: Vec<_> = lines.lines().filter(|line| !line.starts_with("_=")).collect();
    lines.sort_unstable();
    let path = format!("PATH={PATH}");
    let of_stop = [
        "/",
        "CURFEW_ACTION=stop",
        "CURFEW_CAUSE=battery",
        "CURFEW_HOST=nfs",
        "CURFEW_SHUTDOWN=7",
        &path,
        "PWD=/",
    ];
    assert_eq!(lines, of_stop);

    let cut = Cut { method: "shutdown.return".into(), earliest: Duration::from_millis(30_001) };
    assert_eq!(power.cut(&REASON, &cut).await, Outcome::Accepted);
    let lines = fs::read_to_string(&seen).unwrap();
    assert!(lines.contains("CURFEW_ACTION=cut\n"), "{lines}");
    assert!(lines.contains("CURFEW_CUT_METHOD=shutdown.return\n"), "{lines}");
    assert!(lines.contains("CURFEW_CUT_EARLIEST_SECONDS=31\n"), "{lines}");
}

#[tokio::test]
async fn a_failure_says_the_status_and_the_last_line() {
    let power_of = |script| power(commands(script));
    let outcome = power_of("echo the bus is gone >&2; echo told; exit 3").stop(&REASON).await;
    let failed = "the command exited with 3: the bus is gone";
    assert_eq!(outcome, Outcome::Failed(failed.into()));
    let outcome = power_of("kill -9 $$").stop(&REASON).await;
    assert_eq!(outcome, Outcome::Failed("the command was ended by signal 9".into()));
}

#[tokio::test]
async fn a_program_that_is_not_there_and_a_missing_command_are_failures() {
    let mut commands = commands("exit 0");
    commands.stop = Argv::try_from(vec!["/nonexistent/poweroff".into()]).unwrap();
    let power = power(commands);
    let Outcome::Failed(why) = power.stop(&REASON).await else { panic!("accepted") };
    assert!(why.starts_with("the command cannot be started: No such file"), "{why}");
    let Outcome::Failed(why) = power.hold(&REASON, None).await else { panic!("accepted") };
    assert_eq!(why, "no `hold` command is configured: add it to [host.command]");
}

#[tokio::test]
async fn the_whole_group_dies_at_the_limit() {
    let folder = TestDirectory::new();
    let child = folder.path().join("child");
    let script = format!("sleep 600 & echo $! > {}; wait", child.display());
    let mut commands = commands(&script);
    commands.limit = Duration::from_millis(500);
    let outcome = power(commands).stop(&REASON).await;
    assert_eq!(outcome, Outcome::TimedOut(Duration::from_millis(500)));
    let child = number(&child).expect("the script ran");
    eventually("the grandchild is gone", || !is_alive(child)).await;
}

#[tokio::test]
async fn a_flood_of_output_blocks_nobody_and_only_its_end_is_kept() {
    let script = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; exit 4";
    let end = Runner::default().run(&shell(script), vec![], Duration::from_secs(30)).await;
    assert_eq!(end.to_string(), "the command exited with 4: line 19999");
    assert!(end.output.to_string().len() <= 2048);
}

#[tokio::test]
async fn what_stays_in_the_background_neither_holds_up_the_call_nor_dies_of_it() {
    let folder = TestDirectory::new();
    let at = folder.path().display();
    // It goes on when told to, writes more than a pipe holds, and only then says that it is done.
    let script = format!(
        "mkfifo {at}/go; (read x < {at}/go; \
         head -c 200000 /dev/zero; echo still here; touch {at}/done) & exit 0"
    );
    let power = power(commands(&script));
    let before = tokio::time::Instant::now();
    assert_eq!(power.stop(&REASON).await, Outcome::Accepted);
    assert!(before.elapsed() < Duration::from_secs(5), "the call waited for the background");
    let go = folder.path().join("go");
    let told = tokio::task::spawn_blocking(move || {
        let mut fifo = fs::OpenOptions::new().write(true).open(go).unwrap();
        std::io::Write::write_all(&mut fifo, b"go\n").unwrap();
    });
    tokio::time::timeout(Duration::from_secs(10), told).await.unwrap().unwrap();
    let done = folder.path().join("done");
    eventually("the background came to its end", || done.exists()).await;
}

#[tokio::test]
async fn a_dropped_call_does_not_undo_the_stop() {
    let folder = TestDirectory::new();
    let started = folder.path().join("started");
    let script = format!("echo $$ > {0}.part; mv {0}.part {0}; exec sleep 600", started.display());
    let power = power(commands(&script));
    {
        let mut call = std::pin::pin!(power.stop(&REASON));
        let running = eventually("the command runs", || started.exists());
        tokio::select! {
            outcome = &mut call => panic!("{outcome:?}"),
            () = running => {}
        }
    }
    let process = number(&started).unwrap();
    assert!(is_alive(process));
    kill(Pid::from_raw(process), nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn only_a_clear_answer_says_whether_a_stop_runs() {
    let asked = |script: Option<&str>| {
        let mut commands = commands("exit 0");
        commands.stopping = script.map(shell);
        commands.limit = Duration::from_millis(500);
        async move { power(commands).is_stopping(Goal::Off, Cause::Battery).await }
    };
    assert_eq!(asked(Some("[ \"$CURFEW_ACTION\" = stopping ]")).await, Stopping::Running);
    assert_eq!(asked(Some("exit 1")).await, Stopping::Idle);
    for unclear in [Some("exit 2"), Some("kill -9 $$"), Some("sleep 600"), None] {
        assert!(matches!(asked(unclear).await, Stopping::Unknown(_)), "{unclear:?}");
    }
}

#[test]
fn an_argument_list_names_its_program() {
    assert_eq!(Argv::try_from(vec![]), Err(ArgvError::Empty));
    let relative = Argv::try_from(vec!["poweroff".to_owned()]);
    assert_eq!(relative, Err(ArgvError::Relative("poweroff".into())));
}

#[tokio::test]
async fn a_dry_run_accepts_everything_and_never_stops() {
    let power = Power::DryRun(crate::power::DryRunPower);
    let cut = Cut { method: "shutdown.return".into(), earliest: Duration::ZERO };
    assert_eq!(power.stop(&REASON).await, Outcome::Accepted);
    assert_eq!(power.hold(&REASON, None).await, Outcome::Accepted);
    assert_eq!(power.cut(&REASON, &cut).await, Outcome::Accepted);
    assert_eq!(power.reboot(&REASON).await, Outcome::Accepted);
    assert_eq!(power.is_stopping(Goal::Off, Cause::Battery).await, Stopping::Idle);
    assert!(power.is_dry_run());
}
