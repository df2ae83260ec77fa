//! Permissions that reading a cluster needs.

use basalt_document::Document;
use basalt_document::problem::Problems;
use serde_json::Value;

/// ClusterRole for reading what rules look at, and nothing else: no Secrets, no writes.
pub const CLUSTER_ROLE: &str = "\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: basalt-preflight
rules:
  - apiGroups: [\"\"]
    resources: [configmaps, persistentvolumes, pods, podtemplates, replicationcontrollers]
    verbs: [list]
  - apiGroups: [apps]
    resources: [daemonsets, deployments, replicasets, statefulsets]
    verbs: [list]
  - apiGroups: [batch]
    resources: [cronjobs, jobs]
    verbs: [list]
  - apiGroups: [node.k8s.io]
    resources: [runtimeclasses]
    verbs: [list]
  - apiGroups: [storage.k8s.io]
    resources: [storageclasses]
    verbs: [list]
";

/// Returns the ClusterRole as JSON.
///
/// # Errors
/// Never, but by a bug: when [`CLUSTER_ROLE`] is not YAML.
pub fn cluster_role_json() -> Result<Value, Problems> {
    Ok(Document::parse("role.yaml", CLUSTER_ROLE)?.root().to_json())
}

#[cfg(test)]
mod tests {
    use crate::source::KINDS;

    #[test]
    fn the_role_has_what_is_listed() {
        let role = super::cluster_role_json().expect("YAML");
        let mut allowed = Vec::new();
        for rule in role["rules"].as_array().expect("rules") {
            assert_eq!(rule["verbs"], serde_json::json!(["list"]));
            let group = rule["apiGroups"][0].as_str().expect("a group");
            let resources = rule["resources"].as_array().expect("resources").iter();
            allowed.extend(resources.map(|name| (group.to_owned(), name.as_str().expect("a name").to_owned())));
        }
        let mut listed: Vec<_> = KINDS
            .iter()
            .map(|kind| (kind.group().to_owned(), kind.resource.to_owned()))
            .collect();
        allowed.sort();
        listed.sort();
        assert_eq!(allowed, listed);
    }
}
