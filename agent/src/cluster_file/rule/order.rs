//! Rules for the order of the hosts: no cycle, the owner last, and a chain that a battery carries.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::reader::Report;
use super::super::section::Draft;
use super::super::value::format_duration;

/// Reports every such rule that the file breaks.
pub(super) fn check(draft: &Draft<'_>, report: &Report<'_>) {
    let needs = resolve(draft);
    let cycles = cycles(&needs);
    for cycle in &cycles {
        report_cycle(draft, cycle, report);
    }
    let owners_are_last = check_owners_last(draft, &needs, report);
    if cycles.is_empty() && owners_are_last {
        check_chain(draft, &needs, report);
    }
}

/// Returns for each host the places of those that it needs; unknown ones are left out.
fn resolve(draft: &Draft<'_>) -> Vec<Vec<usize>> {
    let hosts = draft.file.hosts.iter();
    hosts.map(|host| host.needs.iter().filter_map(|name| position(draft, name)).collect()).collect()
}

fn position(draft: &Draft<'_>, name: &str) -> Option<usize> {
    draft.file.hosts.iter().position(|host| host.name == name)
}

/// Returns cycles without a host in common, at least one of those that there are, each from the
/// host that stands first in the file.
fn cycles(needs: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut left: BTreeSet<usize> = (0..needs.len()).collect();
    let mut cycles = Vec::new();
    loop {
        remove_free(&mut left, needs);
        // What is left needs something that is left, so that a walk must come back to itself.
        let Some(mut at) = left.first().copied() else { return cycles };
        let mut walk = Vec::new();
        while !walk.contains(&at) {
            walk.push(at);
            match needs_of(needs, at).iter().find(|need| left.contains(need)) {
                Some(next) => at = *next,
                None => return cycles,
            }
        }
        let mut cycle: Vec<usize> = walk.into_iter().skip_while(|host| *host != at).collect();
        let first = cycle.iter().min().copied();
        let turns = cycle.iter().take_while(|host| Some(**host) != first).count();
        cycle.rotate_left(turns);
        left.retain(|host| !cycle.contains(host));
        cycles.push(cycle);
    }
}

/// Removes hosts that need nothing of the rest, until there is none.
fn remove_free(left: &mut BTreeSet<usize>, needs: &[Vec<usize>]) {
    loop {
        let before = left.clone();
        left.retain(|host| needs_of(needs, *host).iter().any(|need| before.contains(need)));
        if left.len() == before.len() {
            return;
        }
    }
}

fn report_cycle(draft: &Draft<'_>, cycle: &[usize], report: &Report<'_>) {
    let round = cycle.iter().chain(cycle.first());
    let names: Vec<String> = round.map(|host| format!("`{}`", name(draft, *host))).collect();
    let (Some(first), Some(next)) = (cycle.first(), cycle.iter().cycle().nth(1)) else { return };
    let (first, next) = (*first, name(draft, *next));
    let message =
        format!("needs go in a circle, so that none can start: {}", names.join(" needs "));
    let remedy = format!("remove one of them, such as \"{next}\" here");
    let at = draft.file.hosts.get(first).zip(draft.hosts.get(first)).map(|(host, spot)| {
        let index = host.needs.iter().position(|need| need == next).unwrap_or(0);
        spot.at_item("needs", index)
    });
    report.error(at.unwrap_or(0), message, remedy);
}

/// What a UPS feeds stops before the UPS's owner, so that the owner can need none of it.
fn check_owners_last(draft: &Draft<'_>, needs: &[Vec<usize>], report: &Report<'_>) -> bool {
    let mut are_last = true;
    for (ups, _) in draft.ups() {
        let Some(owner) = position(draft, &ups.owner) else { continue };
        let needed = reachable(needs, owner);
        let fed = needed.into_iter().find(|host| {
            let host = draft.file.hosts.get(*host);
            *ups.owner != *host.map_or("", |host| &host.name)
                && host.is_some_and(|host| host.ups.contains(&ups.name))
        });
        let Some(fed) = fed else { continue };
        are_last = false;
        let (owner_name, fed) = (&ups.owner, name(draft, fed));
        let message = format!(
            "host `{owner_name}` owns UPS `{}` and must stop last, but needs `{fed}`, which that \
             UPS feeds",
            ups.name
        );
        let remedy = format!("remove what leads to \"{fed}\" from needs of `{owner_name}`");
        let at = draft.hosts.get(owner).map_or(0, |spot| spot.at_key("needs"));
        report.error(at, message, remedy);
    }
    are_last
}

/// Returns all that a host needs, directly or through others.
fn reachable(needs: &[Vec<usize>], from: usize) -> BTreeSet<usize> {
    let mut seen = BTreeSet::new();
    let mut open = needs_of(needs, from).to_vec();
    while let Some(host) = open.pop() {
        if seen.insert(host) {
            open.extend(needs_of(needs, host));
        }
    }
    seen
}

fn check_chain(draft: &Draft<'_>, needs: &[Vec<usize>], report: &Report<'_>) {
    let mut after = needs.to_vec();
    let first = draft.file.ups.first();
    if let Some((ups, owner)) = first.and_then(|ups| Some((ups, position(draft, &ups.owner)?))) {
        for (place, (host, next)) in draft.file.hosts.iter().zip(&mut after).enumerate() {
            if place != owner && host.ups.contains(&ups.name) {
                next.push(owner);
            }
        }
    }
    let (total, chain) = longest_chain(draft, &after);
    if total <= LONGEST_BATTERY {
        return;
    }
    let names: Vec<&str> = chain.iter().map(|host| name(draft, *host)).collect();
    let message = format!(
        "to stop {} one after the other may take {}, which no battery of a home carries",
        names.join(", "),
        format_duration(total)
    );
    let at = chain.first().and_then(|host| draft.hosts.get(*host));
    let at = at.map_or(0, |spot| spot.at_key("stop-timeout"));
    let remedy = "write shorter stop-timeout, or let fewer hosts need one another";
    report.warning(at, message, remedy.to_owned());
}

/// Returns the longest sum of stop times, and its hosts in the order in which they stop; `after`
/// holds for each host those that stop later, without a cycle.
fn longest_chain(draft: &Draft<'_>, after: &[Vec<usize>]) -> (Duration, Vec<usize>) {
    let mut best = (Duration::ZERO, Vec::new());
    let mut before = vec![best.clone(); after.len()];
    for host in stop_order(after) {
        let stop = draft.file.hosts.get(host).map_or(Duration::ZERO, |host| host.stop_timeout);
        let Some((total, mut chain)) = before.get(host).cloned() else { continue };
        chain.push(host);
        let longest = (total.saturating_add(stop), chain);
        for next in needs_of(after, host) {
            if let Some(known) = before.get_mut(*next).filter(|known| known.0 < longest.0) {
                known.clone_from(&longest);
            }
        }
        if best.0 < longest.0 {
            best = longest;
        }
    }
    best
}

/// Returns the hosts so that each stands before all that stop after it.
fn stop_order(after: &[Vec<usize>]) -> Vec<usize> {
    let mut left: BTreeSet<usize> = (0..after.len()).collect();
    let mut order = Vec::new();
    while !left.is_empty() {
        let waiting: BTreeSet<usize> =
            left.iter().flat_map(|host| needs_of(after, *host)).copied().collect();
        let free: Vec<usize> = left.difference(&waiting).copied().collect();
        if free.is_empty() {
            return order;
        }
        left.retain(|host| waiting.contains(host));
        order.extend(free);
    }
    order
}

fn needs_of(needs: &[Vec<usize>], host: usize) -> &[usize] {
    needs.get(host).map_or(&[], Vec::as_slice)
}

fn name<'d>(draft: &'d Draft<'_>, host: usize) -> &'d str {
    draft.file.hosts.get(host).map_or("", |host| &host.name)
}

/// The runtime of a small UPS at a tenth of its load; what a home has lasts shorter.
const LONGEST_BATTERY: Duration = Duration::from_mins(30);
