//! Disks, checked with the SDK's own tools.

use std::io::{Read as _, Seek as _, SeekFrom};

use basalt_digest::Digest;
use basalt_image::{Image, PartitionFacts};
use camino::{Utf8Path, Utf8PathBuf};
use fs_err::File;
use gptman::GPT;
use libtest_mimic::Failed;
use object::read::pe::PeFile64;
use object::read::{Object as _, ObjectSection as _};

use crate::fixture::{Fixture, FixtureRpm, NODE, node};

fn composed(sdk: &Utf8PathBuf) -> Result<(Fixture, Vec<FixtureRpm>, Image), Failed> {
    let fixture = Fixture::new(Some(sdk));
    let rpms = node(&fixture);
    let image = fixture.compose(NODE, &rpms.iter().collect::<Vec<_>>())?;
    Ok((fixture, rpms, image))
}

/// Copies a partition into a file.
fn partition(image: &Image, label: &str, to: &Utf8Path) -> Result<Utf8PathBuf, Failed> {
    let facts = facts(image, label);
    let mut disk = File::open(image.disk().expect("a disk"))?;
    disk.seek(SeekFrom::Start(facts.offset_bytes))?;
    let path = to.join(label);
    std::io::copy(&mut disk.take(facts.size_bytes), &mut File::create(&path)?)?;
    Ok(path)
}

fn facts<'i>(image: &'i Image, label: &str) -> &'i PartitionFacts {
    let disk = image.facts.disk.as_ref().expect("a disk");
    disk.partitions
        .iter()
        .find(|partition| partition.label == label)
        .expect("the partition")
}

fn folder() -> Result<(tempfile::TempDir, Utf8PathBuf), Failed> {
    let folder = tempfile::tempdir()?;
    let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).map_err(|path| format!("{path:?}"))?;
    Ok((folder, path))
}

fn run(fixture: &Fixture, folder: &Utf8Path, program: &str, arguments: &[&str]) -> Result<String, Failed> {
    Ok(fixture
        .sdk
        .sandbox()
        .show_writable(folder)
        .command(program, arguments)
        .output()?
        .text())
}

pub fn the_root_file_system_is_sound(sdk: &Utf8PathBuf) -> Result<(), Failed> {
    let (fixture, _, image) = composed(sdk)?;
    let (_folder, path) = folder()?;
    let root = partition(&image, "root-a", &path)?;
    run(&fixture, &path, "fsck.erofs", &[root.as_str()])?;
    let show = |file: &str| run(&fixture, &path, "dump.erofs", &["--path", file, root.as_str()]);
    assert!(show("/")?.contains("0755"));
    let keys = show("/etc/chrony.keys")?;
    assert!(
        keys.contains("Uid: 190") && keys.contains("Gid: 190") && keys.contains("0640"),
        "{keys}"
    );
    assert!(show("/usr/bin/chronyd")?.contains("Size: 800000"));
    for absent in ["/usr/lib/systemd/boot", "/usr/lib/modules/6.12.1-1.bs1/vmlinuz"] {
        let said = show(absent);
        assert!(
            said.is_err() || said.as_ref().is_ok_and(|text| !text.contains("Size")),
            "{absent} is there: {said:?}"
        );
    }
    Ok(())
}

pub fn veritysetup_agrees_with_the_hash_tree(sdk: &Utf8PathBuf) -> Result<(), Failed> {
    let (fixture, _, image) = composed(sdk)?;
    let (_folder, path) = folder()?;
    let (root, tree) = (
        partition(&image, "root-a", &path)?,
        partition(&image, "root-a-verity", &path)?,
    );
    let hash = &image.facts.disk.as_ref().expect("a disk").root_hash;
    run(
        &fixture,
        &path,
        "veritysetup",
        &["verify", root.as_str(), tree.as_str(), hash],
    )?;
    let mut data = fs_err::read(&root)?;
    data[5000] ^= 1;
    fs_err::write(&root, data)?;
    let damaged = run(
        &fixture,
        &path,
        "veritysetup",
        &["verify", root.as_str(), tree.as_str(), hash],
    );
    assert!(damaged.is_err(), "a damaged root passes");
    Ok(())
}

pub fn the_kernel_finds_its_root_by_the_partition_table(sdk: &Utf8PathBuf) -> Result<(), Failed> {
    let (_fixture, _, image) = composed(sdk)?;
    let mut disk = File::open(image.disk().expect("a disk"))?;
    let table = GPT::find_from(&mut disk)?;
    let used: Vec<_> = table.iter().filter(|(_, entry)| entry.is_used()).collect();
    let labels: Vec<_> = used
        .iter()
        .map(|(_, entry)| entry.partition_name.as_str().to_owned())
        .collect();
    assert_eq!(labels, ["esp", "root-a", "root-a-verity", "_empty", "_empty"]);
    assert_eq!(used[1].1.partition_type_guid, used[3].1.partition_type_guid);
    assert_eq!(used[1].1.size()?, used[3].1.size()?);
    assert!(
        used.windows(2)
            .all(|pair| pair[0].1.ending_lba < pair[1].1.starting_lba)
    );

    let uki = fs_err::read(image.uki().expect("a kernel"))?;
    let uki = PeFile64::parse(uki.as_slice())?;
    let section = uki.section_by_name(".cmdline").expect("there");
    let line = String::from_utf8(section.data()?.to_vec())?;
    let (data, hashes) = (&facts(&image, "root-a").guid, &facts(&image, "root-a-verity").guid);
    let hash = &image.facts.disk.as_ref().expect("a disk").root_hash;
    assert!(
        line.contains(&format!(" verity 1 PARTUUID={data} PARTUUID={hashes} 4096 4096 ")),
        "{line}"
    );
    assert!(
        line.contains(&format!(" sha256 {hash} ")) && line.ends_with(" ro quiet"),
        "{line}"
    );
    assert_eq!(hash.get(..8), data.get(..8));
    Ok(())
}

pub fn the_firmware_finds_loader_and_kernel(sdk: &Utf8PathBuf) -> Result<(), Failed> {
    let (fixture, _, image) = composed(sdk)?;
    let (_folder, path) = folder()?;
    let esp = partition(&image, "esp", &path)?;
    run(&fixture, &path, "fsck.vfat", &["-n", esp.as_str()])?;
    let listing = run(&fixture, &path, "mdir", &["-/", "-b", "-i", esp.as_str(), "::"])?;
    for file in [
        "::/EFI/BOOT/BOOTX64.EFI",
        "::/EFI/systemd/systemd-bootx64.efi",
        "::/loader/loader.conf",
    ] {
        assert!(listing.lines().any(|line| line == file), "{file} is not in:\n{listing}");
    }
    // The name is derived from the digest of the image's inputs, with the number of boot attempts that the boot loader
    // counts down.
    let names = listing.lines().filter_map(|line| {
        let name = line.strip_prefix("::/EFI/Linux/basalt_")?;
        name.strip_suffix("+3.efi")
    });
    let kernels: Vec<_> = names.collect();
    let is_digest = |name: &str| name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(
        kernels.len() == 1 && is_digest(kernels[0]),
        "{kernels:?} in:\n{listing}"
    );
    Ok(())
}

pub fn two_disks_of_the_same_inputs_are_the_same(sdk: &Utf8PathBuf) -> Result<(), Failed> {
    let (fixture, rpms, image) = composed(sdk)?;
    let (_elsewhere, again) = fixture.compose_elsewhere(NODE, &rpms.iter().rev().collect::<Vec<_>>());
    assert_eq!(image.facts, again.facts);
    let digest = |image: &Image| Digest::of_reader(File::open(image.disk().expect("a disk"))?);
    assert_eq!(digest(&image)?, digest(&again)?);
    Ok(())
}

/// Unpacks the root file system into a folder.
fn unpack(fixture: &Fixture, image: &Image, path: &Utf8Path) -> Result<Utf8PathBuf, Failed> {
    let root = partition(image, "root-a", path)?;
    let tree = path.join("tree");
    fs_err::create_dir(&tree)?;
    run(
        fixture,
        path,
        "fsck.erofs",
        &[&format!("--extract={tree}"), "--no-preserve-owner", root.as_str()],
    )?;
    Ok(tree)
}

pub fn os_release_names_the_image(sdk: &Utf8PathBuf) -> Result<(), Failed> {
    let (fixture, rpms, image) = composed(sdk)?;
    let (_folder, path) = folder()?;
    let version = &image.facts.disk.as_ref().expect("a disk").image_version;
    let expected = format!("ID=basalt\nNAME=Basalt\nIMAGE_ID=node\nIMAGE_VERSION={version}\n");
    let tree = unpack(&fixture, &image, &path)?;
    assert_eq!(fs_err::read_to_string(tree.join("usr/lib/os-release"))?, expected);
    let uki = fs_err::read(image.uki().expect("a kernel"))?;
    let uki = PeFile64::parse(uki.as_slice())?;
    let section = uki.section_by_name(".osrel").expect("there");
    assert_eq!(section.data()?, expected.as_bytes());
    let esp = partition(&image, "esp", &path)?;
    let listing = run(&fixture, &path, "mdir", &["-/", "-b", "-i", esp.as_str(), "::"])?;
    let kernel = format!("::/EFI/Linux/basalt_{version}+3.efi");
    assert!(
        listing.lines().any(|line| line == kernel),
        "{kernel} is not in:\n{listing}"
    );
    // An image with another setting is another one.
    let other = NODE.replace("[quiet]", "[quiet, panic=5]");
    let (_elsewhere, other) = fixture.compose_elsewhere(&other, &rpms.iter().collect::<Vec<_>>());
    assert_ne!(&other.facts.disk.as_ref().expect("a disk").image_version, version);
    Ok(())
}

pub fn rpm_reads_the_database(sdk: &Utf8PathBuf) -> Result<(), Failed> {
    let (fixture, _, image) = composed(sdk)?;
    let (_folder, path) = folder()?;
    let tree = unpack(&fixture, &image, &path)?;
    let database = format!("{tree}/usr/lib/sysimage/rpm");
    let ask = |arguments: &[&str]| {
        let all: Vec<_> = ["--dbpath", &database]
            .into_iter()
            .chain(arguments.iter().copied())
            .collect();
        run(&fixture, &path, "rpm", &all)
    };
    let mut all: Vec<_> = ask(&["-qa"])?.lines().map(str::to_owned).collect();
    all.sort();
    let expected = ["basalt-release", "chrony", "filesystem", "kernel", "systemd-boot"];
    assert_eq!(all, expected.map(|name| format!("{name}-1.2-3.bs1.x86_64")));
    assert_eq!(ask(&["-q", "--whatprovides", "chrony"])?, "chrony-1.2-3.bs1.x86_64");
    assert_eq!(ask(&["-qf", "/etc/chrony.keys"])?, "chrony-1.2-3.bs1.x86_64");
    assert_eq!(
        ask(&["-q", "--qf", "%{INSTALLTIME} %{LICENSE}", "kernel"])?,
        "1760000000 MIT"
    );
    assert!(ask(&["-q", "--state", "kernel"])?.contains("not installed"));
    assert!(ask(&["-q", "--state", "chrony"])?.contains("normal"));
    Ok(())
}
