//! What the hardware says of itself: temperatures, power, errors of the memory.

pub(crate) mod edac;
pub(crate) mod energy;
pub(crate) mod nvme;
pub(crate) mod sensor;
mod sensor_name;
pub(crate) mod supply;
pub(crate) mod thermal;
