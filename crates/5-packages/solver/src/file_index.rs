//! Packages by the paths of their files.
//!
//! A repository has millions of paths, of which its packages require a few hundred. Only paths that were asked for are
//! kept; the files of all packages are gone through once for them, at the first lookup.

use std::collections::{HashMap, HashSet};

use basalt_rpm::Package;
use basalt_rpm::capability::usr_merged;

use crate::table::{PackageNumber, Table};

/// Bits of [`PathFilter`].
const FILTER_BITS: usize = 1 << 16;

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

/// Bloom filter of the last bytes of paths, which are the same before and after [`usr_merged`].
#[derive(Debug)]
struct PathFilter(Vec<u64>);

impl Default for PathFilter {
    fn default() -> Self {
        Self(vec![0; FILTER_BITS / 64])
    }
}

impl PathFilter {
    /// Returns the word and the bit of a path.
    fn place(path: &str) -> (usize, u64) {
        let last = path.as_bytes().iter().rev().take_while(|byte| **byte != b'/').take(8);
        let number = last.fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
        // Fibonacci hashing: the upper bits of the product depend on all bits of the number.
        let hash = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
        let bit = usize::from(u16::try_from(hash).unwrap_or_default());
        (bit / 64, 1 << (bit % 64))
    }

    fn add(&mut self, path: &str) {
        let (word, bit) = Self::place(path);
        if let Some(word) = self.0.get_mut(word) {
            *word |= bit;
        }
    }

    fn unite(&mut self, other: &Self) {
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }

    fn may_have(&self, path: &str) -> bool {
        let (word, bit) = Self::place(path);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }
}
