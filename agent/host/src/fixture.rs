//! A small `/proc`, `/sys` and the rest for a test, gone afterwards.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

use crate::collector::{Collect, Context, Settings};
use crate::read::{CollectError, Reader, Roots};
use crate::sample::Samples;

/// Removes its folder when dropped.
#[derive(Debug)]
pub(crate) struct Tree {
    folder: PathBuf,
    pub(crate) settings: Settings,
}

impl Tree {
    /// Makes one with these files: `proc/…`, `sys/…`, `root/…`, `udev/…`.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("curfew-host-{}-{number}", process::id()));
        for root in ["proc", "sys", "root", "udev"] {
            fs::create_dir_all(folder.join(root)).unwrap();
        }
        let tree = Self { folder, settings: Settings::default() };
        for (path, content) in files {
            tree.write(path, content.as_bytes());
        }
        tree
    }

    #[expect(clippy::disallowed_methods, reason = "nothing has to survive a power cut here")]
    pub(crate) fn write(&self, path: &str, content: &[u8]) {
        let path = self.folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Makes a symbolic link; the target is from the place of the link.
    pub(crate) fn link(&self, path: &str, target: &str) {
        let path = self.folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    pub(crate) fn roots(&self) -> Roots {
        Roots {
            proc: self.path("proc"),
            sys: self.path("sys"),
            root: self.path("root"),
            udev: self.path("udev"),
        }
    }

    pub(crate) fn collect(&self, collect: Collect) -> (Result<(), CollectError>, Samples) {
        let (result, samples, _) = self.collect_with_flaw(collect);
        (result, samples)
    }

    pub(crate) fn collect_with_flaw(
        &self,
        collect: Collect,
    ) -> (Result<(), CollectError>, Samples, Option<CollectError>) {
        let (mut samples, mut flaw) = (Samples::default(), None);
        let result = collect(&mut Context {
            roots: &self.roots(),
            settings: &self.settings,
            reader: &mut Reader::default(),
            samples: &mut samples,
            flaw: &mut flaw,
        });
        (result, samples, flaw)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.folder).unwrap_or_default();
    }
}
