//! Sections of a NodeConfig as `basalt check` accepts them: single entries that it refuses are taken out, and named.

use std::fmt;
use std::time::SystemTime;

use basalt_document::redaction::redact;
use basalt_document::{Document, Path, Step};
use basalt_node_config::{Clock, check};
use miette::Severity;
use serde_json::{Map, Value};

use super::boundary::{self, HIDDEN};
use super::yaml::yaml;

/// Checks after which whole sections are left out: entries that only became wrong by what was taken out need one more each.
const ROUNDS: usize = 12;
/// Length of a value that is shown, in characters.
const LONGEST: usize = 60;
/// Fields without which an item of a list means nothing: the item is left out with them.
const OF_ITEMS: [&str; 11] = [
    "effect", "host", "id", "key", "link", "mac", "members", "name", "to", "url", "via",
];

/// Setting of a host that is left out of a NodeConfig.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOutSetting {
    /// Path in the NodeConfig, or name that the host's file has for it.
    pub path: String,
    /// Value, shortened.
    pub value: String,
    /// Reason, in one sentence without a full stop.
    pub reason: String,
}

impl LeftOutSetting {
    /// Setting with its value in words.
    pub(super) fn new(path: impl Into<String>, value: &str, reason: impl Into<String>) -> Self {
        let reason: String = reason.into();
        Self {
            path: path.into(),
            value: boundary::shortened(&redact(value), LONGEST),
            reason: boundary::shown(&reason),
        }
    }

    /// Entry of a NodeConfig.
    fn at(steps: &[Step], value: &Value, reason: String) -> Self {
        let path = steps.iter().fold(Path::root(), |path, step| match step {
            Step::Key(key) => path.key(key.as_str()),
            Step::Index(index) => path.index(*index),
        });
        let value = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Self::new(path.to_string(), &value, reason)
    }
}

impl fmt::Display for LeftOutSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value.as_str() {
            "" => write!(f, "`{}` is left out: {}", self.path, self.reason),
            value => write!(f, "`{}` ({value}) is left out: {}", self.path, self.reason),
        }
    }
}

/// Sections of a NodeConfig that can be used, and what was taken out of them.
#[derive(Debug, Clone, Default)]
pub(super) struct AcceptedSections {
    /// Sections, by their names.
    pub(super) sections: Map<String, Value>,
    /// Entries that were taken out.
    pub(super) left_out: Vec<LeftOutSetting>,
}

/// Takes out of sections what `basalt check` refuses beside `base`, which has what every NodeConfig has.
pub(super) fn accepted(base: &Map<String, Value>, sections: Map<String, Value>) -> AcceptedSections {
    let mut made = AcceptedSections {
        sections,
        left_out: Vec::new(),
    };
    let mut hidden = Vec::new();
    for (name, value) in &made.sections {
        find_hidden(value, &mut vec![Step::Key(name.clone())], &mut hidden);
    }
    made.take_out(hidden);
    for _ in 0..ROUNDS {
        let refusals = refusals(base, &made.sections);
        if refusals.is_empty() {
            return made;
        }
        made.take_out(refusals);
    }
    // Never reached, unless entries are refused wherever they are not.
    for (name, value) in std::mem::take(&mut made.sections) {
        let reason = "it is refused with the others".to_owned();
        made.left_out
            .push(LeftOutSetting::at(&[Step::Key(name)], &value, reason));
    }
    made
}

/// Reason for which `basalt check` refuses a NodeConfig, if it does.
pub(super) fn refusal(config: &Map<String, Value>) -> Option<String> {
    let text = match yaml(config) {
        Ok(text) => text,
        Err(error) => return Some(error.to_string()),
    };
    let problems = check("node.yaml", &text, Clock::Unsure(SystemTime::now())).err()?;
    let first = problems.iter().find(|problem| problem.severity == Severity::Error);
    Some(first.map_or_else(|| "it is refused".to_owned(), |problem| problem.message.clone()))
}

/// Place that is to be taken out, with the reason.
type Refusal = (Vec<Step>, String);

impl AcceptedSections {
    /// Takes places out; they are in the order of the document.
    fn take_out(&mut self, refusals: Vec<Refusal>) {
        let mut places: Vec<Refusal> = Vec::new();
        for (steps, reason) in refusals {
            let steps = whole(steps);
            let is_known = places.iter().any(|(known, _)| steps.starts_with(known));
            if !is_known {
                places.retain(|(known, _)| !known.starts_with(&steps));
                places.push((steps, reason));
            }
        }
        let mut taken = Vec::new();
        // From the end, so that the numbers of items before it stay.
        for (steps, reason) in places.into_iter().rev() {
            if let Some(value) = take(&mut self.sections, &steps) {
                taken.push(LeftOutSetting::at(&steps, &value, reason));
            }
        }
        self.left_out.extend(taken.into_iter().rev());
    }
}

/// Place of an item, for a field without which it means nothing.
fn whole(mut steps: Vec<Step>) -> Vec<Step> {
    let is_of_item = match steps.as_slice() {
        [.., Step::Index(_), Step::Key(key)] => OF_ITEMS.contains(&key.as_str()),
        _ => false,
    };
    if is_of_item {
        steps.pop();
    }
    steps
}

/// Places whose text had characters that are not shown.
fn find_hidden(value: &Value, steps: &mut Vec<Step>, found: &mut Vec<Refusal>) {
    let reason = || "it has characters that are none of a setting".to_owned();
    match value {
        Value::String(text) if text.contains(HIDDEN) => found.push((steps.clone(), reason())),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                steps.push(Step::Index(index));
                find_hidden(item, steps, found);
                steps.pop();
            }
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                steps.push(Step::Key(key.clone()));
                match key.contains(HIDDEN) {
                    true => found.push((steps.clone(), reason())),
                    false => find_hidden(value, steps, found),
                }
                steps.pop();
            }
        }
        _ => {}
    }
}

/// Errors that `basalt check` has about the sections. An error about nothing in them is one about the last section.
fn refusals(base: &Map<String, Value>, sections: &Map<String, Value>) -> Vec<Refusal> {
    let config: Map<String, Value> = base
        .iter()
        .chain(sections)
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let last = || sections.keys().next_back().map(|name| vec![Step::Key(name.clone())]);
    let text = match yaml(&Value::Object(config)) {
        Ok(text) => text,
        Err(error) => return last().into_iter().map(|steps| (steps, error.to_string())).collect(),
    };
    let Err(problems) = check("node.yaml", &text, Clock::Unsure(SystemTime::now())) else {
        return Vec::new();
    };
    let document = Document::parse("node.yaml", &text).ok();
    let mut found: Vec<Refusal> = Vec::new();
    let mut unplaced = None;
    for problem in problems.iter().filter(|problem| problem.severity == Severity::Error) {
        let steps = document.as_ref().map(|document| document.steps_to(problem));
        let steps = steps.filter(|steps| matches!(steps.first(), Some(Step::Key(name)) if sections.contains_key(name)));
        match steps {
            Some(steps) => found.push((steps, problem.message.clone())),
            None => unplaced = Some(problem.message.clone()),
        }
    }
    if found.is_empty() {
        let reason = unplaced.unwrap_or_else(|| "it is refused".to_owned());
        found.extend(last().map(|steps| (steps, reason)));
    }
    found
}

/// Takes the value at some steps out, and what is empty without it.
fn take(fields: &mut Map<String, Value>, steps: &[Step]) -> Option<Value> {
    let (Step::Key(key), rest) = steps.split_first()? else {
        return None;
    };
    if rest.is_empty() {
        return fields.remove(key);
    }
    let below = fields.get_mut(key)?;
    let taken = take_below(below, rest);
    if is_empty(below) {
        fields.remove(key);
    }
    taken
}

fn take_below(value: &mut Value, steps: &[Step]) -> Option<Value> {
    match (value, steps) {
        (Value::Object(fields), steps) => take(fields, steps),
        (Value::Array(items), [Step::Index(index)]) => (*index < items.len()).then(|| items.remove(*index)),
        (Value::Array(items), [Step::Index(index), rest @ ..]) => take_below(items.get_mut(*index)?, rest),
        _ => None,
    }
}

/// Returns `true` for a value that says nothing.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::common_fields;
    use super::*;
    use serde_json::json;

    fn of(sections: Value) -> (Value, Vec<String>) {
        let Value::Object(sections) = sections else {
            panic!("no object")
        };
        let made = accepted(&common_fields(), sections);
        let left_out = made.left_out.iter().map(|entry| entry.path.clone()).collect();
        (Value::Object(made.sections), left_out)
    }

    #[test]
    fn what_is_right_stays() {
        let right = json!({ "labels": { "a": "b" }, "sysctls": { "vm.swappiness": 10 } });
        assert_eq!(of(right.clone()), (right, Vec::new()));
    }

    #[test]
    fn only_the_refused_entry_is_left_out() {
        let (kept, left_out) = of(json!({
            "kubelet": { "maxPods": 200, "featureGates": { "NoSuchGate": true, "InPlacePodVerticalScaling": true } },
            "labels": { "node-role.kubernetes.io/worker": "", "tier": "front" },
            "sysctls": { "fs.file-max": "", "vm.swappiness": 10 },
            "time": { "servers": ["ntp1.example.com", "no name"] },
            "proxy": { "http": "http://p.example:3128", "noProxy": ["10.*", ".corp.example"] },
        }));
        let wanted = json!({
            "kubelet": { "maxPods": 200, "featureGates": { "InPlacePodVerticalScaling": true } },
            "labels": { "tier": "front" },
            "sysctls": { "vm.swappiness": 10 },
            "time": { "servers": ["ntp1.example.com"] },
            "proxy": { "http": "http://p.example:3128", "noProxy": [".corp.example"] },
        });
        assert_eq!(kept, wanted, "{left_out:?}");
        assert_eq!(left_out.len(), 5, "{left_out:?}");
    }

    #[test]
    fn a_fixed_address_survives_what_is_wrong_beside_it() {
        let (kept, left_out) = of(json!({ "network": {
            "interfaces": [{
                "name": "eth0",
                "addresses": ["10.0.0.2/24", "no address"],
                "gateway": "10.0.0.1",
                "routes": [{ "to": "10.8.0.1", "via": "10.0.0.9" }, { "to": "10.9.0.0/16", "via": "10.0.0.9" }],
            }],
            "dns": { "servers": ["fe80::1%eth0", "10.0.0.3"], "search": ["."] },
        } }));
        let wanted = json!({ "network": {
            "interfaces": [{
                "name": "eth0",
                "addresses": ["10.0.0.2/24"],
                "gateway": "10.0.0.1",
                "routes": [{ "to": "10.9.0.0/16", "via": "10.0.0.9" }],
            }],
            "dns": { "servers": ["10.0.0.3"] },
        } });
        assert_eq!(kept, wanted, "{left_out:?}");
        assert!(
            left_out.contains(&"network.interfaces[0].routes[0]".to_owned()),
            "{left_out:?}"
        );
    }

    #[test]
    fn what_is_empty_without_an_entry_goes_with_it() {
        let (kept, left_out) = of(json!({ "time": { "servers": ["no name"] }, "hostname": "Not A Name" }));
        assert_eq!(kept, json!({}));
        assert_eq!(left_out, ["hostname", "time.servers[0]"]);
    }

    #[test]
    fn characters_that_are_not_shown_are_not_written() {
        let (kept, left_out) = of(json!({
            "labels": { "a\u{fffd}": "b", "c": "d\u{fffd}" },
            "registries": [{ "host": "r\u{fffd}", "plainHttp": true }],
        }));
        assert_eq!(kept, json!({}));
        assert_eq!(left_out.len(), 3);
        let shown = LeftOutSetting::new("a", &"x".repeat(100), "y").to_string();
        assert!(
            shown.starts_with("`a` (xxx") && shown.ends_with("…) is left out: y"),
            "{shown}"
        );
    }
}
