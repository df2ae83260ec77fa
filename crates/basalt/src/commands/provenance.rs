//! `basalt provenance`: provenance of packages, images and RPM files.

use std::process::ExitCode;

use basalt_build::PackageId;
use basalt_content::ContentFile;
use basalt_digest::{Digest, Hasher};
use basalt_provenance::{ImageFile, Statement};
use basalt_sources::Material;
use basalt_store::{FileError, digest_of, files_below};
use camino::Utf8Path;
use miette::{Result, miette};
use serde::{Deserialize, Serialize};

use super::names::{self, NameArgument};
use super::{answer_json, images, selection};
use crate::checkout::{BuildContext, Checkout};

/// Prints the statement about a package, an image, or an RPM file.
pub fn run(checkout: &Checkout, what: &str) -> Result<ExitCode> {
    if names::is_rpm_file(what) {
        answer_json(&of_file(checkout, Utf8Path::new(what))?);
        return Ok(ExitCode::SUCCESS);
    }
    let definitions = images::definitions(checkout)?;
    let context = checkout.build_context()?;
    let statement = if definitions.contains_key(what) {
        of_image(checkout, &context, what)?
    } else {
        of_package(checkout, &context, selection::package(what, &context, &definitions)?)?
    };
    answer_json(&statement);
    Ok(ExitCode::SUCCESS)
}

/// Returns the statement about a package, which is built if need be.
fn of_package(checkout: &Checkout, context: &BuildContext, package: PackageId) -> Result<Statement> {
    let engine = context.engine(checkout);
    let mut built = engine.build([package])?;
    let name = context.distribution.package(package).name();
    let built = built
        .remove(&package)
        .ok_or_else(|| miette!("`{name}` was not built"))?;
    Ok(basalt_provenance::of_package(&built, &engine.materials(package)?)?)
}

/// Returns the statement about an RPM file: that of its package, if this very file came out of its build.
fn of_file(checkout: &Checkout, path: &Utf8Path) -> Result<Statement> {
    let package = basalt_rpm::read_package(path)?;
    let (digest, _) = digest_of(path)?;
    names::check_all(checkout, &[NameArgument::Package(&package.name)])?;
    let context = checkout.build_context()?;
    let statement = of_package(checkout, &context, context.distribution.find(&package.name)?)?;
    if statement.is_about(&digest) || is_signed_copy(checkout, path, &statement)? {
        return Ok(statement);
    }
    let known = statement.subject.iter().find(|file| {
        let name = file.name.as_deref().unwrap_or_default();
        name == format!("{}.rpm", package.nevra())
    });
    let known = known.and_then(|file| file.sha256());
    let help = match known {
        Some(known) => format!("the build of `{package}` that is known here has the digest {known}"),
        None => format!("the sources here make no `{}`", package.nevra()),
    };
    Err(miette!(
        code = "provenance::stranger",
        help = help,
        "{path} has the digest {digest}, which no build that is known here has"
    ))
}

/// Returns `true` if a file is one of the subjects with a signature added: header and payload are the same then.
fn is_signed_copy(checkout: &Checkout, path: &Utf8Path, statement: &Statement) -> Result<bool> {
    let header = basalt_rpm::read_header_blob(path)?;
    for subject in statement.subject.iter().filter_map(|file| file.sha256()) {
        let Some(original) = checkout.store.intact_object(&subject)? else {
            continue;
        };
        // The header holds the digest of the payload, which must match this file's payload.
        if basalt_rpm::read_header_blob(&original)? == header && payload(path)? == payload(&original)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns the digest of all files in the payload of an RPM.
fn payload(rpm: &Utf8Path) -> Result<Digest> {
    let mut payload = basalt_rpm::Payload::open(rpm)?;
    let mut hasher = Hasher::new();
    while let Some(file) = payload.next()? {
        hasher.fact("file", file.paths.join("\n"));
        let (digest, _) = Digest::of_reader(&mut payload).map_err(FileError::new("cannot read", rpm))?;
        hasher.fact("content", digest.as_bytes());
    }
    Ok(hasher.finish())
}

/// Digests of an image's files, kept because they take time to compute.
#[derive(Debug, Serialize, Deserialize)]
struct Digests(Vec<(String, Digest)>);

fn of_image(checkout: &Checkout, context: &BuildContext, name: &str) -> Result<Statement> {
    let assembled = images::assemble(checkout, context, &[name])?;
    let assembled = assembled.first().ok_or_else(|| miette!("`{name}` was not composed"))?;
    let image = &assembled.image;
    let mut hasher = Hasher::new();
    hasher.fact("digests of the files of an image", image.key.as_bytes());
    let key = hasher.finish();
    let Digests(files) = match checkout.store.result(&key) {
        Some(known) => known,
        None => {
            let digests = Digests(digests(image)?);
            checkout.store.set_result(&key, &digests)?;
            digests
        }
    };
    let files: Vec<_> = files
        .into_iter()
        .map(|(name, sha256)| ImageFile { name, sha256 })
        .collect();
    let lock = checkout.content().file(ContentFile::SdkLock);
    let text = fs_err::read(&lock.path).map_err(FileError::new("cannot read", &lock.path))?;
    let lock = Material::named(lock.name.into_string(), &text);
    let definition = serde_json::to_value(&assembled.parts.definition).unwrap_or_default();
    Ok(basalt_provenance::of_image(image, &files, definition, &[lock])?)
}

/// Returns the digests of an image's files: for a disk, the disk and its kernel; for a container, every file of its
/// layout; for a tree, every file.
fn digests(image: &basalt_image::Image) -> Result<Vec<(String, Digest)>> {
    let mut found = Vec::new();
    for path in files_below(&image.folder)? {
        basalt_process::interrupt::check()?;
        if path.is_symlink() {
            continue;
        }
        let (digest, _) = digest_of(&path)?;
        let name = path.strip_prefix(&image.folder).unwrap_or(&path);
        found.push((name.to_string(), digest));
    }
    Ok(found)
}
