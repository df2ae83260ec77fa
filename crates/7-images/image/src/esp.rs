//! EFI system partitions: FAT32 file systems with the boot loader and the kernel.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use fatfs::{Date, DateTime, FatType, FileSystem, FormatVolumeOptions, FsOptions, Time, TimeProvider};

/// Cluster size in bytes. With larger clusters, the smallest partition would have too few of them for FAT32.
const CLUSTER: u32 = 4096;

/// [`crate::BUILD_TIME`] for the entries of the file system. It must be a valid date: firmware refuses to rename a file
/// whose day is 0, and systemd-boot counts boot attempts by renaming.
#[derive(Debug)]
struct BuildTime;

static BUILD_TIME: BuildTime = BuildTime;

impl TimeProvider for BuildTime {
    fn get_current_date(&self) -> Date {
        Date {
            year: 2025,
            month: 10,
            day: 9,
        }
    }

    fn get_current_date_time(&self) -> DateTime {
        DateTime {
            date: self.get_current_date(),
            time: Time {
                hour: 8,
                min: 53,
                sec: 20,
                millis: 0,
            },
        }
    }
}

/// Range of a file, with a position of its own: a partition of a disk image. Reading and writing end at its end.
pub struct Window<'f> {
    file: &'f File,
    start: u64,
    length: u64,
    position: u64,
}

impl<'f> Window<'f> {
    /// Returns the range of `length` bytes that begins at the offset `start`.
    pub fn new(file: &'f File, start: u64, length: u64) -> Self {
        Self {
            file,
            start,
            length,
            position: 0,
        }
    }

    /// Limits the length of a buffer to the bytes before the end of the range.
    fn fitting(&self, length: usize) -> usize {
        usize::try_from(self.length.saturating_sub(self.position))
            .unwrap_or(usize::MAX)
            .min(length)
    }
}

impl Read for Window<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.fitting(buffer.len());
        let read = std::os::unix::fs::FileExt::read_at(
            self.file,
            buffer.get_mut(..length).unwrap_or_default(),
            self.start + self.position,
        )?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Write for Window<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let length = self.fitting(buffer.len());
        let written = std::os::unix::fs::FileExt::write_at(
            self.file,
            buffer.get(..length).unwrap_or_default(),
            self.start + self.position,
        )?;
        self.position += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Window<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(distance) => self.length.checked_add_signed(distance),
            SeekFrom::Current(distance) => self.position.checked_add_signed(distance),
        };
        self.position = position.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}

/// Creates the file system and writes files into it: path, with `/` as separator, and content.
pub(crate) fn make(mut place: Window<'_>, volume_id: u32, files: &[(&str, &[u8])]) -> io::Result<()> {
    let options = FormatVolumeOptions::new()
        .fat_type(FatType::Fat32)
        .bytes_per_cluster(CLUSTER)
        .volume_id(volume_id)
        .volume_label(*b"ESP        ");
    fatfs::format_volume(&mut place, options)?;
    let mut folders: Vec<&str> = Vec::new();
    for (path, _) in files {
        for folder in path.match_indices('/').filter_map(|(slash, _)| path.get(..slash)) {
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
    }
    let volume = mount(&mut place)?;
    folders
        .iter()
        .try_for_each(|folder| volume.root_dir().create_dir(folder).map(drop))?;
    volume.unmount()?;
    mend_folders(&mut place, folders.len())?;
    let volume = mount(&mut place)?;
    for (path, content) in files {
        let mut file = volume.root_dir().create_file(path)?;
        file.write_all(content)?;
        file.flush()?;
    }
    // Counts the free clusters, so that their number is stored in the file system.
    volume.stats()?;
    volume.unmount()
}

fn mount<'p, 'f>(place: &'p mut Window<'f>) -> io::Result<FileSystem<&'p mut Window<'f>>> {
    place.seek(SeekFrom::Start(0))?;
    FileSystem::new(place, FsOptions::new().time_provider(&BUILD_TIME))
}

/// Rewrites the first entries of each folder. The `fatfs` crate gives the entries `.` and `..` long names, which the
/// specification forbids and fsck reports; and its `..` holds the cluster of the root folder where the specification
/// demands 0.
fn mend_folders(place: &mut Window<'_>, count: usize) -> io::Result<()> {
    const ENTRY: usize = 32;
    const ROOT: [u8; 2] = [2, 0];
    const DELETED: u8 = 0xe5;
    let mut boot = [0; 512];
    place.seek(SeekFrom::Start(0))?;
    place.read_exact(&mut boot)?;
    let reserved = u64::from(u16::from_le_bytes([boot[14], boot[15]]));
    let table = u64::from(u32::from_le_bytes([boot[36], boot[37], boot[38], boot[39]]));
    let data = (reserved + u64::from(boot[16]) * table) * 512;
    // The folders have the clusters after that of the root folder, in the order of their creation.
    for index in 1..=count as u64 {
        let start = data + index * u64::from(CLUSTER);
        let mut entries = [0; 4 * ENTRY];
        place.seek(SeekFrom::Start(start))?;
        place.read_exact(&mut entries)?;
        if &entries[ENTRY..ENTRY + 2] != b". " || &entries[3 * ENTRY..3 * ENTRY + 3] != b".. " {
            return Err(io::Error::other(
                "a folder of the EFI system partition is not where it was made",
            ));
        }
        let mut mended = [0; 4 * ENTRY];
        mended[..ENTRY].copy_from_slice(&entries[ENTRY..2 * ENTRY]);
        mended[ENTRY..2 * ENTRY].copy_from_slice(&entries[3 * ENTRY..]);
        // Marked as deleted, not as the end of the folder: further folders may follow.
        mended[2 * ENTRY] = DELETED;
        mended[3 * ENTRY] = DELETED;
        let parent = &mut mended[ENTRY + 26..ENTRY + 28];
        if parent == ROOT {
            parent.fill(0);
        }
        place.seek(SeekFrom::Start(start))?;
        place.write_all(&mended)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u64 = 260 << 20;

    fn made() -> File {
        let file = tempfile::tempfile().expect("a file");
        file.set_len(SIZE + 8192).expect("long enough");
        let kernel = vec![42; 100_000];
        let files: [(&str, &[u8]); 3] = [
            ("EFI/BOOT/BOOTX64.EFI", b"loader"),
            ("EFI/Linux/basalt_1.0-abc+3.efi", &kernel),
            ("loader/loader.conf", b"timeout 0\n"),
        ];
        make(Window::new(&file, 4096, SIZE), 7, &files).expect("made");
        file
    }

    #[test]
    fn files_are_read_back_and_nothing_lies_outside() {
        let file = made();
        let volume = FileSystem::new(Window::new(&file, 4096, SIZE), FsOptions::new()).expect("mounted");
        assert_eq!(volume.fat_type(), FatType::Fat32);
        let mut kernel = Vec::new();
        let root = volume.root_dir();
        root.open_file("EFI/Linux/basalt_1.0-abc+3.efi")
            .expect("there")
            .read_to_end(&mut kernel)
            .expect("read");
        assert_eq!(kernel, vec![42; 100_000]);
        let folder = root.open_dir("EFI/Linux").expect("there");
        for entry in folder.iter().map(|entry| entry.expect("an entry")) {
            assert_eq!(
                entry.modified().date,
                BUILD_TIME.get_current_date(),
                "{}",
                entry.file_name()
            );
            assert_eq!(entry.accessed(), BUILD_TIME.get_current_date(), "{}", entry.file_name());
        }
        for place in [0, SIZE + 4096] {
            let mut outside = [1; 4096];
            std::os::unix::fs::FileExt::read_exact_at(&file, &mut outside, place).expect("read");
            assert!(outside.iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn the_same_files_give_the_same_bytes() {
        let read = |mut file: File| {
            file.rewind().expect("rewound");
            basalt_digest::Digest::of_reader(file).expect("read")
        };
        assert_eq!(read(made()), read(made()));
    }
}
