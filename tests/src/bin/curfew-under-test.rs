//! The agent as it is shipped: the same library behind the same `main`, built with the stories, so
//! that they never run an old one.

use std::process::ExitCode;

fn main() -> ExitCode {
    curfew::cli::main()
}
