//! Who plays in the demo: three hosts as in the reference cluster.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::wake::Mac;

/// The name of the cluster.
pub(super) const CLUSTER: &str = "demo";

/// One host of the demo.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Role {
    /// The NFS server, which owns the UPS.
    Nfs,
    /// The first Kubernetes node.
    First,
    /// The second one.
    Second,
}

impl Role {
    /// All hosts, in the order in which they start.
    pub(super) const ALL: [Self; 3] = [Self::Nfs, Self::First, Self::Second];

    /// Returns the name in the cluster file.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Nfs => "nfs",
            Self::First => "k8s-1",
            Self::Second => "k8s-2",
        }
    }

    /// Returns the hosts that it needs: it stops before them and starts after them.
    pub(super) const fn needs(self) -> &'static [Self] {
        match self {
            Self::Nfs => &[],
            Self::First => &[Self::Nfs],
            Self::Second => &[Self::Nfs, Self::First],
        }
    }

    /// Returns its address on the loopback.
    pub(super) const fn address(self) -> Ipv4Addr {
        Ipv4Addr::new(127, 0, 0, self.number())
    }

    /// Returns where it shows itself.
    pub(super) const fn http(self, base: u16) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.address()), base)
    }

    /// Returns where its peers talk to it.
    pub(super) const fn peers(self, base: u16) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.address()), base + 1)
    }

    /// Returns the hardware address of its card.
    pub(super) fn mac(self) -> Mac {
        Mac::from([0x02, 0, 0, 0, 0, self.number()])
    }

    const fn number(self) -> u8 {
        match self {
            Self::Nfs => 13,
            Self::First => 11,
            Self::Second => 12,
        }
    }
}
