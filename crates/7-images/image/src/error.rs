//! How composing an image goes wrong.

use crate::definition::KindMismatch;
use basalt_bom::BomError;
use basalt_document::problem::Problems;
use basalt_process::ProcessError;
use basalt_rpm::RpmError;
use basalt_store::StoreError;
use camino::{Utf8Path, Utf8PathBuf};
use miette::Diagnostic;
use thiserror::Error;

/// An image could not be composed.
#[derive(Debug, Error, Diagnostic)]
pub enum ImageError {
    /// A definition is wrong.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Definition(Box<Problems>),
    /// There is no such definition.
    #[error("there is no image `{name}`")]
    #[diagnostic(code(image::unknown), help("{help}"))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        help: String,
    },
    /// Definitions extend each other in a circle.
    #[error("the image `{name}` extends itself: {way}")]
    #[diagnostic(code(image::circle), help("take one `extends` out of distro/images/"))]
    Circle {
        /// Where it was noticed.
        name: String,
        /// The circle.
        way: String,
    },
    /// It extends something else than it is.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Extends(#[from] KindMismatch),
    /// A package counts on a script.
    #[error("the package {package} has scripts, which nothing runs: {scripts}")]
    #[diagnostic(
        code(image::script),
        help("declare what they do: users in sysusers.d, folders in tmpfiles.d, units by links in *.wants")
    )]
    Script {
        /// The package.
        package: String,
        /// The names of its scripts.
        scripts: String,
    },
    /// A package is for builds, not for machines.
    #[error(
        "the package {package} is a build tool: its programs run in the SDK, not on a machine of this distribution"
    )]
    #[diagnostic(
        code(image::tool),
        help("take out of the image what requires it: a `-devel` package, most likely")
    )]
    Tool {
        /// The package.
        package: String,
    },
    /// Two packages are at odds about a path.
    #[error("`{path}` is in two packages: {first} has {first_what}, {second} has {second_what}")]
    #[diagnostic(
        code(image::conflict),
        help(
            "take it out of `%files` of one of them, or install only one; where an image can do without, `exclude` it"
        )
    )]
    Conflict {
        /// The path.
        path: String,
        /// One package.
        first: String,
        /// What it has there.
        first_what: String,
        /// The other.
        second: String,
        /// What that has there.
        second_what: String,
    },
    /// A path cannot be where a package puts it.
    #[error("the package {package} cannot have `{path}`: {why}")]
    #[diagnostic(code(image::place), help("{remedy}"))]
    Place {
        /// The package.
        package: String,
        /// The path.
        path: String,
        /// What is in the way.
        why: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Nobody declares the owner of a file.
    #[error("`{path}` of the package {package} belongs to the {what} `{name}`, which no package declares")]
    #[diagnostic(
        code(image::owner),
        help("add a file to /usr/lib/sysusers.d in the package, with a line `u {name} - \"What it is for\"`")
    )]
    Owner {
        /// The package.
        package: String,
        /// The file.
        path: String,
        /// User or group.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A line of sysusers.d is not understood.
    #[error("{file} of the package {package}, line {line}: {why}")]
    #[diagnostic(
        code(image::sysusers),
        help("see sysusers.d(5); the lines `u`, `g`, `m` and `r` are known")
    )]
    Accounts {
        /// The package.
        package: String,
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// What an image needs is in none of its packages.
    #[error("the image `{image}` has no {what}")]
    #[diagnostic(
        code(image::missing),
        help("add the package `{package}` to distro/images/{image}.yaml")
    )]
    Missing {
        /// The image.
        image: String,
        /// What is missing.
        what: &'static str,
        /// The package that has it.
        package: &'static str,
    },
    /// An EFI program cannot be used.
    #[error("{what} cannot be used: {why}")]
    #[diagnostic(code(image::efi), help("the packages systemd-boot and kernel hold it"))]
    Efi {
        /// Which program.
        what: &'static str,
        /// What is wrong.
        why: String,
    },
    /// Something does not fit.
    #[error("{what} has {size} and does not fit into its partition of {room}")]
    #[diagnostic(
        code(image::room),
        help("give it more in distro/images/{image}.yaml: `partitions: {{ {key}: … }}`")
    )]
    Room {
        /// The image.
        image: String,
        /// What.
        what: &'static str,
        /// Its size, in MiB.
        size: String,
        /// The room, in MiB.
        room: String,
        /// The key of the definition.
        key: &'static str,
    },
    /// The rpm database could not be written.
    #[error("the rpm database of the image cannot be written")]
    #[diagnostic(code(image::rpmdb))]
    Database(#[from] rusqlite::Error),
    /// A document in JSON could not be made.
    #[error("{what} cannot be written")]
    #[diagnostic(code(image::json), help("this is a bug in basalt"))]
    Document {
        /// Which.
        what: &'static str,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An image that is not a container was to go into a registry.
    #[error("the image `{0}` is not a container: a registry has no place for it")]
    #[diagnostic(code(image::registry))]
    NoContainer(String),
    /// An RPM cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Repo(#[from] RpmError),
    /// What is inside could not be found out.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Bom(#[from] BomError),
    /// Inputs that are in each other's way.
    #[error("the inputs of the image `{image}` cannot be put together")]
    #[diagnostic(code(image::inputs))]
    Inputs {
        /// The image.
        image: String,
        /// Which.
        source: basalt_action::DirectoryError,
    },
    /// The store failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
    /// A program failed, or Ctrl-C.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Process(#[from] ProcessError),
}

impl ImageError {
    /// For `map_err`: a failed file operation on a path, with the remedies that the store knows.
    pub(crate) fn io(what: &'static str, path: impl AsRef<Utf8Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path: Utf8PathBuf = path.as_ref().to_owned();
        move |error| Self::Store(StoreError::io(what, &path)(error))
    }

    pub(crate) fn document<E: std::error::Error + Send + Sync + 'static>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Document {
            what,
            source: Box::new(source),
        }
    }
}

impl From<Problems> for ImageError {
    fn from(problems: Problems) -> Self {
        Self::Definition(Box::new(problems))
    }
}
