//! The real agent: its binary, its certificates, its process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};

use crate::host::Host;
use crate::process::{Process, Program, run};

/// Returns the path of the `curfew` binary of this build, built anew if its sources have changed.
///
/// `CURFEW_BINARY` names another one.
pub fn binary() -> Result<PathBuf> {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    if let Some(path) = BINARY.get() {
        return Ok(path.clone());
    }
    let path = match std::env::var_os("CURFEW_BINARY") {
        Some(path) => PathBuf::from(path),
        None => build()?,
    };
    ensure!(path.is_file(), "there is no agent at {}", path.display());
    Ok(BINARY.get_or_init(|| path).clone())
}

/// Makes the authority of the cluster called `cluster` in `folder` and issues a certificate to each
/// host.
pub fn make_certificates(binary: &Path, cluster: &str, folder: &Path) -> Result<()> {
    let folder = folder.as_os_str();
    let init = ["pki", "init", "--cluster", cluster].map(AsRef::as_ref);
    run(binary, [init.as_slice(), &[folder]].concat()).context("make an authority")?;
    let issue = ["pki", "issue", "--dir"].map(AsRef::as_ref);
    let names = Host::ALL.map(|host| AsRef::as_ref(host.name()));
    run(binary, [issue.as_slice(), &[folder], &names].concat()).context("issue certificates")?;
    Ok(())
}

/// Where an agent finds what it needs.
#[derive(Clone, Debug)]
pub struct Paths {
    /// The binary.
    pub binary: PathBuf,
    /// The cluster file.
    pub cluster: PathBuf,
    /// The state directory.
    pub state: PathBuf,
    /// The folder with its certificate.
    pub pki: PathBuf,
    /// Its output.
    pub log: PathBuf,
}

impl Paths {
    /// Starts the agent of `host` in `namespace`.
    pub fn start(&self, host: Host, namespace: &str) -> Result<Process> {
        Program::new(namespace, &self.binary, &self.log)
            .args(["run", "--host", host.name(), "--cluster"])
            .args([&self.cluster])
            .args(["--state"])
            .args([&self.state])
            .args(["--pki"])
            .args([&self.pki])
            .env("RUST_LOG", "debug")
            .env("RUST_BACKTRACE", "1")
            .start()
    }
}

/// Test binaries lie in `TARGET/PROFILE/deps`, beside them in `TARGET/PROFILE` the agent.
fn build() -> Result<PathBuf> {
    let test = std::env::current_exe().context("find this test's binary")?;
    let profile = test.ancestors().nth(2).context("find the build's folder")?;
    let target = profile.parent().context("find the target folder")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--package", "curfew", "--bin", "curfew"]);
    command.arg("--manifest-path").arg(workspace).arg("--target-dir").arg(target);
    if profile.file_name().is_some_and(|name| name == "release") {
        command.arg("--release");
    }
    let output = command.output().context("start cargo")?;
    ensure!(
        output.status.success(),
        "the agent does not build: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(profile.join("curfew"))
}
