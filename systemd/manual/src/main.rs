//! `curfew-manual FOLDER`: writes man pages, completions and licences into a folder.

use std::path::Path;

use anyhow::{Result, bail};

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(target), None) = (arguments.next(), arguments.next()) else {
        bail!("usage: curfew-manual FOLDER");
    };
    curfew_manual::write(Path::new(&target))
}
