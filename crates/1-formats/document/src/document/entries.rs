//! Entries of an object, in the order of the file and by their keys.

use std::ops::Deref;

use super::Entry;

/// Keys and values of an object, in the order of the file. One of them is found by its key without a look at the others: an
/// object may have as many keys as fit into a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entries {
    list: Vec<Entry>,
    /// Positions in the list, in the order of their keys.
    sorted: Vec<usize>,
}

impl Entries {
    /// Returns these entries.
    pub fn new(list: Vec<Entry>) -> Self {
        let mut sorted: Vec<(usize, &Entry)> = list.iter().enumerate().collect();
        sorted.sort_by(|(_, one), (_, other)| one.key.cmp(&other.key));
        let sorted = sorted.into_iter().map(|(position, _)| position).collect();
        Self { list, sorted }
    }

    /// Returns the first entry of a key.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        let key_at = |position: &usize| self.list.get(*position).map_or("", |entry| entry.key.as_str());
        let first = self.sorted.partition_point(|position| key_at(position) < key);
        let entry = self.list.get(*self.sorted.get(first)?)?;
        (entry.key == key).then_some(entry)
    }
}

impl Deref for Entries {
    type Target = [Entry];

    fn deref(&self) -> &[Entry] {
        &self.list
    }
}

impl IntoIterator for Entries {
    type Item = Entry;
    type IntoIter = std::vec::IntoIter<Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

impl FromIterator<Entry> for Entries {
    fn from_iter<T: IntoIterator<Item = Entry>>(entries: T) -> Self {
        Self::new(entries.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{DocumentNode, Kind};

    proptest! {
        #[test]
        fn each_entry_is_found_by_its_key(keys in proptest::collection::vec("[a-d]{1,2}", 0..12), wanted in "[a-d]{1,2}") {
            let entry = |(start, key): (usize, &String)| Entry {
                key: key.clone(),
                key_span: start..start,
                value: DocumentNode { span: 0..0, kind: Kind::Null },
            };
            let entries: Entries = keys.iter().enumerate().map(entry).collect();
            let expected = entries.iter().find(|entry| entry.key == wanted);
            prop_assert_eq!(entries.get(&wanted), expected);
            prop_assert_eq!(entries.len(), keys.len());
        }
    }
}
