//! A folder that another machine seems to serve, and that hangs as one does whose server is gone.
//!
//! The mount is real, of the kernel's own FUSE; the server is a thread of the test that speaks the
//! kernel's protocol and serves a few files from memory. While it hangs it reads no question, so
//! that whoever asks for anything below the mount waits in the kernel, until there is an answer or
//! the process is killed: so does a client of NFS (`hard`, the default) whose server has lost its
//! network. Nothing is cached: each look is a question.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use self::tree::Tree;
use self::wire::Question;
use crate::disk::unmount;

mod tree;
mod wire;

/// A mounted folder; it is taken away when this is dropped, and whoever waits for it is told so.
#[derive(Debug)]
pub struct Share {
    point: PathBuf,
    shared: Arc<Shared>,
    server: Option<JoinHandle<Result<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    mood: Mutex<Mood>,
    changed: Condvar,
    /// How many questions there were for how full it is.
    measured: AtomicU64,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Mood {
    #[default]
    Answering,
    Silent,
    Ending,
}

impl Share {
    /// Mounts one at `point`, an empty folder, that holds these files; folders are made as needed.
    pub fn mount(point: &Path, files: &[(&str, &str)]) -> Result<Self> {
        let tree = Tree::new(files);
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(OFlag::O_NONBLOCK.bits());
        let device = options.open(DEVICE).with_context(|| format!("open {DEVICE}"))?;
        let data =
            format!("fd={},rootmode=40755,user_id=0,group_id=0,allow_other", device.as_raw_fd());
        mount(Some(SOURCE), point, Some(KIND), MsFlags::empty(), Some(data.as_str()))
            .with_context(|| format!("mount a share at {}", point.display()))?;
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        let server = std::thread::Builder::new().name("share".to_owned());
        let server = server.spawn(move || own.serve(device, &tree)).context("start a server")?;
        Ok(Self { point: point.to_owned(), shared, server: Some(server) })
    }

    /// Has the server go silent: from now on everybody waits who asks for anything in it.
    pub fn hang(&self) {
        self.shared.turn(Mood::Silent);
    }

    /// Has the server answer again, first what was asked in the meantime.
    pub fn heal(&self) {
        self.shared.turn(Mood::Answering);
    }

    /// Returns how often it was asked how full it is.
    pub fn measured(&self) -> u64 {
        self.shared.measured.load(Ordering::Relaxed)
    }

    /// Takes it away; with its device closed the kernel answers whoever waits, so that nothing
    /// hangs for ever. Fails if the server had failed.
    pub fn end(mut self) -> Result<()> {
        self.stop()
    }

    fn stop(&mut self) -> Result<()> {
        self.shared.turn(Mood::Ending);
        let ended = self.server.take().map_or(Ok(Ok(())), JoinHandle::join);
        unmount(&self.point);
        ended.map_err(|_panic| anyhow!("the server of a share panicked"))?
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.stop().is_err() {
            // Who waited for its files has found none.
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Mood> {
        self.mood.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self, mood: Mood) {
        *self.lock() = mood;
        self.changed.notify_all();
    }

    fn serve(&self, mut device: File, tree: &Tree) -> Result<()> {
        let mut buffer = vec![0; QUESTION_MAX];
        loop {
            let silent = self.changed.wait_while(self.lock(), |mood| *mood == Mood::Silent);
            if *silent.unwrap_or_else(PoisonError::into_inner) == Mood::Ending {
                return Ok(());
            }
            let mut waiting = [PollFd::new(device.as_fd(), PollFlags::POLLIN)];
            match poll(&mut waiting, PollTimeout::from(GLANCE_MILLIS)) {
                Ok(0) | Err(Errno::EINTR) => continue,
                Ok(_) => {}
                Err(failed) => return Err(failed).context("wait for a question"),
            }
            let length = match device.read(&mut buffer) {
                Ok(length) => length,
                Err(failed) if is_one_of(&failed, &TAKEN_BACK) => continue,
                Err(failed) if is_one_of(&failed, &[Errno::ENODEV]) => return Ok(()),
                Err(failed) => return Err(failed).context("read a question"),
            };
            let question = buffer.get(..length).and_then(Question::parse);
            let question = question.context("a question that makes no sense")?;
            if question.is_for_room() {
                self.measured.fetch_add(1, Ordering::Relaxed);
            }
            let Some(answer) = question.answer(tree) else { continue };
            match device.write_all(&answer) {
                Ok(()) => {}
                // Whoever asked is gone.
                Err(failed) if is_one_of(&failed, &[Errno::ENOENT]) => {}
                Err(failed) => return Err(failed).context("answer"),
            }
        }
    }
}

fn is_one_of(failed: &io::Error, known: &[Errno]) -> bool {
    failed.raw_os_error().is_some_and(|code| known.contains(&Errno::from_raw(code)))
}

/// A question is not there after all: it was taken back, or asked by somebody who was killed.
const TAKEN_BACK: [Errno; 3] = [Errno::EAGAIN, Errno::EINTR, Errno::ENOENT];
/// Where the kernel's questions come from.
const DEVICE: &str = "/dev/fuse";
/// As of a share of the laboratory's server.
const SOURCE: &str = "10.77.0.13:/srv/media";
/// As `sshfs` and its like have it: `fuse` and a word of their own.
const KIND: &str = "fuse.nfs";
/// More than the kernel ever asks at once, which insists on room for it.
const QUESTION_MAX: usize = 128 << 10;
/// How soon a change of mood is noticed.
const GLANCE_MILLIS: u8 = 20;
