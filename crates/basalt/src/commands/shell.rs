//! `basalt shell`: the sandbox in which a package is built, for a person.

use std::process::ExitCode;

use miette::Result;

use super::passed_on;
use crate::project::Project;

/// Opens a shell in the build root of a package, with all that it is built from.
pub fn run(project: &Project, package: &str) -> Result<ExitCode> {
    let context = project.build_context()?;
    let package = context.distribution.find(package)?;
    let root = context.engine(project).build_root(package)?;
    Ok(passed_on(root.shell().interactive()?))
}
