//! What an extension consists of: entries as a layer has them, in its order.
//!
//! The same type serves the builder, which makes a tree by the rules, and the validator, which
//! must be able to hold one that breaks them: duplicates, hard links and devices have their place.

use std::collections::BTreeMap;

/// Where the manifest stands in an image.
pub const MANIFEST: &str = "manifest.yaml";
/// What becomes the root file system's layer.
pub const ROOTFS: &str = "rootfs";
/// Where Talos looks for service specs.
pub const SERVICES: &str = "rootfs/usr/local/etc/containers";
/// Where Talos looks for the root file systems of services.
pub const CONTAINERS: &str = "rootfs/usr/local/lib/containers";
/// Where Talos looks for bills of materials.
pub const SBOMS: &str = "rootfs/usr/local/share/spdx";

/// Mode of a directory, and of a file that is run.
pub const MODE_EXECUTABLE: u32 = 0o755;
/// Mode of any other file.
pub const MODE_FILE: u32 = 0o644;

/// One entry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// From the root of the image, without a slash at the end; otherwise as it was found.
    pub path: String,
    /// Permissions, with the bits for set-id and sticky.
    pub mode: u32,
    /// What it is.
    pub kind: Kind,
}

/// What an entry is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file and its content.
    File(Vec<u8>),
    /// A symbolic link and its target.
    Symlink(String),
    /// Another name of a file.
    HardLink(String),
    /// A device, socket or pipe.
    Special(&'static str),
}

/// The entries of an extension.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tree {
    /// In the order of the layer.
    pub entries: Vec<Entry>,
}

impl Tree {
    /// Makes a tree of files by the unpacker's rules: each parent has an entry of its own and
    /// stands before what is in it.
    pub fn of_files(files: impl IntoIterator<Item = (String, u32, Vec<u8>)>) -> Self {
        let mut entries = BTreeMap::new();
        for (path, mode, content) in files {
            for (end, _) in path.match_indices('/') {
                let parent = path.get(..end).unwrap_or_default().to_owned();
                entries.insert(parent, (MODE_EXECUTABLE, Kind::Directory));
            }
            entries.insert(path, (mode, Kind::File(content)));
        }
        let entries =
            entries.into_iter().map(|(path, (mode, kind))| Entry { path, mode, kind }).collect();
        Self { entries }
    }

    /// Returns the first entry at a path.
    pub fn get(&self, path: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.path == path)
    }

    /// Returns the content of the regular file at a path.
    pub fn file(&self, path: &str) -> Option<&[u8]> {
        match &self.get(path)?.kind {
            Kind::File(content) => Some(content),
            Kind::Directory | Kind::Symlink(_) | Kind::HardLink(_) | Kind::Special(_) => None,
        }
    }

    /// Returns what is directly in a directory.
    pub fn children<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a str, &'a Entry)> {
        self.entries.iter().filter_map(move |entry| {
            let name = entry.path.strip_prefix(folder)?.strip_prefix('/')?;
            (!name.contains('/')).then_some((name, entry))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parent_stands_before_its_children() {
        let file = |path: &str| (path.to_owned(), MODE_FILE, Vec::new());
        let tree = Tree::of_files([file("b/c/d"), file("a"), file("b/c-e")]);
        let paths: Vec<_> = tree.entries.iter().map(|it| it.path.as_str()).collect();
        assert_eq!(paths, ["a", "b", "b/c", "b/c-e", "b/c/d"]);
        let names: Vec<_> = tree.children("b/c").map(|(name, _)| name).collect();
        assert_eq!(names, ["d"]);
    }
}
