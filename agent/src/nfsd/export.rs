//! What is exported: by `exportfs` (`etab`), in the kernel's table, and of what was configured.
//!
//! The kernel learns an export when a client first asks for it, and forgets it after a while: that
//! it lacks one says nothing. What counts is `etab`, from which `mountd` answers it. That the
//! kernel was told *no* stands in its table as a comment.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::Look;
use super::filesystem::{self, Filesystem};
use super::source::lines;
use crate::escape::unescape;

/// One line of either table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Exported {
    /// The path.
    pub path: PathBuf,
    /// Clients may write.
    pub is_writable: bool,
    /// The kernel was told that there is no such export.
    pub is_refused: bool,
}

/// An export of the cluster file as it truly is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Export {
    /// Its path, as the file has it.
    pub path: PathBuf,
    /// Whether it is exported; none if no table could be read.
    pub is_exported: Option<bool>,
    /// Whether clients are allowed to write.
    pub is_for_writing: bool,
    /// The file system in which it lies.
    pub disk: Disk,
}

/// The file system of an export.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Disk {
    /// The mounts could not be read.
    Unknown,
    /// What `/etc/fstab` mounts at or above the export is not there.
    Missing {
        /// Where it should be mounted.
        point: PathBuf,
    },
    /// It is mounted.
    Mounted {
        /// Where.
        point: PathBuf,
        /// It can be written.
        is_writable: bool,
        /// Its room can be asked for without asking another machine.
        is_local: bool,
    },
}

impl Export {
    /// Returns whether it could serve, as far as is known.
    pub fn is_up(&self) -> bool {
        self.is_exported != Some(false) && !matches!(self.disk, Disk::Missing { .. })
    }

    /// Returns whether its room can be asked for without asking another machine.
    pub fn is_local(&self) -> bool {
        matches!(self.disk, Disk::Mounted { is_local: true, .. })
    }

    /// Returns its path for people and labels.
    pub fn label(&self) -> String {
        self.path.display().to_string()
    }
}

/// Says of each configured path how it truly is.
pub(super) fn assess(paths: &[PathBuf], look: &Look) -> Vec<Export> {
    paths.iter().map(|path| assess_one(path, look)).collect()
}

fn assess_one(path: &Path, look: &Look) -> Export {
    let known = look.mounts.as_ref().ok().map(|mounts| mounts.filesystems.as_slice());
    let at = |path: &Path| known.and_then(|known| filesystem::holding(path, known));
    let own = at(path);
    // What lies in the file system of an export is served with it.
    let serves = |exported: &&Exported| {
        let is_above = path.starts_with(&exported.path);
        let is_same = exported.path == path
            || own.is_some() && at(&exported.path).map(|it| &it.point) == own.map(|it| &it.point);
        is_above && is_same && !exported.is_refused
    };
    let table = look.etab.as_ref().or(look.exports.as_ref()).ok();
    let lines: Option<Vec<&Exported>> = table.map(|table| table.iter().filter(serves).collect());
    Export {
        path: path.to_owned(),
        is_exported: lines.as_ref().map(|lines| !lines.is_empty()),
        is_for_writing: lines.is_some_and(|lines| lines.iter().any(|line| line.is_writable)),
        disk: disk(path, own, look),
    }
}

fn disk(path: &Path, own: Option<&Filesystem>, look: &Look) -> Disk {
    // Behind a veil lies another file system.
    let Some(own) = own.filter(|own| !own.is_veil) else { return Disk::Unknown };
    let planned = look.fstab.iter().flatten().filter(|point| path.starts_with(point));
    let planned = planned.max_by_key(|point| point.components().count());
    if let Some(point) = planned.filter(|point| !own.point.starts_with(point) || own.is_automount())
    {
        return Disk::Missing { point: point.clone() };
    }
    let is_of_init = look.mounts.as_ref().is_ok_and(|mounts| mounts.is_of_init);
    Disk::Mounted {
        point: own.point.clone(),
        // The flags of a mount in our own namespace are those of the sandbox.
        is_writable: !(own.is_read_only || is_of_init && own.is_mount_read_only),
        is_local: own.is_local(),
    }
}

/// Returns the lines of `etab` or of the kernel's table, or the number of the first wrong one.
///
/// `/srv/nfs<tab>10.77.0.0/24(rw,sync,…)`, in the kernel's table also `# /srv/nfs<tab>…` for a no.
pub(super) fn parse(text: &[u8]) -> Result<Vec<Exported>, usize> {
    let mut all = Vec::new();
    for (number, line) in lines(text) {
        let (line, is_refused) = match line.strip_prefix(b"# ") {
            Some(refused) if refused.starts_with(b"/") => (refused, true),
            Some(_heading) => continue,
            None => (line, false),
        };
        let tab = line.iter().position(|&byte| byte == b'\t').ok_or(number)?;
        let (path, client) = line.split_at_checked(tab).ok_or(number)?;
        let path = PathBuf::from(OsString::from_vec(unescape(path)));
        if !path.is_absolute() {
            return Err(number);
        }
        let options = String::from_utf8_lossy(client);
        let options = options.split_once('(').map_or("", |(_, options)| options);
        let mut options = options.trim_end_matches(')').split(',');
        // The way from the root to an export, which the kernel makes up.
        if options.clone().any(|option| option == "v4root") {
            continue;
        }
        let is_writable = options.any(|option| option == "rw");
        all.push(Exported { path, is_writable, is_refused });
    }
    Ok(all)
}

/// Some 10 000 exports.
pub(super) const EXPORTS_MAX: usize = 2 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_ways_to_an_export_and_odd_paths_are_told_apart() {
        let text = b"# Version 1.1\n# Path Client(Flags) # IPs\n/\t*(ro,v4root,sec=1)\n\
                     # /gone\t10.0.0.0/24\n/a\\040b\t10.0.0.0/24(ro,sync)\n/a\\040b\t*(rw)\n";
        let line = |path: &str, is_writable, is_refused| Exported {
            path: path.into(),
            is_writable,
            is_refused,
        };
        let expected =
            [line("/gone", false, true), line("/a b", false, false), line("/a b", true, false)];
        assert_eq!(parse(text).unwrap(), expected);
        assert_eq!(parse(b"/srv *(rw)\n"), Err(1), "no tab");
        assert_eq!(parse(b"\nsrv\t*(rw)\n"), Err(2), "no absolute path");
    }

    #[test]
    fn parsing_never_panics() {
        proptest::proptest!(|(bytes: Vec<u8>, text in "[/#a\t( ,)\\\\\n]{0,40}")| {
            drop(parse(&bytes));
            drop(parse(text.as_bytes()));
        });
    }
}
