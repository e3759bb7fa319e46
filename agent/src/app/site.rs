//! Shows this host over HTTP, at its own address or, while it does not have that, at all it has.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Agent;
use crate::cluster_file::Paths;
use crate::http::{HttpError, Limits, Server, Site, everywhere};
use crate::metrics::{Counters, HostMetrics, Sources};
use crate::snapshot::Snapshot;
use crate::task::Supervisor;

/// How often it is looked whether an address has come: a network is configured within seconds.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Spawns the server; returns whether its port was tried.
pub(super) fn spawn(
    agent: &Agent,
    supervisor: &mut Supervisor,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    counters: &Arc<Counters>,
) -> watch::Receiver<bool> {
    let (tried, has_tried) = watch::channel(false);
    let tried = Arc::new(tried);
    let address = agent.me.network.http_listen();
    let hosts = agent.file.hosts.iter().map(|it| it.name.clone());
    let names: BTreeSet<String> = hosts.chain(agent.me.network.names.iter().cloned()).collect();
    let counters = Arc::clone(counters);
    let Paths { proc, sys, root } = agent.me.paths.clone();
    let collecting = agent.me.seeing.metrics.clone();
    let host = Arc::new(HostMetrics::new(Sources { proc, sys, root, collecting }));
    supervisor.driver("http", move |cancel| {
        let site = Site {
            snapshots: snapshots.clone(),
            counters: Arc::clone(&counters),
            host: Arc::clone(&host),
            names: names.clone(),
        };
        show(address, site, Arc::clone(&tried), cancel)
    });
    has_tried
}

async fn show(
    address: SocketAddr,
    site: Site,
    tried: Arc<watch::Sender<bool>>,
    cancel: CancellationToken,
) -> Result<(), HttpError> {
    loop {
        let bound = Server::bind(address, site.clone(), Limits::default()).await;
        tried.send_replace(true);
        match bound {
            Ok(server) => return server.run(cancel).await,
            Err(failed) if failed.is_address_missing() => {
                warn!(%address, "this machine does not have it, and is shown at all others");
            }
            Err(failed) => return Err(failed),
        }
        let server = Server::bind(everywhere(address), site.clone(), Limits::default()).await?;
        tokio::select! {
            ended = server.run(cancel.clone()) => return ended,
            () = until_there(address.ip()) => {}
        }
    }
}

/// Waits until this machine has the address.
async fn until_there(address: IpAddr) {
    while TcpListener::bind((address, 0)).await.is_err() {
        sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::health::tests::snapshot;

    /// Of a network for documentation: no machine has it.
    const NOBODYS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

    #[tokio::test]
    async fn a_machine_without_its_address_is_shown_at_another() {
        let any = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = any.local_addr().unwrap().port();
        drop(any);
        let (_shown, snapshots) = watch::channel(Arc::new(snapshot()));
        let sources = Sources::default();
        let site = Site {
            snapshots,
            counters: Arc::new(Counters::new()),
            host: Arc::new(HostMetrics::new(sources)),
            names: BTreeSet::new(),
        };
        let (tried, mut has_tried) = watch::channel(false);
        let cancel = CancellationToken::new();
        let address = SocketAddr::from((NOBODYS, port));
        let showing = show(address, site, Arc::new(tried), cancel.clone());
        let asking = async {
            has_tried.wait_for(|tried| *tried).await.unwrap();
            let at = (Ipv4Addr::LOCALHOST, port);
            while tokio::net::TcpStream::connect(at).await.is_err() {
                tokio::task::yield_now().await;
            }
            cancel.cancel();
        };
        let (shown, ()) = tokio::join!(showing, asking);
        shown.unwrap();
    }
}
