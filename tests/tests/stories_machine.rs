//! Stories of a machine that is not well: its agent says what is wrong and what to do.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use curfew_tests::directory::{replace, write};
use curfew_tests::http::get;
use curfew_tests::{Host, Lab, Setup};

/// An agent looks at its machine as soon as it runs.
const LIMIT: Duration = Duration::from_secs(15);

/// What the kernel of a machine says that has lost a disk of its array and the writes of another,
/// and is too hot.
const FILES: [(&str, &str); 10] = [
    (
        "proc/mdstat",
        "Personalities : [raid1]\nmd0 : active raid1 sdb1[1] sda1[0](F)\n      \
         1000 blocks super 1.2 [2/1] [_U]\n\nunused devices: <none>\n",
    ),
    ("proc/vmstat", "oom_kill 0\n"),
    ("proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 800 kB\n"),
    (
        "proc/self/mountinfo",
        "25 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
         26 25 254:99 / /srv rw,relatime shared:2 - ext4 /dev/sda1 ro,errors=remount-ro\n",
    ),
    ("sys/block/sda/device/state", "running\n"),
    ("sys/block/sda/device/ioerr_cnt", "0x3\n"),
    ("sys/fs/ext4/sda1/errors_count", "2\n"),
    ("sys/class/hwmon/hwmon0/name", "coretemp\n"),
    ("sys/class/hwmon/hwmon0/temp1_input", "101000\n"),
    ("sys/class/hwmon/hwmon0/temp1_crit", "100000\n"),
];

/// What is told then: the beginning of the line, and what is in it.
const TOLD: [(&str, &str, &str); 5] = [
    ("FAIL", "md", "md0 lacks 1 of 2 disks What to do: replace the disk"),
    ("FAIL", "filesystem-read-only", "the kernel takes no more writes for /srv"),
    ("FAIL", "temperature", "coretemp temp1 has 101 °C"),
    ("warn", "disks", "ext4 on sda1 has recorded 2 errors"),
    ("ok", "memory", "80 % is available"),
];

/// Returns how the page puts it: what passes stands in columns.
fn line((word, name, what): &(&str, &str, &str)) -> String {
    if *word == "ok" { format!("{word} {name} {what}") } else { format!("{word} {name}: {what}") }
}

#[test]
fn a_machine_that_is_not_well_is_told_of_with_what_to_do() -> Result<()> {
    let mut lab = Lab::build(&Setup::default())?;
    let tree = lab.folder().join("sick");
    for (file, text) in FILES {
        write(&tree.join(file), text)?;
    }
    // The rest is the machine's own.
    for name in ["proc/net", "proc/sys", "sys/class/net"] {
        symlink(Path::new("/").join(name), tree.join(name)).context("link a part of it")?;
    }
    let path = lab.folder().join("cluster.toml");
    let text = std::fs::read_to_string(&path).context("read the cluster file")?;
    let (proc, sys) = (tree.join("proc"), tree.join("sys"));
    let paths = format!(
        "[host.paths]\nproc = \"{}\"\nsys = \"{}\"\n[host.command]",
        proc.display(),
        sys.display()
    );
    // The first host is the server.
    replace(&path, &text.replacen("[host.command]", &paths, 1))?;
    lab.press_button(Host::Nfs);
    let mut last = String::new();
    let waited = lab.eventually("its health tells all of it", LIMIT, |_| {
        get(Host::Nfs, "/health").is_ok_and(|answer| {
            last = answer.body.split_whitespace().collect::<Vec<_>>().join(" ");
            TOLD.iter().all(|told| last.contains(&line(told)))
        })
    });
    waited.with_context(|| last)?;
    let answer = get(Host::Nfs, "/metrics")?;
    for (word, name, _) in TOLD {
        let status = if word == "ok" { "pass" } else { &word.to_lowercase() };
        let line = format!("curfew_health_status{{check=\"{name}\",status=\"{status}\"}} 1");
        ensure!(answer.body.lines().any(|it| it == line), "no {line}");
    }
    Ok(())
}
