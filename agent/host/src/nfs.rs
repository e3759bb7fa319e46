//! This host as a client of NFS.

pub(crate) mod client;
mod family;
pub(crate) mod mount;
