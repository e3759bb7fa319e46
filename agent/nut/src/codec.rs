//! NUT's protocol without I/O, in both directions: the client and the simulated server share it.
//!
//! [`word`] splits and quotes, [`mod@line`] frames and caps, [`request`] renders and reads
//! requests, [`answer`] compares each answer with its request. None of it panics, waits or grows
//! beyond its named limits, whatever bytes come.

pub mod answer;
pub mod line;
pub mod request;
pub mod word;

#[cfg(test)]
mod tests;
