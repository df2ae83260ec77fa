//! Nodes of the same name: a machine must not take the place of another one that lives.

use serde::Deserialize;

/// Path of a node in the API.
pub fn path(name: &str) -> String {
    format!("/api/v1/nodes/{name}")
}

/// Identity of a machine, beside its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MachineIdentity {
    /// Machine id of systemd.
    pub machine_id: String,
    /// UUID of the firmware; empty where there is none.
    pub system_uuid: String,
    /// Id at the cloud, if it has one.
    pub provider_id: Option<String>,
}

/// Verdict on a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameVerdict {
    /// No node has it.
    Free,
    /// A node has it that is not Ready: kubeadm goes on then, too.
    TakenOver,
    /// The machine's own former registration.
    Own,
    /// A Ready node of another machine has it.
    Taken {
        /// Identity of the other machine, for the message.
        other: String,
    },
}

#[derive(Deserialize)]
struct ExistingNode {
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Default, Deserialize)]
struct Spec {
    #[serde(default, rename = "providerID")]
    provider_id: String,
}

#[derive(Default, Deserialize)]
struct Status {
    #[serde(default)]
    conditions: Vec<Condition>,
    #[serde(default, rename = "nodeInfo")]
    node_info: NodeInfo,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

#[derive(Default, Deserialize)]
struct NodeInfo {
    #[serde(default, rename = "machineID")]
    machine_id: String,
    #[serde(default, rename = "systemUUID")]
    system_uuid: String,
}

/// Verdict on a name, from the API server's answer about the node of that name; `None` for one that does not exist.
///
/// kubeadm refuses any Ready node. A machine that was installed anew may have its name back at once: its identity is in
/// what its kubelet reported.
///
/// # Errors
/// When the answer is not a node.
pub fn judge(answer: Option<&[u8]>, machine: &MachineIdentity) -> Result<NameVerdict, serde_json::Error> {
    let Some(answer) = answer else {
        return Ok(NameVerdict::Free);
    };
    let node: ExistingNode = serde_json::from_slice(answer)?;
    let same = |one: &str, other: &str| !one.is_empty() && one.eq_ignore_ascii_case(other);
    let NodeInfo {
        machine_id,
        system_uuid,
    } = &node.status.node_info;
    let provider_id = machine.provider_id.as_deref().unwrap_or_default();
    if same(machine_id, &machine.machine_id)
        || same(system_uuid, &machine.system_uuid)
        || same(&node.spec.provider_id, provider_id)
    {
        return Ok(NameVerdict::Own);
    }
    let is_ready = |condition: &Condition| condition.kind == "Ready" && condition.status == "True";
    if !node.status.conditions.iter().any(is_ready) {
        return Ok(NameVerdict::TakenOver);
    }
    let other = [
        ("provider id", &node.spec.provider_id),
        ("machine id", machine_id),
        ("UUID", system_uuid),
    ];
    let other = other.iter().find(|(_, value)| !value.is_empty());
    Ok(NameVerdict::Taken {
        other: other.map_or_else(|| "no identity".to_owned(), |(what, value)| format!("{what} {value}")),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_ready_node_of_another_machine_keeps_its_name() {
        let own = MachineIdentity {
            machine_id: "0123".to_owned(),
            system_uuid: "EC2-1".to_owned(),
            provider_id: Some("aws:///a/i-1".to_owned()),
        };
        let node = |ready: &str, machine: &str, uuid: &str, provider: &str| {
            let node = json!({
                "spec": { "providerID": provider },
                "status": {
                    "conditions": [{ "type": "Ready", "status": ready }],
                    "nodeInfo": { "machineID": machine, "systemUUID": uuid },
                },
            });
            judge(Some(node.to_string().as_bytes()), &own).unwrap()
        };
        let taken = |other: &str| NameVerdict::Taken {
            other: other.to_owned(),
        };
        for (found, expected) in [
            (judge(None, &own).unwrap(), NameVerdict::Free),
            (node("False", "9", "9", "9"), NameVerdict::TakenOver),
            (node("Unknown", "9", "9", "9"), NameVerdict::TakenOver),
            (node("True", "0123", "9", "9"), NameVerdict::Own),
            (node("True", "9", "ec2-1", "9"), NameVerdict::Own),
            (node("True", "9", "9", "aws:///a/i-1"), NameVerdict::Own),
            (
                node("True", "9", "9", "aws:///a/i-2"),
                taken("provider id aws:///a/i-2"),
            ),
            (node("True", "9", "", ""), taken("machine id 9")),
            (node("True", "", "", ""), taken("no identity")),
        ] {
            assert_eq!(found, expected);
        }
        // What neither has does not make them the same.
        let nothing = MachineIdentity::default();
        let ready = json!({ "status": { "conditions": [{ "type": "Ready", "status": "True" }] } });
        assert_eq!(
            judge(Some(ready.to_string().as_bytes()), &nothing).unwrap(),
            taken("no identity")
        );
        assert!(judge(Some(b"<html>"), &own).is_err());
    }
}
