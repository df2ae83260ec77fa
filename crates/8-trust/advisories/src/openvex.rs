//! Export of the distribution's answers as an OpenVEX 0.2.0 document (github.com/openvex/spec), which scanners read.

use basalt_bom::{ComponentKind, Inventory};
use basalt_digest::Hasher;
use basalt_release::{HOME, NAME};
use serde_json::{Value, json};

use crate::audit::VexStatements;
use crate::vex::{VexStatement, VexStatus};

/// Returns the document about an inventory: all statements about its packages, and the patches that they carry.
/// Statements have dates; patches have none and get the date of the newest statement.
pub fn openvex(inventory: &Inventory, given: &VexStatements) -> Value {
    let purls = |package: &str| -> Vec<&str> {
        let packages = inventory.of_kind(ComponentKind::Package);
        let of_source = packages.filter(|component| {
            component
                .origin
                .as_ref()
                .is_some_and(|origin| origin.package == package)
        });
        of_source.map(|component| component.purl.as_str()).collect()
    };
    let dates = given.statements.iter().map(|statement| statement.date.as_str());
    let newest = dates.max().unwrap_or("1970-01-01").to_owned();
    let mut statements = Vec::new();
    for statement in &given.statements {
        let purls = purls(&statement.package);
        if !purls.is_empty() {
            statements.push(of_statement(statement, &purls, inventory));
        }
    }
    for (package, patches) in &given.patches {
        let purls = purls(package);
        for patch in patches.iter().filter(|patch| patch.applied && !purls.is_empty()) {
            let products: Vec<Value> = purls.iter().map(|purl| json!({ "@id": purl })).collect();
            statements.push(json!({
                "vulnerability": { "name": patch.id },
                "timestamp": timestamp(&newest),
                "products": products,
                "status": "fixed",
                "status_notes": format!("{} is applied when the package is built", patch.file),
            }));
        }
    }
    let mut hasher = Hasher::new();
    hasher.fact("subject", &inventory.subject.name);
    for statement in &statements {
        hasher.fact("statement", statement.to_string());
    }
    json!({
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": format!("{HOME}/vex/{}", hasher.finish().short()),
        "author": NAME,
        "timestamp": timestamp(&newest),
        "version": 1,
        "tooling": "basalt audit",
        "statements": statements,
    })
}

fn of_statement(statement: &VexStatement, purls: &[&str], inventory: &Inventory) -> Value {
    let parts: Vec<Value> = statement
        .component
        .iter()
        .flat_map(|name| {
            inventory
                .components
                .iter()
                .filter(move |component| component.name == *name)
        })
        .filter(|component| component.kind != ComponentKind::Package)
        .map(|component| json!({ "@id": component.purl }))
        .collect();
    let products = purls.iter().map(|purl| match parts.is_empty() {
        true => json!({ "@id": purl }),
        false => json!({ "@id": purl, "subcomponents": parts }),
    });
    let words = match statement.status {
        VexStatus::NotAffected => "impact_statement",
        VexStatus::Affected => "action_statement",
        VexStatus::Fixed | VexStatus::UnderInvestigation => "status_notes",
    };
    let mut value = json!({
        "vulnerability": { "name": statement.id },
        "timestamp": timestamp(&statement.date),
        "products": products.collect::<Vec<_>>(),
        "status": statement.status,
        words: statement.words,
    });
    if let (Some(justification), Some(object)) = (statement.justification, value.as_object_mut()) {
        object.insert("justification".to_owned(), json!(justification));
    }
    value
}

/// A day as OpenVEX wants it.
fn timestamp(date: &str) -> String {
    format!("{date}T00:00:00Z")
}
