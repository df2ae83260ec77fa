//! NodeConfig of a node of the local cluster.

use serde_json::json;

use crate::plan::ClusterPlan;
use crate::topology::{CONTROL_PLANE, DNS_SERVICE, DOMAIN, NodeNumber, REGISTRY_PORT, endpoint};

/// Renders the NodeConfig of one node as JSON, which is YAML too.
pub fn render(plan: &ClusterPlan, authority: &str, node: NodeNumber) -> String {
    let config = json!({
        "apiVersion": "basalt.dev/v1",
        "kind": "NodeConfig",
        "hostname": node.name(),
        "cluster": {
            "endpoint": endpoint(),
            "ca": authority,
            "bootstrapToken": plan.token().text(),
            "dns": { "domain": DOMAIN, "addresses": [DNS_SERVICE] },
        },
        "network": {
            "interfaces": [{
                "mac": node.mac(),
                "addresses": [format!("{}/24", node.address())],
                "gateway": CONTROL_PLANE,
            }],
        },
        "registries": [{
            // Images of every name: there is no way out of this network.
            "host": "*",
            "mirrors": [{ "url": format!("http://{CONTROL_PLANE}:{REGISTRY_PORT}") }],
            "mirrorsOnly": true,
        }],
        "kubelet": { "nodeIP": node.address() },
    });
    format!("{config:#}\n")
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use basalt_node_config::{Clock, check};
    use camino::Utf8Path;

    use super::*;
    use crate::pki;

    #[test]
    fn it_passes_the_check_that_the_node_makes() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = Utf8Path::from_path(folder.path()).expect("UTF-8");
        let pki = pki::make(folder, SystemTime::now()).expect("made");
        let authority = pki
            .read(&pki.certificate(pki::CertificateAuthority::Cluster.name()))
            .expect("there");
        let plan = crate::plan::example();
        let node = plan.nodes()[1];
        let text = render(&plan, &authority, node);
        let checked = check("node.yaml", &text, Clock::Right(SystemTime::now()));
        let (config, warnings) = checked.unwrap_or_else(|problems| panic!("{}", problems.brief()));
        assert!(warnings.is_empty(), "{}", warnings.brief());
        assert_eq!(config.hostname.expect("given").as_str(), "node-2");
    }
}
