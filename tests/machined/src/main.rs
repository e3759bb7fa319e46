//! The stand-in of machined as a program; see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    curfew_machined::main()
}
