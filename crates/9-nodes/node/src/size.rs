//! Size of the machine, and how much of it a node keeps for itself.

use std::collections::BTreeSet;
use std::path::Path;

/// Processors and memory of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Processors that are online.
    pub processors: u64,
    /// Memory that the kernel manages, in bytes.
    pub memory: u64,
}

/// Resources that a node keeps for the system, the kubelet and containerd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Processor time in thousandths of a processor.
    pub millicores: u64,
    /// Memory in MiB.
    pub mebibytes: u64,
}

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Shares of memory by tier: the size of the tier in bytes, and the share of it in percent.
const MEMORY: [(u64, u64); 5] = [
    (4 * GIB, 25),
    (4 * GIB, 20),
    (8 * GIB, 10),
    (112 * GIB, 6),
    (u64::MAX, 2),
];

/// Shares of processors by tier: how many processors, and how much of each in hundredths of a thousandth.
const PROCESSORS: [(u64, u64); 4] = [(1, 6000), (1, 1000), (2, 500), (u64::MAX, 250)];

/// Memory that machines of less than 1 GiB keep, in MiB.
const SMALLEST_MEMORY: u64 = 255;

impl Size {
    /// Reads the size of the machine whose `/proc` and `/sys` are below this root.
    pub fn read(root: &Path) -> Option<Self> {
        Self::of_processors(root, &online_processors(root)?)
    }

    /// Size of a machine with these processors.
    pub(crate) fn of_processors(root: &Path, processors: &BTreeSet<u16>) -> Option<Self> {
        let memory = fs_err::read_to_string(root.join("proc/meminfo")).ok()?;
        Some(Self {
            processors: processors.len() as u64,
            memory: total(&memory)?,
        })
    }

    /// Resources that a node of this size keeps: the table of Google Kubernetes Engine for allocatable resources
    /// (<https://cloud.google.com/kubernetes-engine/docs/concepts/plan-node-sizes>). OpenShift's automatic reservation
    /// has the same table, and Amazon's EKS images have it for processors.
    pub fn kept(self) -> Kept {
        let hundredths = shares(self.processors, &PROCESSORS);
        let memory = if self.memory < GIB {
            SMALLEST_MEMORY
        } else {
            shares(self.memory, &MEMORY) / 100 / MIB
        };
        Kept {
            millicores: (hundredths / 100).max(1),
            mebibytes: memory,
        }
    }
}

/// Processors of a machine that are online, by number.
pub(crate) fn online_processors(root: &Path) -> Option<BTreeSet<u16>> {
    numbers(&fs_err::read_to_string(root.join("sys/devices/system/cpu/online")).ok()?)
}

/// The sum of the shares of an amount that is cut into tiers.
fn shares(amount: u64, tiers: &[(u64, u64)]) -> u64 {
    let mut rest = amount;
    let mut sum = 0_u64;
    for (tier, share) in tiers {
        let part = rest.min(*tier);
        sum = sum.saturating_add(part.saturating_mul(*share));
        rest -= part;
    }
    sum
}

/// `MemTotal` of `/proc/meminfo`, in bytes.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// Numbers of a list as the kernel and the kubelet write them: `0-3,8`.
pub(crate) fn numbers(list: &str) -> Option<BTreeSet<u16>> {
    let mut all = BTreeSet::new();
    for part in list.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
        if last < first {
            return None;
        }
        all.extend(first..=last);
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_the_kernel_says() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(Size::read(root.path()), None);
        let write = |path: &str, text: &str| {
            fs_err::create_dir_all(root.path().join(path).parent().unwrap()).unwrap();
            fs_err::write(root.path().join(path), text).unwrap();
        };
        write(
            "proc/meminfo",
            "MemTotal:        2014216 kB\nMemFree:         1500000 kB\n",
        );
        write("sys/devices/system/cpu/online", "0-3,8\n");
        let size = Size::read(root.path()).unwrap();
        assert_eq!((size.processors, size.memory), (5, 2_014_216 * 1024));
        write("sys/devices/system/cpu/online", "3-0\n");
        assert_eq!(Size::read(root.path()), None);
    }

    #[test]
    fn the_published_table() {
        let kept = |processors, gibibytes| {
            let Kept { millicores, mebibytes } = Size {
                processors,
                memory: gibibytes * GIB,
            }
            .kept();
            (millicores, mebibytes)
        };
        assert_eq!(kept(1, 0), (60, 255));
        assert_eq!(kept(1, 1), (60, 256));
        assert_eq!(kept(2, 4), (70, 1024));
        assert_eq!(kept(4, 16), (80, 2662));
        assert_eq!(kept(16, 64), (110, 5611));
        assert_eq!(kept(96, 512), (310, 17_408));
    }

    proptest! {
        #[test]
        fn some_is_left(processors in 1_u64..4096, memory in (512 * MIB)..(64 << 40)) {
            let kept = Size { processors, memory }.kept();
            prop_assert!(kept.millicores < 1000 * processors);
            prop_assert!(kept.mebibytes * MIB <= memory / 2);
        }
    }
}
