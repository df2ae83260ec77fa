use std::time::{Duration, SystemTime};

use basalt_node_config::{Clock, check};

use super::*;
use crate::cloud_config::{self, InstanceData};
use crate::command_line::{self, JoinSpecification};
use crate::kubelet_config::ClusterConfiguration;
use crate::pin::PinSet;

const CLUSTER_INFO: &str = include_str!("../../tests/vectors/cluster-info.yaml");
const PIN: &str = include_str!("../../tests/vectors/ca.pin");
const TOKEN: &str = "abcdef.0123456789abcdef";

fn cluster() -> TrustedCluster {
    let (access, _) = access::read("cluster-info", CLUSTER_INFO).unwrap();
    let authorities = access.authorities.unwrap();
    let pins = PinSet::new(vec![format!("sha256:{}", PIN.trim()).parse().unwrap()]);
    TrustedCluster {
        unpinned: pins.check(&authorities).unwrap(),
        endpoint: access.endpoint,
        authorities,
    }
}

fn request(endpoint: &str) -> JoinRequest {
    let text = format!(
        "kubeadm join {endpoint} --token {TOKEN} --discovery-token-ca-cert-hash sha256:{} --node-name worker-1",
        PIN.trim()
    );
    match command_line::read(&text) {
        Ok((_, JoinSpecification::Flags(request), _)) => *request,
        other => panic!("{other:?}"),
    }
}

fn settings(more: &str) -> KubeletSettings {
    let text = format!(
        "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nclusterDNS: [10.0.0.53]\n{more}"
    );
    KubeletSettings::parse(&text, &ClusterConfiguration::default(), "v1.36.0".parse().unwrap()).unwrap()
}

/// Makes a NodeConfig, checks it as a node would, and returns it with the notes.
fn converted(request: &JoinRequest, settings: Result<&KubeletSettings, String>) -> (raw::NodeConfig, Vec<String>) {
    let token = TOKEN.parse().unwrap();
    let converted = node_config(&ConversionSources {
        request,
        cluster: &cluster(),
        token: &token,
        uncompared: None,
        settings,
        bootstrap: None,
    })
    .unwrap();
    must_pass(&converted.config);
    (
        converted.config,
        converted.notes.iter().map(ToString::to_string).collect(),
    )
}

fn must_pass(config: &raw::NodeConfig) {
    let text = serde_json::to_string_pretty(config).unwrap();
    // 2030: the authority of the test is valid.
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000);
    let checked = check("node.yaml", &text, Clock::Right(now));
    checked.unwrap_or_else(|problems| panic!("{}\n{text}", problems.brief()));
}

#[test]
fn a_join_becomes_a_node_config() {
    let settings = settings("maxPods: 50\n");
    let (config, notes) = converted(&request("192.0.2.10:6443"), Ok(&settings));
    assert!(notes.is_empty(), "{notes:?}");
    assert_eq!(config.hostname.as_deref(), Some("worker-1"));
    assert_eq!(config.cluster.endpoint.as_deref(), Some("https://192.0.2.10:6443"));
    assert_eq!(config.cluster.bootstrap_token.as_deref(), Some(TOKEN));
    // The node takes these from the cluster, as they are when it joins.
    assert_eq!((config.kubelet, config.cluster.dns), (None, None));
    assert_eq!(
        config.cluster.kubelet_config,
        Some(raw::KubeletConfigSource::FromCluster)
    );
}

#[cfg(feature = "command")]
#[test]
fn the_yaml_passes_the_check_of_a_node() {
    let mut request = request("192.0.2.10:6443");
    let flags = &mut request.registration.kubelet;
    flags.set("provider-id", "aws:///eu-central-1a/i-0123").unwrap();
    flags.set("node-labels", "a=true,b=1.0,c=").unwrap();
    flags.set("register-with-taints", "a=1:NoSchedule").unwrap();
    let token = TOKEN.parse().unwrap();
    let converted = node_config(&ConversionSources {
        request: &request,
        cluster: &cluster(),
        token: &token,
        uncompared: None,
        settings: Ok(&settings("evictionHard: {memory.available: 5%}\n")),
        bootstrap: None,
    })
    .unwrap();
    let text = converted.to_yaml().unwrap();
    assert!(text.contains("  ca: |\n    -----BEGIN CERTIFICATE-----\n"), "{text}");
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000);
    let (config, _) =
        check("node.yaml", &text, Clock::Right(now)).unwrap_or_else(|problems| panic!("{}\n{text}", problems.brief()));
    let labels: Vec<_> = config.labels.values().map(|value| value.as_str()).collect();
    assert_eq!(labels, ["true", "1.0", ""]);
    assert_eq!(config.taints[0].value.as_ref().unwrap().as_str(), "1");
}

#[test]
fn the_node_counts_before_the_cluster() {
    let mut request = request("192.0.2.10:6443");
    let flags = &mut request.registration.kubelet;
    flags.set("max-pods", "60").unwrap();
    flags.set("eviction-hard", "memory.available<1Gi").unwrap();
    flags.set("node-labels", "a=b").unwrap();
    let settings = settings(
        "maxPods: 50\nevictionHard: {nodefs.available: 5%}\npodPidsLimit: 4096\nreadOnlyPort: 10255\ndefaultPodSysctls: {a: b}\n",
    );
    let (config, notes) = converted(&request, Ok(&settings));
    let kubelet = config.kubelet.unwrap();
    assert_eq!((kubelet.max_pods, kubelet.pod_pids_limit), (Some(60), None));
    assert_eq!(kubelet.eviction_hard.keys().collect::<Vec<_>>(), ["memory.available"]);
    assert_eq!(config.labels["a"], "b");
    for expected in ["defaultPodSysctls", "readOnlyPort", "maxPods", "evictionHard"] {
        assert!(
            notes.iter().any(|note| note.contains(expected)),
            "{expected}: {notes:?}"
        );
    }
}

#[test]
fn another_endpoint_and_missing_settings_are_told() {
    let (config, notes) = converted(&request("lb.example.com:6443"), Err("HTTP status 403".to_owned()));
    assert_eq!(config.cluster.endpoint.as_deref(), Some("https://192.0.2.10:6443"));
    assert_eq!((config.cluster.dns, config.cluster.kubelet_config), (None, None));
    assert!(
        notes[0].contains("lb.example.com") && notes[1].contains("403"),
        "{notes:?}"
    );
}

#[test]
fn credentials_of_discovery_files() {
    let access = |credentials| {
        let (access, _) = access::read("file", CLUSTER_INFO).unwrap();
        ClusterAccess { credentials, ..access }
    };
    let token: BootstrapToken = "fedcba.fedcba9876543210".parse().unwrap();
    let of = |credentials, token| of_file(access(credentials), token).map(|(_, token)| token.id().to_owned());
    assert_eq!(of(Credentials::Token(TOKEN.to_owned()), None), Ok("abcdef".to_owned()));
    assert_eq!(
        of(Credentials::Token(TOKEN.to_owned()), Some(&token)),
        Ok("fedcba".to_owned())
    );
    assert_eq!(of(Credentials::None, None), Err(ConversionError::NoToken));
    assert_eq!(
        of(Credentials::Token("ey.J".to_owned()), None),
        Err(ConversionError::OtherCredentials)
    );
    let certificate = Credentials::Certificate {
        certificate: String::new(),
        key: String::new(),
    };
    assert_eq!(of(certificate, None), Err(ConversionError::OtherCredentials));
    let none = ClusterAccess {
        authorities: None,
        ..access(Credentials::None)
    };
    assert_eq!(of_file(none, Some(&token)).unwrap_err(), ConversionError::NoAuthorities);
}

#[test]
fn bootstrap_data_becomes_a_node_config() {
    let text = include_str!("../../tests/bootstrap-data/worker.yaml");
    let (data, _) = cloud_config::read("user-data", text, &InstanceData::of_hostname("worker-9")).unwrap();
    let token = TOKEN.parse().unwrap();
    let sources = ConversionSources {
        request: &data.request,
        cluster: &cluster(),
        token: &token,
        uncompared: Some("not asked".to_owned()),
        settings: Err("not asked".to_owned()),
        bootstrap: Some(&data),
    };
    let converted = node_config(&sources).unwrap();
    must_pass(&converted.config);
    assert!(
        converted.notes[0]
            .to_string()
            .contains("goes with the control plane is not known (not asked)")
    );
    let config = converted.config;
    assert_eq!(config.hostname.as_deref(), Some("worker-9"));
    assert_eq!(config.time.unwrap().servers, ["time.example.com"]);
    assert_eq!(config.taints[0].key, cloud_config::UNINITIALIZED_TAINT);
    assert_eq!(config.registries[0].host, "docker.io");
    assert!(config.kubelet.unwrap().cloud_provider.is_some());
    assert!(matches!(&config.sysctls["net.core.somaxconn"], raw::SysctlValue::Text(value) if value == "4096"));
    // A file for a cloud's controller has no place in a NodeConfig.
    let with_file = text.replace("/etc/sysctl.d/90-somaxconn.conf", "/etc/kubernetes/azure.json");
    let (data, _) = cloud_config::read("user-data", &with_file, &InstanceData::of_hostname("a")).unwrap();
    let error = node_config(&ConversionSources {
        request: &data.request,
        bootstrap: Some(&data),
        ..sources
    })
    .unwrap_err();
    assert!(
        error.to_string().contains("/etc/kubernetes/azure.json (line "),
        "{error}"
    );
    assert_eq!(check_files(&data), Err(error));
}

#[test]
fn a_discovery_file_of_bootstrap_data_needs_no_place_in_a_node_config() {
    let text = include_str!("../../tests/bootstrap-data/discovery-file.yaml");
    let (mut data, _) = cloud_config::read("user-data", text, &InstanceData::of_hostname("a")).unwrap();
    assert_eq!(check_files(&data), Ok(()));
    let Discovery::File(file) = data.request.discovery.clone() else {
        panic!("{:?}", data.request.discovery)
    };
    let token = data.request.tls_bootstrap_token.clone();
    let (cluster, found) = of_bootstrap_file(&file, Some(&data), token.as_ref()).unwrap();
    assert_eq!(found, token.unwrap());
    let config = unasked(&cluster, &found, &data.request, Some(&data));
    must_pass(&config);
    assert_eq!(Ok(config), undiscovered(&data.request, Some(&data)));
    // Written with two slashes, it is the same file.
    let slashes = DiscoveryFile::Path("/etc//kubernetes/bootstrap-kubeconfig.yaml".to_owned());
    data.request.discovery = Discovery::File(slashes.clone());
    assert_eq!(check_files(&data), Ok(()));
    assert!(of_bootstrap_file(&slashes, Some(&data), Some(&found)).is_ok());
    // No file of the machine that converts takes its place.
    let other = DiscoveryFile::Path("/etc/hostname".to_owned());
    let error = of_bootstrap_file(&other, Some(&data), Some(&found)).unwrap_err();
    assert_eq!(error, ConversionError::DiscoveryFile("/etc/hostname".to_owned()));
    data.request.discovery = Discovery::File(other);
    assert!(matches!(check_files(&data), Err(ConversionError::Files(_))));
}

#[test]
fn arguments_of_the_name_service_are_settings_of_the_cluster() {
    let mut request = request("192.0.2.10:6443");
    let flags = &mut request.registration.kubelet;
    flags.set("cluster-dns", "10.0.0.53").unwrap();
    flags.set("cluster-domain", "k8s.example").unwrap();
    flags.set("event-qps", "10").unwrap();
    let config = undiscovered(&request, None).unwrap();
    must_pass(&config);
    let dns = config.cluster.dns.unwrap();
    assert_eq!(
        (dns.domain.as_deref(), dns.addresses),
        (Some("k8s.example"), Some(vec!["10.0.0.53".to_owned()]))
    );
    assert_eq!(config.kubelet.unwrap().extra_config["eventRecordQPS"], 10);
}

#[test]
fn a_node_can_ask_the_cluster_itself() {
    let mut request = request("192.0.2.10:6443");
    let config = undiscovered(&request, None).unwrap();
    must_pass(&config);
    assert_eq!(config.cluster.ca_cert_hashes, [format!("sha256:{}", PIN.trim())]);
    assert_eq!(
        config.cluster.kubelet_config,
        Some(raw::KubeletConfigSource::FromCluster)
    );
    assert_eq!((config.cluster.ca, config.cluster.discovery_token), (None, None));
    request.tls_bootstrap_token = Some("fedcba.fedcba9876543210".parse().unwrap());
    let config = undiscovered(&request, None).unwrap();
    must_pass(&config);
    assert_eq!(
        config.cluster.bootstrap_token.as_deref(),
        Some("fedcba.fedcba9876543210")
    );
    assert_eq!(config.cluster.discovery_token.as_deref(), Some(TOKEN));
}

#[test]
fn a_discovery_file_is_taken_from_the_bootstrap_data() {
    let text = include_str!("../../tests/bootstrap-data/worker.yaml");
    let (mut data, _) = cloud_config::read("user-data", text, &InstanceData::of_hostname("worker-9")).unwrap();
    let path = "/etc/kubernetes/discovery.conf".to_owned();
    data.request.discovery = Discovery::File(DiscoveryFile::Path(path.clone()));
    data.request.tls_bootstrap_token = Some(TOKEN.parse().unwrap());
    let found = |data: &BootstrapData| undiscovered(&data.request, Some(data));
    assert_eq!(found(&data), Err(ConversionError::DiscoveryFile(path.clone())));
    for (content, is_right) in [(CLUSTER_INFO, true), ("a: b", false)] {
        data.files = vec![cloud_config::KubernetesFile {
            path: path.clone(),
            mode: 0o600,
            content: content.to_owned(),
            line: 1,
        }];
        match found(&data) {
            Ok(config) => {
                assert!(is_right && config.cluster.ca.is_some(), "{content}");
                must_pass(&config);
            }
            Err(error) => {
                assert!(!is_right, "{error}");
                assert!(matches!(error, ConversionError::DiscoveryFileContent { .. }), "{error}");
            }
        }
    }
}
