//! How many devices each bond has, and how many of them have a link.

use crate::collector::Context;
use crate::read::CollectError;
use crate::sample::Family;
use crate::text::{float, words};

pub(crate) fn collect(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { roots, reader, samples, .. } = context;
    let folder = roots.sys.join("class/net");
    let owned = |text: &str| words(text).map(str::to_owned).collect::<Vec<_>>();
    let masters = reader.attribute(&folder, "bonding_masters").map(owned);
    for master in masters.ok_or(CollectError::Absent { what: "bonds" })? {
        let folder = folder.join(&master);
        let Some(members) = reader.attribute(&folder, "bonding/slaves").map(owned) else {
            continue;
        };
        let mut up = 0;
        for member in &members {
            // Older kernels say slave.
            let is_up = ["lower", "slave"].iter().any(|word| {
                let file = format!("{word}_{member}/bonding_slave/mii_status");
                reader.attribute(&folder, &file) == Some("up")
            });
            up += u64::from(is_up);
        }
        let all = u64::try_from(members.len()).unwrap_or(u64::MAX);
        samples.set(&MEMBERS, &[&master], float(all));
        samples.set(&ACTIVE, &[&master], float(up));
    }
    Ok(())
}

const MEMBERS: Family =
    Family::gauge("node_bonding_slaves", &["master"], "Devices that the bond has.");
const ACTIVE: Family =
    Family::gauge("node_bonding_active", &["master"], "Devices of the bond that have a link.");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Tree;

    #[test]
    fn members_with_a_link_are_counted() {
        let tree = Tree::new(&[
            ("sys/class/net/bonding_masters", "bond0 dmz\n"),
            ("sys/class/net/bond0/bonding/slaves", "\n"),
            ("sys/class/net/dmz/bonding/slaves", "eth0 eth4\n"),
            ("sys/class/net/dmz/lower_eth0/bonding_slave/mii_status", "up\n"),
            ("sys/class/net/dmz/slave_eth4/bonding_slave/mii_status", "down\n"),
        ]);
        let (result, samples) = tree.collect(collect);
        result.unwrap();
        assert_eq!(samples.value("node_bonding_slaves{master=\"dmz\"}"), Some(2.0));
        assert_eq!(samples.value("node_bonding_active{master=\"dmz\"}"), Some(1.0));
        assert_eq!(samples.value("node_bonding_slaves{master=\"bond0\"}"), Some(0.0));
        assert!(Tree::new(&[]).collect(collect).0.unwrap_err().is_absence());
    }
}
