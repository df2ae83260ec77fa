//! Selectors of labels, as objects of the API hold them.
//!
//! By hand: the bindings have the types and no evaluation. A selector that cannot be evaluated matches nothing here where
//! that is the careful answer (nodes), and everything where that is (pods to keep away from).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{NodeSelector, NodeSelectorRequirement, NodeSelectorTerm};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::model::ObservedNode;

/// Requirement on one label.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    DoesNotExist(String),
    Greater(String, i64),
    Less(String, i64),
    /// Operator of a newer API.
    Unknown,
}

impl Requirement {
    fn read(key: &str, operator: &str, values: &[String]) -> Self {
        let number = || values.first().and_then(|value| value.parse().ok());
        let key = key.to_owned();
        match operator {
            "In" => Self::In(key, values.to_vec()),
            "NotIn" => Self::NotIn(key, values.to_vec()),
            "Exists" => Self::Exists(key),
            "DoesNotExist" => Self::DoesNotExist(key),
            "Gt" => number().map_or(Self::Unknown, |number| Self::Greater(key, number)),
            "Lt" => number().map_or(Self::Unknown, |number| Self::Less(key, number)),
            _ => Self::Unknown,
        }
    }

    /// Evaluates the requirement; nothing if its operator is not known.
    fn holds<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> Option<bool> {
        let number = |key: &str| value(key).and_then(|value| value.parse::<i64>().ok());
        Some(match self {
            Self::In(key, values) => value(key).is_some_and(|value| values.iter().any(|one| one == value)),
            Self::NotIn(key, values) => value(key).is_none_or(|value| values.iter().all(|one| one != value)),
            Self::Exists(key) => value(key).is_some(),
            Self::DoesNotExist(key) => value(key).is_none(),
            Self::Greater(key, bound) => number(key).is_some_and(|value| value > *bound),
            Self::Less(key, bound) => number(key).is_some_and(|value| value < *bound),
            Self::Unknown => return None,
        })
    }
}

/// Selector of pods by their labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelMatcher {
    /// Nothing for a selector that is absent, which matches no pod.
    requirements: Option<Vec<Requirement>>,
}

impl LabelMatcher {
    /// Reads a selector. An absent one matches nothing, an empty one everything.
    pub fn read(selector: Option<&LabelSelector>) -> Self {
        let requirements = selector.map(|selector| {
            let labels = selector.match_labels.iter().flatten();
            let labels = labels.map(|(key, value)| Requirement::In(key.clone(), vec![value.clone()]));
            let expressions = selector.match_expressions.iter().flatten();
            let expressions = expressions.map(|expression| {
                let values = expression.values.as_deref().unwrap_or_default();
                Requirement::read(&expression.key, &expression.operator, values)
            });
            labels.chain(expressions).collect()
        });
        Self { requirements }
    }

    /// Returns `true` if labels match. A requirement with an unknown operator counts as met: who asks keeps away from what
    /// matches, or names a budget that might stand in the way.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = |key: &str| labels.get(key).map(String::as_str);
        self.requirements.as_ref().is_some_and(|requirements| {
            requirements
                .iter()
                .all(|requirement| requirement.holds(value).unwrap_or(true))
        })
    }
}

/// Selector of nodes: alternatives, each of which has requirements on labels and on the name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeMatcher {
    alternatives: Vec<Vec<Requirement>>,
}

impl NodeMatcher {
    /// Reads a selector of nodes.
    pub fn read(selector: &NodeSelector) -> Self {
        Self {
            alternatives: selector.node_selector_terms.iter().filter_map(alternative).collect(),
        }
    }

    /// Returns `true` if a node matches one of the alternatives. An unknown operator matches no node.
    pub fn matches(&self, node: &ObservedNode) -> bool {
        let value = |key: &str| match key {
            NAME_FIELD => Some(node.name.as_str()),
            _ => node.labels.get(key).map(String::as_str),
        };
        self.alternatives.iter().any(|requirements| {
            requirements
                .iter()
                .all(|requirement| requirement.holds(value).unwrap_or(false))
        })
    }

    /// Returns `true` if every alternative asks for a certain host name.
    pub fn names_hosts(&self) -> bool {
        let is_host = |requirement: &Requirement| matches!(requirement, Requirement::In(key, _) if key == "kubernetes.io/hostname" || key == NAME_FIELD);
        !self.alternatives.is_empty() && self.alternatives.iter().all(|all| all.iter().any(is_host))
    }
}

/// Field that selectors of nodes know besides labels.
const NAME_FIELD: &str = "metadata.name";

/// Reads one alternative. An empty one matches nothing, as for the scheduler.
fn alternative(term: &NodeSelectorTerm) -> Option<Vec<Requirement>> {
    let expressions = term.match_expressions.iter().flatten();
    let fields = term.match_fields.iter().flatten();
    let all: Vec<Requirement> = expressions.chain(fields).map(requirement).collect();
    (!all.is_empty()).then_some(all)
}

fn requirement(raw: &NodeSelectorRequirement) -> Requirement {
    Requirement::read(&raw.key, &raw.operator, raw.values.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn matcher(selector: serde_json::Value) -> LabelMatcher {
        LabelMatcher::read(Some(&serde_json::from_value(selector).expect("a selector")))
    }

    #[test]
    fn absent_selectors_match_nothing_and_empty_ones_everything() {
        assert!(!LabelMatcher::read(None).matches(&labels(&[("app", "web")])));
        assert!(matcher(json!({})).matches(&labels(&[])));
    }

    #[test]
    fn every_operator_is_evaluated() {
        for (operator, values, expected) in [
            ("In", json!(["web", "db"]), true),
            ("In", json!(["db"]), false),
            ("NotIn", json!(["db"]), true),
            ("NotIn", json!(["web"]), false),
            ("Exists", json!([]), true),
            ("DoesNotExist", json!([]), false),
        ] {
            let selector =
                matcher(json!({ "matchExpressions": [{ "key": "app", "operator": operator, "values": values }] }));
            assert_eq!(
                selector.matches(&labels(&[("app", "web")])),
                expected,
                "{operator} {values}"
            );
        }
        let both = matcher(json!({ "matchLabels": { "app": "web", "tier": "front" } }));
        assert!(!both.matches(&labels(&[("app", "web")])));
    }
}
