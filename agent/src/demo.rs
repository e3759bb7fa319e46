//! `curfew demo`: one outage on one machine, from the failing mains to the ordered restart.
//!
//! The agents are the real thing: three processes of this binary on loopback addresses of their
//! own, with certificates, journals and a UPS that speaks NUT. The demo plays what they stand on:
//! the mains, the battery, machines that go down when their agent ends as a dry run ends it, and
//! the network cards that magic packets wake. It needs neither root nor hardware.
//!
//! Reading order: `cast` (who plays), `ground` (what they stand on), `machine` (one of them),
//! `world` (all of them, step by step), `timeline` (what happened), `verdict` (whether it was in
//! order), `narrate` and `screen` (what of it is printed).
//!
//! ```text
//!  starting ── all connected ──▶ calm ── 1.5 s ──▶ outage ── nfs holds, others off ──▶ dark
//!                                                    │                                  │ 4 s
//!                                   battery empty ◀──┘                                  ▼
//!                                        └──▶ the end ◀── settling ◀── ended ────── returned
//! ```

mod cast;
mod ground;
mod history;
mod machine;
mod narrate;
mod screen;
mod timeline;
mod verdict;
mod world;

use std::time::Duration;

use anyhow::Context as _;
use curfew_coordinator::Time;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use self::ground::{ClusterText, Directory};
use self::screen::{Ending, Form, Screen};
use self::verdict::Verdict;
use self::world::{Progress, World};
use crate::clock;

/// What `curfew demo` is told.
#[derive(Clone, Copy, Debug)]
pub struct DemoOptions {
    /// Print JSON lines.
    pub json: bool,
    /// Leave the folder with the cluster file, logs and journals.
    pub keep: bool,
    /// The HTTP port of each agent; the next one is for its peers.
    pub port: u16,
}

/// Plays the demo, and returns whether the order held.
///
/// # Errors
///
/// The demo cannot be played: a port is taken, a folder cannot be written, or it was interrupted.
pub async fn run(options: DemoOptions) -> anyhow::Result<bool> {
    let mut interruptions = Interruptions::new()?;
    ground::check_ports(options.port)?;
    let mut directory = Directory::new()?;
    if options.keep {
        directory.keep();
    }
    let mut world = World::new(directory.path(), options.port).await?;
    let text = ClusterText { upsd: world.upsd(), button: world.button()?, base: options.port };
    ground::write_cluster_file(&directory.path().join("cluster.toml"), &text)?;
    ground::make_certificates(&directory.path().join("pki"))?;

    let mut screen = Screen::new(Form::of_stdout(options.json), now());
    screen.introduce(options.port, &format!("upsc {}@{}", ground::UPS, world.upsd()))?;
    tokio::select! {
        played = play(&mut world, &mut screen) => played?,
        name = interruptions.next() => anyhow::bail!("the demo was ended by {name}"),
    }
    let verdict = Verdict::of(world.timeline.all());
    let ending = Ending {
        verdict: &verdict,
        battery_left: world.battery_left,
        at: now(),
        kept: options.keep.then(|| directory.path()),
    };
    screen.conclude(&ending)?;
    Ok(verdict.is_good())
}

/// Lets the world go on and shows what happens, until the story is over.
async fn play(world: &mut World, screen: &mut Screen) -> anyhow::Result<()> {
    let mut beats = interval(TICK);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let started = now();
    world.switch_on(started)?;
    loop {
        tokio::select! {
            _ = beats.tick() => {}
            mac = world.packet() => world.on_packet(mac, now())?,
        }
        let progress = world.tick(now()).await?;
        let due = world.timeline.due(now());
        for occurrence in &due {
            screen.show(occurrence)?;
        }
        if world.timeline.is_all_shown() {
            screen.stand(&world.headline())?;
        }
        let is_over = progress == Progress::Over || now().since(started) >= LIMIT;
        if is_over {
            for occurrence in world.timeline.rest() {
                screen.show(&occurrence)?;
            }
            screen.stand(&world.headline())?;
            return Ok(());
        }
    }
}

/// The signals that end a demo early.
struct Interruptions {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Interruptions {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "Ctrl-C",
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.hangup.recv() => "SIGHUP",
        }
    }
}

/// Returns the present moment of the boot clock, which the agents use too.
fn now() -> Time {
    Time::from_millis(clock::boot_ms())
}

/// The world goes on this often: far shorter than anything that is told apart in it.
const TICK: Duration = Duration::from_millis(25);
/// Twice of what the demo takes: then something hangs, and that is its result.
const LIMIT: Duration = Duration::from_secs(90);
