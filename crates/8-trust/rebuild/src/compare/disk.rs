//! Disks: by partition, and by the files in those.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use basalt_image::{PartitionFacts, Window};
use basalt_sdk::SdkTree;
use basalt_store::{FileError, Workspace};
use camino::Utf8Path;
use fatfs::{FileSystem, FsOptions};

use super::{Findings, compare_trees, position};
use crate::RebuildError;

/// Size of the blocks that are compared, in bytes.
const BLOCK: usize = 1 << 20;
/// Magic number of erofs (little-endian), and its offset in the file system.
const EROFS: ([u8; 4], u64) = ([0xe2, 0xe1, 0xf5, 0xe0], 1024);

/// Adds what differs between two disks that have these partitions.
///
/// # Errors
/// When something cannot be read.
pub fn compare(
    findings: &mut Findings,
    (first, second): (&Utf8Path, &Utf8Path),
    partitions: &[PartitionFacts],
    sdk: &SdkTree,
    workspace: &Workspace,
) -> Result<(), RebuildError> {
    let open = |path: &Utf8Path| {
        let opened = fs_err::File::open(path).map_err(FileError::new("cannot read", path))?;
        Ok::<File, FileError>(opened.into_file())
    };
    let size = |file: &File, path| {
        file.metadata()
            .map(|it| it.len())
            .map_err(FileError::new("cannot read", path))
    };
    let (one, other) = (open(first)?, open(second)?);
    let (length, other_length) = (size(&one, first)?, size(&other, second)?);
    if length != other_length {
        findings.add_in("disk", format!("has {length} bytes, then {other_length}"));
    }
    let mut end = 0;
    let mut ranges = Vec::new();
    for partition in partitions {
        ranges.push(("partition table".to_owned(), end, partition.offset_bytes));
        end = partition.offset_bytes + partition.size_bytes;
        ranges.push((format!("partition {}", partition.label), partition.offset_bytes, end));
    }
    ranges.push(("partition table".to_owned(), end, length.min(other_length)));
    for (name, start, end) in ranges {
        basalt_process::interrupt::check()?;
        let part = |file| Window::new(file, start, end.saturating_sub(start));
        let (mut one, mut other) = (part(&one), part(&other));
        let at = parting(&mut one, &mut other).map_err(FileError::new("cannot read", first))?;
        if let Some(at) = at {
            findings.within(name, |findings| {
                let before = findings.count();
                within(findings, &mut one, &mut other, sdk, workspace)?;
                if findings.count() == before {
                    let (mut some, mut others) = (vec![0; 4096], vec![0; 4096]);
                    let read = |part: &mut Window<'_>, into: &mut Vec<u8>| -> io::Result<()> {
                        part.seek(SeekFrom::Start(at))?;
                        let length = part.read(into)?;
                        into.truncate(length);
                        Ok(())
                    };
                    read(&mut one, &mut some)
                        .and_then(|()| read(&mut other, &mut others))
                        .map_err(FileError::new("cannot read", first))?;
                    findings.within(format!("from byte {at} on"), |findings| {
                        position::compare(findings, &some, &others)
                    });
                }
                Ok::<_, RebuildError>(())
            })?;
        }
    }
    Ok(())
}

/// Compares the files in two partitions, where they have a file system that we can read.
fn within<'f>(
    findings: &mut Findings,
    one: &mut Window<'f>,
    other: &mut Window<'f>,
    sdk: &SdkTree,
    workspace: &Workspace,
) -> Result<(), RebuildError> {
    let folders = [workspace.path().join("first"), workspace.path().join("second")];
    for (part, folder) in [&mut *one, &mut *other].into_iter().zip(&folders) {
        basalt_store::remove_tree(folder)?;
        fs_err::create_dir_all(folder).map_err(FileError::new("cannot create", folder))?;
        if is_erofs(part).map_err(FileError::new("cannot read", folder))? {
            unpack_erofs(part, folder, sdk)?;
        } else if unpack_fat(part, folder).is_err() {
            // None that we know: its bytes will be compared.
            return Ok(());
        }
    }
    compare_trees(findings, &folders[0], &folders[1], &|_| false)?;
    for folder in &folders {
        basalt_store::remove_tree(folder)?;
    }
    Ok(())
}

fn unpack_erofs(part: &mut Window<'_>, folder: &Utf8Path, sdk: &SdkTree) -> Result<(), RebuildError> {
    let image = folder.with_extension("erofs");
    let mut copy = || -> io::Result<()> {
        part.seek(SeekFrom::Start(0))?;
        io::copy(part, &mut fs_err::File::create(&image)?).map(drop)
    };
    copy().map_err(FileError::new("cannot write", &image))?;
    let parent = folder.parent().unwrap_or(folder);
    let extract = format!("--extract={folder}");
    sdk.sandbox()
        .show_writable(parent)
        .command(
            "fsck.erofs",
            [&*extract, "--overwrite", "--no-preserve-owner", image.as_str()],
        )
        .output()?;
    Ok(fs_err::remove_file(&image).map_err(FileError::new("cannot remove", &image))?)
}

fn unpack_fat(part: &mut Window<'_>, folder: &Utf8Path) -> io::Result<()> {
    part.seek(SeekFrom::Start(0))?;
    let volume = FileSystem::new(part, FsOptions::new())?;
    let mut rest = vec![(volume.root_dir(), folder.to_owned())];
    while let Some((directory, place)) = rest.pop() {
        fs_err::create_dir_all(&place)?;
        for entry in directory.iter() {
            let entry = entry?;
            let name = entry.file_name();
            if name == "." || name == ".." {
                continue;
            }
            if name.contains('/') {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let to = place.join(name);
            if entry.is_dir() {
                rest.push((entry.to_dir(), to));
            } else {
                io::copy(&mut entry.to_file(), &mut fs_err::File::create(to)?)?;
            }
        }
    }
    Ok(())
}

/// Offset of the first byte that differs, or at which the shorter part ends; `None` if both are the same.
fn parting(one: &mut Window<'_>, other: &mut Window<'_>) -> io::Result<Option<u64>> {
    let (mut some, mut others) = (vec![0; BLOCK], vec![0; BLOCK]);
    let mut at = 0;
    loop {
        let (some, others) = (fill(one, &mut some)?, fill(other, &mut others)?);
        if some != others {
            let same = some.iter().zip(others).take_while(|(one, other)| one == other).count();
            return Ok(Some(at + same as u64));
        }
        if some.is_empty() {
            return Ok(None);
        }
        at += some.len() as u64;
    }
}

fn is_erofs(part: &mut Window<'_>) -> io::Result<bool> {
    let mut magic = [0; 4];
    part.seek(SeekFrom::Start(EROFS.1))?;
    Ok(fill(part, &mut magic)? == EROFS.0.as_slice())
}

/// Fills the buffer, and returns the part of it that was filled: less than all of it only at the end.
fn fill<'b>(part: &mut Window<'_>, buffer: &'b mut [u8]) -> io::Result<&'b [u8]> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match part.read(rest)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(buffer.get(..filled).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use basalt_store::Store;
    use fatfs::FormatVolumeOptions;

    use super::super::Difference;
    use super::*;

    const MIB: usize = 1 << 20;

    /// A disk with a FAT file system, a file in it, and a partition of bytes.
    fn disk(kernel: &[u8], byte: u8) -> Vec<u8> {
        let mut esp = Cursor::new(vec![0; 2 * MIB]);
        fatfs::format_volume(&mut esp, FormatVolumeOptions::new()).expect("formatted");
        {
            let volume = FileSystem::new(&mut esp, FsOptions::new()).expect("mounted");
            let folder = volume.root_dir().create_dir("EFI").expect("made");
            folder
                .create_file("kernel.txt")
                .expect("made")
                .write_all(kernel)
                .expect("written");
        }
        let mut disk = vec![0; 4 * MIB];
        disk[MIB..3 * MIB].copy_from_slice(esp.get_ref());
        disk[3 * MIB + 7] = byte;
        disk
    }

    fn partition(label: &str, offset: usize, size: usize) -> PartitionFacts {
        PartitionFacts {
            label: label.to_owned(),
            type_guid: String::new(),
            guid: String::new(),
            offset_bytes: offset as u64,
            size_bytes: size as u64,
        }
    }

    fn differences(first: &[u8], second: &[u8]) -> Vec<String> {
        let folder = tempfile::tempdir().expect("a folder");
        let root = Utf8Path::from_path(folder.path()).expect("UTF-8");
        let store = Store::open(&root.join("store")).expect("a store");
        let (one, other) = (root.join("one"), root.join("other"));
        fs_err::write(&one, first).expect("written");
        fs_err::write(&other, second).expect("written");
        let partitions = [partition("esp", MIB, 2 * MIB), partition("data", 3 * MIB, MIB / 2)];
        let sdk = SdkTree::outside(root.to_owned());
        let workspace = store.workspace().expect("a workspace");
        let mut findings = Findings::default();
        compare(&mut findings, (&one, &other), &partitions, &sdk, &workspace).expect("compared");
        findings.finish().0.iter().map(Difference::to_string).collect()
    }

    #[test]
    fn disks_are_told_by_partition_and_file() {
        let first = disk(b"quiet\n", 1);
        assert!(differences(&first, &first).is_empty());
        assert_eq!(
            differences(&first, &disk(b"noisy\n", 2)),
            [
                "partition esp: /EFI/kernel.txt: line 1 is `quiet`, then `noisy`",
                "partition data: from byte 7 on differs at byte 0: 01 00 00 00 00 00 00 00, then 02 00 00 00 00 00 00 00"
            ]
        );
        let mut table = first.clone();
        table[511] = 0x55;
        table.push(0);
        let differences = differences(&first, &table);
        assert_eq!(differences[0], "disk has 4194304 bytes, then 4194305");
        assert!(
            differences[1].starts_with("partition table: from byte 511 on differs"),
            "{differences:?}"
        );
    }
}
