//! What this host is doing, collected when somebody looks: the metrics of `node_exporter`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use curfew_host::{Collected, Host, Outcome, Roots, Selection, Settings};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::cluster_file::seeing::Collecting;

/// Where the host is read, as `[host.paths]` has it, and what of it, as `[host.metrics]` does.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The proc file system.
    pub proc: PathBuf,
    /// The sys file system.
    pub sys: PathBuf,
    /// What stands before every other path.
    pub root: PathBuf,
    /// Which collectors are asked.
    pub collecting: Collecting,
}

impl Default for Sources {
    /// This machine, and all of it.
    fn default() -> Self {
        let collecting = Collecting::default();
        Self { proc: "/proc".into(), sys: "/sys".into(), root: "/".into(), collecting }
    }
}

/// Collects for one reader at a time.
#[derive(Debug)]
pub struct HostMetrics {
    host: Arc<Host>,
    /// What failed at the last look, so that it is told once.
    failures: Mutex<BTreeMap<&'static str, String>>,
}

impl HostMetrics {
    /// Takes where to look; there is no thread before somebody asks.
    pub fn new(sources: Sources) -> Self {
        let Sources { proc, sys, root, collecting } = sources;
        let udev = root.join("run/udev/data");
        // As the host has them, of which the root may be elsewhere.
        let below = |path: &PathBuf| root.join(path.strip_prefix("/").unwrap_or(path));
        let settings = Settings {
            text_folders: collecting.text_folders.iter().map(below).collect(),
            usual_text_folder: Some(root.join(TEXT_FOLDER)),
            reserved: RESERVED.to_vec(),
        };
        let all = Selection::default();
        let selection = collecting.without.iter().fold(all, |all, name| all.without(name));
        let host = Host::new(Roots { proc, sys, root, udev }, settings, &selection);
        Self { host: Arc::new(host), failures: Mutex::default() }
    }

    /// Returns the families of the host, at once or after a second: a host that hangs has none.
    pub async fn page(&self) -> String {
        let looking = async {
            let mut failures = self.failures.lock().await;
            let host = Arc::clone(&self.host);
            let (collected, page) = spawn_blocking(move || {
                let collected = host.collect();
                let mut page = String::with_capacity(PAGE);
                curfew_host::render(&collected, &mut page);
                (collected, page)
            })
            .await
            .ok()?;
            tell(&mut failures, &collected);
            Some(page)
        };
        let page = timeout(LIMIT, looking).await.ok().flatten();
        page.unwrap_or_else(|| {
            warn!("the metrics of the host take too long, and are left out");
            String::new()
        })
    }
}

/// Logs what has begun, or ceased, to fail; what a host does not have is no failure.
fn tell(failures: &mut BTreeMap<&'static str, String>, collected: &Collected) {
    for Outcome { collector, result, .. } in &collected.outcomes {
        match result {
            Err(failure) if !failure.is_absence() => {
                let sentence = failure.to_string();
                if !failures.contains_key(collector) {
                    warn!(collector, failure = sentence, "cannot collect metrics of the host");
                }
                failures.insert(collector, sentence);
            }
            Ok(()) | Err(_) => {
                if failures.remove(collector).is_some() {
                    info!(collector, "metrics of the host are collected again");
                }
            }
        }
    }
}

/// A page takes some milliseconds; `curfew_host` gives up what hangs before.
const LIMIT: Duration = Duration::from_secs(1);
/// A page of a small host; it grows if need be.
const PAGE: usize = 64 << 10;
/// Where Debian's packages put their files for `node_exporter`.
const TEXT_FOLDER: &str = "var/lib/prometheus/node-exporter";
/// Names that the rest of the page has.
const RESERVED: [&str; 4] = ["curfew_", "network_ups_tools_", "node_filesystem_", "node_nfsd_"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::tests::busy;
    use crate::test_directory::TestDirectory;

    fn metrics() -> HostMetrics {
        HostMetrics::new(Sources::default())
    }

    #[tokio::test]
    async fn the_host_and_the_agent_share_no_family() {
        let (snapshot, counters) = busy();
        let own = crate::metrics::render(&snapshot, &counters);
        let host = metrics().page().await;
        let families = |page: &str| -> Vec<String> {
            let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
            types.filter_map(|rest| rest.split(' ').next()).map(str::to_owned).collect()
        };
        let (own, host) = (families(&own), families(&host));
        assert!(host.iter().any(|name| name == "node_cpu_seconds_total"), "{host:?}");
        let both: Vec<_> = own.iter().filter(|name| host.contains(name)).collect();
        assert!(both.is_empty(), "{both:?}");
    }

    #[tokio::test]
    async fn only_what_the_cluster_file_wants_is_asked() {
        let folder = TestDirectory::new();
        let file = "var/texts/backup.prom";
        folder.write(file, "# TYPE backup_age_seconds gauge\nbackup_age_seconds 5\n");
        let metrics = HostMetrics::new(Sources {
            root: folder.path().to_owned(),
            collecting: Collecting {
                text_folders: vec!["/var/texts".into()],
                without: vec!["loadavg", "uname"],
            },
            ..Sources::default()
        });
        let page = metrics.page().await;
        assert!(page.contains("\nbackup_age_seconds 5\n"), "{page}");
        for gone in ["node_load1", "node_uname_info", "collector=\"loadavg\""] {
            assert!(!page.contains(gone), "{gone}: {page}");
        }
        assert!(page.contains("node_scrape_collector_success{collector=\"stat\"} 1"), "{page}");
    }

    #[tokio::test]
    async fn a_failure_is_told_once() {
        let metrics = metrics();
        let is_told = async || metrics.failures.lock().await.clone();
        metrics.page().await;
        assert!(is_told().await.is_empty(), "{:?}", is_told().await);
        let nowhere = HostMetrics::new(Sources {
            proc: "/nowhere".into(),
            sys: "/nowhere".into(),
            root: "/nowhere".into(),
            ..Sources::default()
        });
        let page = nowhere.page().await;
        assert!(page.contains("node_scrape_collector_success{collector=\"stat\"} 0"), "{page}");
        let failures = nowhere.failures.lock().await;
        assert_eq!(failures["stat"], "cannot read /nowhere/stat");
        assert!(!failures.contains_key("hwmon"), "no sensors are no failure");
    }
}
