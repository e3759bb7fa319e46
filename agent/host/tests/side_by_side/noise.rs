//! What no kernel says: files with anything in them, and devices that come and go.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use curfew_host::{Format, Host, Selection};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::ours;
use crate::page::Page;
use crate::tree::{self, Tree};

/// Returns the files that are no links.
fn paths() -> Vec<&'static str> {
    tree::files().map(|(path, _)| path).filter(|path| !path.contains(" -> ")).collect()
}

/// What a file is made into.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let words = "[a-z0-9:./()\\[\\]=, \n\t-]{0,200}";
    prop_oneof![
        any::<Vec<u8>>(),
        words.prop_map(String::into_bytes),
        Just(b"18446744073709551616 -9223372036854775809 0x 1e400".to_vec()),
    ]
}

/// Each case changes a tenth of the files of one machine, in any way.
#[test]
fn whatever_the_files_say_the_page_is_valid() {
    let tree = Tree::new();
    let paths = paths();
    let which = prop::sample::select(paths);
    let changes = prop::collection::vec((which, noise(), 0..3_u8), 30);
    let config = ProptestConfig { cases: 64, max_shrink_iters: 64, ..ProptestConfig::default() };
    let tested = TestRunner::new(config).run(&changes, |changes| {
        let mut before = Vec::new();
        for (path, noise, how) in changes {
            let path = tree.path().join(path);
            let old = fs::read(&path).unwrap();
            let (half, _) = old.split_at(old.len() / 2);
            match how {
                0 => tree::write(&path, &noise),
                1 => tree::write(&path, half),
                _ => tree::write(&path, &[half, &noise].concat()),
            }
            before.push((path, old));
        }
        let host = Host::new(tree.roots(), tree.settings(), &Selection::default());
        let collected = host.collect();
        for (path, old) in before.iter().rev() {
            tree::write(path, old);
        }
        // A panic would be an answer that does not come.
        for outcome in &collected.outcomes {
            let result = outcome.result.as_ref().map_err(ToString::to_string);
            let is_late = result.as_ref().is_err_and(|it| it.starts_with("no answer within"));
            prop_assert!(!is_late, "{}: {result:?}", outcome.collector);
        }
        let mut page = String::new();
        curfew_host::render(collected.samples(), Format::Text, &mut page);
        // Each line is a comment or a series with a number; nothing is there twice.
        Page::new(&page);
        Ok(())
    });
    tested.unwrap();
}

#[test]
fn what_is_gone_leaves_no_series() {
    let tree = Tree::new();
    let host = Host::new(tree.roots(), tree.settings(), &Selection::default());
    let before = ours(&host);
    for gone in [
        "sys/class/net/eth0",
        "sys/class/hwmon/hwmon1",
        "sys/class/power_supply/BAT0",
        "sys/class/nvme/nvme0",
        "sys/class/thermal/thermal_zone0",
        "sys/devices/system/cpu/cpu1",
    ] {
        remove(&tree.path().join(gone));
    }
    replace(&tree, "proc/diskstats", |line| line.contains("nvme0n1 "));
    replace(&tree, "proc/net/dev", |line| line.contains("eth0:"));
    replace(&tree, "proc/stat", |line| line.starts_with("cpu1 "));
    fs::remove_file(tree.path().join("text/backup.prom")).unwrap();
    let after = ours(&host);
    for (label, value) in [
        ("device", "eth0"),
        ("device", "nvme0n1"),
        ("device", "nvme0"),
        ("chip", "platform_nct6775_656"),
        ("power_supply", "BAT0"),
        ("zone", "0"),
        ("cpu", "1"),
        ("what", "db"),
    ] {
        let of_it = |page: &Page| {
            let has_it = |(known, named): &(String, String)| known == label && named == value;
            // The kernel's own tables still have what their files say.
            let names = page.values.keys().filter(|(_, labels)| labels.iter().any(has_it));
            let names = names.map(|(name, _)| name.as_str());
            let kept = ["node_arp", "node_softnet", "node_schedstat", "node_cpu_isolated"];
            names.filter(|name| !kept.iter().any(|start| name.starts_with(start))).count()
        };
        assert!(of_it(&before) > 0, "{value} was there");
        assert_eq!(of_it(&after), 0, "{value} is gone");
    }
}

fn remove(path: &Path) {
    if path.is_symlink() {
        fs::remove_file(path).expect("the link is there");
    } else {
        fs::remove_dir_all(path).expect("the folder is there");
    }
}

/// Takes lines out of a file.
fn replace(tree: &Tree, path: &str, is_gone: impl Fn(&str) -> bool) {
    let path = tree.path().join(path);
    let text = fs::read_to_string(&path).expect("the file is there");
    let left: Vec<_> = text.lines().filter(|line| !is_gone(line)).collect();
    tree::write(&path, (left.join("\n") + "\n").as_bytes());
}

/// A pipe that nobody writes into stands for a sensor whose driver does not come back.
#[test]
fn a_sensor_that_hangs_costs_its_own_series_alone() {
    let tree = Tree::new();
    let host = Host::new(tree.roots(), tree.settings(), &Selection::default());
    let before = ours(&host);
    let pipe = tree.path().join("sys/class/hwmon/hwmon9/temp1_input");
    fs::create_dir(pipe.parent().unwrap()).unwrap();
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    for _ in 0..2 {
        let collected = host.collect();
        let waited: Duration = collected.outcomes.iter().map(|outcome| outcome.took).sum();
        assert!(waited < Duration::from_secs(1), "{waited:?}");
        let mut page = String::new();
        curfew_host::render(collected.samples(), Format::Text, &mut page);
        let page = Page::new(&page);
        let hwmon = vec![("collector".to_owned(), "hwmon".to_owned())];
        let success = ("node_scrape_collector_success".to_owned(), hwmon);
        assert_eq!(page.values.get(&success).map(|value| value.to_bits()), Some(0));
        let lost = before.kinds.keys().filter(|name| !page.kinds.contains_key(*name));
        let lost: Vec<_> = lost.filter(|name| !name.starts_with("node_hwmon_")).collect();
        assert!(lost.is_empty(), "{lost:?}");
    }
    // It wakes up: who opens the other end lets the reader go on.
    drop(fs::File::options().write(true).open(&pipe).unwrap());
    fs::remove_file(&pipe).unwrap();
    let has_sensors = || ours(&host).kinds.contains_key("node_hwmon_temp_celsius");
    assert!((0..1000).any(|_| has_sensors()), "the collector is never asked again");
}
