//! Export of an audit as SARIF 2.1.0 (OASIS), which code hosts show beside the code.

use std::collections::BTreeMap;

use basalt_release::HOME;
use serde_json::{Map, Value, json};

use crate::audit::{Audited, Match};
use crate::severity::Level;

/// The log of an audit: one rule for each vulnerability, one result for each package that has it. What is answered is
/// there too, suppressed, with the answer as its reason. `spec` is the path of a package's spec from the root of the checkout.
pub fn sarif(audited: &Audited, fail_on: Level, spec: impl Fn(&str) -> String) -> Value {
    let mut rules: BTreeMap<&str, Value> = BTreeMap::new();
    for found in &audited.matches {
        rules.entry(&found.id).or_insert_with(|| {
            let score = found.severity.and_then(|severity| severity.score);
            let score = score.map(|score| ("security-severity".to_owned(), json!(format!("{score:.1}"))));
            let tags = ("tags".to_owned(), json!(["security"]));
            let properties: Map<String, Value> = score.into_iter().chain([tags]).collect();
            let summary = match found.summary.as_str() {
                "" => &found.id,
                summary => summary,
            };
            json!({
                "id": found.id,
                "shortDescription": { "text": summary },
                "helpUri": format!("https://osv.dev/vulnerability/{}", found.id),
                "properties": properties,
            })
        });
    }
    let results: Vec<Value> = audited
        .matches
        .iter()
        .map(|found| result(found, fail_on, &spec(&found.package)))
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "basalt audit",
                "informationUri": HOME,
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.into_values().collect::<Vec<_>>(),
            } },
            "results": results,
        }],
    })
}

fn result(found: &Match, fail_on: Level, spec: &str) -> Value {
    let fix = match &found.fixed {
        Some(version) => format!("{version} has it no more"),
        None => "no version without it is known".to_owned(),
    };
    let text = format!(
        "{} {} of the package {}: {fix}",
        found.component, found.version, found.package
    );
    let answer = found.answer.as_ref().filter(|answer| answer.status().is_resolved());
    let suppression = answer.map(|answer| {
        let reason = match answer {
            crate::Assessment::Patch { file } => format!("{file} is applied"),
            crate::Assessment::Statement(statement) => statement.words.clone(),
        };
        json!([{ "kind": "external", "status": "accepted", "justification": reason }])
    });
    let mut result = json!({
        "ruleId": found.id,
        "level": if found.fails(fail_on) { "error" } else { "note" },
        "message": { "text": text },
        "locations": [{ "physicalLocation": { "artifactLocation": {
            "uri": spec,
        } } }],
        "partialFingerprints": { "vulnerability/v1": format!("{}:{}:{}", found.id, found.package, found.component) },
    });
    if let (Some(suppression), Some(result)) = (suppression, result.as_object_mut()) {
        result.insert("suppressions".to_owned(), suppression);
    }
    result
}
