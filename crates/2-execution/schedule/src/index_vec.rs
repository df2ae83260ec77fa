//! Vectors that are indexed by an id.

use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

/// Id that is a position: of a job in its graph, of a package in its distribution.
pub trait Idx: Copy {
    /// The position, from 0.
    fn index(self) -> usize;
}

/// A value for each id of one collection, in the order of the ids.
///
/// By hand: crates for it let anyone make an id from a number, while here only the collection gives them out. That an
/// id is used with vectors of its own collection alone is what makes the indexing sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexVec<I, T> {
    values: Vec<T>,
    ids: PhantomData<fn(I)>,
}

impl<I, T> IndexVec<I, T> {
    /// The same value for each of so many ids.
    pub fn filled(value: T, count: usize) -> Self
    where
        T: Clone,
    {
        vec![value; count].into()
    }

    /// All values.
    pub fn as_slice(&self) -> &[T] {
        &self.values
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The values, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.values.iter()
    }

    /// The values as an ordinary vector.
    pub fn into_vec(self) -> Vec<T> {
        self.values
    }
}

impl<I, T> From<Vec<T>> for IndexVec<I, T> {
    fn from(values: Vec<T>) -> Self {
        Self {
            values,
            ids: PhantomData,
        }
    }
}

impl<I, T> FromIterator<T> for IndexVec<I, T> {
    fn from_iter<V: IntoIterator<Item = T>>(values: V) -> Self {
        Vec::from_iter(values).into()
    }
}

impl<I: Idx, T> Index<I> for IndexVec<I, T> {
    type Output = T;

    #[expect(
        clippy::indexing_slicing,
        reason = "the vector has a value for each id of its collection"
    )]
    fn index(&self, id: I) -> &T {
        &self.values[id.index()]
    }
}

impl<I: Idx, T> IndexMut<I> for IndexVec<I, T> {
    #[expect(
        clippy::indexing_slicing,
        reason = "the vector has a value for each id of its collection"
    )]
    fn index_mut(&mut self, id: I) -> &mut T {
        &mut self.values[id.index()]
    }
}
