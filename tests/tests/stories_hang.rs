//! Stories of mounts that hang, as those of NFS do whose server is gone: no page, no health and no
//! shutdown waits for them.

#![expect(clippy::print_stdout, reason = "figures for whoever runs it by hand")]

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use curfew_tests::directory::replace;
use curfew_tests::disk::Disk;
use curfew_tests::ground::now;
use curfew_tests::story::DOWN;
use curfew_tests::{Fact, Host, Lab, Setup, Share, Verb, http};
use nix::mount::{MsFlags, mount};

#[test]
fn a_hung_mount_delays_no_page_and_costs_as_many_threads_as_things_hang() -> Result<()> {
    let mut lab = Lab::build(&Setup::default())?;
    let (media, kernel) = (Media::mount(&lab)?, Kernel::mount(&lab)?);
    // It hangs from the start: so it is after an outage from which the server did not come back.
    media.hang();
    kernel.hang();
    start(&mut lab)?;
    for host in [Host::K8s1, Host::K8s2] {
        ensure_prompt(host)?;
    }
    // Each thing that hangs keeps a thread, however often somebody asks, once each has been asked.
    for host in [Host::K8s1, Host::K8s2] {
        lab.eventually("all that hangs is known to do so", DOWN, |_lab| {
            let asked = now();
            metrics(host).is_ok() && now().since(asked) < KNOWN
        })?;
    }
    for host in [Host::K8s1, Host::K8s2] {
        let before = threads(&lab, host)?;
        ensure_prompt(host)?;
        let after = threads(&lab, host)?;
        println!("{host}: {before} threads, and after as many questions again {after}");
        // Idle threads of the runtime come and go, one for each that asks at the same time.
        ensure!(after <= before + AT_ONCE, "{host} had {before} threads, and now {after}");
    }
    let page = metrics(Host::K8s1)?;
    ensure!(page.contains(&format!("{TEXT_SUCCESS} 0\n")), "the text folder that hangs is fine");
    ensure!(page.contains("\nnode_load1 "), "what does not hang is not there");
    ensure!(media.errors(&page) == Some("1"), "the disk that hangs: {:?}", media.errors(&page));
    let mounts = health(Host::K8s2, "nfs-mounts")?;
    ensure!(mounts.contains("takes longer than"), "the mounts that hang: {mounts}");

    media.heal();
    kernel.heal();
    lab.eventually("all is read again", HEALED, |_lab| {
        let page = metrics(Host::K8s1).unwrap_or_default();
        page.contains(&format!("{TEXT_SUCCESS} 1\n"))
            && page.contains("\nbackup_age_seconds 5\n")
            && media.errors(&page) == Some("0")
            && health(Host::K8s2, "nfs-mounts").is_ok_and(|it| it.ends_with("1 of 10.77.0.13"))
    })?;
    ensure!(media.text.measured() == 0, "another machine was asked how full its disk is");
    media.end()?;
    kernel.end()
}

#[test]
fn a_hung_mount_delays_no_shutdown() -> Result<()> {
    let mut lab = Lab::build(&Setup::default())?;
    let (media, kernel) = (Media::mount(&lab)?, Kernel::mount(&lab)?);
    start(&mut lab)?;
    let mounts = health(Host::K8s2, "nfs-mounts")?;
    ensure!(mounts.ends_with("1 of 10.77.0.13"), "{mounts}");
    media.hang();
    kernel.hang();
    lab.eventually("k8s-2 waits for its mount table", DOWN, |_lab| {
        health(Host::K8s2, "nfs-mounts").is_ok_and(|it| it.contains("takes longer than"))
    })?;
    let failure = lab.fail_mains_with_spare(2)?;
    lab.until(Host::K8s2, &Fact::Called(Verb::Stop), DOWN)?;
    ensure_prompt(Host::K8s1)?;
    lab.until_held()?;
    lab.assert_stopped_in_order(failure, Verb::Hold);
    ensure!(lab.timeline().first(None, &Fact::OutputOpened).is_none(), "the battery ended first");
    media.end()?;
    kernel.end()
}

fn start(lab: &mut Lab) -> Result<()> {
    for host in Host::ALL {
        lab.press_button(host);
    }
    lab.until_whole(DOWN)
}

/// What hangs on k8s-1: the folder of text files, and the way to a file system of its own.
struct Media {
    text: Share,
    layer: Share,
    scratch: Disk,
    point: PathBuf,
}

impl Media {
    /// Mounts it before the agent is started, which sees the mounts of that moment.
    fn mount(lab: &Lab) -> Result<Self> {
        let own = lab.folder().join("k8s-1");
        let [root, layer, lower, image] =
            ["root", "layer", "lower", "image"].map(|it| own.join(it));
        let folder = root.join("var/lib/prometheus/node-exporter");
        for path in [&folder, &layer, &lower, &image] {
            fs::create_dir_all(path).context("make a folder")?;
        }
        give_paths(lab, Host::K8s1, &format!("root = \"{}\"", root.display()))?;
        let text = Share::mount(&folder, &[("backup.prom", "backup_age_seconds 5\n")])?;
        // To the kernel a path leads through what lies below an image's layers, so that a look at
        // a file system of this machine hangs with that of another one.
        let layer_share = Share::mount(&layer, &[("scratch/", "")])?;
        let layers = format!("lowerdir={}:{}", layer.display(), lower.display());
        let kind = Some("overlay");
        mount(Some("image"), &image, kind, MsFlags::MS_RDONLY, Some(layers.as_str()))
            .context("mount an image")?;
        let point = image.join("scratch");
        Ok(Self { text, layer: layer_share, scratch: Disk::mount(&point)?, point })
    }

    fn hang(&self) {
        self.text.hang();
        self.layer.hang();
    }

    fn heal(&self) {
        self.text.heal();
        self.layer.heal();
    }

    /// Returns whether the file system behind the hung way has an error, as the page has it.
    fn errors<'a>(&self, page: &'a str) -> Option<&'a str> {
        let point = format!("mountpoint=\"{}\"", self.point.display());
        let lines = page.lines().filter(|line| line.starts_with("node_filesystem_device_error{"));
        lines.filter(|line| line.contains(&point)).find_map(|line| Some(line.rsplit_once(' ')?.1))
    }

    fn end(self) -> Result<()> {
        self.heal();
        drop(self.scratch);
        self.text.end()?;
        self.layer.end()
    }
}

/// What hangs on k8s-2: the mount table, which a mount in the making can hold, and all of `/sys`.
struct Kernel([Share; 3]);

impl Kernel {
    fn mount(lab: &Lab) -> Result<Self> {
        let own = lab.folder().join("k8s-2");
        let (proc, sys) = (own.join("proc"), own.join("sys"));
        let points = [proc.join("1"), proc.join("self"), sys.clone()];
        for point in &points {
            fs::create_dir_all(point).context("make a folder")?;
        }
        for entry in fs::read_dir("/proc").context("list /proc")?.flatten() {
            let name = entry.file_name();
            let is_process = name.to_str().is_some_and(|it| it.parse::<u32>().is_ok());
            if !is_process && name != "self" {
                symlink(entry.path(), proc.join(name)).context("link a part of /proc")?;
            }
        }
        let paths = format!("proc = \"{}\"\nsys = \"{}\"", proc.display(), sys.display());
        give_paths(lab, Host::K8s2, &paths)?;
        let [init, own, sys] = points;
        let table = [("mountinfo", MOUNTS)];
        Ok(Self([
            Share::mount(&init, &table)?,
            Share::mount(&own, &table)?,
            Share::mount(&sys, &[("class/hwmon/", ""), ("class/thermal/", ""), ("devices/", "")])?,
        ]))
    }

    fn hang(&self) {
        self.0.iter().for_each(Share::hang);
    }

    fn heal(&self) {
        self.0.iter().for_each(Share::heal);
    }

    fn end(self) -> Result<()> {
        self.0.into_iter().try_for_each(Share::end)
    }
}

fn give_paths(lab: &Lab, host: Host, paths: &str) -> Result<()> {
    let file = lab.folder().join("cluster.toml");
    let text = fs::read_to_string(&file).context("read the cluster file")?;
    let program = lab.folder().join("machine");
    let place = format!("[host.command]\nstop = [\"{}\", \"{host}\"", program.display());
    ensure!(text.contains(&place), "the cluster file has no {place}");
    replace(&file, &text.replace(&place, &format!("[host.paths]\n{paths}\n{place}")))
}

/// Asks for everything, twenty times, some at once; says how long the slowest answer took.
fn ensure_prompt(host: Host) -> Result<()> {
    let ask = || -> Result<Duration> {
        let mut slowest = Duration::ZERO;
        for path in (0..TIMES / AT_ONCE).flat_map(|_| PATHS) {
            let asked = now();
            http::ask(SocketAddr::from((host.address(), 9100)), path, LONGEST)
                .with_context(|| format!("{host} does not answer {path}"))?;
            slowest = slowest.max(now().since(asked));
        }
        Ok(slowest)
    };
    let slowest = thread::scope(|scope| -> Result<Duration> {
        let asking: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(ask)).collect();
        let mut slowest = Duration::ZERO;
        for asked in asking {
            slowest = slowest.max(asked.join().map_err(|_panic| anyhow!("a panic"))??);
        }
        Ok(slowest)
    })?;
    println!("{host}: the slowest of {} answers took {slowest:?}", TIMES * PATHS.len());
    ensure!(slowest <= PROMPT, "{host} took {slowest:?} for an answer");
    Ok(())
}

fn metrics(host: Host) -> Result<String> {
    http::get(host, "/metrics").map(|answer| answer.body)
}

/// Returns what the health of `host` says of one thing.
fn health(host: Host, check: &str) -> Result<String> {
    let document = http::get(host, "/api/v1/status")?.body;
    let document: serde_json::Value = serde_json::from_str(&document).context("no JSON")?;
    let checks =
        document.pointer("/health/checks").and_then(|it| it.as_array()).context("no checks")?;
    let found =
        checks.iter().find(|it| word(it, "name") == Some(check)).context("no such check")?;
    Ok(word(found, "reason").unwrap_or_default().to_owned())
}

fn word<'a>(check: &'a serde_json::Value, key: &str) -> Option<&'a str> {
    check.get(key)?.as_str()
}

fn threads(lab: &Lab, host: Host) -> Result<usize> {
    let agent = lab.machine(host).agent().context("no agent runs")?;
    let tasks = Path::new("/proc").join(agent.id().to_string()).join("task");
    Ok(fs::read_dir(tasks).context("list its threads")?.count())
}

/// A host with a mount of the laboratory's server.
const MOUNTS: &str = "25 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
    36 25 0:31 / /mnt rw,relatime - nfs4 10.77.0.13:/srv/media \
    rw,vers=4.2,proto=tcp,clientaddr=10.77.0.12,addr=10.77.0.13\n";
const TEXT_SUCCESS: &str = "node_scrape_collector_success{collector=\"textfile\"}";
/// All that somebody may look at.
const PATHS: [&str; 5] = ["/metrics", "/health", "/readyz", "/livez", "/api/v1/status"];
/// How often each is asked for.
const TIMES: usize = 20;
/// How many ask at the same time.
const AT_ONCE: usize = 4;
/// How long a page takes at most that waits for nothing: less than the least limit of a collector.
const KNOWN: Duration = Duration::from_millis(200);
/// What a hung mount may cost whoever looks.
const PROMPT: Duration = Duration::from_secs(1);
/// How long to wait for an answer that comes too late, to say how late.
const LONGEST: Duration = Duration::from_secs(5);
/// File systems are measured every 15 s.
const HEALED: Duration = Duration::from_secs(30);
