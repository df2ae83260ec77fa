//! Names of temporary files and folders in `tmp`: `<kind>-<id of the lease>-<number>`.

use std::fmt::{self, Write as _};

/// Lease id: 128 random bits, written as 26 digits of base 32. (Hexadecimal ones would be 32: the paths of Unix
/// sockets, which some builds need, are limited to 107 bytes.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Id(u128);

const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const LENGTH: usize = 26;

impl Id {
    /// Makes a new id, from the random numbers of the operating system.
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().as_u128())
    }

    /// Parses an id; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != LENGTH {
            return None;
        }
        let mut value: u128 = 0;
        for (index, byte) in text.bytes().enumerate() {
            let digit = DIGITS.iter().position(|digit| *digit == byte)? as u128;
            // The first digit holds the three highest bits.
            if index == 0 && digit >= 8 {
                return None;
            }
            value = (value << 5) | digit;
        }
        Some(Self(value))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digit = |index| DIGITS.get(((self.0 >> (5 * index)) & 31) as usize).copied();
        (0..LENGTH)
            .rev()
            .filter_map(digit)
            .try_for_each(|digit| f.write_char(char::from(digit)))
    }
}

/// Kind of an entry in `tmp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A workspace.
    Work,
    /// A file that is written before it is renamed to its final path.
    File,
    /// An entry that is being removed.
    Trash,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Work, Self::File, Self::Trash];

    fn word(self) -> &'static str {
        match self {
            Self::Work => "work",
            Self::File => "file",
            Self::Trash => "trash",
        }
    }
}

/// Name of an entry in `tmp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name {
    pub kind: Kind,
    /// Lease of the process that made it.
    pub lease: Id,
    /// Number, different for everything that a process makes.
    pub number: u64,
}

impl Name {
    /// Parses a name; `None` for any other text, which is not the store's.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '-');
        let (word, id, number) = (parts.next()?, parts.next()?, parts.next()?);
        let name = Self {
            kind: Kind::ALL.into_iter().find(|kind| kind.word() == word)?,
            lease: Id::parse(id)?,
            number: number.parse().ok()?,
        };
        // Numbers have more than one spelling (007, +7).
        (name.to_string() == text).then_some(name)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.kind.word(), self.lease, self.number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn names_are_read_as_they_are_written(id: u128, number: u64, kind in 0..3usize) {
            let name = Name { kind: Kind::ALL[kind], lease: Id(id), number };
            prop_assert_eq!(name.lease.to_string().len(), LENGTH);
            prop_assert_eq!(Name::parse(&name.to_string()), Some(name));
        }

        #[test]
        fn no_text_has_two_meanings(text in "(work|file|trash|lost)-[a-z2-7]{25,27}-[+0-9]{1,3}") {
            if let Some(name) = Name::parse(&text) {
                prop_assert_eq!(name.to_string(), text);
            }
        }
    }

    #[test]
    fn names_of_others_are_none() {
        let id = Id(7);
        for text in [
            "",
            "thesis",
            "work",
            "7251-6",
            "7251-6.lock",
            ".keep",
            "work-1-1",
            "lost+found",
        ] {
            assert_eq!(Name::parse(text), None, "{text}");
        }
        for text in [
            format!("work-{id}-"),
            format!("work-{id}-07"),
            format!("work-{id}-7.lock"),
            format!("w-{id}-7"),
        ] {
            assert_eq!(Name::parse(&text), None, "{text}");
        }
    }
}
