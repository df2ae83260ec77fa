//! The disk: its partitions, the root in it, and that it is always the same.

use basalt_image::{Composer, Payload};
use basalt_model::arch::Arch;
use basalt_model::digest::Digest;
use basalt_progress::Silent;
use basalt_store::Store;
use basalt_tests::{Failed, ensure, has_all, shown};

use crate::plant::Plant;

pub fn the_partition_table_is_sound(plant: &Plant) -> Result<(), Failed> {
    let disk = plant.disk.as_str();
    has_all(&plant.tool("sfdisk", &["--verify", disk])?, &["No errors detected"])?;
    let dump = plant.tool("sfdisk", &["--json", disk])?;
    let table: serde_json::Value = serde_json::from_str(&dump)?;
    let table = &table["partitiontable"];
    ensure(table["label"] == "gpt", || dump.clone())?;
    let partitions = &plant.disk_facts()?.partitions;
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

pub fn the_root_is_sound_and_verified(plant: &Plant) -> Result<(), Failed> {
    plant.files()?;
    let facts = plant.disk_facts()?;
    let hashes = plant.partition("root-a-verity")?;
    let hashes = plant.part("root.hashes", hashes.offset_bytes, hashes.size_bytes)?;
    let (root, hash) = (plant.root()?, facts.root_hash.as_str());
    plant.tool("veritysetup", &["verify", root.as_str(), hashes.as_str(), hash])?;
    // What the kernel is told is what was verified.
    has_all(&facts.command_line, &["dm-mod.create=", hash, "panic_on_corruption"])?;
    let kernel = fs_err::read(plant.disk.with_file_name("kernel.efi"))?;
    let told = kernel.windows(hash.len()).any(|bytes| bytes == hash.as_bytes());
    ensure(told, || "the root hash is not in the kernel's file".to_owned())
}

pub fn composed_again_it_is_the_same(plant: &Plant) -> Result<(), Failed> {
    let other = plant.folder().join("other-store");
    let store = Store::open(&other).map_err(shown)?;
    let images = plant.place.surroundings.checkout.join("distro/images");
    let definition = basalt_image::definition(&images, "node").map_err(shown)?;
    let mut rpms = Vec::new();
    for installed in &plant.facts.packages {
        let path = plant.place.store.object_path(&installed.digest);
        rpms.push((basalt_repo::read_package(&path).map_err(shown)?, path, installed.digest));
    }
    let payloads: Vec<_> = rpms
        .iter()
        .map(|(package, path, digest)| Payload {
            package,
            path,
            digest: *digest,
        })
        .collect();
    let composer = Composer {
        store: &store,
        sdk: &plant.place.sdk,
        arch: Arch::X86_64,
        reporter: &Silent,
    };
    let again = composer.compose(&definition, &payloads).map_err(shown)?;
    let disk = again.disk().ok_or("no disk")?;
    let digest = |path| Ok::<_, Failed>(Digest::of_reader(std::fs::File::open(path)?)?);
    let (first, second) = (digest(&plant.disk)?, digest(&disk)?);
    ensure(first == second, || format!("{} and {disk} differ", plant.disk))?;
    ensure(again.facts == plant.facts, || format!("{:?}", again.facts))?;
    basalt_store::remove_tree(&other).map_err(shown)
}
