//! What the agent takes from the machine itself.

use std::path::Path;

use crate::apply::below;
use crate::paths;
use crate::size::Size;

/// Facts that a plan depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The machine id: 32 hexadecimal digits.
    pub machine_id: Option<String>,
    /// Processors and memory.
    pub size: Option<Size>,
    /// File names of the credential providers in the image.
    pub credential_providers: Vec<String>,
}

impl Facts {
    /// Reads the facts of the machine whose root is here.
    pub fn read(root: &Path) -> Self {
        let id = |path: &str| {
            let text = fs_err::read_to_string(root.join(path)).ok()?;
            let digits: String = text
                .trim()
                .chars()
                .filter(|c| *c != '-')
                .map(|c| c.to_ascii_lowercase())
                .collect();
            (digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())).then_some(digits)
        };
        // systemd takes the id from the firmware too; before it has written it down, the firmware can be asked.
        Self {
            machine_id: ["run/machine-id", "etc/machine-id", "sys/class/dmi/id/product_uuid"]
                .into_iter()
                .find_map(id),
            size: Size::read(root),
            credential_providers: file_names(&below(root, paths::CREDENTIAL_PROVIDERS)),
        }
    }

    /// What the node is called when its NodeConfig does not say.
    pub fn default_hostname(&self) -> String {
        match &self.machine_id {
            Some(id) => format!("basalt-{}", &id[..12]),
            None => "basalt".to_owned(),
        }
    }
}

/// The names of what is in a folder; none where there is no folder.
fn file_names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_firmware_is_asked_last() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            fs_err::create_dir_all(root.path().join(path).parent().unwrap()).unwrap();
            fs_err::write(root.path().join(path), text).unwrap();
        };
        assert_eq!(Facts::read(root.path()).default_hostname(), "basalt");
        write(
            "sys/class/dmi/id/product_uuid",
            "0123ABCD-89ab-cdef-0123-456789abcdef\n",
        );
        assert_eq!(Facts::read(root.path()).default_hostname(), "basalt-0123abcd89ab");
        write("etc/machine-id", "uninitialized\n");
        assert_eq!(Facts::read(root.path()).default_hostname(), "basalt-0123abcd89ab");
        write("run/machine-id", "ffffffffffffffffffffffffffffffff\n");
        assert_eq!(Facts::read(root.path()).default_hostname(), "basalt-ffffffffffff");
    }
}
