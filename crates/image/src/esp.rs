//! The EFI system partition: a FAT32 file system with the boot loader and the kernel.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use fatfs::{FatType, FileSystem, FormatVolumeOptions, FsOptions};

/// FAT32 takes a volume with fewer clusters than that for FAT16.
const CLUSTER: u32 = 4096;

/// A part of a file as if it were one of its own.
pub(crate) struct Window<'f> {
    file: &'f File,
    start: u64,
    length: u64,
    position: u64,
}

impl<'f> Window<'f> {
    pub(crate) fn new(file: &'f File, start: u64, length: u64) -> Self {
        Self {
            file,
            start,
            length,
            position: 0,
        }
    }

    /// How much of a buffer fits before the end.
    fn fitting(&self, length: usize) -> usize {
        usize::try_from(self.length.saturating_sub(self.position))
            .unwrap_or(usize::MAX)
            .min(length)
    }
}

impl Read for Window<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.fitting(buffer.len());
        let read = std::os::unix::fs::FileExt::read_at(self.file, &mut buffer[..length], self.start + self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Write for Window<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let length = self.fitting(buffer.len());
        let written = std::os::unix::fs::FileExt::write_at(self.file, &buffer[..length], self.start + self.position)?;
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

/// Makes the file system and puts files into it: their paths, with `/`, and what they hold. All of them are from 1980,
/// as far as FAT can tell.
pub(crate) fn make(mut place: Window<'_>, volume_id: u32, files: &[(&str, &[u8])]) -> io::Result<()> {
    let options = FormatVolumeOptions::new()
        .fat_type(FatType::Fat32)
        .bytes_per_cluster(CLUSTER)
        .volume_id(volume_id)
        .volume_label(*b"ESP        ");
    fatfs::format_volume(&mut place, options)?;
    place.seek(SeekFrom::Start(0))?;
    let volume = FileSystem::new(place, FsOptions::new())?;
    {
        let mut made = Vec::new();
        for (path, content) in files {
            for (slash, _) in path.match_indices('/') {
                let folder = &path[..slash];
                if !made.contains(&folder) {
                    volume.root_dir().create_dir(folder)?;
                    made.push(folder);
                }
            }
            let mut file = volume.root_dir().create_file(path)?;
            file.write_all(content)?;
            file.flush()?;
        }
    }
    volume.unmount()
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
            basalt_model::digest::Digest::of_reader(file).expect("read")
        };
        assert_eq!(read(made()), read(made()));
    }
}
