//! Man pages: `curfew(1)`, and one for each of its commands.

use std::io;

use anyhow::{Context as _, Result};
use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::Document;

/// Exit codes, as in the `main.rs` of the agent.
const EXIT_STATUS: [(&str, &str); 4] = [
    ("0", "Told to end by SIGTERM or SIGINT, or done."),
    ("1", "A task failed, or the answer is no."),
    ("2", "The command line cannot be understood."),
    ("78", "The cluster file is refused, cannot be read, or has no such host."),
];

/// What of the package a person has to know.
const FILES: [(&str, &str); 7] = [
    ("/etc/curfew/cluster.toml", "The cluster file, the same on every host."),
    ("/etc/curfew/pki/", "The certificate of this host: ca.crt, host.crt, host.key."),
    ("/etc/curfew/upsd.password", "The password of the upsd user, on the host with the UPS cable."),
    ("/etc/default/curfew", "Variables for the service, such as CURFEW_LOG."),
    ("/var/lib/curfew/", "The journal."),
    ("/run/curfew-hold/", "Only in the hold: how it stands, and what could not be made safe."),
    ("/usr/share/doc/curfew/", "How to set it up (debian.md), all keys, examples."),
];

/// Returns all pages, the commands' before that of the program.
pub fn pages(command: &Command) -> Result<Vec<Document>> {
    let mut command = command.clone();
    command.build();
    let mut pages = Vec::new();
    collect(&command, &mut pages).context("render the man pages")?;
    Ok(pages)
}

fn collect(command: &Command, pages: &mut Vec<Document>) -> io::Result<()> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        collect(below, pages)?;
    }
    let man = Man::new(command.clone())
        .source(concat!("curfew ", env!("CARGO_PKG_VERSION")))
        .manual("Curfew")
        // A blank, since roff leaves an empty argument out, and the next would be taken for it.
        .date(" ");
    let mut text = Vec::new();
    man.render(&mut text)?;
    closing(command).to_writer(&mut text)?;
    pages.push(Document { file: man.get_filename(), text });
    Ok(())
}

/// Returns what clap does not know: exit codes and files, and where to read on.
fn closing(command: &Command) -> Roff {
    let mut roff = Roff::default();
    let is_program = command.get_display_name().unwrap_or_else(|| command.get_name()) == "curfew";
    if is_program {
        list(&mut roff, "EXIT STATUS", &EXIT_STATUS);
        list(&mut roff, "FILES", &FILES);
    }
    roff.control("SH", ["SEE ALSO"]);
    if is_program {
        let text = "upsd(8), ups.conf(5), upsd.users(5), systemctl(1), exports(5)";
        roff.text([roman(text)]);
    } else {
        roff.text([bold("curfew"), roman("(1)")]);
    }
    roff
}

fn list(roff: &mut Roff, title: &str, rows: &[(&str, &str)]) {
    roff.control("SH", [title]);
    for (term, meaning) in rows {
        roff.control("TP", []);
        roff.text([bold(*term)]);
        roff.text([roman(*meaning)]);
    }
}
