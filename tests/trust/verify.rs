//! `basalt verify` and `basalt provenance` on real packages and images.

use basalt_digest::Digest;
use basalt_test_environment::{Failed, TestDirectory, ensure, has_all};
use serde_json::Value;

use crate::fixture::Fixture;

fn all_identical(answer: &Value, names: &[&str]) -> Result<(), Failed> {
    let checked = answer["checked"].as_array().ok_or("nothing was checked")?;
    for name in names {
        let found = checked.iter().find(|checked| checked["name"] == *name);
        let found = found.ok_or_else(|| format!("{name} was not checked: {answer:#}"))?;
        ensure(found["verdict"] == "identical", || format!("{found:#}"))?;
    }
    Ok(())
}

/// C with make, C without anything, and files that are only copied.
pub fn small_packages_come_out_the_same(directory: &TestDirectory) -> Result<(), Failed> {
    let names = ["basalt-release", "pause", "zlib"];
    let answer = Fixture::of(directory).json(&[&["verify", "--again"], &names[..]].concat(), 0)?;
    all_identical(&answer, &names)
}

/// A container image of one Go program, and the program.
pub fn an_image_comes_out_the_same(directory: &TestDirectory) -> Result<(), Failed> {
    let answer = Fixture::of(directory).json(&["verify", "--again", "basalt-web"], 0)?;
    all_identical(&answer, &["basalt-web"])?;
    let kinds: Vec<_> = answer["checked"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|checked| &checked["kind"])
        .collect();
    ensure(kinds == ["package", "image"], || answer.to_string())
}

/// A disk, from the packages that are there.
pub fn the_node_comes_out_the_same(directory: &TestDirectory) -> Result<(), Failed> {
    let fixture = Fixture::of(directory);
    let left_out: Vec<_> = fixture
        .packages()?
        .iter()
        .map(|package| format!("--without={package}"))
        .collect();
    let mut arguments = vec!["verify", "--again", "node"];
    arguments.extend(left_out.iter().map(String::as_str));
    all_identical(&fixture.json(&arguments, 0)?, &["node"])
}

pub fn a_package_says_what_went_in(directory: &TestDirectory) -> Result<(), Failed> {
    let statement = Fixture::of(directory).json(&["provenance", "zlib"], 0)?;
    let packages = directory.environment.checkout.join("distro/packages/zlib");
    let lock = fs_err::read_to_string(packages.join("sources.toml"))?;
    let tarball = lock
        .lines()
        .find_map(|line| line.strip_prefix("sha256 = \"")?.strip_suffix('"'))
        .ok_or("zlib has no source")?;
    let spec = Digest::of(fs_err::read(packages.join("zlib.spec"))?).to_hex();
    has_all(
        &statement.to_string(),
        &[
            tarball,
            &spec,
            "pkg:rpm/basalt/glibc-devel@",
            "pkg:rpm/basalt/zlib@1.3.1-",
        ],
    )?;
    let built = Fixture::of(directory).json(&["build", "zlib"], 0)?;
    for rpm in built["packages"][0]["rpms"].as_array().ok_or("no RPMs")? {
        let path = rpm["path"].as_str().unwrap_or_default();
        let digest = Digest::of(fs_err::read(path)?).to_hex();
        has_all(&statement["subject"].to_string(), &[&digest])?;
    }
    Ok(())
}

pub fn an_image_says_what_went_in(directory: &TestDirectory) -> Result<(), Failed> {
    let statement = Fixture::of(directory).json(&["provenance", "node"], 0)?;
    let node = Fixture::of(directory).json(&["build", "node"], 0)?;
    let packages = node["images"][0]["facts"]["packages"].as_array().ok_or("no packages")?;
    let dependencies = statement["predicate"]["buildDefinition"]["resolvedDependencies"].to_string();
    for package in packages {
        has_all(&dependencies, &[package["digest"].as_str().unwrap_or("no digest")])?;
    }
    has_all(&statement["subject"].to_string(), &["node/disk.raw", "node/kernel.efi"])
}
