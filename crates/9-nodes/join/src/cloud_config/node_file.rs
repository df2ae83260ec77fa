//! `/etc/basalt/node.yaml` in bootstrap data: the parts of a NodeConfig that nothing else in it can give.

use basalt_document::{Finding, Path, schema, secret};
use basalt_node_config::raw as node_config;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Reader, proxy};
use crate::origins::setting;

/// Path of the file.
pub(super) const PATH: &str = "/etc/basalt/node.yaml";

/// NodeConfig without the parts that the join and other files give.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct NodeFile {
    /// Version of the format.
    api_version: node_config::ApiVersion,
    /// Kind of the file.
    kind: node_config::ConfigKind,
    /// Network interfaces and name servers.
    network: Option<node_config::Network>,
    /// Registries of container images.
    #[serde(default)]
    registries: Vec<node_config::Registry>,
    /// HTTP proxy.
    proxy: Option<node_config::Proxy>,
    /// Images to pull.
    #[serde(default)]
    prepull: Vec<String>,
    // Parts that come by other ways.
    cluster: Option<Value>,
    hostname: Option<Value>,
    kubelet: Option<Value>,
    labels: Option<Value>,
    taints: Option<Value>,
    sysctls: Option<Value>,
    time: Option<Value>,
    ca_certificates: Option<Value>,
}

impl NodeFile {
    /// Parts that are given though they come by another way, with that way.
    fn misplaced(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let flags = "`kubeletExtraArgs` of the JoinConfiguration";
        let parts = [
            ("cluster", &self.cluster, "the JoinConfiguration"),
            (
                "hostname",
                &self.hostname,
                "`nodeRegistration.name` of the JoinConfiguration",
            ),
            ("kubelet", &self.kubelet, flags),
            ("labels", &self.labels, flags),
            (
                "taints",
                &self.taints,
                "`nodeRegistration.taints` of the JoinConfiguration",
            ),
            ("sysctls", &self.sysctls, "a file of /etc/sysctl.d"),
            ("time", &self.time, "`ntp`"),
            (
                "caCertificates",
                &self.ca_certificates,
                "a file of /usr/local/share/ca-certificates",
            ),
        ];
        let given = parts.map(|(key, value, way)| value.is_some().then_some((key, way)));
        given.into_iter().flatten()
    }
}

impl Reader<'_> {
    /// Takes the parts of such a file over.
    pub(super) fn node_file(&mut self, place: &Path, content: &str) {
        let (raw, problems) = match secret::parse::<NodeFile>(PATH, content) {
            Ok(document) => {
                let (raw, mut found) = schema::decode_what_fits::<NodeFile>(&document);
                let misplaced = raw.iter().flat_map(NodeFile::misplaced);
                found.extend(misplaced.map(|(key, way)| {
                    let finding = Finding::error(format!("`{key}` is not taken from `{PATH}`"), "of another place");
                    document.at(&Path::root().key(key), finding.with_help(format!("give it by {way}")))
                }));
                (raw, document.problems(found))
            }
            Err(problems) => (None, problems),
        };
        let content = self.placed_content(place.key("content"), content);
        for problem in problems.iter() {
            let problem = self.relocated(&content, problem);
            self.findings.add(problem);
        }
        let Some(raw) = raw else { return };
        match (raw.api_version, raw.kind) {
            (node_config::ApiVersion::V1, node_config::ConfigKind::NodeConfig) => {}
        }
        let place = place.key("path");
        for key in ["network", "prepull"] {
            self.findings.origin(setting(&[key]), &place);
        }
        self.data.network = raw.network;
        self.data.prepull = raw.prepull;
        for registry in raw.registries {
            self.registry(&place, registry);
        }
        if let Some(more) = raw.proxy {
            self.proxy(&place, more);
        }
    }

    /// Takes a proxy over, which is the same one wherever it is given.
    pub(super) fn proxy(&mut self, place: &Path, more: node_config::Proxy) {
        self.findings.origin(setting(&["proxy"]), place);
        if let Err(finding) = proxy::merge(&mut self.data.proxy, more) {
            self.findings.say(place, finding);
        }
    }
}
