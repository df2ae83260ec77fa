//! `basalt why`: origin and dependents of a file, a package, a module or a crate.

use std::process::ExitCode;

use basalt_bom::{Component, ComponentKind, PackagedFile};
use basalt_provenance::{LinkedOrigin, OriginImage, OriginLookup, OriginTarget, PackageOrigin};
use miette::{Result, miette};
use serde::Serialize;

use super::{answer, answer_json, bom, images};
use crate::arguments::Why;
use crate::checkout::Checkout;

/// Number of modules and crates of a program that are shown.
const HELD: usize = 12;

/// Resolves the argument, and shows the origin of what it names. The image is composed if need be; of other packages, only
/// those that are built already are searched.
pub fn run(checkout: &Checkout, options: &Why, json: bool) -> Result<ExitCode> {
    let context = checkout.build_context()?;
    let definition = basalt_image::definition(&checkout.content(), &options.image)?;
    let made = images::make_in(checkout, &context, &[&options.image])?.remove(&options.image);
    let image = made.ok_or_else(|| miette!("the image `{}` was not composed", options.image))?;
    let catalogue = checkout.catalogue()?;
    let lookup = OriginLookup {
        distribution: &context.distribution,
        sdk: context.sdk.root.digest,
        logs: &checkout.store.logs(),
        built: &context.engine(checkout).built(context.distribution.graph.ids())?,
        definition: &definition,
        image: &image,
        inventory: &image.inventory()?,
        inventory_of: &|built| bom::of_package(checkout, &context, &catalogue, built),
    };
    match lookup.resolve(&options.what)? {
        OriginTarget::File { path, source, package } => {
            print(&lookup.package(source, &package, Some(path))?, json, show);
        }
        OriginTarget::Package { source, package } => print(&lookup.package(source, &package, None)?, json, show),
        OriginTarget::Linked(components) => {
            let linked = components.into_iter().map(|component| lookup.linked(component));
            let linked: Vec<_> = linked.collect::<Result<_, _>>()?;
            print(&linked, json, |linked| {
                linked.iter().map(show_linked).collect::<Vec<_>>().join("\n\n")
            });
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print<T: Serialize>(what: &T, json: bool, show: impl Fn(&T) -> String) {
    if json {
        answer_json(what);
    } else {
        answer(show(what));
    }
}

/// Formats a line of a title and a value.
fn line(title: &str, value: impl std::fmt::Display) -> String {
    format!("  {title:<13} {value}\n")
}

fn show(origin: &PackageOrigin) -> String {
    let mut text = match &origin.file {
        Some(file) => format!("{file}\n") + &line("is in", &origin.package),
        None => format!("{}\n", origin.package),
    };
    text += &line("what it is", &origin.summary);
    text += &line("licence", &origin.licence);
    text += &line(
        "made from",
        format!(
            "{}: {} {}",
            origin.source.folder, origin.source.upstream, origin.source.version
        ),
    );
    for file in &origin.source.files {
        let repack = if file.repack { " (a repack of it)" } else { "" };
        text += &line("", format!("{}{repack}", file.url));
        text += &line("", format!("sha256 {}", file.digest));
    }
    if origin.source.modules {
        text += &line("", "modules or crates, pinned by go.sum or Cargo.lock in that folder");
    }
    let build = &origin.build;
    text += &line(
        "built",
        format!(
            "in {} s, {} of {} in the order, with the SDK {}",
            build.seconds,
            build.place,
            build.of,
            build.sdk.short()
        ),
    );
    if !build.from.is_empty() {
        text += &line("", format!("against {}", build.from.join(", ")));
    }
    text += &line("", format!("key {}", build.key));
    text += &line("rpm", format!("sha256 {}", origin.rpm));
    match &origin.image {
        None => text += &line("needed by", "nothing: it is not in the image"),
        Some(image) => {
            if !image.required_by.is_empty() {
                text += &line("required by", image.required_by.join(", "));
            }
            text += &line("because", reason_in_image(image));
        }
    }
    text += &holds(&origin.holds);
    text.trim_end().to_owned()
}

fn reason_in_image(image: &OriginImage) -> String {
    match image.way.split_first() {
        None => format!("it is in the image {}", image.name),
        Some((first, [])) => format!("the image {} names {first}", image.name),
        Some((first, rest)) => format!(
            "the image {} names {first}, which requires {}",
            image.name,
            rest.join(", which requires ")
        ),
    }
}

fn holds(components: &[Component]) -> String {
    let shown = components.get(..HELD).unwrap_or(components);
    let Some(widest) = shown.iter().map(|component| component.name.len()).max() else {
        return String::new();
    };
    let mut text = line("holds", format!("{} modules and crates:", components.len()));
    for component in shown {
        let licence = component.licence.as_deref().unwrap_or("licence unknown");
        text += &format!("    {:<widest$}  {}  {licence}\n", component.name, component.version);
    }
    if shown.len() < components.len() {
        text += &format!("    and {} more, which --json lists\n", components.len() - shown.len());
    }
    text
}

fn show_linked(linked: &LinkedOrigin) -> String {
    let component = &linked.component;
    let kind = match component.kind {
        ComponentKind::Package => "package",
        ComponentKind::GoModule => "Go module",
        ComponentKind::Crate => "crate",
    };
    let mut text = format!("{} {}\n", component.name, component.version);
    text += &line("what it is", format!("a {kind}, {}", component.purl));
    text += &line("licence", component.licence.as_deref().unwrap_or("unknown"));
    if let Some(sum) = &component.go_sum {
        text += &line("go.sum", sum);
    }
    if let Some(digest) = &component.digest {
        text += &line("archive", format!("sha256 {digest}"));
    }
    for origin in &linked.packages {
        let files = component.inside.iter().filter(|place| is_of(place, origin));
        let files: Vec<_> = files.map(|place| place.file.as_str()).collect();
        text += &line("linked into", format!("{} of {}", files.join(", "), origin.package));
        let why = origin
            .image
            .as_ref()
            .map_or_else(|| "which is not in the image".to_owned(), reason_in_image);
        text += &line("", why);
    }
    text.trim_end().to_owned()
}

/// Returns `true` if a place is in the package of an origin.
fn is_of(place: &PackagedFile, origin: &PackageOrigin) -> bool {
    origin.package.strip_prefix(place.package.as_str()).is_some_and(|rest| {
        rest.strip_prefix('-')
            .is_some_and(|version| version.starts_with(|letter: char| letter.is_ascii_digit()))
    })
}
