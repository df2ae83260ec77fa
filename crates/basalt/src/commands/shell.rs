//! `basalt shell`: interactive shell in the sandbox in which a package is built.

use std::process::ExitCode;

use miette::Result;

use super::passed_on;
use crate::checkout::Checkout;

/// Opens a shell in the build root of a package, with all its inputs.
pub fn run(checkout: &Checkout, package: &str) -> Result<ExitCode> {
    let context = checkout.build_context()?;
    let package = context.distribution.find(package)?;
    let root = context.engine(checkout).build_root(package)?;
    Ok(passed_on(root.shell().interactive()?))
}
