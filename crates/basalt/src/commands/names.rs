//! Names of packages and images in the arguments of verbs, which are checked before anything is fetched or built.
//!
//! [`names`] lists them for every verb. They are known without the SDK: a mistyped one does not cost the wait for it.

use basalt_build::PackageNames;
use basalt_document::spelling::suggestion;
use camino::Utf8Path;
use miette::{Report, Result, miette};

use crate::arguments::repo::Repo;
use crate::arguments::{CacheVerb, PreflightVerb, Sources, Verb};
use crate::checkout::Checkout;

/// Endings of the names of disk images, by which a file of the current folder is told from a name. Names of images have dots,
/// too: `node-kubelet-1.36`.
const DISK_EXTENSIONS: [&str; 3] = ["img", "qcow2", "raw"];

/// Name in the arguments of a verb, by what has to have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NameArgument<'a> {
    /// A package, by its own name or by one that it provides.
    Package(&'a str),
    /// A folder of packages, which need not have a spec yet.
    PackageFolder(&'a str),
    /// An image.
    Image(&'a str),
    /// An image or a package.
    ImageOrPackage(&'a str),
}

/// Checks all names in the arguments of a verb.
pub(super) fn check(checkout: &Checkout, verb: &Verb) -> Result<()> {
    check_all(checkout, &names(verb))
}

/// Checks names, and reads only what is needed for that: an image definition with an error is no obstacle for packages.
pub(super) fn check_all(checkout: &Checkout, names: &[NameArgument<'_>]) -> Result<()> {
    let content = checkout.content();
    for name in names {
        match *name {
            NameArgument::Package(name) => {
                let packages = PackageNames::read(&content)?;
                if !packages.is_possible(name) {
                    return Err(packages.unknown(name).into());
                }
            }
            NameArgument::PackageFolder(name) => {
                let packages = PackageNames::read(&content)?;
                if !packages.is_folder(name) {
                    return Err(packages.unknown(name).into());
                }
            }
            NameArgument::Image(name) => drop(basalt_image::definition(&content, name)?),
            NameArgument::ImageOrPackage(name) => {
                let definitions = basalt_image::definitions(&content)?;
                let packages = PackageNames::read(&content)?;
                if !definitions.contains_key(name) && !packages.is_possible(name) {
                    let images = definitions.keys().map(String::as_str);
                    return Err(unknown(name, images.chain(packages.iter())));
                }
            }
        }
    }
    Ok(())
}

/// Returns `true` if a word is the path of an RPM file, and no name.
pub(super) fn is_rpm_file(word: &str) -> bool {
    word.ends_with(".rpm") || word.contains('/')
}

/// Returns `true` if a word is the path of a disk image, and no name.
pub(super) fn is_disk_file(word: &str) -> bool {
    let path = Utf8Path::new(word);
    let ending = path.extension();
    word.contains('/')
        || ending.is_some_and(|ending| DISK_EXTENSIONS.contains(&ending))
        || ending.is_some() && path.is_file()
}

/// Returns the error about a name that neither an image nor a package has.
pub(super) fn unknown<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Report {
    let list = || "what there is: `ls distro/images distro/packages`".to_owned();
    miette!(
        code = "build::unknown",
        help = suggestion(name, known, list),
        "there is no image and no package `{name}`"
    )
}

/// Lists the names in the arguments of a verb.
fn names(verb: &Verb) -> Vec<NameArgument<'_>> {
    use NameArgument::{Image, ImageOrPackage, Package, PackageFolder};
    match verb {
        Verb::Build(options) => match &options.explain {
            Some(package) => vec![Package(package)],
            None => each(&options.names, ImageOrPackage),
        },
        Verb::Verify(options) => {
            let without = each(&options.without, Package);
            [each(&options.names, ImageOrPackage), without].concat()
        }
        Verb::Shell { package } => vec![Package(package)],
        Verb::Sources(Sources::Fetch { packages } | Sources::Check { packages }) => each(packages, Package),
        Verb::Sources(Sources::Lock { package }) => vec![PackageFolder(package)],
        Verb::Provenance { what } if is_rpm_file(what) => Vec::new(),
        Verb::Provenance { what } => vec![ImageOrPackage(what)],
        Verb::Bom(options) => vec![ImageOrPackage(&options.name)],
        Verb::Licenses(options) if options.lock => Vec::new(),
        Verb::Licenses(options) => vec![ImageOrPackage(&options.name)],
        Verb::Audit(options) => each(&options.names, ImageOrPackage),
        Verb::Cache(CacheVerb::Push { names, .. } | CacheVerb::Pull { names }) => each(names, ImageOrPackage),
        Verb::Repo(Repo::Publish(options)) => each(&options.names, ImageOrPackage),
        Verb::Run(options) => vec![Image(&options.image)],
        Verb::Why(options) => vec![Image(&options.image)],
        Verb::Harden(options) => each(&options.images, Image),
        Verb::Addons(options) if options.config.is_some() => Vec::new(),
        Verb::Addons(options) => vec![Image(&options.image)],
        Verb::Preflight(options) => match &options.what {
            Some(PreflightVerb::Node(options)) => vec![Image(&options.node.image)],
            None => vec![Image(&options.node.image)],
        },
        Verb::Up(options) if is_disk_file(&options.image) => Vec::new(),
        Verb::Up(options) => vec![Image(&options.image)],
        Verb::Bench(_)
        | Verb::Cache(CacheVerb::Key { .. } | CacheVerb::Status | CacheVerb::Gc { .. })
        | Verb::Check { .. }
        | Verb::Clean(_)
        | Verb::Completions { .. }
        | Verb::Config(_)
        | Verb::Doctor
        | Verb::Down
        | Verb::Kubeconfig { .. }
        | Verb::Kubectl { .. }
        | Verb::Load(_)
        | Verb::Logs { .. }
        | Verb::Migrate(_)
        | Verb::Node(_)
        | Verb::Repo(_)
        | Verb::Sdk(_)
        | Verb::Status
        | Verb::Store(_)
        | Verb::Supervisor { .. }
        | Verb::Test(_) => Vec::new(),
    }
}

fn each<'a>(names: &'a [String], kind: fn(&'a str) -> NameArgument<'a>) -> Vec<NameArgument<'a>> {
    names.iter().map(|name| kind(name)).collect()
}
