//! Which of this machine's interfaces leads to an address.
//!
//! Asks the kernel's own routing by connecting a UDP socket, which sends nothing, and looks up the
//! interface that has the source address it chose. Needs no privilege and never waits.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::InterfaceFlags;

/// An interface of this machine, as seen from one of its addresses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Interface {
    /// Its name in the kernel.
    pub name: String,
    /// The broadcast address of the subnet, if it has one.
    pub broadcast: Option<Ipv4Addr>,
    /// Whether it is the loopback, which never leaves the machine.
    pub is_loopback: bool,
}

/// Returns the own address from which packets to `address` leave.
pub fn source_toward(address: IpAddr) -> io::Result<IpAddr> {
    let unspecified: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(unspecified, 0))?;
    socket.connect(SocketAddr::new(address, DISCARD_PORT))?;
    Ok(socket.local_addr()?.ip())
}

/// Returns the interface that has the address `own`; every address of 127.0.0.0/8 is the loopback.
pub fn interface_of(own: IpAddr) -> io::Result<Option<Interface>> {
    let mut addresses = getifaddrs()?;
    let found = addresses.find(|entry| {
        let has = ip_of(entry) == Some(own);
        has || (own.is_loopback() && entry.flags.contains(InterfaceFlags::IFF_LOOPBACK))
    });
    Ok(found.map(|entry| Interface {
        broadcast: broadcast_of(&entry),
        is_loopback: entry.flags.contains(InterfaceFlags::IFF_LOOPBACK),
        name: entry.interface_name,
    }))
}

fn ip_of(entry: &InterfaceAddress) -> Option<IpAddr> {
    let address = entry.address.as_ref()?;
    let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
}

/// Computed, since many an address is set up without one and the kernel then names another.
fn broadcast_of(entry: &InterfaceAddress) -> Option<Ipv4Addr> {
    let address = entry.address.as_ref()?.as_sockaddr_in()?.ip();
    let mask = entry.netmask.as_ref()?.as_sockaddr_in()?.ip();
    let has_broadcast = entry.flags.contains(InterfaceFlags::IFF_BROADCAST);
    // A subnet of one or two addresses has none.
    let is_wide = mask.to_bits().leading_ones() <= 30;
    (has_broadcast && is_wide).then(|| Ipv4Addr::from_bits(address.to_bits() | !mask.to_bits()))
}

/// Nothing is sent there: a connected socket only needs some port.
const DISCARD_PORT: u16 = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_loopback_address_leads_to_the_loopback() {
        for own in ["127.0.0.1", "127.0.0.11"] {
            let own = own.parse().unwrap();
            assert!(source_toward(own).unwrap().is_loopback());
            let interface = interface_of(own).unwrap().unwrap();
            assert!(interface.is_loopback);
            assert_eq!(interface.broadcast, None);
        }
    }

    #[test]
    fn an_address_of_nobody_here_has_no_interface() {
        assert_eq!(interface_of("203.0.113.77".parse().unwrap()).unwrap(), None);
    }
}
