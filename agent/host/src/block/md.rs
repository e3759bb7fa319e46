//! Arrays of disks: `/proc/mdstat`, and what sysfs adds to it.

use crate::collector::Context;
use crate::read::{CollectError, names};
use crate::sample::{Family, Samples};
use crate::text::{float, number, one_if, words};

pub(crate) fn collect(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { roots, reader, samples, .. } = context;
    let text = reader.file(&roots.proc, "mdstat");
    let text = text.map_err(|failure| failure.or_absent("arrays of disks"))?;
    text.parsed(|text| parse(text, samples))?;
    let block = roots.sys.join("block");
    for device in names(&block).unwrap_or_default() {
        if !device.starts_with("md") {
            continue;
        }
        let folder = block.join(&device).join("md");
        // A container of arrays has no disks of its own; while it reshapes there are two numbers.
        let disks = reader.attribute(&folder, "raid_disks").and_then(|text| words(text).next());
        if let Some(disks) = disks.and_then(number).filter(|disks| *disks > 0.0) {
            samples.set(&RAID_DISKS, &[&device], disks);
        }
        if let Some(degraded) = reader.number(&folder, "degraded") {
            samples.set(&DEGRADED, &[&device], degraded);
        }
    }
    Ok(())
}

/// What the lines of one array say.
#[derive(Debug)]
struct Array<'a> {
    state: &'a str,
    active: f64,
    required: f64,
    failed: usize,
    spare: usize,
    blocks: f64,
    synced: f64,
}

/// Reads the paragraphs, each of which begins with `md0 : active raid1 sda1[0] sdb1[1]`.
fn parse(text: &str, samples: &mut Samples) -> Result<(), usize> {
    let lines: Vec<_> = text.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        let is_head = !line.trim().is_empty()
            && !line.starts_with([' ', '\t'])
            && !line.starts_with("Personalities")
            && !line.starts_with("unused");
        if is_head {
            let rest = lines.get(index + 1..).unwrap_or_default();
            let name = words(line).next().ok_or(index + 1)?;
            let array = array(line, rest).ok_or(index + 1)?;
            show(samples, name, &array);
        }
    }
    Ok(())
}

fn array<'a>(head: &'a str, rest: &[&'a str]) -> Option<Array<'a>> {
    let status = rest.first()?;
    let state = words(head).nth(2)?;
    let blocks = words(status).next().and_then(number)?;
    let (required, active) = if head.contains("raid0") || head.contains("linear") {
        // Each of its disks is needed; only they have a number in brackets.
        let disks = head.matches('[').count();
        (count(disks), count(disks))
    } else if state == "inactive" {
        (0.0, 0.0)
    } else {
        ratio(status)?
    };
    let mut array = Array {
        state,
        active,
        required,
        failed: head.matches("(F)").count(),
        spare: head.matches("(S)").count(),
        blocks,
        synced: blocks,
    };
    // The lines of this array end with an empty one.
    let more = rest.iter().skip(1).take_while(|line| !line.trim().is_empty());
    for (word, state) in STATES_OF_SYNC {
        let line = more.clone().find(|line| !line.contains("bitmap") && line.contains(word));
        let Some(line) = line else { continue };
        array.state = state;
        let waits = line.contains("PENDING") || line.contains("DELAYED");
        array.synced = if waits { 0.0 } else { progress(line)? };
        break;
    }
    Some(array)
}

/// Returns what `[4/3] [U_UU]` says: the disks that are needed, and those that work.
fn ratio(status: &str) -> Option<(f64, f64)> {
    let (before, _) = status.rsplit_once("] [")?;
    let (_, ratio) = before.rsplit_once('[')?;
    let (required, active) = ratio.split_once('/')?;
    Some((number(required)?, number(active)?))
}

/// Returns the first number of `recovery =  8.5% (16775552/195310144) finish=17.0min`.
fn progress(line: &str) -> Option<f64> {
    let (_, rest) = line.split_once('(')?;
    let (done, _) = rest.split_once('/')?;
    number(done)
}

fn show(samples: &mut Samples, device: &str, array: &Array<'_>) {
    samples.set(&REQUIRED, &[device], array.required);
    samples.set(&DISKS, &[device, "active"], array.active);
    samples.set(&DISKS, &[device, "failed"], count(array.failed));
    samples.set(&DISKS, &[device, "spare"], count(array.spare));
    for state in STATES {
        samples.set(&STATE, &[device, state], one_if(array.state == state));
    }
    samples.set(&BLOCKS, &[device], array.blocks);
    samples.set(&SYNCED, &[device], array.synced);
}

fn count(of: usize) -> f64 {
    float(u64::try_from(of).unwrap_or(u64::MAX))
}

const STATES: [&str; 5] = ["active", "inactive", "recovering", "resync", "check"];
/// What runs, by the word in its line; `node_exporter` has no state for the third.
const STATES_OF_SYNC: [(&str, &str); 4] = [
    ("recovery", "recovering"),
    ("reshape", "reshaping"),
    ("check", "check"),
    ("resync", "resync"),
];

const DEVICE: &[&str] = &["device"];
const STATE: Family = Family::gauge(
    "node_md_state",
    &["device", "state"],
    "1 for the state of the array, 0 for the others.",
);
const DISKS: Family = Family::gauge(
    "node_md_disks",
    &["device", "state"],
    "Disks of the array that work, have failed or are spare.",
);
const REQUIRED: Family =
    Family::gauge("node_md_disks_required", DEVICE, "Disks that the whole array has.");
const BLOCKS: Family = Family::gauge("node_md_blocks", DEVICE, "Blocks of the array.");
const SYNCED: Family =
    Family::gauge("node_md_blocks_synced", DEVICE, "Blocks that are the same on all disks.");
const RAID_DISKS: Family =
    Family::gauge("node_md_raid_disks", DEVICE, "Disks of the whole array, as sysfs has it.");
const DEGRADED: Family = Family::gauge("node_md_degraded", DEVICE, "Disks that the array lacks.");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Tree;

    const MDSTAT: &str = "Personalities : [raid1] [raid0] [raid6]
md6 : active raid1 sdb2[2](F) sdc[1](S) sda2[0]
      195310144 blocks [2/1] [U_]
      [=>...................]  recovery =  8.5% (16775552/195310144) finish=17.0min

md7 : active raid6 sdb1[0] sde1[3] sdd1[2] sdc1[1](F)
      7813735424 blocks super 1.2 level 6, 512k chunk, algorithm 2 [4/3] [U_UU]
      bitmap: 0/30 pages [0KB], 65536KB chunk

md9 : active raid1 sdc2[2] sdd2[3]
      523968 blocks super 1.2 [2/2] [UU]
      \tresync=DELAYED

md4 : inactive raid1 sda3[0](F) sdb3[1](S)
      4883648 blocks [2/2] [UU]

md5 : active raid0 sdi1[0] sdj1[1]
      314159265 blocks 64k chunks

unused devices: <none>
";

    #[test]
    fn arrays_are_told_by_their_lines() {
        let tree = Tree::new(&[
            ("proc/mdstat", MDSTAT),
            ("sys/block/md6/md/degraded", "1\n"),
            ("sys/block/md6/md/raid_disks", "2 (3)\n"),
            ("sys/block/sda/size", "1\n"),
        ]);
        let (result, samples) = tree.collect(collect);
        result.unwrap();
        for (series, value) in [
            ("node_md_disks{device=\"md6\",state=\"active\"}", 1.0),
            ("node_md_disks{device=\"md6\",state=\"failed\"}", 1.0),
            ("node_md_disks{device=\"md6\",state=\"spare\"}", 1.0),
            ("node_md_disks_required{device=\"md7\"}", 4.0),
            ("node_md_disks{device=\"md7\",state=\"active\"}", 3.0),
            ("node_md_blocks_synced{device=\"md7\"}", 7_813_735_424.0),
            ("node_md_state{device=\"md6\",state=\"recovering\"}", 1.0),
            ("node_md_state{device=\"md6\",state=\"active\"}", 0.0),
            ("node_md_blocks_synced{device=\"md6\"}", 16_775_552.0),
            ("node_md_state{device=\"md9\",state=\"resync\"}", 1.0),
            ("node_md_blocks_synced{device=\"md9\"}", 0.0),
            ("node_md_state{device=\"md4\",state=\"inactive\"}", 1.0),
            ("node_md_disks_required{device=\"md4\"}", 0.0),
            ("node_md_disks_required{device=\"md5\"}", 2.0),
            ("node_md_raid_disks{device=\"md6\"}", 2.0),
            ("node_md_degraded{device=\"md6\"}", 1.0),
        ] {
            assert_eq!(samples.value(series), Some(value), "{series}");
        }
        assert!(Tree::new(&[]).collect(collect).0.unwrap_err().is_absence());
    }

    #[test]
    fn an_array_without_its_status_is_an_error() {
        let (result, _) =
            Tree::new(&[("proc/mdstat", "md0 : active raid1 a[0]\n")]).collect(collect);
        assert!(matches!(result, Err(CollectError::Parse { line: 1, .. })), "{result:?}");
    }
}
