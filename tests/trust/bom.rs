//! Bill of materials of the node image: complete, carried in the image, with licences and origins.

use std::collections::BTreeSet;
use std::io::{Read as _, Seek as _, SeekFrom};

use basalt_bom::{ComponentKind, Inventory};
use basalt_image::Facts;
use basalt_test_environment::{Failed, TestDirectory, ensure, has_all, shown};
use camino::{Utf8Path, Utf8PathBuf};
use packageurl::PackageUrl;

use crate::fixture::Fixture;

/// Path of Debian's Go in the SDK.
const GO: &str = "/usr/lib/go-1.27/bin/go";
/// Maximum size of the bill of materials in an image, in bytes.
const MOST: usize = 1 << 20;

fn inventory(directory: &TestDirectory, name: &str) -> Result<Inventory, Failed> {
    Ok(serde_json::from_value(Fixture::of(directory).json(&["bom", name], 0)?)?)
}

/// The node's disk, and what is known about it.
fn node(directory: &TestDirectory) -> Result<(Utf8PathBuf, Facts), Failed> {
    let built = Fixture::of(directory).json(&["build", "node"], 0)?;
    let image = &built["images"][0];
    let disk = image["disk"].as_str().ok_or("no disk was built")?;
    Ok((disk.into(), serde_json::from_value(image["facts"].clone())?))
}

/// Puts the ELF files of an RPM that have build information of Go into a folder; their names there, and their paths.
fn go_programs(rpm: &Utf8Path, folder: &Utf8Path) -> Result<Vec<(String, String)>, Failed> {
    let mut found = Vec::new();
    let mut payload = basalt_rpm::Payload::open(rpm).map_err(shown)?;
    while let Some(file) = payload.next().map_err(shown)? {
        if !file.is_regular() || file.mode & 0o111 == 0 {
            continue;
        }
        let mut content = Vec::new();
        payload.read_to_end(&mut content)?;
        if content.windows(14).any(|bytes| bytes == b"\xff Go buildinf:") {
            let name = format!("program-{}", found.len());
            fs_err::write(folder.join(&name), content)?;
            found.push((name, file.paths[0].clone()));
        }
    }
    Ok(found)
}

/// The modules that `go version -m` lists: path and version, where one is replaced the replacement's. The program's own
/// is among them, unless it has no version.
fn listed_by_go(said: &str) -> BTreeSet<(String, String)> {
    let mut modules: Vec<(String, String)> = Vec::new();
    for line in said.lines() {
        let words: Vec<&str> = line.trim_start().split('\t').collect();
        match words.as_slice() {
            ["mod", _, "(devel)", ..] => {}
            ["mod" | "dep", path, version, ..] => modules.push(((*path).to_owned(), (*version).to_owned())),
            ["=>", path, version, ..] => {
                modules.pop();
                modules.push(((*path).to_owned(), (*version).to_owned()));
            }
            _ => {}
        }
    }
    modules.into_iter().collect()
}

pub fn packages_and_modules_are_listed(directory: &TestDirectory) -> Result<(), Failed> {
    let (_, facts) = node(directory)?;
    let inventory = inventory(directory, "node")?;
    let packages: BTreeSet<_> = inventory
        .of_kind(ComponentKind::Package)
        .filter_map(|component| component.digest)
        .collect();
    let shipped: BTreeSet<_> = facts.packages.iter().map(|package| package.digest).collect();
    ensure(packages == shipped, || format!("{packages:?} are not {shipped:?}"))?;
    for component in &inventory.components {
        let purl: PackageUrl<'_> = component.purl.parse()?;
        ensure(purl.to_string() == component.purl, || component.purl.clone())?;
    }
    let mut programs = 0;
    let mut modules = BTreeSet::new();
    for package in &facts.packages {
        let folder = directory.folder(&format!("programs-{}", package.digest.short()))?;
        for (name, path) in go_programs(&directory.store.object_path(&package.digest), &folder)? {
            programs += 1;
            let file = folder.join(name);
            let sandbox = directory
                .sdk
                .sandbox()
                .show(&file)
                .env("GOTOOLCHAIN", "local")
                .env("HOME", "/tmp");
            let said = sandbox
                .command(GO, ["version", "-m", file.as_str()])
                .output()
                .map_err(shown)?
                .text();
            let listed = listed_by_go(&said);
            ensure(!listed.is_empty(), || format!("{path}: {said}"))?;
            for (module, version) in listed {
                let there = inventory.of_kind(ComponentKind::GoModule).any(|component| {
                    component.name == module
                        && component.version == version
                        && component.inside.iter().any(|inside| inside.file == path)
                });
                ensure(there, || format!("{module} {version} of {path} is not listed"))?;
                modules.insert((module, version));
            }
        }
        fs_err::remove_dir_all(&folder)?;
    }
    ensure(programs > 5 && modules.len() > 50, || {
        format!("{programs} programs, {} modules", modules.len())
    })?;
    // Nothing is listed that no program has, but for Go's own library.
    let listed = inventory
        .of_kind(ComponentKind::GoModule)
        .filter(|component| component.name != "stdlib");
    let listed: BTreeSet<_> = listed
        .map(|component| (component.name.clone(), component.version.clone()))
        .collect();
    ensure(listed == modules, || {
        let differ: Vec<_> = listed.symmetric_difference(&modules).collect();
        format!("{differ:?} are only in one of both lists")
    })?;
    // The agent's crates are in it, with the digests of their lock.
    let rustix = inventory
        .of_kind(ComponentKind::Crate)
        .find(|component| component.name == "rustix");
    let rustix = rustix.ok_or("the crates of basalt-node are not listed")?;
    ensure(
        rustix.digest.is_some() && rustix.inside[0].file == "/usr/bin/basalt-node",
        || format!("{rustix:?}"),
    )
}

pub fn the_image_carries_what_the_command_says(directory: &TestDirectory) -> Result<(), Failed> {
    let (disk, facts) = node(directory)?;
    let known = facts.disk.ok_or("the node is no disk")?;
    let root = known.partitions.iter().find(|partition| partition.label == "root-a");
    let root = root.ok_or("the disk has no root")?;
    let folder = directory.folder("root")?;
    let (file, files) = (folder.join("root.erofs"), folder.join("files"));
    let mut reader = fs_err::File::open(&disk)?;
    reader.seek(SeekFrom::Start(root.offset_bytes))?;
    std::io::copy(&mut reader.take(known.root_bytes), &mut fs_err::File::create(&file)?)?;
    let sandbox = directory.sdk.sandbox().show_writable(&folder);
    let extract = format!("--extract={files}");
    let arguments = [extract.as_str(), "--no-preserve-owner", file.as_str()];
    sandbox.command("fsck.erofs", arguments).output().map_err(shown)?;
    for (format, name) in [("spdx", "node.spdx.json"), ("cyclonedx", "node.cdx.json")] {
        let carried = fs_err::read_to_string(files.join("usr/share/sbom").join(name))?;
        let said = Fixture::of(directory)
            .run(&["bom", "node", "--format", format], 0)?
            .stdout;
        ensure(carried == said, || {
            format!("{name} is not what `basalt bom node --format {format}` says")
        })?;
        ensure(carried.len() <= MOST, || format!("{name} has {} bytes", carried.len()))?;
    }
    fs_err::remove_dir_all(&folder)?;
    // A package by itself, and a container.
    let package = Fixture::of(directory).run(&["bom", "zstd"], 0)?.stdout;
    has_all(
        &package,
        &["SPDX-2.3", "pkg:rpm/basalt/zstd@", "cpe:2.3:a:facebook:zstandard:"],
    )?;
    let container = Fixture::of(directory)
        .run(&["bom", "coredns", "--format", "cyclonedx"], 0)?
        .stdout;
    has_all(&container, &["CycloneDX", "pkg:golang/github.com/coredns/coredns@"])?;
    has_all(
        &Fixture::of(directory).run(&["bom", "ndoe"], 1)?.stderr,
        &["did you mean `node`?"],
    )
}

pub fn licences_are_known(directory: &TestDirectory) -> Result<(), Failed> {
    let folder = directory.folder("licences")?;
    let texts = folder.join("texts");
    let said = Fixture::of(directory).json(&["licenses", "node", "--texts", texts.as_str()], 0)?;
    let groups = said["licences"].as_array().ok_or("no licences")?;
    for group in groups {
        ensure(group["licence"].is_string(), || {
            format!("nobody knows the licence of {}", group["components"])
        })?;
    }
    has_all(
        &fs_err::read_to_string(&texts)?,
        &[
            "GNU GENERAL PUBLIC LICENSE",
            "Apache License",
            "systemd 257",
            "golang.org/x/sys v",
            "rustix 1",
            "public domain",
        ],
    )?;
    fs_err::remove_dir_all(&folder)?;
    has_all(
        &Fixture::of(directory).run(&["licenses", "node"], 0)?.stdout,
        &[
            "GPL-2.0-or-later\n    asks for text, source\n",
            "1 package: tzdata",
            "Whoever passes node on",
        ],
    )
}

pub fn why_traces(directory: &TestDirectory) -> Result<(), Failed> {
    let said = Fixture::of(directory).run(&["why", "/usr/bin/runc"], 0)?.stdout;
    has_all(
        &said,
        &[
            "runc-",
            "distro/packages/runc",
            "required by",
            "containerd",
            "github.com/opencontainers/runc",
        ],
    )?;
    let report = Fixture::of(directory).json(&["why", "/usr/bin/containerd"], 0)?;
    let has = |pointer: &str| report.pointer(pointer).is_some_and(|value| !value.is_null());
    for pointer in [
        "/package",
        "/rpm",
        "/source/upstream",
        "/build/key",
        "/build/sdk",
        "/image/way/0",
        "/holds/0/purl",
    ] {
        ensure(has(pointer), || format!("{pointer} is not in {report:#}"))?;
    }
    let library = Fixture::of(directory).run(&["why", "/lib64/libc.so.6"], 0)?.stdout;
    has_all(&library, &["glibc-2", "sha256", "LGPL-2.1-or-later", "a repack of it"])?;
    let module = Fixture::of(directory).run(&["why", "golang.org/x/sys"], 0)?.stdout;
    has_all(
        &module,
        &[
            "a Go module",
            "BSD-3-Clause",
            "linked into",
            "/usr/bin/kubelet",
            "which requires",
        ],
    )?;
    let krate = Fixture::of(directory).run(&["why", "rustix"], 0)?.stdout;
    has_all(&krate, &["a crate", "/usr/bin/basalt-node", "sha256"])?;
    for (wrong, meant) in [
        ("/usr/bin/containred", "/usr/bin/containerd"),
        ("/opt/cni/containerd", "/usr/bin/containerd"),
        ("sytsemd", "systemd"),
        ("golang.org/x/syss", "golang.org/x/sys"),
    ] {
        has_all(
            &Fixture::of(directory).run(&["why", wrong], 1)?.stderr,
            &[&format!("did you mean `{meant}`?")],
        )?;
    }
    Ok(())
}
