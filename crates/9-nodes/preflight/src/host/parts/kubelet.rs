//! Settings of the kubelet: by its configuration, and by flags, with the table that joins have.

use std::collections::BTreeSet;

use basalt_inventory::{HostFlag, HostInventory, is_hidden};
use basalt_join::request::KubeletFlags;
use basalt_node_config::{KubeletMinor, kubelet_extra_fields, kubelet_own_fields, kubelet_own_value};
use miette::Severity;
use serde_json::{Map, Value};

use super::super::draft::LeftOutSetting;
use super::NOT_THERE;

/// Flags that the agent sets itself, or that other rules look at.
const OWN: [&str; 12] = [
    "bootstrap-kubeconfig",
    "cgroup-driver",
    "config",
    "config-dir",
    "container-runtime",
    "container-runtime-endpoint",
    "image-credential-provider-bin-dir",
    "image-credential-provider-config",
    "kubeconfig",
    "pod-infra-container-image",
    "pod-manifest-path",
    "root-dir",
];
/// Flags whose items have nothing to do with one another: one that is refused does not take the others along.
const LISTS: [&str; 9] = [
    "allowed-unsafe-sysctls",
    "eviction-hard",
    "eviction-soft",
    "eviction-soft-grace-period",
    "feature-gates",
    "kube-reserved",
    "node-labels",
    "register-with-taints",
    "system-reserved",
];

/// Fields that kubeadm writes into every configuration, and of which an image has values of its own.
const OF_KUBEADM: [&str; 4] = ["authentication", "authorization", "resolvConf", "rotateCertificates"];

/// Settings of a host's kubelet.
#[derive(Debug)]
pub(in super::super) struct HostKubeletSettings {
    /// Settings that its flags stand for.
    pub(in super::super) flags: FlagSettings,
    /// Settings of its configuration, as the part `kubelet` of a NodeConfig has them.
    pub(in super::super) configuration: Map<String, Value>,
    /// Settings of its configuration whose values the inventory does not have.
    pub(in super::super) hidden: Vec<LeftOutSetting>,
    /// Fields of its configuration that are none of a NodeConfig's own, and that its `extraConfig` takes.
    pub(in super::super) others: Vec<&'static str>,
    /// Taints that it registers with, as a NodeConfig has them.
    pub(in super::super) taints: Value,
}

impl HostKubeletSettings {
    /// Settings of a host's kubelet.
    pub(in super::super) fn of(host: &HostInventory) -> Self {
        let flags = flags(host);
        let (configuration, hidden) = of_config(host);
        Self {
            others: others(host),
            taints: taints(host, &flags),
            flags,
            configuration,
            hidden,
        }
    }
}

/// Settings that the flags of a kubelet stand for.
#[derive(Debug, Default)]
pub(in super::super) struct FlagSettings {
    /// Settings.
    pub(in super::super) settings: KubeletFlags,
    /// Flags that no setting stands for, with the reason.
    pub(in super::super) refused: Vec<(HostFlag, String)>,
    /// Items of lists, and values, that are left out.
    pub(in super::super) left_out: Vec<LeftOutSetting>,
}

impl FlagSettings {
    /// Part `kubelet` of a NodeConfig.
    pub(in super::super) fn kubelet(&self) -> Map<String, Value> {
        match serde_json::to_value(&self.settings.kubelet) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        }
    }
}

/// Settings by flags, which are the node's own. Of a flag that stands there twice, the last one counts.
fn flags(host: &HostInventory) -> FlagSettings {
    let mut made = FlagSettings::default();
    let names: BTreeSet<&str> = host.kubelet.flags.iter().map(|flag| flag.name.as_str()).collect();
    let flags = names.into_iter().filter(|name| !OWN.contains(name));
    for flag in flags.filter_map(|name| host.kubelet.flag(name)) {
        let path = format!("--{}", flag.name);
        let is_list = LISTS.contains(&flag.name.as_str());
        if !is_list && flag.value.split(',').any(is_hidden) {
            made.left_out.push(LeftOutSetting::new(path, "", NOT_THERE));
            continue;
        }
        let value = match is_list {
            true => good_items(flag, &mut made.left_out),
            false => flag.value.clone(),
        };
        if is_list && value.is_empty() {
            continue;
        }
        match made.settings.set(&flag.name, &value) {
            Err(finding) if finding.severity == Severity::Error => made.refused.push((flag.clone(), finding.message)),
            _ => {}
        }
    }
    made
}

/// Items of a list that can be settings; others are left out.
fn good_items(flag: &HostFlag, left_out: &mut Vec<LeftOutSetting>) -> String {
    let mut items: Vec<&str> = flag.value.split(',').map(str::trim).collect();
    let mut leave = |item: &str, reason: String| {
        left_out.push(LeftOutSetting::new(format!("--{}", flag.name), item, reason));
    };
    items.retain(|item| {
        if is_hidden(item) {
            leave(item, NOT_THERE.to_owned());
            return false;
        }
        let set = KubeletFlags::default().set(&flag.name, item);
        match set {
            Err(finding) if finding.severity == Severity::Error => {
                leave(item, finding.message);
                false
            }
            _ => !item.is_empty(),
        }
    });
    items.join(",")
}

/// Taints that the kubelet registers with: those of its flag, or else of its configuration.
fn taints(host: &HostInventory, flags: &FlagSettings) -> Value {
    if host.kubelet.flag("register-with-taints").is_some() {
        return serde_json::to_value(&flags.settings.taints).unwrap_or_default();
    }
    let written = host.kubelet.field("registerWithTaints").and_then(Value::as_array);
    let taints = written.into_iter().flatten().filter_map(Value::as_object);
    let taints = taints.map(|taint| {
        // The time of a taint is the API server's.
        let fields = ["key", "value", "effect"].into_iter();
        let fields = fields.filter_map(|name| Some((name.to_owned(), taint.get(name)?.clone())));
        Value::Object(fields.filter(|(_, value)| value.as_str() != Some("")).collect())
    });
    taints.collect()
}

/// Settings of the kubelet by its configuration: those that a NodeConfig has as its own, without zeros, which kubeadm writes for
/// defaults. Beside them, those whose values the inventory does not have.
fn of_config(host: &HostInventory) -> (Map<String, Value>, Vec<LeftOutSetting>) {
    let mut fields = Map::new();
    let mut left_out = Vec::new();
    for field in kubelet_own_fields() {
        let Some(value) = host.kubelet.field(field) else {
            continue;
        };
        let value = without_hidden(&format!("kubelet.{field}"), value, &mut left_out);
        let is_nothing = match &value {
            Value::Null => true,
            Value::String(text) => text.is_empty() || text == "0s" || text == "none",
            Value::Number(number) => number.as_f64() == Some(0.0),
            Value::Array(list) => list.is_empty(),
            Value::Object(entries) => entries.is_empty(),
            // What a NodeConfig says that is silent about it.
            Value::Bool(is_on) => match field {
                "failSwapOn" => *is_on,
                "serverTLSBootstrap" => !*is_on,
                _ => false,
            },
        };
        if is_nothing {
            continue;
        }
        let value = match field {
            "evictionHard" | "evictionSoft" | "evictionSoftGracePeriod" => texts(&value),
            _ => kubelet_own_value(field, &value),
        };
        fields.insert(field.to_owned(), value);
    }
    // As `--serialize-image-pulls`.
    if host.kubelet.field("serializeImagePulls") == Some(&Value::Bool(true)) {
        fields.entry("maxParallelImagePulls").or_insert_with(|| 1.into());
    }
    (fields, left_out)
}

/// Names of the fields of its configuration that `extraConfig` takes, without zeros.
fn others(host: &HostInventory) -> Vec<&'static str> {
    let is_set = |field: &&'static str| {
        let value = host.kubelet.field(field);
        value.is_some_and(|value| value.is_boolean() || !is_zero(value))
    };
    let fields = kubelet_extra_fields(KubeletMinor::NEWEST).filter(|field| !OF_KUBEADM.contains(field));
    fields.filter(is_set).collect()
}

/// Returns `true` for a value that stands for the kubelet's default.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(is_on) => !is_on,
        Value::String(text) => ["", "0", "0s"].contains(&text.as_str()),
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Array(list) => list.is_empty(),
        Value::Object(entries) => entries.values().all(is_zero),
    }
}

/// Value without the parts that the inventory does not have; `Null` if it has none of it.
fn without_hidden(path: &str, value: &Value, left_out: &mut Vec<LeftOutSetting>) -> Value {
    match value {
        Value::String(text) if is_hidden(text) => {
            left_out.push(LeftOutSetting::new(path, "", NOT_THERE));
            Value::Null
        }
        Value::Array(items) => {
            let kept = items.iter().map(|item| without_hidden(path, item, left_out));
            kept.filter(|item| !item.is_null()).collect()
        }
        Value::Object(fields) => {
            let kept = fields.iter().map(|(key, value)| {
                let value = without_hidden(&format!("{path}.{key}"), value, left_out);
                (key.clone(), value)
            });
            Value::Object(kept.filter(|(_, value)| !value.is_null()).collect())
        }
        other => other.clone(),
    }
}

/// Object whose values are texts, as thresholds are.
fn texts(value: &Value) -> Value {
    let entries = value.as_object().into_iter().flatten();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Value::Object(
        entries
            .map(|(key, value)| (key.clone(), Value::String(text(value))))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(flags: &[(&str, &str)]) -> HostInventory {
        let mut host = HostInventory::default();
        host.kubelet.flags = flags
            .iter()
            .map(|(name, value)| HostFlag {
                name: (*name).to_owned(),
                value: (*value).to_owned(),
                file: "/etc/default/kubelet".to_owned(),
            })
            .collect();
        host
    }

    #[test]
    fn flags_have_the_names_of_joins() {
        let host = host(&[
            ("registry-qps", "10"),
            ("event-qps", "0"),
            ("max-pods", "1"),
            ("max-pods", "200"),
        ]);
        let made = flags(&host);
        let wanted =
            serde_json::json!({ "maxPods": 200, "extraConfig": { "registryPullQPS": 10, "eventRecordQPS": 0 } });
        assert_eq!(Value::Object(made.kubelet()), wanted);
        assert!(made.refused.is_empty() && made.left_out.is_empty());
    }

    #[test]
    fn one_item_does_not_take_the_others_along() {
        let host = host(&[
            ("node-labels", "a=b,node-role.kubernetes.io/worker=,c=d"),
            ("feature-gates", "A=yes?,B=true"),
        ]);
        let made = flags(&host);
        assert_eq!(made.settings.labels.keys().collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(
            made.kubelet().get("featureGates"),
            Some(&serde_json::json!({ "B": true }))
        );
        assert_eq!(made.left_out.len(), 2, "{:?}", made.left_out);
    }

    #[test]
    fn what_an_inventory_does_not_have_is_no_value() {
        let host = host(&[
            ("provider-id", "*"),
            ("node-labels", "a=b,token=*,c=d"),
            ("register-with-taints", "password:*"),
            ("no-such-flag", "1"),
        ]);
        let made = flags(&host);
        assert!(made.kubelet().is_empty() && made.settings.taints.is_empty());
        assert_eq!(made.settings.labels.keys().collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!((made.left_out.len(), made.refused.len()), (3, 1), "{:?}", made.left_out);
        assert!(made.left_out.iter().all(|entry| entry.reason == NOT_THERE));
    }

    #[test]
    fn configuration_is_taken_over_field_by_field() {
        for field in kubelet_own_fields() {
            let mut host = HostInventory::default();
            host.kubelet.config = Some(serde_json::json!({ field: { "a": "1" } }));
            assert!(of_config(&host).0.contains_key(field), "{field}");
        }
        let mut host = HostInventory::default();
        host.kubelet.config = Some(serde_json::json!({
            "seccompDefault": false,
            "serverTLSBootstrap": true,
            "providerID": "aws:///eu-central-1a/i-0abc",
            "serializeImagePulls": true,
            "failSwapOn": true,
            "kubeReserved": { "ephemeral-storage": "1Gi", "pid": "1000" },
        }));
        let wanted = serde_json::json!({
            "seccompDefault": false,
            "serverTLSBootstrap": true,
            "providerID": "aws:///eu-central-1a/i-0abc",
            "maxParallelImagePulls": 1,
            "kubeReserved": { "ephemeralStorage": "1Gi", "pid": 1000 },
        });
        assert_eq!(Value::Object(of_config(&host).0), wanted);
    }

    #[test]
    fn inventories_show_the_fields_that_node_configs_have() {
        let fields = kubelet_own_fields().chain(kubelet_extra_fields(KubeletMinor::NEWEST));
        let fields: BTreeSet<&str> = fields.collect();
        let config: Map<String, Value> = fields
            .iter()
            .map(|field| ((*field).to_owned(), Value::from(7)))
            .collect();
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("var/lib/kubelet");
        fs_err::create_dir_all(&folder).expect("made");
        fs_err::write(folder.join("config.yaml"), Value::Object(config).to_string()).expect("written");
        let host = basalt_inventory::read(root.path());
        for field in fields {
            // Its values are names and passwords: inventories do not have it at all.
            let wanted = (field != "staticPodURLHeader").then(|| Value::from(7));
            assert_eq!(host.kubelet.field(field), wanted.as_ref(), "{field}");
        }
    }

    #[test]
    fn fields_that_are_no_settings_are_named_without_zeros() {
        let mut host = HostInventory::default();
        host.kubelet.config = Some(serde_json::json!({
            "authorization": { "mode": "Webhook" },
            "cpuCFSQuota": false,
            "cpuManagerReconcilePeriod": "0s",
            "logging": { "flushFrequency": 0, "options": { "json": { "infoBufferSize": "0" } } },
            "maxPods": 200,
            "registryPullQPS": 10,
            "staticPodPath": "/etc/kubernetes/manifests",
        }));
        assert_eq!(others(&host), ["cpuCFSQuota", "registryPullQPS"]);
    }

    #[test]
    fn taints_of_a_flag_count_before_those_of_the_configuration() {
        let mut one = host(&[]);
        one.kubelet.config = Some(serde_json::json!({ "registerWithTaints": [
            { "key": "dedicated", "value": "", "effect": "NoSchedule", "timeAdded": null },
        ] }));
        let wanted = serde_json::json!([{ "key": "dedicated", "effect": "NoSchedule" }]);
        assert_eq!(taints(&one, &flags(&one)), wanted);
        one.kubelet.flags = host(&[("register-with-taints", "a=b:NoExecute")]).kubelet.flags;
        let wanted = serde_json::json!([{ "key": "a", "value": "b", "effect": "NoExecute" }]);
        assert_eq!(taints(&one, &flags(&one)), wanted);
        assert_eq!(
            taints(&HostInventory::default(), &FlagSettings::default()),
            serde_json::json!([])
        );
    }

    #[test]
    fn configuration_has_no_part_that_an_inventory_does_not_have() {
        let mut host = HostInventory::default();
        host.kubelet.config = Some(serde_json::json!({
            "containerLogMaxSize": "*",
            "systemReserved": { "cpu": "100m", "token": "*" },
            "allowedUnsafeSysctls": ["kernel.shm*", "*"],
        }));
        let (fields, left_out) = of_config(&host);
        let wanted = serde_json::json!({
            "allowedUnsafeSysctls": ["kernel.shm*"],
            "systemReserved": { "cpu": "100m" },
        });
        assert_eq!(Value::Object(fields), wanted);
        let paths: Vec<&str> = left_out.iter().map(|entry| entry.path.as_str()).collect();
        let wanted = [
            "kubelet.allowedUnsafeSysctls",
            "kubelet.containerLogMaxSize",
            "kubelet.systemReserved.token",
        ];
        assert_eq!(paths, wanted);
    }

    #[test]
    fn long_values_are_whole() {
        let labels: Vec<String> = (0..200).map(|number| format!("a{number}=b")).collect();
        let made = host(&[("node-labels", &labels.join(","))]);
        let made = flags(&made);
        assert_eq!((made.settings.labels.len(), made.left_out.len()), (200, 0));
    }
}
