//! A tree as a tar archive, and back; compressed as layers are.

use std::io::{Read as _, Write as _};

use flate2::read::MultiGzDecoder;
use flate2::{Compression, GzBuilder};
use tar::{EntryType, Header};

use crate::tree::{Entry, Kind, Tree};

/// The most that a layer may unfold to: twenty times what ours does.
const UNFOLDED_MAX: u64 = 256 << 20;

/// Why a layer could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// A tree cannot be written.
    #[error("cannot write {path} into the archive")]
    Pack {
        /// The entry.
        path: String,
        /// What it failed at.
        source: std::io::Error,
    },
    /// The bytes are no archive.
    #[error("the archive cannot be read")]
    Unpack(#[source] std::io::Error),
    /// The bytes are not compressed as they should be.
    #[error("the gzip stream cannot be read")]
    Unfold(#[source] std::io::Error),
    /// It would take too much memory.
    #[error("it unfolds to more than {} MiB", UNFOLDED_MAX >> 20)]
    Size,
    /// It could not be compressed.
    #[error("cannot compress")]
    Compress(#[source] std::io::Error),
}

/// Writes a tree as a tar archive. All dates in it are `date`, in seconds of Unix time; all
/// belongs to root, without names.
pub fn pack(tree: &Tree, date: u64) -> Result<Vec<u8>, LayerError> {
    let mut archive = tar::Builder::new(Vec::new());
    for entry in &tree.entries {
        let failed = |source| LayerError::Pack { path: entry.path.clone(), source };
        append(&mut archive, entry, date).map_err(failed)?;
    }
    archive.into_inner().map_err(|source| LayerError::Pack { path: "the end".to_owned(), source })
}

fn append(archive: &mut tar::Builder<Vec<u8>>, entry: &Entry, date: u64) -> std::io::Result<()> {
    let mut header = Header::new_ustar();
    let mut content: &[u8] = &[];
    let mut path = entry.path.clone();
    match &entry.kind {
        Kind::Directory => {
            header.set_entry_type(EntryType::Directory);
            path.push('/');
        }
        Kind::File(bytes) => {
            header.set_entry_type(EntryType::Regular);
            content = bytes;
        }
        Kind::Symlink(target) => {
            header.set_entry_type(EntryType::Symlink);
            header.set_link_name(target)?;
        }
        Kind::HardLink(target) => {
            header.set_entry_type(EntryType::Link);
            header.set_link_name(target)?;
        }
        Kind::Special(_) => header.set_entry_type(EntryType::Fifo),
    }
    header.set_path(path)?;
    header.set_mode(entry.mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(date);
    header.set_size(content.len() as u64);
    header.set_cksum();
    archive.append(&header, content)
}

/// Reads a tar archive, entry by entry.
pub fn unpack(archive: &[u8]) -> Result<Tree, LayerError> {
    let mut archive = tar::Archive::new(archive);
    let mut entries = Vec::new();
    for entry in archive.entries().map_err(LayerError::Unpack)? {
        let mut entry = entry.map_err(LayerError::Unpack)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let path = text(&entry.path_bytes());
        let mode = entry.header().mode().map_err(LayerError::Unpack)? & 0o7777;
        let target = entry.link_name_bytes().map(|name| text(&name)).unwrap_or_default();
        let entry_type = entry.header().entry_type();
        let kind = if entry_type.is_dir() {
            Kind::Directory
        } else if entry_type.is_symlink() {
            Kind::Symlink(target)
        } else if entry_type.is_hard_link() {
            Kind::HardLink(target)
        } else if entry_type.is_file() {
            let mut content = Vec::new();
            entry.read_to_end(&mut content).map_err(LayerError::Unpack)?;
            Kind::File(content)
        } else if entry_type.is_fifo() {
            Kind::Special("a named pipe")
        } else if entry_type.is_character_special() || entry_type.is_block_special() {
            Kind::Special("a device node")
        } else {
            Kind::Special("of no type that the unpacker knows")
        };
        let path = path.strip_suffix('/').unwrap_or(&path).to_owned();
        entries.push(Entry { path, mode, kind });
    }
    Ok(Tree { entries })
}

/// Compresses with gzip, without name or date; the same bytes give the same bytes.
pub fn compress(bytes: &[u8]) -> Result<Vec<u8>, LayerError> {
    let mut encoder = GzBuilder::new().write(Vec::new(), Compression::best());
    encoder.write_all(bytes).map_err(LayerError::Compress)?;
    encoder.finish().map_err(LayerError::Compress)
}

/// Undoes [`compress`], up to a size that no extension of ours reaches.
pub fn decompress(bytes: &[u8]) -> Result<Vec<u8>, LayerError> {
    let mut unfolded = Vec::new();
    let mut decoder = MultiGzDecoder::new(bytes).take(UNFOLDED_MAX + 1);
    decoder.read_to_end(&mut unfolded).map_err(LayerError::Unfold)?;
    if unfolded.len() as u64 > UNFOLDED_MAX {
        return Err(LayerError::Size);
    }
    Ok(unfolded)
}
