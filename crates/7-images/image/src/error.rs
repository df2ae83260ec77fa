//! Errors of reading definitions and composing images.

use crate::definition::KindMismatch;
use basalt_bom::BomError;
use basalt_content::ContentError;
use basalt_document::problem::Problems;
use basalt_process::ProcessError;
use basalt_rpm::RpmError;
use basalt_store::{FileError, StoreError};
use camino::{Utf8Path, Utf8PathBuf};
use miette::Diagnostic;
use thiserror::Error;

/// An image could not be composed.
#[derive(Debug, Error, Diagnostic)]
pub enum ImageError {
    /// A definition has problems.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Definition(Box<Problems>),
    /// There is no definition of that name.
    #[error("there is no image `{name}`")]
    #[diagnostic(code(image::unknown), help("{help}"))]
    Unknown {
        /// Requested name.
        name: String,
        /// Similar name, or the names of all images, as help for the user.
        help: String,
    },
    /// Definitions extend each other in a cycle.
    #[error("the image `{name}` extends itself: {way}")]
    #[diagnostic(code(image::circle), help("take one `extends` out of distro/images/"))]
    Circle {
        /// Name of the image at which the cycle was found.
        name: String,
        /// Names of the images on the way, separated by arrows.
        way: String,
    },
    /// A variant of an image has the name of another image.
    #[error("there are two images `{name}`: a definition, and a variant of another one")]
    #[diagnostic(code(image::twice), help("rename one of them in distro/images/"))]
    Twice {
        /// The name.
        name: String,
    },
    /// An image extends one of another kind.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Extends(#[from] KindMismatch),
    /// A package has scriptlets or triggers, which are never run.
    #[error("the package {package} has scripts, which nothing runs: {scripts}")]
    #[diagnostic(
        code(image::script),
        help("declare what they do: users in sysusers.d, folders in tmpfiles.d, units by links in *.wants")
    )]
    Script {
        /// Name of the package.
        package: String,
        /// Names of the scriptlets: `%post`.
        scripts: String,
    },
    /// A package is a build tool: its programs run on the build machine.
    #[error(
        "the package {package} is a build tool: its programs run in the SDK, not on a machine of this distribution"
    )]
    #[diagnostic(
        code(image::tool),
        help("take out of the image what requires it: a `-devel` package, most likely")
    )]
    Tool {
        /// Name of the package.
        package: String,
    },
    /// Two packages have different entries at the same path.
    #[error("`{path}` is in two packages: {first} has {first_what}, {second} has {second_what}")]
    #[diagnostic(
        code(image::conflict),
        help(
            "take it out of `%files` of one of them, or install only one; where an image can do without, `exclude` it"
        )
    )]
    Conflict {
        /// Absolute path in the image.
        path: String,
        /// Name of the first package.
        first: String,
        /// Description of the first package's entry.
        first_what: String,
        /// Name of the second package.
        second: String,
        /// Description of the second package's entry.
        second_what: String,
    },
    /// A package has an entry that an image cannot have at that path.
    #[error("the package {package} cannot have `{path}`: {why}")]
    #[diagnostic(code(image::place), help("{help}"))]
    Place {
        /// Name of the package.
        package: String,
        /// Path of the entry.
        path: String,
        /// Reason, as a clause that follows the colon.
        why: String,
        /// Instruction for the packager, shown as help.
        help: &'static str,
    },
    /// A file of a package cannot be read, or is not what the header of its RPM says.
    #[error("`{path}` of the package {package} cannot be read: {why}")]
    #[diagnostic(
        code(image::package_content),
        help("the RPM is damaged, or its payload does not belong to its header: build the package again")
    )]
    PackageContent {
        /// Name of the package.
        package: String,
        /// Path of the file in the package.
        path: String,
        /// Reason, as a clause that follows the colon.
        why: String,
    },
    /// A file belongs to a user or group that no package declares.
    #[error("`{path}` of the package {package} belongs to the {what} `{name}`, which no package declares")]
    #[diagnostic(
        code(image::owner),
        help("add a file to /usr/lib/sysusers.d in the package, with a line `u {name} - \"What it is for\"`")
    )]
    Owner {
        /// Name of the package.
        package: String,
        /// Path of the file.
        path: String,
        /// `user` or `group`.
        what: &'static str,
        /// Name of the user or group.
        name: String,
    },
    /// A line of sysusers.d cannot be parsed.
    #[error("{file} of the package {package}, line {line}: {why}")]
    #[diagnostic(
        code(image::sysusers),
        help("see sysusers.d(5); the lines `u`, `g`, `m` and `r` are known")
    )]
    Accounts {
        /// Name of the package.
        package: String,
        /// Path of the file.
        file: String,
        /// Number of the line, from 1.
        line: usize,
        /// Reason, as a clause that follows the colon.
        why: String,
    },
    /// Two accounts of packages have one number.
    #[error("the {kind} `{first}` and `{second}` have the same number, {number}")]
    #[diagnostic(
        code(image::account_number),
        help("give one of them another number, in the file of its package in /usr/lib/sysusers.d")
    )]
    SharedNumber {
        /// `users` or `groups`.
        kind: &'static str,
        /// Name of the first account.
        first: String,
        /// Name of the second account.
        second: String,
        /// Their UID or GID.
        number: u32,
    },
    /// None of the packages has a file that the image needs.
    #[error("the image `{image}` has no {what}")]
    #[diagnostic(
        code(image::missing),
        help("add the package `{package}` to distro/images/{image}.yaml")
    )]
    Missing {
        /// Name of the image.
        image: String,
        /// Name of the missing file: `boot loader`.
        what: &'static str,
        /// Name of the package that contains the file.
        package: &'static str,
    },
    /// An EFI program cannot be used.
    #[error("{what} cannot be used: {why}")]
    #[diagnostic(code(image::efi), help("the packages systemd-boot and kernel hold it"))]
    Efi {
        /// Name of the program: `systemd's EFI stub`.
        what: &'static str,
        /// Reason, as a clause that follows the colon.
        why: String,
    },
    /// The content of a partition is larger than the partition.
    #[error("{what} has {size} and does not fit into its partition of {room}")]
    #[diagnostic(
        code(image::room),
        help("give it more in distro/images/{image}.yaml: `partitions: {{ {key}: … }}`")
    )]
    Room {
        /// Name of the image.
        image: String,
        /// Name of the content: `the root file system`.
        what: &'static str,
        /// Size of the content: `401 MiB`.
        size: String,
        /// Size of the partition: `400 MiB`.
        room: String,
        /// Key of the definition that sets the size of the partition.
        key: &'static str,
    },
    /// The rpm database could not be written.
    #[error("the rpm database of the image cannot be written")]
    #[diagnostic(code(image::rpmdb))]
    Database(#[from] rusqlite::Error),
    /// A JSON document could not be serialized.
    #[error("{what} cannot be written")]
    #[diagnostic(code(image::json), help("this is a bug in basalt"))]
    Document {
        /// Name of the document.
        what: &'static str,
        /// Cause, from the serializer.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An image for a registry's storage is not a container image; with its name.
    #[error("the image `{0}` is not a container: a registry has no place for it")]
    #[diagnostic(code(image::registry))]
    NoContainer(String),
    /// An RPM cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Repo(#[from] RpmError),
    /// The inventory or a bill of materials could not be made.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Bom(#[from] BomError),
    /// Two inputs of an action have the same path, or a path is not valid.
    #[error("the inputs of the image `{image}` cannot be put together")]
    #[diagnostic(code(image::inputs))]
    Inputs {
        /// Name of the image.
        image: String,
        /// Cause, with the path of the input.
        source: basalt_action::DirectoryError,
    },
    /// Content trees that cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Content(#[from] ContentError),
    /// An operation on a file failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Io(#[from] FileError),
    /// An operation of the store failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
    /// A program failed, or Ctrl-C was pressed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Process(#[from] ProcessError),
}

impl ImageError {
    /// Returns the conversion of an I/O error for `map_err`, with the help texts of the store. The path follows `what`.
    pub(crate) fn io(what: &'static str, path: impl AsRef<Utf8Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path: Utf8PathBuf = path.as_ref().to_owned();
        move |error| Self::Io(FileError::new(what, &path)(error))
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
