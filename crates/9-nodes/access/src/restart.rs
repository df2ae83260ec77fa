//! Restart of a node: orderly, by its own systemd, watched through its Node object.
//!
//! `systemctl reboot` asks logind, which the kubelet has told to wait for pods to end (`shutdownGracePeriod`); file systems
//! are unmounted. sysrq would do neither. A reset is a restart before which the state partition is marked (`basalt-node
//! request-reset`): the next boot makes its file system anew, before it is mounted.

use std::time::Duration;

use crate::node::NodeInfo;

/// Program that starts the node again.
pub const REBOOT: &[&str] = &["/usr/bin/systemctl", "reboot"];
/// Program that marks the state partition, to be made anew at the next boot.
pub const REQUEST_RESET: &[&str] = &["/usr/bin/basalt-node", "request-reset"];
/// Time for a node to come back: firmware of servers takes minutes.
pub const RETURN: Duration = Duration::from_secs(20 * 60);

/// Observation of a node that restarts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestartState {
    /// Not yet back; with its state in words.
    Waiting(&'static str),
    /// Ready in another boot than before.
    Back,
}

/// Watch over a restart. A Node object keeps its condition for some 40 s after the node has gone, so that Ready counts only
/// in another boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartWatch {
    before: String,
}

impl RestartWatch {
    /// Watch that begins with the node before its restart.
    pub fn new(before: &NodeInfo) -> Self {
        Self {
            before: before.boot_id.clone(),
        }
    }

    /// Judges the node as it is now; `None` when there is no Node object.
    pub fn observe(&self, now: Option<&NodeInfo>) -> RestartState {
        let Some(node) = now else {
            return RestartState::Waiting("the Node object is gone");
        };
        let is_other_boot = node.boot_id != self.before;
        match (is_other_boot, node.ready) {
            (true, Some(true)) => RestartState::Back,
            (true, _) => RestartState::Waiting("it has booted, and is not Ready yet"),
            (false, Some(true)) => RestartState::Waiting("it shuts down"),
            (false, _) => RestartState::Waiting("it is off or boots"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(boot: &str, ready: &str) -> NodeInfo {
        NodeInfo::parse(&json!({
            "metadata": { "name": "n" },
            "status": { "nodeInfo": { "bootID": boot }, "conditions": [{ "type": "Ready", "status": ready }] },
        }))
        .expect("a node")
    }

    #[test]
    fn ready_counts_in_another_boot() {
        let watch = RestartWatch::new(&node("a", "True"));
        for (now, back) in [
            (Some(node("a", "True")), false),
            (Some(node("a", "Unknown")), false),
            (Some(node("b", "False")), false),
            (Some(node("b", "Unknown")), false),
            (None, false),
            (Some(node("b", "True")), true),
        ] {
            assert_eq!(watch.observe(now.as_ref()) == RestartState::Back, back, "{now:?}");
        }
    }
}
