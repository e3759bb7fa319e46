//! Stories as text: JSON that a person can read and change, with only what is not the usual.
//!
//! A story has exactly one text, its canonical form: [`Story::to_text`]. Reading refuses what no
//! story has, by name, so that a misspelt key does not quietly play another story.

use std::collections::{BTreeMap, BTreeSet};

use curfew_coordinator::{Cluster, HostName};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Dated, NetworkTruth, Story, UpsTruth};
use crate::span;
use parts::{ClusterPart, HostPart, SettingsPart};

mod parts;
mod text;

pub(super) use parts::{usual_address, usual_probe, usual_wake};

/// The version of the text; another one is another language.
const VERSION: u64 = 1;
/// No number of a story is greater, but for its seed: what a world adds and multiplies stays far
/// from the end of its numbers.
const GREATEST: u64 = 100_000_000_000;

/// Why a text is no story. Nothing has been played.
#[derive(Debug, thiserror::Error)]
pub enum StoryFileError {
    /// It is no JSON.
    #[error("the story is no JSON: correct it at line {}, column {}", .0.line(), .0.column())]
    Parse(#[source] serde_json::Error),
    /// It is of another version.
    #[error(
        "the story has version {found}, and this program reads version {VERSION}: play it with \
         the program that wrote it"
    )]
    Version {
        /// What stands there.
        found: String,
    },
    /// A part is not what it should be.
    #[error("{place} cannot be read: correct what is said of it")]
    Part {
        /// Which, for example `changes[3]`.
        place: String,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// A key that no story has.
    #[error("{place} has the key `{key}`, which no story has: remove it, or write one of {known}")]
    UnknownKey {
        /// Where, for example `hosts[0].truth`.
        place: String,
        /// The key.
        key: String,
        /// The keys that can stand there.
        known: String,
    },
    /// It fits no cluster.
    #[error("{0}")]
    Senseless(String),
}

impl Story {
    /// Returns the story as text: canonical, so that two stories are equal if their texts are.
    pub fn to_text(&self) -> String {
        text::of(&self.to_compact())
    }

    /// Reads a story from its text, canonical or not.
    pub fn from_text(text: &str) -> Result<Self, StoryFileError> {
        let value: Value = serde_json::from_str(text).map_err(StoryFileError::Parse)?;
        match value {
            Value::Object(parts) => Self::from_parts(parts),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => {
                Err(senseless("the story is no object: begin it with `{` and end it with `}`"))
            }
        }
    }

    /// Returns the parts of the text, without what is the usual.
    pub(crate) fn to_compact(&self) -> Map<String, Value> {
        let mut parts = self.to_parts();
        for (key, usual) in usual_parts() {
            if let Some(part) = parts.get_mut(&key) {
                remove_usual(part, &usual);
            }
        }
        let usual_host = value_of(&HostPart::default());
        for host in elements_mut(&mut parts, "hosts") {
            remove_usual(host, &usual_host);
        }
        for change in elements_mut(&mut parts, "changes") {
            if let Value::Object(keys) = change {
                keys.retain(|_, value| !value.is_null());
            }
        }
        parts.retain(|_, part| !is_empty(part));
        parts
    }

    /// Returns all parts of the text, with everything in them.
    fn to_parts(&self) -> Map<String, Value> {
        let hosts = self.cluster.hosts.iter().enumerate();
        let hosts = hosts.map(|(place, host)| value_of(&HostPart::of(self, host, place)));
        let heals_at = span::text(std::time::Duration::from_millis(self.heals_at));
        Map::from_iter([
            ("version".to_owned(), VERSION.into()),
            ("about".to_owned(), self.about.clone().into()),
            ("seed".to_owned(), self.seed.into()),
            ("cluster".to_owned(), value_of(&ClusterPart::of(&self.cluster))),
            ("settings".to_owned(), value_of(&SettingsPart(self.cluster.settings.clone()))),
            ("ups".to_owned(), value_of(&self.ups)),
            ("network".to_owned(), value_of(&self.network)),
            ("hosts".to_owned(), hosts.collect()),
            ("changes".to_owned(), self.changes.iter().map(value_of).collect()),
            ("heals-at".to_owned(), heals_at.into()),
        ])
    }

    /// Reads a story from the parts of its text.
    pub(crate) fn from_parts(mut parts: Map<String, Value>) -> Result<Self, StoryFileError> {
        let given = Value::Object(parts.clone());
        check_version(parts.remove("version"))?;
        let mut cluster_hosts = Vec::new();
        let mut truths = BTreeMap::new();
        let mut measured = BTreeMap::new();
        for (place, value) in list(&mut parts, "hosts")?.into_iter().enumerate() {
            let part: HostPart = read(&format!("hosts[{place}]"), value)?;
            let wrong = |what| senseless(format!("hosts[{place}]: {what}"));
            cluster_hosts.push(part.host(place).map_err(wrong)?);
            if !part.measured.is_empty() {
                measured.insert(part.name.clone(), part.measured);
            }
            truths.insert(part.name, part.truth);
        }
        let mut changes: Vec<Dated> = Vec::new();
        for (place, value) in list(&mut parts, "changes")?.into_iter().enumerate() {
            changes.push(read(&format!("changes[{place}]"), value)?);
        }
        let mut settings = value_of(&SettingsPart::default());
        overlay(&mut settings, parts.remove("settings").unwrap_or_default());
        let settings: SettingsPart = read("settings", settings)?;
        let cluster: ClusterPart = part(&mut parts, "cluster")?;
        let story = Self {
            about: part(&mut parts, "about")?,
            seed: part(&mut parts, "seed")?,
            cluster: cluster.into_cluster(cluster_hosts, settings.0),
            hosts: truths,
            ups: part::<UpsTruth>(&mut parts, "ups")?,
            network: part::<NetworkTruth>(&mut parts, "network")?,
            measured,
            changes,
            heals_at: read_span(parts.remove("heals-at"))?,
        };
        check_keys("the story", &given, &Value::Object(story.to_parts()))?;
        check_numbers("the story", &given)?;
        check_hosts(&story.cluster)?;
        check_changes(&story)?;
        Ok(story)
    }
}

/// Returns the parts that need not be told while they are so.
fn usual_parts() -> [(String, Value); 5] {
    [
        ("about".to_owned(), "".into()),
        ("cluster".to_owned(), value_of(&ClusterPart::default())),
        ("settings".to_owned(), value_of(&SettingsPart::default())),
        ("ups".to_owned(), value_of(&UpsTruth::default())),
        ("network".to_owned(), value_of(&NetworkTruth::default())),
    ]
}

fn value_of<T: Serialize>(part: &T) -> Value {
    serde_json::to_value(part).expect("the parts of a story have texts as keys and no float")
}

fn elements_mut<'a>(
    parts: &'a mut Map<String, Value>,
    key: &str,
) -> impl Iterator<Item = &'a mut Value> {
    parts.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten()
}

fn is_empty(part: &Value) -> bool {
    match part {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(keys) => keys.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Takes away what is as in `usual`, all the way down.
fn remove_usual(part: &mut Value, usual: &Value) {
    let (Value::Object(keys), Value::Object(usual)) = (part, usual) else { return };
    keys.retain(|key, value| {
        let Some(usual) = usual.get(key) else { return true };
        let was_object = value.is_object();
        if value != usual {
            remove_usual(value, usual);
        }
        value != usual && !(was_object && is_empty(value))
    });
}

/// Puts what is given over what is the usual, all the way down.
fn overlay(usual: &mut Value, given: Value) {
    match (usual, given) {
        (_, Value::Null) => {}
        (Value::Object(usual), Value::Object(given)) => {
            for (key, value) in given {
                overlay(usual.entry(key).or_insert(Value::Null), value);
            }
        }
        (usual, given) => *usual = given,
    }
}

fn check_version(version: Option<Value>) -> Result<(), StoryFileError> {
    if version == Some(VERSION.into()) {
        return Ok(());
    }
    let found = version.map_or_else(|| "none".to_owned(), |found| found.to_string());
    Err(StoryFileError::Version { found })
}

fn read<T: DeserializeOwned>(place: &str, value: Value) -> Result<T, StoryFileError> {
    serde_json::from_value(value)
        .map_err(|source| StoryFileError::Part { place: place.to_owned(), source })
}

fn part<T: DeserializeOwned + Default>(
    parts: &mut Map<String, Value>,
    key: &str,
) -> Result<T, StoryFileError> {
    parts.remove(key).map_or_else(|| Ok(T::default()), |value| read(key, value))
}

fn list(parts: &mut Map<String, Value>, key: &str) -> Result<Vec<Value>, StoryFileError> {
    part(parts, key)
}

fn read_span(value: Option<Value>) -> Result<u64, StoryFileError> {
    let Some(Value::String(text)) = value else {
        return Err(senseless(
            "`heals-at` is missing: write when the weather ends, for example \"5m\"",
        ));
    };
    let span = span::parse(&text).map_err(|what| senseless(format!("heals-at: {what}")))?;
    Ok(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

fn senseless(what: impl Into<String>) -> StoryFileError {
    StoryFileError::Senseless(what.into())
}

/// Compares what was given with all that was understood of it.
fn check_keys(place: &str, given: &Value, understood: &Value) -> Result<(), StoryFileError> {
    let below = |key: &str| {
        if place == "the story" { key.to_owned() } else { format!("{place}.{key}") }
    };
    match (given, understood) {
        (Value::Object(given), Value::Object(understood)) => {
            for (key, value) in given {
                let Some(it) = understood.get(key) else {
                    let known: Vec<_> = understood.keys().map(|key| format!("`{key}`")).collect();
                    return Err(StoryFileError::UnknownKey {
                        place: place.to_owned(),
                        key: key.clone(),
                        known: known.join(", "),
                    });
                };
                check_keys(&below(key), value, it)?;
            }
            Ok(())
        }
        (Value::Array(given), Value::Array(understood)) => {
            let mut pairs = given.iter().zip(understood).enumerate();
            pairs.try_for_each(|(n, (given, it))| check_keys(&format!("{place}[{n}]"), given, it))
        }
        _ => Ok(()),
    }
}

fn check_numbers(place: &str, given: &Value) -> Result<(), StoryFileError> {
    match given {
        Value::Number(number) if number.as_u64().is_none_or(|number| number > GREATEST) => {
            Err(senseless(format!("`{place}` is {number}: write a whole number up to {GREATEST}")))
        }
        Value::Object(keys) => keys
            .iter()
            .filter(|(key, _)| *key != "seed")
            .try_for_each(|(key, value)| check_numbers(key, value)),
        Value::Array(list) => list.iter().try_for_each(|value| check_numbers(place, value)),
        Value::Number(_) | Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
    }
}

/// What the agent checks in a cluster file, and the coordinator relies on.
fn check_hosts(cluster: &Cluster) -> Result<(), StoryFileError> {
    let names = cluster.names();
    if names.len() < cluster.hosts.len() || names.iter().any(|name| name.as_str().is_empty()) {
        return Err(senseless("two hosts have one name, or one has none: name each of them"));
    }
    if !names.contains(&cluster.ups.owner) {
        return Err(match cluster.hosts.first() {
            None => senseless("the story has no `hosts`: write at least the owner of the UPS"),
            Some(_) => senseless(format!(
                "`{}` owns the UPS and is none of the hosts: correct `owner`, or remove it for \
                 the first host",
                cluster.ups.owner
            )),
        });
    }
    let mut left: BTreeMap<&HostName, BTreeSet<&HostName>> =
        cluster.hosts.iter().map(|host| (&host.name, host.needs.iter().collect())).collect();
    for (host, needs) in &left {
        if let Some(need) = needs.iter().find(|need| !names.contains(**need)) {
            return Err(senseless(format!(
                "`{host}` needs `{need}`, which is none of the hosts: correct `needs`"
            )));
        }
    }
    while !left.is_empty() {
        let count = left.len();
        let waiting: BTreeSet<_> = left.keys().copied().collect();
        left.retain(|_, needs| needs.iter().any(|need| waiting.contains(need)));
        if left.len() == count {
            let names: Vec<_> = left.keys().map(|name| name.as_str()).collect();
            return Err(senseless(format!(
                "{} need each other in a circle: take one of their `needs` away",
                names.join(", ")
            )));
        }
    }
    Ok(())
}

fn check_changes(story: &Story) -> Result<(), StoryFileError> {
    let names = story.cluster.names();
    for (place, dated) in story.changes.iter().enumerate() {
        if let Some(name) = dated.change.hosts().into_iter().find(|name| !names.contains(*name)) {
            return Err(senseless(format!(
                "changes[{place}] is about `{name}`, which is none of the hosts: correct its name"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
