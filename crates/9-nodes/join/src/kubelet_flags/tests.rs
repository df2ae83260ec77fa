use proptest::prelude::*;

use super::*;

fn set(arguments: &[(&str, &str)]) -> Result<KubeletFlags, Finding> {
    let mut flags = KubeletFlags::default();
    for (name, value) in arguments {
        flags.set(name, value)?;
    }
    Ok(flags)
}

#[test]
fn arguments_become_settings() {
    let flags = set(&[
        ("provider-id", "aws:///eu-central-1a/i-0123"),
        ("cloud-provider", "external"),
        ("node-labels", "tier=front,node.kubernetes.io/pool=small,empty="),
        (
            "register-with-taints",
            "karpenter.sh/unregistered=true:NoExecute,a:NoSchedule",
        ),
        ("node-ip", "10.0.0.5"),
        ("eviction-hard", "memory.available<100Mi,nodefs.available<10%"),
        ("system-reserved", "cpu=100m,memory=1Gi,pid=100"),
        ("feature-gates", "A=true,B=false"),
        ("v", "4"),
        ("cgroup-driver", "systemd"),
        (
            "container-runtime-endpoint",
            "unix:///var/run/containerd/containerd.sock",
        ),
    ])
    .unwrap();
    assert_eq!(flags.labels.len(), 3);
    assert_eq!(flags.taints.len(), 2);
    assert_eq!(flags.taints[0].value.as_deref(), Some("true"));
    assert_eq!(flags.kubelet.cloud_provider, Some(raw::CloudProvider::External));
    let quoted = set(&[("provider-id", "openstack:///'762931c8'")]).unwrap();
    assert_eq!(quoted.kubelet.provider_id.as_deref(), Some("openstack:///762931c8"));
    assert_eq!(flags.kubelet.eviction_hard["nodefs.available"], "10%");
    assert_eq!(flags.kubelet.system_reserved.unwrap().pid, Some(100));
    assert!(!flags.kubelet.feature_gates["B"]);
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    for (name, value, expected) in [
        ("cgroup-driver", "cgroupfs", "cgroup-driver"),
        ("read-only-port", "open", "open"),
        ("cloud-provider", "aws", "aws"),
        ("node-ip", "10.0.0.5,10.0.0.6", "10.0.0."),
        ("image-credential-provider-config", "/etc/x.yaml", "names a file"),
        ("tls-cert-file", "/x", "names a file"),
        ("event-qps", "many", "many"),
        ("healthz-port", "1", "healthz-port"),
        (
            "node-labels",
            "node-role.kubernetes.io/worker=",
            "node-role.kubernetes.io/worker",
        ),
        ("node-labels", "a b=c", "a b"),
        ("register-with-taints", "a", "a taint"),
        ("register-with-taints", "a=b:Never", "Never"),
        ("max-pods", "many", "many"),
        ("root-dir", "/data", "root-dir"),
        ("feature-gates", "A", "A"),
        ("system-reserved", "gpu=1", "gpu"),
        ("cpu-manager-policy", "dynamic", "dynamic"),
    ] {
        let finding = set(&[(name, value)]).unwrap_err();
        assert!(finding.message.contains(expected), "{finding:?}");
    }
    let finding = set(&[("node-label", "a=b")]).unwrap_err();
    assert_eq!(finding.help.as_deref(), Some("did you mean `node-labels`?"));
}

#[test]
fn a_taint_is_there_once() {
    let flags = set(&[("register-with-taints", "a=1:NoSchedule,a=2:NoSchedule,a:NoExecute")]).unwrap();
    let values: Vec<_> = flags.taints.iter().map(|taint| taint.value.as_deref()).collect();
    assert_eq!(values, [Some("2"), None]);
}

#[test]
fn arguments_that_a_node_config_has_a_field_for_are_taken_over() {
    let flags = set(&[
        ("node-ip", "10.0.0.5,fd00::5"),
        ("fail-swap-on", "false"),
        ("serialize-image-pulls", "true"),
        ("cluster-dns", "10.96.0.10,fd00::a"),
        ("cluster-domain", "k8s.example"),
        ("event-qps", "0"),
        ("tls-cipher-suites", "TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384"),
        ("protect-kernel-defaults", "false"),
        ("anonymous-auth", "true"),
        ("authentication-token-webhook-cache-ttl", "1m"),
        ("authorization-webhook-cache-authorized-ttl", "1m"),
        ("resolv-conf", "/etc/resolv.conf"),
        (
            "eviction-minimum-reclaim",
            "memory.available=0Mi,nodefs.available=500Mi",
        ),
        ("topology-manager-policy-options", "prefer-closest-numa-nodes=true"),
        ("pod-max-pids", "-1"),
    ])
    .unwrap();
    let kubelet = flags.kubelet;
    assert_eq!(kubelet.node_ip.as_deref(), Some("10.0.0.5,fd00::5"));
    assert_eq!(
        (kubelet.fail_swap_on, kubelet.max_parallel_image_pulls),
        (Some(false), Some(1))
    );
    // As many as the kernel has: no limit of a pod.
    assert_eq!(kubelet.pod_pids_limit, Some(4_194_304));
    let dns = flags.dns.unwrap();
    assert_eq!(dns.domain.as_deref(), Some("k8s.example"));
    assert_eq!(dns.addresses.unwrap(), ["10.96.0.10", "fd00::a"]);
    assert_eq!(
        serde_json::to_value(&kubelet.extra_config).unwrap(),
        serde_json::json!({
            "authentication": { "anonymous": { "enabled": true }, "webhook": { "cacheTTL": "1m" } },
            "authorization": { "webhook": { "cacheAuthorizedTTL": "1m" } },
            "eventRecordQPS": 0,
            "evictionMinimumReclaim": { "memory.available": "0Mi", "nodefs.available": "500Mi" },
            "protectKernelDefaults": false,
            "resolvConf": "/etc/resolv.conf",
            "tlsCipherSuites": ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"],
            "topologyManagerPolicyOptions": { "prefer-closest-numa-nodes": "true" },
        })
    );
}

#[test]
fn what_the_image_sets_anyway_is_not_written() {
    let arguments = [
        ("anonymous-auth", "false"),
        ("authorization-mode", "Webhook"),
        ("protect-kernel-defaults", "true"),
        ("read-only-port", "0"),
        ("rotate-certificates", ""),
        ("serialize-image-pulls", "false"),
    ];
    assert_eq!(set(&arguments).unwrap(), KubeletFlags::default());
    // The last one counts.
    let flags = set(&[("read-only-port", "10255"), ("read-only-port", "0")]).unwrap();
    assert_eq!(flags.kubelet.extra_config["readOnlyPort"], 0);
    // The file of systemd-resolved is where kubeadm's nodes have theirs.
    let warning = set(&[("resolv-conf", RESOLVED_CONF)]).unwrap_err();
    assert_eq!(warning.severity, miette::Severity::Warning);
}

#[test]
fn every_argument_leads_to_a_setting() {
    let fields: Vec<_> = basalt_node_config::kubelet_extra_fields(basalt_node_config::KubeletMinor::V1_35).collect();
    for (name, field, _) in EXTRA {
        let first = field.split('.').next().unwrap();
        assert!(fields.contains(&first), "{name}: {field}");
        assert_eq!(setting_of(name).unwrap().len(), 2 + field.split('.').count());
    }
    let names = |table: &[(&'static str, &str)]| table.iter().map(|(name, _)| *name).collect::<Vec<_>>();
    let mut all = [names(KNOWN), names(FIXED), names(OF_FILES)].concat();
    all.extend(EXTRA.iter().map(|(name, ..)| *name));
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count, "an argument is in two tables");
    for (name, _) in KNOWN {
        let unknown = set(&[(*name, "")])
            .err()
            .filter(|finding| finding.message.contains("cannot express"));
        assert_eq!(unknown, None, "{name}");
        assert!(setting_of(name).is_some());
    }
}

proptest! {
    #[test]
    fn nothing_panics(index in 0..KNOWN.len(), extra in 0..EXTRA.len(), name in any::<String>(), value in any::<String>()) {
        for name in [KNOWN[index].0, EXTRA[extra].0, &name] {
            let _ = set(&[(name, &value)]);
            let _ = set(&[(name, &format!("a=b,{value}<1,{value}")), (name, &value)]);
        }
    }
}
