//! Crates stand in folders by stage (ARCHITECTURE.md): each one depends on its own stage and on those before it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Dependencies between the workspace's crates, by folder of a crate, relative to the root: `crates/3-store/action`.
type Dependencies = BTreeMap<String, BTreeSet<String>>;

fn root() -> std::path::PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().expect("the checkout")
}

/// What cargo knows of the workspace. Dependencies of tests do not count.
fn dependencies() -> Dependencies {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--locked",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("a list");
    let folders: BTreeMap<&str, String> = packages
        .iter()
        .map(|package| (name(package), folder(package)))
        .collect();
    let needs = |package: &Value| {
        let needs = package["dependencies"].as_array().expect("a list").iter();
        let needs = needs.filter(|need| need["kind"] != "dev" && !need["path"].is_null());
        needs.filter_map(|need| folders.get(name(need)).cloned()).collect()
    };
    packages
        .iter()
        .map(|package| (folder(package), needs(package)))
        .collect()
}

fn name(package: &Value) -> &str {
    package["name"].as_str().expect("a name")
}

fn folder(package: &Value) -> String {
    let manifest = Path::new(package["manifest_path"].as_str().expect("a path"));
    let folder = manifest.parent().expect("a folder");
    let folder = folder.strip_prefix(root()).expect("below the root");
    folder.to_str().expect("UTF-8").to_owned()
}

/// Stage of a crate; the command uses all others. Neither tests nor fuzz targets have one.
fn stage(folder: &str) -> Option<u8> {
    let below = folder.strip_prefix("crates/")?;
    if below == "basalt" {
        return Some(u8::MAX);
    }
    let (stage, _) = below.split_once('-').expect("a folder of a stage");
    Some(stage.parse().expect("the number of a stage"))
}

/// Dependencies that point to a later stage.
fn backwards(dependencies: &Dependencies) -> Vec<(String, String)> {
    let mut wrong = Vec::new();
    for (folder, needs) in dependencies {
        let Some(own) = stage(folder) else { continue };
        let later = needs.iter().filter(|need| stage(need).is_none_or(|stage| stage > own));
        wrong.extend(later.map(|need| (folder.clone(), need.clone())));
    }
    wrong
}

#[test]
fn no_crate_depends_on_a_later_stage() {
    let dependencies = dependencies();
    assert!(dependencies.len() > 20, "{dependencies:?}");
    assert_eq!(backwards(&dependencies), []);
}

#[test]
fn a_dependency_on_a_later_stage_is_noticed() {
    let store = "crates/3-store/store".to_owned();
    let build = "crates/5-packages/build".to_owned();
    let wrong = Dependencies::from([(store.clone(), BTreeSet::from([build.clone()]))]);
    assert_eq!(backwards(&wrong), [(store.clone(), build.clone())]);
    let right = Dependencies::from([(build, BTreeSet::from([store]))]);
    assert_eq!(backwards(&right), []);
}

#[test]
fn the_table_of_crates_is_right() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("read");
    let short = |folder: &String| folder.rsplit('/').next().expect("a name").to_owned();
    for (folder, needs) in dependencies() {
        if stage(&folder).is_none() {
            continue;
        }
        let link = format!("]({folder}) |");
        let row = text.lines().find(|line| line.contains(&link));
        let row = row.unwrap_or_else(|| panic!("ARCHITECTURE.md does not list {folder}"));
        let column = row.trim_end_matches('|').rsplit('|').next().expect("a column").trim();
        let listed: BTreeSet<String> = column
            .split(", ")
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect();
        let needs: BTreeSet<String> = needs.iter().map(short).collect();
        assert_eq!(listed, needs, "dependencies of {folder}");
    }
}
