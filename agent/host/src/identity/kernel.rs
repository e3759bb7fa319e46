//! What the kernel calls itself.

use std::ffi::OsStr;

use nix::sys::utsname::uname;

use crate::collector::Context;
use crate::read::CollectError;
use crate::sample::Family;

pub(crate) fn collect(context: &mut Context<'_>) -> Result<(), CollectError> {
    let names =
        uname().map_err(|errno| CollectError::Ask { call: "uname", source: errno.into() })?;
    let values = [
        names.sysname(),
        names.release(),
        names.version(),
        names.machine(),
        names.nodename(),
        names.domainname(),
    ];
    let values = values.map(OsStr::to_string_lossy);
    context.samples.set(&INFO, &values.each_ref().map(AsRef::as_ref), 1.0);
    Ok(())
}

const INFO: Family = Family::gauge(
    "node_uname_info",
    &["sysname", "release", "version", "machine", "nodename", "domainname"],
    "Always 1; what the kernel and the host are called are labels.",
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Tree;

    #[test]
    fn the_kernel_has_a_name() {
        let (result, samples) = Tree::new(&[]).collect(collect);
        result.unwrap();
        let series = samples.families().flat_map(|family| family.series()).next();
        let (labels, value) = series.unwrap();
        assert_eq!(Some(value), Some(1.0));
        assert!(labels.starts_with("{sysname=\"Linux\",release=\""), "{labels}");
    }
}
