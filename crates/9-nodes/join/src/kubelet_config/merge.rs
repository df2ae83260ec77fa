//! Defaults and overlays of kubelet configurations, as kubeadm applies them.

use std::net::IpAddr;

use basalt_node_config::defaults;
use serde_json::{Map, Value, json};

use super::ClusterConfiguration;
use crate::kubelet_flags::RESOLVED_CONF;

/// Lays a strategic merge patch over a configuration: objects are merged, `null` removes, everything else replaces. No
/// list of KubeletConfiguration has a merge key.
pub fn overlay(base: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, value) in patch {
        match (base.get_mut(key), value) {
            (_, Value::Null) => {
                base.remove(key);
            }
            (Some(Value::Object(below)), Value::Object(patch)) => overlay(below, patch),
            _ => {
                base.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Defaults that kubeadm gives to fields which are not set. `rotateCertificates` is set in any case.
pub(super) fn kubeadm_defaults(configuration: &mut Map<String, Value>, cluster: &ClusterConfiguration) {
    let certificates = cluster.certificates_dir.as_deref().unwrap_or("/etc/kubernetes/pki");
    let domain = cluster.dns_domain.as_deref().unwrap_or(defaults::DOMAIN);
    let defaults = json!({
        "staticPodPath": "/etc/kubernetes/manifests",
        "clusterDNS": [dns_address(cluster.service_subnet.as_deref())],
        "clusterDomain": domain,
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": true },
            "x509": { "clientCAFile": format!("{certificates}/ca.crt") },
        },
        "authorization": { "mode": "Webhook" },
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": 10248,
        "cgroupDriver": "systemd",
        // Of systemd-resolved, which runs on every node.
        "resolvConf": RESOLVED_CONF,
    });
    if let Value::Object(defaults) = defaults {
        fill(configuration, &defaults);
    }
    configuration.insert("rotateCertificates".to_owned(), Value::Bool(true));
}

/// Sets what is not set, or empty.
fn fill(configuration: &mut Map<String, Value>, defaults: &Map<String, Value>) {
    for (key, default) in defaults {
        match (configuration.get_mut(key), default) {
            (Some(Value::Object(below)), Value::Object(defaults)) => fill(below, defaults),
            (Some(Value::Null), _) | (None, _) => {
                configuration.insert(key.clone(), default.clone());
            }
            (Some(Value::String(text)), _) if text.is_empty() => {
                configuration.insert(key.clone(), default.clone());
            }
            _ => {}
        }
    }
}

/// Address of the name service: the tenth of the first subnet of Services, as kubeadm takes it; without one, the tenth of
/// kubeadm's default.
fn dns_address(subnets: Option<&str>) -> String {
    let tenth = || {
        let (address, prefix) = subnets?.split(',').next()?.trim().split_once('/')?;
        let prefix: u32 = prefix.parse().ok()?;
        match address.parse().ok()? {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32_u32.checked_sub(prefix)?).unwrap_or(0);
                let last = u32::from(address) | !mask;
                let tenth = (u32::from(address) & mask).checked_add(10)?;
                (tenth <= last).then(|| IpAddr::V4(tenth.into()))
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128_u32.checked_sub(prefix)?).unwrap_or(0);
                let last = u128::from(address) | !mask;
                let tenth = (u128::from(address) & mask).checked_add(10)?;
                (tenth <= last).then(|| IpAddr::V6(tenth.into()))
            }
        }
    };
    tenth().unwrap_or(IpAddr::V4(defaults::NAME_SERVICE)).to_string()
}

/// Takes away what says nothing: `null`, empty text, lists and objects, and zeros, which stand for the kubelet's default
/// in what kubeadm uploads.
pub fn without_zeros(value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() || text == "0s" || text == "0" => None,
        Value::Number(number) if number.as_f64() == Some(0.0) => None,
        Value::Array(items) if items.is_empty() => None,
        Value::Object(object) => {
            let kept = object
                .iter()
                .filter_map(|(key, value)| Some((key.clone(), without_zeros(value)?)));
            let kept: Map<_, _> = kept.collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        other => Some(other.clone()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(object) => object,
            _ => panic!("not an object"),
        }
    }

    #[test]
    fn addresses_of_the_name_service() {
        for (subnet, expected) in [
            (Some("10.96.0.0/12"), "10.96.0.10"),
            (Some("172.20.0.0/16,fd00::/108"), "172.20.0.10"),
            (Some("fd00:10:96::/112"), "fd00:10:96::a"),
            (Some("10.0.0.128/25"), "10.0.0.138"),
            (Some("10.0.0.0/30"), "10.96.0.10"),
            (Some("0.0.0.0/0"), "0.0.0.10"),
            (Some("nonsense"), "10.96.0.10"),
            (Some("10.0.0.0/99"), "10.96.0.10"),
            (None, "10.96.0.10"),
        ] {
            assert_eq!(dns_address(subnet), expected, "{subnet:?}");
        }
    }

    #[test]
    fn patches_merge_replace_and_remove() {
        let mut base = object(json!({ "a": { "b": 1, "c": 2 }, "d": [1, 2], "e": 3 }));
        overlay(
            &mut base,
            &object(json!({ "a": { "c": 3 }, "d": [9], "e": null, "f": 4 })),
        );
        assert_eq!(
            Value::Object(base),
            json!({ "a": { "b": 1, "c": 3 }, "d": [9], "f": 4 })
        );
    }

    #[test]
    fn what_is_set_stays_but_for_certificate_rotation() {
        let set = json!({
            "clusterDNS": ["10.0.0.53"],
            "staticPodPath": "",
            "authentication": { "anonymous": { "enabled": true } },
            "rotateCertificates": false,
        });
        let mut configuration = object(set);
        kubeadm_defaults(&mut configuration, &ClusterConfiguration::default());
        let found = Value::Object(configuration);
        assert_eq!(found["clusterDNS"], json!(["10.0.0.53"]));
        assert_eq!(found["staticPodPath"], "/etc/kubernetes/manifests");
        assert_eq!(found["authentication"]["anonymous"]["enabled"], true);
        assert_eq!(found["authentication"]["webhook"]["enabled"], true);
        assert_eq!(found["rotateCertificates"], true);
    }

    proptest! {
        #[test]
        fn overlaying_twice_changes_nothing(keys in proptest::collection::btree_map("[a-c]", 0u8..3, 0..3)) {
            let patch: Map<_, _> = keys.iter().map(|(key, value)| (key.clone(), json!({ "x": value }))).collect();
            let mut once = object(json!({ "a": { "y": 1 }, "d": 1 }));
            overlay(&mut once, &patch);
            let mut twice = once.clone();
            overlay(&mut twice, &patch);
            prop_assert_eq!(once, twice);
        }

        #[test]
        fn nothing_panics(text in any::<String>(), prefix in any::<u32>()) {
            let _ = dns_address(Some(&text));
            let _ = dns_address(Some(&format!("10.0.0.0/{prefix}")));
            let _ = dns_address(Some(&format!("::/{prefix}")));
        }
    }
}
