//! One question to the API server: whether it holds this node Ready, with the kubelet's own certificate.
//!
//! The kubelet says on loopback that it is well whether its cluster knows of it or not. Only the API server's record of
//! the node shows that a pod could be scheduled here, and only the boot id in it shows that it is of this boot: a node
//! that was Ready stays so for the better part of a minute after its machine was switched off.

use std::path::Path;

use basalt_node_config::address::Endpoint;
use serde::{Deserialize, Serialize};

use crate::apply::{Applied, below};
use crate::https::{HttpAnswer, HttpsClient, HttpsError};
use crate::paths;

/// Answer of the API server about this node, as far as one was had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ApiAnswer {
    /// No question: the kubelet has no client certificate yet.
    NoCertificate,
    /// The node is Ready, in this boot.
    Ready,
    /// The node is not Ready, or the record is of an earlier boot; in words.
    NotReady(String),
    /// The certificate is refused (HTTP 401).
    Rejected,
    /// No answer, or none that can be relied on; in words.
    Unreachable(String),
}

/// Asks the API server of the applied NodeConfig about this node.
pub fn ask(root: &Path, applied: &Applied) -> ApiAnswer {
    let Ok(client) = fs_err::read(below(root, paths::CLIENT_CERTIFICATE)) else {
        return ApiAnswer::NoCertificate;
    };
    let boot = fs_err::read_to_string(below(root, "/proc/sys/kernel/random/boot_id")).unwrap_or_default();
    let asked = || -> Result<HttpAnswer, HttpsError> {
        let authorities = fs_err::read(below(root, paths::CLUSTER_CA))?;
        let endpoint: Result<Endpoint, _> = applied.endpoint.parse();
        let endpoint = endpoint.map_err(|_| HttpsError::Unusable(format!("{} is no endpoint", applied.endpoint)))?;
        let client = HttpsClient::new(&authorities, Some(&client), None)?;
        client.get(&endpoint, &format!("/api/v1/nodes/{}", applied.hostname))
    };
    match asked() {
        Ok(answer) => judge(&answer, boot.trim()),
        Err(error) => ApiAnswer::Unreachable(error.to_string()),
    }
}

#[derive(Deserialize)]
struct Node {
    #[serde(default)]
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    conditions: Vec<Condition>,
    node_info: NodeInfo,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    #[serde(default)]
    message: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct NodeInfo {
    #[serde(rename = "bootID")]
    boot_id: String,
}

/// Reading of an answer about a node, in a boot with this id.
fn judge(answer: &HttpAnswer, boot: &str) -> ApiAnswer {
    match answer.status {
        200 => {}
        401 => return ApiAnswer::Rejected,
        404 => return ApiAnswer::NotReady("the cluster has no node of this name yet".to_owned()),
        403 => {
            return ApiAnswer::NotReady("the cluster does not let the node read its own record (403)".to_owned());
        }
        status => return ApiAnswer::Unreachable(format!("the API server answers {status}")),
    }
    let Ok(node) = serde_json::from_slice::<Node>(&answer.body) else {
        return ApiAnswer::Unreachable("the API server's answer is no node".to_owned());
    };
    if node.status.node_info.boot_id != boot {
        return ApiAnswer::NotReady("the kubelet has not reported since this boot".to_owned());
    }
    match node
        .status
        .conditions
        .iter()
        .find(|condition| condition.kind == "Ready")
    {
        Some(ready) if ready.status == "True" => ApiAnswer::Ready,
        Some(ready) => ApiAnswer::NotReady(ready.message.clone()),
        None => ApiAnswer::NotReady("the node has no condition Ready yet".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::address::Wanted;

    fn answer(status: u16, body: &str) -> HttpAnswer {
        let body = body.as_bytes().to_vec();
        HttpAnswer { status, body }
    }

    fn node(ready: &str, boot: &str) -> HttpAnswer {
        let body = format!(
            r#"{{"kind":"Node","status":{{"conditions":[{{"type":"MemoryPressure","status":"False"}},
            {{"type":"Ready","status":"{ready}","message":"because"}}],"nodeInfo":{{"bootID":"{boot}"}}}}}}"#
        );
        answer(200, &body)
    }

    #[test]
    fn table() {
        let not_ready = |why: &str| ApiAnswer::NotReady(why.to_owned());
        assert_eq!(judge(&node("True", "b1"), "b1"), ApiAnswer::Ready);
        assert_eq!(judge(&node("False", "b1"), "b1"), not_ready("because"));
        assert_eq!(judge(&node("Unknown", "b1"), "b1"), not_ready("because"));
        // Ready before the machine started again.
        assert_eq!(
            judge(&node("True", "b0"), "b1"),
            not_ready("the kubelet has not reported since this boot")
        );
        assert_eq!(judge(&answer(401, "{}"), "b1"), ApiAnswer::Rejected);
        for (status, body) in [(404, ""), (403, ""), (200, "{}")] {
            assert!(
                matches!(judge(&answer(status, body), "b1"), ApiAnswer::NotReady(_)),
                "{status}"
            );
        }
        for (status, body) in [(500, ""), (200, "null"), (200, "")] {
            assert!(
                matches!(judge(&answer(status, body), "b1"), ApiAnswer::Unreachable(_)),
                "{status} {body}"
            );
        }
    }

    proptest! {
        #[test]
        fn only_an_answer_of_this_boot_is_ready(body: Vec<u8>, text in ".*", status: u16) {
            prop_assert_ne!(judge(&HttpAnswer { status: 200, body }, "b1"), ApiAnswer::Ready);
            prop_assert_ne!(judge(&answer(status, &text), "b1"), ApiAnswer::Ready);
        }
    }

    #[test]
    fn without_a_certificate_nobody_is_asked() {
        let root = tempfile::tempdir().unwrap();
        let applied = Applied {
            origin: "test".to_owned(),
            hostname: "n".to_owned(),
            endpoint: "https://127.0.0.1:1".to_owned(),
            wanted: Wanted::default(),
            files: Vec::new(),
            warnings: Vec::new(),
        };
        assert_eq!(ask(root.path(), &applied), ApiAnswer::NoCertificate);
    }
}
