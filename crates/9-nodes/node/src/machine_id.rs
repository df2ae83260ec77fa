//! The machine id: one that no other machine has, and the same at every boot.
//!
//! systemd takes it from the firmware (`systemd.machine_id=firmware`): the UUID in SMBIOS. Some boards all have the
//! same one, and some have none, for which systemd takes random numbers at each boot: every boot would be a new node
//! that needs a bootstrap token. There the id follows from the hardware address of the machine's first network card.

use std::path::Path;
use std::time::{Duration, Instant};

use basalt_digest::Digest;

use crate::apply::below;
use crate::{cards, paths};

/// UUIDs that makers of boards and of virtual machines have given to more than one.
const SHARED: [&str; 7] = [
    "00020003000400050006000700080009",
    "03000200040005000006000700080009",
    "11111111222233334444555555555555",
    "12345678123456781234567812345678",
    "123456781234567890abcddeefaabbcc",
    // Dell's, without a service tag.
    "4c4c454400002010802080c04f202020",
    "deadbeefdeadbeefdeadbeefdeadbeef",
];

/// UUID of the firmware.
const FIRMWARE: &str = "/sys/class/dmi/id/product_uuid";

/// Origin of a machine id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdOrigin {
    /// UUID in SMBIOS, which systemd takes, too.
    Firmware,
    /// Hardware address of a network card: the UUID is missing, or many machines have it.
    HardwareAddress,
    /// The id that systemd has for this boot; another at the next one, perhaps.
    ThisBoot,
}

/// A machine id: 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineId {
    /// The digits.
    pub digits: String,
    /// Origin of the digits.
    pub origin: IdOrigin,
}

impl MachineId {
    /// The id of the machine whose root is here. Where it has to follow from a network card, one is waited for: its
    /// driver may be a module that is only just being loaded.
    pub fn find(root: &Path, patience: Duration) -> Option<Self> {
        let start = Instant::now();
        loop {
            let found = choose(
                digits(root, FIRMWARE).as_deref(),
                hardware_address(root).as_deref(),
                digits(root, paths::MACHINE_ID).as_deref(),
            );
            let is_stable = found.as_ref().is_some_and(|id| id.origin != IdOrigin::ThisBoot);
            if is_stable || start.elapsed() >= patience {
                return found;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// UUID of the firmware as the kubelet reports it; empty where it is missing, or many machines have it.
pub fn firmware_uuid(root: &Path) -> String {
    let unique = digits(root, FIRMWARE).filter(|digits| is_unique(digits));
    let text = unique.and_then(|_| fs_err::read_to_string(below(root, FIRMWARE)).ok());
    text.unwrap_or_default().trim().to_owned()
}

/// The id that follows from a UUID, a hardware address, and the id that systemd has.
fn choose(uuid: Option<&str>, hardware_address: Option<&str>, of_this_boot: Option<&str>) -> Option<MachineId> {
    let id = |digits: String, origin| MachineId { digits, origin };
    if let Some(uuid) = uuid.filter(|uuid| is_unique(uuid)) {
        return Some(id(uuid.to_owned(), IdOrigin::Firmware));
    }
    if let Some(address) = hardware_address {
        let digest = Digest::of(format!("basalt machine id\n{address}\n")).to_hex();
        return Some(id(digest.chars().take(32).collect(), IdOrigin::HardwareAddress));
    }
    of_this_boot.map(|digits| id(digits.to_owned(), IdOrigin::ThisBoot))
}

/// Returns `true` if a UUID, as 32 digits, can be believed to be of one machine only.
fn is_unique(uuid: &str) -> bool {
    // 00000000-0000-0000-0000-<hardware address> is unique: its address decides.
    let zeros = uuid.trim_start_matches('0').len() <= 12;
    let significant = if zeros {
        uuid.get(20..).unwrap_or_default()
    } else {
        uuid
    };
    let kinds: std::collections::BTreeSet<_> = significant.as_bytes().chunks(2).collect();
    // Random UUIDs have fewer than six different bytes about never; filled-in ones have one or two.
    let fewest = if zeros { 3 } else { 6 };
    kinds.len() >= fewest && !SHARED.contains(&uuid)
}

/// The 32 digits in a file, lower-case and without dashes.
fn digits(root: &Path, path: &str) -> Option<String> {
    let text = fs_err::read_to_string(below(root, path)).ok()?;
    let digits = text.trim().chars().filter(|c| *c != '-');
    let digits: String = digits.map(|c| c.to_ascii_lowercase()).collect();
    (digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())).then_some(digits)
}

/// The permanent hardware address of the first Ethernet card, in the order of where the cards are plugged in. Cards
/// that may be pulled out, on USB, do not count.
fn hardware_address(root: &Path) -> Option<String> {
    let mut cards = cards::all(root).into_iter();
    cards
        .find(|card| card.is_permanent && !card.is_usb())
        .map(|card| card.address)
}

#[cfg(test)]
mod tests {
    use fs_err::os::unix::fs::symlink;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn uuids() {
        for unique in [
            "0123abcd89abcdef0123456789abcdef",
            "4c4c4544003630108052b4c04f533233",
            "30373237313235435a43333835305234",
            "00000000000000000000ac1f6b112233",
        ] {
            assert!(is_unique(unique), "{unique}");
        }
        for shared in SHARED {
            assert!(!is_unique(shared), "{shared}");
        }
        for filled in ["0", "f", "1"] {
            assert!(!is_unique(&filled.repeat(32)), "{filled}");
        }
        for filled in [
            "000000000000000000000000000000ff",
            "00000000000000000000ffffffffffff",
            "01010101010101010101010101010101",
        ] {
            assert!(!is_unique(filled), "{filled}");
        }
    }

    #[test]
    fn what_is_unique_and_stable_comes_first() {
        let (uuid, none) = ("0123abcd89abcdef0123456789abcdef", "00000000000000000000000000000000");
        let origin = |uuid, address, boot| choose(uuid, address, boot).map(|id: MachineId| id.origin);
        let (address, boot) = (Some("52:54:00:12:34:56"), Some("b"));
        assert_eq!(origin(Some(uuid), address, boot), Some(IdOrigin::Firmware));
        assert_eq!(origin(Some(none), address, boot), Some(IdOrigin::HardwareAddress));
        assert_eq!(origin(None, address, boot), Some(IdOrigin::HardwareAddress));
        assert_eq!(origin(Some(none), None, boot), Some(IdOrigin::ThisBoot));
        assert_eq!(origin(Some(none), None, None), None);
    }

    proptest! {
        #[test]
        fn ids_are_ids_and_differ(one in "[0-9a-f]{32}", first: [u8; 6], second: [u8; 6], boot in "[0-9a-f]{32}") {
            let address = |bytes: [u8; 6]| bytes.map(|byte| format!("{byte:02x}")).join(":");
            let id = |address: &str, boot: &str| choose(Some(&one), Some(address), Some(boot)).unwrap();
            let (a, b) = (id(&address(first), &boot), id(&address(second), &boot));
            prop_assert!(a.digits.len() == 32 && a.digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
            // What systemd has for this boot plays no part where there is something that lasts.
            prop_assert_eq!(&a, &id(&address(first), &"c".repeat(32)));
            if a.origin == IdOrigin::HardwareAddress {
                prop_assert_eq!(a == b, first == second);
            }
        }
    }

    fn card(root: &Path, path: &str, attributes: [(&str, &str); 3]) {
        let card = below(root, "/sys/devices").join(path);
        fs_err::create_dir_all(card.join("device")).unwrap();
        for (name, value) in attributes {
            fs_err::write(card.join(name), format!("{value}\n")).unwrap();
        }
        let list = below(root, "/sys/class/net");
        fs_err::create_dir_all(&list).unwrap();
        symlink(&card, list.join(card.file_name().unwrap())).unwrap();
    }

    #[test]
    fn the_first_card_counts() {
        let root = tempfile::tempdir().unwrap();
        let attributes =
            |kind, assigned, address| [("type", kind), ("addr_assign_type", assigned), ("address", address)];
        assert_eq!(hardware_address(root.path()), None);
        card(root.path(), "pci/0/net/rnd0", attributes("1", "1", "aa:00:00:00:00:01"));
        card(root.path(), "pci/0/net/ib0", attributes("32", "0", "aa:00:00:00:00:02"));
        card(
            root.path(),
            "pci/0/usb1/net/usb0",
            attributes("1", "0", "aa:00:00:00:00:03"),
        );
        card(
            root.path(),
            "pci/0/net/zero0",
            attributes("1", "0", "00:00:00:00:00:00"),
        );
        assert_eq!(hardware_address(root.path()), None);
        card(root.path(), "pci/2/net/eth0", attributes("1", "0", "52:54:00:00:00:01"));
        card(root.path(), "pci/1/net/eth1", attributes("1", "0", "52:54:00:00:00:02"));
        assert_eq!(hardware_address(root.path()).as_deref(), Some("52:54:00:00:00:02"));
    }
}
