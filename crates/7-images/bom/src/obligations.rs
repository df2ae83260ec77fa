//! Obligations of a licence for distributing binaries.
//!
//! This is a reading aid, not legal advice: it sorts licences by four common obligations.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use spdx::expression::{ExprNode, Operator};

use crate::{BomError, Component, Inventory, licences};

/// Licences without obligations for distributing binaries.
const FREE: &[&str] = &[
    "0BSD",
    "BSL-1.0",
    "CC0-1.0",
    "MIT-0",
    "Unlicense",
    "WTFPL",
    "Zlib",
    "LicenseRef-Fedora-Public-Domain",
];

/// Obligation of a licence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Obligation {
    /// Pass on the licence's text with its copyright notices.
    Text,
    /// Pass on the NOTICE file, if there is one.
    Notice,
    /// Offer the source that corresponds to the binary.
    Source,
    /// Let the recipient put a changed library in its place.
    Relinking,
}

/// Terms of an SPDX expression.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// Obligations.
    pub obligations: BTreeSet<Obligation>,
    /// The licences that apply; of alternatives, the one that asks for less.
    pub chosen: Vec<String>,
}

/// Components of an inventory that are under the same licence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LicenceGroup<'i> {
    /// SPDX expression; `None` for components whose licence is unknown.
    pub licence: Option<&'i str>,
    /// Obligations of the licence.
    pub asks: BTreeSet<Obligation>,
    /// The licences that apply; of alternatives, the one that asks for less.
    pub chosen: Vec<String>,
    /// The components.
    #[serde(serialize_with = "purls")]
    pub components: Vec<&'i Component>,
}

fn purls<S: serde::Serializer>(components: &[&Component], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(components.iter().map(|component| &component.purl))
}

impl Obligation {
    /// Name in one word, as in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Notice => "notice",
            Self::Source => "source",
            Self::Relinking => "relinking",
        }
    }
}

fn of_licence(item: &spdx::LicenseItem) -> BTreeSet<Obligation> {
    let name = item.to_string();
    if FREE.contains(&name.as_str()) {
        return BTreeSet::new();
    }
    let mut obligations = BTreeSet::from([Obligation::Text]);
    if name == "Apache-2.0" {
        obligations.insert(Obligation::Notice);
    }
    if item.id().is_some_and(spdx::LicenseId::is_copyleft) {
        obligations.insert(Obligation::Source);
    }
    if name.starts_with("LGPL-") {
        obligations.insert(Obligation::Relinking);
    }
    obligations
}

/// Returns the terms of an SPDX expression; `of` names the licensed thing in errors.
///
/// # Errors
/// When it is no SPDX expression.
pub fn terms(of: &str, licence: &str) -> Result<Terms, BomError> {
    let expression = licences::expression(of, licence)?;
    let mut stack: Vec<Terms> = Vec::new();
    for node in expression.iter() {
        let next = match node {
            ExprNode::Req(requirement) => Terms {
                obligations: of_licence(&requirement.req.license),
                chosen: vec![requirement.req.to_string()],
            },
            ExprNode::Op(operator) => {
                let (second, first) = (stack.pop().unwrap_or_default(), stack.pop().unwrap_or_default());
                match operator {
                    Operator::And => both(first, second),
                    Operator::Or if second.obligations.len() < first.obligations.len() => second,
                    Operator::Or => first,
                }
            }
        };
        stack.push(next);
    }
    Ok(stack.pop().unwrap_or_default())
}

fn both(mut first: Terms, second: Terms) -> Terms {
    first.obligations.extend(second.obligations);
    for licence in second.chosen {
        if !first.chosen.contains(&licence) {
            first.chosen.push(licence);
        }
    }
    first
}

/// Groups the components of an inventory by licence: licences with the most obligations first, unknown ones last.
///
/// # Errors
/// When a licence is no SPDX expression.
pub fn groups(inventory: &Inventory) -> Result<Vec<LicenceGroup<'_>>, BomError> {
    let mut by_licence: BTreeMap<Option<&str>, Vec<&Component>> = BTreeMap::new();
    for component in &inventory.components {
        by_licence
            .entry(component.licence.as_deref())
            .or_default()
            .push(component);
    }
    let mut groups = Vec::new();
    for (licence, components) in by_licence {
        let Terms { obligations, chosen } = match (licence, components.first()) {
            (Some(licence), Some(first)) => terms(&first.purl, licence)?,
            _ => Terms::default(),
        };
        groups.push(LicenceGroup {
            licence,
            asks: obligations,
            chosen,
            components,
        });
    }
    groups.sort_by_key(|group| {
        let source = group.asks.contains(&Obligation::Source);
        (
            group.licence.is_none(),
            !source,
            std::cmp::Reverse(group.asks.len()),
            group.licence,
        )
    });
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licences_ask_for_what_they_ask_for() {
        for (licence, asks, chosen) in [
            ("MIT", "text", "MIT"),
            ("0BSD", "", "0BSD"),
            ("Apache-2.0", "text notice", "Apache-2.0"),
            ("Apache-2.0 OR MIT", "text", "MIT"),
            ("BSD-3-Clause OR GPL-2.0-only", "text", "BSD-3-Clause"),
            (
                "GPL-2.0-only WITH Linux-syscall-note",
                "text source",
                "GPL-2.0-only WITH Linux-syscall-note",
            ),
            (
                "LGPL-2.1-or-later AND CC0-1.0",
                "text source relinking",
                "LGPL-2.1-or-later, CC0-1.0",
            ),
            ("MPL-2.0 AND (MIT OR GPL-3.0-only)", "text source", "MPL-2.0, MIT"),
            ("LicenseRef-Fedora-Public-Domain", "", "LicenseRef-Fedora-Public-Domain"),
            ("LicenseRef-Other", "text", "LicenseRef-Other"),
        ] {
            let terms = terms("x", licence).expect(licence);
            let names: Vec<_> = terms.obligations.iter().map(|obligation| obligation.name()).collect();
            assert_eq!(names.join(" "), asks, "{licence}");
            assert_eq!(terms.chosen.join(", "), chosen, "{licence}");
        }
        for wrong in ["GPLv2", "GPL-2.0", "MIT/Apache-2.0", "MIT AND", ""] {
            let error = terms("zlib", wrong).expect_err(wrong);
            assert!(error.to_string().contains("zlib"), "{error}");
        }
    }
}
