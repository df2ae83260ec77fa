//! Files that are accepted as a NodeConfig, and what is said about files that are wrong.

#![cfg(test)]

use std::path::Path;
use std::time::{Duration, SystemTime};

use basalt_document::problem::Problems;
use basalt_node_config::{ApiServerTrust, Clock, KubeletConfigSource, NodeConfig, check, json_schema};

const CA: &str = include_str!("certificates/ca.pem");
const NO_CA: &str = include_str!("certificates/leaf.pem");

/// 2030, when the certificates of these tests are valid.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000)
}

fn try_check(text: &str) -> Result<(NodeConfig, Problems), Problems> {
    check("node.yaml", text, Clock::Right(now()))
}

/// Findings about a file.
fn said(text: &str) -> String {
    try_check(text)
        .map_or_else(|problems| problems, |(_, warnings)| warnings)
        .brief()
}

fn indented(pem: &str) -> String {
    pem.lines().map(|line| format!("    {line}\n")).collect()
}

/// The least that a NodeConfig can be, with something more at its end.
fn least(more: &str) -> String {
    format!(
        "apiVersion: basalt.dev/v1\nkind: NodeConfig\ncluster:\n  endpoint: https://10.87.0.1:6443\n  \
         bootstrapToken: abcdef.0123456789abcdef\n  ca: |\n{}{more}",
        indented(CA)
    )
}

#[test]
fn the_example_is_right() {
    let text = fs_err::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../distro/examples/node.yaml"));
    let (config, warnings) = try_check(&text.unwrap()).unwrap_or_else(|problems| panic!("{}", problems.brief()));
    assert!(warnings.is_empty(), "{}", warnings.brief());
    assert_eq!(config.hostname.unwrap().as_str(), "worker-1");
    assert_eq!(config.registries.len(), 3);
}

#[test]
fn the_published_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../schemas/node-config.json");
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, json_schema()).unwrap();
    }
    let published = fs_err::read_to_string(&path).unwrap_or_default();
    assert!(
        published == json_schema(),
        "{} is out of date: run the tests with UPDATE_SCHEMAS=1",
        path.display()
    );
}

#[test]
fn the_least_is_enough() {
    let (config, warnings) = try_check(&least("")).unwrap();
    assert!(warnings.is_empty());
    assert_eq!(config.cluster.domain.as_str(), "cluster.local");
    assert_eq!(config.cluster.dns[0].to_string(), "10.96.0.10");
    assert!(config.kubelet.seccomp_default);
}

#[test]
fn everything_wrong_is_said_at_once() {
    let text = "\
apiVersion: basalt.dev/v2
kind: NodeConfig
hostname: Worker_1
colour: green
cluster:
  endpoint: http://10.87.0.1:6443
  bootstrapToken: abcdef.0123456789abcde
  ca: nothing
  dns: { addresses: [10.96.0.10/12] }
network:
  interfaces:
    - addresses: [10.87.0.11]
    - { name: eth0, addresses: [10.87.0.0/24], gateway: 10.88.0.1, mtu: large }
registries:
  - host: https://docker.io/
    mirror: [a]
  - { host: docker.io, mirrors: [{ url: mirror.example }], mirrorsOnly: yes }
kubelet:
  maxPods: 0
  max-pods: 12
  imageGcHighThresholdPercent: 3
  systemReserved: { cpu: 1 }
  evictionHard: { memory.availble: 10% }
labels: { tier: 1, node-role.kubernetes.io/worker: '' }
taints: [{ key: a, effect: noschedule }, { effect: NoSchedule }]
sysctls: { net.ipv4.ip_forward: 0, kernel.nothing at all: 1 }
";
    insta::assert_snapshot!(said(text));
}

#[test]
fn rules_are_checked_beside_the_schema() {
    // Nothing required is missing here, so what only the rules know is said together with what the schema knows.
    insta::assert_snapshot!(said(&least(
        "hostname: Worker_1\nlables: {}\n\
         network: { interfaces: [{ addresses: [10.87.0.0/24], gateway: 10.88.0.1 }, { name: eth0, dhcp: maybe }] }\n\
         labels: { node-role.kubernetes.io/worker: '', 'a b': c }\n\
         taints: [{ key: a, effect: NoSchedule }, { key: a, effect: NoSchedule }]\n\
         sysctls: { net.ipv4.ip_forward: 0, ../../etc/passwd: 1 }\n\
         registries: [{ host: docker.io/x }, { host: '*', mirrorsOnly: true }, { host: basalt.local }]\n\
         kubelet: { evictionSoft: { memory.available: 200Mi }, cpuManagerPolicy: static, shutdownGracePeriod: 30 }\n"
    )));
}

#[test]
fn duplicated_keys() {
    insta::assert_snapshot!(said(&least("hostname: a\nlabels: { x: a, x: b }\nhostname: b\n")));
}

#[test]
fn what_is_not_yaml() {
    let texts = [
        "",
        "# only a comment\n",
        "a: [1, 2\nb: 3\n",
        "a:\n\tb: 1\n",
        "a: b: c\n",
        "a: &x 1\nb: *x\n",
        "a: !!str 1\n",
        "a: 1\n---\nb: 2\n",
        "- a\n",
        "[a, b]: c\n",
    ];
    let all: String = texts.iter().map(|text| format!("{text:?}\n{}\n", said(text))).collect();
    insta::assert_snapshot!(all);
}

#[test]
fn certificates() {
    let with = |ca: &str| least("").replace(&indented(CA), &indented(ca));
    let key = "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----";
    let damaged = CA.replacen("A", "B", 40);
    let (cut, _) = CA.split_at(CA.len() / 2);
    let all = [NO_CA, key, &damaged, cut, "text"].map(|ca| said(&with(ca))).join("\n");
    insta::assert_snapshot!(all);
}

/// A NodeConfig with this trust in the API server.
fn trusting(trust: &str) -> String {
    format!(
        "apiVersion: basalt.dev/v1\nkind: NodeConfig\ncluster:\n  endpoint: https://10.87.0.1:6443\n  \
         bootstrapToken: abcdef.0123456789abcdef\n{trust}"
    )
}

#[test]
fn pins_take_the_place_of_the_authority() {
    let pin = format!("sha256:{}", "5c".repeat(32));
    let config = |trust: &str| {
        try_check(&trusting(trust))
            .unwrap_or_else(|problems| panic!("{}", problems.brief()))
            .0
    };
    let pinned = config(&format!("  caCertHashes: ['{pin}']\n")).cluster;
    assert_eq!(pinned.authorities(), None);
    assert_eq!(pinned.kubelet_config, KubeletConfigSource::FromCluster);
    let ApiServerTrust::Pins { pins, token } = pinned.trust else {
        panic!("not pinned")
    };
    assert_eq!((pins[0].to_string(), token.id()), (pin.clone(), "abcdef"));
    let other = config(&format!(
        "  caCertHashes: ['{pin}']\n  discoveryToken: fedcba.0123456789abcdef\n  kubeletConfig: fromNodeConfig\n"
    ));
    assert!(matches!(other.cluster.trust, ApiServerTrust::Pins { token, .. } if token.id() == "fedcba"));
    assert_eq!(other.cluster.kubelet_config, KubeletConfigSource::FromNodeConfig);
    let (held, _) = try_check(&least("")).unwrap();
    assert_eq!(held.cluster.kubelet_config, KubeletConfigSource::FromNodeConfig);
    assert!(held.cluster.authorities().is_some() && !held.cluster.dns_is_given);
}

#[test]
fn trust_that_is_missing_doubled_or_malformed() {
    let pin = format!("  caCertHashes: ['sha256:{}']\n", "5c".repeat(32));
    let ca = format!("  ca: |\n{}", indented(CA));
    let all: Vec<_> = [
        String::new(),
        format!("{ca}{pin}"),
        "  caCertHashes: ['sha256:5c', 5c5c]\n".to_owned(),
        "  caCertHashes: []\n".to_owned(),
        format!("{ca}  discoveryToken: fedcba.0123456789abcdef\n"),
        format!("{pin}  discoveryToken: fedcba.SECRETSECRET\n  kubeletConfig: fromSomewhere\n"),
    ]
    .iter()
    .map(|trust| said(&trusting(trust)))
    .collect();
    let all = all.join("\n");
    assert!(!all.contains("SECRET"), "{all}");
    insta::assert_snapshot!(all);
}

/// A NodeConfig whose cluster is a kubeconfig with this user, and with more keys beside it.
fn by_kubeconfig(cluster: &str, user: &str, more: &str) -> String {
    format!(
        "apiVersion: basalt.dev/v1
kind: NodeConfig
cluster:
  kubeconfig: |
    apiVersion: v1
    kind: Config
    current-context: a
    clusters:
    - name: c
      cluster:
        server: https://10.87.0.1:6443
        {cluster}
    contexts:
    - name: a
      context: {{ cluster: c, user: u }}
    users:
    - name: u
      user: {user}
{more}"
    )
}

/// `certificate-authority-data` of the tests' authority.
fn authority_data() -> String {
    use base64::Engine as _;
    let data = base64::engine::general_purpose::STANDARD.encode(CA);
    format!("certificate-authority-data: {data}")
}

#[test]
fn a_kubeconfig_takes_the_place_of_address_authority_and_token() {
    let ca = authority_data();
    let config = |user: &str, more: &str| {
        try_check(&by_kubeconfig(&ca, user, more))
            .unwrap_or_else(|problems| panic!("{}", problems.brief()))
            .0
            .cluster
    };
    let bootstrap = config("{ token: abcdef.0123456789abcdef }", "");
    assert_eq!(bootstrap.endpoint.to_string(), "https://10.87.0.1:6443");
    assert_eq!(bootstrap.bootstrap_token.id(), "abcdef");
    assert!(bootstrap.authorities().is_some());
    assert_eq!(bootstrap.kubelet_config, KubeletConfigSource::FromCluster);
    let more = "  bootstrapToken: fedcba.0123456789abcdef\n  kubeletConfig: fromNodeConfig\n";
    let discovery = config("{}", more);
    assert_eq!(discovery.bootstrap_token.id(), "fedcba");
    assert_eq!(discovery.kubelet_config, KubeletConfigSource::FromNodeConfig);
    // As for kubeadm, a token that is given counts before one in the file.
    let both = config("{ token: abcdef.0123456789abcdef }", more);
    assert_eq!(both.bootstrap_token.id(), "fedcba");
}

#[test]
fn a_key_of_another_type_is_not_missing_as_well() {
    let head = "apiVersion: basalt.dev/v1\nkind: NodeConfig\ncluster:\n";
    for (cluster, words) in [
        (
            "  kubeconfig:\n    apiVersion: v1\n    clusters: []\n",
            "begins with `|` after the key",
        ),
        (
            "  endpoint: 6443\n  bootstrapToken: abcdef.0123456789abcdef\n  caCertHashes: \
             ['sha256:75bce4f40d74e730c3d05a111b76d3b1c1fdd60379e09bf5dfb8a588ce6dd821']\n",
            "put it in quotes",
        ),
        (
            "  endpoint: https://10.87.0.1:6443\n  bootstrapToken: abcdef.0123456789abcdef\n  discoveryToken: \
             fedcba.0123456789abcdef\n  caCertHashes: sha256:75bce4f4\n",
            "`cluster.caCertHashes` must be a list",
        ),
    ] {
        let said = said(&format!("{head}{cluster}"));
        assert!(said.contains(words) && said.lines().count() == 2, "{said}");
    }
    for (cluster, user) in [
        (authority_data(), "{ token: [x] }"),
        (
            "certificate-authority-data: 5".to_owned(),
            "{ token: abcdef.0123456789abcdef }",
        ),
    ] {
        let said = said(&by_kubeconfig(&cluster, user, ""));
        assert!(
            said.contains("must be text") && said.matches(": error: ").count() == 1,
            "{said}"
        );
    }
    let clusters = by_kubeconfig(&authority_data(), "{}", "").replace("current-context: a", "current-context: 5");
    assert_eq!(said(&clusters).matches(": error: ").count(), 1, "{}", said(&clusters));
    for more in [
        "network: { interfaces: [{ name: 5, dhcp: true }] }",
        "network: { interfaces: [{ name: eth0, dhcp: false, addresses: 10.0.0.2/24 }] }",
        "network: { interfaces: [{ name: eth0, addresses: [10.0.0.2/24], gateway: 5, gatewayOnLink: true }] }",
        "network: { interfaces: [{ name: eth0, addresses: [10.0.0.2/24], gateway: x, gatewayOnLink: true }], \
         dns: { servers: [10.0.0.3] } }",
        "network: { interfaces: [{ name: eth0, addresses: [10.0.0.2/24] }], dns: { servers: 10.0.0.3 } }",
        "network: { bonds: [{ name: bond0, members: [eno1], mode: 4, lacpRate: fast }] }",
        "proxy: { http: 5 }",
        "registries: [{ host: docker.io, mirrorsOnly: true, mirrors: x }]",
        "registries: [{ host: docker.io, auth: { username: a, password: 5 } }]",
        "kubelet: { evictionSoft: { memory.available: 200Mi }, evictionSoftGracePeriod: { memory.available: 90 } }",
        "kubelet: { evictionSoft: 5, evictionSoftGracePeriod: { memory.available: 1m } }",
        "kubelet: { imageGCHighThresholdPercent: 70, imageGCLowThresholdPercent: '60' }",
        "kubelet: { shutdownGracePeriod: 60, shutdownGracePeriodCriticalPods: 50s }",
        "kubelet: { shutdownGracePeriod: 60x, shutdownGracePeriodCriticalPods: 50s }",
        "kubelet: { cpuManagerPolicy: static, reservedSystemCPUs: 0, systemReserved: { cpu: '0' } }",
        "kubelet: { cpuManagerPolicy: fixed, extraConfig: { cpuManagerPolicyOptions: { full-pcpus-only: 'true' } } }",
        "kubelet: { extraConfig: { memoryManagerPolicy: Static, reservedMemory: 5 } }",
        "kubelet: { featureGates: { LoggingAlphaOptions: 1 }, \
         extraConfig: { logging: { options: { text: { splitStream: true } } } } }",
    ] {
        let said = said(&least(more));
        let problems = said.lines().filter(|line| line.starts_with("node.yaml:"));
        assert_eq!(problems.count(), 1, "{more}\n{said}");
    }
}

#[test]
fn kubeconfigs_that_a_node_cannot_use_are_refused_by_name() {
    let ca = authority_data();
    let token = "{ token: abcdef.0123456789abcdef }";
    for (text, expected) in [
        (
            by_kubeconfig("extensions: []", token, ""),
            "no `certificate-authority-data`",
        ),
        (
            by_kubeconfig("certificate-authority-data: aGVsbG8=", token, ""),
            "`certificate-authority-data` of the kubeconfig: there is no certificate",
        ),
        (
            by_kubeconfig("certificate-authority-data: '%'", token, ""),
            "is not text in base64",
        ),
        (by_kubeconfig(&ca, "{}", ""), "has no credentials"),
        (
            by_kubeconfig(&ca, "{ client-certificate-data: YQ==, client-key-data: Yg== }", ""),
            "a client certificate and no bootstrap token",
        ),
        (
            by_kubeconfig(&ca, "{ token: eyJhbGciOiJSUzI1NiJ9 }", ""),
            "the token in the kubeconfig is no bootstrap token",
        ),
        (
            by_kubeconfig(&ca, "{ exec: { command: aws } }", ""),
            "the kubeconfig, line 14: `exec` gets credentials from a program",
        ),
        (
            by_kubeconfig(&ca, token, "  endpoint: https://10.87.0.1:6443\n"),
            "both `kubeconfig` and `endpoint` are given",
        ),
        (
            by_kubeconfig(&ca, token, "").replace("10.87.0.1", "127.0.0.1"),
            "no node reaches the API server at this address",
        ),
        (
            by_kubeconfig(&ca, token, "").replace("    kind: Config", "   kind: ]"),
            "",
        ),
        (
            trusting("").replace("  endpoint: https://10.87.0.1:6443\n", ""),
            "`endpoint` is missing",
        ),
    ] {
        let said = said(&text);
        assert!(
            said.contains(": error: ") && said.contains(expected),
            "{expected}: {said}"
        );
        for secret in ["0123456789abcdef", "eyJhbGciOiJSUzI1NiJ9"] {
            assert!(!said.contains(secret), "{said}");
        }
    }
}

#[test]
fn times_of_certificates() {
    let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let text = least("");
    let expired = check("node.yaml", &text, Clock::Right(at(2_800_000_000)))
        .unwrap_err()
        .brief();
    let early = check("node.yaml", &text, Clock::Right(at(1_000_000_000)))
        .unwrap_err()
        .brief();
    let (_, soon) = check("node.yaml", &text, Clock::Right(at(2_741_000_000))).unwrap();
    // At boot, the clock is not believed.
    let (_, unsure) = check("node.yaml", &text, Clock::Unsure(at(0))).unwrap();
    insta::assert_snapshot!([expired, early, soon.brief(), unsure.brief()].join("\n"));
}

#[test]
fn secrets_are_not_repeated() {
    let text = least("registries: [{ host: a, auth: { username: a, password: 'p4ssw0rd' } }]\n");
    let (config, _) = try_check(&text).unwrap();
    let shown = format!("{config:?}");
    assert!(
        !shown.contains("p4ssw0rd") && !shown.contains("0123456789abcdef"),
        "{shown}"
    );
    let wrong = said(&text.replace("abcdef.0123456789abcdef", "abcdefSECRETVALUE"));
    assert!(!wrong.contains("SECRETVALUE"), "{wrong}");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in proptest::prelude::any::<String>()) {
        let _ = said(&text);
    }

    #[test]
    fn no_damage_makes_it_panic(at in 0usize..1500, put in "[\\-:{}\\[\\]\n\t&*'\" a0é#|>]{0,4}", take in 0usize..8) {
        let mut text: Vec<char> = least("labels: {a: b}\nsysctls: {vm.swappiness: 1}\n").chars().collect();
        let at = at.min(text.len());
        let end = (at + take).min(text.len());
        text.splice(at..end, put.chars());
        let _ = said(&text.into_iter().collect::<String>());
    }
}
