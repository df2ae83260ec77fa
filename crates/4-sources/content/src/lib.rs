//! Places of the files that a distribution consists of: specs, image definitions, rules, statements about
//! vulnerabilities.
//!
//! ```text
//! distro/                 a team's tree                 DistributionContent
//! ├── packages/zlib/      ├── packages/agent/    ──▶    packages: agent, zlib, each in its own tree
//! ├── images/node.yaml    ├── images/edge.yaml          images: edge, node
//! └── kspp.toml           └── kspp.toml                 kspp.toml: that of the later tree
//! ```
//!
//! [`DistributionContent`] is an ordered list of trees, the distribution's own first. A later tree adds packages, images and
//! statements, and has single files in place of an earlier tree's. Only paths are found here: each file is read by the
//! crate that knows its format, and the [name](ContentPath::name) of a path is what errors and provenance statements show.

mod error;
mod place;
mod tree;

pub use error::ContentError;
pub use place::{ContentFile, ContentFolder};
pub use tree::{ContentPath, ContentTree, DistributionContent};
