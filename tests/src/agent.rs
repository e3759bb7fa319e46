//! The real agent: its binary, its certificates, its process.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::host::Host;
use crate::process::{Process, Program, run};

/// Returns the path of the agent that was built with this test; `CURFEW_BINARY` names another.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("CURFEW_BINARY") {
        return Ok(path.into());
    }
    // Test binaries lie in `TARGET/PROFILE/deps`, the others in `TARGET/PROFILE`.
    let test = std::env::current_exe().context("find this test's binary")?;
    let profile = test.ancestors().nth(2).context("find the build's folder")?;
    let path = profile.join("curfew-under-test");
    ensure!(path.is_file(), "there is no {}: run the stories by cargo", path.display());
    Ok(path)
}

/// Makes the authority of the cluster called `cluster` in `folder` and issues a certificate to each
/// host and to the operator.
pub fn make_certificates(binary: &Path, cluster: &str, folder: &Path) -> Result<()> {
    let folder = folder.as_os_str();
    let init = ["pki", "init", "--cluster", cluster].map(AsRef::as_ref);
    run(binary, [init.as_slice(), &[folder]].concat()).context("make an authority")?;
    let issue = ["pki", "issue", "--dir"].map(AsRef::as_ref);
    let names = Host::ALL.map(|host| AsRef::as_ref(host.name()));
    let operator = ["--operator", OPERATOR].map(AsRef::as_ref);
    run(binary, [issue.as_slice(), &[folder], &names, &operator].concat())
        .context("issue certificates")?;
    Ok(())
}

/// Who gives orders; the certificate lies in the folder `operator-NAME`.
pub const OPERATOR: &str = "lab";

/// Where an agent finds what it needs.
#[derive(Clone, Debug)]
pub struct Paths {
    /// The host for which it takes itself.
    pub host: Host,
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
    /// Starts the agent in `namespace`.
    pub fn start(&self, namespace: &str) -> Result<Process> {
        Program::new(namespace, &self.binary, &self.log)
            .args(["run", "--host", self.host.name(), "--cluster"])
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
