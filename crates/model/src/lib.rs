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
pub mod release;
pub mod schema;
pub mod sdk_lock;
pub mod source_lock;
pub mod spelling;
pub mod toml_file;

pub use release::BUILD_TIME;
