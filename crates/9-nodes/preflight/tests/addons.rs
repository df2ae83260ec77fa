//! Verdicts on manifests modelled after add-ons that people run, one golden file each; formats of the report.

#![cfg(test)]

mod fixture;

use std::collections::BTreeMap;

use basalt_preflight::{
    NodeFacts, PreflightDocument, PreflightError, UnreadSource, WorkloadVerdict, json_schema, sarif, text,
};

use fixture::{node, objects, result, root};

/// Report of a manifest on a node.
fn report(name: &str, text: &str, node: &NodeFacts, unread: &[UnreadSource]) -> PreflightDocument {
    PreflightDocument::new(&result(name, text, node), &objects(name, text), unread, node)
}

/// Manifests by name.
fn manifests() -> BTreeMap<String, String> {
    let folder = root().join("crates/9-nodes/preflight/tests/addons");
    let entries = fs_err::read_dir(folder).expect("a folder");
    let read = |entry: std::io::Result<fs_err::DirEntry>| {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        (name, fs_err::read_to_string(path).expect("read"))
    };
    entries.map(read).collect()
}

#[test]
fn add_ons_get_their_verdicts() {
    let node = node();
    let manifests = manifests();
    assert!(manifests.len() >= 15, "only {} manifests", manifests.len());
    for (name, manifest) in manifests {
        let report = report(&format!("{name}.yaml"), &manifest, &node, &[]);
        insta::assert_snapshot!(name, text(&report));
    }
}

/// Worst verdict of each manifest: what a person would say of the add-on.
#[test]
fn add_ons_run_or_do_not() {
    let node = node();
    let expected = [
        ("calico", None),
        ("cert_manager", None),
        ("cilium", Some(WorkloadVerdict::Note)),
        ("csi_nfs", None),
        ("csi_san", Some(WorkloadVerdict::WillNotRun)),
        ("datadog", Some(WorkloadVerdict::WillNotRun)),
        ("elasticsearch", Some(WorkloadVerdict::RunsOtherwise)),
        ("falco", Some(WorkloadVerdict::WillNotRun)),
        ("falco_modern", None),
        ("fluent_bit", Some(WorkloadVerdict::RunsOtherwise)),
        ("istio", None),
        ("kured", Some(WorkloadVerdict::RunsOtherwise)),
        ("linkerd", Some(WorkloadVerdict::Note)),
        ("longhorn", Some(WorkloadVerdict::WillNotRun)),
        ("node_exporter", None),
        ("node_problem_detector", Some(WorkloadVerdict::Note)),
        ("nvidia", Some(WorkloadVerdict::WillNotRun)),
        ("openebs", Some(WorkloadVerdict::WillNotRun)),
        ("rook", None),
    ];
    let worst: BTreeMap<String, Option<WorkloadVerdict>> = manifests()
        .iter()
        .map(|(name, manifest)| {
            let result = result(name, manifest, &node);
            (
                name.clone(),
                result.findings.iter().map(|finding| finding.rule.verdict).max(),
            )
        })
        .collect();
    let expected: BTreeMap<String, Option<WorkloadVerdict>> =
        expected.map(|(name, worst)| (name.to_owned(), worst)).into();
    assert_eq!(worst, expected);
}

fn example() -> PreflightDocument {
    let manifest = "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: agent, namespace: tools}\nspec:\n  template:\n    spec:\n      \
                    containers: [{name: main, image: 'i386/agent:1'}]\n      volumes:\n        - name: socket\n          \
                    hostPath: {path: /var/run/docker.sock, type: Socket}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: agent}\n---\n\
                    apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: web}\n";
    let unread = UnreadSource {
        source: "charts/x.yaml".to_owned(),
        reason: "line 3: this is not YAML".to_owned(),
    };
    report("a b/agent.yaml", manifest, &node(), &[unread])
}

#[test]
fn reports_in_all_formats() {
    let mut report = serde_json::to_value(example()).expect("JSON");
    report["node"]["kernel"] = "6.12".into();
    insta::assert_snapshot!("report_json", serde_json::to_string_pretty(&report).expect("text"));
    let mut sarif = sarif(&example());
    sarif["runs"][0]["tool"]["driver"]["version"] = "0".into();
    insta::assert_snapshot!("report_sarif", serde_json::to_string_pretty(&sarif).expect("text"));
    insta::assert_snapshot!("report_text", text(&example()).replace(&node().kernel.release, "6.12"));
}

#[test]
fn what_is_rendered_makes_a_report_incomplete() {
    let is_complete = |group: &str, kind: &str, rest: &str| {
        let text = format!("apiVersion: {group}/v1\nkind: {kind}\nmetadata: {{name: a}}\n{rest}");
        report("a.yaml", &text, &node(), &[]).is_complete()
    };
    assert!(!is_complete("kustomize.toolkit.fluxcd.io", "Kustomization", ""));
    assert!(!is_complete("template.openshift.io", "Template", "objects: []\n"));
    // A file of kustomize itself: it makes nothing but what its files have, or more.
    assert!(is_complete("kustomize.config.k8s.io", "Kustomization", ""));
    for rest in ["helmCharts: [{name: web}]\n", "resources: [../base]\n"] {
        assert!(!is_complete("kustomize.config.k8s.io", "Kustomization", rest), "{rest}");
    }
}

#[test]
fn a_node_config_counts_over_facts_once() {
    let config = format!(
        "{}kubelet: {{allowedUnsafeSysctls: [net.core.*]}}\nsysctls: {{vm.nr_hugepages: 64}}\n",
        include_str!("../src/facts/node.yaml")
    );
    let facts = node().with_config("node.yaml", &config).expect("facts");
    assert_eq!(facts.kubelet.allowed_unsafe_sysctls, ["net.core.*"]);
    assert_eq!(facts.sysctls.get("vm.nr_hugepages").map(String::as_str), Some("64"));
    assert_eq!(
        facts.sysctls.get("vm.max_map_count"),
        node().sysctls.get("vm.max_map_count")
    );
    let written: NodeFacts = serde_json::from_str(&facts.to_json()).expect("read");
    assert_eq!(written, facts);
    let again = written.with_config("node.yaml", &config);
    assert!(matches!(again, Err(PreflightError::OfNodeConfig)));
    assert!(node().with_config("node.yaml", "kind: NodeConfig\n").is_err());
}

#[test]
fn the_published_schema_is_current() {
    let path = root().join("schemas/preflight.json");
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        fs_err::write(&path, json_schema()).expect("written");
    }
    let published = fs_err::read_to_string(&path).unwrap_or_default();
    assert!(
        published == json_schema(),
        "{} is out of date: run the tests with UPDATE_SCHEMAS=1",
        path.display()
    );
    let report = serde_json::to_string(&example()).expect("JSON");
    assert_eq!(
        serde_json::from_str::<PreflightDocument>(&report).expect("read"),
        example()
    );
}

#[test]
fn what_is_not_for_the_node_is_left_out() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: win}\nspec:\n  nodeSelector: {kubernetes.io/os: windows}\n  \
                containers: [{name: main, image: i386/x}]\n---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: owned\n  \
                ownerReferences: [{kind: ReplicaSet, name: x, controller: true}]\nspec:\n  containers: [{name: main, image: i386/x}]\n---\n\
                apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: custom}\nspec:\n  template:\n    spec:\n      \
                containers: [{name: main, image: i386/x}]\n---\napiVersion: v1\nkind: Service\nmetadata: {name: s}\n---\n\
                apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: x}\nspec:\n  template:\n    spec:\n      \
                containers: [{name: main, image: i386/x}]\n";
    let result = result("mixed.yaml", text, &node());
    assert_eq!(result.foreign.len(), 1);
    assert_eq!(result.skipped, BTreeMap::from([("Service".to_owned(), 1)]));
    let objects = objects("mixed.yaml", text);
    let reported: Vec<_> = result
        .findings
        .iter()
        .filter_map(|finding| objects.get(finding.object))
        .collect();
    assert_eq!(
        reported.iter().map(|object| object.id.to_string()).collect::<Vec<_>>(),
        ["Rollout custom", "ReplicaSet x"]
    );
}

#[test]
fn what_a_controller_made_that_is_not_read_is_looked_at() {
    // What an operator deploys, and the pods of `kubectl get pods -o yaml`.
    let owned = |kind: &str, owner: &str| {
        format!(
            "apiVersion: v1\nkind: {kind}\nmetadata:\n  name: {owner}\n  ownerReferences: [{{kind: {owner}, name: o, controller: \
             true}}]\nspec:\n  containers: [{{name: main, image: i386/x}}]\n---\n"
        )
    };
    let policy =
        "apiVersion: nvidia.com/v1\nkind: ClusterPolicy\nmetadata: {name: o}\nspec: {driver: {enabled: true}}\n";
    let text = owned("Pod", "ReplicaSet") + &owned("DaemonSet", "ClusterPolicy") + policy;
    let result = result("owned.yaml", &text, &node());
    assert_eq!(result.examined, 2);
    let found: Vec<_> = result.findings.iter().map(|finding| finding.object).collect();
    assert_eq!(found, [0, 1]);
    assert_eq!(result.skipped, BTreeMap::from([("ClusterPolicy".to_owned(), 1)]));
}
