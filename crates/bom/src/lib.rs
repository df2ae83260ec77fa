//! What is inside packages and images, down to Go modules and crates, and what that obliges to.
//!
//! ```text
//! RPMs --(what programs say about themselves)--> Inventory: components, where each is, what needs what
//! Inventory --> bills of materials, licences
//! ```

mod component;
mod inventory;

pub use component::{Component, Kind, Origin, Place, SourceFile};
pub use inventory::{Inventory, Relation, RelationKind, Subject};
