//! FAT disk with files for the node agent, for machines without SMBIOS credentials.

use std::io::{Cursor, Write as _};

use basalt_node_config::defaults::{DISK_FILE, DISK_LABEL};
use camino::Utf8Path;
use fatfs::{Date, DateTime, FileSystem, FormatVolumeOptions, FsOptions, Time, TimeProvider};

use crate::MachineError;

/// Size of the disk in bytes: large enough for any configuration.
const SIZE: usize = 4 * 1024 * 1024;

/// Disk with files, written at each start of the machine. The same files give the same bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigDiskImage {
    /// Files of the root folder: names and contents.
    pub files: Vec<(String, Vec<u8>)>,
}

impl ConfigDiskImage {
    /// Makes a disk with the node's configuration as [`DISK_FILE`], where the node agent looks for it.
    pub fn with_node_config(yaml: impl Into<Vec<u8>>) -> Self {
        Self {
            files: vec![(DISK_FILE.to_owned(), yaml.into())],
        }
    }

    /// Renders the disk as an image of a FAT file system.
    ///
    /// # Errors
    /// When the files do not fit, or have names that FAT does not know.
    pub fn image(&self) -> Result<Vec<u8>, std::io::Error> {
        let mut bytes = vec![0_u8; SIZE];
        let mut label = [b' '; 11];
        for (place, letter) in label.iter_mut().zip(DISK_LABEL.bytes()) {
            *place = letter;
        }
        let options = FormatVolumeOptions::new().volume_label(label).volume_id(0xBA5A_17C0);
        fatfs::format_volume(Cursor::new(&mut bytes[..]), options)?;
        {
            let options = FsOptions::new().time_provider(&TIME);
            let filesystem = FileSystem::new(Cursor::new(&mut bytes[..]), options)?;
            for (name, contents) in &self.files {
                filesystem.root_dir().create_file(name)?.write_all(contents)?;
            }
            filesystem.unmount()?;
        }
        Ok(bytes)
    }

    /// Writes the disk to a file.
    pub(crate) fn write(&self, path: &Utf8Path) -> Result<(), MachineError> {
        let image = self
            .image()
            .map_err(MachineError::file("make the configuration disk"))?;
        fs_err::write(path, image).map_err(MachineError::file("write the configuration disk"))
    }
}

/// Clock that always shows 1980-01-01, the first day of FAT, so that the image depends on its files only.
#[derive(Debug)]
struct Always1980;

static TIME: Always1980 = Always1980;

impl TimeProvider for Always1980 {
    fn get_current_date(&self) -> Date {
        Date {
            year: 1980,
            month: 1,
            day: 1,
        }
    }

    fn get_current_date_time(&self) -> DateTime {
        DateTime {
            date: self.get_current_date(),
            time: Time {
                hour: 0,
                min: 0,
                sec: 0,
                millis: 0,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn the_disk_can_be_read_back_and_is_repeatable() {
        let disk = ConfigDiskImage::with_node_config("kind: NodeConfig\n");
        let mut bytes = disk.image().expect("fits");
        assert_eq!(bytes, disk.image().expect("fits"));
        let filesystem = FileSystem::new(Cursor::new(&mut bytes[..]), FsOptions::new()).expect("is FAT");
        assert_eq!(filesystem.volume_label(), DISK_LABEL);
        let mut text = String::new();
        filesystem
            .root_dir()
            .open_file("node.yaml")
            .expect("is there")
            .read_to_string(&mut text)
            .expect("is text");
        assert_eq!(text, "kind: NodeConfig\n");
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        assert!(ConfigDiskImage::with_node_config(vec![0; SIZE]).image().is_err());
    }
}
