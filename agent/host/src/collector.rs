//! The table of all collectors, and which of them are wanted.

use std::path::PathBuf;
use std::time::Duration;

use crate::read::{CollectError, Reader, Roots};
use crate::sample::Samples;
use crate::{
    block, counters, hardware, identity, load, memory, network, nfs, process, sockets, textfile,
    time,
};

/// One kind of thing that is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Collector {
    /// The name that `node_exporter` has for it.
    pub name: &'static str,
    /// How long it may take before the page goes without it.
    pub limit: Duration,
    pub(crate) collect: Collect,
}

/// What a collector does.
pub(crate) type Collect = fn(&mut Context<'_>) -> Result<(), CollectError>;

/// What a collector works with.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) roots: &'a Roots,
    pub(crate) settings: &'a Settings,
    pub(crate) reader: &'a mut Reader,
    pub(crate) samples: &'a mut Samples,
    /// What is wrong with what others have written, which is no failure of the collector.
    pub(crate) flaw: &'a mut Option<CollectError>,
}

/// What some collectors must be told.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Settings {
    /// Folders with files of metrics, `*.prom`.
    pub text_folders: Vec<PathBuf>,
    /// One more, which need not be there.
    pub usual_text_folder: Option<PathBuf>,
    /// Beginnings of names that a text file must not use, since others on the page have them.
    pub reserved: Vec<&'static str>,
    /// Chips that `hwmon` does not ask, by what they call themselves.
    pub chips_left_out: Vec<&'static str>,
}

/// Which collectors are asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Selection(Vec<&'static str>);

impl Default for Selection {
    /// All of them: what a host does not have costs next to nothing.
    fn default() -> Self {
        Self(COLLECTORS.iter().map(|collector| collector.name).collect())
    }
}

impl Selection {
    /// Returns one without the collector.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.retain(|selected| *selected != name);
        self
    }

    /// Returns one with only these of the collectors.
    #[must_use]
    pub fn only(mut self, names: &[&str]) -> Self {
        self.0.retain(|selected| names.contains(selected));
        self
    }

    /// Returns the collectors in the order in which they are asked.
    pub fn collectors(&self) -> Vec<Collector> {
        COLLECTORS.into_iter().filter(|collector| self.0.contains(&collector.name)).collect()
    }
}

/// Returns one that answers from the kernel's memory.
const fn quick(name: &'static str, collect: Collect) -> Collector {
    Collector { name, limit: QUICK, collect }
}

/// Returns one that asks a device or a disk, which may take its time, or for ever.
const fn slow(name: &'static str, collect: Collect) -> Collector {
    Collector { name, limit: SLOW, collect }
}

/// All collectors, those last that may hang: so they cannot take the time of the others.
pub const COLLECTORS: [Collector; 38] = [
    quick("arp", network::arp::collect),
    quick("conntrack", network::conntrack::collect),
    quick("cpu", load::cpu::collect),
    quick("entropy", counters::entropy),
    quick("filefd", counters::filefd),
    quick("kernel_hung", counters::hung_tasks),
    quick("loadavg", load::average::collect),
    quick("mdadm", block::md::collect),
    quick("meminfo", memory::info::collect),
    quick("netdev", network::device::collect),
    quick("netstat", network::protocol::collect),
    quick("nfs", nfs::client::collect),
    quick("pressure", load::pressure::collect),
    quick("process", process::collect),
    quick("schedstat", load::schedule::collect),
    quick("sockstat", sockets::usage::collect),
    quick("softnet", network::softnet::collect),
    quick("stat", load::stat::collect),
    quick("time", time::clock::collect),
    quick("timex", time::discipline::collect),
    quick("udp_queues", sockets::queue::collect),
    quick("uname", identity::kernel::collect),
    quick("vmstat", memory::events::collect),
    slow("bonding", network::bond::collect),
    slow("cpufreq", load::frequency::collect),
    slow("diskstats", block::disk::collect),
    slow("dmi", identity::machine::collect),
    slow("edac", hardware::edac::collect),
    slow("os", identity::system::collect),
    slow("selinux", counters::selinux),
    slow("netclass", network::class::collect),
    slow("mountstats", nfs::mount::collect),
    slow("nvme", hardware::nvme::collect),
    slow("rapl", hardware::energy::collect),
    slow("thermal_zone", hardware::thermal::collect),
    slow("powersupplyclass", hardware::supply::collect),
    slow("hwmon", hardware::sensor::collect),
    slow("textfile", textfile::collect),
];

/// A thousand times what it takes; a host that swaps needs it.
const QUICK: Duration = Duration::from_millis(250);
/// Sensors behind a slow bus need tens of milliseconds each; a processor that idles 10.
const SLOW: Duration = Duration::from_millis(400);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_collector_has_a_name_of_its_own() {
        let names: BTreeSet<_> = COLLECTORS.iter().map(|collector| collector.name).collect();
        assert_eq!(names.len(), COLLECTORS.len());
    }

    #[test]
    fn a_selection_leaves_out_what_it_is_told_to() {
        let all = Selection::default();
        assert_eq!(all.collectors().len(), COLLECTORS.len());
        let without = all.clone().without("hwmon");
        assert!(without.collectors().iter().all(|collector| collector.name != "hwmon"));
        let only = all.only(&["uname", "no such thing"]);
        assert_eq!(only.collectors().len(), 1);
    }
}
