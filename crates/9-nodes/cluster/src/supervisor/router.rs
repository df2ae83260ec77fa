//! Thread that keeps the namespace's routes to pods and Services as the cluster's nodes are.

use std::time::Duration;

use camino::Utf8Path;

use crate::ClusterError;
use crate::api::Api;
use crate::layout::Layout;
use crate::network;
use crate::pki::{self, Pki};
use crate::plan::ClusterPlan;
use crate::routes::{self, RouteChange, Routes};
use basalt_process::chain;

/// Interval of looks at the nodes. A pod runs many seconds after its node has got its network.
const INTERVAL: Duration = Duration::from_secs(1);
/// List of the nodes, as the API server remembers it.
const NODES: &str = "/api/v1/nodes?resourceVersion=0";

/// Starts the thread; it ends with the process. The routes of [`routes::initial`] have to exist.
pub(super) fn start(layout: &Layout, plan: &ClusterPlan) -> Result<(), ClusterError> {
    let api = Api::new(&Pki::new(layout.pki()), pki::ADMIN, ClusterPlan::local_endpoint())?;
    let sdk = plan.inputs.sdk.clone();
    let mut current = routes::initial(plan.nodes().first().copied());
    std::thread::spawn(move || {
        loop {
            // As long as the API server does not answer, the routes stay.
            if let Ok(list) = api.get(NODES) {
                let wanted = routes::wanted(&list, &current);
                update(&sdk, &mut current, &wanted);
            }
            std::thread::sleep(INTERVAL);
        }
    });
    Ok(())
}

fn update(sdk: &Utf8Path, current: &mut Routes, wanted: &Routes) {
    for change in routes::changes(current, wanted) {
        match (network::ip(sdk, &[change.to_string()]), change) {
            (Ok(()), _) => tracing::info!(%change, "routing"),
            // It is not there, which is what was wanted.
            (Err(error), RouteChange::Remove(_)) => tracing::warn!(error = chain(&error), %change, "no such route"),
            (Err(error), RouteChange::Set(..)) => {
                // Tried again at the next look.
                tracing::warn!(error = chain(&error), %change, "the route could not be set");
                continue;
            }
        }
        change.record(current);
    }
}
