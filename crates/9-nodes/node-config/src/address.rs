//! Addresses: of hosts, networks, interfaces, API servers and registries.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use super::defaults::API_PORT;
use super::name::{checked_text, domain};
use basalt_document::Finding;

mod interface;

pub use interface::{InterfaceName, InterfacePattern, MacAddress};

/// An IP address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address(pub IpAddr);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Address {
    type Err = Finding;

    fn from_str(text: &str) -> Result<Self, Finding> {
        text.parse().map(Self).map_err(|_| {
            let help = match text.split_once('/') {
                Some((address, _)) if address.parse::<IpAddr>().is_ok() => format!("write `{address}`, without `/`"),
                _ => "write an address such as `10.0.0.1` or `fd00::1`".to_owned(),
            };
            Finding::error(format!("`{text}` is not an IP address"), "not an address").with_help(help)
        })
    }
}

/// The addresses that a node registers with: one, or one of each family, in the form of the kubelet's `--node-ip`.
///
/// `0.0.0.0` and `::` ask the kubelet for whichever address of that family leads out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeAddresses(Vec<IpAddr>);

impl NodeAddresses {
    /// The addresses, the one of the primary family first.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.0.iter().copied()
    }
}

impl FromStr for NodeAddresses {
    type Err = Finding;

    fn from_str(text: &str) -> Result<Self, Finding> {
        let refused = "the kubelet refuses this";
        let wrong = |message: String, help: &str| Err(Finding::error(message, refused).with_help(help));
        let parsed: Result<Vec<Address>, Finding> = text.split(',').map(|part| part.trim().parse()).collect();
        let addresses: Vec<IpAddr> = parsed?.into_iter().map(|address| address.0).collect();
        for address in &addresses {
            let link_local = match address {
                IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
                IpAddr::V6(v6) => v6.is_unicast_link_local(),
            };
            if address.is_loopback() || address.is_multicast() || link_local {
                let help = "write an address of the node that other nodes reach";
                return wrong(format!("`{address}` cannot be the address of a node"), help);
            }
        }
        match &addresses[..] {
            [_] => Ok(Self(addresses)),
            [one, other] if one.is_ipv4() == other.is_ipv4() => {
                let help = "write one address of IPv4 and one of IPv6";
                wrong(format!("`{one}` and `{other}` are of the same family"), help)
            }
            [one, other] if one.is_unspecified() || other.is_unspecified() => {
                let help = "write both addresses, or neither: the node finds those of each family itself";
                wrong("`0.0.0.0` and `::` stand alone".to_owned(), help)
            }
            [_, _] => Ok(Self(addresses)),
            _ => wrong(
                format!("a node has at most two addresses, and these are {}", addresses.len()),
                "write one address of IPv4 and one of IPv6",
            ),
        }
    }
}

/// An address with the length of its network: `10.0.0.11/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    /// The address.
    pub address: IpAddr,
    /// Number of bits that name the network.
    pub prefix: u8,
}

impl Cidr {
    /// Returns `true` if an address is in this network.
    pub fn contains(&self, other: IpAddr) -> bool {
        let bits = |address: IpAddr| match address {
            IpAddr::V4(v4) => (u128::from(u32::from(v4)) << 96, 32),
            IpAddr::V6(v6) => (u128::from(v6), 128),
        };
        let ((own, own_width), (other, other_width)) = (bits(self.address), bits(other));
        let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
        own_width == other_width && own & mask == other & mask
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for Cidr {
    type Err = Finding;

    fn from_str(text: &str) -> Result<Self, Finding> {
        let wrong = |message: String, help: String| Err(Finding::error(message, "not a network").with_help(help));
        let Some((address, prefix)) = text.split_once('/') else {
            let help = match text.parse::<IpAddr>() {
                Ok(IpAddr::V4(_)) => format!("add the length of its network: `{text}/24`, say"),
                Ok(IpAddr::V6(_)) => format!("add the length of its network: `{text}/64`, say"),
                Err(_) => "write an address and the length of its network: `10.0.0.11/24`".to_owned(),
            };
            return wrong(format!("`{text}` has no network length"), help);
        };
        let Ok(address) = address.parse::<IpAddr>() else {
            let help = "write an address such as `10.0.0.11` before the `/`".to_owned();
            return wrong(format!("`{address}` is not an IP address"), help);
        };
        let most = if address.is_ipv4() { 32 } else { 128 };
        match prefix.parse::<u8>() {
            Ok(prefix) if prefix <= most => Ok(Self { address, prefix }),
            _ => wrong(
                format!("`{prefix}` is not the length of a network"),
                format!("write a number from 0 to {most}"),
            ),
        }
    }
}

checked_text! {
    /// A registry as image names write it: a name or address, with a port if it is not 443.
    RegistryName, |text| {
        let wrong = |help: String| {
            Err(Finding::error(format!("`{text}` is not the name of a registry"), "not a registry").with_help(help))
        };
        if let Some((_, rest)) = text.split_once("://") {
            return wrong(format!("leave the scheme out: `{}`", rest.trim_end_matches('/')));
        }
        if let Some((host, path)) = text.split_once('/') {
            return wrong(format!("leave out `/{path}`: `{host}`"));
        }
        if text.contains('*') {
            return wrong("name each registry: `*` stands alone, for all that have no entry".to_owned());
        }
        authority(text).map(|_| ())
    }
}

impl RegistryName {
    /// The host that serves this registry: that of `docker.io` has another name.
    pub fn server(&self) -> &str {
        match self.as_str() {
            "docker.io" => "registry-1.docker.io",
            name => name,
        }
    }
}

/// The address of an API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Name or address of the host; IPv6 addresses without brackets.
    pub host: String,
    /// Port of the host.
    pub port: u16,
}

impl Endpoint {
    /// Reason for which no other machine reaches this endpoint, if there is one.
    pub fn unreachable(&self) -> Option<&'static str> {
        match self.host.parse::<IpAddr>() {
            Ok(address) if address.is_unspecified() => Some("it stands for all addresses of a machine"),
            Ok(address) if address.is_loopback() => Some("it is that of each machine itself"),
            Ok(address) if address.is_multicast() => Some("it is one of a group of machines"),
            Ok(IpAddr::V4(address)) if address.is_broadcast() => Some("it is that of all machines"),
            Ok(IpAddr::V6(address)) if address.is_unicast_link_local() => {
                Some("it holds on one interface only, which a URL does not name")
            }
            Ok(_) => None,
            Err(_) => {
                let host = self.host.to_lowercase();
                let is_local = host == "localhost" || host.ends_with(".localhost");
                is_local.then_some("it is that of each machine itself")
            }
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.parse::<Ipv6Addr>() {
            Ok(address) => write!(f, "https://[{address}]:{}", self.port),
            Err(_) => write!(f, "https://{}:{}", self.host, self.port),
        }
    }
}

impl FromStr for Endpoint {
    type Err = Finding;

    fn from_str(text: &str) -> Result<Self, Finding> {
        let wrong = |message: &str, help: String| {
            Err(Finding::error(format!("the endpoint {message}"), "not an endpoint").with_help(help))
        };
        let Some(rest) = text.strip_prefix("https://") else {
            let bare = text.split_once("://").map_or(text, |(_, rest)| rest);
            return wrong("does not begin with `https://`", format!("write `https://{bare}`"));
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#']) {
            let bare = rest.split(['/', '?', '#']).next().unwrap_or_default();
            return wrong("has something after its port", format!("write `https://{bare}`"));
        }
        if rest.contains('@') {
            return wrong(
                "contains a name or password",
                "leave out everything up to the `@`".to_owned(),
            );
        }
        match authority(rest)? {
            (host, Some(port)) => Ok(Self { host, port }),
            (_, None) => wrong(
                "has no port",
                format!("write `https://{rest}:{API_PORT}`, if it is the usual one"),
            ),
        }
    }
}

checked_text! {
    /// The address of a mirror.
    MirrorUrl, |text| {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let Some(rest) = rest else {
            let finding = Finding::error(format!("`{text}` does not begin with `https://` or `http://`"), "no scheme");
            return Err(finding.with_help(format!("write `https://{text}`")));
        };
        if rest.chars().any(|c| c.is_whitespace() || c.is_control() || "\"'\\?#@".contains(c)) {
            let finding = Finding::error("the address contains a character that it must not", "not an address");
            return Err(finding.with_help("write scheme, host, port and path only"));
        }
        authority(rest.split('/').next().unwrap_or_default()).map(|_| ())
    }
}

impl MirrorUrl {
    /// Host and port as they stand in the address: what containerd knows credentials by.
    pub fn authority(&self) -> &str {
        let text = self.as_str();
        let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
        rest.split('/').next().unwrap_or_default()
    }
}

/// The address of a proxy, which may contain a password.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl(String);

impl ProxyUrl {
    /// The whole address, with the password.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// Never shows the password.
impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.0.rsplit('@').next().unwrap_or_default();
        write!(f, "ProxyUrl({host})")
    }
}

impl FromStr for ProxyUrl {
    type Err = Finding;

    // No message repeats the address: it may contain a password.
    fn from_str(text: &str) -> Result<Self, Finding> {
        let help = "write `http://proxy.example:3128`, or `http://name:password@proxy.example:3128`";
        let wrong = |message: &str| Err(Finding::error(message, "not the address of a proxy").with_help(help));
        let Some(rest) = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")) else {
            return wrong("the address of a proxy begins with `http://` or `https://`");
        };
        let bad = |c: char| c.is_whitespace() || c.is_control() || "\"'\\`$#".contains(c);
        if rest.contains(bad) {
            return wrong("the address of the proxy contains a character that has to be written as `%` and two digits");
        }
        let host = rest.trim_end_matches('/').rsplit('@').next().unwrap_or_default();
        if host.contains('/') || authority(host).is_err() {
            return wrong("the address of the proxy has no host, or something after its port");
        }
        Ok(Self(text.to_owned()))
    }
}

/// A host and the port after it.
fn authority(text: &str) -> Result<(String, Option<u16>), Finding> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            if address.parse::<Ipv6Addr>().is_err() {
                let finding = Finding::error(format!("`{address}` is not an IPv6 address"), "not an address");
                return Err(finding.with_help(format!("write `[fd00::1]:{API_PORT}`")));
            }
            if !rest.is_empty() && !rest.starts_with(':') {
                let finding = Finding::error(format!("`{rest}` stands after the `]` of an address"), "not a port");
                return Err(finding.with_help(format!("write `[{address}]:{API_PORT}`")));
            }
            (address, rest.strip_prefix(':'))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    if host.parse::<IpAddr>().is_err() {
        let number = host
            .rsplit('.')
            .next()
            .is_some_and(|last| last.bytes().all(|digit| digit.is_ascii_digit()));
        if number && !host.is_empty() {
            let finding = Finding::error(format!("`{host}` is not an IP address"), "not an address");
            return Err(finding.with_help("write four numbers from 0 to 255, or a name"));
        }
        domain(&host.to_lowercase(), "the host")?;
    }
    let port = match port.map(|port| (port, port_number(port))) {
        None => None,
        Some((_, Some(port))) if port > 0 => Some(port),
        Some((port, _)) => {
            let finding = Finding::error(format!("`{port}` is not a port"), "not a port");
            return Err(finding.with_help("write a number from 1 to 65535"));
        }
    };
    Ok((host.to_owned(), port))
}

/// Number of a port. Go, in which containerd and the kubelet are written, takes no sign before it.
pub(crate) fn port_number(text: &str) -> Option<u16> {
    let is_number = text.bytes().all(|digit| digit.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn endpoints() {
        for good in [
            "https://10.0.0.1:6443",
            "https://api.example.com:443/",
            "https://[fd00::1]:6443",
        ] {
            let endpoint: Endpoint = good.parse().unwrap();
            assert_eq!(endpoint.to_string(), good.trim_end_matches('/'));
        }
        for bad in [
            "",
            "10.0.0.1:6443",
            "http://a:1",
            "https://",
            "https://a",
            "https://a:0",
            "https://a:99999",
            "https://a:1/x",
            "https://256.0.0.1:1",
            "https://u:p@a:1",
            "https://[::z]:1",
            "https://[fd00::1]6443",
            "https://a b:1",
        ] {
            assert!(bad.parse::<Endpoint>().is_err(), "{bad}");
        }
        let help = |text: &str| text.parse::<Endpoint>().unwrap_err().help.unwrap();
        assert_eq!(help("http://api:6443"), "write `https://api:6443`");
        assert!(help("https://api").contains("https://api:6443"));
    }

    #[test]
    fn endpoints_that_nobody_reaches() {
        let reached = |text: &str| text.parse::<Endpoint>().unwrap().unreachable().is_none();
        for good in [
            "https://10.0.0.1:6443",
            "https://169.254.1.1:6443",
            "https://[fd00::1]:6443",
            "https://localhost.example:6443",
        ] {
            assert!(reached(good), "{good}");
        }
        for bad in [
            "https://0.0.0.0:6443",
            "https://127.0.0.1:6443",
            "https://127.9.9.9:6443",
            "https://224.0.0.1:6443",
            "https://255.255.255.255:6443",
            "https://[::]:6443",
            "https://[::1]:6443",
            "https://[fe80::1]:6443",
            "https://[ff02::1]:6443",
            "https://localhost:6443",
        ] {
            assert!(!reached(bad), "{bad}");
        }
    }

    #[test]
    fn networks() {
        let cidr: Cidr = "10.87.0.11/24".parse().unwrap();
        assert!(cidr.contains("10.87.0.1".parse().unwrap()));
        assert!(!cidr.contains("10.88.0.1".parse().unwrap()));
        assert!(!cidr.contains("fd00::1".parse().unwrap()));
        assert!(
            "0.0.0.0/0"
                .parse::<Cidr>()
                .unwrap()
                .contains("1.2.3.4".parse().unwrap())
        );
        for bad in [
            "",
            "10.0.0.1",
            "10.0.0.1/33",
            "10.0.0/8",
            "fd00::1/129",
            "a/1",
            "10.0.0.1/",
        ] {
            assert!(bad.parse::<Cidr>().is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_of_a_node() {
        for good in ["10.0.0.1", "::", "0.0.0.0", "10.0.0.1,fd00::1", "fd00::1, 10.0.0.1"] {
            assert!(good.parse::<NodeAddresses>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "10.0.0.1,",
            "10.0.0.1,10.0.0.2",
            "10.0.0.1,::",
            "127.0.0.1",
            "fe80::1",
            "224.0.0.1",
            "10.0.0.1,fd00::1,fd00::2",
            "node-1",
        ] {
            assert!(bad.parse::<NodeAddresses>().is_err(), "{bad}");
        }
    }

    #[test]
    fn registries_and_mirrors() {
        for good in ["docker.io", "registry:5000", "10.0.0.1:5000"] {
            assert!(good.parse::<RegistryName>().is_ok(), "{good}");
        }
        for bad in ["", "https://docker.io", "docker.io/library", "a:b", "a:+5000"] {
            assert!(bad.parse::<RegistryName>().is_err(), "{bad}");
        }
        let finding = "*.corp.example".parse::<RegistryName>().unwrap_err();
        assert!(finding.help.unwrap().contains("`*` stands alone"));
        for good in ["http://10.87.0.1:5000", "https://m.example/v2/proxy"] {
            assert!(good.parse::<MirrorUrl>().is_ok(), "{good}");
        }
        for bad in [
            "m.example",
            "ftp://m",
            "http://",
            "http://a\"b",
            "https://a b",
            "https://[fd00::1]x",
        ] {
            assert!(bad.parse::<MirrorUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn proxies() {
        for good in [
            "http://proxy.example:3128",
            "https://10.0.0.1",
            "http://u:p%40ss@proxy.example:3128/",
            "http://[fd00::1]:3128",
        ] {
            assert!(good.parse::<ProxyUrl>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "proxy:3128",
            "socks5://proxy:1080",
            "http://",
            "http://a b",
            "http://p:1/path",
        ] {
            assert!(bad.parse::<ProxyUrl>().is_err(), "{bad}");
        }
        let proxy: ProxyUrl = "http://u:s3cret@proxy.example:3128".parse().unwrap();
        assert_eq!(format!("{proxy:?}"), "ProxyUrl(proxy.example:3128)");
        let finding = "http://u:s3cret@pro xy".parse::<ProxyUrl>().unwrap_err();
        assert!(!format!("{finding:?}").contains("s3cret"));
    }

    proptest! {
        #[test]
        fn addresses_come_back_whole(address: IpAddr, port in 1u16..) {
            let endpoint = Endpoint { host: address.to_string(), port };
            prop_assert_eq!(endpoint.to_string().parse::<Endpoint>(), Ok(endpoint));
            let cidr = Cidr { address, prefix: 24 };
            prop_assert_eq!(cidr.to_string().parse::<Cidr>(), Ok(cidr));
            prop_assert!(cidr.contains(address));
        }

        #[test]
        fn nothing_panics(text in any::<String>()) {
            let _ = text.parse::<Endpoint>();
            let _ = text.parse::<Cidr>();
            let _ = text.parse::<RegistryName>();
            let _ = text.parse::<MirrorUrl>().map(|url| url.authority().len());
            let _ = text.parse::<ProxyUrl>();
            let _ = format!("https://{text}").parse::<Endpoint>();
        }
    }
}
