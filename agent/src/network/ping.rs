//! One ICMP echo, from a socket of its own.
//!
//! The unprivileged datagram socket first, the raw one else. The reply is known by random bytes,
//! so that neither another program's ping nor an old reply is taken for it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Protocol, Type};
use tokio::net::UdpSocket;

use super::probe::Heard;

/// A socket that can ping.
pub(super) struct Socket {
    socket: socket2::Socket,
    is_raw: bool,
}

impl Socket {
    /// Fails where ping is not allowed.
    pub(super) fn open() -> io::Result<Self> {
        let open = |kind| socket2::Socket::new(Domain::IPV4, kind, Some(Protocol::ICMPV4));
        match open(Type::DGRAM) {
            Ok(socket) => Ok(Self { socket, is_raw: false }),
            Err(_denied) => Ok(Self { socket: open(Type::RAW)?, is_raw: true }),
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        if self.is_raw { "raw" } else { "datagram" }
    }
}

/// Sends one echo request and waits for its reply, as long as it is polled.
pub(super) async fn echo(address: Ipv4Addr) -> Heard {
    match try_echo(address).await {
        Ok(()) => Heard::Answer,
        // No answer to ARP, or a router that says so.
        Err(failed) if failed.kind() == io::ErrorKind::HostUnreachable => Heard::Nothing,
        Err(_unable) => Heard::Unable,
    }
}

async fn try_echo(address: Ipv4Addr) -> io::Result<()> {
    let Socket { socket, is_raw } = Socket::open()?;
    socket.set_nonblocking(true)?;
    // Connected, it receives from this address only.
    socket.connect(&SocketAddr::from((address, 0)).into())?;
    // To tokio any datagram socket is a UDP one: it only sends and receives.
    let socket = UdpSocket::from_std(socket.into())?;
    let token = fastrand::u128(..).to_be_bytes();
    socket.send(&request(&token)).await?;
    let mut packet = [0; PACKET_MAX];
    loop {
        let len = socket.recv(&mut packet).await?;
        let received = packet.get(..len).unwrap_or_default();
        let message = if is_raw { without_ip_header(received) } else { Some(received) };
        if message.is_some_and(|message| is_reply(message, &token)) {
            return Ok(());
        }
    }
}

/// The kernel puts its own identifier into that of a datagram socket.
fn request(token: &[u8; TOKEN_LEN]) -> Vec<u8> {
    let mut message = vec![ECHO_REQUEST, 0, 0, 0, 0, 0, 0, 1];
    message.extend(token);
    let checksum = checksum(&message);
    message.splice(2..4, checksum.to_be_bytes());
    message
}

fn is_reply(message: &[u8], token: &[u8; TOKEN_LEN]) -> bool {
    message.first() == Some(&ECHO_REPLY) && message.get(8..) == Some(token)
}

fn without_ip_header(packet: &[u8]) -> Option<&[u8]> {
    let words = packet.first()? & 0x0f;
    packet.get(usize::from(words) * 4..)
}

/// The Internet checksum of RFC 1071.
fn checksum(message: &[u8]) -> u16 {
    let (words, odd) = message.as_chunks::<2>();
    let last = odd.first().map_or(0, |byte| u32::from(*byte) << 8);
    let sum = words.iter().map(|word| u32::from(u16::from_be_bytes(*word))).sum::<u32>() + last;
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    !u16::try_from(folded).expect("twice folded, the sum of a short message has 16 bits")
}

const ECHO_REQUEST: u8 = 8;
const ECHO_REPLY: u8 = 0;
const TOKEN_LEN: usize = 16;
/// A reply has 24 bytes, with the longest IP header 84.
const PACKET_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn this_machine_answers_where_ping_is_allowed() {
        let heard = echo(Ipv4Addr::LOCALHOST).await;
        let allowed = if Socket::open().is_ok() { Heard::Answer } else { Heard::Unable };
        assert_eq!(heard, allowed);
    }

    #[test]
    fn a_request_sums_to_zero_and_is_not_its_own_reply() {
        let token = [0xfe; TOKEN_LEN];
        let mut message = request(&token);
        assert_eq!(checksum(&message), 0);
        assert!(!is_reply(&message, &token));
        message[0] = ECHO_REPLY;
        assert!(is_reply(&message, &token));
        assert!(!is_reply(&message, &[0; TOKEN_LEN]), "somebody else's");
        assert_eq!(checksum(&[0xff; 129]), 0x00ff, "odd lengths are padded");
    }

    #[test]
    fn an_ip_header_of_any_length_is_cut() {
        let mut packet = vec![0x46; 24];
        packet.extend([1, 2]);
        assert_eq!(without_ip_header(&packet), Some(&[1, 2][..]));
        assert_eq!(without_ip_header(&[0x4f, 0]), None);
        assert_eq!(without_ip_header(&[]), None);
    }
}
