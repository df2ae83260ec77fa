//! `basalt shell`: the sandbox in which a package is built, for a person.

use std::process::ExitCode;

use basalt_build::{BuildRoot, Conditions};
use miette::Result;

use super::passed_on;
use crate::project::Project;

/// Opens a shell in the build root of a package, with all that it is built from.
pub fn run(project: &Project, package: &str) -> Result<ExitCode> {
    let workshop = project.workshop()?;
    let index = workshop.distribution.package(package)?;
    let ingredients = workshop.engine(project, false).ingredients(index)?;
    let conditions = Conditions::ordinary(workshop.ground.jobs);
    let folder = &workshop.distribution.folders[index];
    let root = BuildRoot::prepare(
        &workshop.ground,
        &conditions,
        &project.store,
        folder,
        &ingredients.sources,
        &ingredients.trees,
    )?;
    Ok(passed_on(root.shell().interactive()?))
}
