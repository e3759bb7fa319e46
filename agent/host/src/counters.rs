//! Collectors of one or two numbers each.

use crate::collector::Context;
use crate::read::CollectError;
use crate::sample::Family;
use crate::text::{number, one_if, words};

/// `/proc/sys/kernel/random`.
pub(crate) fn entropy(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { roots, reader, samples, .. } = context;
    let folder = roots.proc.join("sys/kernel/random");
    for (file, family) in &ENTROPY {
        let bits = reader.file(&folder, file)?;
        let bits = bits.parsed(|text| number(text.trim()).ok_or(1))?;
        samples.set(family, &[], bits);
    }
    Ok(())
}

/// `/proc/sys/fs/file-nr`: open files, 0, and how many there may be.
pub(crate) fn filefd(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { roots, reader, samples, .. } = context;
    let text = reader.file(&roots.proc, "sys/fs/file-nr")?;
    let (open, most) = text.parsed(|text| {
        let mut numbers = words(text).map(number);
        let open = numbers.next().flatten().ok_or(1_usize)?;
        Ok((open, numbers.nth(1).flatten().ok_or(1_usize)?))
    })?;
    samples.set(&FILES_OPEN, &[], open);
    samples.set(&FILES_MOST, &[], most);
    Ok(())
}

/// `/proc/sys/kernel/hung_task_detect_count`, since Linux 6.13.
pub(crate) fn hung_tasks(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { roots, reader, samples, .. } = context;
    let folder = roots.proc.join("sys/kernel");
    let count = reader.number(&folder, "hung_task_detect_count");
    let count = count.ok_or(CollectError::Absent { what: "count of hung tasks" })?;
    samples.set(&HUNG_TASKS, &[], count);
    Ok(())
}

/// Whether `SELinux` is on: the kernel then has its file system, and something to enforce.
#[expect(clippy::unnecessary_wraps, reason = "as all collectors")]
pub(crate) fn selinux(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { roots, reader, samples, .. } = context;
    let enforces = reader.number(&roots.sys.join("fs/selinux"), "enforce");
    samples.set(&SELINUX_ENABLED, &[], one_if(enforces.is_some()));
    let Some(enforces) = enforces else { return Ok(()) };
    samples.set(&SELINUX_MODE, &[], enforces);
    let configured = reader.document(&roots.root, "etc/selinux/config").ok().and_then(|text| {
        let mode = text.as_str().lines().find_map(|line| line.strip_prefix("SELINUX="))?;
        SELINUX_MODES.iter().find(|(word, _)| *word == mode.trim()).map(|(_, value)| *value)
    });
    if let Some(mode) = configured {
        samples.set(&SELINUX_CONFIGURED, &[], mode);
    }
    Ok(())
}

static ENTROPY: [(&str, Family); 2] = [
    (
        "entropy_avail",
        Family::gauge("node_entropy_available_bits", &[], "Bits of entropy that there are."),
    ),
    (
        "poolsize",
        Family::gauge("node_entropy_pool_size_bits", &[], "Bits of entropy that there can be."),
    ),
];
const FILES_OPEN: Family = Family::gauge("node_filefd_allocated", &[], "Open files of the host.");
const FILES_MOST: Family = Family::gauge("node_filefd_maximum", &[], "How many files may be open.");
const HUNG_TASKS: Family = Family::counter(
    "node_kernel_hung_tasks_total",
    &[],
    "Tasks that the kernel has seen hanging since the boot.",
);
const SELINUX_ENABLED: Family =
    Family::gauge("node_selinux_enabled", &[], "1 if SELinux is on, else 0.");
const SELINUX_MODE: Family =
    Family::gauge("node_selinux_current_mode", &[], "1 if SELinux enforces its rules, else 0.");
const SELINUX_CONFIGURED: Family = Family::gauge(
    "node_selinux_config_mode",
    &[],
    "The mode that is configured: 1 to enforce, 0 to permit, -1 for off.",
);
const SELINUX_MODES: [(&str, f64); 3] =
    [("enforcing", 1.0), ("permissive", 0.0), ("disabled", -1.0)];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::Collect;
    use crate::fixture::Tree;

    #[test]
    fn each_number_is_where_the_kernel_has_it() {
        let tree = Tree::new(&[
            ("proc/sys/kernel/random/entropy_avail", "1337\n"),
            ("proc/sys/kernel/random/poolsize", "4096\n"),
            ("proc/sys/fs/file-nr", "1024\t0\t1631329\n"),
            ("proc/sys/kernel/hung_task_detect_count", "7\n"),
            ("sys/fs/selinux/enforce", "1"),
            ("root/etc/selinux/config", "# SELINUX=\nSELINUX=permissive\nSELINUXTYPE=default\n"),
        ]);
        let value = |collector: Collect, series| {
            let (result, samples) = tree.collect(collector);
            result.unwrap();
            samples.value(series)
        };
        for (collector, series, expected) in [
            (entropy as Collect, "node_entropy_available_bits", 1337.0),
            (entropy, "node_entropy_pool_size_bits", 4096.0),
            (filefd, "node_filefd_allocated", 1024.0),
            (filefd, "node_filefd_maximum", 1_631_329.0),
            (hung_tasks, "node_kernel_hung_tasks_total", 7.0),
            (selinux, "node_selinux_current_mode", 1.0),
            (selinux, "node_selinux_config_mode", 0.0),
        ] {
            assert_eq!(value(collector, series), Some(expected), "{series}");
        }
    }

    #[test]
    fn without_selinux_only_that_is_said() {
        let (result, samples) = Tree::new(&[]).collect(selinux);
        result.unwrap();
        assert_eq!((samples.len(), samples.value("node_selinux_enabled")), (1, Some(0.0)));
        assert!(Tree::new(&[]).collect(hung_tasks).0.unwrap_err().is_absence());
    }
}
