//! The cloud that a machine is in, by what its firmware says (SMBIOS, which the kernel calls DMI): a pure function.
//!
//! No request leaves a machine to find that out, and a machine in none of these clouds is asked for nothing. The values are public:
//! AWS, "Detect whether a host is an EC2 instance"; Google, "Detect whether an instance is in Compute Engine"; cloud-init's
//! `tools/ds-identify` and systemd's `src/basic/virt.c` for all of them.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::apply::below;

/// Asset tag of the chassis of every machine of Azure; other guests of Hyper-V have another.
const AZURE_CHASSIS: &str = "7783-7084-3265-9085-8269-3286-77";

/// Products and asset tags by which clouds made of OpenStack can be known.
const OPENSTACK_PRODUCTS: [&str; 2] = ["OpenStack Nova", "OpenStack Compute"];
const OPENSTACK_TAGS: [&str; 5] = [
    "OpenStack Nova",
    "OpenStack Compute",
    "OpenTelekomCloud",
    "SAP CCloud VM",
    "HUAWEICLOUD",
];

/// A cloud with a metadata service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Cloud {
    /// Microsoft Azure.
    Azure,
    /// DigitalOcean.
    DigitalOcean,
    /// Amazon EC2.
    Ec2,
    /// Google Compute Engine.
    Gce,
    /// Hetzner Cloud.
    Hetzner,
    /// OpenStack, of whatever provider.
    OpenStack,
}

impl fmt::Display for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Azure => "Azure",
            Self::DigitalOcean => "DigitalOcean",
            Self::Ec2 => "EC2",
            Self::Gce => "GCE",
            Self::Hetzner => "Hetzner",
            Self::OpenStack => "OpenStack",
        })
    }
}

/// Texts of the firmware, as `/sys/class/dmi/id` has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FirmwareTexts {
    /// Maker of the system.
    pub sys_vendor: String,
    /// Name of the product.
    pub product_name: String,
    /// Serial number of the product.
    pub product_serial: String,
    /// UUID of the product.
    pub product_uuid: String,
    /// Asset tag of the chassis.
    pub chassis_asset_tag: String,
}

impl FirmwareTexts {
    /// Texts of the machine whose root is here; those that are missing are empty.
    pub fn read(root: &Path) -> Self {
        let text = |name: &str| {
            let text = fs_err::read_to_string(below(root, "/sys/class/dmi/id").join(name));
            text.unwrap_or_default().trim().to_owned()
        };
        Self {
            sys_vendor: text("sys_vendor"),
            product_name: text("product_name"),
            product_serial: text("product_serial"),
            product_uuid: text("product_uuid"),
            chassis_asset_tag: text("chassis_asset_tag"),
        }
    }
}

impl Cloud {
    /// Cloud of the machine whose root is here.
    pub fn of_machine(root: &Path) -> Option<Self> {
        Self::of(&FirmwareTexts::read(root))
    }

    /// Cloud of a machine with these texts.
    pub fn of(texts: &FirmwareTexts) -> Option<Self> {
        let begins = |text: &str, start: &str| {
            text.get(..start.len())
                .is_some_and(|begin| begin.eq_ignore_ascii_case(start))
        };
        let (vendor, product) = (texts.sys_vendor.as_str(), texts.product_name.as_str());
        // Products that do not say so have the same text, which begins with `ec2`, as UUID and as serial number.
        let is_ec2_uuid =
            begins(&texts.product_uuid, "ec2") && texts.product_uuid.eq_ignore_ascii_case(&texts.product_serial);
        if vendor == "Amazon EC2" || is_ec2_uuid {
            Some(Self::Ec2)
        } else if texts.chassis_asset_tag == AZURE_CHASSIS {
            Some(Self::Azure)
        } else if product == "Google Compute Engine" || begins(&texts.product_serial, "GoogleCloud-") {
            Some(Self::Gce)
        } else if vendor == "Hetzner" {
            Some(Self::Hetzner)
        } else if vendor == "DigitalOcean" {
            Some(Self::DigitalOcean)
        } else if OPENSTACK_PRODUCTS.contains(&product) || OPENSTACK_TAGS.contains(&texts.chassis_asset_tag.as_str()) {
            Some(Self::OpenStack)
        } else {
            None
        }
    }

    /// Returns `true` if the cloud attaches disks with user data, which may be found a moment after the kernel has started.
    pub fn has_config_disks(self) -> bool {
        !matches!(self, Self::Ec2 | Self::Gce)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(
        [
            sys_vendor,
            product_name,
            product_serial,
            product_uuid,
            chassis_asset_tag,
        ]: [&str; 5],
    ) -> FirmwareTexts {
        FirmwareTexts {
            sys_vendor: sys_vendor.to_owned(),
            product_name: product_name.to_owned(),
            product_serial: product_serial.to_owned(),
            product_uuid: product_uuid.to_owned(),
            chassis_asset_tag: chassis_asset_tag.to_owned(),
        }
    }

    /// Values as machines of these clouds have them, from bug reports and test data of cloud-init, systemd and Ignition.
    #[test]
    fn table() {
        let serial = "ec22ff4f-7c1a-b7ce-0f44-9dc5c1b6a0cf";
        let cases = [
            // EC2: Nitro, bare metal, and the UUID alone.
            (
                ["Amazon EC2", "m6i.large", serial, serial, "Amazon EC2"],
                Some(Cloud::Ec2),
            ),
            (
                ["Amazon EC2", "c5n.metal", "Not Specified", "", "Amazon EC2"],
                Some(Cloud::Ec2),
            ),
            (
                ["Xen", "HVM domU", serial, "EC22FF4F-7C1A-B7CE-0F44-9DC5C1B6A0CF", ""],
                Some(Cloud::Ec2),
            ),
            (["Xen", "HVM domU", "other", serial, ""], None),
            // Azure, and a guest of Hyper-V elsewhere.
            (
                [
                    "Microsoft Corporation",
                    "Virtual Machine",
                    "0000-0002-8036-7108-6918-1390-33",
                    "d0c9f1d4-2f3b-4d3f-8c65-0c47d1ad3c66",
                    AZURE_CHASSIS,
                ],
                Some(Cloud::Azure),
            ),
            (
                [
                    "Microsoft Corporation",
                    "Virtual Machine",
                    "8535-7321-8120-2912-8834-3912-65",
                    "2f7c7a1c-7b0b-8d4d-9d1d-5a3ee3a1ae63",
                    "8535-7321-8120-2912-8834-3912-65",
                ],
                None,
            ),
            (
                ["Google", "Google Compute Engine", "GoogleCloud-8F2E88F", "", ""],
                Some(Cloud::Gce),
            ),
            (["Google", "Google", "GoogleCloud-8F2E88F", "", ""], Some(Cloud::Gce)),
            (["Google", "Eve", "5CD7", "", ""], None),
            (["Hetzner", "vServer", "20190601", "", ""], Some(Cloud::Hetzner)),
            (
                ["DigitalOcean", "Droplet", "105820143", "", ""],
                Some(Cloud::DigitalOcean),
            ),
            // OpenStack: Nova, RDO's, a provider's.
            (
                [
                    "OpenStack Foundation",
                    "OpenStack Nova",
                    "a661eca5",
                    "762931c8",
                    "Not Specified",
                ],
                Some(Cloud::OpenStack),
            ),
            (["Red Hat", "OpenStack Compute", "", "", ""], Some(Cloud::OpenStack)),
            (
                ["QEMU", "Standard PC (i440FX + PIIX, 1996)", "", "", "OpenTelekomCloud"],
                Some(Cloud::OpenStack),
            ),
            (
                ["VMware, Inc.", "VMware Virtual Platform", "", "", "SAP CCloud VM"],
                Some(Cloud::OpenStack),
            ),
            // Machines without a metadata service, or with one that nobody asks.
            (["QEMU", "Standard PC (Q35 + ICH9, 2009)", "", "", ""], None),
            (["VMware, Inc.", "VMware7,1", "VMware-42 03", "", "No Asset Tag"], None),
            (["Alibaba Cloud", "Alibaba Cloud ECS", "", "", ""], None),
            (
                [
                    "Dell Inc.",
                    "PowerEdge R640",
                    "5CD7",
                    "4c4c4544-0036-3010-8052-b4c04f533233",
                    "",
                ],
                None,
            ),
            (["", "", "", "", ""], None),
        ];
        for (values, expected) in cases {
            assert_eq!(Cloud::of(&texts(values)), expected, "{values:?}");
        }
    }

    #[test]
    fn a_machine_is_read() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(Cloud::of_machine(root.path()), None);
        let folder = below(root.path(), "/sys/class/dmi/id");
        fs_err::create_dir_all(&folder).unwrap();
        fs_err::write(folder.join("sys_vendor"), "Amazon EC2\n").unwrap();
        assert_eq!(Cloud::of_machine(root.path()), Some(Cloud::Ec2));
    }

    proptest! {
        #[test]
        fn nothing_panics(values: [String; 5]) {
            let values = [&*values[0], &*values[1], &*values[2], &*values[3], &*values[4]];
            let _ = Cloud::of(&texts(values));
        }
    }
}
