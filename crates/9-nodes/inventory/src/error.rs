//! Errors of reading a written inventory.

use miette::Diagnostic;
use thiserror::Error;

/// Text that is no inventory.
#[derive(Debug, Error, Diagnostic)]
pub enum InventoryError {
    /// The text has another form.
    #[error("this is no inventory of a host: {reason}")]
    #[diagnostic(
        code(inventory::format),
        help("write it with the program `basalt-inventory`, on the host")
    )]
    Format {
        /// Cause.
        reason: String,
    },
    /// The inventory is of another version of the format.
    #[error("the inventory is of version {found}, and only version {known} is known here", known = crate::VERSION)]
    #[diagnostic(
        code(inventory::version),
        help("read the host again with the `basalt-inventory` of the same release as this command")
    )]
    Version {
        /// Version in the file.
        found: u64,
    },
}
