//! What the agents say to each other, and to Talos: the messages and services of `proto/`.
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

/// What machined of Talos is asked and told: a small part of its API.
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
pub mod talos {
    /// Errors.
    pub mod common {
        include!("generated/common.rs");
    }

    /// The API of a machine.
    pub mod machine {
        include!("generated/machine.rs");
    }

    /// The API of the state, in which everything that Talos knows is a resource.
    pub mod resource {
        include!("generated/cosi.resource.rs");
    }
}
