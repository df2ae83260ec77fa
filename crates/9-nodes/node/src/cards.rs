//! Network cards of the machine, as sysfs shows them, and the record of those that were there in this boot.
//!
//! A card that is attached to a running node belongs to whoever attached it, such as the network add-on of a cloud, and
//! is left alone (81-basalt-network.rules). A card that was there before and appears again, because its driver has reset
//! it or its cable of USB was loose, is the node's own: the record tells the two apart.

use std::path::{Path, PathBuf};

use crate::apply::{self, ApplyError, below};
use crate::paths;
use crate::plan::PlannedFile;

/// An Ethernet card.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Card {
    /// Folder in sysfs, by where the card is plugged in.
    pub folder: PathBuf,
    /// Hardware address, as in `52:54:00:12:34:56`.
    pub address: String,
    /// The address is the one that the card was made with (`NET_ADDR_PERM`).
    pub is_permanent: bool,
}

impl Card {
    /// Reads a folder of `/sys/class/net`; none where it is no hardware or not Ethernet (`ARPHRD_ETHER`).
    fn read(folder: &Path) -> Option<Self> {
        let folder = folder.canonicalize().ok()?;
        let read = |name: &str| Some(fs_err::read_to_string(folder.join(name)).ok()?.trim().to_owned());
        let address = read("address")?;
        let counts = read("type")? == "1" && folder.join("device").exists() && address != "00:00:00:00:00:00";
        let is_permanent = read("addr_assign_type")? == "0";
        counts.then_some(Self {
            folder,
            address,
            is_permanent,
        })
    }

    /// Returns `true` if the card is on USB, where it may be pulled out.
    pub fn is_usb(&self) -> bool {
        self.folder.iter().any(|part| part.to_string_lossy().starts_with("usb"))
    }
}

/// All Ethernet cards, in the order of where they are plugged in.
pub fn all(root: &Path) -> Vec<Card> {
    let entries = fs_err::read_dir(below(root, "/sys/class/net"))
        .into_iter()
        .flatten()
        .flatten();
    let mut cards: Vec<_> = entries.filter_map(|entry| Card::read(&entry.path())).collect();
    cards.sort();
    cards
}

/// Records the cards that are there, once in a boot.
pub fn record(root: &Path) -> Result<(), ApplyError> {
    if below(root, paths::CARDS).exists() {
        return Ok(());
    }
    for card in all(root) {
        apply::write(
            root,
            &PlannedFile {
                path: format!("{}/{}", paths::CARDS, card.address),
                mode: 0o644,
                content: String::new(),
            },
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(root: &Path, name: &str, address: &str) {
        let folder = below(root, "/sys/class/net").join(name);
        fs_err::create_dir_all(folder.join("device")).unwrap();
        for (name, value) in [("type", "1"), ("addr_assign_type", "0"), ("address", address)] {
            fs_err::write(folder.join(name), format!("{value}\n")).unwrap();
        }
    }

    #[test]
    fn cards_are_recorded_once_in_a_boot() {
        let root = tempfile::tempdir().unwrap();
        let recorded = |address: &str| below(root.path(), paths::CARDS).join(address).exists();
        // Without any, there is nothing to record yet.
        record(root.path()).unwrap();
        card(root.path(), "eth0", "52:54:00:00:00:01");
        record(root.path()).unwrap();
        assert!(recorded("52:54:00:00:00:01"));
        card(root.path(), "eth1", "52:54:00:00:00:02");
        record(root.path()).unwrap();
        assert!(!recorded("52:54:00:00:00:02"));
    }

    #[test]
    fn what_is_no_hardware_is_no_card() {
        let root = tempfile::tempdir().unwrap();
        card(root.path(), "veth0", "52:54:00:00:00:01");
        fs_err::remove_dir(below(root.path(), "/sys/class/net/veth0/device")).unwrap();
        card(root.path(), "lo", "00:00:00:00:00:00");
        assert!(all(root.path()).is_empty());
    }
}
