//! `host-port`: ports that programs of the node listen on.

use std::net::{IpAddr, SocketAddr};

use crate::examine::{Context, Found, Subject};
use crate::pod::Container;
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "host-port",
    title: "A pod wants a port on which a program of the node listens",
    verdict: WorkloadVerdict::RunsOtherwise,
    topic: RuleTopic::Scheduling,
    source: "https://kubernetes.io/docs/concepts/configuration/overview/",
    reason: "Pods on the node's network fail to listen on a port in use; a hostPort is rewritten in front of the program. Ports of the node are \
             those of socket units in the image, of the kubelet and of the resolver. Who listens on other addresses than the program, by `-localip`, \
             `--bind-address` or `--listen-address`, is let alone.",
    examples: &[
        RuleExample::pod(
            "  hostNetwork: true\n  containers:\n    - {name: main, image: example, ports: [{containerPort: 10250}]}",
        ),
        RuleExample::pod(
            "  containers:\n    - {name: main, image: example, ports: [{containerPort: 80, hostPort: 10239}]}",
        ),
        RuleExample::pod(
            "  hostNetwork: true\n  containers:\n    - {name: main, image: example, args: ['--listen-address=:53'], ports: [{containerPort: 53}]}",
        ),
        RuleExample::pod(
            "  hostNetwork: true\n  containers:\n    - name: main\n      image: example\n      \
             args: [--bind-address, '10.0.0.1,127.0.0.53']\n      ports: [{containerPort: 53}]",
        ),
        // The kubelet listens on all addresses.
        RuleExample::pod(
            "  hostNetwork: true\n  containers:\n    - name: main\n      image: example\n      \
             args: [--bind-address=10.0.0.1]\n      ports: [{containerPort: 10250}]",
        ),
        RuleExample::pod(
            "  hostNetwork: true\n  containers:\n    - name: main\n      image: example\n      \
             args: ['--metrics-bind-address=127.0.0.1:9253']\n      ports: [{containerPort: 53}]",
        ),
    ],
    counter_examples: &[
        RuleExample::pod("  containers:\n    - {name: main, image: example, ports: [{containerPort: 10250}]}"),
        RuleExample::pod(
            "  hostNetwork: true\n  containers:\n    - {name: main, image: example, ports: [{containerPort: 9100}]}",
        ),
        RuleExample::pod(
            "  hostNetwork: true\n  containers:\n    - name: node-cache\n      image: registry.k8s.io/dns/k8s-dns-node-cache:1.26.4\n      \
             args: [-localip, '169.254.20.10,10.96.0.10', -conf, /etc/Corefile]\n      ports: [{containerPort: 53, protocol: UDP}]",
        ),
        RuleExample::pod(
            "  hostNetwork: true\n  containers:\n    - name: main\n      image: example\n      \
             command: [sh, -c, 'exec serve --web.listen-address=[fd00::1]:53']\n      ports: [{containerPort: 53, hostPort: 53}]",
        ),
    ],
    check,
};

/// Ends of the names of options that say where a program listens: NodeLocal DNS, components of Kubernetes, exporters.
const ADDRESS_OPTIONS: [&str; 3] = ["bind-address", "listen-address", "localip"];

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    let Some(pod) = subject.pod() else { return };
    for container in &pod.containers {
        let on_node = container.container_ports.iter().filter(|_| pod.host_network);
        for (port, place) in container.host_ports.iter().chain(on_node) {
            let Some(program) = context.node.ports.get(port) else {
                continue;
            };
            let taken = context.node.port_addresses.get(port).map(Vec::as_slice);
            if pod.host_network && taken.is_some_and(|taken| is_elsewhere(container, *port, taken)) {
                continue;
            }
            let help = "choose another port, or listen on one address other than the program's";
            found.add(place, format!("port {port} is used by {program}"), help);
        }
    }
}

/// Returns `true` if the options of a container say that it listens on some addresses only, none of which is taken.
fn is_elsewhere(container: &Container, port: u16, taken: &[IpAddr]) -> bool {
    let words = container.commands.iter().flatten();
    let mut words = words.flat_map(|word| word.value.split_whitespace());
    let mut addresses = Vec::new();
    while let Some(word) = words.next() {
        let Some(option) = word.strip_prefix('-') else {
            continue;
        };
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (option, None),
        };
        if ADDRESS_OPTIONS.iter().any(|end| name.ends_with(end)) {
            let value = value.or_else(|| words.next()).unwrap_or_default();
            addresses.extend(value.split(',').filter_map(|address| listener(address, port)));
        }
    }
    let is_free = |address: &Option<IpAddr>| address.is_some_and(|address| !taken.contains(&address));
    !addresses.is_empty() && addresses.iter().all(is_free)
}

/// Address of an option's value: `Some(None)` for all addresses and for what is not known, `None` for what is about another port.
fn listener(value: &str, port: u16) -> Option<Option<IpAddr>> {
    let one = |address: IpAddr| Some(address).filter(|address| !address.is_unspecified());
    if let Ok(address) = value.parse() {
        return Some(one(address));
    }
    if let Ok(socket) = value.parse::<SocketAddr>() {
        return (socket.port() == port).then(|| one(socket.ip()));
    }
    let own = value.rsplit(':').next().and_then(|own| own.parse::<u16>().ok());
    own.is_none_or(|own| own == port).then_some(None)
}
