//! Wakes hosts by magic packets (wake-on-LAN) in UDP broadcasts.
//!
//! By default each packet goes to 255.255.255.255 *and* to the broadcast address of the subnet of
//! the host, both to port 9: some switches drop the one, some routers the other. The kernel sends
//! 255.255.255.255 out of one interface only, that of the socket's source address, so the socket is
//! bound to the address that the agent listens on. Sending needs no privilege and never waits: what
//! the kernel does not take at once is an error. That a packet was sent says nothing of the host.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::str::FromStr;

use socket2::{Domain, Protocol, Socket, Type};
use tracing::debug;

use crate::route;

/// The hardware address of a network card.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Mac([u8; 6]);

/// A text that is no hardware address.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is no MAC address: write six pairs such as \"aa:bb:cc:dd:ee:01\"")]
pub struct MacError(String);

/// Whom to wake, and by which way.
#[derive(Clone, Debug)]
pub struct Target {
    /// The card that listens while the host is off.
    pub mac: Mac,
    /// The address of the host, which leads to its subnet.
    pub address: IpAddr,
    /// The `wake` address of the cluster file: then packets go there and nowhere else.
    pub only_to: Option<SocketAddr>,
}

/// Why no packet left.
#[derive(Debug, thiserror::Error)]
pub enum WakeError {
    /// No socket could be made for it.
    #[error("cannot open a socket to send magic packets to {to}")]
    Open {
        /// Where it was to go.
        to: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The packet was not taken.
    #[error("cannot send a magic packet to {to}")]
    Send {
        /// Where it was to go.
        to: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// What one call has sent.
#[derive(Debug)]
pub struct Sent {
    /// Where packets went: at least one.
    pub to: Vec<SocketAddr>,
    /// Which ways did not work.
    pub failed: Vec<WakeError>,
}

/// Sends magic packets.
#[derive(Clone, Debug)]
pub struct Waker {
    listen: IpAddr,
}

impl Waker {
    /// Takes the address that the agent listens on; an unspecified one leaves the choice of the
    /// interface to the route to each host.
    pub fn new(listen: IpAddr) -> Self {
        Self { listen }
    }

    /// Sends one magic packet by each way. An error means that none of them worked.
    pub fn send(&self, target: &Target) -> Result<Sent, WakeError> {
        let packet = target.mac.magic_packet();
        let mut sent = Sent { to: Vec::new(), failed: Vec::new() };
        for (source, to) in self.ways(target) {
            match send(&packet, source, to) {
                Ok(()) => sent.to.push(to),
                Err(failed) => sent.failed.push(failed),
            }
        }
        if sent.to.is_empty()
            && let Some(failed) = sent.failed.pop()
        {
            return Err(failed);
        }
        debug!(mac = %target.mac, to = ?sent.to, "magic packet sent");
        Ok(sent)
    }

    /// Returns the source and the destination of each packet.
    fn ways(&self, target: &Target) -> Vec<(IpAddr, SocketAddr)> {
        let unspecified = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        if let Some(to) = target.only_to {
            return vec![(if to.is_ipv4() { unspecified } else { V6_UNSPECIFIED }, to)];
        }
        let routed = route::source_toward(target.address).ok().filter(IpAddr::is_ipv4);
        let listen = Some(self.listen).filter(|own| own.is_ipv4() && !own.is_unspecified());
        let source = listen.or(routed).unwrap_or(unspecified);
        let everywhere = SocketAddr::new(Ipv4Addr::BROADCAST.into(), WAKE_PORT);
        let mut ways = vec![(source, everywhere)];
        let interface = routed.and_then(|own| route::interface_of(own).ok().flatten());
        if let (Some(own), Some(broadcast)) = (routed, interface.and_then(|found| found.broadcast))
        {
            ways.push((own, SocketAddr::new(broadcast.into(), WAKE_PORT)));
        }
        ways
    }
}

fn send(packet: &[u8], source: IpAddr, to: SocketAddr) -> Result<(), WakeError> {
    let socket = open(source).map_err(|source| WakeError::Open { to, source })?;
    socket.send_to(packet, to).map_err(|source| WakeError::Send { to, source })?;
    Ok(())
}

fn open(source: IpAddr) -> io::Result<UdpSocket> {
    let domain = Domain::for_address(SocketAddr::new(source, 0));
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_broadcast(true)?;
    socket.bind(&SocketAddr::new(source, 0).into())?;
    Ok(socket.into())
}

impl Mac {
    /// Returns six bytes of 0xff and sixteen times the address.
    pub(crate) fn magic_packet(self) -> Vec<u8> {
        let mut packet = vec![0xff; 6];
        packet.extend(self.0.repeat(16));
        packet
    }
}

impl From<[u8; 6]> for Mac {
    fn from(bytes: [u8; 6]) -> Self {
        Self(bytes)
    }
}

impl From<Mac> for [u8; 6] {
    fn from(mac: Mac) -> Self {
        mac.0
    }
}

impl FromStr for Mac {
    type Err = MacError;

    /// Reads six pairs of hexadecimal digits between colons or hyphens.
    fn from_str(text: &str) -> Result<Self, MacError> {
        let wrong = || MacError(text.to_owned());
        let mut bytes = [0; 6];
        let mut pairs = text.split([':', '-']);
        for byte in &mut bytes {
            let pair = pairs.next().filter(|pair| pair.len() == 2).ok_or_else(wrong)?;
            // A number may have a sign, which no pair has.
            let is_pair = pair.bytes().all(|digit| digit.is_ascii_hexdigit());
            let value = u8::from_str_radix(pair, 16).ok().filter(|_| is_pair);
            *byte = value.ok_or_else(wrong)?;
        }
        if pairs.next().is_some() { Err(wrong()) } else { Ok(Self(bytes)) }
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs = self.0.map(|byte| format!("{byte:02x}"));
        f.write_str(&pairs.join(":"))
    }
}

/// The discard service, where magic packets have always gone.
const WAKE_PORT: u16 = 9;
const V6_UNSPECIFIED: IpAddr = IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn mac() -> Mac {
        "aa:bb:cc:dd:ee:01".parse().unwrap()
    }

    fn assert_magic(packet: &[u8]) {
        assert_eq!(packet.len(), 102);
        assert_eq!(packet[..6], [0xff; 6]);
        for copy in packet[6..].chunks(6) {
            assert_eq!(copy, [0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0x01]);
        }
    }

    fn receiver(at: &str) -> UdpSocket {
        let socket = UdpSocket::bind(at).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket
    }

    #[test]
    fn a_configured_address_gets_the_packet_alone() {
        for at in ["127.0.0.1:0", "[::1]:0"] {
            let socket = receiver(at);
            let to = socket.local_addr().unwrap();
            let target = Target { mac: mac(), address: to.ip(), only_to: Some(to) };
            let sent = Waker::new(Ipv4Addr::UNSPECIFIED.into()).send(&target).unwrap();
            assert_eq!(sent.to, [to]);
            assert!(sent.failed.is_empty());
            let mut packet = [0; 200];
            let len = socket.recv(&mut packet).unwrap();
            assert_magic(&packet[..len]);
        }
    }

    #[test]
    fn a_broadcast_address_needs_no_privilege() {
        let socket = receiver("0.0.0.0:0");
        let to: SocketAddr = ([127, 255, 255, 255], socket.local_addr().unwrap().port()).into();
        let target = Target { mac: mac(), address: to.ip(), only_to: Some(to) };
        Waker::new(Ipv4Addr::LOCALHOST.into()).send(&target).unwrap();
        let mut packet = [0; 200];
        let len = socket.recv(&mut packet).unwrap();
        assert_magic(&packet[..len]);
    }

    #[test]
    fn by_default_the_packet_leaves_from_the_address_that_the_agent_listens_on() {
        let target = Target { mac: mac(), address: "127.0.0.12".parse().unwrap(), only_to: None };
        let ways = Waker::new("127.0.0.11".parse().unwrap()).ways(&target);
        let everywhere = "255.255.255.255:9".parse().unwrap();
        assert_eq!(ways, [("127.0.0.11".parse().unwrap(), everywhere)], "lo has no broadcast");
        let v6 = Target { address: "fd00::12".parse().unwrap(), ..target };
        let ways = Waker::new("::".parse().unwrap()).ways(&v6);
        assert_eq!(ways, [(Ipv4Addr::UNSPECIFIED.into(), everywhere)]);
    }

    #[test]
    fn an_address_that_this_machine_does_not_have_is_reported() {
        let target = Target { mac: mac(), address: "127.0.0.12".parse().unwrap(), only_to: None };
        let failed = Waker::new("203.0.113.77".parse().unwrap()).send(&target).unwrap_err();
        assert!(matches!(failed, WakeError::Open { .. }), "{failed:?}");
    }

    #[test]
    fn a_mac_is_six_pairs() {
        assert_eq!("AA-bb-CC-dd-ee-01".parse(), Ok(mac()));
        assert_eq!(mac().to_string(), "aa:bb:cc:dd:ee:01");
        for wrong in ["", "aa:bb:cc:dd:ee", "aa:bb:cc:dd:ee:01:02", "aa:bb:cc:dd:ee:+1", "a:b:c"] {
            assert!(wrong.parse::<Mac>().is_err(), "{wrong:?}");
        }
    }
}
