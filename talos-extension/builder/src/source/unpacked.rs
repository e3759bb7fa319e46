//! An extension that is unpacked on disk.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context as _, Result};

use super::Source;
use crate::tree::{Entry, Kind, Tree};

pub(super) fn open(root: &Path) -> Result<Source> {
    let mut tree = Tree::default();
    walk(root, "", &mut tree)?;
    Ok(Source { tree, ..Source::default() })
}

/// Appends what is in a folder, sorted by name, each before what is in it.
fn walk(folder: &Path, prefix: &str, tree: &mut Tree) -> Result<()> {
    let failed = || format!("read {}", folder.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).with_context(failed)? {
        paths.push(entry.with_context(failed)?.path());
    }
    paths.sort();
    for path in paths {
        let failed = || format!("read {}", path.display());
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let metadata = fs::symlink_metadata(&path).with_context(failed)?;
        let file_type = metadata.file_type();
        let kind = if file_type.is_dir() {
            Kind::Directory
        } else if file_type.is_symlink() {
            let target = fs::read_link(&path).with_context(failed)?;
            Kind::Symlink(target.to_string_lossy().into_owned())
        } else if file_type.is_file() && metadata.nlink() > 1 {
            // Tools that pack this folder would write all but one of its names as a link.
            Kind::HardLink(format!("inode {}", metadata.ino()))
        } else if file_type.is_file() {
            Kind::File(fs::read(&path).with_context(failed)?)
        } else if file_type.is_socket() {
            Kind::Special("a socket")
        } else if file_type.is_fifo() {
            Kind::Special("a named pipe")
        } else {
            Kind::Special("a device node")
        };
        let mode = metadata.permissions().mode() & 0o7777;
        let is_folder = kind == Kind::Directory;
        let entry_path = format!("{prefix}{name}");
        tree.entries.push(Entry { path: entry_path.clone(), mode, kind });
        if is_folder {
            walk(&path, &format!("{entry_path}/"), tree)?;
        }
    }
    Ok(())
}
