//! The extension that is built, and every rule by which one is judged, broken once.

mod build;
mod content;
mod documents;
mod examples;
mod program;
mod stage;
mod wrapping;
