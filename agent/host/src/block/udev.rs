//! What `udev` knows of a block device: its file in `/run/udev/data`.

use std::fmt::Write;

use crate::read::{Reader, Roots};

/// The properties of one device.
#[derive(Debug, Default)]
pub(super) struct Properties(String);

impl Properties {
    /// Reads those of a device; none where `udev` is not, or does not know it.
    pub(super) fn read(reader: &mut Reader, roots: &Roots, major: &str, minor: &str) -> Self {
        let mut file = String::with_capacity(16);
        write!(file, "b{major}:{minor}").expect("a String takes everything");
        // The numbers are of `/proc/diskstats`, and no path.
        let is_safe =
            file.bytes().all(|byte| byte == b'b' || byte == b':' || byte.is_ascii_digit());
        let text = is_safe.then(|| reader.document(&roots.udev, &file).ok()).flatten();
        Self(text.map(|text| text.as_str().to_owned()).unwrap_or_default())
    }

    /// Returns a property; the last line of its name counts.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let lines = self.0.lines().rev();
        lines.filter_map(|line| line.strip_prefix("E:")?.split_once('=')).find_map(
            |(known, value)| (known == name).then_some(value).filter(|value| !value.is_empty()),
        )
    }

    /// Returns a property as the value of a label.
    pub(super) fn label(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }
}
