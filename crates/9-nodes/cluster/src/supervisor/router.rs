//! Thread that keeps the namespace's routes to pods and Services as the cluster's nodes are.

use std::time::Duration;

use camino::Utf8Path;

use crate::ClusterError;
use crate::api::Api;
use crate::layout::Layout;
use crate::network;
use crate::pki::{self, Pki};
use crate::plan::ClusterPlan;
use crate::routes::{self, Routes};
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
                update(&sdk, &mut current, wanted);
            }
            std::thread::sleep(INTERVAL);
        }
    });
    Ok(())
}

fn update(sdk: &Utf8Path, current: &mut Routes, wanted: Routes) {
    let commands = routes::changes(current, &wanted);
    if commands.is_empty() {
        return;
    }
    match network::ip(sdk, &commands) {
        Ok(()) => {
            tracing::info!(?commands, "routes");
            *current = wanted;
        }
        // Tried again at the next look.
        Err(error) => tracing::warn!(error = chain(&error), ?commands, "routes could not be set"),
    }
}
