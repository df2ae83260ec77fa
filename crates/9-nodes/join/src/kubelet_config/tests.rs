use proptest::prelude::*;

use super::*;

/// KubeletConfiguration that `kubeadm init` 1.37 uploads, with more fields at its end.
fn uploaded(more: &str) -> String {
    format!(
        "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nauthentication:\n  anonymous:\n    enabled: false\n  webhook:\n    cacheTTL: 0s\n    enabled: true\n  x509:\n    clientCAFile: /etc/kubernetes/pki/ca.crt\nauthorization:\n  mode: Webhook\n  webhook:\n    cacheAuthorizedTTL: 0s\n    cacheUnauthorizedTTL: 0s\ncgroupDriver: systemd\nclusterDNS:\n- 10.96.0.10\nclusterDomain: cluster.local\ncontainerRuntimeEndpoint: \"\"\ncpuManagerReconcilePeriod: 0s\ncrashLoopBackOff: {{}}\nevictionPressureTransitionPeriod: 0s\nhealthzBindAddress: 127.0.0.1\nhealthzPort: 10248\nlogging:\n  flushFrequency: 0\n  options:\n    json:\n      infoBufferSize: \"0\"\n  verbosity: 0\nmemorySwap: {{}}\nrotateCertificates: true\nshutdownGracePeriod: 0s\nstaticPodPath: /etc/kubernetes/manifests\n{more}"
    )
}

fn version(minor: u32) -> KubernetesVersion {
    KubernetesVersion {
        major: 1,
        minor,
        patch: 0,
    }
}

fn settings(more: &str) -> KubeletSettings {
    KubeletSettings::parse(&uploaded(more), &ClusterConfiguration::default(), version(36)).unwrap()
}

#[test]
fn what_kubeadm_uploads_needs_nothing_of_a_node() {
    let settings = settings("");
    assert!(settings.dropped.is_empty(), "{:?}", settings.dropped);
    assert_eq!(settings.cluster_dns(), ["10.96.0.10"]);
    assert_eq!(settings.cluster_domain(), Some("cluster.local"));
    assert!(settings.contradictions(&Kubelet::default()).is_empty());
    let layers = NodeLayers {
        defaults: Map::from_iter([("shutdownGracePeriod".to_owned(), "30s".into())]),
        ..NodeLayers::default()
    };
    assert_eq!(settings.fitted(&layers).configuration["shutdownGracePeriod"], "30s");
}

#[test]
fn contradictions_are_named_and_the_node_counts() {
    let node = Kubelet {
        max_pods: Some(60),
        ..Kubelet::default()
    };
    let settings = settings("maxPods: 50\nreadOnlyPort: 10255\n");
    let found: Vec<_> = settings.contradictions(&node).iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "`readOnlyPort` is 10255 in the cluster's kubelet-config, and 0 by the image, which counts",
            "`maxPods` is 50 in the cluster's kubelet-config, and 60 by the NodeConfig, which counts",
        ]
    );
    let cgroupfs = uploaded("").replace("cgroupDriver: systemd", "cgroupDriver: cgroupfs");
    let settings = KubeletSettings::parse(&cgroupfs, &ClusterConfiguration::default(), version(36)).unwrap();
    assert_eq!(settings.contradictions(&Kubelet::default())[0].field, "cgroupDriver");
}

/// Contradictions of a cluster's fields and a NodeConfig's part `kubelet`, in JSON.
fn contradictions(cluster: &str, node: Value) -> Vec<String> {
    let node: Kubelet = serde_json::from_value(node).unwrap();
    let found = settings(cluster).contradictions(&node);
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn what_a_node_config_says_of_the_image_is_not_said_of_the_image() {
    let swap = "failSwapOn: false\n";
    assert_eq!(
        contradictions(swap, json!({})),
        ["`failSwapOn` is false in the cluster's kubelet-config, and true by the image, which counts"]
    );
    let swapping = json!({ "memorySwap": { "swapBehavior": "LimitedSwap" } });
    for node in [json!({ "failSwapOn": false }), swapping] {
        assert!(contradictions(swap, node).is_empty());
    }
    let port = json!({ "extraConfig": { "readOnlyPort": 10256 } });
    assert_eq!(
        contradictions("readOnlyPort: 10255\n", port.clone()),
        ["`readOnlyPort` is 10255 in the cluster's kubelet-config, and 10256 by the NodeConfig, which counts"]
    );
    assert!(contradictions("readOnlyPort: 10256\n", port).is_empty());
}

#[test]
fn the_file_of_name_servers_is_that_of_the_image() {
    assert!(contradictions("resolvConf: /run/systemd/resolve/resolv.conf\n", json!({})).is_empty());
    let found = contradictions("resolvConf: /etc/resolv.conf\n", json!({}));
    assert!(
        found[0].contains("\"/run/basalt/kubelet/resolv.conf\" by the image"),
        "{found:?}"
    );
}

#[test]
fn a_threshold_of_the_cluster_that_does_not_go_with_that_of_the_node_is_named() {
    let found = contradictions(
        "imageGCLowThresholdPercent: 84\n",
        json!({ "imageGCHighThresholdPercent": 82 }),
    );
    assert_eq!(
        found,
        ["`imageGCLowThresholdPercent` is 84 in the cluster's kubelet-config, and 80 by the NodeConfig, which counts"]
    );
}

#[test]
fn gates_that_a_kubelet_does_not_have_are_dropped() {
    let settings = settings("featureGates: {Nope: true, KubeletTracing: true}\n");
    assert_eq!(settings.dropped[0].path, "featureGates.Nope");
    assert_eq!(
        settings.as_kubeadm_writes()["featureGates"],
        json!({ "KubeletTracing": true })
    );
}

#[test]
fn a_record_of_an_earlier_agent_is_read() {
    let record = json!({ "configuration": {}, "dropped": [{ "path": "a", "since": null }] });
    let settings: KubeletSettings = serde_json::from_value(record).unwrap();
    assert_eq!(settings.dropped[0].until, None);
}

#[test]
fn fields_that_are_too_new_are_dropped() {
    let settings = settings("defaultPodSysctls: {net.core.somaxconn: '1024'}\n");
    assert_eq!(settings.dropped.len(), 1);
    assert!(settings.as_kubeadm_writes().get("defaultPodSysctls").is_none());
}

#[test]
fn cluster_configurations_are_read() {
    let text = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: v1.37.2\nnetworking: {serviceSubnet: 172.20.0.0/16, dnsDomain: k8s.example}\n";
    let answer = json!({ "kind": "ConfigMap", "data": { "ClusterConfiguration": text } }).to_string();
    let cluster = ClusterConfiguration::read(answer.as_bytes()).unwrap();
    assert_eq!(cluster.kubernetes_version, Some("v1.37.2".parse().unwrap()));
    let least = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";
    let answer = json!({ "kind": "ConfigMap", "data": { "kubelet": least } }).to_string();
    let settings = KubeletSettings::read(answer.as_bytes(), &cluster, version(37)).unwrap();
    assert_eq!(settings.cluster_dns(), ["172.20.0.10"]);
    assert_eq!(settings.cluster_domain(), Some("k8s.example"));
}

#[test]
fn other_answers_are_refused() {
    let read = |answer: &str| KubeletSettings::read(answer.as_bytes(), &ClusterConfiguration::default(), version(37));
    assert!(matches!(read("<html>"), Err(KubeletConfigError::Answer(_))));
    assert!(matches!(
        read("{\"kind\":\"Status\"}"),
        Err(KubeletConfigError::Answer(_))
    ));
    for text in [
        "",
        "a: [",
        "apiVersion: v1\nkind: Pod\n",
        "- a\n",
        "kind: KubeletConfiguration\n",
    ] {
        let answer = json!({ "kind": "ConfigMap", "data": { "kubelet": text } }).to_string();
        assert!(matches!(read(&answer), Err(KubeletConfigError::Malformed(_))), "{text}");
    }
}

proptest! {
    #[test]
    fn nothing_panics(text in any::<String>(), more in "[a-zA-Z:{}\\[\\] \n0-9]{0,30}") {
        for text in [text, uploaded(&more)] {
            if let Ok(settings) = KubeletSettings::parse(&text, &ClusterConfiguration::default(), version(35)) {
                let _ = settings.fitted(&NodeLayers::default());
                let _ = settings.contradictions(&Kubelet::default());
                prop_assert!(settings.as_kubeadm_writes().is_object());
            }
        }
    }
}
