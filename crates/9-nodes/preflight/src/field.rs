//! Cursor over the tree of an object: a value, and the path that leads to it.

use basalt_document::{DocumentNode, Kind, Path};

use crate::place::{Place, Placed};

/// Value of an object, with its place.
#[derive(Debug, Clone)]
pub(crate) struct Field<'n> {
    node: &'n DocumentNode,
    path: Path,
    offset: usize,
}

impl<'n> Field<'n> {
    /// Whole object.
    pub(crate) fn root(node: &'n DocumentNode) -> Self {
        Self {
            node,
            path: Path::root(),
            offset: node.span.start,
        }
    }

    /// Value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<Self> {
        let entry = self.node.get(key)?;
        let offset = match entry.value.kind {
            Kind::List(_) | Kind::Object(_) | Kind::Null => entry.key_span.start,
            _ => entry.value.span.start,
        };
        Some(Self {
            node: &entry.value,
            path: self.path.key(key),
            offset,
        })
    }

    /// Value at the end of some keys.
    pub(crate) fn at(&self, keys: &[&str]) -> Option<Self> {
        keys.iter().try_fold(self.clone(), |field, key| field.get(key))
    }

    /// Returns `true` for a list, and for nothing in its place.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.node.kind, Kind::List(_) | Kind::Null)
    }

    /// Items of a list; none if this is no list.
    pub(crate) fn items(&self) -> Vec<Self> {
        let Kind::List(items) = &self.node.kind else {
            return Vec::new();
        };
        let field = |(index, node): (usize, &'n DocumentNode)| Self {
            node,
            path: self.path.index(index),
            offset: node.span.start,
        };
        items.iter().enumerate().map(field).collect()
    }

    /// Items of the list of a key; none if there is no such list.
    pub(crate) fn list(&self, key: &str) -> Vec<Self> {
        self.get(key).map(|list| list.items()).unwrap_or_default()
    }

    /// Keys and values of an object; none if this is no object.
    pub(crate) fn entries(&self) -> Vec<(&'n str, Self)> {
        let Kind::Object(entries) = &self.node.kind else {
            return Vec::new();
        };
        let keys = entries.iter().map(|entry| entry.key.as_str());
        keys.filter_map(|key| Some((key, self.get(key)?))).collect()
    }

    /// Scalar as text; numbers as they were written.
    pub(crate) fn text(&self) -> Option<&'n str> {
        match &self.node.kind {
            Kind::Text(text) | Kind::Number(_, text) => Some(text),
            Kind::Bool(true) => Some("true"),
            Kind::Bool(false) => Some("false"),
            Kind::Null | Kind::List(_) | Kind::Object(_) => None,
        }
    }

    /// Scalar of a key as text.
    pub(crate) fn text_of(&self, key: &str) -> Option<&'n str> {
        self.node.get(key)?;
        self.get(key)?.text()
    }

    /// Scalar of a key as text, with its place.
    pub(crate) fn placed(&self, key: &str) -> Option<Placed<String>> {
        self.get(key)?.as_placed()
    }

    /// Scalar as text, with its place.
    pub(crate) fn as_placed(&self) -> Option<Placed<String>> {
        Some(Placed {
            value: self.text()?.to_owned(),
            place: self.place(),
        })
    }

    /// Boolean of a key; `None` if there is none.
    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        match self.node.get(key)?.value.kind {
            Kind::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// Returns `true` if the boolean of a key is there and true.
    pub(crate) fn is_set(&self, key: &str) -> bool {
        self.flag(key) == Some(true)
    }

    /// Place of the value.
    pub(crate) fn place(&self) -> Place {
        Place::new(&self.path, self.offset)
    }
}
