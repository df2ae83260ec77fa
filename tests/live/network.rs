//! Networks as nodes meet them: leases that end, one family, both families, several cards.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use basalt_machine::{NetworkDevice, mac_address};
use basalt_node_config::defaults::API_PORT;
use basalt_test_environment::lan::{ADDRESS_V6, Lease};
use basalt_test_environment::{Failed, ensure, until};
use serde_json::json;

use crate::fixture::{Fixture, has_condition};
use crate::node::{Node, addresses, boot_id};

/// Duration of a lease, in seconds.
const SHORT: u32 = 60;
/// Time-out of what follows from an answer of the network.
const FOLLOWED: Duration = Duration::from_secs(240);
/// Name of the API server that its certificate has, and the network's name service knows.
const API_NAME: &str = "kubernetes.default.svc.cluster.local";
/// Command that tells the hardware address of a bond's active card.
const ACTIVE: &str = "cat /sys/class/net/$(cat /sys/class/net/bond0/bonding/active_slave)/bonding_slave/perm_hwaddr";
/// The cluster's name service where it has both families.
const BOTH: [&str; 2] = ["10.96.0.10", "fd96::a"];

fn lease(address: Ipv4Addr) -> Option<Lease> {
    Some(Lease {
        address,
        seconds: SHORT,
    })
}

/// Two cards that both ask DHCP: one is on a network that leads nowhere; the other one leads to the API server, with leases
/// that are renewed, end in another address, and are lost with their server.
pub fn a_lease_is_renewed_changed_and_lost(fixture: &Fixture) -> Result<(), Failed> {
    let mut node = Node::new(fixture, "leases", &fixture.node)?;
    let first = Ipv4Addr::new(10, 87, 0, node.number);
    let second = Ipv4Addr::new(10, 87, 0, node.number + 100);
    node.lan.behave(|behaviour| behaviour.lease = lease(first));
    let beside = NetworkDevice::User {
        isolated: true,
        forwards: Vec::new(),
        mac: mac_address(&node.name, 1),
    };
    node.machine.networks.insert(0, beside);
    node.switch_on()?;
    let object = node.ready(None)?;
    ensure(addresses(&object) == [first.to_string()], || {
        format!("{:?}, not {first}", addresses(&object))
    })?;

    let renewals = node.lan.seen().renewals;
    until("the lease is renewed twice", FOLLOWED, || {
        node.lan.seen().renewals >= renewals + 2
    })?;
    node.lan.behave(|behaviour| behaviour.lease = lease(second));
    let changed = node.until("the node has its other address", FOLLOWED, |node| {
        addresses(node) == [second.to_string()] && has_condition(node, "Ready")
    })?;
    ensure(boot_id(&changed) == boot_id(&object), || "it started again".to_owned())?;

    // The server is gone. Leases end after a minute, the node does not.
    node.lan.behave(|behaviour| behaviour.lease = None);
    let silent = Instant::now();
    let past_the_lease = Duration::from_secs(u64::from(3 * SHORT));
    until("three leases would have ended", 2 * past_the_lease, || {
        silent.elapsed() > past_the_lease
    })?;
    ensure(node.lan.seen().unanswered > 0, || {
        "no request was left without an answer".to_owned()
    })?;
    let heard = node.lan.seen().heard.get(&second.into()).copied();
    ensure(
        heard.is_some_and(|last| last > silent + past_the_lease - Duration::from_secs(30)),
        || format!("nothing comes from {second} any more"),
    )?;
    let object = node.object()?;
    ensure(
        has_condition(&object, "Ready") && addresses(&object) == [second.to_string()],
        || format!("{:#}", object["status"]["conditions"]),
    )
}

/// A network without IPv4: the address follows from a router's advertisement, and the API server is found by its name.
pub fn a_node_of_ipv6_alone_joins(fixture: &Fixture) -> Result<(), Failed> {
    let mut node = Node::new(fixture, "six", &fixture.debug)?;
    node.lan.behave(|behaviour| {
        behaviour.lease = None;
        behaviour.advertises = true;
    });
    let mut config = fixture.cluster()?.config(&node.name);
    config["cluster"]["endpoint"] = json!(format!("https://{API_NAME}:{API_PORT}"));
    config["cluster"]["dns"]["addresses"] = json!([BOTH[1]]);
    config["network"] = json!({ "dns": { "servers": [ADDRESS_V6] } });
    let mirror = format!("http://[{ADDRESS_V6}]:5000");
    config["registries"] = json!([{ "host": "*", "mirrors": [{ "url": mirror }], "mirrorsOnly": true }]);
    node.configure(&config);
    node.switch_on()?;
    // The cluster's pod network is one of IPv4. This node has one of its own, which no other one is on.
    let network = json!({
        "cniVersion": "1.0.0",
        "name": "six",
        "plugins": [{
            "type": "ptp",
            "ipam": { "type": "host-local", "ranges": [[{ "subnet": "fd88::/64" }]], "routes": [{ "dst": "::/0" }] },
        }],
    });
    let write = format!("mkdir -p /etc/cni/net.d && echo '{network}' > /etc/cni/net.d/10-six.conflist");
    node.shell()?.output(&write, FOLLOWED)?;
    let object = node.ready(None)?;
    let found = addresses(&object);
    ensure(found.len() == 1 && found[0].starts_with("fd87:"), || {
        format!("{found:?}")
    })?;
    let image = fixture.cluster()?.image("basalt-web")?;
    let container = json!({ "name": "web", "image": image });
    fixture.cluster()?.apply(&node.pod("six", &container, "Always"))?;
    let pod = node.pod_until("six", "has an address", |pod| has_condition(pod, "Ready"))?;
    let address = pod["status"]["podIP"].as_str().unwrap_or_default();
    ensure(address.starts_with("fd88:"), || format!("{:#}", pod["status"]))
}

/// Two cards in a bond, with an address of DHCP and one of a router's advertisement; then the first card's cable is out.
pub fn a_bond_of_two_cards_has_both_families(fixture: &Fixture) -> Result<(), Failed> {
    let mut node = Node::new(fixture, "bond", &fixture.debug)?;
    node.lan.behave(|behaviour| behaviour.advertises = true);
    let card = node.lan.card(mac_address(&node.name, 1));
    node.machine.networks.push(card);
    let mut config = fixture.cluster()?.config(&node.name);
    config["cluster"]["dns"]["addresses"] = json!(BOTH);
    config["network"] = json!({
        "bonds": [{
            "name": "bond0",
            "mode": "active-backup",
            "members": [mac_address(&node.name, 0), mac_address(&node.name, 1)],
        }],
    });
    node.configure(&config);
    node.switch_on()?;
    let object = node.ready(None)?;
    let found = addresses(&object);
    let v4 = format!("10.87.0.{}", node.number);
    ensure(
        found.len() == 2 && found[0] == v4 && found[1].starts_with("fd87:"),
        || format!("{found:?}"),
    )?;

    let mut shell = node.shell()?;
    let active = shell.output(ACTIVE, FOLLOWED)?;
    let slaves = shell.output("cat /sys/class/net/bond0/bonding/slaves", FOLLOWED)?;
    ensure(slaves.split_whitespace().count() == 2, || slaves.clone())?;
    let card = usize::from(!active.contains(&mac_address(&node.name, 0)));
    let cable = json!({ "name": format!("net{card}"), "up": false });
    let mut control = node.running()?.control().map_err(basalt_test_environment::shown)?;
    control
        .execute("set_link", cable)
        .map_err(basalt_test_environment::shown)?;
    drop(control);
    let mut other = String::new();
    until("the other card is active", FOLLOWED, || {
        other = shell.output(ACTIVE, FOLLOWED).unwrap_or_default();
        other.contains(&mac_address(&node.name, u8::from(card == 0)))
    })?;
    let cut = Instant::now();
    until("the node speaks through it", FOLLOWED, || {
        let seen = node.lan.seen();
        let heard = |address: &str| {
            let address = address
                .parse()
                .ok()
                .and_then(|address| seen.heard.get(&address).copied());
            address.is_some_and(|last| last > cut)
        };
        heard(&found[0])
    })?;
    let object = node.object()?;
    ensure(has_condition(&object, "Ready") && addresses(&object) == found, || {
        format!("{object:#}")
    })
}
