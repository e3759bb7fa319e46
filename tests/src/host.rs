//! The three machines of the reference cluster.

use std::fmt;
use std::net::Ipv4Addr;

/// A machine of the laboratory.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Host {
    /// The NFS server with the UPS cable.
    Nfs,
    /// The control plane; needs [`Host::Nfs`].
    K8s1,
    /// The worker; needs both others.
    K8s2,
}

impl Host {
    /// All of them, in file order.
    pub const ALL: [Self; 3] = [Self::Nfs, Self::K8s1, Self::K8s2];

    /// Returns the name in the cluster file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nfs => "nfs",
            Self::K8s1 => "k8s-1",
            Self::K8s2 => "k8s-2",
        }
    }

    /// Returns the host called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|host| host.name() == name)
    }

    /// Returns the address, the same in every laboratory: the namespaces keep them apart.
    pub const fn address(self) -> Ipv4Addr {
        match self {
            Self::Nfs => Ipv4Addr::new(10, 77, 0, 13),
            Self::K8s1 => Ipv4Addr::new(10, 77, 0, 11),
            Self::K8s2 => Ipv4Addr::new(10, 77, 0, 12),
        }
    }

    /// Returns the address of the network card.
    pub const fn mac(self) -> [u8; 6] {
        match self {
            Self::Nfs => [0x52, 0x54, 0, 0x77, 0, 0x13],
            Self::K8s1 => [0x52, 0x54, 0, 0x77, 0, 0x11],
            Self::K8s2 => [0x52, 0x54, 0, 0x77, 0, 0x12],
        }
    }

    /// Returns the address of the network card as it is written.
    pub fn mac_text(self) -> String {
        self.mac().map(|byte| format!("{byte:02x}")).join(":")
    }

    /// Returns the hosts that it needs.
    pub const fn needs(self) -> &'static [Self] {
        match self {
            Self::Nfs => &[],
            Self::K8s1 => &[Self::Nfs],
            Self::K8s2 => &[Self::Nfs, Self::K8s1],
        }
    }

    /// Returns whether the UPS cable ends here.
    pub const fn is_owner(self) -> bool {
        matches!(self, Self::Nfs)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
