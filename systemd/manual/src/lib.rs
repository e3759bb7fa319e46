//! What the Debian package holds beside the agent, made from what the agent itself knows: man
//! pages and completions from its command line, the licences of the crates that are in it from
//! `cargo metadata`.
//!
//! A crate of its own, so that nothing of it gets into the binary that is shipped. Reading order:
//! [`write()`] is the whole; then [`page`], [`completion`] and [`licence`].

pub mod completion;
pub mod licence;
pub mod page;

use std::fs::{DirBuilder, File};
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};

/// Writes everything into the folder `target`, which is made: `man/`, `completions/`, `licences`.
pub fn write(target: &Path) -> Result<()> {
    let command = curfew::cli::command().disable_help_subcommand(true);
    for page in page::pages(&command)? {
        put(&target.join("man").join(page.file), &page.text)?;
    }
    for script in completion::scripts(&command) {
        put(&target.join("completions").join(script.file), &script.text)?;
    }
    put(&target.join("licences"), licence::licences()?.as_bytes())
}

/// A file that is to be written.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its name, without a folder.
    pub file: String,
    /// What is in it.
    pub text: Vec<u8>,
}

fn put(path: &Path, text: &[u8]) -> Result<()> {
    let folder = path.parent().context("find the folder of a document")?;
    DirBuilder::new()
        .recursive(true)
        .create(folder)
        .with_context(|| format!("make {}", folder.display()))?;
    let mut file = File::create(path).with_context(|| format!("make {}", path.display()))?;
    file.write_all(text).with_context(|| format!("write {}", path.display()))
}
