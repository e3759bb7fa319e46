//! Completions for the shells that Debian has.

use clap::Command;
use clap_complete::Shell;

use crate::Document;

/// The shells, each with the name under which it looks for the completions of `curfew`.
const SHELLS: [(Shell, &str); 3] =
    [(Shell::Bash, "curfew"), (Shell::Zsh, "_curfew"), (Shell::Fish, "curfew.fish")];

/// Returns the script of each shell.
pub fn scripts(command: &Command) -> Vec<Document> {
    let script = |(shell, file): (Shell, &str)| {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut command.clone(), "curfew", &mut text);
        Document { file: file.to_owned(), text }
    };
    SHELLS.map(script).into()
}
