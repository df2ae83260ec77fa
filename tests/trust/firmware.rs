//! Firmware files: what the kernel's modules ask for is in the package `linux-firmware`, or known to be nowhere.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use basalt_rpm::Payload;
use basalt_test_environment::{Failed, TestDirectory, ensure, shown};
use camino::Utf8PathBuf;
use object::{Object as _, ObjectSection as _};

use crate::fixture::Fixture;

/// Folder in which the kernel looks for firmware files.
const FOLDER: &str = "/usr/lib/firmware/";

/// Modules whose files are in no package; docs/node/machines.md says why.
const WITHOUT_FILES: &[&str] = &["ccp"];

/// Firmware files that each module asks for (`MODULE_FIRMWARE`), by the module's name.
fn asked(rpm: &Utf8PathBuf) -> Result<BTreeMap<String, BTreeSet<String>>, Failed> {
    let mut found = BTreeMap::new();
    let mut modules = 0;
    let mut payload = Payload::open(rpm).map_err(shown)?;
    while let Some(file) = payload.next().map_err(shown)? {
        let name = file
            .paths
            .iter()
            .find_map(|path| path.strip_suffix(".ko")?.rsplit('/').next());
        let Some(name) = name.map(str::to_owned) else { continue };
        modules += 1;
        let mut bytes = Vec::new();
        payload.read_to_end(&mut bytes)?;
        let module = object::File::parse(&*bytes)?;
        let section = module.section_by_name(".modinfo");
        let section = section.ok_or_else(|| format!("the module {name} says nothing of itself"))?;
        let entries = section.data()?.split(|byte| *byte == 0);
        let files: BTreeSet<String> = entries
            .filter_map(|entry| entry.strip_prefix(b"firmware="))
            .map(|file| String::from_utf8_lossy(file).into_owned())
            .collect();
        if !files.is_empty() {
            found.insert(name, files);
        }
    }
    ensure(modules > 20, || format!("there are {modules} modules in {rpm}"))?;
    Ok(found)
}

/// Firmware files in a package, below the folder in which the kernel looks for them.
fn packaged(rpm: &Utf8PathBuf) -> Result<BTreeSet<String>, Failed> {
    let mut found = BTreeSet::new();
    let mut payload = Payload::open(rpm).map_err(shown)?;
    while let Some(file) = payload.next().map_err(shown)? {
        if !file.is_directory() {
            let below = file.paths.iter().filter_map(|path| path.strip_prefix(FOLDER));
            found.extend(below.map(str::to_owned));
        }
    }
    Ok(found)
}

/// The RPM of a name that a package has.
fn rpm(fixture: &Fixture<'_>, package: &str, name: &str) -> Result<Utf8PathBuf, Failed> {
    let report = fixture.json(&["build", package], 0)?;
    let rpms = report["packages"][0]["rpms"].as_array().map_or(&[][..], Vec::as_slice);
    let begins = |file: &&serde_json::Value| {
        let rest = file["file"].as_str().and_then(|file| file.strip_prefix(name));
        rest.and_then(|rest| rest.strip_prefix('-'))
            .is_some_and(|rest| rest.starts_with(|letter: char| letter.is_ascii_digit()))
    };
    let path = rpms.iter().find(begins).and_then(|rpm| rpm["path"].as_str());
    path.map(Utf8PathBuf::from)
        .ok_or_else(|| format!("there is no RPM {name}: {report:#}").into())
}

pub fn what_modules_ask_for_is_packaged(directory: &TestDirectory) -> Result<(), Failed> {
    let fixture = &Fixture::of(directory);
    let asked = asked(&rpm(fixture, "kernel", "kernel-modules")?)?;
    let packaged = packaged(&rpm(fixture, "linux-firmware", "linux-firmware")?)?;
    for (module, files) in &asked {
        let absent: Vec<_> = files.difference(&packaged).collect();
        let is_known = WITHOUT_FILES.contains(&module.as_str());
        ensure(is_known != absent.is_empty(), || {
            format!("{module}: {absent:?} are not packaged")
        })?;
    }
    for module in WITHOUT_FILES {
        ensure(asked.contains_key(*module), || format!("{module} asks for nothing"))?;
    }
    // What is packaged is for a module that is there.
    let folders: BTreeSet<_> = asked
        .values()
        .flatten()
        .filter_map(|file| file.split('/').next())
        .collect();
    for file in &packaged {
        let folder = file.split('/').next().unwrap_or_default();
        ensure(folders.contains(folder), || format!("no module asks for {file}"))?;
    }
    Ok(())
}
