//! A machine with all that this one has not, as files.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

use curfew_host::{Roots, Settings};

/// Each file begins with a line `== path`, each link with `== path -> target`.
const MACHINE: &str = include_str!("machine.txt");

/// Removes its folder when dropped.
#[derive(Debug)]
pub(crate) struct Tree(PathBuf);

impl Tree {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("curfew-machine-{}-{number}", process::id()));
        for (path, content) in files() {
            if let Some((link, target)) = path.split_once(" -> ") {
                make(&folder.join(link));
                std::os::unix::fs::symlink(target, folder.join(link)).expect("a link");
            } else {
                write(&folder.join(path), content.as_bytes());
            }
        }
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn roots(&self) -> Roots {
        let [proc, sys, root, udev] = ["proc", "sys", "root", "udev"].map(|it| self.0.join(it));
        Roots { proc, sys, root, udev }
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings { text_folders: vec![self.0.join("text")], ..Settings::default() }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap_or_default();
    }
}

/// Returns the paths, those of links with their targets, and what is in the files.
pub(crate) fn files() -> impl Iterator<Item = (&'static str, &'static str)> {
    let parts = MACHINE.split("== ").filter(|part| !part.is_empty());
    parts.map(|part| part.split_once('\n').expect("a path is a line"))
}

fn make(path: &Path) {
    fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder");
}

#[expect(clippy::disallowed_methods, reason = "nothing has to survive a power cut here")]
pub(crate) fn write(path: &Path, content: &[u8]) {
    make(path);
    fs::write(path, content).expect("a file");
}
