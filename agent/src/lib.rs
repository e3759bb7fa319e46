//! The Curfew agent: drivers around the coordinator.

pub mod pki;

#[cfg(test)]
mod test_directory;
