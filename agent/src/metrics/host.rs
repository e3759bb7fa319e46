//! What this host is doing, collected when somebody looks: the metrics of `node_exporter`.
//!
//! Pages are made on one thread, which nobody else uses: what `malloc` keeps for a page, it keeps
//! for each thread that ever made one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use curfew_host::systemd;
use curfew_host::{Collected, Host, Outcome, Roots, Selection, Settings};
use tokio::sync::{Mutex, oneshot};
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
    maker: Mutex<Maker>,
    /// Those that are asked.
    collectors: Vec<&'static str>,
    shows_units: bool,
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
            chips_left_out: Vec::new(),
        };
        let all = Selection::default();
        let selection = collecting.without.iter().fold(all, |all, name| all.without(name));
        let collectors = selection.collectors().iter().map(|collector| collector.name).collect();
        let host = Host::new(Roots { proc, sys, root, udev }, settings, &selection);
        let shows_units = !collecting.without.contains(&systemd::COLLECTOR);
        let (host, failures) = (Arc::new(host), BTreeMap::new());
        let maker = Mutex::new(Maker { host, questions: None, failures });
        Self { maker, collectors, shows_units }
    }

    /// Returns whether the units of systemd, which others ask about, are to be on the page.
    pub fn shows_units(&self) -> bool {
        self.shows_units
    }

    /// Returns what is said of the collectors when there is no answer of any.
    pub fn silence(&self) -> Collected {
        Collected::silent(self.collectors.iter().copied())
    }

    /// Has something made of what the host is doing, on the thread that has looked; nothing
    /// soon, if the host hangs.
    pub async fn look<T: Send + 'static>(
        &self,
        make: impl FnOnce(&Collected) -> T + Send + 'static,
    ) -> Option<T> {
        let looking = async {
            let mut maker = self.maker.lock().await;
            let (done, answer) = oneshot::channel();
            maker.ask(Box::new(move |host| {
                // Whoever asked may have gone meanwhile.
                if done.is_closed() {
                    return;
                }
                let collected = host.collect();
                let made = make(&collected);
                // Or now.
                done.send((collected, made)).unwrap_or_default();
            }))?;
            let Ok((collected, made)) = answer.await else {
                // The thread panicked: it takes no more, though its queue may not say so yet.
                maker.questions = None;
                return None;
            };
            tell(&mut maker.failures, &collected);
            Some(made)
        };
        let made = timeout(LIMIT, looking).await.ok().flatten();
        if made.is_none() {
            warn!("the metrics of the host take too long, and are left out");
        }
        made
    }
}

/// The thread on which pages are made.
#[derive(Debug)]
struct Maker {
    host: Arc<Host>,
    /// To the thread; none before the first question, and after a panic.
    questions: Option<SyncSender<Question>>,
    /// What failed at the last look, so that it is told once.
    failures: BTreeMap<&'static str, String>,
}

type Question = Box<dyn FnOnce(&Host) + Send>;

impl Maker {
    /// Hands a question to the thread; none if that is still busy with one that was given up.
    fn ask(&mut self, question: Question) -> Option<()> {
        let question = match &self.questions {
            None => question,
            Some(questions) => match questions.try_send(question) {
                Ok(()) => return Some(()),
                Err(TrySendError::Full(_)) => return None,
                Err(TrySendError::Disconnected(question)) => question,
            },
        };
        let (questions, asked) = sync_channel::<Question>(1);
        let host = Arc::clone(&self.host);
        let builder = thread::Builder::new().name("page".to_owned());
        let started = builder.spawn(move || asked.iter().for_each(|question| question(&host)));
        if let Err(failure) = started {
            warn!(%failure, "cannot start the thread that makes pages");
            return None;
        }
        questions.try_send(question).ok()?;
        self.questions = Some(questions);
        Some(())
    }
}

/// Logs what has begun, or ceased, to fail; what a host does not have is no failure.
fn tell(failures: &mut BTreeMap<&'static str, String>, collected: &Collected) {
    for Outcome { collector, result, flaw, .. } in &collected.outcomes {
        let failure = result.as_ref().err().filter(|failure| !failure.is_absence());
        match failure.or(flaw.as_ref()) {
            Some(failure) => {
                let sentence = failure.to_string();
                if !failures.contains_key(collector) {
                    warn!(collector, failure = sentence, "cannot collect metrics of the host");
                }
                failures.insert(collector, sentence);
            }
            None => {
                if failures.remove(collector).is_some() {
                    info!(collector, "metrics of the host are collected again");
                }
            }
        }
    }
}

/// A page takes some milliseconds; `curfew_host` gives up what hangs before. Who comes while it
/// waits for several things goes without: nobody waits for a second.
const LIMIT: Duration = Duration::from_millis(750);
/// Where Debian's packages put their files for `node_exporter`.
const TEXT_FOLDER: &str = "var/lib/prometheus/node-exporter";
/// Names that the rest of the page has.
const RESERVED: [&str; 6] = [
    "curfew_",
    "network_ups_tools_",
    "node_filesystem_",
    "node_nfsd_",
    "node_systemd_",
    "smartctl_",
];

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use curfew_host::{Format, Samples};
    use tokio::task::JoinSet;
    use tokio::time::Instant;

    use super::*;
    use crate::metrics::tests::busy;
    use crate::test_directory::TestDirectory;

    fn metrics() -> HostMetrics {
        HostMetrics::new(Sources::default())
    }

    fn text(collected: &Collected) -> String {
        let mut page = String::new();
        curfew_host::render(collected.samples(), Format::Text, &mut page);
        page
    }

    #[tokio::test]
    async fn the_host_and_the_agent_share_no_family() {
        let (snapshot, counters) = busy();
        let own = crate::metrics::collect(&snapshot, &counters);
        let families = |collected: &Collected| -> Vec<String> {
            let families = collected.samples().flat_map(Samples::families);
            families.map(|family| family.name().to_owned()).collect()
        };
        let host = metrics().look(families).await.unwrap();
        assert!(host.iter().any(|name| name == "node_cpu_seconds_total"), "{host:?}");
        let own = own.families().map(|family| family.name());
        let both: Vec<_> = own.filter(|name| host.iter().any(|it| it == name)).collect();
        assert!(both.is_empty(), "{both:?}");
    }

    #[tokio::test]
    async fn a_bug_on_the_way_to_the_page_costs_one_page() {
        let metrics = metrics();
        assert!(metrics.look(|_| -> () { panic!("on purpose") }).await.is_none());
        assert_eq!(metrics.look(|_| 1).await, Some(1));
    }

    #[tokio::test]
    async fn all_pages_are_made_on_one_thread() {
        let metrics = Arc::new(metrics());
        let here = |_: &Collected| thread::current().id();
        let first = metrics.look(here).await.unwrap();
        let mut looks = JoinSet::new();
        for _ in 0..8 {
            let metrics = Arc::clone(&metrics);
            looks.spawn(async move { metrics.look(here).await });
        }
        assert!(looks.join_all().await.iter().all(|thread| *thread == Some(first)));
    }

    #[tokio::test]
    async fn who_hangs_keeps_others_waiting_for_a_second_and_no_longer() {
        let metrics = metrics();
        let (gate, hung) = std::sync::mpsc::channel::<()>();
        assert!(metrics.look(move |_| hung.recv().unwrap_or_default()).await.is_none());
        // One more question fits; the next is refused at once.
        let is_made = Arc::new(AtomicBool::new(false));
        let make = {
            let is_made = Arc::clone(&is_made);
            move |_: &Collected| is_made.store(true, Ordering::Relaxed)
        };
        assert!(metrics.look(make).await.is_none());
        let started = Instant::now();
        assert!(metrics.look(|_| ()).await.is_none());
        assert!(started.elapsed() < LIMIT, "{:?}", started.elapsed());
        drop(gate);
        while metrics.look(|_| ()).await.is_none() {}
        assert!(!is_made.load(Ordering::Relaxed), "nobody waits for that any more");
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
                without: vec!["loadavg", "uname", "systemd"],
            },
            ..Sources::default()
        });
        assert!(!metrics.shows_units() && self::metrics().shows_units());
        let page = metrics.look(text).await.unwrap();
        assert!(page.contains("\nbackup_age_seconds 5\n"), "{page}");
        for gone in ["node_load1", "node_uname_info", "collector=\"loadavg\""] {
            assert!(!page.contains(gone), "{gone}: {page}");
        }
        assert!(page.contains("node_scrape_collector_success{collector=\"stat\"} 1"), "{page}");
    }

    #[tokio::test]
    async fn why_a_text_file_is_left_out_is_told() {
        let folder = TestDirectory::new();
        folder.write("var/texts/bad.prom", "a\n");
        let metrics = HostMetrics::new(Sources {
            root: folder.path().to_owned(),
            collecting: Collecting { text_folders: vec!["/var/texts".into()], without: vec![] },
            ..Sources::default()
        });
        let page = metrics.look(text).await.unwrap();
        assert!(page.contains("success{collector=\"textfile\"} 1"), "{page}");
        assert!(page.contains("\nnode_textfile_scrape_error 1\n"), "{page}");
        let failures = &metrics.maker.lock().await.failures;
        assert!(failures["textfile"].ends_with("bad.prom makes no sense at line 1"));
    }

    #[tokio::test]
    async fn a_failure_is_told_once() {
        let metrics = metrics();
        let is_told = async || metrics.maker.lock().await.failures.clone();
        metrics.look(|_| ()).await.unwrap();
        assert!(is_told().await.is_empty(), "{:?}", is_told().await);
        let nowhere = HostMetrics::new(Sources {
            proc: "/nowhere".into(),
            sys: "/nowhere".into(),
            root: "/nowhere".into(),
            ..Sources::default()
        });
        let success = |collected: &Collected| {
            let series = "node_scrape_collector_success{collector=\"stat\"}";
            collected.samples().find_map(|samples| samples.value(series))
        };
        assert_eq!(nowhere.look(success).await, Some(Some(0.0)));
        let failures = &nowhere.maker.lock().await.failures;
        assert_eq!(failures["stat"], "cannot read /nowhere/stat");
        assert!(!failures.contains_key("hwmon"), "no sensors are no failure");
    }
}
