//! What the demo stands on: its folder, its ports, its cluster file, its certificates.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::cast::{CLUSTER, Role};
use crate::pki::{self, PkiError, Subject};

/// Why the demo cannot begin.
#[derive(Debug, thiserror::Error)]
pub(super) enum GroundError {
    /// The folder cannot be made.
    #[error("cannot make the folder {} (set TMPDIR to one that can be written)", path.display())]
    MakeFolder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file in the folder cannot be written.
    #[error("cannot write {} (set TMPDIR to a folder with some room)", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another program has a port that the demo needs.
    #[error(
        "port {} of {} is taken, perhaps by node_exporter or another demo: end that, or take \
         other ports with --port {}", at.port(), at.ip(), another(*base)
    )]
    PortTaken {
        /// The address and the port.
        at: SocketAddr,
        /// The first port of the demo.
        base: u16,
    },
    /// An address of this machine's loopback cannot be used.
    #[error("cannot listen on {at}: the demo needs 127.0.0.11 to 127.0.0.13 on the loopback")]
    Listen {
        /// The address and the port.
        at: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The certificates cannot be made.
    #[error("cannot make the certificates of the demo")]
    Certify(#[from] PkiError),
}

/// The folder of a demo, removed at its end unless it is kept.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    is_kept: bool,
}

impl Directory {
    /// Makes a folder that nobody else can read.
    pub(super) fn new() -> Result<Self, GroundError> {
        let name = format!("curfew-demo-{}-{:08x}", std::process::id(), fastrand::u32(..));
        let path = std::env::temp_dir().join(name);
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|source| GroundError::MakeFolder { path: path.clone(), source })?;
        Ok(Self { path, is_kept: false })
    }

    /// Returns where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves it there at the end.
    pub(super) const fn keep(&mut self) {
        self.is_kept = true;
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        if let Err(failed) = fs::remove_dir_all(&self.path) {
            tracing::warn!(error = %failed, folder = %self.path.display(), "it stays behind");
        }
    }
}

/// Returns whether all ports are free, or which is not.
pub(super) fn check_ports(base: u16) -> Result<(), GroundError> {
    for role in Role::ALL {
        for at in [role.http(base), role.peers(base)] {
            TcpListener::bind(at).map_err(|source| {
                if source.kind() == io::ErrorKind::AddrInUse {
                    GroundError::PortTaken { at, base }
                } else {
                    GroundError::Listen { at, source }
                }
            })?;
        }
    }
    Ok(())
}

/// Makes the authority and a certificate for each host in `folder`.
pub(super) fn make_certificates(folder: &Path) -> Result<(), GroundError> {
    let now = SystemTime::now();
    pki::init(folder, CLUSTER, now)?;
    for role in Role::ALL {
        pki::issue(folder, Subject::Host(role.name().to_owned()), now)?;
    }
    Ok(())
}

/// Writes the cluster file.
pub(super) fn write_cluster_file(path: &Path, file: &ClusterText) -> Result<(), GroundError> {
    let failed = |source| GroundError::Write { path: path.to_owned(), source };
    let options = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path);
    options.and_then(|mut it| it.write_all(file.to_toml().as_bytes())).map_err(failed)
}

/// What differs between two demos.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClusterText {
    /// Where the simulated UPS answers.
    pub(super) upsd: SocketAddr,
    /// Where magic packets go.
    pub(super) button: SocketAddr,
    /// The first port.
    pub(super) base: u16,
}

impl ClusterText {
    /// Returns the cluster file.
    pub(super) fn to_toml(self) -> String {
        let Self { upsd, button, base } = self;
        let mut text = format!(
            "# Made by `curfew demo`: three hosts on the loopback that act their stops out.\n\n\
             [cluster]\nname = \"{CLUSTER}\"\ntime-factor = {TIME_FACTOR}\n\n\
             [[ups]]\nname = \"{UPS}\"\nowner = \"{}\"\nupsd = \"{upsd}\"\n",
            Role::Nfs.name()
        );
        for role in Role::ALL {
            let (http, peers) = (role.http(base), role.peers(base));
            let needs: Vec<&str> = role.needs().iter().map(|need| need.name()).collect();
            write!(
                text,
                "\n[[host]]\nname = \"{}\"\naddress = \"{}\"\nhttp-port = {}\npeer-port = {}\n\
                 system = \"dry-run\"\nups = [\"{UPS}\"]\nneeds = {needs:?}\n\
                 control-plane = {}\nmac = \"{}\"\nwake = \"{button}\"\nstop-timeout = \"5s\"\n",
                role.name(),
                http.ip(),
                http.port(),
                peers.port(),
                role == Role::First,
                role.mac(),
            )
            .expect("a string takes all that is written to it");
        }
        text.push_str(LIMITS);
        text
    }
}

/// Returns a first port that is likely to be free, to be proposed.
fn another(base: u16) -> u16 {
    if base < 20_000 { 29_100 } else { 19_100 }
}

/// The UPS owner's address: the upsd of the demo answers there.
pub(super) const UPS_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 13);
/// The name of the UPS.
pub(super) const UPS: &str = "ups";
/// A beat of 250 ms: fast to watch, and slow enough for a busy machine to keep up.
const TIME_FACTOR: u32 = 4;
/// Each stop is reckoned with 5 s and acted out in a quarter of that, so that a plan of 20 s and a
/// battery of half a minute have the proportions of the real thing.
const LIMITS: &str = r#"
[shutdown]
reserve          = "2s"
cut-margin       = "1s"
charge-below     = 10
debounce         = "500ms"
low-battery-left = "8s"
foreign-stop     = "1s"
off-proof        = "session" # the hosts share one network stack

[restart]
mains-stable = "3s"
charge-above = 20
charge-wait  = "20s"
wake-every   = "2s"
wake-timeout = "20s"
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster_file::ClusterFile;
    use crate::test_directory::TestDirectory;

    fn text() -> ClusterText {
        let address = |text: &str| text.parse().unwrap();
        ClusterText { upsd: address("127.0.0.13:3493"), button: address("127.0.0.1:9"), base: 9100 }
    }

    #[test]
    fn the_cluster_file_is_valid_and_says_who_needs_whom() {
        let directory = TestDirectory::new();
        let path = directory.path().join("cluster.toml");
        write_cluster_file(&path, &text()).unwrap();
        let (file, findings) = ClusterFile::load(&path).unwrap();
        let grave = findings
            .iter()
            .filter(|it| it.severity != crate::cluster_file::finding::Severity::Note);
        assert_eq!(grave.count(), 0, "{findings:?}");
        for role in Role::ALL {
            let host = file.host(role.name()).unwrap();
            let needs: Vec<&str> = role.needs().iter().map(|need| need.name()).collect();
            assert_eq!(host.needs, needs);
            assert_eq!(host.waking.mac, Some(role.mac()));
        }
        assert_eq!(file.ups[0].owner, "nfs");
    }

    #[test]
    fn a_taken_port_is_named_with_the_way_out() {
        let taken = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 12), 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let refused = check_ports(port).unwrap_err().to_string();
        assert!(refused.contains(&format!("port {port} of 127.0.0.12 is taken")), "{refused}");
        assert!(refused.contains("--port "), "{refused}");
    }

    #[test]
    fn the_folder_goes_unless_it_is_kept() {
        let gone = Directory::new().unwrap().path().to_owned();
        assert!(!gone.exists());
        let mut kept = Directory::new().unwrap();
        kept.keep();
        let path = kept.path().to_owned();
        drop(kept);
        assert!(path.exists());
        fs::remove_dir(path).unwrap();
    }
}
