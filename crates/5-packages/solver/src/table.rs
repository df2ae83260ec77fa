//! Tables and the numbers of their rows: packages, names, dependencies, variables and clauses each have a type of number.
//!
//! A number comes from the table that it belongs to, [`Table::push`], or from one of the same length, and rows are never
//! removed: there is a row for each number of the table's type. So this is the one module that indexes.
//!
//! By hand: the crates for typed indices dereference to slices, which clippy's check of indexing sees through.

use std::marker::PhantomData;
use std::ops::{Index, IndexMut};
use std::slice::Iter;

/// Number of a row of a table, from 0 on.
pub(crate) trait Number: Copy {
    /// Number of the first row.
    const FIRST: Self;

    /// Number of the row at an index.
    fn of(index: usize) -> Self;

    /// Index of the row.
    fn index(self) -> usize;
}

/// Declares types of numbers.
macro_rules! numbers {
    ($($(#[$meta:meta])* $name:ident;)*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) struct $name(usize);

        impl Number for $name {
            const FIRST: Self = Self(0);

            fn of(index: usize) -> Self {
                Self(index)
            }

            fn index(self) -> usize {
                self.0
            }
        }
    )*};
}

numbers! {
    /// Number of a package: its position in the index.
    PackageNumber;
    /// Number of a name of a capability, provided or required.
    NameNumber;
    /// Number of a dependency that packages require.
    DependencyNumber;
    /// Variable of a formula: a package, or the requests.
    Variable;
    /// Variable, or its negation: two for each variable.
    Literal;
    /// Number of a clause, in the order in which it was added or learned.
    ClauseNumber;
    /// Number of a clause among those that were added.
    ClauseId;
}

/// Rows by their numbers.
#[derive(Debug)]
pub(crate) struct Table<N, T> {
    rows: Vec<T>,
    numbers: PhantomData<fn(N)>,
}

impl<N, T> Default for Table<N, T> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            numbers: PhantomData,
        }
    }
}

impl<N: Number, T> Table<N, T> {
    /// Adds a row, and returns its number.
    pub(crate) fn push(&mut self, row: T) -> N {
        self.rows.push(row);
        N::of(self.rows.len() - 1)
    }

    /// Number of the row that is added next.
    pub(crate) fn next(&self) -> N {
        N::of(self.rows.len())
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Iterates over the rows in the order of their numbers.
    pub(crate) fn rows(&self) -> Iter<'_, T> {
        self.rows.iter()
    }

    /// Iterates over the rows with their numbers.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (N, &T)> {
        let rows = self.rows.iter().enumerate();
        rows.map(|(index, row)| (N::of(index), row))
    }

    /// Table with as many rows, which have one value.
    pub(crate) fn filled<U: Clone>(&self, value: U) -> Table<N, U> {
        Table {
            rows: vec![value; self.rows.len()],
            numbers: PhantomData,
        }
    }
}

#[expect(clippy::indexing_slicing, reason = "the table that has the row gave out its number")]
impl<N: Number, T> Index<N> for Table<N, T> {
    type Output = T;

    fn index(&self, number: N) -> &T {
        &self.rows[number.index()]
    }
}

#[expect(clippy::indexing_slicing, reason = "the table that has the row gave out its number")]
impl<N: Number, T> IndexMut<N> for Table<N, T> {
    fn index_mut(&mut self, number: N) -> &mut T {
        &mut self.rows[number.index()]
    }
}
