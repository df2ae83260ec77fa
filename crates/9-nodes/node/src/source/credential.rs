//! A systemd credential.

use std::io::ErrorKind;
use std::path::PathBuf;

use basalt_node_config::defaults;

use super::{Found, Source, SourceError, read_text};

/// The name of the credential.
const NAME: &str = defaults::CREDENTIAL;

/// The credential `basalt.node`, which firmware (SMBIOS), the boot loader or a container manager hand to systemd.
///
/// The first process keeps what the machine was given in `/run/credentials/@system`. It is read right there: a unit
/// with `ImportCredential=` gets the same bytes through a mount namespace and a file system of its own, which takes
/// longer than all the rest of the agent. Where a unit does have credentials, as encrypted ones need, they come first.
#[derive(Debug)]
pub struct Credential {
    folders: Vec<PathBuf>,
}

impl Credential {
    /// Folders of the credentials of this process and of the machine, as systemd makes them.
    pub fn of_this_process() -> Self {
        let own = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        Self {
            folders: own
                .into_iter()
                .chain([PathBuf::from("/run/credentials/@system")])
                .collect(),
        }
    }

    /// Credentials in other folders.
    pub fn in_folders(folders: Vec<PathBuf>) -> Self {
        Self { folders }
    }
}

impl Source for Credential {
    fn name(&self) -> String {
        format!("systemd credential {NAME}")
    }

    fn look(&mut self) -> Result<Option<Found>, SourceError> {
        for folder in &self.folders {
            match fs_err::File::open(folder.join(NAME)) {
                Ok(file) => return read_text(file, format!("credential {NAME}")).map(Some),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(source) => {
                    return Err(SourceError::Read {
                        place: folder.join(NAME).display().to_string(),
                        source,
                    });
                }
            }
        }
        Ok(None)
    }

    // The first process has all of them before it starts anything.
    fn may_come_late(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_folder_that_has_it_counts() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folders = vec![first.path().to_owned(), second.path().to_owned()];
        let mut source = Credential::in_folders(folders);
        assert_eq!(source.look().unwrap(), None);
        fs_err::write(second.path().join(NAME), "second\0").unwrap();
        assert_eq!(source.look().unwrap().unwrap().text, "second");
        fs_err::write(first.path().join(NAME), "first").unwrap();
        assert_eq!(source.look().unwrap().unwrap().text, "first");
        fs_err::write(first.path().join(NAME), [0xff, 0xfe]).unwrap();
        assert!(matches!(source.look(), Err(SourceError::NotText { .. })));
        fs_err::write(first.path().join(NAME), vec![b'a'; (1 << 20) + 1]).unwrap();
        assert!(matches!(source.look(), Err(SourceError::TooLarge { .. })));
    }
}
