//! The stand-in as others meet it: on the socket, and through a whole stop.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "clippy's switch for tests covers only what is marked as one, not its helpers"
)]

mod protocol;
mod stop;
mod visitor;
