//! The lines of a mount table as the kernel writes them to `/proc/PID/mountinfo`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use crate::escape::unescape;

/// One mount; texts are as they stand in the line, with their escapes.
///
/// `36 35 98:0 /root /mount-point options [optional fields] - type source super-options`
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    /// Of this mount.
    pub(crate) id: u32,
    /// Of the mount that it is mounted on.
    pub(crate) parent: u32,
    /// Of the file system: the same for each mount of it.
    pub(crate) number: DeviceNumber,
    /// Which part of the file system is mounted.
    pub(crate) root: &'a [u8],
    /// Where.
    pub(crate) point: &'a [u8],
    /// Of this mount alone.
    pub(crate) options: &'a [u8],
    /// The type of the file system.
    pub(crate) kind: &'a [u8],
    /// The device, or what else it comes from.
    pub(crate) source: &'a [u8],
    /// Of the file system.
    pub(crate) super_options: &'a [u8],
}

/// By what the kernel tells file systems apart.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct DeviceNumber {
    /// Which driver; 0 for what has no device.
    pub major: u32,
    /// Which of its devices.
    pub minor: u32,
}

impl<'a> Line<'a> {
    /// Takes a line apart; none if it is not one of a mount table.
    pub(crate) fn parse(line: &'a [u8]) -> Option<Self> {
        let mut fields = line.split(|&byte| byte == b' ');
        let (id, parent) = (number(fields.next()?)?, number(fields.next()?)?);
        let (major, minor) = std::str::from_utf8(fields.next()?).ok()?.split_once(':')?;
        let device = DeviceNumber { major: major.parse().ok()?, minor: minor.parse().ok()? };
        let (root, point, options) = (fields.next()?, fields.next()?, fields.next()?);
        fields.find(|field| *field == b"-")?;
        let (kind, source, super_options) = (fields.next()?, fields.next()?, fields.next()?);
        Some(Self { id, parent, number: device, root, point, options, kind, source, super_options })
    }

    /// Returns whether this mount of the file system takes no writes.
    pub(crate) fn is_mount_read_only(&self) -> bool {
        has_ro(self.options)
    }

    /// Returns whether the file system itself takes none. Since Linux 6.12 one of ext4 that has
    /// seen an error is not `ro` for that.
    pub(crate) fn is_read_only(&self) -> bool {
        let of_errors = [&b"emergency_ro"[..], b"shutdown"];
        let mut options = self.super_options.split(|&byte| byte == b',');
        options.any(|option| option == b"ro" || of_errors.contains(&option))
    }
}

/// Returns a path without escapes.
pub(crate) fn path(field: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(unescape(field)))
}

fn number(field: &[u8]) -> Option<u32> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

fn has_ro(options: &[u8]) -> bool {
    options.split(|&byte| byte == b',').any(|option| option == b"ro")
}

/// Some 50 000 mounts of 300 bytes, a hundred times what a busy Kubernetes node has.
pub(crate) const TABLE_MAX: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_apart() {
        let line = br"36 35 98:17 /srv /mnt\040x rw,noatime master:1 shared:2 - ext3 /dev/root ro";
        let mount = Line::parse(line).unwrap();
        assert_eq!((mount.id, mount.parent), (36, 35));
        assert_eq!(mount.number, DeviceNumber { major: 98, minor: 17 });
        assert_eq!((path(mount.root), path(mount.point)), ("/srv".into(), "/mnt x".into()));
        assert_eq!((mount.kind, mount.source), (&b"ext3"[..], &b"/dev/root"[..]));
        assert!(mount.is_read_only() && !mount.is_mount_read_only());
    }

    #[test]
    fn a_source_may_be_empty() {
        let mount = Line::parse(b"1 2 0:4 / /m rw - tmpfs  rw").unwrap();
        assert_eq!((mount.source, mount.super_options), (&b""[..], &b"rw"[..]));
    }

    #[test]
    fn what_is_no_line_is_none() {
        for line in ["", "1 2 0:4 / /", "1 2 04 / / rw - ext4 a rw", "x 2 0:4 / / rw - ext4 a rw"] {
            assert!(Line::parse(line.as_bytes()).is_none(), "{line}");
        }
        proptest::proptest!(|(bytes: Vec<u8>)| {
            drop(Line::parse(&bytes).map(|line| path(line.point)));
        });
    }
}
