//! Block devices and arrays of them.

pub(crate) mod disk;
pub(crate) mod md;
mod udev;
