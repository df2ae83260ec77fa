//! Defects of files with objects: templates that nobody has rendered, and objects without what their kind requires. YAML reads
//! them, the API server would refuse them, and rules would find nothing in them.

use basalt_document::{Document, DocumentNode, Kind};

use crate::ManifestObject;
use crate::examine::is_read;
use crate::pod::Pod;

/// Defect of a document or of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Defect {
    /// First byte of what is wrong, in the file.
    pub(super) offset: usize,
    /// Fault, and what helps.
    pub(super) reason: String,
}

/// Keys below which texts are for programs that have templates of their own: formats of kubectl, Vault's agent.
const OF_PROGRAMS: [&str; 4] = ["annotations", "args", "command", "env"];
/// Parts of actions that charts have, and templates of programs do not.
const OF_CHARTS: [&str; 6] = [
    ".Capabilities.",
    ".Chart.",
    ".Files.",
    ".Release.",
    ".Values.",
    "include \"",
];

/// Template in place of a value or a key: `name: {{ .Release.Name }}`. YAML reads an object whose key is an object, which
/// nothing in Kubernetes is.
pub(super) fn of_document(document: &Document, text: &str) -> Option<Defect> {
    let root = document.root();
    // Other files than manifests may have what they want.
    let is_manifest = root.get("apiVersion").is_some() || root.get("kind").is_some();
    let offset = is_manifest.then(|| bare_action(root, text)).flatten()?;
    Some(template(offset))
}

/// Template in quotes (`image: "{{ .Values.image }}"`), or an object that is not complete.
pub(super) fn of_object(object: &ManifestObject) -> Option<Defect> {
    let is_read = is_read(object);
    let template = quoted_template(object, is_read).map(template);
    template
        .or_else(|| without_list(object))
        .or_else(|| incomplete(object).filter(|_| !is_read))
}

fn template(offset: usize) -> Defect {
    Defect {
        offset,
        reason: "this is a template (render the chart with `helm template`, and read what that writes)".to_owned(),
    }
}

/// First byte of an action without quotes.
fn bare_action(node: &DocumentNode, text: &str) -> Option<usize> {
    match &node.kind {
        Kind::Object(entries) => entries.iter().find_map(|entry| {
            let key = text.get(entry.key_span.clone()).unwrap_or_default();
            // The name of a key that is no word is empty.
            let is_action = entry.key.is_empty() && key.starts_with('{');
            let offset = is_action.then_some(entry.key_span.start);
            offset.or_else(|| bare_action(&entry.value, text))
        }),
        Kind::List(items) => items.iter().find_map(|item| bare_action(item, text)),
        _ => None,
    }
}

/// First byte of a text of an object that a chart would have rendered.
fn quoted_template(object: &ManifestObject, is_read: bool) -> Option<usize> {
    let node = object.node();
    // ConfigMaps hold templates of programs, charts of operators among them; so do objects of other kinds.
    if object.id.kind == "ConfigMap" || !is_read {
        return quoted_action(&node.get("metadata")?.value, false);
    }
    let group = object.group();
    let is_custom = group.contains('.') && !group.ends_with(".k8s.io");
    quoted_action(node, is_custom)
}

/// First byte of a text with an action: any action, or one of a chart where the text is for a program.
fn quoted_action(node: &DocumentNode, is_of_program: bool) -> Option<usize> {
    match &node.kind {
        Kind::Text(text) => is_action(text, is_of_program).then_some(node.span.start),
        Kind::List(items) => items.iter().find_map(|item| quoted_action(item, is_of_program)),
        Kind::Object(entries) => entries.iter().find_map(|entry| {
            let is_of_program = is_of_program || OF_PROGRAMS.contains(&entry.key.as_str());
            quoted_action(&entry.value, is_of_program)
        }),
        _ => None,
    }
}

fn is_action(text: &str, is_of_program: bool) -> bool {
    let mut actions = text.split("{{").skip(1).filter_map(|rest| rest.split_once("}}"));
    actions.any(|(action, _)| !is_of_program || OF_CHARTS.iter().any(|part| action.contains(part)))
}

/// Object with pods whose containers are no list, so that rules would find none.
pub(super) fn without_list(object: &ManifestObject) -> Option<Defect> {
    if !is_of_pods(object) {
        return None;
    }
    let place = Pod::without_list(&object.root())?;
    Some(Defect {
        offset: place.offset,
        reason: format!(
            "{}: `{}` is no list, and the object was not looked at (the API server would refuse it)",
            object.id, place.path
        ),
    })
}

/// Returns `true` for kinds of Kubernetes' own that are pods or have a template of them.
fn is_of_pods(object: &ManifestObject) -> bool {
    matches!(
        (object.group(), object.id.kind.as_str()),
        ("", "Pod" | "PodTemplate" | "ReplicationController")
            | ("apps", "DaemonSet" | "Deployment" | "ReplicaSet" | "StatefulSet")
            | ("batch", "CronJob" | "Job")
    )
}

/// Defect of an object that rules do not read, if it is of a kind of Kubernetes' own that they do: it lacks what they look at.
fn incomplete(object: &ManifestObject) -> Option<Defect> {
    let lacks = match (object.group(), object.id.kind.as_str()) {
        _ if is_of_pods(object) => "containers",
        ("", "PersistentVolume") => "volume",
        ("node.k8s.io", "RuntimeClass") => "handler",
        _ => return None,
    };
    Some(Defect {
        offset: object.node().span.start,
        reason: format!(
            "{} has no {lacks} (the API server would refuse it; of a patch, read what `kubectl kustomize` makes with it)",
            object.id
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of the defects of a text, with their reasons up to what helps.
    fn defects(text: &str) -> Vec<String> {
        let documents = Document::parse_stream("a.yaml", text).expect("YAML");
        let of = |document: Document| {
            let show = |defect: &Defect| {
                let line = text.get(..defect.offset).expect("a place").lines().count().max(1);
                let reason = defect.reason.split(" (").next().expect("a reason");
                format!("{line}: {reason}")
            };
            match of_document(&document, text) {
                Some(defect) => vec![show(&defect)],
                None => {
                    let objects = ManifestObject::of_document(document, 1);
                    objects
                        .iter()
                        .filter_map(of_object)
                        .map(|defect| show(&defect))
                        .collect()
                }
            }
        };
        documents.into_iter().flat_map(of).collect()
    }

    #[test]
    fn actions_without_quotes_are_templates() {
        for (text, line) in [
            ("apiVersion: v1\nkind: Service\nmetadata: {name: {{ .Values.x }}}\n", 3),
            (
                "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {{ include \"chart.name\" . }}\nspec: {}\n",
                4,
            ),
            (
                "apiVersion: {{ .Values.version }}\nkind: Deployment\nmetadata: {name: a}\n",
                1,
            ),
            (
                "apiVersion: v1\nkind: Service\nmetadata:\n  labels:\n    {{ .Values.key }}: value\n",
                5,
            ),
        ] {
            assert_eq!(defects(text), [format!("{line}: this is a template")], "{text}");
        }
        // No manifest, and names that are empty indeed.
        assert_eq!(defects("image: {{ .Values.image }}\n"), [] as [&str; 0]);
        assert_eq!(
            defects("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {\"\": x}\n"),
            [] as [&str; 0]
        );
    }

    #[test]
    fn actions_in_quotes_are_templates_where_no_program_reads_them() {
        let pod = |metadata: &str, container: &str| {
            format!("apiVersion: v1\nkind: Pod\nmetadata: {metadata}\nspec:\n  containers:\n    - {container}\n")
        };
        let template = ["this is a template"];
        let found = |text: &str| -> Vec<String> {
            let defects = defects(text);
            defects
                .iter()
                .filter_map(|defect| Some(defect.split_once(": ")?.1.to_owned()))
                .collect()
        };
        for text in [
            pod("{name: a}", "{name: a, image: \"{{ .Values.image }}\"}"),
            pod("{name: a}", "{name: a, image: \"registry/{{ $tag }}\"}"),
            pod("{name: \"{{ .Release.Name }}\"}", "{name: a, image: b}"),
            pod(
                "{name: a, annotations: {a: \"{{ .Chart.Version }}\"}}",
                "{name: a, image: b}",
            ),
            pod(
                "{name: a}",
                "{name: a, image: b, args: [\"--level={{ .Values.level }}\"]}",
            ),
            "apiVersion: v1\nkind: Service\nmetadata: {name: '{{ include \"name\" . }}'}\n".to_owned(),
        ] {
            assert_eq!(found(&text), template, "{text}");
        }
        for text in [
            pod(
                "{name: a, annotations: {vault: \"{{ with secret \\\"x\\\" }}{{ .Data.data.x }}{{ end }}\"}}",
                "{name: a, image: b}",
            ),
            pod("{name: a}", "{name: a, image: b, command: [kubectl, \"-o=go-template={{ .items }}\"]}"),
            pod("{name: a}", "{name: a, image: b, env: [{name: F, value: \"{{.Names}}\"}]}"),
            pod("{name: a}", "{name: a, image: \"b:{{\"}"),
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: injector}\ndata: {x: \"{{ .Values.global.hub }}\"}\n".to_owned(),
            "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {name: a}\nspec: {x: \"{{ $labels.pod }}\"}\n".to_owned(),
            "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: a}\nspec:\n  note: \"{{ args.x }}\"\n  template:\n    \
             spec:\n      containers: [{name: a, image: b}]\n".to_owned(),
        ] {
            assert_eq!(found(&text), [] as [&str; 0], "{text}");
        }
    }

    #[test]
    fn containers_that_are_no_list_are_named() {
        let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers: {name: a, image: b}\n---\n\
                    apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: c, namespace: n}\nspec: {jobTemplate: {spec: {template: {spec: {\
                    initContainers: a, containers: [{name: a, image: b}]}}}}}\n---\n\
                    apiVersion: v1\nkind: Pod\nmetadata: {name: none}\nspec: {containers: null}\n---\n\
                    apiVersion: example.org/v1\nkind: Pod\nmetadata: {name: other}\nspec: {containers: {a: b}}\n---\n\
                    apiVersion: v1\nkind: Pod\nmetadata: {name: good}\nspec: {initContainers: null, containers: [{name: a, image: b}]}\n";
        let found: Vec<String> = defects(text)
            .iter()
            .filter_map(|defect| Some(defect.split_once(": ")?.1.to_owned()))
            .collect();
        let expected = [
            "Pod p: `spec.containers` is no list, and the object was not looked at",
            "CronJob n/c: `spec.jobTemplate.spec.template.spec.initContainers` is no list, and the object was not looked at",
            "Pod none has no containers",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn objects_without_what_their_kind_requires_are_named() {
        let text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x, namespace: n}\n---\n\
                    apiVersion: batch/v1\nkind: Job\nmetadata: {name: y}\nspec: {template: {spec: {containers: []}}}\n---\n\
                    apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: z}\nspec: {capacity: {storage: 1Gi}}\n---\n\
                    apiVersion: node.k8s.io/v1\nkind: RuntimeClass\nmetadata: {name: r}\n---\n\
                    apiVersion: batch.volcano.sh/v1alpha1\nkind: Job\nmetadata: {name: other}\n---\n\
                    apiVersion: v1\nkind: Service\nmetadata: {name: s}\n---\n\
                    apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a, image: b}]}\n";
        let found: Vec<String> = defects(text)
            .iter()
            .filter_map(|defect| Some(defect.split_once(": ")?.1.to_owned()))
            .collect();
        assert_eq!(
            found,
            [
                "Deployment n/x has no containers",
                "Job y has no containers",
                "PersistentVolume z has no volume",
                "RuntimeClass r has no handler",
            ]
        );
    }
}
