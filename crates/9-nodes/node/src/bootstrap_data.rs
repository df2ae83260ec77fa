//! Bootstrap data of Cluster API in the place of a NodeConfig: user data of a machine, as infrastructure providers hand it over.
//!
//! Read by [`basalt_join::cloud_config`], and never executed. What comes out is a NodeConfig, which goes the way of all
//! others, and files below `/etc/kubernetes`, which `basalt-node join` writes.

use std::collections::BTreeMap;
use std::path::Path;

use basalt_document::Document;
use basalt_document::problem::{Problem, Problems};
use basalt_join::cloud_config::{self, InstanceData, SENTINEL, SENTINEL_CONTENT};
use basalt_join::conversion::{self, ConversionError};
use basalt_join::origins::Origins;
use basalt_node_config::name::HostName;
use miette::Diagnostic;
use serde_json::Value;

use crate::apply::{self, ApplyError, below};
use crate::plan::PlannedFile;
use crate::{bootstrap_files, paths};

/// Bootstrap data that cannot be followed.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum BootstrapDataError {
    /// Findings in the text.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Text(#[from] Problems),
    /// A join that is not to be had as a NodeConfig.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Conversion(#[from] ConversionError),
}

/// Bootstrap data as a node follows it.
pub struct Bootstrap {
    /// Text of a NodeConfig, in JSON. It holds a token.
    pub config: String,
    /// Files below `/etc/kubernetes`.
    pub files: Vec<PlannedFile>,
    /// Warnings, often none.
    pub warnings: Problems,
    /// Places that settings of the NodeConfig come from.
    origins: Origins,
}

/// Shows no token.
impl std::fmt::Debug for Bootstrap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bootstrap")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl Bootstrap {
    /// The warnings for `basalt-node status`: a line for each, without its help.
    pub fn warning_lines(&self) -> impl Iterator<Item = String> {
        let name = self.warnings.name();
        self.warnings.shown().map(move |warning| {
            let Problem { line, message, .. } = warning;
            format!("line {line} of {name}: {message}")
        })
    }

    /// Findings of the check of the NodeConfig, told at the lines of the bootstrap data that its settings come from; then those
    /// about settings that come from elsewhere. None is without a finding.
    pub fn told(&self, problems: &Problems) -> Vec<Problems> {
        let (told, rest) = self.origins.tell(&self.config, problems);
        [told, rest]
            .into_iter()
            .filter(|problems| !problems.is_empty())
            .collect()
    }
}

/// Reads bootstrap data. `hostname` is the machine's name where neither its instance data nor the text gives one.
///
/// # Errors
/// With everything that a node cannot follow.
pub fn read(
    origin: &str,
    text: &str,
    instance: &InstanceData,
    hostname: &str,
) -> Result<Bootstrap, BootstrapDataError> {
    let (mut data, warnings) = cloud_config::read(origin, text, instance)?;
    if data.hostname.is_none() {
        data.hostname = hostname.parse::<HostName>().ok();
    }
    let config = conversion::undiscovered(&data.request, Some(&data))?;
    // What joins may hold a token, and /etc/kubernetes is on the state partition.
    let files = data.files.into_iter();
    let files = files.filter(|file| !conversion::is_discovery_file(&data.request, &file.path));
    let files = files.map(|file| PlannedFile {
        path: file.path,
        mode: file.mode,
        content: file.content,
    });
    Ok(Bootstrap {
        config: serde_json::to_string_pretty(&config).unwrap_or_default(),
        files: files.collect(),
        warnings,
        origins: data.origins,
    })
}

/// Keys of metadata that have the machine's name.
const NAMES: [&str; 3] = ["local-hostname", "local_hostname", "hostname"];

/// Values that cloud-init gives a name of their own, whatever the cloud calls them: the name, and the keys of metadata.
const STANDARD_VALUES: [(&str, &[&str]); 5] = [
    ("availability_zone", &["availability-zone", "availability_zone"]),
    ("cloud_name", &["cloud-name"]),
    ("instance_id", &["instance-id", "instance_id", "uuid", "droplet_id"]),
    ("platform", &["platform"]),
    ("region", &["region"]),
];

/// Instance data of a machine: what its metadata says, in YAML or JSON, over the name that it has anyway.
pub fn instance_data(metadata: &str, hostname: &str) -> InstanceData {
    let values = metadata_values(metadata);
    let value = |keys: &[&str]| keys.iter().find_map(|key| values.get(*key));
    let name = value(&NAMES).map_or(hostname, String::as_str);
    // Of a name with a domain, cloud-init's standard value has the first part.
    let short = first_label(name);
    let mut instance = InstanceData::of_hostname(name)
        .with("v1.local_hostname", short)
        .with("local_hostname", short);
    for (name, keys) in STANDARD_VALUES {
        if let Some(value) = value(keys) {
            instance = instance.with(format!("v1.{name}"), value).with(name, value);
        }
    }
    // OpenStack's and DigitalOcean's come under the usual name, too.
    if let Some(id) = value(&["uuid", "droplet_id"]) {
        instance = instance
            .with("ds.meta_data.instance_id", id)
            .with("ds.meta_data.instance-id", id);
    }
    for (key, value) in &values {
        // cloud-init knows each key with both signs.
        instance = instance.with(format!("ds.meta_data.{key}"), value);
        instance = instance.with(format!("ds.meta_data.{}", key.replace('-', "_")), value);
    }
    instance
}

/// Name that a machine's metadata gives it, if it is one for a node.
pub fn machine_name(metadata: &str) -> Option<HostName> {
    let values = metadata_values(metadata);
    let value = |key: &str| values.get(key).map(|name| name.to_ascii_lowercase());
    let full = ["node-name", "local-hostname", "local_hostname"]
        .into_iter()
        .filter_map(value);
    // OpenStack's has a domain that nobody else knows.
    let short = value("hostname").map(|name| first_label(&name).to_owned());
    full.chain(short).find_map(|name| name.parse().ok())
}

fn first_label(name: &str) -> &str {
    name.split_once('.').map_or(name, |(first, _)| first)
}

/// Values of metadata by their dotted keys. Lists have none.
fn metadata_values(metadata: &str) -> BTreeMap<String, String> {
    let document = Document::parse("meta-data", metadata).ok();
    let root = document.map(|document| document.root().to_json()).unwrap_or_default();
    let mut values = BTreeMap::new();
    let mut rest: Vec<(String, &Value)> = vec![(String::new(), &root)];
    while let Some((path, value)) = rest.pop() {
        match value {
            Value::Object(object) => rest.extend(object.iter().map(|(key, value)| {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                (path, value)
            })),
            Value::String(text) => drop(values.insert(path, text.clone())),
            Value::Number(number) => drop(values.insert(path, number.to_string())),
            _ => {}
        }
    }
    values
}

/// Leaves what the later steps of this boot need: the mark, and the files.
///
/// # Errors
/// When they cannot be written.
pub fn prepare(root: &Path, files: &[PlannedFile]) -> Result<(), ApplyError> {
    bootstrap_files::prepare(root, files)?;
    apply::write(root, &PlannedFile::public(paths::CLUSTER_API, ""))
}

/// Leaves the sentinel file by which infrastructure providers know that the machine has joined, once it has.
///
/// # Errors
/// When it cannot be written.
pub fn report_success(root: &Path, has_joined: impl FnOnce() -> bool) -> Result<(), ApplyError> {
    let is_open = below(root, paths::CLUSTER_API).exists() && !below(root, SENTINEL).exists();
    if is_open && has_joined() {
        apply::write(root, &PlannedFile::public(SENTINEL, SENTINEL_CONTENT))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use basalt_node_config::{ApiServerTrust, Clock, check};
    use proptest::prelude::*;
    use std::time::SystemTime;

    use super::*;

    const WORKER: &str = include_str!("../../join/tests/bootstrap-data/worker.yaml");

    fn read_worker(text: &str, metadata: &str) -> Result<Bootstrap, BootstrapDataError> {
        read("user-data", text, &instance_data(metadata, "basalt-1"), "basalt-1")
    }

    #[test]
    fn bootstrap_data_becomes_a_node_config() {
        let bootstrap = read_worker(WORKER, "instance-id: i-1\nlocal-hostname: worker-9\n").unwrap();
        let checked = check("node.yaml", &bootstrap.config, Clock::Unsure(SystemTime::now()));
        let (config, _) = checked.unwrap_or_else(|problems| panic!("{}", problems.brief()));
        assert_eq!(config.hostname.unwrap().as_str(), "worker-9");
        assert!(matches!(config.cluster.trust, ApiServerTrust::Pins { .. }));
        assert_eq!(config.kubelet.provider_id.as_deref(), Some("vsphere://4203-0001"));
        assert_eq!(config.taints[0].key.as_str(), cloud_config::UNINITIALIZED_TAINT);
        // Without metadata, the machine has the name that it gives itself.
        let bootstrap = read_worker(WORKER, "").unwrap();
        assert!(bootstrap.config.contains("\"hostname\": \"basalt-1\""));
    }

    #[test]
    fn warnings_are_lines_for_the_status() {
        let bootstrap = read_worker(WORKER, "").unwrap();
        let mut lines = WORKER.lines();
        let line = lines.position(|line| line.starts_with("users:")).unwrap() + 1;
        let told: Vec<_> = bootstrap.warning_lines().collect();
        assert_eq!(told.len(), 1, "{told:?}");
        let begin = format!("line {line} of user-data: `users` has no effect");
        let next = format!("line {} of user-data: `users` has no effect", line + 1);
        assert!(told[0].starts_with(&begin) || told[0].starts_with(&next), "{told:?}");
    }

    #[test]
    fn a_discovery_file_is_read_and_not_written() {
        const DISCOVERY_FILE: &str = include_str!("../../join/tests/bootstrap-data/discovery-file.yaml");
        let bootstrap = read_worker(DISCOVERY_FILE, "local-hostname: worker-9\n").unwrap();
        assert!(bootstrap.config.contains("BEGIN CERTIFICATE"));
        assert_eq!(bootstrap.files, []);
        // Other files are written.
        let azure = "-   path: /etc/kubernetes/azure.json\n    content: x\n-   path: /run/kubeadm/";
        let text = DISCOVERY_FILE.replacen("-   path: /run/kubeadm/", azure, 1);
        let bootstrap = read_worker(&text, "local-hostname: worker-9\n").unwrap();
        assert_eq!(bootstrap.files.len(), 1);
    }

    #[test]
    fn findings_of_the_check_have_the_lines_of_the_bootstrap_data() {
        let text = WORKER.replace("net.core.somaxconn = 4096", "net.ipv4.ip_forward = 0");
        let bootstrap = read_worker(&text, "").unwrap();
        let checked = check("user-data", &bootstrap.config, Clock::Unsure(SystemTime::now()));
        let told = bootstrap.told(&checked.map(|_| ()).unwrap_err());
        assert_eq!(told.iter().map(Problems::errors).sum::<usize>(), 1);
        let mut lines = text.lines();
        let line = lines.position(|line| line.contains("net.ipv4.ip_forward = 0"));
        let place = format!("user-data:{}:", line.unwrap() + 1);
        let brief = told[0].brief();
        assert!(brief.contains(&place) && brief.contains("ip_forward"), "{brief}");
        // Without a finding, nothing is told.
        let bootstrap = read_worker(WORKER, "").unwrap();
        let checked = check("user-data", &bootstrap.config, Clock::Unsure(SystemTime::now()));
        let (_, warnings) = checked.unwrap_or_else(|problems| panic!("{}", problems.brief()));
        assert_eq!(bootstrap.told(&warnings).is_empty(), warnings.is_empty());
    }

    #[test]
    fn what_is_no_bootstrap_data_is_refused_by_name() {
        for (text, expected) in [
            ("#!/bin/sh\nkubeadm join\n", "a script, which a node does not run"),
            ("{\"ignition\":{}}", "Ignition"),
            (
                "#cloud-config\nruncmd: [\"reboot\"]\n",
                "user-data:2:10: error: this command of `reboot` is not known",
            ),
        ] {
            let error = read_worker(text, "").unwrap_err();
            let BootstrapDataError::Text(problems) = error else {
                panic!("{error}")
            };
            assert!(problems.brief().contains(expected), "{}", problems.brief());
        }
    }

    #[test]
    fn files_wait_for_the_state_partition_and_success_for_the_join() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        report_success(root, || true).unwrap();
        assert!(!below(root, SENTINEL).exists(), "nobody expects it");
        assert!(bootstrap_files::settle(root).unwrap().is_empty());
        let file = PlannedFile::secret("/etc/kubernetes/azure.json", "{}");
        prepare(root, &[file]).unwrap();
        assert_eq!(bootstrap_files::settle(root).unwrap().len(), 1);
        assert_eq!(
            fs_err::read_to_string(below(root, "/etc/kubernetes/azure.json")).unwrap(),
            "{}"
        );
        report_success(root, || false).unwrap();
        assert!(!below(root, SENTINEL).exists());
        report_success(root, || true).unwrap();
        assert_eq!(fs_err::read_to_string(below(root, SENTINEL)).unwrap(), "success\n");
    }

    #[test]
    fn metadata_of_clouds() {
        for metadata in [
            "instance-id: i-1\nlocal-hostname: a\n",
            "{\"uuid\": \"u\", \"hostname\": \"a\", \"instance_id\": \"i-1\", \"keys\": [1]}",
        ] {
            let instance = instance_data(metadata, "b");
            let text = "## template: jinja\n#cloud-config\nruncmd: ['hostname {{ ds.meta_data.local_hostname }}', 'hostname {{ ds.meta_data.instance_id }}']\n";
            let problems = cloud_config::read("user-data", text, &instance).unwrap_err().brief();
            assert!(problems.contains("`a` before, and `i-1` here"), "{problems}");
        }
    }

    /// The value of a variable of instance data, as a host name that is refused shows it.
    fn variable(metadata: &str, name: &str) -> String {
        let text =
            format!("## template: jinja\n#cloud-config\nruncmd: ['hostname first', 'hostname {{{{ {name} }}}}']\n");
        let problems = cloud_config::read("user-data", &text, &instance_data(metadata, "own")).unwrap_err();
        let brief = problems.brief();
        let value = brief
            .split_once("before, and `")
            .and_then(|(_, rest)| rest.split_once("` here"));
        value.map_or(brief.clone(), |(value, _)| value.to_owned())
    }

    #[test]
    fn standard_names_of_instance_data() {
        let ec2 = r#"{"instance-id": "i-1", "local-hostname": "ip-10-0-0-1.ec2.internal", "region": "eu-west-1",
            "placement": {"availability-zone": "eu-west-1a"}, "cloud-name": "aws", "ami-id": null, "keys": ["a"]}"#;
        let openstack = r#"{"uuid": "762931c8", "hostname": "worker-9.novalocal", "name": "Worker 9"}"#;
        for (metadata, name, expected) in [
            (ec2, "ds.meta_data.local_hostname", "ip-10-0-0-1.ec2.internal"),
            (ec2, "v1.local_hostname", "ip-10-0-0-1"),
            (ec2, "ds.meta_data.placement.availability_zone", "eu-west-1a"),
            (ec2, "v1.region", "eu-west-1"),
            (ec2, "cloud_name", "aws"),
            (openstack, "local_hostname", "worker-9"),
            (openstack, "instance_id", "762931c8"),
            (openstack, "ds.meta_data.instance_id", "762931c8"),
            (openstack, "ds.meta_data.hostname", "worker-9.novalocal"),
            ("", "v1.local_hostname", "own"),
        ] {
            assert_eq!(variable(metadata, name), expected, "{name}");
        }
        assert!(variable(ec2, "ds.meta_data.ami-id").contains("has no `ds.meta_data.ami-id`"));
    }

    #[test]
    fn a_machine_is_called_as_its_cloud_calls_it() {
        for (metadata, expected) in [
            (
                "local-hostname: ip-10-0-0-1.ec2.internal\n",
                Some("ip-10-0-0-1.ec2.internal"),
            ),
            (
                r#"{"node-name": "pool-a", "local-hostname": "pool-a.c.project.internal"}"#,
                Some("pool-a"),
            ),
            (r#"{"uuid": "7", "hostname": "Worker-9.novalocal"}"#, Some("worker-9")),
            (r#"{"local-hostname": "not a name", "hostname": "a.b"}"#, Some("a")),
            ("instance-id: i-1\n", None),
            ("", None),
            ("- {", None),
        ] {
            assert_eq!(
                machine_name(metadata).as_ref().map(HostName::as_str),
                expected,
                "{metadata}"
            );
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in any::<String>(), metadata in any::<String>()) {
            let _ = machine_name(&metadata);
            let _ = read_worker(&text, &metadata);
            let _ = read_worker(&format!("#cloud-config\n{text}"), "");
        }
    }
}
