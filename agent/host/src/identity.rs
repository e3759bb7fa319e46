//! What this host is: its kernel, its system, its machine.

pub(crate) mod kernel;
pub(crate) mod machine;
pub(crate) mod system;
