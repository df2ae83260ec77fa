//! `basalt licenses`: obligations of the licences in an image, and detection of licences.

use std::collections::BTreeSet;
use std::process::ExitCode;

use basalt_bom::texts::{LicenceFile, ModuleSources};
use basalt_bom::{
    Catalogue, Component, ComponentKind, DetectedLicences, Inventory, LicenceGroup, Obligation, Rpm, groups, terms,
    texts,
};
use basalt_build::PackageId;
use basalt_content::ContentFile;
use basalt_sources::InputContent;
use basalt_store::write;
use camino::Utf8Path;
use miette::{Result, miette};

use super::bom;
use super::{answer, answer_json};
use crate::arguments::Licenses;
use crate::checkout::{BuildContext, Checkout};

/// Number of component names that are shown beside a licence.
const NAMES: usize = 4;

/// Shows obligations, writes licence texts, or writes the lock of licences.
pub fn run(checkout: &Checkout, options: &Licenses, json: bool) -> Result<ExitCode> {
    if options.lock {
        return lock(checkout, json);
    }
    let inventory = bom::inventory(checkout, &options.name)?;
    let groups = groups(&inventory)?;
    let written = match &options.texts {
        Some(path) => Some(write_texts(checkout, &inventory, path)?),
        None => None,
    };
    if json {
        answer_json(&serde_json::json!({ "name": options.name, "licences": groups, "texts": written }));
        return Ok(ExitCode::SUCCESS);
    }
    for group in &groups {
        answer(format!(
            "{}\n    asks for {}\n    {}",
            licence(group),
            asks(&group.asks),
            count(group)
        ));
    }
    answer(summary(&options.name, &groups));
    if let (Some(count), Some(path)) = (written, &options.texts) {
        answer(format!("{count} texts were written to {path}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn licence(group: &LicenceGroup<'_>) -> String {
    match group.licence {
        None => "unknown".to_owned(),
        Some(licence) if group.chosen.join(" AND ") == licence || !licence.contains(" OR ") => licence.to_owned(),
        Some(licence) => format!("{licence} (as {})", group.chosen.join(" AND ")),
    }
}

fn asks(obligations: &BTreeSet<Obligation>) -> String {
    if obligations.is_empty() {
        return "nothing".to_owned();
    }
    obligations
        .iter()
        .map(|obligation| obligation.name())
        .collect::<Vec<_>>()
        .join(", ")
}

/// Counts the components under a licence: `2 packages, 1 crate: zlib, libcap, memchr`.
fn count(group: &LicenceGroup<'_>) -> String {
    let kinds = [
        (ComponentKind::Package, "package"),
        (ComponentKind::GoModule, "Go module"),
        (ComponentKind::Crate, "crate"),
    ];
    let counts = kinds.iter().filter_map(|(kind, name)| {
        let of_kind = group.components.iter().filter(|component| component.kind == *kind);
        match of_kind.count() {
            0 => None,
            1 => Some(format!("1 {name}")),
            count => Some(format!("{count} {name}s")),
        }
    });
    let counts: Vec<_> = counts.collect();
    let mut names: Vec<_> = group
        .components
        .iter()
        .map(|component| component.name.as_str())
        .collect();
    names.dedup();
    let more = match names.len().checked_sub(NAMES) {
        None | Some(0) => String::new(),
        Some(more) => format!(", and {more} more"),
    };
    names.truncate(NAMES);
    format!("{}: {}{more}", counts.join(", "), names.join(", "))
}

fn summary(name: &str, groups: &[LicenceGroup<'_>]) -> String {
    let count = |obligation| {
        let asking = groups.iter().filter(|group| group.asks.contains(&obligation));
        asking.map(|group| group.components.len()).sum::<usize>()
    };
    let unknown: usize = groups
        .iter()
        .filter(|group| group.licence.is_none())
        .map(|group| group.components.len())
        .sum();
    let components = |count| match count {
        1 => "1 component".to_owned(),
        _ => format!("{count} components"),
    };
    let mut lines = Vec::new();
    for (obligation, before, after) in [
        (
            Obligation::Text,
            "passes on the licence texts of",
            ", and notices where there are some: --texts FILE writes all of them",
        ),
        (
            Obligation::Source,
            "offers the source of",
            ": it is in the store, and `basalt why NAME` names its address and digest",
        ),
        (
            Obligation::Relinking,
            "lets recipients put changed libraries in the place of",
            "",
        ),
    ] {
        match count(obligation) {
            0 => {}
            asking => lines.push(format!("  {before} {}{after}", components(asking))),
        }
    }
    let nothing = if lines.is_empty() {
        " has no obligations by these licences"
    } else {
        ""
    };
    lines.insert(0, format!("\nWhoever passes {name} on{nothing}"));
    if unknown > 0 {
        lines.push(format!(
            "Nobody knows the licence of {}: `basalt licenses --lock` finds out.",
            components(unknown)
        ));
    }
    lines.join("\n")
}

/// Returns the paths of the sources of all modules and crates that packages are built from; missing ones are fetched.
fn module_sources(
    checkout: &Checkout,
    context: &BuildContext,
    packages: &BTreeSet<PackageId>,
) -> Result<ModuleSources> {
    let mut sources = ModuleSources::default();
    for package in packages {
        for input in context.distribution.package(*package).sources.inputs(&context.tools)? {
            let InputContent::Modules(modules) = input.content else {
                continue;
            };
            let directory = modules.fetch(&checkout.store, &context.tools, checkout.reporter())?;
            let path = checkout.store.directory_path(&directory.root.digest);
            match input.name.as_str() {
                "gomodcache" => sources.go.push(path),
                "vendor" => sources.crates.push(path),
                _ => {}
            }
        }
    }
    Ok(sources)
}

/// Writes all texts that must accompany an image into one file, each once, and returns their number.
fn write_texts(checkout: &Checkout, inventory: &Inventory, path: &Utf8Path) -> Result<usize> {
    let context = checkout.build_context()?;
    let catalogue = checkout.catalogue()?;
    let mut packages = BTreeSet::new();
    for component in inventory.of_kind(ComponentKind::Package) {
        packages.insert(context.distribution.find(&component.name)?);
    }
    let sources = module_sources(checkout, &context, &packages)?;
    let mut found: Vec<(String, LicenceFile)> = Vec::new();
    for component in &inventory.components {
        let mut own = match component.kind {
            ComponentKind::Package => texts_of_package(checkout, component)?,
            ComponentKind::GoModule | ComponentKind::Crate => sources.texts(component)?,
        };
        if own.is_empty() {
            own = texts_of_licence(component, &catalogue)?;
        }
        let of = format!("{} {}", component.name, component.version);
        found.extend(own.into_iter().map(|file| (of.clone(), file)));
    }
    let merged = texts::merged(found);
    let mut text = format!(
        "The licences of {} {}\n",
        inventory.subject.name, inventory.subject.version
    );
    for (whose, file) in &merged {
        text += &format!(
            "\n{}\n{}\n{}\n\n{}\n",
            "=".repeat(80),
            whose.join("\n"),
            "=".repeat(80),
            file.text.trim_end()
        );
    }
    write::atomically(path, text)?;
    Ok(merged.len())
}

fn texts_of_package(checkout: &Checkout, component: &Component) -> Result<Vec<LicenceFile>> {
    let Some(digest) = component.digest else {
        return Ok(Vec::new());
    };
    let path = checkout.store.object_path(&digest);
    let package = basalt_rpm::read_package(&path)?;
    Ok(texts::of_rpm(&Rpm {
        package: &package,
        path: &path,
        digest,
        size: fs_err::metadata(&path).map_or(0, |found| found.len()),
    })?)
}

/// Returns texts of SPDX's list, for a component that has none of its own.
fn texts_of_licence(component: &Component, catalogue: &Catalogue) -> Result<Vec<LicenceFile>> {
    let Some(licence) = &component.licence else {
        return Ok(Vec::new());
    };
    let chosen = terms(&component.purl, licence)?.chosen;
    let texts = chosen.into_iter().filter_map(|id| {
        let text = texts::of_licence(&id, &catalogue.licences)?;
        Some(LicenceFile { name: id, text })
    });
    Ok(texts.collect())
}

/// Detects the licences of all modules and crates, and writes the lock.
fn lock(checkout: &Checkout, json: bool) -> Result<ExitCode> {
    let context = checkout.build_context()?;
    let catalogue = checkout.catalogue()?;
    let engine = context.engine(checkout);
    let all: BTreeSet<PackageId> = context.distribution.graph.ids().collect();
    let built = engine.build(all.iter().copied())?;
    let mut components = Vec::new();
    for package in built.values() {
        components.extend(bom::of_package(checkout, &context, &catalogue, package)?.components);
    }
    let sources = module_sources(checkout, &context, &all)?;
    let detected = DetectedLicences::of(components, &catalogue.licences, &sources)?;
    let path = checkout.content().file(ContentFile::Licences).path;
    write::atomically(&path, detected.lock_text())?;
    let found = detected.found.len();
    let unknown = detected.unknown.iter();
    let unknown: Vec<_> = unknown
        .map(|component| format!("{} {}", component.name, component.version))
        .collect();
    if json {
        answer_json(&serde_json::json!({ "locked": found, "unknown": unknown }));
    } else {
        answer(format!("{found} licences are locked in {path}"));
    }
    if unknown.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    Err(miette!(
        code = "licences::unknown",
        help = format!(
            "read their licence files, and write a table `[decided.\"…\"]` with `licence` and `because` into \
             distro/packages/{} for each",
            basalt_bom::DECISIONS
        ),
        "the licences of {} could not be told: {}",
        unknown.len(),
        unknown.join(", ")
    ))
}
