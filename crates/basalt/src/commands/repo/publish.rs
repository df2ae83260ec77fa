//! `basalt repo publish`: builds, signs and publishes packages.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use basalt_build::{BuiltIndex, BuiltPackages, BuiltRpm, PackageId};
use basalt_content::ContentFolder;
use basalt_process::without_path;
use basalt_progress::Reporter;
use basalt_signing::{Certificate, KeyError, Keyring, SigningKey, Timestamp, Validity};
use basalt_snapshots::{PublishPlan, Published, UnsignedRpm};
use basalt_updateinfo::read_advisories;
use camino::{Utf8Path, Utf8PathBuf};
use miette::{IntoDiagnostic as _, Result, WrapErr as _};

use super::keys::{default_user, passphrase};
use super::{keyring, open, sign};
use crate::arguments::repo::Publish;
use crate::checkout::{BuildContext, Checkout};
use crate::commands::{answer, answer_json, human, images, selection};

/// Validity of a development key, in days.
const DAYS: u32 = 730;

/// Signer of a snapshot: a secret key here, or the owner of a public key elsewhere.
enum Signer {
    Here(Box<SigningKey>),
    Elsewhere(Box<Certificate>),
}

/// Builds packages and images, and publishes their RPMs.
pub fn run(options: &Publish, checkout: &Checkout, json: bool) -> Result<ExitCode> {
    let repository = open(&options.repository)?;
    let now = Timestamp::now();
    // Before anything is built: a wrong passphrase must not cost the wait.
    let signer = signer(options, now, checkout.reporter())?;
    let advisories = checkout.content().files(ContentFolder::Advisories, "toml")?;
    let advisories = read_advisories(advisories.into_values().map(|file| file.path))?;
    let rpms = rpms(checkout, &options.names)?;
    let signer = match signer {
        Some(signer) => signer,
        None => first_key(options, now, checkout.reporter())?,
    };
    let trusted = keyring()?.trusted(now)?;
    let paths: Vec<Utf8PathBuf> = rpms.iter().map(|rpm| rpm.path(&checkout.store)).collect();
    let built: Vec<_> = rpms
        .iter()
        .zip(&paths)
        .map(|(rpm, path)| UnsignedRpm {
            path,
            file: &rpm.file,
            digest: rpm.digest,
        })
        .collect();
    let plan = PublishPlan {
        rpms: &built,
        advisories: &advisories,
        trusted: &trusted,
        snapshot: options.snapshot.as_deref(),
    };
    let key = match signer {
        Signer::Here(key) => key,
        Signer::Elsewhere(certificate) => {
            let draft = repository.prepare(&plan, &certificate, now)?;
            sign::show(&draft, &options.repository.name, json);
            return Ok(ExitCode::SUCCESS);
        }
    };
    let published = repository.publish(&plan, &key, now, checkout.reporter())?;
    show(&published, json);
    Ok(ExitCode::SUCCESS)
}

fn show(published: &Published, json: bool) {
    let snapshot = &published.snapshot;
    if json {
        answer_json(&serde_json::json!({
            "snapshot": snapshot.name, "folder": snapshot.folder, "key": snapshot.key, "unchanged": published.unchanged,
            "signed": published.signed, "packages": snapshot.packages,
        }));
    } else if published.unchanged {
        answer(format!(
            "{} is current and made of the same {} packages: nothing to do",
            snapshot.name,
            snapshot.packages.len()
        ));
    } else {
        answer(format!(
            "{} is current: {} packages ({} signed now), {}\n{}",
            snapshot.name,
            snapshot.packages.len(),
            published.signed,
            human(snapshot.bytes()),
            snapshot.folder
        ));
    }
}

/// Makes the development key, on first use.
fn first_key(options: &Publish, now: Timestamp, reporter: &dyn Reporter) -> Result<Signer> {
    let ring = keyring()?;
    let passphrase = passphrase(&options.passphrase)?;
    let key = ring.make(&default_user(), now, DAYS, passphrase.as_deref())?;
    reporter.note(&format!(
        "made a key for development, {}, in {}",
        key.certificate().key_id(),
        ring.folder()
    ));
    Ok(Signer::Here(Box::new(key)))
}

/// Returns the requested signer, or the default one; none, if there is no key yet.
fn signer(options: &Publish, now: Timestamp, reporter: &dyn Reporter) -> Result<Option<Signer>> {
    let ring = keyring()?;
    let passphrase = passphrase(&options.passphrase)?;
    let signer = match &options.key {
        Some(name) if Utf8Path::new(name).is_file() => from_file(&ring, Utf8Path::new(name), passphrase.as_deref())?,
        Some(name) => from_entry(&ring, &ring.find(name)?, passphrase.as_deref())?,
        None => match ring.signing()? {
            Some(entry) => from_entry(&ring, &entry, passphrase.as_deref())?,
            None => return Ok(None),
        },
    };
    let certificate = match &signer {
        Signer::Here(key) => key.certificate(),
        Signer::Elsewhere(certificate) => certificate,
    };
    certificate.ensure_valid(now)?;
    if let (Validity::EndsSoon { days }, Some(end)) = (certificate.validity(now), certificate.expires()) {
        reporter.warn(&format!(
            "the key {} ends in {days} days, on {end}: make the next one now, so that clients know it by then \
             (./basalt repo keys rotate)",
            certificate.key_id()
        ));
    }
    Ok(Some(signer))
}

fn from_entry(
    ring: &Keyring,
    entry: &basalt_signing::KeyringEntry,
    passphrase: Option<&str>,
) -> Result<Signer, KeyError> {
    Ok(if entry.secret {
        Signer::Here(Box::new(ring.unlock(entry, passphrase)?))
    } else {
        Signer::Elsewhere(Box::new(entry.certificate.clone()))
    })
}

/// Returns the signer of a key file outside of the keyring. Its public half is imported: its signatures must be
/// trusted.
fn from_file(ring: &Keyring, path: &Utf8Path, passphrase: Option<&str>) -> Result<Signer> {
    let bytes = fs_err::read(path)
        .map_err(|error| without_path(error, path))
        .into_diagnostic()
        .wrap_err_with(|| format!("the key {path} cannot be read"))?;
    let certificates = Certificate::parse(&bytes, path.as_str())?;
    for certificate in &certificates {
        if ring.find(certificate.fingerprint()).is_err() {
            ring.import(certificate.armored()?.as_bytes(), path.as_str(), false)?;
        }
    }
    let secret = bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
    match certificates.as_slice() {
        [certificate] if !secret => Ok(Signer::Elsewhere(Box::new(certificate.clone()))),
        _ => Ok(Signer::Here(Box::new(SigningKey::parse(
            &bytes,
            path.as_str(),
            passphrase,
        )?))),
    }
}

const SECRET: &str = "PRIVATE KEY BLOCK";

/// Returns the RPMs of packages and images, built unless they are built already, each once. Build tools are left out:
/// they are for the build machine only.
fn rpms(checkout: &Checkout, names: &[String]) -> Result<Vec<BuiltRpm>> {
    let definitions = images::definitions(checkout)?;
    let context = checkout.build_context()?;
    let distribution = &context.distribution;
    let engine = context.engine(checkout);
    let mut found: BTreeMap<String, BuiltRpm> = BTreeMap::new();
    let mut take = |rpms: Vec<BuiltRpm>| {
        let products = rpms.into_iter().filter(|rpm| !rpm.package.is_build_tool());
        found.extend(products.map(|rpm| (rpm.file.clone(), rpm)));
    };
    if names.is_empty() {
        for built in engine.build(distribution.graph.ids())?.into_values() {
            take(built.rpms.clone());
        }
        return Ok(found.into_values().collect());
    }
    // Requests of each name, and the source packages that make them.
    let mut requests = Vec::new();
    let mut targets = BTreeSet::new();
    for name in names {
        let wanted = match definitions.get(name) {
            Some(definition) => definition.packages.clone(),
            None => binaries(&context, selection::package(name, &context, &definitions)?),
        };
        let makers = distribution
            .graph
            .makers_of(&wanted, name)
            .map_err(basalt_build::BuildError::from)?;
        targets.extend(&makers);
        requests.push((name, wanted, makers));
    }
    let choose = |built: &BuiltPackages| {
        let index = BuiltIndex::of(built);
        let rpms = requests.iter().map(|(name, wanted, makers)| {
            selection::chosen(wanted, makers, &index, &context)
                .wrap_err_with(|| format!("the packages of `{name}` cannot be put together"))
        });
        Ok::<_, miette::Report>(rpms.collect::<Result<Vec<_>>>()?.concat())
    };
    let provided = engine.provide(targets, choose, |rpms: &Vec<BuiltRpm>| rpms.iter().collect())?;
    take(provided.chosen);
    Ok(found.into_values().collect())
}

/// Returns the names of all packages that a source package makes.
fn binaries(context: &BuildContext, package: PackageId) -> Vec<String> {
    let binaries = &context.distribution.package(package).spec.binaries;
    binaries.iter().map(|binary| binary.name.clone()).collect()
}
