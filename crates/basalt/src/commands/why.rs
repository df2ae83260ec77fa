//! `basalt why`: origin and dependents of a file, a package, a module or a crate.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use basalt_bom::{Component, ComponentKind, Inventory, PackagedFile, RelationKind, SourceFile};
use basalt_build::{Built, BuiltPackages, BuiltRpm, PackageId};
use basalt_digest::Digest;
use basalt_document::spelling::closest;
use basalt_image::Image;
use basalt_image::definition::ImageDefinition;
use basalt_rpm::usr_merged;
use miette::{Result, miette};
use serde::Serialize;

use super::{answer, answer_json, bom, images};
use crate::arguments::Why;
use crate::checkout::{BuildContext, Checkout};

/// Number of modules and crates of a program that are shown.
const HELD: usize = 12;

/// Origin of a package.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Origin {
    /// Path of the file that was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    package: String,
    summary: String,
    purl: String,
    licence: String,
    rpm: Digest,
    source: Source,
    build: Build,
    /// Role in the image; none when the package is not in it.
    image: Option<InImage>,
    /// Components linked into the file, or into the programs of the package.
    holds: Vec<Component>,
}

/// Source of a package.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Source {
    folder: String,
    upstream: String,
    version: String,
    files: Vec<SourceFile>,
    /// `true` if Go modules or crates are fetched for it, which a go.sum or a Cargo.lock in its folder pins.
    modules: bool,
}

/// Build of a package.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Build {
    key: Digest,
    seconds: u64,
    sdk: Digest,
    /// Position in the order of all builds, from 1, and the number of all.
    place: usize,
    of: usize,
    /// Direct dependencies of the build.
    from: Vec<String>,
    log: camino::Utf8PathBuf,
}

/// Role of a package in an image.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct InImage {
    name: String,
    /// Chain of requirements from the image's definition to the package.
    way: Vec<String>,
    required_by: Vec<String>,
}

/// Module or crate, and the programs that it is linked into.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Linked {
    component: Component,
    packages: Vec<Origin>,
}

/// File, package or linked component that the argument names.
enum Target {
    File(String, PackageId, String),
    Package(PackageId, String),
    Linked(Vec<Component>),
}

/// Resolves the argument, and shows the origin of what it names.
pub fn run(checkout: &Checkout, options: &Why, json: bool) -> Result<ExitCode> {
    let lookup = OriginLookup::open(checkout, &options.image)?;
    match lookup.resolve(&options.what)? {
        Target::File(path, package, name) => {
            let origin = lookup.origin(package, &name, Some(path))?;
            print(&origin, json, show)
        }
        Target::Package(package, name) => {
            let origin = lookup.origin(package, &name, None)?;
            print(&origin, json, show)
        }
        Target::Linked(components) => {
            let linked = components
                .into_iter()
                .map(|component| lookup.linked(component))
                .collect::<Result<Vec<_>>>()?;
            print(&linked, json, |linked| {
                linked.iter().map(show_linked).collect::<Vec<_>>().join("\n\n")
            })
        }
    }
}

fn print<T: Serialize>(what: &T, json: bool, show: impl Fn(&T) -> String) -> Result<ExitCode> {
    if json {
        answer_json(what);
    } else {
        answer(show(what));
    }
    Ok(ExitCode::SUCCESS)
}

/// Data in which origins are looked up.
struct OriginLookup<'p> {
    checkout: &'p Checkout,
    context: BuildContext,
    definition: ImageDefinition,
    image: Image,
    inventory: Inventory,
    built: BuiltPackages,
}

impl<'p> OriginLookup<'p> {
    /// Composes the image if need be. Of other packages, only those that are built already are searched.
    fn open(checkout: &'p Checkout, image: &str) -> Result<Self> {
        let context = checkout.build_context()?;
        let definition = basalt_image::definition(&checkout.content(), image)?;
        let made = images::make_in(checkout, &context, &[image])?.remove(image);
        let image = made.ok_or_else(|| miette!("the image `{image}` was not composed"))?;
        let all: Vec<_> = context.distribution.graph.ids().collect();
        let built = context.engine(checkout).built(all)?;
        Ok(Self {
            checkout,
            inventory: image.inventory()?,
            definition,
            image,
            built,
            context,
        })
    }

    /// Returns every RPM that is built, those of the image first.
    fn rpms(&self) -> Vec<(PackageId, &BuiltRpm)> {
        let in_image: BTreeSet<Digest> = self.image.facts.packages.iter().map(|package| package.digest).collect();
        let all = self
            .built
            .iter()
            .flat_map(|(index, built)| built.rpms.iter().map(|rpm| (*index, rpm)));
        let mut all: Vec<_> = all.collect();
        all.sort_by_key(|(_, rpm)| (!in_image.contains(&rpm.digest), rpm.package.name.clone()));
        all
    }

    fn resolve(&self, what: &str) -> Result<Target> {
        let rpms = self.rpms();
        if what.starts_with('/') {
            return self.file(what, &rpms);
        }
        let named = rpms.iter().find(|(_, rpm)| rpm.package.name == what);
        if let Some((index, rpm)) = named {
            return Ok(Target::Package(*index, rpm.package.name.clone()));
        }
        let of_source = rpms
            .iter()
            .find(|(package, _)| self.built.get(package).is_some_and(|built| built.name == what));
        if let Some((index, rpm)) = of_source {
            return Ok(Target::Package(*index, rpm.package.name.clone()));
        }
        let linked = self.all_linked()?;
        let (name, version) = match what.rsplit_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (what, None),
        };
        let found: Vec<Component> = linked
            .iter()
            .filter(|component| {
                component.purl == what
                    || component.name == name && version.is_none_or(|version| component.version == version)
            })
            .cloned()
            .collect();
        if !found.is_empty() {
            return Ok(Target::Linked(found));
        }
        let names = self.context.distribution.graph.names();
        let known = names.chain(linked.iter().map(|component| component.name.as_str()));
        Err(self.unknown(what, closest(what, known)))
    }

    fn file(&self, path: &str, rpms: &[(PackageId, &BuiltRpm)]) -> Result<Target> {
        let wanted = usr_merged(path);
        for (index, rpm) in rpms {
            if let Some(file) = rpm.package.files.iter().find(|file| usr_merged(file) == wanted) {
                return Ok(Target::File(file.clone(), *index, rpm.package.name.clone()));
            }
        }
        let files = || {
            rpms.iter()
                .flat_map(|(_, rpm)| rpm.package.files.iter().map(String::as_str))
        };
        // The same name in another folder is more similar than another name.
        let name = wanted.rsplit('/').next().unwrap_or_default();
        let elsewhere = files().find(|file| file.rsplit('/').next() == Some(name));
        Err(self.unknown(path, elsewhere.or_else(|| closest(&wanted, files()))))
    }

    fn unknown(&self, what: &str, guess: Option<&str>) -> miette::Report {
        let help = match guess {
            Some(guess) => format!("did you mean `{guess}`?"),
            None => format!(
                "`basalt --json bom {}` lists what is inside; a package that was never built is not known",
                self.image.name
            ),
        };
        miette!(
            code = "why::unknown",
            help = help,
            "neither the image {} nor a package that is built has `{what}`",
            self.image.name
        )
    }

    /// Returns all modules and crates: of the image, and of other built packages.
    fn all_linked(&self) -> Result<Vec<Component>> {
        let mut all: BTreeMap<String, Component> = BTreeMap::new();
        for built in self.built.values() {
            for component in bom::of_package(self.checkout, &self.context, built)?.components {
                if component.kind == ComponentKind::Package {
                    continue;
                }
                match all.get_mut(&component.purl) {
                    Some(known) => known.inside.extend(component.inside),
                    None => drop(all.insert(component.purl.clone(), component)),
                }
            }
        }
        Ok(all.into_values().collect())
    }

    fn origin(&self, package: PackageId, name: &str, file: Option<String>) -> Result<Origin> {
        let built = self.built.get(&package);
        let built = built.ok_or_else(|| miette!("the build of {name} has no result: a bug of basalt"))?;
        let inside = bom::of_package(self.checkout, &self.context, built)?;
        let rpm = built.rpms.iter().find(|rpm| rpm.package.name == name);
        let (Some(rpm), Some(component)) = (rpm, inside.package(name)) else {
            return Err(miette!("the build of {} made no package {name}", built.name));
        };
        let holds = inside.related(&component.purl, RelationKind::Contains);
        let in_file = |component: &&Component| match &file {
            Some(file) => component.inside.iter().any(|place| place.file == *file),
            None => true,
        };
        let holds = holds.filter(in_file).cloned().collect();
        let origin = component.origin.clone();
        let source = self.context.distribution.package(package);
        Ok(Origin {
            package: rpm.package.nevra(),
            summary: rpm.package.summary.clone(),
            purl: component.purl.clone(),
            licence: rpm.package.license.clone(),
            rpm: rpm.digest,
            source: Source {
                folder: source.folder.place.to_string(),
                upstream: origin
                    .as_ref()
                    .map(|origin| origin.upstream.clone())
                    .unwrap_or_default(),
                version: rpm.package.version.clone(),
                files: origin.map(|origin| origin.sources).unwrap_or_default(),
                modules: source.sources.has_modules(),
            },
            build: self.build(package, built)?,
            image: self.in_image(name),
            holds,
            file,
        })
    }

    fn build(&self, package: PackageId, built: &Built) -> Result<Build> {
        let graph = &self.context.distribution.graph;
        let order = graph.order().map_err(basalt_build::BuildError::from)?;
        let from = graph
            .needs(package)
            .iter()
            .map(|need| graph.package(*need).name.clone());
        Ok(Build {
            key: built.key,
            seconds: built.seconds,
            sdk: self.context.sdk.root.digest,
            place: order.iter().position(|other| *other == package).unwrap_or(0) + 1,
            of: order.len(),
            from: from.collect(),
            log: basalt_build::log::path(&self.checkout.store.logs(), &built.name),
        })
    }

    fn in_image(&self, package: &str) -> Option<InImage> {
        self.inventory.package(package)?;
        Some(InImage {
            name: self.image.name.clone(),
            way: self
                .inventory
                .requirement_chain(&self.definition.packages, package)
                .unwrap_or_default(),
            required_by: self
                .inventory
                .requirers(package)
                .into_iter()
                .map(str::to_owned)
                .collect(),
        })
    }

    fn linked(&self, component: Component) -> Result<Linked> {
        let packages: BTreeSet<&str> = component.inside.iter().map(|place| place.package.as_str()).collect();
        let origins = packages.into_iter().map(|name| {
            let index = self.context.distribution.find(name)?;
            let mut origin = self.origin(index, name, None)?;
            origin.holds.clear();
            Ok(origin)
        });
        Ok(Linked {
            packages: origins.collect::<Result<_>>()?,
            component,
        })
    }
}

/// Formats a line of a title and a value.
fn line(title: &str, value: impl std::fmt::Display) -> String {
    format!("  {title:<13} {value}\n")
}

fn show(origin: &Origin) -> String {
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

fn reason_in_image(image: &InImage) -> String {
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

fn show_linked(linked: &Linked) -> String {
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
fn is_of(place: &PackagedFile, origin: &Origin) -> bool {
    origin.package.strip_prefix(place.package.as_str()).is_some_and(|rest| {
        rest.strip_prefix('-')
            .is_some_and(|version| version.starts_with(|letter: char| letter.is_ascii_digit()))
    })
}
