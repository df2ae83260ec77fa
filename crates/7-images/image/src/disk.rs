//! Disk images: a GUID partition table with the EFI system partition and two slots for root file systems. On a real
//! disk, systemd-repart creates the state partition behind them at the first boot.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};

use crate::definition::DiskSettings;
use basalt_digest::Digest;
use basalt_release::Arch;
use camino::Utf8Path;
use gptman::{GPT, GPTPartitionEntry};

use crate::ImageError;
use crate::esp::{self, Window};
use crate::facts::PartitionFacts;
use crate::guid::{self, Guid};
use crate::verity::HashTree;

const SECTOR: u64 = 512;
const MIB: u64 = 1 << 20;
/// Label of a slot without a root file system, which an update may write to.
const EMPTY: &str = "_empty";
const ESP_TYPE: Guid = Guid::known(0xc12a_7328_f81f_11d2_ba4b_00a0_c93e_c93b);

/// Contents of a disk.
pub(crate) struct Contents<'a> {
    /// Name of the image.
    pub(crate) image: &'a str,
    /// Digest of all inputs; GUIDs are derived from it.
    pub(crate) key: &'a Digest,
    /// Architecture, which determines the types of the root partitions.
    pub(crate) arch: Arch,
    /// Settings of the definition, with the sizes of the partitions.
    pub(crate) settings: &'a DiskSettings,
    /// File with the root file system.
    pub(crate) root: &'a Utf8Path,
    /// Hash tree of the root file system.
    pub(crate) tree: &'a HashTree,
    /// Files of the EFI system partition: path and content.
    pub(crate) esp: &'a [(&'a str, &'a [u8])],
}

/// Partition to create.
struct Partition {
    label: &'static str,
    kind: Guid,
    guid: Guid,
    size: u64,
}

/// Returns the types of the partitions with a root and with its hash tree (Discoverable Partitions Specification).
fn root_types(arch: Arch) -> (Guid, Guid) {
    match arch {
        Arch::X86_64 => (
            Guid::known(0x4f68_bce3_e8cd_4db1_96e7_fbca_f984_b709),
            Guid::known(0x2c73_57ed_ebd2_46d9_aec1_23d4_37ec_2bf5),
        ),
        Arch::Aarch64 => (
            Guid::known(0xb921_b045_1df0_41c3_af44_4c6f_280d_3fae),
            Guid::known(0xdf33_00ce_d69f_4c92_978c_9bfb_0f38_d820),
        ),
    }
}

/// Writes the disk as a sparse file. Returns its size in bytes and its partitions.
pub(crate) fn write(path: &Utf8Path, contents: &Contents<'_>) -> Result<(u64, Vec<PartitionFacts>), ImageError> {
    let root_bytes = fs_err::metadata(contents.root)
        .map_err(ImageError::io("cannot look at", contents.root))?
        .len();
    check_room(contents, root_bytes)?;
    let partitions = plan(contents);
    let mut offset = MIB;
    let facts = partitions.each_ref().map(|partition| {
        let start = offset;
        offset += partition.size;
        PartitionFacts {
            label: partition.label.to_owned(),
            type_guid: partition.kind.to_string(),
            guid: partition.guid.to_string(),
            offset_bytes: start,
            size_bytes: partition.size,
        }
    });
    // The backup partition table is at the end.
    let size = offset + MIB;
    let write = || -> io::Result<()> {
        let mut options = fs_err::OpenOptions::new();
        let mut disk = options.read(true).write(true).create_new(true).open(path)?.into_file();
        disk.set_len(size)?;
        write_table(&mut disk, contents.key, &partitions, &facts)?;
        let [esp, root, tree, ..] = &facts;
        let volume_id = u32::from_be_bytes(guid::four_bytes(contents.key, "esp volume"));
        esp::make(
            Window::new(&disk, esp.offset_bytes, esp.size_bytes),
            volume_id,
            contents.esp,
        )?;
        disk.seek(SeekFrom::Start(root.offset_bytes))?;
        io::copy(&mut fs_err::File::open(contents.root)?, &mut disk)?;
        disk.seek(SeekFrom::Start(tree.offset_bytes))?;
        disk.write_all(&contents.tree.bytes)
    };
    write().map_err(ImageError::io("cannot write", path))?;
    Ok((size, facts.into()))
}

fn check_room(contents: &Contents<'_>, root_bytes: u64) -> Result<(), ImageError> {
    let mib = |bytes: u64| format!("{} MiB", bytes.div_ceil(MIB));
    let too_large = |what, bytes, room, key| ImageError::Room {
        image: contents.image.to_owned(),
        what,
        size: mib(bytes),
        room: mib(room),
        key,
    };
    let root_room = u64::from(contents.settings.root_mib()) * MIB;
    if root_bytes > root_room {
        return Err(too_large("the root file system", root_bytes, root_room, "rootMib"));
    }
    // Three kernels during an update: the old one, the new one, and one that is being written.
    let esp_bytes = 3 * contents
        .esp
        .iter()
        .map(|(_, content)| content.len() as u64)
        .sum::<u64>();
    let esp_room = u64::from(contents.settings.esp_mib()) * MIB;
    if esp_bytes > esp_room {
        return Err(too_large("three times the kernel", esp_bytes, esp_room, "espMib"));
    }
    Ok(())
}

/// The partitions: the EFI system partition, a root and its hash tree, and the same again, empty.
fn plan(contents: &Contents<'_>) -> [Partition; 5] {
    let esp = u64::from(contents.settings.esp_mib()) * MIB;
    let root = u64::from(contents.settings.root_mib()) * MIB;
    let tree = HashTree::size_for(root).next_multiple_of(MIB);
    let (data_type, tree_type) = root_types(contents.arch);
    let (data, hashes) = Guid::of_root_hash(&contents.tree.root_hash);
    let derived = |purpose| Guid::derived(contents.key, purpose);
    [
        Partition {
            label: "esp",
            kind: ESP_TYPE,
            guid: derived("esp"),
            size: esp,
        },
        Partition {
            label: "root-a",
            kind: data_type,
            guid: data,
            size: root,
        },
        Partition {
            label: "root-a-verity",
            kind: tree_type,
            guid: hashes,
            size: tree,
        },
        Partition {
            label: EMPTY,
            kind: data_type,
            guid: derived("root-b"),
            size: root,
        },
        Partition {
            label: EMPTY,
            kind: tree_type,
            guid: derived("root-b-verity"),
            size: tree,
        },
    ]
}

fn write_table(disk: &mut File, key: &Digest, partitions: &[Partition], facts: &[PartitionFacts]) -> io::Result<()> {
    let guid = Guid::derived(key, "disk").on_disk();
    let mut table = GPT::new_from(disk, SECTOR, guid).map_err(io::Error::other)?;
    for (number, (partition, place)) in (1..).zip(partitions.iter().zip(facts)) {
        table[number] = GPTPartitionEntry {
            partition_type_guid: partition.kind.on_disk(),
            unique_partition_guid: partition.guid.on_disk(),
            starting_lba: place.offset_bytes / SECTOR,
            ending_lba: (place.offset_bytes + place.size_bytes) / SECTOR - 1,
            attribute_bits: 0,
            partition_name: partition.label.into(),
        };
    }
    GPT::write_protective_mbr_into(disk, SECTOR).map_err(io::Error::other)?;
    table.write_into(disk).map_err(io::Error::other)?;
    Ok(())
}
