//! `curfew-extension`: builds, checks and unpacks the Talos system extension.
//!
//! Exit codes: 0 done and nothing found, 1 something is wrong with the extension, 2 it could not
//! be looked at (or the command line is wrong).

use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand};
use curfew_extension::build::{self, Ingredients};
use curfew_extension::finding::Finding;
use curfew_extension::sbom::{Part, crates};
use curfew_extension::{source, validate, write};

/// Builds and checks the Talos system extension of Curfew, without Docker.
#[derive(Debug, Parser)]
#[command(name = "curfew-extension", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build the image from a static binary: an OCI layout, a docker-archive and an SBOM.
    Build(Build),
    /// Check an extension by the rules of Talos: an OCI layout, a docker-archive, or unpacked.
    Validate {
        /// The layout directory, the archive, or the folder with `manifest.yaml` and `rootfs`.
        path: PathBuf,
        /// A version of Talos that it must be compatible with.
        #[arg(long, value_name = "VERSION")]
        talos: Option<String>,
    },
    /// Unpack an extension into a folder, as Talos' imager does.
    Unpack {
        /// The layout directory or the archive.
        path: PathBuf,
        /// Where to; what is there already is not replaced.
        folder: PathBuf,
    },
}

#[derive(Args, Debug)]
struct Build {
    /// The static binary.
    #[arg(long)]
    binary: PathBuf,
    /// The folder with `manifest.yaml` and `curfew.yaml`, in the checkout.
    #[arg(long)]
    sources: PathBuf,
    /// The platform that the binary was built for, as rustc names it.
    #[arg(long)]
    target: String,
    /// The date of everything in the image, in seconds of Unix time.
    #[arg(long, env = "SOURCE_DATE_EPOCH")]
    date: u64,
    /// The commit that the binary was built from.
    #[arg(long)]
    revision: Option<String>,
    /// What else is linked into the binary: NAME=VERSION=LICENCE.
    #[arg(long, value_name = "PART", value_parser = part)]
    linked: Vec<Part>,
    /// Where the files go.
    folder: PathBuf,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Build(args) => build_image(args),
        Command::Validate { path, talos } => check(&path, talos.as_deref()),
        Command::Unpack { path, folder } => source::open(&path)
            .and_then(|source| write::unpacked(&source.tree, &folder))
            .map(|()| Vec::new()),
    };
    match outcome {
        Ok(findings) if findings.is_empty() => ExitCode::SUCCESS,
        Ok(findings) => {
            findings.iter().for_each(say);
            ExitCode::FAILURE
        }
        Err(failed) => {
            if writeln!(io::stderr(), "curfew-extension: {failed:#}").is_err() {
                return ExitCode::from(CANNOT_LOOK);
            }
            ExitCode::from(CANNOT_LOOK)
        }
    }
}

/// Builds, writes and checks what was written, in each form of it.
fn build_image(args: Build) -> Result<Vec<Finding>> {
    let root = args.sources.parent().context("find the checkout above the sources")?;
    let mut ingredients = Ingredients::read(&args.sources, &args.binary, args.date)?;
    ingredients.parts = crates::linked(root, &args.target)?;
    ingredients.parts.extend(args.linked);
    ingredients.revision = args.revision;
    let extension = build::build(&ingredients)?;
    let written = build::write(&extension, &args.folder)?;
    let mut findings = check(&written.layout, None)?;
    let of_archive = check(&written.archive, None)?;
    let more: Vec<_> = of_archive.into_iter().filter(|it| !findings.contains(it)).collect();
    findings.extend(more);
    let image = &extension.image;
    say(format_args!("binary      {:>9} bytes", ingredients.binary.len()));
    say(format_args!("unfolded    {:>9} bytes", image.unfolded_size));
    say(format_args!("compressed  {:>9} bytes", image.layer.bytes.len()));
    say(format_args!("parts       {:>9} linked into the binary", ingredients.parts.len()));
    say(format_args!("layer       {}", image.layer.digest));
    say(format_args!("image       {}", image.manifest.digest));
    say(format_args!("sbom        {}", written.sbom.display()));
    say(format_args!("archive     {}", written.archive.display()));
    say(format_args!("layout      {}", written.layout.display()));
    Ok(findings)
}

fn check(path: &std::path::Path, talos: Option<&str>) -> Result<Vec<Finding>> {
    validate::validate(&source::open(path)?, talos)
}

/// Parses NAME=VERSION=LICENCE.
fn part(text: &str) -> Result<Part, &'static str> {
    let mut pieces = text.splitn(3, '=').map(ToOwned::to_owned);
    let (Some(name), Some(version), licence) = (pieces.next(), pieces.next(), pieces.next()) else {
        return Err("write NAME=VERSION=LICENCE");
    };
    Ok(Part { name, version, licence, purl: None, checksum: None, needs: Vec::new() })
}

/// Prints a line; a closed terminal changes nothing.
fn say(line: impl Display) {
    if writeln!(io::stdout(), "{line}").is_err() {
        // The exit code says what the lines would have.
    }
}

/// As for a command line that cannot be understood.
const CANNOT_LOOK: u8 = 2;
