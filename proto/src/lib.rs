//! What the agents say to each other: the messages and the service of `proto/curfew/v1`.
//!
//! The bindings are generated and committed; `tests/bindings.rs` keeps them equal to the `.proto`
//! files. What may be in a message, and what it means, is checked by the agent (`peer/convert`).

/// Version 1 of the protocol between agents.
#[expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::clone_on_ref_ptr,
    clippy::default_trait_access,
    clippy::doc_markdown,
    clippy::too_many_lines,
    unused_qualifications,
    reason = "generated"
)]
pub mod v1 {
    include!("generated/curfew.v1.rs");
}

/// The version of the protocol that these bindings are of.
pub const PROTOCOL: u32 = 1;
