//! The Talos system extension: built without Docker, and checked by the rules of Talos.
//!
//! A crate of its own, so that nothing of it gets into the binary that is shipped. Reading order:
//! [`tree`] is what an extension consists of; [`mod@build`] makes one, as an [`image`] with a
//! [`layer`] and an [`sbom`], and [`mod@write`] puts it on disk; [`source`] reads one in any form,
//! and [`mod@validate`] judges it. [`yaml`], [`elf`] and [`digest`] read and name bytes.

pub mod build;
pub mod digest;
pub mod elf;
pub mod finding;
pub mod image;
pub mod layer;
pub mod sbom;
pub mod source;
pub mod tree;
pub mod validate;
pub mod write;
pub mod yaml;
