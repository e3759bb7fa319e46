//! The cluster in a story file: the coordinator's own types with readable spans, and a host beside
//! the truth about it.

use std::collections::BTreeSet;
use std::time::Duration;

use curfew_coordinator::{
    BuiltIn, Cluster, Host, HostName, OffProof, ReadyBy, Settings, Ups, WakeTarget,
};
use serde::{Deserialize, Serialize};

use crate::span;
use crate::story::{HostTruth, Story};

/// What of the cluster is neither a host nor a limit.
#[derive(Deserialize, Serialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct ClusterPart {
    name: String,
    hash: String,
    ups: String,
    /// None is the first host.
    owner: Option<HostName>,
    returns: Option<bool>,
}

impl Default for ClusterPart {
    fn default() -> Self {
        let (name, hash, ups) = ("home".to_owned(), "hash".to_owned(), "eaton".to_owned());
        Self { name, hash, ups, owner: None, returns: None }
    }
}

impl ClusterPart {
    pub(super) fn of(cluster: &Cluster) -> Self {
        let first = cluster.hosts.first().map(|host| &host.name);
        let owner = Some(&cluster.ups.owner).filter(|owner| first != Some(owner));
        Self {
            name: cluster.name.clone(),
            hash: cluster.hash.clone(),
            ups: cluster.ups.name.clone(),
            owner: owner.cloned(),
            returns: cluster.ups.returns,
        }
    }

    pub(super) fn into_cluster(self, hosts: Vec<Host>, settings: Settings) -> Cluster {
        let first = || hosts.first().map_or_else(|| HostName::from(""), |host| host.name.clone());
        let owner = self.owner.unwrap_or_else(first);
        let ups = Ups { name: self.ups, owner, returns: self.returns };
        Cluster { name: self.name, hash: self.hash, hosts, ups, settings }
    }
}

/// The limits, as in the cluster file: all of them, what is not said comes in before.
#[derive(Default, Deserialize, Serialize)]
#[serde(transparent)]
pub(super) struct SettingsPart(#[serde(with = "SettingsForm")] pub(super) Settings);

#[derive(Deserialize, Serialize)]
#[serde(remote = "Settings", rename_all = "kebab-case")]
struct SettingsForm {
    #[serde(with = "span::duration")]
    reserve: Duration,
    #[serde(with = "span::duration")]
    cut_margin: Duration,
    charge_below: u8,
    #[serde(with = "span::some_duration")]
    on_battery_for: Option<Duration>,
    #[serde(with = "span::duration")]
    debounce: Duration,
    #[serde(with = "span::duration")]
    low_battery_left: Duration,
    #[serde(with = "span::duration")]
    foreign_stop: Duration,
    #[serde(with = "OffProofForm")]
    off_proof: OffProof,
    #[serde(with = "span::duration")]
    mains_stable: Duration,
    charge_above: u8,
    #[serde(with = "span::duration")]
    charge_wait: Duration,
    #[serde(with = "span::duration")]
    wake_every: Duration,
    #[serde(with = "span::duration")]
    wake_timeout: Duration,
    #[serde(with = "BuiltInForm")]
    built_in: BuiltIn,
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "OffProof", rename_all = "kebab-case")]
enum OffProofForm {
    Network,
    Session,
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "BuiltIn", rename_all = "kebab-case")]
struct BuiltInForm {
    #[serde(with = "span::duration")]
    beat: Duration,
    #[serde(with = "span::duration")]
    fresh: Duration,
    #[serde(with = "span::duration")]
    peer_fresh: Duration,
    #[serde(with = "span::duration")]
    owner_silent: Duration,
    #[serde(with = "span::duration")]
    confirm: Duration,
    #[serde(with = "span::duration")]
    blind_left: Duration,
    #[serde(with = "span::duration")]
    off_silence: Duration,
    #[serde(with = "span::duration")]
    absent_silence: Duration,
    #[serde(with = "span::duration")]
    agent_absent: Duration,
    #[serde(with = "span::duration")]
    frame_window: Duration,
    #[serde(with = "span::duration")]
    carrier_hold: Duration,
    #[serde(with = "span::duration")]
    estimate_after: Duration,
    #[serde(with = "span::duration")]
    tight_wait: Duration,
    #[serde(with = "span::duration")]
    boot_grace: Duration,
    #[serde(with = "span::duration")]
    call_again: Duration,
    #[serde(with = "span::duration")]
    owner_least: Duration,
    #[serde(with = "span::duration")]
    journal_every: Duration,
}

/// A host and the truth about it.
#[derive(Deserialize, Serialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct HostPart {
    pub(super) name: HostName,
    needs: BTreeSet<HostName>,
    is_fed: bool,
    #[serde(with = "span::duration")]
    stop_timeout: Duration,
    touches_power: bool,
    /// `agent`, `probe` or `exports`; the last two with their text if it is not the usual one.
    ready: String,
    /// `usual`, `none`, or a MAC address, the host's own and where the packet is sent.
    wake: String,
    /// Its measured stops, the oldest first.
    #[serde(with = "span::list_of_millis")]
    pub(super) measured: Vec<u64>,
    pub(super) truth: HostTruth,
}

impl Default for HostPart {
    fn default() -> Self {
        Self {
            name: "".into(),
            needs: BTreeSet::new(),
            is_fed: true,
            stop_timeout: Duration::from_secs(30),
            touches_power: true,
            ready: "agent".to_owned(),
            wake: "usual".to_owned(),
            measured: Vec::new(),
            truth: HostTruth::default(),
        }
    }
}

impl HostPart {
    pub(super) fn of(story: &Story, host: &Host, place: usize) -> Self {
        let with = |kind: &str, text: &str, usual: String| {
            if text == usual { kind.to_owned() } else { format!("{kind} {text}") }
        };
        let ready = match &host.ready {
            ReadyBy::Agent => "agent".to_owned(),
            ReadyBy::Probe(url) => with("probe", url, usual_probe(place)),
            ReadyBy::Exports(address) => with("exports", address, usual_address(place)),
        };
        let wake = match &host.wake {
            None => "none".to_owned(),
            Some(target) if *target == usual_wake(place) => "usual".to_owned(),
            Some(WakeTarget { mac, to, address }) => {
                let mac = mac.map(|byte| format!("{byte:02x}")).join(":");
                let to = to.as_ref().map(|to| format!(" {to}")).unwrap_or_default();
                format!("{mac} {address}{to}")
            }
        };
        Self {
            name: host.name.clone(),
            needs: host.needs.clone(),
            is_fed: host.is_fed,
            stop_timeout: host.stop_timeout,
            touches_power: host.touches_power,
            ready,
            wake,
            measured: story.measured.get(&host.name).cloned().unwrap_or_default(),
            truth: story.hosts.get(&host.name).cloned().unwrap_or_default(),
        }
    }

    /// Returns the host of the cluster, or a sentence that says what is wrong with it.
    pub(super) fn host(&self, place: usize) -> Result<Host, String> {
        Ok(Host {
            name: self.name.clone(),
            needs: self.needs.clone(),
            is_fed: self.is_fed,
            stop_timeout: self.stop_timeout,
            touches_power: self.touches_power,
            ready: self.ready_by(place)?,
            wake: self.wake_target(place)?,
        })
    }

    fn ready_by(&self, place: usize) -> Result<ReadyBy, String> {
        let (kind, text) = self.ready.split_once(' ').unwrap_or((&self.ready, ""));
        let or = |usual: String| if text.is_empty() { usual } else { text.to_owned() };
        match kind {
            "agent" if text.is_empty() => Ok(ReadyBy::Agent),
            "probe" => Ok(ReadyBy::Probe(or(usual_probe(place)))),
            "exports" => Ok(ReadyBy::Exports(or(usual_address(place)))),
            _ => Err(format!(
                "`ready` is `{}`, which proves nothing: write `agent`, `probe`, `exports`, or the \
                 last two with a text",
                self.ready
            )),
        }
    }

    fn wake_target(&self, place: usize) -> Result<Option<WakeTarget>, String> {
        if self.wake == "usual" {
            return Ok(Some(usual_wake(place)));
        }
        if self.wake == "none" {
            return Ok(None);
        }
        let wrong = || {
            format!(
                "`wake` is `{}`, which reaches nobody: write `usual`, `none`, or a MAC address, \
                 the host's own and, if need be, where the packet is sent",
                self.wake
            )
        };
        let mut words = self.wake.split(' ');
        let mac = words.next().and_then(mac).ok_or_else(wrong)?;
        let address = words.next().ok_or_else(wrong)?.to_owned();
        let to = words.next().map(str::to_owned);
        if words.next().is_some() {
            return Err(wrong());
        }
        Ok(Some(WakeTarget { mac, to, address }))
    }
}

fn mac(text: &str) -> Option<[u8; 6]> {
    let bytes: Option<Vec<u8>> =
        text.split(':').map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    bytes?.try_into().ok()
}

/// What no world looks at is the same in all stories, by the place of the host in the file.
pub(in crate::story) fn usual_address(place: usize) -> String {
    format!("10.0.0.{}", place + 10)
}

pub(in crate::story) fn usual_probe(place: usize) -> String {
    format!("https://{}:6443/readyz", usual_address(place))
}

pub(in crate::story) fn usual_wake(place: usize) -> WakeTarget {
    let place_byte = u8::try_from(place).unwrap_or(u8::MAX);
    WakeTarget { mac: [2, 0, 0, 0, 0, place_byte], to: None, address: usual_address(place) }
}
