//! The answer to `ListUnits`, read row by row: only what is shown, or has failed, is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use curfew_host::systemd::{State, is_shown};
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use zbus::zvariant::{ObjectPath, Signature, Type};

/// What is kept of all units.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Listing {
    /// How many units are in each state.
    pub(super) counts: BTreeMap<State, u64>,
    /// Those with series of their own.
    pub(super) shown: Vec<Listed>,
    /// How many more there would be.
    pub(super) left_out: usize,
    /// The names of those that have failed, of every kind.
    pub(super) failed: BTreeSet<String>,
    names: BTreeSet<String>,
}

/// A unit with series of its own.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) state: State,
    /// Where it is on the bus.
    pub(super) path: String,
}

impl Listing {
    /// Returns whether a unit of this name is shown.
    pub(super) fn shows(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    fn take(&mut self, row: &Row<'_>) {
        let (name, _description, load_state, active_state, ..) = row;
        // Root alone gives names, and systemd checks them; nothing else comes near a page.
        if !is_name(name) {
            return;
        }
        let state = State::of(active_state);
        *self.counts.entry(state).or_default() += 1;
        if state == State::Failed && self.failed.len() < FAILED_MAX {
            self.failed.insert((*name).to_owned());
        }
        if !is_shown(name, load_state) {
            return;
        }
        if self.shown.len() >= SHOWN_MAX {
            self.left_out += 1;
        } else if self.names.insert((*name).to_owned()) {
            let (name, path) = ((*name).to_owned(), row.6.as_str().to_owned());
            self.shown.push(Listed { name, state, path });
        }
    }
}

/// Name, description, load state, active state, sub state, followed, path, job, its kind, its path.
type Row<'a> = (
    &'a str,
    &'a str,
    &'a str,
    &'a str,
    &'a str,
    &'a str,
    ObjectPath<'a>,
    u32,
    &'a str,
    ObjectPath<'a>,
);

impl Type for Listing {
    const SIGNATURE: &'static Signature = <Vec<Row<'static>> as Type>::SIGNATURE;
}

impl<'de> Deserialize<'de> for Listing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Rows)
    }
}

struct Rows;

impl<'de> Visitor<'de> for Rows {
    type Value = Listing;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of units")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<Listing, A::Error> {
        let mut listing = Listing::default();
        while let Some(row) = rows.next_element::<Row<'de>>()? {
            listing.take(&row);
        }
        Ok(listing)
    }
}

/// Returns whether it can be the name of a unit, by what systemd itself accepts.
fn is_name(name: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    !name.is_empty() && name.len() <= NAME_MAX && name.bytes().all(is_fine)
}

/// `UNIT_NAME_MAX` of systemd, less its null.
const NAME_MAX: usize = 255;
/// Five times what a server has; each has five series.
pub(super) const SHOWN_MAX: usize = 1024;
/// More would not be read.
pub(super) const FAILED_MAX: usize = 256;
