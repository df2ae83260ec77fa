//! Golden files of what is written on a node for a NodeConfig.

#![cfg(test)]

use std::fmt::Write as _;
use std::path::Path;

use basalt_node::facts::MachineFacts;
use basalt_node::plan::plan;
use basalt_node::size::Size;
use basalt_node_config::NodeConfig;
use serde_json::json;

mod node_config;

use node_config::{CA, UNKNOWN, least, try_checked, try_least};

fn checked(text: &str) -> NodeConfig {
    try_checked(text).unwrap_or_else(|problems| panic!("{problems}"))
}

/// Configuration of the kubelet on a machine with two processors and 4 GiB.
fn kubelet(more: &str) -> serde_json::Value {
    kubelet_of(&least(more))
}

fn kubelet_of(config: &NodeConfig) -> serde_json::Value {
    let size = Some(Size {
        processors: 2,
        memory: 4 << 30,
    });
    let plan = plan(config, &MachineFacts { size, ..UNKNOWN });
    let file = plan
        .files
        .iter()
        .find(|file| file.path.ends_with("kubelet/config.json"));
    serde_json::from_str(&file.unwrap().content).unwrap()
}

/// All that is planned, certificates apart: those are the same everywhere.
fn planned(config: &NodeConfig) -> String {
    let facts = MachineFacts {
        machine_id: Some("0123456789abcdef0123456789abcdef".to_owned()),
        size: Some(Size {
            processors: 2,
            memory: 4 << 30,
        }),
        credential_providers: Vec::new(),
    };
    let plan = plan(config, &facts);
    let mut text = format!("{} joins {}\n", plan.hostname, plan.endpoint);
    for (path, value) in &plan.sysctls {
        let _ = writeln!(text, "/proc/sys/{path} = {value}");
    }
    for file in &plan.files {
        let _ = writeln!(text, "\n=== {} {:04o}\n{}", file.path, file.mode, short(&file.content));
    }
    text
}

/// Long words, which only certificates have, in few letters.
fn short(content: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in content.lines() {
        let mut words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        for word in words.iter_mut().filter(|word| word.len() > 200) {
            *word = format!("({} letters)", word.len());
        }
        lines.push(words.join(" "));
    }
    lines.join("\n").replace(CA.trim(), "(the certificate)")
}

#[test]
fn of_the_example() {
    let text = fs_err::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../distro/examples/node.yaml"));
    insta::assert_snapshot!(planned(&checked(&text.unwrap())));
}

#[test]
fn of_the_least() {
    insta::assert_snapshot!(planned(&least("")));
}

#[test]
fn of_registries() {
    // JSON is YAML as well.
    let certificate = serde_json::Value::from(CA);
    let key = "-----BEGIN PRIVATE KEY-----\\nAAAA\\n-----END PRIVATE KEY-----\\n";
    let text = format!(
        "\
registries:
  - host: a.example
    mirrors: [{{ url: 'https://m1.example' }}, {{ url: 'http://m2.example/v2/p', overridePath: true }}]
  - host: b.example
    mirrors: [{{ url: 'https://m1.example' }}, {{ url: 'https://m2.example' }}]
    mirrorsOnly: true
  - {{ host: 'c.example:5000', plainHttp: true, mirrors: [], auth: {{ username: u, password: 'p \"\\q' }} }}
  - host: docker.io
    auth: {{ identityToken: t }}
    mirrors:
      - url: https://harbor.example:8443/v2/hub
        overridePath: true
        skipVerify: true
        auth: {{ username: robot$puller, password: secret }}
        clientCertificate: {{ certificate: {certificate}, key: \"{key}\" }}
  - {{ host: '*', mirrors: [{{ url: 'https://m3.example' }}] }}
"
    );
    let plan = plan(&least(&text), &UNKNOWN);
    let mut shown = String::new();
    for file in plan.files.iter().filter(|file| file.path.contains("/certs.d/")) {
        let _ = writeln!(shown, "=== {} {:04o}\n{}\n", file.path, file.mode, short(&file.content));
    }
    let mut files = plan.files.iter();
    let config = files
        .find(|file| file.path.ends_with("containerd/config.toml"))
        .unwrap();
    let (_, credentials) = config.content.split_once("/run/nri/nri.sock'\n").unwrap();
    let _ = writeln!(shown, "=== {} {:04o}{credentials}", config.path, config.mode);
    insta::assert_snapshot!(shown);
}

#[test]
fn of_bonds_and_vlans() {
    let text = "\
network:
  bonds:
    - name: bond0
      members: [eno1, '52:54:00:12:34:56']
      mode: 802.3ad
      lacpRate: fast
      transmitHashPolicy: layer3+4
  vlans:
    - { name: vlan10, id: 10, link: bond0 }
    - { name: storage, id: 20, link: bond0 }
    - { name: old, id: 30, link: eno4 }
  interfaces:
    - { name: vlan10, addresses: [10.0.0.11/32], gateway: 10.0.0.1, gatewayOnLink: true, metric: 100 }
    - { name: eno3, optional: true, metric: 2048 }
    - { name: 'enp*', unmanaged: true }
";
    let plan = plan(&least(text), &UNKNOWN);
    let mut shown = String::new();
    for file in plan
        .files
        .iter()
        .filter(|file| file.path.starts_with("/run/systemd/network/"))
    {
        let _ = writeln!(shown, "=== {}\n{}", file.path, file.content);
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn of_a_bond_with_large_packets() {
    let text = "\
network:
  bonds: [{ name: bond0, members: [eno1, eno2] }]
  vlans: [{ name: vlan10, id: 10, link: bond0 }]
  interfaces:
    - { name: bond0, dhcp: false, mtu: 9000 }
    - { name: vlan10, addresses: [10.0.0.11/24], gateway: 10.0.0.1, mtu: 9000 }
  dns: { servers: [10.0.0.2] }
";
    let plan = plan(&least(text), &UNKNOWN);
    let mut files = plan.files.iter();
    let unit = files.find(|file| file.path.ends_with("10-node-config-00.network"));
    assert_eq!(
        unit.unwrap().content,
        "# Written by basalt-node at every start.\n[Match]\nName=bond0\n\n[Link]\nRequiredForOnline=no\nMTUBytes=9000\n\n\
         [Network]\nDHCP=no\nLinkLocalAddressing=no\nLLDP=no\nEmitLLDP=no\nIPv6AcceptRA=no\nVLAN=vlan10\n"
    );
    // The entry takes the place of what is made for what carries VLANs.
    let mut files = plan.files.iter();
    assert!(!files.any(|file| file.path.contains("20-node-config-bond0")));
}

#[test]
fn of_a_proxy() {
    let text = "\
network: { interfaces: [{ name: eth0, addresses: [10.87.0.11/24], gateway: 10.87.0.1 }] }
proxy: { http: 'http://u:p@proxy.example:3128', noProxy: [.example.com, 10.87.0.11/24] }
";
    let plan = plan(&least(text), &UNKNOWN);
    let files: Vec<_> = plan
        .files
        .iter()
        .filter(|file| file.path.ends_with("/environment"))
        .collect();
    let direct = [
        "localhost,127.0.0.0/8,::1,169.254.0.0/16,fe80::/10",
        "10.87.0.1,.svc,.cluster.local,10.96.0.10,10.87.0.11/24,.example.com",
    ];
    let proxy = "http://u:p@proxy.example:3128";
    let expected = format!(
        "HTTP_PROXY={proxy}\nHTTPS_PROXY={proxy}\nNO_PROXY={}\n",
        direct.join(",")
    );
    assert_eq!(files.len(), 2);
    for file in files {
        assert_eq!((&file.content, file.mode), (&expected, 0o600), "{}", file.path);
    }
}

#[test]
fn images_to_pull_early() {
    let plan = plan(
        &least("prepull: [registry.example/a:1, registry.example/b:2]\n"),
        &UNKNOWN,
    );
    let files = plan
        .files
        .iter()
        .filter(|file| file.path.starts_with("/run/basalt/prepull/"));
    let files: Vec<_> = files.map(|file| (file.path.as_str(), file.content.as_str())).collect();
    assert_eq!(
        files,
        [
            ("/run/basalt/prepull/0", "IMAGE=registry.example/a:1\n"),
            ("/run/basalt/prepull/1", "IMAGE=registry.example/b:2\n"),
            (
                "/run/basalt/prepull/units",
                "UNITS=basalt-prepull@0.service basalt-prepull@1.service\n"
            ),
        ]
    );
}

#[test]
fn credential_providers() {
    let more = "kubelet:
  credentialProviders:
    - name: here
      matchImages: ['*.azurecr.io']
      defaultCacheDuration: 12h
      args: [get-credentials]
      env: { REGION: west }
    - { name: missing, matchImages: [gcr.io], defaultCacheDuration: 1h }
";
    let facts = MachineFacts {
        credential_providers: vec!["here".to_owned()],
        ..UNKNOWN
    };
    let plan = plan(&least(more), &facts);
    let content = |end: &str| &plan.files.iter().find(|file| file.path.ends_with(end)).unwrap().content;
    let providers: serde_json::Value = serde_json::from_str(content("credential-providers.json")).unwrap();
    assert_eq!(
        providers["providers"],
        json!([{
            "name": "here",
            "matchImages": ["*.azurecr.io"],
            "defaultCacheDuration": "12h",
            "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
            "args": ["get-credentials"],
            "env": [{ "name": "REGION", "value": "west" }],
        }])
    );
    let folder = " --image-credential-provider-bin-dir=/usr/libexec/credential-providers";
    assert!(content("kubelet/arguments").contains(folder));
    assert!(
        plan.warnings.len() == 1 && plan.warnings[0].contains("missing"),
        "{:?}",
        plan.warnings
    );
}

#[test]
fn one_image_at_a_time() {
    let config = kubelet("kubelet: { maxParallelImagePulls: 1 }\n");
    assert_eq!(
        (&config["serializeImagePulls"], &config["maxParallelImagePulls"]),
        (&true.into(), &1.into())
    );
}

#[test]
fn what_the_node_keeps_for_itself() {
    let kept = |more: &str| kubelet(more)["kubeReserved"].clone();
    assert_eq!(kept(""), json!({ "cpu": "70m", "memory": "1024Mi" }));
    // A resource that the NodeConfig reserves is not reserved once more.
    assert_eq!(
        kept("kubelet: { systemReserved: { memory: 1Gi } }\n"),
        json!({ "cpu": "70m" })
    );
    assert_eq!(
        kept("kubelet: { kubeReserved: { cpu: 100m, ephemeralStorage: 1Gi } }\n"),
        json!({ "cpu": "100m", "ephemeral-storage": "1Gi", "memory": "1024Mi" })
    );
}

#[test]
fn grace_periods_fit_each_other() {
    let cases = [
        ("", "30s", "10s"),
        ("shutdownGracePeriod: 0s", "0s", "0s"),
        ("shutdownGracePeriod: 1s", "1s", "1s"),
        ("shutdownGracePeriod: 15s", "15s", "5s"),
        ("shutdownGracePeriod: 10m", "10m", "10s"),
        ("shutdownGracePeriodCriticalPods: 20s", "30s", "20s"),
    ];
    for (given, total, critical) in cases {
        let config = kubelet(&format!("kubelet: {{ {given} }}\n"));
        assert_eq!(config["shutdownGracePeriod"], total, "{given}");
        assert_eq!(config["shutdownGracePeriodCriticalPods"], critical, "{given}");
    }
    let by_priority = kubelet("kubelet: { extraConfig: { shutdownGracePeriodByPodPriority: [{ priority: 0 }] } }\n");
    assert_eq!(by_priority["shutdownGracePeriod"], json!(null));
}

#[test]
fn other_fields_come_on_top() {
    let more = "\
kubelet:
  memorySwap: { swapBehavior: LimitedSwap }
  extraConfig:
    authentication: { webhook: { cacheTTL: 1m } }
    tlsCipherSuites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]
    enableSystemLogHandler: false
    registryPullQPS: 0
";
    let config = kubelet(more);
    assert_eq!(
        config["authentication"]["webhook"],
        json!({ "enabled": true, "cacheTTL": "1m" })
    );
    assert_eq!(
        config["tlsCipherSuites"],
        json!(["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"])
    );
    assert_eq!(config["enableSystemLogQuery"], false);
    assert_eq!(config["registryPullQPS"], 0);
    assert_eq!(config["failSwapOn"], false);
    assert_eq!(config["memorySwap"], json!({ "swapBehavior": "LimitedSwap" }));
}

#[test]
fn an_external_cloud() {
    let has = |more: &str| {
        let plan = plan(&least(more), &UNKNOWN);
        let file = plan.files.iter().find(|file| file.path.ends_with("kubelet/arguments"));
        file.unwrap().content.contains(" --cloud-provider=external")
    };
    assert!(has("kubelet: { cloudProvider: external }\n") && !has(""));
}

#[test]
fn secrets_are_for_root_only() {
    let config = least("registries: [{ host: a.example, auth: { username: u, password: p4ssw0rd } }]\n");
    let plan = plan(&config, &UNKNOWN);
    for file in &plan.files {
        let secret = ["0123456789abcdef", "p4ssw0rd"]
            .iter()
            .any(|word| file.content.contains(word));
        // CIS Kubernetes benchmark, 4.1: the kubelet's files are root's as well.
        let of_kubelet = ["kubelet/ca.crt", "kubelet/config.json"]
            .iter()
            .any(|name| file.path.ends_with(name));
        assert_eq!(file.mode & 0o077 == 0, secret || of_kubelet, "{}", file.path);
    }
}

#[test]
fn a_setting_that_the_machine_has_no_memory_for_ends_nothing() {
    let config = least("sysctls: { vm.nr_hugepages: 2000000, vm.swappiness: 10 }\n");
    let size = Some(Size {
        processors: 2,
        memory: 4 << 30,
    });
    let plan = plan(&config, &MachineFacts { size, ..UNKNOWN });
    assert_eq!(plan.sysctls, [("vm/swappiness".to_owned(), "10".to_owned())]);
    let told = matches!(&plan.warnings[..], [line] if line.contains("vm.nr_hugepages = 2000000 is left out"));
    assert!(told, "{:?}", plan.warnings);
    let file = |end: &str| plan.files.iter().find(|file| file.path.ends_with(end));
    // systemd-sysctl would set it later.
    assert_eq!(file("95-node-config.conf").unwrap().content, "vm/swappiness = 10\n");
    assert!(file("kubelet/config.json").is_some());
}

/// Seconds of a duration that is written in whole seconds.
fn seconds(value: &serde_json::Value) -> u64 {
    let text = value.as_str().unwrap();
    text.strip_suffix('s').unwrap_or(text).parse().unwrap()
}

proptest::proptest! {
    /// The conditions of the kubelet's validation between two values, for whatever is accepted of them.
    #[test]
    fn pairs_of_values_fit(
        total in proptest::option::of(0_u64..90),
        critical in proptest::option::of(0_u64..90),
        high in proptest::option::of(0_u32..=100),
        low in proptest::option::of(0_u32..=100),
    ) {
        let mut given = Vec::new();
        given.extend(total.map(|time| format!("shutdownGracePeriod: {time}s")));
        given.extend(critical.map(|time| format!("shutdownGracePeriodCriticalPods: {time}s")));
        given.extend(high.map(|percent| format!("imageGCHighThresholdPercent: {percent}")));
        given.extend(low.map(|percent| format!("imageGCLowThresholdPercent: {percent}")));
        if let Ok(config) = try_least(&format!("kubelet: {{ {} }}\n", given.join(", "))) {
            let config = kubelet_of(&config);
            let times = (seconds(&config["shutdownGracePeriod"]), seconds(&config["shutdownGracePeriodCriticalPods"]));
            proptest::prop_assert!(times.1 <= times.0, "{given:?}");
            let percent = |key: &str, usual: u64| config[key].as_u64().unwrap_or(usual);
            let (low, high) = (percent("imageGCLowThresholdPercent", 80), percent("imageGCHighThresholdPercent", 85));
            proptest::prop_assert!(low < high, "{given:?}");
        }
    }
}
