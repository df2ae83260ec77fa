//! A NodeConfig that changes, as docs/node/changes.md has it; with as many authorities as a company may have.

use std::time::Duration;

use basalt_machine::ConfigDiskImage;
use basalt_test_environment::{Failed, ensure, pause};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};
use serde_json::{Value, json};

use crate::fixture::Fixture;
use crate::node::{Node, boot_id};

/// Number of authorities.
const AUTHORITIES: usize = 300;
/// Time after which a node that followed a changed file would have done so.
const FOLLOWED: Duration = Duration::from_secs(15);

/// Certificate of one more authority.
fn authority(number: usize) -> Result<String, Failed> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let name = format!("authority {number}");
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params.self_signed(&KeyPair::generate()?)?.pem())
}

/// NodeConfig with these numbers of pods and of a kernel setting, and a label.
fn config(base: &Value, pods: u32, connections: u32, label: &str) -> Value {
    let mut config = base.clone();
    config["kubelet"] = json!({ "maxPods": pods });
    config["sysctls"] = json!({ "net.core.somaxconn": connections });
    config["labels"] = json!({ "example.org/pool": label });
    config["taints"] = json!([{ "key": "example.org/pool", "value": label, "effect": "PreferNoSchedule" }]);
    config
}

fn disk(config: &Value) -> ConfigDiskImage {
    ConfigDiskImage::with_node_config(format!("{config:#}\n"))
}

/// Identity of a node, what it has for pods, and the label.
fn state(node: &Value) -> (String, String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (
        text(&node["metadata"]["uid"]),
        text(&node["status"]["capacity"]["pods"]),
        text(&node["metadata"]["labels"]["example.org/pool"]),
    )
}

pub fn a_node_config_with_300_authorities_changes(fixture: &Fixture) -> Result<(), Failed> {
    let mut node = Node::new(fixture, "changes", &fixture.debug)?;
    let mut base = fixture.cluster()?.config(&node.name);
    let others = (1..AUTHORITIES).map(authority).collect::<Result<String, _>>()?;
    let own = base["cluster"]["ca"].as_str().unwrap_or_default().to_owned();
    base["cluster"]["ca"] = json!(format!("{others}{own}"));
    base["caCertificates"] = json!(others);
    // 300 of them are too large for the firmware's strings.
    node.machine.credentials.clear();
    node.machine.config_disk = Some(disk(&config(&base, 33, 4001, "one")));
    node.switch_on()?;
    let object = node.ready(None)?;
    let (id, pods, label) = state(&object);
    ensure((pods.as_str(), label.as_str()) == ("33", "one"), || {
        format!("{object:#}")
    })?;
    let soon = Duration::from_secs(120);
    let count = node.shell()?.output("grep -c BEGIN /run/basalt/kubelet/ca.crt", soon)?;
    ensure(count.contains("300"), || count.clone())?;

    // On the running machine: nothing.
    let mut changed = config(&base, 44, 4002, "two");
    changed["cluster"]["bootstrapToken"] = json!("zzzzzz.0123456789abcdef");
    fs_err::write(node.machine.files().config_disk(), disk(&changed).image()?)?;
    pause(FOLLOWED)?;
    let object = node.object()?;
    ensure(state(&object).1 == "33", || format!("{object:#}"))?;
    let setting = node.shell()?.output("cat /proc/sys/net/core/somaxconn", soon)?;
    ensure(setting.contains("4001"), || setting.clone())?;

    // At the next boot: what the kubelet is and what the kernel is. The node is the same, although its token is nobody's, and
    // keeps the label that it registered with.
    node.shut_down()?;
    node.machine.config_disk = Some(disk(&changed));
    node.switch_on()?;
    let object = node.ready(Some(&boot_id(&object)))?;
    let expected = (id.clone(), "44".to_owned(), "one".to_owned());
    ensure(state(&object) == expected, || {
        format!("{:?}, not {expected:?}", state(&object))
    })?;
    let taint = &object["spec"]["taints"][0]["value"];
    ensure(taint == "one", || format!("{:#}", object["spec"]))?;
    let setting = node.shell()?.output("cat /proc/sys/net/core/somaxconn", soon)?;
    ensure(setting.contains("4002"), || setting.clone())?;

    // Under another name it is another node, with its token.
    node.shut_down()?;
    let earlier = std::mem::replace(&mut node.name, "changes-2".to_owned());
    let mut renamed = config(&base, 44, 4002, "two");
    renamed["hostname"] = json!(node.name);
    node.machine.config_disk = Some(disk(&renamed));
    node.switch_on()?;
    let object = node.ready(None)?;
    let (other, _, label) = state(&object);
    ensure(other != id && label == "two", || format!("{object:#}"))?;
    fixture
        .cluster()?
        .kubectl(&["delete", "node", &earlier, "--wait=false"])
        .map(drop)
}
