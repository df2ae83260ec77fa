//! Differences that a comparison finds.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Maximum number of differences that are kept; the rest is only counted.
const MOST: usize = 60;

/// A difference and its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// From the outside in: a package, a file in it, a member of that, a section.
    pub place: Vec<String>,
    /// The difference as a predicate: `differs at byte 16: ...`, `has mode 0644, then 0600`.
    pub what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.place.join(": "), self.what)
    }
}

/// Differences as they are found, with the place that is being looked at.
#[derive(Debug, Default)]
pub struct Findings {
    place: Vec<String>,
    found: Vec<Difference>,
    more: usize,
}

impl Findings {
    /// Looks at something in what is being looked at.
    pub fn within<T>(&mut self, place: impl Into<String>, look: impl FnOnce(&mut Self) -> T) -> T {
        self.place.push(place.into());
        let outcome = look(self);
        self.place.pop();
        outcome
    }

    /// Adds a difference at the place that is being looked at.
    pub fn add(&mut self, what: impl Into<String>) {
        if self.found.len() == MOST {
            self.more += 1;
            return;
        }
        self.found.push(Difference {
            place: self.place.clone(),
            what: what.into(),
        });
    }

    /// Adds a difference in something at the place that is being looked at.
    pub fn add_in(&mut self, place: impl Into<String>, what: impl Into<String>) {
        self.within(place, |findings| findings.add(what));
    }

    /// Number of differences found, kept or not.
    pub fn count(&self) -> usize {
        self.found.len() + self.more
    }

    /// Depth of nesting at this moment: files in archives in packages.
    pub(crate) fn depth(&self) -> usize {
        self.place.len()
    }

    /// Returns the differences that are kept, and the number of further ones.
    pub fn finish(self) -> (Vec<Difference>, usize) {
        (self.found, self.more)
    }
}
