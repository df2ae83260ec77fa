//! Addresses that a node registers with.
//!
//! The NodeConfig names them, or they are found: one in each family of the cluster, the one from which packets go to
//! the API server. [`Wanted`] says which, as far as the NodeConfig goes; [`wait`] asks the network of the machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use basalt_node_config::{Interface, NodeConfig, defaults};
use serde::{Deserialize, Serialize};

use crate::apply::{self, ApplyError, below};
use crate::plan::PlannedFile;
use crate::{cards, paths};

/// Time for which an address of the second family is waited for once there is one of the first.
const SECOND_FAMILY: Duration = Duration::from_secs(10);

/// Time for which an address of the cluster's families is waited for before one of the other family is taken.
const OTHER_FAMILY: Duration = Duration::from_secs(30);

/// Pause between looks at the network while an address is waited for.
const INTERVAL: Duration = Duration::from_millis(20);

/// A family of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }

    /// The address that stands for any of this family.
    fn unspecified(self) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::UNSPECIFIED.into(),
            Self::V6 => Ipv6Addr::UNSPECIFIED.into(),
        }
    }

    /// An address for documentation (RFC 5737, RFC 3849): nothing but the default route leads there.
    fn far_away(self) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::new(192, 0, 2, 1).into(),
            Self::V6 => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
        }
    }
}

/// One of the addresses that a node registers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Choice {
    /// An address that the NodeConfig names.
    Named(IpAddr),
    /// An address of this family, from which the API server is reached.
    Found(Family),
}

/// The addresses that a node registers with, the one of the primary family first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// One or two.
    pub choices: Vec<Choice>,
    /// Host of the API server: a name or an address.
    pub api_server: String,
    /// Port of the API server.
    pub port: u16,
}

impl Wanted {
    /// The addresses that a NodeConfig asks for.
    pub fn of(config: &NodeConfig) -> Self {
        let named = config.kubelet.node_ip.as_ref();
        let choices = match named {
            Some(addresses) => addresses.iter().map(Choice::Named).collect(),
            None => families(config)
                .into_iter()
                .map(|family| choice(config, family))
                .collect(),
        };
        Self {
            choices,
            api_server: config.cluster.endpoint.host.clone(),
            port: config.cluster.endpoint.port,
        }
    }
}

impl Wanted {
    /// Takes the families of these name servers of a cluster in the place of those that were guessed. Addresses that the
    /// NodeConfig names stay.
    pub fn take_families(&mut self, servers: &[IpAddr]) {
        let is_named = |choice: &Choice| matches!(choice, Choice::Named(_));
        if servers.is_empty() || self.choices.iter().any(is_named) {
            return;
        }
        let mut choices: Vec<Choice> = Vec::new();
        for server in servers {
            let choice = Choice::Found(Family::of(*server));
            if !choices.contains(&choice) {
                choices.push(choice);
            }
        }
        self.choices = choices;
    }
}

/// The families of the cluster: those of its name service, unless only the API server's address tells.
fn families(config: &NodeConfig) -> Vec<Family> {
    let mut families: Vec<Family> = Vec::new();
    for address in &config.cluster.dns {
        let family = Family::of(address.0);
        if !families.contains(&family) {
            families.push(family);
        }
    }
    // A cluster that keeps the usual address of the name service says nothing by it.
    let usual = matches!(&config.cluster.dns[..], [server] if server.0 == defaults::NAME_SERVICE);
    match config.cluster.endpoint.host.parse::<IpAddr>() {
        Ok(address) if usual => vec![Family::of(address)],
        _ => families,
    }
}

/// A fixed address of the interface that leads out, or of any; otherwise whatever is found.
fn choice(config: &NodeConfig, family: Family) -> Choice {
    let interfaces = config
        .network
        .as_ref()
        .map(|network| &network.interfaces[..])
        .unwrap_or_default();
    let fixed = |interface: &Interface| {
        let mut addresses = interface.addresses.iter().map(|cidr| cidr.address);
        addresses.find(|address| Family::of(*address) == family && is_usable(*address))
    };
    let leading_out = interfaces.iter().filter(|interface| interface.gateway.is_some());
    match leading_out.chain(interfaces).find_map(fixed) {
        Some(address) => Choice::Named(address),
        None => Choice::Found(family),
    }
}

/// Waits until the machine has the addresses that it shall register with, and returns them.
///
/// A kubelet that is not told an address looks its own name up, first of all at name servers that may be silent for
/// seconds. One that is told an address too early registers a node without any, and corrects that much later.
pub fn wait(wanted: &Wanted, patience: Duration) -> Vec<IpAddr> {
    let start = Instant::now();
    let mut network = AddressSource::new(wanted);
    loop {
        let elapsed = start.elapsed();
        let found = network.look(elapsed);
        if is_enough(&found, elapsed) || elapsed >= patience {
            return found.into_iter().flatten().collect();
        }
        std::thread::sleep(INTERVAL);
    }
}

/// Returns `true` if the addresses that were found after some time are those to go on with.
fn is_enough(found: &[Option<IpAddr>], elapsed: Duration) -> bool {
    let first = found.first().is_some_and(Option::is_some);
    found.iter().all(Option::is_some)
        || (first && elapsed >= SECOND_FAMILY)
        || (elapsed >= OTHER_FAMILY && found.iter().any(Option::is_some))
}

/// The network of this machine, as far as the addresses of its node go.
#[derive(Debug)]
pub struct AddressSource<'w> {
    wanted: &'w Wanted,
    /// The addresses of the API server, once they were looked up.
    api_server: Option<Vec<IpAddr>>,
}

impl<'w> AddressSource<'w> {
    /// A network in which a node wants addresses. Nothing is looked up yet.
    pub fn new(wanted: &'w Wanted) -> Self {
        let address = wanted.api_server.parse::<IpAddr>().ok();
        Self {
            wanted,
            api_server: address.map(|address| vec![address]),
        }
    }

    /// The addresses to register with at this moment.
    pub fn addresses(&mut self) -> Vec<IpAddr> {
        self.look(OTHER_FAMILY).into_iter().flatten().collect()
    }

    /// Each address that is wanted, as far as it is there.
    fn look(&mut self, elapsed: Duration) -> Vec<Option<IpAddr>> {
        let Wanted { choices, .. } = self.wanted;
        let mut found: Vec<_> = choices.iter().map(|choice| self.address(*choice)).collect();
        if let [Choice::Found(family)] = choices[..]
            && elapsed >= OTHER_FAMILY
            && found == [None]
        {
            found = vec![self.address(Choice::Found(family.other()))];
        }
        found
    }

    fn address(&mut self, choice: Choice) -> Option<IpAddr> {
        match choice {
            Choice::Named(address) => is_own(address).then_some(address),
            Choice::Found(family) => {
                // Names can only be looked up when there is a network.
                let default = source(family, family.far_away());
                if self.api_server.is_none() && default.is_some() {
                    self.api_server = Some(look_up(&self.wanted.api_server, self.wanted.port));
                }
                let api_server = self.api_server.iter().flatten();
                let mut ways = api_server.filter(|address| Family::of(**address) == family);
                ways.find_map(|address| source(family, *address)).or(default)
            }
        }
    }
}

/// The addresses behind a name; none where nobody answers.
fn look_up(name: &str, port: u16) -> Vec<IpAddr> {
    let addresses = (name, port).to_socket_addrs().into_iter().flatten();
    addresses.map(|address| address.ip()).collect()
}

/// Waits until the machine has an address that leads out, or for as long as `patience`.
pub fn wait_for_way_out(patience: Duration) {
    let start = Instant::now();
    while !leads_out() && start.elapsed() < patience {
        std::thread::sleep(INTERVAL);
    }
}

/// Returns `true` if the machine has an address, of either family, with a default route.
pub fn leads_out() -> bool {
    [Family::V4, Family::V6]
        .into_iter()
        .any(|family| source(family, family.far_away()).is_some())
}

/// Returns `true` if there is a route to this address, from an address that others may reach.
pub fn leads_to(address: IpAddr) -> bool {
    source(Family::of(address), address).is_some()
}

/// Returns `true` if an interface has this address by now.
pub fn is_own(address: IpAddr) -> bool {
    UdpSocket::bind(SocketAddr::new(address, 0)).is_ok()
}

/// The address that packets to another one would have. Connecting a UDP socket asks the routes; it sends nothing.
fn source(family: Family, to: IpAddr) -> Option<IpAddr> {
    let socket = UdpSocket::bind(SocketAddr::new(family.unspecified(), 0)).ok()?;
    socket.connect(SocketAddr::new(to, 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    is_usable(address).then_some(address)
}

/// Returns `true` if other nodes may reach this address: while an IPv6 address is still being checked for duplicates,
/// packets would have a link-local one, which the kubelet refuses.
pub fn is_usable(address: IpAddr) -> bool {
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    !(address.is_unspecified() || address.is_loopback() || link_local)
}

/// Writes the addresses down for the kubelet's unit.
///
/// Without addresses, the file goes: while it is not there, a card that appears is set up like those of the boot
/// (81-basalt-network.rules).
pub fn write(root: &Path, addresses: &[IpAddr]) -> Result<(), ApplyError> {
    if addresses.is_empty() {
        return apply::remove(below(root, paths::KUBELET_ADDRESS));
    }
    cards::record(root)?;
    let list: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    let file = PlannedFile {
        path: paths::KUBELET_ADDRESS.to_owned(),
        mode: 0o644,
        content: format!("KUBELET_ADDRESS=--node-ip={}\n", list.join(",")),
    };
    apply::write(root, &file)
}

/// The addresses that were written down for the kubelet.
pub fn written(root: &Path) -> Vec<IpAddr> {
    let text = fs_err::read_to_string(below(root, paths::KUBELET_ADDRESS)).unwrap_or_default();
    let list = text
        .trim()
        .strip_prefix("KUBELET_ADDRESS=--node-ip=")
        .unwrap_or_default();
    list.split(',').filter_map(|address| address.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use basalt_node_config::{Clock, check};

    use super::*;

    const CA: &str = include_str!("../../node-config/tests/certificates/ca.pem");

    /// Choices of a NodeConfig with this endpoint and these other parts.
    fn wanted(endpoint: &str, dns: &str, more: &str) -> Vec<Choice> {
        let ca: String = CA.lines().map(|line| format!("    {line}\n")).collect();
        let text = format!(
            "apiVersion: basalt.dev/v1\nkind: NodeConfig\ncluster:\n  endpoint: {endpoint}\n  \
             bootstrapToken: abcdef.0123456789abcdef\n{dns}  ca: |\n{ca}{more}"
        );
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000);
        match check("node.yaml", &text, Clock::Right(now)) {
            Ok((config, _)) => Wanted::of(&config).choices,
            Err(problems) => panic!("{}", problems.brief()),
        }
    }

    #[test]
    fn families_of_a_cluster() {
        use Choice::Found;
        use Family::{V4, V6};
        let dual = "  dns: { addresses: ['fd00::a', 10.96.0.10] }\n";
        let six = "  dns: { addresses: ['fd00::a'] }\n";
        assert_eq!(wanted("https://10.0.0.1:6443", "", ""), [Found(V4)]);
        assert_eq!(wanted("https://[fd00::1]:6443", "", ""), [Found(V6)]);
        assert_eq!(wanted("https://api.example:6443", "", ""), [Found(V4)]);
        assert_eq!(wanted("https://api.example:6443", six, ""), [Found(V6)]);
        assert_eq!(wanted("https://10.0.0.1:6443", dual, ""), [Found(V6), Found(V4)]);
    }

    #[test]
    fn named_addresses() {
        let named = |address: &str| Choice::Named(address.parse().unwrap());
        let endpoint = "https://10.0.0.1:6443";
        let both = "kubelet: { nodeIP: '10.0.0.11,fd00::11' }\n";
        assert_eq!(wanted(endpoint, "", both), [named("10.0.0.11"), named("fd00::11")]);
        // The interface that leads out comes first, whatever the order.
        let interfaces = "network:\n  interfaces:\n    - { name: eth0, addresses: [192.168.1.2/24] }\n    \
                          - { name: eth1, addresses: ['fd00::11/64', 10.0.0.11/24], gateway: 10.0.0.1 }\n";
        assert_eq!(wanted(endpoint, "", interfaces), [named("10.0.0.11")]);
        let dual = "  dns: { addresses: [10.96.0.10, 'fd01::a'] }\n";
        assert_eq!(
            wanted(endpoint, dual, interfaces),
            [named("10.0.0.11"), named("fd00::11")]
        );
    }

    #[test]
    fn how_long_is_waited() {
        let (four, six) = (Some(Family::V4.far_away()), Some(Family::V6.far_away()));
        let after = Duration::from_secs;
        assert!(is_enough(&[four], after(0)) && is_enough(&[four, six], after(0)));
        assert!(!is_enough(&[None], after(60)) && !is_enough(&[None, None], after(60)));
        assert!(!is_enough(&[four, None], after(9)) && is_enough(&[four, None], after(10)));
        assert!(!is_enough(&[None, six], after(29)) && is_enough(&[None, six], after(30)));
    }

    #[test]
    fn addresses_are_waited_for() {
        let of = |address: &str| Wanted {
            choices: vec![Choice::Named(address.parse().unwrap())],
            api_server: "192.0.2.1".to_owned(),
            port: 6443,
        };
        let loopback: IpAddr = "127.0.0.1".parse().unwrap();
        assert_eq!(wait(&of("127.0.0.1"), Duration::ZERO), [loopback]);
        assert!(wait(&of("192.0.2.77"), Duration::from_millis(30)).is_empty());
    }

    #[test]
    fn what_is_written_is_read() {
        let root = tempfile::tempdir().unwrap();
        assert!(written(root.path()).is_empty());
        for list in [vec![], vec!["10.0.0.11"], vec!["10.0.0.11", "fd00::11"]] {
            let list: Vec<IpAddr> = list.into_iter().map(|address| address.parse().unwrap()).collect();
            write(root.path(), &list).unwrap();
            assert_eq!(written(root.path()), list);
        }
    }

    #[test]
    fn link_local_addresses_are_of_no_use() {
        for bad in ["fe80::1", "169.254.1.1", "::", "127.0.0.1", "::1"] {
            assert!(!is_usable(bad.parse().unwrap()), "{bad}");
        }
        assert!(is_usable("10.0.0.1".parse().unwrap()) && is_usable("fd00::1".parse().unwrap()));
    }
}
