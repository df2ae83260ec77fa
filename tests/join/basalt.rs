//! Basalt nodes of the kubeadm cluster.

use std::time::Duration;

use basalt_cluster::topology::NodeNumber;
use basalt_cluster::{Variant, node_config};
use basalt_test_environment::{Failed, console_text, until_every};

use crate::cluster::{TICK, items};
use crate::fixture::Fixture;

/// Time-out of operations that need no boot.
const SOON: Duration = Duration::from_secs(180);
/// Time-out of a boot until the machine's node is there, on a busy machine without KVM.
const BOOT: Duration = Duration::from_secs(1200);
/// Bootstrap data of a worker, by the generator of Cluster API; see the head of oracle/bootstrap-data/main.go there.
const BOOTSTRAP_DATA: &str = include_str!("../../crates/9-nodes/join/tests/bootstrap-data/plain.yaml");
/// Label of the node that joins by it.
const LABEL: &str = "node.cluster.x-k8s.io/pool=small";
/// Addition to it for the cluster of these tests: images of every name come from the local cluster's registry.
const MIRROR: &str = r#"write_files:
-   path: /etc/containerd/certs.d/_default/hosts.toml
    content: |
      [host."http://10.87.0.1:5000"]
      capabilities = ["pull", "resolve"]
"#;

/// NodeConfig from the join command, with what only this network needs: an address, and its registry.
fn joining_config(fixture: &Fixture, number: NodeNumber) -> Result<String, Failed> {
    let (command, name) = (&fixture.kubeadm.join_command, name(number));
    let words = ["config", "from-join", command, "--offline", "--hostname", &name];
    let made = fixture.cli.run(&words, SOON)?.ended_with(0)?.stdout;
    if !made.contains("caCertHashes") || made.contains("BEGIN CERTIFICATE") {
        return Err("the node shall find the cluster's authority by itself".into());
    }
    let (network, registries) = (node_config::network(number), node_config::registries());
    Ok(format!("{made}\nnetwork: {network}\nregistries: {registries}\n"))
}

fn name(number: NodeNumber) -> String {
    number.name().replace("node", "basalt")
}

/// A machine with this NodeConfig or user data.
fn machine(data: String) -> Variant {
    Variant {
        credentials: [("basalt.node".to_owned(), data)].into(),
        ..Variant::default()
    }
}

/// Fails if the console of a machine shows the secret of the token.
fn keeps_the_token(fixture: &Fixture, number: NodeNumber) -> Result<(), Failed> {
    let (_, secret) = fixture.kubeadm.token()?;
    if console_text(&fixture.machines().console(number)).contains(secret) {
        return Err("the console shows the token".into());
    }
    Ok(())
}

/// Starts a node that has only the join command's content.
pub fn join_by_command(fixture: &Fixture) -> Result<String, Failed> {
    let number = fixture
        .machines()
        .add(|number| joining_config(fixture, number).map(machine))?;
    fixture.wait_for_node(&name(number), number)?;
    keeps_the_token(fixture, number)?;
    Ok(name(number))
}

/// Starts a node that has only bootstrap data. Its address it gets by DHCP, its name by itself.
pub fn join_by_bootstrap_data(fixture: &Fixture) -> Result<String, Failed> {
    let cluster = &fixture.kubeadm;
    let replaced = [
        ("192.0.2.10:6443", cluster.endpoint.as_str()),
        ("abcdef.0123456789abcdef", cluster.join_argument("--token")?),
        (
            "sha256:75bce4f40d74e730c3d05a111b76d3b1c1fdd60379e09bf5dfb8a588ce6dd821",
            cluster.join_argument("--discovery-token-ca-cert-hash")?,
        ),
        ("write_files:\n", MIRROR),
    ];
    let mut data = BOOTSTRAP_DATA.to_owned();
    for (old, new) in replaced {
        if !data.contains(old) {
            return Err(format!("{old} is not in the bootstrap data").into());
        }
        data = data.replace(old, new);
    }
    let number = fixture.machines().add(|_| Ok(machine(data)))?;
    let nodes = || cluster.get(&["nodes", "--selector", LABEL]).unwrap_or_default();
    let registered = until_every(TICK, "the node is registered", BOOT, || !items(&nodes()).is_empty());
    registered.map_err(|failed| {
        let end = basalt_test_environment::console_end(&fixture.machines().console(number));
        format!("{failed:?}; the end of its console:\n{end}")
    })?;
    let name = nodes()["items"][0]["metadata"]["name"]
        .as_str()
        .ok_or("no name")?
        .to_owned();
    fixture.wait_for_node(&name, number)?;
    keeps_the_token(fixture, number)?;
    Ok(name)
}
