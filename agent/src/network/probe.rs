//! One look at one host, within the limit of a probe.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Answer, PROBE_LIMIT, link, ping};

/// What one way of asking has brought.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Heard {
    Answer,
    Nothing,
    /// The question could not be asked.
    Unable,
}

/// Asks by TCP and ping at once; the first answer ends the look.
pub(super) async fn host(proc: &Path, address: SocketAddr) -> Answer {
    let ip = address.ip().to_canonical();
    let mut tcp = std::pin::pin!(limited(connect(address)));
    let mut ping = std::pin::pin!(limited(ping(ip)));
    let (tcp, ping) = tokio::select! {
        heard = &mut tcp => match heard {
            Heard::Answer => return Answer::Tcp,
            Heard::Nothing | Heard::Unable => (heard, ping.await),
        },
        heard = &mut ping => match heard {
            Heard::Answer => return Answer::Ping,
            Heard::Nothing | Heard::Unable => (tcp.await, heard),
        },
    };
    match (tcp, ping) {
        (Heard::Answer, _) => Answer::Tcp,
        (_, Heard::Answer) => Answer::Ping,
        (Heard::Unable, _) => Answer::Unknown,
        (Heard::Nothing, Heard::Nothing) => Answer::Silent,
        (Heard::Nothing, Heard::Unable) => match ip {
            // The attempt by TCP has made the kernel ask for the hardware address.
            IpAddr::V4(ip) => match link::neighbour(proc, ip).await {
                Some(true) => Answer::Arp,
                Some(false) => Answer::Silent,
                None => Answer::Unknown,
            },
            IpAddr::V6(_) => Answer::Silent,
        },
    }
}

/// Asks a gateway by ping, or where that is not allowed by TCP; then only an answer tells.
pub(super) async fn gateway(address: Ipv4Addr) -> Option<bool> {
    match limited(ping::echo(address)).await {
        Heard::Answer => Some(true),
        Heard::Nothing => Some(false),
        Heard::Unable => {
            let heard = limited(connect(SocketAddr::from((address, DNS_PORT)))).await;
            (heard == Heard::Answer).then_some(true)
        }
    }
}

async fn limited(asking: impl Future<Output = Heard>) -> Heard {
    timeout(PROBE_LIMIT, asking).await.unwrap_or(Heard::Nothing)
}

async fn ping(ip: IpAddr) -> Heard {
    match ip {
        IpAddr::V4(ip) => ping::echo(ip).await,
        IpAddr::V6(_) => Heard::Unable,
    }
}

/// Accepted or refused, the host's kernel has answered.
async fn connect(address: SocketAddr) -> Heard {
    let failed = match TcpStream::connect(address).await {
        Ok(stream) => {
            // A reset leaves no connection behind in TIME_WAIT, one a second for each host. If it
            // cannot be asked for, an ordinary close does as well.
            SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap_or_default();
            return Heard::Answer;
        }
        Err(failed) => failed.kind(),
    };
    if matches!(failed, ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset) {
        Heard::Answer
    } else if matches!(failed, ErrorKind::HostUnreachable | ErrorKind::TimedOut) {
        Heard::Nothing
    } else {
        Heard::Unable
    }
}

/// Most home routers resolve names; one that does not refuses, which is an answer too.
const DNS_PORT: u16 = 53;

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::test_directory::TestDirectory;

    #[tokio::test]
    async fn an_open_port_and_a_closed_one_are_both_answers() {
        let proc = Path::new("/proc");
        for at in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(at).await.unwrap();
            let address = listener.local_addr().unwrap();
            assert_ne!(host(proc, address).await, Answer::Silent);
            assert_eq!(limited(connect(address)).await, Heard::Answer);
            drop(listener);
            assert_eq!(limited(connect(address)).await, Heard::Answer);
        }
    }

    #[tokio::test]
    async fn what_cannot_be_asked_is_unknown_and_not_silent() {
        // TCP to a broadcast address is refused by our own kernel, and ping too without its flag.
        let folder = TestDirectory::new();
        let answer = host(folder.path(), "255.255.255.255:9101".parse().unwrap()).await;
        assert_eq!(answer, Answer::Unknown);
    }
}
