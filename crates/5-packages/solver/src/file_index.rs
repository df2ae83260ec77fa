//! Packages by the paths of their files.
//!
//! A repository has millions of paths, of which its packages require a few hundred. Only paths that were asked for are
//! kept; the files of all packages are gone through once for them, at the first lookup.

use std::collections::{HashMap, HashSet};

use basalt_rpm::Package;
use basalt_rpm::capability::usr_merged;

use crate::table::{PackageNumber, Table};

/// Bits of the last bytes in a [`PathFilter`].
const FILTER_BITS: usize = 1 << 16;
/// Lengths that a [`PathFilter`] tells apart.
const LENGTHS: usize = 256;
/// Lengths of paths that [`usr_merged`] changes, relative to what they become: `/usr/bin/a` may have been `/bin/a`,
/// `/sbin/a` or `/usr/sbin/a`, `/usr/lib/a` any of `/lib/a`, `/lib64/a` and `/usr/lib64/a`.
const MERGED_CHANGES: [isize; 6] = [-4, -3, -2, 0, 1, 2];

/// Positions of packages by the paths that were asked for, in the form of [`usr_merged`].
#[derive(Debug, Default)]
pub(crate) struct FileIndex {
    by_path: HashMap<String, Vec<PackageNumber>>,
    /// Paths that were asked for after files were indexed.
    new: HashSet<String>,
    /// Number of packages whose files are indexed.
    indexed: usize,
    filter: PathFilter,
}

impl FileIndex {
    /// Has the packages with a path indexed at the next lookup.
    pub(crate) fn want(&mut self, path: &str) {
        if !self.by_path.contains_key(path) && !self.new.contains(path) {
            self.new.insert(path.to_owned());
        }
    }

    /// Returns the positions of the packages that have a path, as a file or as a capability.
    pub(crate) fn with_path<P: AsRef<Package>>(
        &mut self,
        path: &str,
        packages: &Table<PackageNumber, P>,
    ) -> &[PackageNumber] {
        self.want(path);
        if !self.new.is_empty() {
            let mut filter = PathFilter::default();
            self.new.iter().for_each(|path| filter.add(path));
            let new = self.new.drain().map(|path| (path, Vec::new()));
            let mut new: HashMap<String, Vec<PackageNumber>> = new.collect();
            index(&mut new, &filter, packages.numbered().take(self.indexed));
            self.by_path.extend(new);
            self.filter.unite(&filter);
        }
        if self.indexed < packages.len() {
            let rest = packages.numbered().skip(self.indexed);
            index(&mut self.by_path, &self.filter, rest);
            self.indexed = packages.len();
        }
        self.by_path.get(path).map_or(&[], Vec::as_slice)
    }
}

fn index<'p, P: AsRef<Package> + 'p>(
    by_path: &mut HashMap<String, Vec<PackageNumber>>,
    filter: &PathFilter,
    packages: impl Iterator<Item = (PackageNumber, &'p P)>,
) {
    for (position, package) in packages {
        let package = package.as_ref();
        let provided = package.provides.iter().map(|capability| &capability.name);
        let provided = provided.filter(|name| name.starts_with('/'));
        for path in package.files.iter().chain(provided) {
            if filter.may_have(path)
                && let Some(found) = by_path.get_mut(usr_merged(path).as_ref())
            {
                found.push(position);
            }
        }
    }
}

/// Filter of paths: by their lengths, which are at hand without a look at the path itself, and a Bloom filter of their last
/// bytes. Both stand for the path before and after [`usr_merged`].
#[derive(Debug)]
struct PathFilter {
    /// For each length, `true` if a wanted path may have it; the last one stands for all greater ones.
    lengths: [bool; LENGTHS],
    last_bytes: Vec<u64>,
}

impl Default for PathFilter {
    fn default() -> Self {
        Self {
            lengths: [false; LENGTHS],
            last_bytes: vec![0; FILTER_BITS / 64],
        }
    }
}

impl PathFilter {
    /// Returns the word and the bit of a path.
    fn place(path: &str) -> (usize, u64) {
        // Of the name alone: the folder differs after `usr_merged`.
        let last = path.as_bytes().iter().rev().take_while(|byte| **byte != b'/').take(8);
        let number = last.fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
        // Fibonacci hashing: the upper bits of the product depend on all bits of the number.
        let hash = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
        let bit = usize::from(u16::try_from(hash).unwrap_or_default());
        (bit / 64, 1 << (bit % 64))
    }

    /// Adds a path in the form of [`usr_merged`].
    fn add(&mut self, path: &str) {
        for change in MERGED_CHANGES {
            let length = path.len().saturating_add_signed(change).min(LENGTHS - 1);
            if let Some(may_have) = self.lengths.get_mut(length) {
                *may_have = true;
            }
        }
        let (word, bit) = Self::place(path);
        if let Some(word) = self.last_bytes.get_mut(word) {
            *word |= bit;
        }
    }

    fn unite(&mut self, other: &Self) {
        for (may_have, more) in self.lengths.iter_mut().zip(other.lengths) {
            *may_have |= more;
        }
        for (word, more) in self.last_bytes.iter_mut().zip(&other.last_bytes) {
            *word |= more;
        }
    }

    fn may_have(&self, path: &str) -> bool {
        if !self
            .lengths
            .get(path.len().min(LENGTHS - 1))
            .is_some_and(|may_have| *may_have)
        {
            return false;
        }
        let (word, bit) = Self::place(path);
        self.last_bytes.get(word).is_some_and(|word| word & bit != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_in_each_of_its_forms() {
        let long = "x".repeat(LENGTHS);
        for name in ["a", "python3", &long] {
            for folder in [
                "/bin",
                "/sbin",
                "/lib",
                "/lib64",
                "/usr/sbin",
                "/usr/lib64",
                "/usr/bin",
                "/usr/lib",
                "/etc",
            ] {
                let path = format!("{folder}/{name}");
                let mut filter = PathFilter::default();
                assert!(!filter.may_have(&path));
                filter.add(&usr_merged(&path));
                assert!(filter.may_have(&path) && filter.may_have(&usr_merged(&path)), "{path}");
            }
        }
    }
}
