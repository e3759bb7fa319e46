//! The three machines of a laboratory, each of the kind that its story asks for.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::Setup;
use crate::agent::Paths;
use crate::cluster_file::Nodes;
use crate::debian::Server;
use crate::debian::server::{self, Folders};
use crate::host::Host;
use crate::machine::Machine;
use crate::network::Network;
use crate::talos;

/// Makes the machines, in file order and all off.
pub(super) fn machines(
    setup: &Setup,
    name: &str,
    folder: &Path,
    binary: &Path,
    network: &Network,
) -> Result<[Machine; 3]> {
    let make = |host: Host| match (host, &setup.server, setup.nodes) {
        (Host::Nfs, Some(server), _) => debian(server, name, folder, network),
        (Host::K8s1 | Host::K8s2, _, Nodes::Talos) => talos_node(host, name, folder, network),
        (Host::K8s1 | Host::K8s2, _, Nodes::Bare) => {
            bare_node(host, setup, agent_paths(host, folder, binary), network)
        }
        (Host::Nfs, None, _) | (Host::K8s1 | Host::K8s2, _, Nodes::Played) => {
            let paths = agent_paths(host, folder, binary);
            Ok(Machine::new(host, paths, network.namespace(host)))
        }
    };
    let [owner, first, second] = Host::ALL.map(make);
    Ok([owner?, first?, second?])
}

fn debian(setup: &Server, name: &str, folder: &Path, network: &Network) -> Result<Machine> {
    let host = Host::Nfs;
    network.let_all_ping(host)?;
    let own = folder.join(host.name());
    let folders = Folders { own: &own, common: folder, ups: &folder.join("ups") };
    let machine = server::Machine::install(setup, name, folders, &network.namespace(host))?;
    let root = machine.container().root();
    let paths = Paths {
        host,
        binary: root.join("usr/bin/curfew"),
        cluster: root.join("etc/curfew/cluster.toml"),
        state: root.join("var/lib/curfew"),
        pki: root.join("etc/curfew/pki"),
        log: own.join("journal"),
    };
    Ok(Machine::booted(host, paths, machine))
}

fn talos_node(host: Host, name: &str, folder: &Path, network: &Network) -> Result<Machine> {
    let own = folder.join(host.name());
    let folders = talos::node::Folders { own: own.clone(), common: folder.to_owned() };
    let tree = folders.tree();
    let name = format!("{name}-{host}");
    let node = talos::Node::new(host, &name, &network.namespace(host), folders)?;
    let paths = Paths {
        host,
        binary: PathBuf::new(),
        cluster: folder.join("cluster.toml"),
        state: tree.join("var/lib/curfew"),
        pki: folder.join("pki").join(host.name()),
        log: own.join("agent.log"),
    };
    Ok(Machine::talos(host, paths, node))
}

fn bare_node(host: Host, setup: &Setup, paths: Paths, network: &Network) -> Result<Machine> {
    let tree = paths.state.with_file_name("node");
    let namespace = network.namespace(host);
    let node = talos::Bare::new(host, &setup.machined, &paths, namespace, tree)?;
    Ok(Machine::bare(host, paths, node))
}

fn agent_paths(host: Host, folder: &Path, binary: &Path) -> Paths {
    let own = folder.join(host.name());
    Paths {
        host,
        binary: binary.to_owned(),
        cluster: folder.join("cluster.toml"),
        state: own.join("state"),
        pki: folder.join("pki").join(host.name()),
        log: own.join("agent.log"),
    }
}
