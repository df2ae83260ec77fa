//! Checks of definitions, from the raw types to the checked ones.

use std::collections::BTreeMap;

use super::checked::{ContainerSettings, DiskSettings, ImageDefinition, ImageKind, PathPattern};
use super::raw::{self, Kind};
use basalt_document::problem::Problem;
use basalt_document::{Document, Finding, Path};

/// Kernel arguments that only the composer sets: those that end in `=` with any value, others exactly.
const OURS: &[&str] = &[
    "root=",
    "rootfstype=",
    "ro",
    "rw",
    "dm-mod.create=",
    "dm-mod.waitfor=",
    "init=",
];

/// Checks a definition and adds its problems to `found`. The result is valid only if none were found.
pub(super) fn image(document: &Document, found: &mut Vec<Problem>, raw: raw::ImageDefinition) -> ImageDefinition {
    let mut say = |path: Path, finding: Finding| found.push(document.at(&path, finding));
    let root = Path::root();
    name(&mut say, document, &raw.name);
    if raw.extends.as_ref() == Some(&raw.name) {
        let finding = Finding::error("an image cannot extend itself", "its own name");
        say(
            root.key("extends"),
            finding.with_help("name another image, or remove the line"),
        );
    }
    let given = document
        .root()
        .get("packages")
        .is_some_and(|entry| entry.value.kind != basalt_document::Kind::List(Vec::new()));
    if !given && raw.extends.is_none() {
        let finding = Finding::error("an image without packages is empty", "in here");
        say(
            root.clone(),
            finding.with_help("add `packages:` with a list of package names"),
        );
    }
    packages(&mut say, &root.key("packages"), &raw.packages);
    variants(&mut say, &root.key("variants"), &raw.variants);
    only_of_its_kind(&mut say, document, raw.kind);
    let exclude = exclude(&mut say, &raw.exclude);
    let kind = match raw.kind {
        Kind::Disk => {
            kernel_arguments(&mut say, &raw.kernel_arguments);
            let partitions = raw.partitions.as_ref();
            ImageKind::Disk(DiskSettings {
                kernel_arguments: raw.kernel_arguments,
                esp_mib: partitions.and_then(|partitions| partitions.esp_mib),
                root_mib: partitions.and_then(|partitions| partitions.root_mib),
            })
        }
        Kind::Container => {
            container(&mut say, &raw);
            ImageKind::Container(ContainerSettings {
                entrypoint: raw.entrypoint,
                command: raw.command,
                user: raw.user,
                environment: raw.environment,
            })
        }
        Kind::Tree => ImageKind::Tree,
    };
    ImageDefinition {
        name: raw.name,
        extends: raw.extends,
        packages: raw.packages,
        variants: raw.variants,
        is_variant: false,
        exclude,
        kind,
    }
}

fn name(say: &mut impl FnMut(Path, Finding), document: &Document, name: &str) {
    let place = Path::root().key("name");
    let stem = document.name().rsplit('/').next().unwrap_or_default();
    let stem = stem.strip_suffix(".yaml").unwrap_or(stem);
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || !name.bytes().all(letters) || name.starts_with('-') || name.ends_with('-') {
        let finding = Finding::error(format!("`{name}` cannot be the name of an image"), "not a name");
        say(
            place,
            finding.with_help("use lower-case letters, digits and `-` between them"),
        );
    } else if name != stem {
        let finding = Finding::error(format!("the image `{name}` is in the file of `{stem}`"), "another name");
        say(
            place,
            finding.with_help(format!("write `{stem}`, or name the file {name}.yaml")),
        );
    }
}

fn packages(say: &mut impl FnMut(Path, Finding), path: &Path, packages: &[String]) {
    for (index, package) in packages.iter().enumerate() {
        let place = path.index(index);
        if !is_package_name(package) {
            let finding = Finding::error(format!("`{package}` is not the name of a package"), "not a name");
            say(
                place,
                finding.with_help("write the name of a package of distro/packages, as its spec has it"),
            );
        } else if packages.iter().take(index).any(|earlier| earlier == package) {
            say(
                place,
                Finding::error(format!("`{package}` is there twice"), "again").with_help("keep one of them"),
            );
        }
    }
}

fn variants(say: &mut impl FnMut(Path, Finding), path: &Path, variants: &BTreeMap<String, Vec<String>>) {
    for (name, added) in variants {
        let place = path.key(name);
        let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
        let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = name.as_bytes();
        if !name.bytes().all(letters) || !ends(bytes.first()) || !ends(bytes.last()) {
            let finding = Finding::error(format!("`{name}` cannot be the name of a variant"), "not a name");
            let help = "use lower-case letters and digits, and `-` and `.` between them";
            say(place.clone(), finding.with_help(help));
        }
        if added.is_empty() {
            let finding = Finding::error(format!("the variant `{name}` is the image itself"), "no package");
            say(
                place.clone(),
                finding.with_help("write a list of packages, or remove the line"),
            );
        }
        packages(say, &place, added);
    }
}

/// Returns `true` for names that rpm accepts for packages.
fn is_package_name(name: &str) -> bool {
    name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._+".contains(&byte))
}

fn only_of_its_kind(say: &mut impl FnMut(Path, Finding), document: &Document, kind: Kind) {
    const KEYS: &[(&str, Kind)] = &[
        ("kernelArguments", Kind::Disk),
        ("partitions", Kind::Disk),
        ("entrypoint", Kind::Container),
        ("command", Kind::Container),
        ("user", Kind::Container),
        ("environment", Kind::Container),
    ];
    for (key, owner) in KEYS {
        if *owner != kind && document.root().get(key).is_some() {
            let word = |kind| match kind {
                Kind::Disk => "disk",
                Kind::Container => "container",
                Kind::Tree => "tree",
            };
            let message = format!("a {} has no `{key}`: it is for a {}", word(kind), word(*owner));
            let finding = Finding::error(message, "not for this kind").with_help("remove it, or change `kind`");
            say(Path::root().key(*key), finding);
        }
    }
}

fn exclude(say: &mut impl FnMut(Path, Finding), raw: &[String]) -> Vec<PathPattern> {
    let mut patterns = Vec::new();
    for (index, text) in raw.iter().enumerate() {
        let place = Path::root().key("exclude").index(index);
        let plain = text.len() > 1 && text.starts_with('/') && !text.ends_with('/') && !text.contains("//");
        if !plain {
            let finding = Finding::error(format!("`{text}` is not an absolute path"), "not a path");
            say(
                place,
                finding.with_help("write it from the root on, without a slash at its end: /usr/include"),
            );
            continue;
        }
        match glob::Pattern::new(text) {
            Ok(pattern) => patterns.push(PathPattern(pattern)),
            Err(error) => {
                let finding = Finding::error(format!("`{text}` is not a pattern: {}", error.msg), "not a pattern");
                say(
                    place,
                    finding.with_help("`*` stands for part of a name, `**` alone for any number of folders"),
                );
            }
        }
    }
    patterns
}

fn kernel_arguments(say: &mut impl FnMut(Path, Finding), arguments: &[String]) {
    for (index, argument) in arguments.iter().enumerate() {
        let place = Path::root().key("kernelArguments").index(index);
        let ours = OURS.iter().any(|ours| {
            if ours.ends_with('=') {
                argument.starts_with(ours)
            } else {
                argument == ours
            }
        });
        if argument.is_empty() || argument.chars().any(|letter| letter.is_control() || letter == '"') {
            let finding = Finding::error("an argument of the kernel is one word", "not a word");
            say(
                place,
                finding.with_help("write each argument as an item of its own: `- quiet`"),
            );
        } else if ours {
            let finding = Finding::error(format!("`{argument}` is for the composer to say"), "not here");
            say(
                place,
                finding.with_help("remove it: the composer knows where the root is"),
            );
        }
    }
}

fn container(say: &mut impl FnMut(Path, Finding), raw: &raw::ImageDefinition) {
    let root = Path::root();
    for (key, words) in [("entrypoint", &raw.entrypoint), ("command", &raw.command)] {
        if words.as_ref().is_some_and(Vec::is_empty) {
            let finding = Finding::error(format!("`{key}` is empty"), "nothing");
            say(
                root.key(key),
                finding.with_help("write a list with the program first, or remove it"),
            );
        }
    }
    if raw.entrypoint.is_none() && raw.command.is_none() && raw.extends.is_none() {
        let finding = Finding::error("nothing says what the container runs", "in here");
        say(
            root.clone(),
            finding.with_help("add `entrypoint:` with a list: the program and its arguments"),
        );
    }
    let numbers = |user: &String| {
        let parts: Vec<_> = user.split(':').collect();
        parts.len() <= 2 && parts.iter().all(|part| part.parse::<u32>().is_ok())
    };
    if raw.user.as_ref().is_some_and(|user| !numbers(user)) {
        let finding = Finding::error("`user` must be numbers", "not numbers");
        say(
            root.key("user"),
            finding.with_help("write user and group: \"65532:65532\""),
        );
    }
}
