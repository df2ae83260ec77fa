//! Two files that should be the same: what differs, down to the file, the member, the section.
//!
//! What a file is, its first bytes say. Archives are compared by member, compressed files by what they hold, programs by
//! section, text by line; whatever is none of these, by byte. Damaged and hostile files are compared by byte, too: nothing
//! here believes a length that it has not seen.

mod archive;
mod bytes;
mod compressed;
mod disk;
mod findings;
mod position;
mod program;
mod rpm;
mod text;
mod tree;

pub use bytes::compare as compare_bytes;
pub use disk::compare as compare_disks;
pub use findings::{Difference, Findings};
pub use rpm::compare as compare_rpms;
pub use tree::{compare as compare_trees, contents as compare_files};

/// Comparison of the contents of two files: adds what differs.
type Comparison = fn(&mut Findings, &[u8], &[u8]);
