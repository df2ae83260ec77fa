//! Objects of Cluster API: what makes Machines is scaled, and a Machine is chosen to go.
//!
//! Numbers are changed in the patch that notes what for, so that each is counted once, whatever is killed. A Machine goes as
//! the cluster-autoscaler has it: it is marked (`cluster.x-k8s.io/delete-machine`), and its MachineDeployment or MachineSet
//! is scaled down by one, which takes a marked Machine first. Deleting the Machine itself would have another one made.

use kube::Api;
use kube::api::{ApiResource, DynamicObject, Patch};
use serde_json::{Map, Value, json};

use crate::api::{ClusterApi, deletion_of, failed, manager};
use crate::error::MigrateError;
use crate::facts::RetirementState;
use crate::model::{NamespacedName, ObservedNode};
use crate::record::{REPLACES, RETIRES};

/// Annotation of a Node with the name of its Machine.
const MACHINE: &str = "cluster.x-k8s.io/machine";
/// Annotation of a Node with the namespace of its Machine.
const NAMESPACE: &str = "cluster.x-k8s.io/cluster-namespace";
/// Annotation of a Machine that goes first when what owns it is scaled down.
const DELETE_MACHINE: &str = "cluster.x-k8s.io/delete-machine";
/// Label of a Machine with the name of its MachineDeployment.
const DEPLOYMENT: &str = "cluster.x-k8s.io/deployment-name";
/// Label of objects that the topology of a Cluster has made.
const TOPOLOGY: &str = "topology.cluster.x-k8s.io/owned";
/// Label of a MachineDeployment with its name in that topology.
const TOPOLOGY_NAME: &str = "topology.cluster.x-k8s.io/deployment-name";
/// Label of objects with the name of their Cluster.
const CLUSTER: &str = "cluster.x-k8s.io/cluster-name";

/// Kind of an object of Cluster API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CapiKind {
    Machine,
    MachineSet,
    MachineDeployment,
}

impl CapiKind {
    fn name(self) -> &'static str {
        match self {
            Self::Machine => "Machine",
            Self::MachineSet => "MachineSet",
            Self::MachineDeployment => "MachineDeployment",
        }
    }

    fn resource(self) -> ApiResource {
        ApiResource {
            group: "cluster.x-k8s.io".to_owned(),
            version: "v1beta2".to_owned(),
            api_version: "cluster.x-k8s.io/v1beta2".to_owned(),
            kind: self.name().to_owned(),
            plural: format!("{}s", self.name().to_ascii_lowercase()),
        }
    }

    fn of(self, api: &ClusterApi, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(api.client(), namespace, &self.resource())
    }
}

/// Machine of a node, and what owns it.
struct NodeMachine {
    name: NamespacedName,
    object: DynamicObject,
    owner: MachineOwner,
}

/// Owner of a Machine.
enum MachineOwner {
    /// MachineDeployment or MachineSet, which is scaled down.
    Scaled(CapiKind, Box<DynamicObject>),
    /// None: the Machine is deleted itself.
    Nobody,
}

/// Scales a MachineDeployment up by one for a request, whose name is the node's, and the time at which the phase that asks
/// began: another migration of the same node, after an undo or of a node that joined anew, is another request.
pub(crate) async fn scale_up(api: &ClusterApi, name: &NamespacedName, wanted: &str) -> Result<(), MigrateError> {
    let object = scalable(api, name).await?;
    scale(api, CapiKind::MachineDeployment, &object, 1, (REPLACES, wanted)).await
}

/// Reads a MachineDeployment that is to be scaled up.
///
/// # Errors
/// When there is none, or somebody else sets its replicas.
pub(crate) async fn scalable(api: &ClusterApi, name: &NamespacedName) -> Result<DynamicObject, MigrateError> {
    let kind = CapiKind::MachineDeployment;
    let object = kind.of(api, &name.namespace).get(&name.name).await;
    let object = object.map_err(failed(format!("get {} {name}", kind.name())))?;
    fixed_replicas(&object).map_or(Ok(object), Err)
}

/// Refusal of a MachineDeployment whose replicas somebody else sets. A topology sets them unless it names none, as it is with
/// an autoscaler; an object that does not say who manages its fields is taken for one whose replicas it sets.
fn fixed_replicas(object: &DynamicObject) -> Option<MigrateError> {
    let name = name_of(object);
    let label = |key: &str| object.metadata.labels.as_ref()?.get(key).cloned();
    let is_unknown = object.metadata.managed_fields.as_ref().is_none_or(Vec::is_empty);
    let (owner, help) = match (label(TOPOLOGY), replicas_manager(object)) {
        (None, None) => return None,
        (Some(_), None) if !is_unknown => return None,
        (Some(_), _) => {
            let cluster = NamespacedName::new(&name.namespace, label(CLUSTER).unwrap_or_default());
            let entry = label(TOPOLOGY_NAME).map_or_else(String::new, |entry| format!(" (of the entry `{entry}`)"));
            let help = format!(
                "run the same without --machine-deployment, and scale up with `spec.topology.workers.machineDeployments[].replicas`\
                 {entry} of Cluster {cluster}: nodes are taken as they join"
            );
            (format!("the topology of Cluster {cluster}"), help)
        }
        (None, Some(manager)) => {
            let help = format!(
                "run the same without --machine-deployment, and scale up where `{manager}` has the number from: nodes are taken as \
                 they join"
            );
            (format!("`{manager}`"), help)
        }
    };
    Some(MigrateError::FixedReplicas {
        name: name.to_string(),
        owner,
        help,
    })
}

/// Changes a number of replicas. What it is changed for is written beside it in the same patch, so that it is counted once,
/// however often this is asked.
async fn scale(
    api: &ClusterApi,
    kind: CapiKind,
    present: &DynamicObject,
    by: i64,
    (key, counted): (&str, &str),
) -> Result<(), MigrateError> {
    let mut all = noted(present, key);
    if all.contains(&counted) {
        return Ok(());
    }
    all.push(counted);
    let annotations = Map::from_iter([(key.to_owned(), json!(all.join(",")))]);
    let patch = json!({
        "metadata": { "resourceVersion": present.metadata.resource_version, "annotations": annotations },
        "spec": { "replicas": replicas(present).saturating_add(by).max(0) },
    });
    change(api, kind, present, &patch, "scale").await
}

async fn change(
    api: &ClusterApi,
    kind: CapiKind,
    present: &DynamicObject,
    patch: &Value,
    verb: &str,
) -> Result<(), MigrateError> {
    let name = name_of(present);
    api.may_write()?;
    let objects = kind.of(api, &name.namespace);
    let patched = objects.patch(&name.name, &manager(), &Patch::Merge(patch)).await;
    patched
        .map(drop)
        .map_err(failed(format!("{verb} {} {name}", kind.name())))
}

/// Names in an annotation that notes what a number was changed for.
fn noted<'a>(object: &'a DynamicObject, key: &str) -> Vec<&'a str> {
    let annotations = object.metadata.annotations.as_ref();
    let all = annotations.and_then(|annotations| annotations.get(key));
    all.map(|all| all.split(',').collect()).unwrap_or_default()
}

fn replicas(object: &DynamicObject) -> i64 {
    number(object, "/spec/replicas").unwrap_or(1)
}

fn number(object: &DynamicObject, pointer: &str) -> Option<i64> {
    object.data.pointer(pointer).and_then(Value::as_i64)
}

fn text<'a>(object: &'a DynamicObject, pointer: &str) -> Option<&'a str> {
    object.data.pointer(pointer).and_then(Value::as_str)
}

fn name_of(object: &DynamicObject) -> NamespacedName {
    let metadata = &object.metadata;
    NamespacedName::new(
        metadata.namespace.clone().unwrap_or_default(),
        metadata.name.clone().unwrap_or_default(),
    )
}

/// Reads the Machine of a node; a refusal in words where it has none that can be retired.
async fn machine_of(
    api: &ClusterApi,
    node: &ObservedNode,
) -> Result<Result<Option<NodeMachine>, String>, MigrateError> {
    let annotation = |key: &str| node.annotations.get(key).filter(|value| !value.is_empty());
    let (Some(name), Some(namespace)) = (annotation(MACHINE), annotation(NAMESPACE)) else {
        return Ok(Err(format!(
            "node {} has no annotation {MACHINE}: Cluster API has not made it",
            node.name
        )));
    };
    let name = NamespacedName::new(namespace, name);
    let machines = CapiKind::Machine.of(api, namespace);
    let found = machines.get_opt(&name.name).await;
    let Some(object) = found.map_err(failed(format!("get Machine {name}")))? else {
        return Ok(Ok(None));
    };
    if text(&object, "/status/nodeRef/name") != Some(node.name.as_str()) {
        return Ok(Err(format!(
            "Machine {name} is not that of node {}, by its own word",
            node.name
        )));
    }
    let owner = match owner_of(api, &name, &object).await? {
        Ok(owner) => owner,
        Err(refusal) => return Ok(Err(refusal)),
    };
    Ok(Ok(Some(NodeMachine { name, object, owner })))
}

/// Reads what owns a Machine.
async fn owner_of(
    api: &ClusterApi,
    name: &NamespacedName,
    machine: &DynamicObject,
) -> Result<Result<MachineOwner, String>, MigrateError> {
    let labels = machine.metadata.labels.as_ref();
    let deployment = labels.and_then(|labels| labels.get(DEPLOYMENT));
    let owners = machine.metadata.owner_references.iter().flatten();
    let mut owners = owners.filter(|owner| owner.controller == Some(true));
    let (kind, owner) = match (deployment, owners.next()) {
        (Some(deployment), _) => (CapiKind::MachineDeployment, deployment.clone()),
        (None, Some(owner)) if owner.kind == "MachineSet" => (CapiKind::MachineSet, owner.name.clone()),
        (None, Some(owner)) => {
            return Ok(Err(format!(
                "Machine {name} belongs to {} {}, which is not scaled down here",
                owner.kind, owner.name
            )));
        }
        (None, None) => return Ok(Ok(MachineOwner::Nobody)),
    };
    let object = kind.of(api, &name.namespace).get(&owner).await;
    let object = object.map_err(failed(format!("get {} {}/{owner}", kind.name(), name.namespace)))?;
    Ok(Ok(MachineOwner::Scaled(kind, Box::new(object))))
}

/// Says what retiring a node would do, or why it cannot be.
pub(crate) async fn retirement_plan(
    api: &ClusterApi,
    node: &ObservedNode,
) -> Result<Result<String, String>, MigrateError> {
    let machine = match machine_of(api, node).await? {
        Ok(Some(machine)) => machine,
        Ok(None) => return Ok(Err(format!("the Machine of node {} is not there", node.name))),
        Err(refusal) => return Ok(Err(refusal)),
    };
    let name = &machine.name;
    Ok(match &machine.owner {
        MachineOwner::Nobody => Ok(format!(
            "Machine {name} is deleted, and with it the machine and its disks; nothing makes it anew"
        )),
        MachineOwner::Scaled(kind, object) => match fixed(*kind, object) {
            Some(refusal) => Err(refusal),
            None => Ok(format!(
                "Machine {name} is marked, and {} {} scaled down by one (now {}): the machine and its disks are deleted",
                kind.name(),
                name_of(object),
                replicas(object)
            )),
        },
    })
}

/// Observes the retirement of a node.
pub(crate) async fn retirement_state(api: &ClusterApi, node: &ObservedNode) -> Result<RetirementState, MigrateError> {
    let machine = match machine_of(api, node).await? {
        Ok(Some(machine)) => machine,
        Ok(None) => return Ok(RetirementState::Over),
        Err(reason) => return Ok(RetirementState::Failed { reason }),
    };
    let name = &machine.name;
    if let Some(since) = &machine.object.metadata.deletion_timestamp {
        let reason = format!("Machine {name} is being deleted since {}", since.0);
        return Ok(RetirementState::Pending { reason });
    }
    let MachineOwner::Scaled(kind, owner) = &machine.owner else {
        return Ok(RetirementState::Open);
    };
    let what = format!("{} {}", kind.name(), name_of(owner));
    if noted(owner, RETIRES).contains(&name.name.as_str()) {
        let reason = format!("{what} was scaled down, and Machine {name} is not deleted yet");
        return Ok(RetirementState::Pending { reason });
    }
    if let Some(reason) = fixed(*kind, owner) {
        return Ok(RetirementState::Failed { reason });
    }
    if is_certain(api, &machine, owner).await? {
        return Ok(RetirementState::Open);
    }
    let reason = format!("{what} has Machines of several revisions: which of them would go is not certain");
    Ok(RetirementState::Pending { reason })
}

/// Reason for which a number of replicas cannot be changed: somebody applies it, and would change it back.
fn fixed(kind: CapiKind, object: &DynamicObject) -> Option<String> {
    let what = || format!("{} {}", kind.name(), name_of(object));
    if replicas(object) < 1 {
        return Some(format!("{} has no replicas to take one from", what()));
    }
    let manager = replicas_manager(object)?;
    Some(format!(
        "the replicas of {} are applied by `{manager}`, which would have the machine made anew: change them there",
        what()
    ))
}

/// Name of who applies a number of replicas.
fn replicas_manager(object: &DynamicObject) -> Option<String> {
    let entries = object.metadata.managed_fields.iter().flatten();
    let mut applied = entries.filter(|entry| {
        let fields = entry.fields_v1.as_ref();
        let has_replicas = fields.is_some_and(|fields| fields.0.pointer("/f:spec/f:replicas").is_some());
        entry.operation.as_deref() == Some("Apply") && has_replicas
    });
    Some(applied.next()?.manager.clone().unwrap_or_default())
}

/// Returns `true` if a Machine that is marked is sure to be the one that goes: its MachineDeployment has Machines of no other
/// revision, or takes those of old revisions first (OnDelete) and this one is of the only old one.
async fn is_certain(api: &ClusterApi, machine: &NodeMachine, owner: &DynamicObject) -> Result<bool, MigrateError> {
    let outdated = match (
        number(owner, "/status/replicas"),
        number(owner, "/status/upToDateReplicas"),
    ) {
        (Some(all), Some(current)) => all.saturating_sub(current),
        _ => 0,
    };
    if outdated == 0 {
        return Ok(true);
    }
    let takes_old_first = text(owner, "/spec/rollout/strategy/type") == Some("OnDelete");
    let mut references = machine.object.metadata.owner_references.iter().flatten();
    let set = references.find(|reference| reference.kind == "MachineSet");
    let (true, true, Some(set)) = (takes_old_first, is_outdated(&machine.object), set) else {
        return Ok(false);
    };
    let namespace = &machine.name.namespace;
    let found = CapiKind::MachineSet.of(api, namespace).get_opt(&set.name).await;
    let found = found.map_err(failed(format!("get MachineSet {namespace}/{}", set.name)))?;
    Ok(found.and_then(|set| number(&set, "/status/replicas")) == Some(outdated))
}

/// Returns `true` if Cluster API says that a Machine is of an old revision.
fn is_outdated(machine: &DynamicObject) -> bool {
    let conditions = machine.data.pointer("/status/conditions").and_then(Value::as_array);
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|one| one.get("type") == Some(&json!("UpToDate")) && one.get("status") == Some(&json!("False")))
}

/// Has the Machine of a node go. Asked again, it does nothing more. Returns what was done, in words.
pub(crate) async fn retire(api: &ClusterApi, node: &ObservedNode) -> Result<String, MigrateError> {
    let machine = match machine_of(api, node).await? {
        Ok(Some(machine)) => machine,
        Ok(None) => return Ok("its Machine is gone".to_owned()),
        Err(refusal) => return Ok(refusal),
    };
    let name = &machine.name;
    let MachineOwner::Scaled(kind, owner) = &machine.owner else {
        let params = deletion_of(machine.object.metadata.uid.clone(), None);
        api.may_write()?;
        let machines = CapiKind::Machine.of(api, &name.namespace);
        let deleted = machines.delete(&name.name, &params).await;
        return match deleted.map_err(failed(format!("delete Machine {name}"))) {
            Err(error) if !error.is_code(&[404]) => Err(error),
            _ => Ok(format!("Machine {name} is deleted")),
        };
    };
    let marks = machine.object.metadata.annotations.as_ref();
    if !marks.is_some_and(|marks| marks.contains_key(DELETE_MACHINE)) {
        let mark = Map::from_iter([(DELETE_MACHINE.to_owned(), json!(""))]);
        let version = &machine.object.metadata.resource_version;
        let patch = json!({ "metadata": { "resourceVersion": version, "annotations": mark } });
        change(api, CapiKind::Machine, &machine.object, &patch, "mark").await?;
    }
    scale(api, *kind, owner, -1, (RETIRES, &name.name)).await?;
    Ok(format!(
        "Machine {name} is marked, and {} {} scaled down by one",
        kind.name(),
        name_of(owner)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(managed: Value) -> DynamicObject {
        let object = json!({ "metadata": { "name": "workers", "namespace": "clusters", "managedFields": managed },
            "spec": { "replicas": 2 } });
        serde_json::from_value(object).expect("an object")
    }

    #[test]
    fn replicas_that_somebody_applies_are_left_alone() {
        let entry = |operation: &str, fields: Value| json!([{ "manager": "capi-topology", "operation": operation, "fieldsType": "FieldsV1", "fieldsV1": fields }]);
        let replicas = json!({ "f:spec": { "f:replicas": {} } });
        let refusal = |managed| fixed(CapiKind::MachineDeployment, &deployment(managed));
        assert_eq!(refusal(json!([])), None);
        assert_eq!(refusal(entry("Update", replicas.clone())), None);
        assert_eq!(refusal(entry("Apply", json!({ "f:spec": { "f:template": {} } }))), None);
        let refused = refusal(entry("Apply", replicas)).expect("refused");
        assert!(refused.contains("MachineDeployment clusters/workers") && refused.contains("capi-topology"));
    }

    #[test]
    fn a_topology_is_scaled_where_it_is_written() {
        let owned = json!({ TOPOLOGY: "", TOPOLOGY_NAME: "md-0", CLUSTER: "prod" });
        let entry = |manager: &str, operation: &str| {
            json!([{ "manager": manager, "operation": operation, "fieldsType": "FieldsV1",
                "fieldsV1": { "f:spec": { "f:replicas": {} } } }])
        };
        let refusal = |managed: Value, labels: &Value| {
            let mut object = deployment(managed);
            object.metadata.labels = serde_json::from_value(labels.clone()).expect("labels");
            fixed_replicas(&object).map(|error| {
                let help = miette::Diagnostic::help(&error).expect("help").to_string();
                format!("{error}; {help}")
            })
        };
        let none = json!({});
        // Managed fields, labels, and what the refusal says.
        let cases = [
            (json!([]), &none, None),
            (entry("kubectl", "Update"), &none, None),
            (entry("argocd", "Apply"), &none, Some("where `argocd` has the number")),
            (
                entry("capi-topology", "Apply"),
                &owned,
                Some("(of the entry `md-0`) of Cluster clusters/prod"),
            ),
            (json!([]), &owned, Some("the topology of Cluster clusters/prod")),
            // The topology names no number: an autoscaler sets it.
            (entry("cluster-autoscaler", "Update"), &owned, None),
        ];
        for (managed, labels, expected) in cases {
            let refused = refusal(managed.clone(), labels);
            match expected {
                None => assert_eq!(refused, None, "{managed} {labels}"),
                Some(part) => assert!(refused.as_ref().is_some_and(|text| text.contains(part)), "{refused:?}"),
            }
        }
    }

    #[test]
    fn the_last_replica_can_go_and_none_after_it() {
        let mut object = deployment(json!([]));
        object.data["spec"]["replicas"] = json!(1);
        assert_eq!(fixed(CapiKind::MachineSet, &object), None);
        object.data["spec"]["replicas"] = json!(0);
        assert!(fixed(CapiKind::MachineSet, &object).is_some_and(|refusal| refusal.contains("no replicas")));
    }

    #[test]
    fn names_that_were_counted_are_read() {
        let mut object = deployment(json!([]));
        assert!(noted(&object, RETIRES).is_empty());
        object.metadata.annotations = Some([(RETIRES.to_owned(), "a,b".to_owned())].into());
        assert_eq!(noted(&object, RETIRES), ["a", "b"]);
    }
}
