//! `basalt preflight` with the facts of the image that the checkout builds.

use basalt_document::Document;
use basalt_preflight::{ManifestObject, NodeFacts, RuleExample, Storage, examine, rules};
use basalt_test_environment::{Failed, TestDirectory, ensure, has_all};

use crate::fixture::Fixture;

/// Folder of the manifests that are modelled after add-ons.
const ADDONS: &str = "crates/9-nodes/preflight/tests/addons";

/// Paths of the host that charts mount, and the file systems that they are on (docs/node/host-paths.md).
const HOST_PATHS: &[(&str, Storage)] = &[
    ("/data/minio", Storage::State),
    ("/etc/cni/net.d", Storage::State),
    ("/etc/iscsi/initiatorname.iscsi", Storage::State),
    ("/etc/kubernetes/manifests", Storage::State),
    ("/etc/multipath/bindings", Storage::State),
    ("/etc/nvme/hostnqn", Storage::State),
    ("/home/user", Storage::State),
    ("/mnt/disks", Storage::State),
    ("/opt/cni/bin", Storage::State),
    ("/root/.docker", Storage::State),
    ("/srv/data", Storage::State),
    ("/usr/libexec/kubernetes/kubelet-plugins/volume/exec", Storage::State),
    ("/usr/local/bin", Storage::State),
    ("/var/lib/kubelet/plugins_registry", Storage::State),
    ("/run/udev", Storage::Memory),
    ("/etc/containerd/certs.d", Storage::Overlay),
    ("/sys/kernel/debug/tracing", Storage::Kernel),
    ("/longhorn", Storage::Image),
    ("/usr/share/elasticsearch", Storage::Image),
];

/// Facts of the node, from the command.
fn facts(fixture: &Fixture<'_>) -> Result<NodeFacts, Failed> {
    let folder = fixture.folder(
        "preflight-facts",
        &[("pod.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n")],
    )?;
    let (file, pod) = (folder.join("facts.json"), folder.join("pod.yaml"));
    fixture.run(&["preflight", pod.as_str(), "--write-facts", file.as_str()], 0)?;
    Ok(NodeFacts::read(&file)?)
}

/// Returns `true` if a rule reports an example on a node, with the example's changes.
fn is_reported(id: &str, example: &RuleExample, node: &NodeFacts) -> Result<bool, Failed> {
    let mut node = node.clone();
    example.changes.iter().for_each(|change| change.apply(&mut node));
    let documents = Document::parse_stream("example.yaml", &example.manifest())?;
    let read = |(document, number)| ManifestObject::of_document(document, number);
    let objects: Vec<_> = documents.into_iter().zip(1..).flat_map(read).collect();
    let result = examine(&objects, &node, None);
    Ok(result.findings.iter().any(|finding| finding.rule.id == id))
}

pub fn examples_hold_for_the_image(directory: &TestDirectory) -> Result<(), Failed> {
    let node = facts(&Fixture::of(directory))?;
    let mut wrong = Vec::new();
    // The options of add-ons are not at hand here; `addons` holds them.
    for rule in rules().iter().filter(|rule| rule.id != "addon-kernel-option") {
        let examples = rule.examples.iter().map(|example| (example, true));
        let counter_examples = rule.counter_examples.iter().map(|example| (example, false));
        for (example, expected) in examples.chain(counter_examples) {
            if is_reported(rule.id, example, &node)? != expected {
                let manifest = example.manifest();
                wrong.push(format!("{}: reported is {}\n{manifest}", rule.id, !expected));
            }
        }
    }
    ensure(wrong.is_empty(), || wrong.join("\n"))
}

pub fn facts_are_those_of_the_image(directory: &TestDirectory) -> Result<(), Failed> {
    let node = facts(&Fixture::of(directory))?;
    ensure(
        node.kernel.options.len() > 500 && node.kernel.modules.len() > 200,
        || {
            format!(
                "{} options, {} modules",
                node.kernel.options.len(),
                node.kernel.modules.len()
            )
        },
    )?;
    for path in [
        "/usr/bin/mount",
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/ssl/cert.pem",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
        "/usr/share/ca-certificates/ca-certificates.crt",
        "/lib/modules",
        "/opt/cni/bin",
        "/sys/kernel/debug",
        "/usr/local/bin",
    ] {
        ensure(node.locate(path).is_there(), || {
            format!("{path}: {:?}", node.locate(path))
        })?;
    }
    for (path, storage) in HOST_PATHS {
        let located = node.locate(path);
        ensure(located.storage == *storage, || {
            format!("{path} is not on {storage:?}: {located:?}")
        })?;
    }
    ensure(node.os_release.get("ID").is_some_and(|id| id == "basalt"), || {
        format!("{:?}", node.os_release)
    })?;
    ensure(node.sysctls.contains_key("vm.max_map_count"), || {
        format!("{:?}", node.sysctls)
    })
}

pub fn exit_codes_tell_findings_from_failures(directory: &TestDirectory) -> Result<(), Failed> {
    let fixture = &Fixture::of(directory);
    let addons = directory.environment.checkout.join(ADDONS);
    let of = |name: &str| addons.join(name).to_string();
    let fine = fixture.run(&["preflight", &of("cert_manager.yaml")], 0)?;
    has_all(&fine.stdout, &["nothing found", "Service (1)"])?;
    let found = fixture.run(&["preflight", &of("nvidia.yaml")], 1)?;
    has_all(
        &found.stdout,
        &["will-not-run", "driver-container", "RuntimeClass nvidia"],
    )?;
    fixture.run(
        &["preflight", "--fail-on", "will-not-run", &of("elasticsearch.yaml")],
        0,
    )?;
    fixture.run(&["preflight", "/nowhere.yaml"], 2)?;
    let folder = fixture.folder("preflight-unread", &[("broken.yaml", "a: [\n")])?;
    let unread = fixture.run(&["preflight", folder.as_str()], 2)?;
    has_all(&unread.stdout, &["not read", "broken.yaml"])?;
    let role = fixture.run(&["preflight", "--rbac"], 0)?;
    has_all(&role.stdout, &["kind: ClusterRole", "name: basalt-preflight"])
}
