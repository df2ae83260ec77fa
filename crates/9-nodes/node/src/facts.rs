//! Facts that the agent takes from the machine itself.

use std::path::Path;

use basalt_digest::Digest;

use crate::apply::below;
use crate::paths;
use crate::size::Size;

/// Facts that a plan depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineFacts {
    /// The machine id: 32 hexadecimal digits. See [`crate::machine_id`].
    pub machine_id: Option<String>,
    /// Processors and memory.
    pub size: Option<Size>,
    /// File names of the credential providers in the image.
    pub credential_providers: Vec<String>,
}

impl MachineFacts {
    /// Reads the size and the programs of the machine whose root is here, which has this machine id.
    pub fn read(root: &Path, machine_id: Option<String>) -> Self {
        Self {
            machine_id,
            size: Size::read(root),
            credential_providers: file_names(&below(root, paths::CREDENTIAL_PROVIDERS)),
        }
    }

    /// Name of a node whose NodeConfig gives none.
    ///
    /// A digest of the id, not its first digits: those are the maker's name on Dell's servers, the number of the model
    /// on HPE's, and zero on some of Supermicro's.
    pub fn default_hostname(&self) -> String {
        match &self.machine_id {
            Some(id) => format!(
                "basalt-{}",
                Digest::of(id).to_hex().chars().take(12).collect::<String>()
            ),
            None => "basalt".to_owned(),
        }
    }
}

/// The names of what is in a folder; none where there is no folder.
fn file_names(folder: &Path) -> Vec<String> {
    let entries = fs_err::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(machine_id: Option<&str>) -> MachineFacts {
        MachineFacts {
            machine_id: machine_id.map(str::to_owned),
            size: None,
            credential_providers: Vec::new(),
        }
    }

    fn name(id: &str) -> String {
        facts(Some(id)).default_hostname()
    }

    #[test]
    fn machines_of_one_maker_have_names_of_their_own() {
        assert_eq!(facts(None).default_hostname(), "basalt");
        assert_eq!(name("0123456789abcdef0123456789abcdef"), "basalt-3eb1bd439947");
        let names = [
            "4c4c4544003630108052b4c04f533233",
            "4c4c4544003630108052b4c04f533234",
            "00000000000000000000ac1f6b112233",
            "00000000000000000000ac1f6b112234",
        ]
        .map(name);
        for (index, one) in names.iter().enumerate() {
            assert!(!names[..index].contains(one), "{names:?}");
        }
    }
}
