//! Words of kubeadm, cloud-init, netplan, chrony, containerd and Docker for settings of a NodeConfig.
//!
//! Keys of other formats are often spelled like keys of ours that mean something else: `discoveryTokenCACertHash` like
//! `discoveryToken`. So this table is asked before keys are compared by their letters.

use basalt_document::Path;

use super::extra_config;

/// Meaning of a word.
#[derive(Debug, Clone, Copy)]
enum Meaning {
    /// Key of a NodeConfig, from its root, without indexes of lists.
    Key(&'static str),
    /// Advice, where no key means the same.
    Advice(&'static str),
}

use Meaning::{Advice, Key};

/// Words with one meaning, in small letters without hyphens and underscores.
type Words = (&'static [&'static str], Meaning);

const ARGUMENTS: Meaning = Advice(
    "write each argument as the setting that it is: `--max-pods=50` is `maxPods: 50`, and those without a key of their own \
     go below `kubelet.extraConfig`",
);
const ENTRY: Meaning = Advice("write it in an entry of `network.interfaces` with this name");
const LOGIN: Meaning = Advice("remove it: nobody logs in to a node, and `basalt node shell NAME` leads into one");
const FILES: Meaning = Advice("remove it: files and programs come with a pod, or with an image of one's own");
const STORAGE: Meaning = Advice("remove it: a node sets its disk up itself, and others are a storage driver's");
const TIME_ZONE: Meaning = Advice("remove it: the time zone of a node is UTC");
const NETPLAN: Meaning = Advice("remove it: there is no netplan on a node");

const AUTH: &[Words] = &[
    (
        &["auth"],
        Advice("write `username` and `password`: Docker's `auth` is both, in base64"),
    ),
    (&["token", "accesstoken"], Advice("write it as `password`")),
    (&["user", "login"], Advice("write it as `username`")),
];

/// Words, by the object that they stand in: its keys from the root of a NodeConfig.
const SCOPES: &[(&str, &[Words])] = &[
    (
        "",
        &[
            (&["name", "nodename"], Key("hostname")),
            (&["nodelabels"], Key("labels")),
            (&["nodetaints"], Key("taints")),
            (&["nodeip"], Key("kubelet.nodeIP")),
            (&["cloudprovider"], Key("kubelet.cloudProvider")),
            (&["extraargs", "kubeletextraargs"], ARGUMENTS),
            (
                &["chrony", "ntp", "ntpservers", "timeservers", "timesyncd"],
                Key("time.servers"),
            ),
            (&["timezone"], TIME_ZONE),
            (&["dns", "nameservers", "resolvconf"], Key("network.dns.servers")),
            (&["ethernets", "interfaces"], Key("network.interfaces")),
            (&["bonds"], Key("network.bonds")),
            (&["vlans"], Key("network.vlans")),
            (&["mirrors", "registrymirrors"], Key("registries.mirrors")),
            (&["insecureregistries"], Key("registries.plainHttp")),
            (&["containerd", "docker"], Key("registries")),
            (&["httpproxy"], Key("proxy.http")),
            (&["httpsproxy"], Key("proxy.https")),
            (&["noproxy"], Key("proxy.noProxy")),
            (
                &["additionaltrustbundle", "ca", "cabundle", "cacerts", "trustedcas"],
                Key("caCertificates"),
            ),
            (&["images", "preloadimages"], Key("prepull")),
            (&["passwd", "ssh", "sshauthorizedkeys", "users"], LOGIN),
            (
                &[
                    "bootcmd",
                    "commands",
                    "files",
                    "packages",
                    "postkubeadmcommands",
                    "prekubeadmcommands",
                    "runcmd",
                    "writefiles",
                ],
                FILES,
            ),
            (
                &["kernelmodules", "modules"],
                Advice("remove it: the kernel loads modules when they are needed"),
            ),
            (
                &["disksetup", "disks", "fssetup", "growpart", "mounts", "swap"],
                STORAGE,
            ),
        ],
    ),
    (
        "cluster",
        &[
            (
                &["token", "jointoken", "tlsbootstraptoken"],
                Key("cluster.bootstrapToken"),
            ),
            (
                &[
                    "address",
                    "apiserver",
                    "apiserverendpoint",
                    "controlplaneendpoint",
                    "server",
                    "url",
                ],
                Key("cluster.endpoint"),
            ),
            (
                &[
                    "discoverytokencacerthash",
                    "discoverytokencacerthashes",
                    "hash",
                    "hashes",
                    "pin",
                    "pins",
                ],
                Key("cluster.caCertHashes"),
            ),
            (
                &["cacert", "cafile", "certificateauthority", "clientcafile"],
                Key("cluster.ca"),
            ),
            (
                &["certificateauthoritydata"],
                Advice("write it as `ca`, decoded: `base64 -d` shows the PEM block that it is"),
            ),
            (&["clusterdns", "nameservers"], Key("cluster.dns.addresses")),
            (&["clusterdomain", "dnsdomain", "domain"], Key("cluster.dns.domain")),
            (
                &["podsubnet", "servicesubnet"],
                Advice("remove it: the cluster has it, and tells its nodes"),
            ),
        ],
    ),
    (
        "cluster.dns",
        &[
            (&["clusterdns", "nameservers", "servers"], Key("cluster.dns.addresses")),
            (&["clusterdomain", "dnsdomain"], Key("cluster.dns.domain")),
        ],
    ),
    (
        "network",
        &[
            (&["ethernets"], Key("network.interfaces")),
            (&["renderer", "version"], NETPLAN),
            (&["nameservers"], Key("network.dns.servers")),
            (&["addresses"], Key("network.interfaces.addresses")),
            (&["gateway", "gateway4"], Key("network.interfaces.gateway")),
            (&["routes"], Key("network.interfaces.routes")),
            (
                &["bridges", "dummydevices", "tunnels", "wifis"],
                Advice("remove it: a node makes bonds and VLANs, and others are a network add-on's"),
            ),
        ],
    ),
    (
        "network.interfaces",
        &[
            (&["dns", "nameserver", "nameservers"], Key("network.dns.servers")),
            (&["domains", "search"], Key("network.dns.search")),
            (&["dhcp4", "dhcp6"], Key("network.interfaces.dhcp")),
            (
                &["defaultgateway", "gateway4", "gateway6"],
                Key("network.interfaces.gateway"),
            ),
            (&["hwaddr", "macaddress"], Key("network.interfaces.mac")),
            (&["match"], Advice("write `name` or `mac` in its place")),
            (&["device", "interface"], Key("network.interfaces.name")),
            (&["ip", "ipaddress"], Key("network.interfaces.addresses")),
            (
                &["netmask", "prefix"],
                Advice("write the length of the network behind the address: `10.0.0.11/24`"),
            ),
            (
                &["setname"],
                Advice("remove it: cards keep the names that systemd gives them"),
            ),
            (
                &["dhcp4overrides", "dhcp6overrides"],
                Advice("of DHCP, `metric` and `mtu` are settings; remove the rest"),
            ),
            (
                &["acceptra"],
                Advice("remove it: router advertisements are followed with DHCP, and with a fixed address of IPv6"),
            ),
        ],
    ),
    (
        "network.interfaces.routes",
        &[
            (&["gateway", "nexthop"], Key("network.interfaces.routes.via")),
            (&["destination", "dst", "network"], Key("network.interfaces.routes.to")),
        ],
    ),
    (
        "network.bonds",
        &[
            (&["interfaces", "ports", "slaves"], Key("network.bonds.members")),
            (
                &["parameters"],
                Advice("write its parts here: `mode`, `lacpRate`, `transmitHashPolicy`"),
            ),
            (
                &["miimon", "miimonitorinterval"],
                Advice("remove it: links are looked at every 100 ms"),
            ),
            (&["xmithashpolicy"], Key("network.bonds.transmitHashPolicy")),
            (&["nameservers"], Key("network.dns.servers")),
            (
                &[
                    "addresses",
                    "dhcp",
                    "dhcp4",
                    "dhcp6",
                    "gateway",
                    "gateway4",
                    "macaddress",
                    "mtu",
                    "routes",
                ],
                ENTRY,
            ),
        ],
    ),
    (
        "network.vlans",
        &[
            (&["tag", "vlan", "vlanid"], Key("network.vlans.id")),
            (&["dev", "device", "interface", "parent"], Key("network.vlans.link")),
            (&["nameservers"], Key("network.dns.servers")),
            (
                &[
                    "addresses",
                    "dhcp",
                    "dhcp4",
                    "dhcp6",
                    "gateway",
                    "gateway4",
                    "macaddress",
                    "mtu",
                    "routes",
                ],
                ENTRY,
            ),
        ],
    ),
    (
        "network.dns",
        &[
            (&["addresses", "nameservers"], Key("network.dns.servers")),
            (&["domains", "searchdomains"], Key("network.dns.search")),
        ],
    ),
    (
        "time",
        &[
            (&["ntp", "ntpservers", "pool", "pools"], Key("time.servers")),
            (&["timezone"], TIME_ZONE),
        ],
    ),
    (
        "registries",
        &[
            (
                &["location", "name", "prefix", "registry", "server"],
                Key("registries.host"),
            ),
            (&["endpoint", "endpoints"], Key("registries.mirrors")),
            (&["insecureskipverify", "tlsverify"], Key("registries.skipVerify")),
            (
                &["insecure"],
                Advice("write `plainHttp: true` for HTTP without TLS, or `skipVerify: true` for any certificate"),
            ),
            (&["cabundle", "cafile"], Key("registries.ca")),
            (&["username"], Key("registries.auth.username")),
            (&["password"], Key("registries.auth.password")),
        ],
    ),
    (
        "registries.mirrors",
        &[
            (
                &["address", "endpoint", "host", "location", "mirror", "server"],
                Key("registries.mirrors.url"),
            ),
            (
                &["insecureskipverify", "tlsverify"],
                Key("registries.mirrors.skipVerify"),
            ),
            (
                &["insecure", "plainhttp"],
                Advice("write `http://` in `url` for HTTP without TLS, or `skipVerify: true` for any certificate"),
            ),
            (&["cabundle", "cafile"], Key("registries.mirrors.ca")),
            (&["username"], Key("registries.mirrors.auth.username")),
            (&["password"], Key("registries.mirrors.auth.password")),
        ],
    ),
    ("registries.auth", AUTH),
    ("registries.mirrors.auth", AUTH),
    (
        "proxy",
        &[
            (&["httpproxy"], Key("proxy.http")),
            (&["httpsproxy"], Key("proxy.https")),
            (&["bypass", "exclude"], Key("proxy.noProxy")),
        ],
    ),
    (
        "kubelet",
        &[
            (&["args", "extraargs", "flags", "kubeletextraargs"], ARGUMENTS),
            (&["nodelabels"], Key("labels")),
            (&["hostnameoverride", "nodename"], Key("hostname")),
            (&["v"], Key("kubelet.verbosity")),
            (&["config"], Key("kubelet.extraConfig")),
        ],
    ),
];

impl Meaning {
    /// Help for a word in an object; keys of this object are named without the way to it.
    fn help(self, scope: &str) -> String {
        match self {
            Key(key) => {
                let below = key.strip_prefix(scope).and_then(|rest| rest.strip_prefix('.'));
                format!("write it as `{}`", below.unwrap_or(key))
            }
            Advice(advice) => advice.to_owned(),
        }
    }
}

/// Help on a key that the object at a path does not have, if another format has it, or KubeletConfiguration.
pub(super) fn advice(path: &Path, key: &str) -> Option<String> {
    let scope = path.keys().collect::<Vec<_>>().join(".");
    let word = plain(key);
    let mut words = SCOPES
        .iter()
        .filter(|(known, _)| *known == scope)
        .flat_map(|(_, words)| words.iter());
    let found = words.find(|(words, _)| words.contains(&word.as_str()));
    match found {
        Some((_, meaning)) => Some(meaning.help(&scope)),
        None if scope.is_empty() || scope == "kubelet" => extra_config::place(key),
        None => None,
    }
}

/// A key as formats of all styles have it: `clusterDNS`, `cluster-dns`, `cluster_dns`.
fn plain(key: &str) -> String {
    key.to_lowercase().replace(['-', '_'], "")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::Value;

    use super::*;

    /// Schema of what a value is made of: behind references, `null` and lists.
    fn inner<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
        let target = schema.get("$ref").and_then(Value::as_str);
        let target = target.and_then(|target| root.pointer(target.trim_start_matches('#')));
        let is_null = |choice: &&Value| choice["type"] == "null";
        let choice = schema.get("anyOf").and_then(Value::as_array);
        let choice = choice.and_then(|choices| choices.iter().find(|choice| !is_null(choice)));
        match target.or(choice).or(schema.get("items")) {
            Some(next) => inner(root, next),
            None => schema,
        }
    }

    /// Keys of the object at a path of keys.
    fn keys<'s>(root: &'s Value, scope: &str) -> Vec<&'s str> {
        let steps = scope.split('.').filter(|step| !step.is_empty());
        let schema = steps.fold(root, |schema, step| inner(root, &schema["properties"][step]));
        let properties = schema["properties"].as_object();
        properties.into_iter().flatten().map(|(key, _)| key.as_str()).collect()
    }

    #[test]
    fn words_lead_to_keys_that_there_are() {
        let schema: Value = serde_json::from_str(&crate::json_schema()).unwrap();
        for (scope, words) in SCOPES {
            let known: Vec<_> = keys(&schema, scope).into_iter().map(plain).collect();
            assert!(!known.is_empty(), "`{scope}` is no object");
            let mut seen = HashSet::new();
            for word in words.iter().flat_map(|(words, _)| words.iter()) {
                assert_eq!(plain(word), *word);
                assert!(seen.insert(word), "`{word}` is there twice in `{scope}`");
                // A key in another style is found by its letters.
                assert!(!known.iter().any(|key| key == word), "`{word}` is a key of `{scope}`");
            }
            for (_, meaning) in *words {
                let Key(key) = meaning else { continue };
                let (parent, last) = key.rsplit_once('.').unwrap_or(("", *key));
                assert!(keys(&schema, parent).contains(&last), "there is no `{key}`");
            }
        }
    }

    #[test]
    fn words_of_other_formats() {
        let help = |path: &str, key: &str| advice(&Path::from(path), key).unwrap_or_default();
        assert_eq!(
            help("cluster", "discoveryTokenCACertHash"),
            "write it as `caCertHashes`"
        );
        assert_eq!(
            help("network.interfaces", "nameservers"),
            "write it as `network.dns.servers`"
        );
        assert_eq!(
            help("", "write_files"),
            "remove it: files and programs come with a pod, or with an image of one's own"
        );
        let interfaces = Path::from("network.interfaces").index(3);
        assert_eq!(
            advice(&interfaces, "gateway4").as_deref(),
            Some("write it as `gateway`")
        );
        assert_eq!(advice(&interfaces, "gatewa"), None);
    }

    #[test]
    fn fields_of_the_kubelets_configuration() {
        let help = |key: &str| advice(&Path::from("kubelet"), key).unwrap_or_default();
        assert_eq!(help("clusterDNS"), "write it as `cluster.dns.addresses`");
        assert_eq!(
            help("serializeImagePulls"),
            "write it as `kubelet.maxParallelImagePulls`"
        );
        assert_eq!(help("registryPullQPS"), "write it below `kubelet.extraConfig`");
        assert!(help("cgroupDriver").contains("containerd leaves control groups to systemd"));
        assert!(help("extraArgs").contains("`kubelet.extraConfig`"));
        assert_eq!(help("imageGcHighThreshold"), "");
        assert_eq!(advice(&Path::from("labels"), "clusterDNS"), None);
    }
}
