//! The disk: its partitions, the root in it, and that it is always the same.

use std::time::Duration;

use basalt_bom::Catalogue;
use basalt_content::{ContentFolder, DistributionContent};
use basalt_digest::Digest;
use basalt_image::{Composer, ImagePackage};
use basalt_progress::Silent;
use basalt_release::Arch;
use basalt_store::Store;
use basalt_test_environment::{Failed, ensure, has_all, link_all, marked_processes, shown, until};
use camino::Utf8Path;
use rustix::process::Signal;

use crate::fixture::Fixture;

/// Time-out until the file system of an image is being made, and until the image is there.
const COMPOSING: Duration = Duration::from_secs(300);
/// Time-out for the end of the processes that a killed command leaves.
const SOON: Duration = Duration::from_secs(5);

pub fn the_partition_table_is_sound(fixture: &Fixture) -> Result<(), Failed> {
    let disk = fixture.disk.as_str();
    has_all(&fixture.tool("sfdisk", &["--verify", disk])?, &["No errors detected"])?;
    let dump = fixture.tool("sfdisk", &["--json", disk])?;
    let table: serde_json::Value = serde_json::from_str(&dump)?;
    let table = &table["partitiontable"];
    ensure(table["label"] == "gpt", || dump.clone())?;
    let partitions = &fixture.disk_facts()?.partitions;
    let read = table["partitions"].as_array().ok_or("no partitions")?;
    ensure(read.len() == partitions.len(), || dump.clone())?;
    for (read, known) in read.iter().zip(partitions) {
        let same = read["start"] == known.offset_bytes / 512
            && read["size"] == known.size_bytes / 512
            && read["name"] == known.label
            && read["uuid"]
                .as_str()
                .is_some_and(|uuid| uuid.eq_ignore_ascii_case(&known.guid));
        ensure(same, || format!("{known:?} is not\n{read:#}"))?;
    }
    Ok(())
}

pub fn the_root_is_sound_and_verified(fixture: &Fixture) -> Result<(), Failed> {
    fixture.files()?;
    let facts = fixture.disk_facts()?;
    let hashes = fixture.partition("root-a-verity")?;
    let hashes = fixture.part("root.hashes", hashes.offset_bytes, hashes.size_bytes)?;
    let (root, hash) = (fixture.root()?, facts.root_hash.as_str());
    fixture.tool("veritysetup", &["verify", root.as_str(), hashes.as_str(), hash])?;
    // What the kernel is told is what was verified.
    has_all(&facts.command_line, &["dm-mod.create=", hash, "panic_on_corruption"])?;
    let kernel = fs_err::read(fixture.disk.with_file_name("kernel.efi"))?;
    let found = kernel.windows(hash.len()).any(|bytes| bytes == hash.as_bytes());
    ensure(found, || "the root hash is not in the kernel's file".to_owned())
}

pub fn composed_again_it_is_the_same(fixture: &Fixture) -> Result<(), Failed> {
    let other = fixture.folder().join("other-store");
    let store = Store::open(&other).map_err(shown)?;
    let content = DistributionContent::of_checkout(&fixture.directory.environment.checkout);
    let definition = basalt_image::definition(&content, "node").map_err(shown)?;
    let mut rpms = Vec::new();
    for installed in &fixture.facts.packages {
        let path = fixture.directory.store.object_path(&installed.digest);
        let size = fs_err::metadata(&path)?.len();
        rpms.push((
            basalt_rpm::read_package(&path).map_err(shown)?,
            path,
            installed.digest,
            size,
        ));
    }
    let payloads: Vec<_> = rpms
        .iter()
        .map(|(package, path, digest, size)| ImagePackage {
            package,
            path,
            digest: *digest,
            size: *size,
        })
        .collect();
    let catalogue = Catalogue::read([content.own_folder(ContentFolder::Packages).path.as_path()]).map_err(shown)?;
    let composer = Composer {
        store: &store,
        sdk: &fixture.directory.sdk,
        arch: Arch::X86_64,
        catalogue: &catalogue,
        reporter: &Silent,
    };
    let again = composer.compose(&definition, &payloads).map_err(shown)?;
    let disk = again.disk().ok_or("no disk")?;
    let digest = |path| Ok::<_, Failed>(Digest::of_reader(fs_err::File::open(path)?)?);
    let (first, second) = (digest(&fixture.disk)?, digest(&disk)?);
    ensure(first == second, || format!("{} and {disk} differ", fixture.disk))?;
    ensure(again.facts == fixture.facts, || format!("{:?}", again.facts))?;
    basalt_store::remove_tree(&other).map_err(shown)
}

/// The checkout with one more image.
fn checkout_with_image(checkout: &Utf8Path, copy: &Utf8Path, name: &str) -> Result<(), Failed> {
    link_all(checkout, copy, &["distro"])?;
    link_all(&checkout.join("distro"), &copy.join("distro"), &["images"])?;
    let images = copy.join("distro/images");
    link_all(&checkout.join("distro/images"), &images, &[])?;
    let text = format!("name: {name}\nkind: disk\nextends: node\n");
    Ok(fs_err::write(images.join(format!("{name}.yaml")), text)?)
}

pub fn an_image_that_was_killed_is_composed_again(fixture: &Fixture) -> Result<(), Failed> {
    let folder = fixture.folder().join("killed");
    let (copy, store) = (folder.join("checkout"), folder.join("store"));
    checkout_with_image(&fixture.directory.environment.checkout, &copy, "killed")?;
    drop(Store::open(&store).map_err(shown)?);
    // What is made here must not be found by the next run of this test.
    for part in ["objects", "trees", "actions", "results"] {
        link_all(&fixture.directory.store.root().join(part), &store.join(part), &[])?;
    }
    let cli = fixture
        .cli
        .clone()
        .env("BASALT_ROOT", &copy)
        .env("BASALT_STORE", &store);
    let started = cli.start(&["build", "killed"])?;
    let is_composing = || {
        let composing = marked_processes("mkfs.erofs");
        composing.iter().any(|process| process.contains(store.as_str()))
    };
    until("the root is being made", COMPOSING, is_composing)?;
    started.signal(Signal::KILL)?;
    started.wait(SOON)?.ended_with(137)?;
    until("mkfs.erofs has ended with its killed master", SOON, || !is_composing())?;
    let ran = cli.run(&["--json", "build", "killed"], COMPOSING)?.ended_with(0)?;
    let built: serde_json::Value = serde_json::from_str(&ran.stdout)?;
    let disk = Utf8Path::new(built["images"][0]["disk"].as_str().ok_or("no disk")?);
    let sandbox = fixture.directory.sdk.sandbox().show(disk);
    let verify = sandbox.command("sfdisk", ["--verify", disk.as_str()]);
    has_all(&verify.output().map_err(shown)?.text(), &["No errors detected"])?;
    let left: Vec<_> = store.join("tmp").read_dir_utf8()?.flatten().collect();
    ensure(left.is_empty(), || format!("{left:?}"))?;
    Ok(fs_err::remove_dir_all(&folder)?)
}
