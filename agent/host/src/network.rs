//! The network: devices, neighbours, protocols and what the kernel does with packets.

pub(crate) mod arp;
pub(crate) mod bond;
pub(crate) mod class;
pub(crate) mod conntrack;
pub(crate) mod device;
pub(crate) mod protocol;
pub(crate) mod softnet;
