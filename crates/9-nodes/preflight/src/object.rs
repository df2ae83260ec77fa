//! Objects of Kubernetes as they are read: identity, tree, origin.

use std::fmt;
use std::sync::Arc;

use basalt_document::{Document, DocumentNode, Entry, Kind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::field::Field;
use crate::kustomization;

/// Identity of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectId {
    /// Kind: `DaemonSet`.
    pub kind: String,
    /// Namespace; `None` for objects that have none, and where the manifest leaves it open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name, or the prefix of a generated one with `*`.
    pub name: String,
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.kind)?;
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        f.write_str(&self.name)
    }
}

/// Object with its tree and its origin.
#[derive(Debug, Clone)]
pub struct ManifestObject {
    /// Identity.
    pub id: ObjectId,
    /// Group and version: `apps/v1`.
    pub api_version: String,
    node: DocumentNode,
    origin: Option<Origin>,
}

/// Document that an object is from.
#[derive(Debug, Clone)]
struct Origin {
    document: Arc<Document>,
    number: usize,
}

/// Position of a byte of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FilePosition {
    /// Path of the file; `-` for standard input.
    pub(crate) file: String,
    /// Document in the file, counted from 1.
    pub(crate) document: usize,
    /// Line, counted from 1.
    pub(crate) line: usize,
    /// Column in characters, counted from 1.
    pub(crate) column: usize,
}

impl ManifestObject {
    /// Objects of a document: itself, or the items of a list. Documents that are no objects of Kubernetes (values of a
    /// chart) have none; a kustomization may have no kind.
    pub fn of_document(document: Document, number: usize) -> Vec<Self> {
        let document = Arc::new(document);
        let origin = Origin {
            document: Arc::clone(&document),
            number,
        };
        let mut objects = Vec::new();
        let default = kustomization::kind_of(&document);
        visit(document.root(), None, &mut |node, of_list| {
            let object = Self::of_node(node.clone(), of_list.or(default));
            let origin = Some(origin.clone());
            objects.extend(object.map(|object| Self { origin, ..object }));
        });
        objects
    }

    /// Objects of a document that have a kind but no apiVersion, each by the place of its kind and the kind. A document with a
    /// kind alone is none: charts' values have that key, too.
    pub(crate) fn without_version(document: &Document) -> Vec<(usize, &str)> {
        let mut found = Vec::new();
        visit(document.root(), None, &mut |node, of_list| {
            let object = Field::root(node);
            if let Some(kind) = object.text_of("kind")
                && of_list.is_none()
                && object.get("apiVersion").is_none()
                && (object.get("metadata").is_some() || object.get("spec").is_some())
            {
                let offset = node.get("kind").map_or(node.span.start, |kind| kind.key_span.start);
                found.push((offset, kind));
            }
        });
        found
    }

    /// Objects of an answer of the API server: one, or a list whose items lack kind and apiVersion.
    pub fn of_answer(value: &Value, kind: &str, api_version: &str) -> Vec<Self> {
        let items = match value.get("items").and_then(Value::as_array) {
            Some(items) => items.iter().collect(),
            None => vec![value],
        };
        let read = |item: &Value| Self::of_node(tree(item), Some((kind, api_version)));
        items.into_iter().filter_map(read).collect()
    }

    fn of_node(node: DocumentNode, default: Option<(&str, &str)>) -> Option<Self> {
        let root = Field::root(&node);
        let own = root.text_of("kind").zip(root.text_of("apiVersion"));
        let (kind, api_version) = own.or(default)?;
        let metadata = root.get("metadata");
        let text = |key: &str| metadata.as_ref()?.text_of(key).map(str::to_owned);
        let generated = || text("generateName").map(|prefix| format!("{prefix}*"));
        let id = ObjectId {
            kind: kind.to_owned(),
            namespace: text("namespace"),
            name: text("name")
                .or_else(generated)
                .unwrap_or_else(|| "(no name)".to_owned()),
        };
        let api_version = api_version.to_owned();
        Some(Self {
            id,
            api_version,
            node,
            origin: None,
        })
    }

    /// API group; empty for the core group.
    pub(crate) fn group(&self) -> &str {
        self.api_version.rsplit_once('/').map_or("", |(group, _)| group)
    }

    /// Tree of the whole object.
    pub(crate) fn node(&self) -> &DocumentNode {
        &self.node
    }

    /// Cursor at the whole object.
    pub(crate) fn root(&self) -> Field<'_> {
        Field::root(&self.node)
    }

    /// File that the object is from; `None` for objects of a cluster.
    pub(crate) fn file(&self) -> Option<&str> {
        self.origin.as_ref().map(|origin| origin.document.name())
    }

    /// Position of a byte, for objects of files.
    pub(crate) fn position(&self, offset: usize) -> Option<FilePosition> {
        let Origin { document, number } = self.origin.as_ref()?;
        let (line, column) = document.line_and_column(offset);
        Some(FilePosition {
            file: document.name().to_owned(),
            document: *number,
            line,
            column,
        })
    }

    /// Identity of the object that this one was made from and is kept by; `None` for one that nobody controls.
    pub(crate) fn controller(&self) -> Option<ObjectId> {
        let owners = self.root().at(&["metadata", "ownerReferences"])?.items();
        let owner = owners.into_iter().find(|owner| owner.is_set("controller"))?;
        Some(ObjectId {
            kind: owner.text_of("kind")?.to_owned(),
            namespace: self.id.namespace.clone(),
            name: owner.text_of("name")?.to_owned(),
        })
    }
}

/// Kind and apiVersion that a list of one kind gives to its items: `PodList` of `v1`, as the API server answers. Items of a
/// `List` have their own.
type OfList<'n> = Option<(&'n str, &'n str)>;

/// Calls a function with the nodes of a tree that can be objects: the root, or the items of a list.
fn visit<'n>(node: &'n DocumentNode, of_list: OfList<'n>, found: &mut impl FnMut(&'n DocumentNode, OfList<'n>)) {
    let root = Field::root(node);
    let of_items = root.text_of("kind").and_then(|kind| kind.strip_suffix("List"));
    match (node.get("items").map(|items| &items.value.kind), of_items) {
        (Some(Kind::List(items)), Some(kind)) => {
            let of_items = Some(kind)
                .filter(|kind| !kind.is_empty())
                .zip(root.text_of("apiVersion"));
            items.iter().for_each(|item| visit(item, of_items, found));
        }
        _ => found(node, of_list.filter(|_| root.get("metadata").is_some())),
    }
}

/// Tree of a JSON value, without places.
fn tree(value: &Value) -> DocumentNode {
    let kind = match value {
        Value::Null => Kind::Null,
        Value::Bool(value) => Kind::Bool(*value),
        Value::Number(number) => Kind::Number(number.clone(), number.to_string()),
        Value::String(text) => Kind::Text(text.clone()),
        Value::Array(items) => Kind::List(items.iter().map(tree).collect()),
        Value::Object(keys) => Kind::Object(
            keys.iter()
                .map(|(key, value)| Entry {
                    key: key.clone(),
                    key_span: 0..0,
                    value: tree(value),
                })
                .collect(),
        ),
    };
    DocumentNode { span: 0..0, kind }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(text: &str) -> Vec<String> {
        let documents = Document::parse_stream("a.yaml", text).expect("YAML");
        let read = |(number, document)| ManifestObject::of_document(document, number + 1);
        let objects = documents.into_iter().enumerate().flat_map(read);
        objects.map(|object| object.id.to_string()).collect()
    }

    #[test]
    fn lists_are_taken_apart() {
        let text = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: a, namespace: n}}\n\
                    - apiVersion: v1\n  kind: ConfigMapList\n  items: [{apiVersion: v1, kind: ConfigMap, metadata: {generateName: b-}}]\n\
                    ---\n# a chart's values\nimage: {tag: 1}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: 7}\n";
        assert_eq!(objects(text), ["Pod n/a", "ConfigMap b-*", "Namespace 7"]);
    }

    #[test]
    fn items_of_a_list_of_one_kind_are_of_that_kind() {
        let text = "apiVersion: apps/v1\nkind: DeploymentList\nitems:\n- {metadata: {name: a}, spec: {}}\n- {kind: Deployment, metadata: {name: b}}\n\
                    ---\napiVersion: v1\nkind: List\nitems: [{metadata: {name: c}}]\n\
                    ---\napiVersion: v1\nkind: AllowList\nitems: [a, {b: c}]\n";
        assert_eq!(objects(text), ["Deployment a", "Deployment b"]);
        let documents = Document::parse_stream("a.yaml", text).expect("YAML");
        assert!(
            documents
                .iter()
                .all(|document| ManifestObject::without_version(document).is_empty())
        );
    }

    #[test]
    fn an_object_names_its_controller() {
        let owned = |owners: &str| {
            let text = format!(
                "apiVersion: v1\nkind: Pod\nmetadata: {{name: a, namespace: n, ownerReferences: [{owners}]}}\n"
            );
            let documents = Document::parse_stream("a.yaml", &text).expect("YAML");
            let document = documents.into_iter().next().expect("one");
            let controller = ManifestObject::of_document(document, 1).remove(0).controller();
            controller.map(|owner| owner.to_string())
        };
        let other = "{kind: ConfigMap, name: c}";
        let set = "{kind: ReplicaSet, name: r, controller: true}";
        assert_eq!(owned(&format!("{other}, {set}")).as_deref(), Some("ReplicaSet n/r"));
        assert_eq!(owned(other), None);
        assert_eq!(owned(""), None);
    }
}
