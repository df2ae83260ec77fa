//! What things are: the facts of the distribution as types, and how their files are read.
//!
//! One model per fact, and no I/O. Text comes in; raw types mirror it as written (`serde`, unknown keys refused);
//! checking turns them into types that cannot be wrong, or into errors that say where and what to do. The command,
//! the agent in the image, the JSON schemas and the reference pages all read these types.

pub mod arch;
pub mod digest;
pub mod document;
pub mod image;
pub mod node_config;
pub mod problem;
pub mod schema;
pub mod sdk_lock;
pub mod source_lock;
pub mod spelling;
pub mod toml_file;

/// The time that everything is built at: SOURCE_DATE_EPOCH, in seconds since 1970. 2025-10-09 08:53:20 UTC.
pub const BUILD_TIME: u64 = 1_760_000_000;
