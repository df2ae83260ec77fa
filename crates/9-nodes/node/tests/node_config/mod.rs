//! NodeConfigs of tests, and a machine that plans are made for.

use std::time::{Duration, SystemTime};

use basalt_node::facts::MachineFacts;
use basalt_node_config::{Clock, NodeConfig, check};

pub const CA: &str = include_str!("../../../node-config/tests/certificates/ca.pem");

/// A machine of which nothing is known.
pub const UNKNOWN: MachineFacts = MachineFacts {
    machine_id: None,
    size: None,
    credential_providers: Vec::new(),
};

/// The NodeConfig of a text, or its problems.
pub fn try_checked(text: &str) -> Result<NodeConfig, String> {
    // 2030, when the certificates of these tests are valid.
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000);
    let result = check("node.yaml", text, Clock::Right(now));
    result.map(|(config, _)| config).map_err(|problems| problems.brief())
}

/// The least that a NodeConfig can be, with something more at its end, or its problems.
pub fn try_least(more: &str) -> Result<NodeConfig, String> {
    let ca: String = CA.lines().map(|line| format!("    {line}\n")).collect();
    try_checked(&format!(
        "apiVersion: basalt.dev/v1\nkind: NodeConfig\ncluster:\n  endpoint: https://10.87.0.1:6443\n  \
         bootstrapToken: abcdef.0123456789abcdef\n  ca: |\n{ca}{more}"
    ))
}

/// The same, without problems.
pub fn least(more: &str) -> NodeConfig {
    try_least(more).unwrap_or_else(|problems| panic!("{problems}"))
}
