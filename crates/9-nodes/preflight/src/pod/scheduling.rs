//! Conditions on nodes: labels that they must have, and taints that are tolerated.

use crate::field::Field;
use crate::place::Place;

/// Label that a node has to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LabelRequest {
    pub(crate) key: String,
    /// Values, one of which will do; empty if any value will.
    pub(crate) values: Vec<String>,
    pub(crate) place: Place,
}

/// Labels that a pod requires of its node. Expressions that exclude nodes, and preferences, are no requirements.
pub(super) fn labels(spec: &Field<'_>) -> Vec<LabelRequest> {
    let selector = spec
        .get("nodeSelector")
        .map(|field| field.entries())
        .unwrap_or_default();
    let selected = selector.into_iter().map(|(key, value)| LabelRequest {
        key: key.to_owned(),
        values: value.text().map(str::to_owned).into_iter().collect(),
        place: value.place(),
    });
    let terms = spec.at(&[
        "affinity",
        "nodeAffinity",
        "requiredDuringSchedulingIgnoredDuringExecution",
        "nodeSelectorTerms",
    ]);
    let terms = terms.map(|field| field.items()).unwrap_or_default();
    // With several terms, one of them will do.
    let only = if terms.len() == 1 { terms } else { Vec::new() };
    let expressions = only.iter().flat_map(|term| term.list("matchExpressions"));
    selected
        .chain(expressions.filter_map(|field| request(&field)))
        .collect()
}

fn request(field: &Field<'_>) -> Option<LabelRequest> {
    let values = match field.text_of("operator")? {
        "In" => field
            .list("values")
            .iter()
            .filter_map(|value| value.text().map(str::to_owned))
            .collect(),
        "Exists" => Vec::new(),
        _ => return None,
    };
    Some(LabelRequest {
        key: field.text_of("key")?.to_owned(),
        values,
        place: field.get("key")?.place(),
    })
}

/// Place of a toleration of all taints: operator `Exists` without a key.
pub(super) fn tolerates_all(spec: &Field<'_>) -> Option<Place> {
    let tolerations = spec.list("tolerations");
    let mut all = tolerations.iter().filter(|toleration| {
        let is_any = toleration.text_of("operator") == Some("Exists");
        is_any && toleration.text_of("key").unwrap_or_default().is_empty() && toleration.text_of("effect").is_none()
    });
    all.next().map(|toleration| toleration.place())
}
