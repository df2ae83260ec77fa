//! Audit: matches the components of an inventory with OSV records, and the matches with the distribution's answers.

use std::collections::{BTreeMap, BTreeSet};

use basalt_bom::{Component, ComponentKind, Inventory};
use serde::Serialize;

use crate::backports::BackportedPatch;
use crate::database::{Database, DatabaseStatistics};
use crate::range::Evaluation;
use crate::record::{Affected, OsvRecord};
use crate::severity::{Level, Severity, worst};
use crate::upstreams::Upstreams;
use crate::version::{Scheme, plain};
use crate::vex::{VexStatement, VexStatus};

/// Statements of the distribution about vulnerabilities: VEX files and backported patches.
#[derive(Debug, Clone, Default)]
pub struct VexStatements {
    /// VEX statements from `distro/vex`.
    pub statements: Vec<VexStatement>,
    /// Patches by source package.
    pub patches: BTreeMap<String, Vec<BackportedPatch>>,
}

/// Result of an audit.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Audited {
    /// Vulnerabilities found: those without an answer first, each part sorted by severity, the worst first.
    pub matches: Vec<Match>,
    /// Number of components that were looked up in the database.
    pub components: usize,
    /// Packages about which no database was asked, and why.
    pub unmatched: BTreeMap<String, String>,
    /// Statistics of the database.
    pub statistics: DatabaseStatistics,
}

/// A vulnerability of a component, as one source package has it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Match {
    /// The id that people know it by: the CVE, if there is one.
    pub id: String,
    /// Other ids of the same vulnerability.
    pub aliases: Vec<String>,
    /// Severity; `None` when no record rates it.
    pub severity: Option<Severity>,
    /// The component.
    pub component: String,
    /// The version that we have.
    pub version: String,
    /// The component's package URL.
    pub purl: String,
    /// The source package.
    pub package: String,
    /// The programs that it is linked into; empty where the package itself is meant.
    pub files: Vec<String>,
    /// The first version without it.
    pub fixed: Option<String>,
    /// Summary in one line.
    pub summary: String,
    /// Reason for which the match is uncertain; `None` when it is certain.
    pub undecided: Option<String>,
    /// Assessment by the distribution, if there is one.
    pub answer: Option<Assessment>,
}

/// Assessment of a vulnerability by the distribution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "by")]
pub enum Assessment {
    /// A patch in the package's folder corrects it.
    Patch {
        /// The file.
        file: String,
    },
    /// A statement in `distro/vex`.
    Statement(VexStatement),
}

impl Assessment {
    /// Returns the VEX status that the answer amounts to.
    pub fn status(&self) -> VexStatus {
        match self {
            Self::Patch { .. } => VexStatus::Fixed,
            Self::Statement(statement) => statement.status,
        }
    }
}

impl Match {
    /// Returns `true` if the match fails an audit: its severity is at least `at`, and its answer, if any, is neither
    /// "fixed" nor "not affected". A match that no record rates counts as high.
    pub fn fails(&self, at: Level) -> bool {
        let level = self.severity.map_or(Level::High, |severity| severity.level);
        level >= at && !self.answer.as_ref().is_some_and(|answer| answer.status().is_resolved())
    }
}

/// A component as databases may know it.
struct Subject<'c> {
    component: &'c Component,
    /// Ecosystems and names.
    names: Vec<(String, String)>,
    /// The version that is compared.
    version: String,
    /// Tag names of the version, by which lists of versions may have it.
    tags: Vec<String>,
    scheme: Scheme,
    /// The source packages that have it, and the programs of each.
    packages: BTreeMap<String, BTreeSet<String>>,
}

/// Audits an inventory: looks up each component in a database.
pub fn audit(inventory: &Inventory, database: &Database, upstreams: &Upstreams, statements: &VexStatements) -> Audited {
    let mut unmatched = BTreeMap::new();
    let subjects = subjects(inventory, upstreams, &mut unmatched);
    let mut matches = Vec::new();
    for subject in &subjects {
        matches.extend(subject.matches(database, statements));
    }
    let key = |found: &Match| {
        let severity = found.severity.unwrap_or(Severity::of(Level::High));
        // Answered ones come last.
        (!found.fails(Level::Low), std::cmp::Reverse(severity.level))
    };
    matches.sort_by(|one, other| {
        let rest = |found: &Match| (found.id.clone(), found.component.clone(), found.package.clone());
        key(one).cmp(&key(other)).then_with(|| rest(one).cmp(&rest(other)))
    });
    Audited {
        matches,
        components: subjects.len(),
        unmatched,
        statistics: database.statistics.clone(),
    }
}

fn subjects<'i>(
    inventory: &'i Inventory,
    upstreams: &Upstreams,
    unmatched: &mut BTreeMap<String, String>,
) -> Vec<Subject<'i>> {
    let source_of: BTreeMap<&str, &str> = inventory
        .of_kind(ComponentKind::Package)
        .map(|package| (package.name.as_str(), source(package)))
        .collect();
    let mut subjects: Vec<Subject<'i>> = Vec::new();
    let mut seen = BTreeSet::new();
    for component in &inventory.components {
        let mut packages: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for place in &component.inside {
            let source = source_of.get(place.package.as_str()).copied().unwrap_or(&place.package);
            packages
                .entry(source.to_owned())
                .or_default()
                .insert(place.file.clone());
        }
        let linked = |ecosystems: &[&str]| {
            let name = |ecosystem: &&str| ((*ecosystem).to_owned(), component.name.clone());
            ecosystems.iter().map(name).collect()
        };
        let version = plain(&component.version).to_owned();
        let (names, version, tags, scheme) = match component.kind {
            ComponentKind::GoModule => (linked(&["Go", "Kubernetes"]), version, Vec::new(), Scheme::SemVer),
            ComponentKind::Crate => (linked(&["crates.io"]), version, Vec::new(), Scheme::SemVer),
            ComponentKind::Package => {
                // The packages that one source makes are one thing to a database.
                let source = source(component);
                if !seen.insert(source) {
                    continue;
                }
                let Some(upstream) = upstreams.of(source) else {
                    let why = "distro/upstreams.toml does not say what databases call it";
                    unmatched.insert(source.to_owned(), why.to_owned());
                    continue;
                };
                if let Some(why) = &upstream.unmatched {
                    unmatched.insert(source.to_owned(), why.clone());
                    continue;
                }
                packages.insert(source.to_owned(), BTreeSet::new());
                let version = upstream_version(component);
                let tags = upstream.tags(&version);
                (upstream.names.clone(), version, tags, Scheme::Upstream)
            }
        };
        subjects.push(Subject {
            component,
            names,
            version,
            tags,
            scheme,
            packages,
        });
    }
    subjects
}

/// The source package of a package.
fn source(component: &Component) -> &str {
    component
        .origin
        .as_ref()
        .map_or(&component.name, |origin| &origin.package)
}

/// Upstream's version of a package: without epoch and release.
fn upstream_version(component: &Component) -> String {
    if let Some(origin) = &component.origin {
        return origin.version.clone();
    }
    let version = component
        .version
        .split_once(':')
        .map_or(component.version.as_str(), |(_, rest)| rest);
    version
        .rsplit_once('-')
        .map_or(version, |(version, _)| version)
        .to_owned()
}

impl Subject<'_> {
    fn matches(&self, database: &Database, statements: &VexStatements) -> Vec<Match> {
        let mut hits: Vec<(&OsvRecord, &Affected, Evaluation)> = Vec::new();
        for (ecosystem, name) in &self.names {
            for (advisory, affected) in database.about(ecosystem, name) {
                let verdict = affected.verdict(&self.version, &self.tags, self.scheme);
                if verdict != Evaluation::Unaffected {
                    hits.push((advisory, affected, verdict));
                }
            }
        }
        let groups = groups(&hits);
        let of_all = |group: &Vec<usize>| {
            let hits: Vec<_> = group.iter().filter_map(|&index| hits.get(index)).collect();
            self.packages
                .iter()
                .map(|(package, files)| self.merged(&hits, package, files, statements))
                .collect::<Vec<_>>()
        };
        groups.iter().flat_map(of_all).collect()
    }

    /// Records about the same vulnerability as one match.
    fn merged(
        &self,
        hits: &[&(&OsvRecord, &Affected, Evaluation)],
        package: &str,
        files: &BTreeSet<String>,
        statements: &VexStatements,
    ) -> Match {
        let mut ids: BTreeSet<&str> = BTreeSet::new();
        for (advisory, ..) in hits {
            ids.insert(&advisory.id);
            ids.extend(advisory.aliases.iter().map(String::as_str));
        }
        let own = hits.first().map_or("", |(advisory, ..)| advisory.id.as_str());
        let id = ids.iter().find(|id| id.starts_with("CVE-")).copied().unwrap_or(own);
        let aliases = ids
            .iter()
            .filter(|other| **other != id)
            .map(|other| (*other).to_owned());
        let severities = hits
            .iter()
            .flat_map(|(advisory, affected, _)| [affected.severity, advisory.severity]);
        let fixed = hits.iter().find_map(|(.., verdict)| match verdict {
            Evaluation::Affected { fixed } => fixed.clone(),
            _ => None,
        });
        let certain = hits
            .iter()
            .any(|(.., verdict)| matches!(verdict, Evaluation::Affected { .. }));
        let doubt = hits.iter().find_map(|(.., verdict)| match verdict {
            Evaluation::Undecided { why } => Some(why.clone()),
            _ => None,
        });
        let summary = hits
            .iter()
            .map(|(advisory, ..)| &advisory.summary)
            .find(|text| !text.is_empty());
        Match {
            id: id.to_owned(),
            aliases: aliases.collect(),
            severity: worst(severities.flatten()),
            component: self.component.name.clone(),
            version: match self.component.kind {
                ComponentKind::Package => self.version.clone(),
                _ => self.component.version.clone(),
            },
            purl: self.component.purl.clone(),
            package: package.to_owned(),
            files: files.iter().cloned().collect(),
            fixed,
            summary: summary.cloned().unwrap_or_default(),
            undecided: doubt.filter(|_| !certain),
            answer: statements.about(&ids, package, &self.component.name),
        }
    }
}

/// Groups the hits by vulnerability: records that share an id or an alias are one. Returns indexes into `hits`.
fn groups(hits: &[(&OsvRecord, &Affected, Evaluation)]) -> Vec<Vec<usize>> {
    let mut groups: Vec<(BTreeSet<&str>, Vec<usize>)> = Vec::new();
    for (index, (advisory, ..)) in hits.iter().enumerate() {
        let mut ids: BTreeSet<&str> = advisory.aliases.iter().map(String::as_str).collect();
        ids.insert(&advisory.id);
        let (same, mut others): (Vec<_>, Vec<_>) = groups.into_iter().partition(|(known, _)| !known.is_disjoint(&ids));
        let mut members = Vec::new();
        for (known, indexes) in same {
            ids.extend(known);
            members.extend(indexes);
        }
        members.push(index);
        others.push((ids, members));
        groups = others;
    }
    groups.into_iter().map(|(_, members)| members).collect()
}

impl VexStatements {
    /// Returns the answer to a vulnerability with any of these ids. A patch that is applied goes before a statement,
    /// and a statement about the component before one about the whole package.
    fn about(&self, ids: &BTreeSet<&str>, package: &str, component: &str) -> Option<Assessment> {
        let mut patches = self.patches.get(package).into_iter().flatten();
        let patch = patches.find(|patch| patch.applied && ids.contains(patch.id.as_str()));
        if let Some(patch) = patch {
            let file = patch.file.clone();
            return Some(Assessment::Patch { file });
        }
        let fitting = self.statements.iter().filter(|statement| {
            let of_component = statement.component.as_deref().is_none_or(|named| named == component);
            statement.package == package && of_component && ids.contains(statement.id.as_str())
        });
        fitting
            .max_by_key(|statement| statement.component.is_some())
            .cloned()
            .map(Assessment::Statement)
    }
}

#[cfg(test)]
mod tests;
