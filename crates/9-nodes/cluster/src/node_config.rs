//! NodeConfig of the nodes of a local cluster: what a user gives for all of them, and what the cluster knows of each.

use std::time::SystemTime;

use basalt_document::problem::{Problem, Problems};
use basalt_document::{Document, Finding, Path};
use basalt_node_config::{Clock, KubeletMinor};
use serde_json::{Value, json};

use crate::plan::ClusterPlan;
use crate::topology::{CONTROL_PLANE, DNS_SERVICE, DOMAIN, NodeNumber, REGISTRY_PORT, endpoint};
use crate::{ClusterError, pki};

/// Parts of a NodeConfig that the cluster gives to each node.
const OWN: [&str; 3] = ["cluster", "hostname", "network"];

/// Renders the NodeConfig of one node as JSON, which is YAML too.
pub fn render(plan: &ClusterPlan, authority: &str, node: NodeNumber) -> String {
    let own = json!({
        "apiVersion": "basalt.dev/v1",
        "kind": "NodeConfig",
        "hostname": node.name(),
        "cluster": cluster(authority, &plan.token().text()),
        "network": network(node),
        "registries": registries(),
        "kubelet": { "nodeIP": node.address() },
    });
    let config = match &plan.inputs.node_config {
        Some(given) => merged(given.clone(), own),
        None => own,
    };
    format!("{config:#}\n")
}

/// Part `network` of a machine on the network of a local cluster, whichever cluster it joins.
pub fn network(node: NodeNumber) -> Value {
    json!({
        "interfaces": [{
            "mac": node.mac(),
            "addresses": [format!("{}/24", node.address())],
            "gateway": CONTROL_PLANE,
        }],
    })
}

/// Part `registries` of a machine on the network of a local cluster: images of every name come from the cluster's registry,
/// for there is no way out of this network.
pub fn registries() -> Value {
    json!([{
        "host": "*",
        "mirrors": [{ "url": format!("http://{CONTROL_PLANE}:{REGISTRY_PORT}") }],
        "mirrorsOnly": true,
    }])
}

fn cluster(authority: &str, token: &str) -> Value {
    json!({
        "endpoint": endpoint(),
        "ca": authority,
        "bootstrapToken": token,
        "dns": { "domain": DOMAIN, "addresses": [DNS_SERVICE] },
    })
}

/// Lays a node's own parts over a NodeConfig. Registries are added to its list, and settings of the kubelet to its own.
fn merged(mut config: Value, own: Value) -> Value {
    if let (Some(parts), Value::Object(own)) = (config.as_object_mut(), own) {
        for (key, value) in own {
            match (parts.get_mut(&key), value) {
                (Some(Value::Array(there)), Value::Array(items)) => there.extend(items),
                (Some(Value::Object(there)), Value::Object(settings)) => there.extend(settings),
                (_, value) => drop(parts.insert(key, value)),
            }
        }
    }
    config
}

/// Checks a NodeConfig that is to hold for all nodes of a local cluster: one without `hostname`, `cluster` and `network`,
/// which the cluster gives to each, and with gates and fields of the nodes' kubelet. Returns it as JSON, with warnings.
///
/// # Errors
/// When no certificate can be made for the check. The problems of the text are the inner error.
pub fn check(
    name: &str,
    text: &str,
    now: SystemTime,
    kubelet: KubeletMinor,
) -> Result<Result<(Value, Problems), Problems>, ClusterError> {
    let document = match basalt_node_config::document(name, text) {
        Ok(document) => document,
        Err(problems) => return Ok(Err(problems)),
    };
    let config = document.root().to_json();
    let taken = taken(&document, &config);
    if !taken.is_empty() {
        return Ok(Err(document.problems(taken)));
    }
    // What the node's own check wants, with certificate and token of nobody.
    let cluster = cluster(&pki::authority_of_nobody(now)?, "abcdef.0123456789abcdef");
    let whole = if text.trim_start().starts_with('{') {
        format!(
            "{:#}\n",
            merged(config.clone(), json!({ "hostname": "node-1", "cluster": cluster }))
        )
    } else {
        // At the end, so that problems are shown at the lines of the user's file.
        format!("{text}\nhostname: node-1\ncluster: {cluster}\n")
    };
    let checked = basalt_node_config::check_for(name, &whole, Clock::Right(now), kubelet);
    Ok(checked.map(|(_, warnings)| (config, warnings)))
}

/// Problems with parts that the cluster gives.
fn taken(document: &Document, config: &Value) -> Vec<Problem> {
    let root = Path::root();
    let mut paths: Vec<_> = OWN
        .into_iter()
        .filter(|key| config.get(key).is_some())
        .map(|key| root.key(key))
        .collect();
    if config["kubelet"].get("nodeIP").is_some() {
        paths.push(root.key("kubelet").key("nodeIP"));
    }
    let registries = config["registries"].as_array().map(Vec::as_slice).unwrap_or_default();
    let others = registries.iter().position(|registry| registry["host"] == "*");
    paths.extend(others.map(|index| root.key("registries").index(index).key("host")));
    let problem = |path: &Path| {
        let finding = Finding::error("the local cluster gives this to each of its nodes", "not here");
        document.at(
            path,
            finding.with_help("remove it: what holds for all nodes stays in this file"),
        )
    };
    paths.iter().map(problem).collect()
}

#[cfg(test)]
mod tests {
    use basalt_node_config::check as check_whole;
    use camino::Utf8Path;

    use super::*;

    const GIVEN: &str = "\
apiVersion: basalt.dev/v1
kind: NodeConfig
labels: {example.org/zone: a}
kubelet:
  maxPods: 20
registries:
  - {host: mirrored.example, mirrors: [{url: 'http://10.87.0.1:5000'}]}
";

    fn rendered(plan: &ClusterPlan) -> basalt_node_config::NodeConfig {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = Utf8Path::from_path(folder.path()).expect("UTF-8");
        let pki = pki::make(folder, SystemTime::now()).expect("made");
        let authority = pki
            .read(&pki.certificate(pki::CertificateAuthority::Cluster.name()))
            .expect("there");
        let text = render(plan, &authority, plan.nodes()[1]);
        let checked = check_whole("node.yaml", &text, Clock::Right(SystemTime::now()));
        let (config, warnings) = checked.unwrap_or_else(|problems| panic!("{}", problems.brief()));
        assert!(warnings.is_empty(), "{}", warnings.brief());
        config
    }

    fn checked(text: &str) -> Result<Value, String> {
        let checked = check("all.yaml", text, SystemTime::now(), KubeletMinor::NEWEST).expect("a certificate");
        checked.map(|(config, _)| config).map_err(|problems| problems.brief())
    }

    #[test]
    fn it_passes_the_check_that_the_node_makes() {
        let config = rendered(&crate::plan::example());
        assert_eq!(config.hostname.expect("given").as_str(), "node-2");
    }

    #[test]
    fn what_holds_for_all_nodes_is_in_each() {
        let mut plan = crate::plan::example();
        plan.inputs.node_config = Some(checked(GIVEN).expect("right"));
        let config = rendered(&plan);
        assert_eq!(config.hostname.expect("given").as_str(), "node-2");
        assert_eq!(config.kubelet.max_pods, Some(20));
        assert!(config.kubelet.node_ip.is_some());
        assert_eq!(config.registries.len(), 2);
        assert_eq!(config.labels.len(), 1);
    }

    #[test]
    fn what_the_cluster_gives_is_refused_with_its_line() {
        for added in [
            "hostname: a\n",
            "cluster: {endpoint: 'https://a:6443'}\n",
            "network: {}\n",
        ] {
            let problems = checked(&format!("{GIVEN}{added}")).expect_err("refused");
            assert!(problems.starts_with("all.yaml:8:"), "{problems}");
            assert!(problems.contains("gives this to each"), "{problems}");
        }
        let address = GIVEN.replace("maxPods: 20", "nodeIP: 10.87.0.11");
        assert!(checked(&address).expect_err("refused").contains("gives this to each"));
        let others = GIVEN.replace("mirrored.example", "'*'");
        assert!(checked(&others).expect_err("refused").contains("gives this to each"));
    }

    #[test]
    fn other_mistakes_are_told_as_in_any_node_config() {
        let problems = checked(&GIVEN.replace("maxPods: 20", "maxPods: 0")).expect_err("refused");
        assert!(problems.starts_with("all.yaml:5:"), "{problems}");
        assert!(checked(&GIVEN.replace("maxPods", "maxpods")).is_err());
        assert!(checked("kind: NodeConfig\n").is_err());
        assert!(checked("[]").is_err());
        assert!(checked("a: [").is_err());
        assert!(checked(r#"{"apiVersion": "basalt.dev/v1", "kind": "NodeConfig", "labels": {"a": "b"}}"#).is_ok());
    }
}
