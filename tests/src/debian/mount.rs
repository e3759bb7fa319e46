//! What a machine has mounted, and how, as its `/proc/self/mountinfo` tells.

/// One mount.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mount {
    /// Where.
    pub path: String,
    /// The kind of file system.
    pub kind: String,
    /// Its device.
    pub source: String,
    /// It can be written through this mount, and the file system itself can be written.
    pub is_writable: bool,
}

impl Mount {
    /// Returns whether what is written there is on a disk and would be missed.
    pub fn is_on_disk(&self) -> bool {
        ["ext4", "overlay"].contains(&self.kind.as_str())
    }
}

/// Reads the lines of a `mountinfo`.
pub fn parse(text: &str) -> Vec<Mount> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Mount> {
    let (own, file_system) = line.split_once(" - ")?;
    let mut own = own.split(' ').skip(4);
    let (path, options) = (own.next()?, own.next()?);
    let mut file_system = file_system.split(' ');
    let (kind, source) = (file_system.next()?, file_system.next()?);
    let all = file_system.next().unwrap_or_default();
    let is_writable = |options: &str| options.split(',').any(|option| option == "rw");
    Some(Mount {
        path: path.to_owned(),
        kind: kind.to_owned(),
        source: source.to_owned(),
        is_writable: is_writable(options) && is_writable(all),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_mount_that_can_be_written_on_a_file_system_that_can_is_writable() {
        let text = "117 91 0:41 / / rw,relatime shared:3 - overlay overlay rw,lowerdir=base\n\
                    118 117 7:0 / /srv/media ro,relatime shared:4 - ext4 /dev/loop0 rw\n\
                    119 117 7:1 / /srv/other rw shared:4 - ext4 /dev/loop1 ro\n";
        let writable: Vec<_> = parse(text).iter().map(|mount| mount.is_writable).collect();
        assert_eq!(writable, [true, false, false]);
        let mounts = parse(text);
        assert!(mounts.iter().all(Mount::is_on_disk));
        assert_eq!(mounts.last().map(|mount| mount.path.as_str()), Some("/srv/other"));
    }
}
