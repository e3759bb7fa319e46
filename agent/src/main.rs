//! The `curfew` binary: a table of contents.
//!
//! Exit codes: 0 asked to stop, or done; 1 a task failed, or the answer is no; 2 usage; 78 bad
//! configuration (systemd's `RestartPreventExitStatus=78`).

use std::process::ExitCode;

fn main() -> ExitCode {
    curfew::cli::main()
}
