//! What disturbs a cluster: each excuses some invariants, while it lasts, and no others.

/// What disturbs a cluster. A disturbance counts from its beginning until the cluster is whole
/// again: what it has spoilt may last as long as the shutdown in which it happened.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Trouble {
    /// A number of the UPS was more than 10 % off.
    Numbers,
    /// One update of the driver lied: the next one counts as [`Trouble::Numbers`].
    Lie,
    /// `LB` or `FSD` was told without need, or a UPS calibrated.
    Status,
    /// Somebody could not read the UPS.
    Eyes,
    /// A message could be lost or late, or a link was cut.
    Network,
    /// An agent or its journal was interfered with.
    Agents,
    /// A stop takes longer than planned, or is refused.
    Stops,
    /// A machine came or went outside of the protocol.
    Machines,
    /// An operator interfered.
    Orders,
}
