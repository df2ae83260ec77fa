//! Refusal of scriptlets and triggers.
//!
//! Images are composed by merging files, and nothing of a package is ever run. A package that relies on a scriptlet would
//! be installed without what the scriptlet does, so it is refused before it is built, at the line of its spec; and once more
//! by the header of the RPM, since a build may add parts to its spec (`%{specpartsdir}`).

use std::sync::Arc;

use basalt_rpm::Package;
use miette::{Diagnostic, LabeledSpan, NamedSource};
use thiserror::Error;

use crate::package::DistributionPackage;

/// A package has scriptlets or triggers.
#[derive(Debug, Error, Diagnostic)]
#[error("{} has scriptlets, which nothing would run: {}", spec.name(), found.join(", "))]
#[diagnostic(
    code(build::scriptlets),
    help(
        "declare instead: users in sysusers.d, folders in tmpfiles.d, a service that starts by a link in \
         multi-user.target.wants, which belongs to the package; caches are made while the package is built{}",
        if places.is_empty() { "; no line of the spec begins with one: a macro makes it" } else { "" }
    )
)]
pub struct ScriptletsRefused {
    /// Text of the spec, with its path.
    #[source_code]
    spec: NamedSource<Arc<str>>,
    /// Scriptlets, each with the binary package that has it.
    found: Vec<String>,
    /// Lines of the spec that begin a scriptlet.
    #[label(collection, "never run")]
    places: Vec<LabeledSpan>,
}

/// Checks the declarations of a spec.
///
/// # Errors
/// When a binary package has a scriptlet or a trigger.
pub(crate) fn check_spec(package: &DistributionPackage) -> Result<(), Box<ScriptletsRefused>> {
    let binaries = package.spec.binaries.iter();
    let found = binaries.map(|binary| (binary.name.as_str(), binary.scriptlets.as_slice()));
    check(package, found)
}

/// Checks an RPM that was built.
///
/// # Errors
/// When it has a scriptlet or a trigger.
pub(crate) fn check_rpm(package: &DistributionPackage, rpm: &Package) -> Result<(), Box<ScriptletsRefused>> {
    check(package, [(rpm.name.as_str(), rpm.scriptlets.as_slice())])
}

fn check<'p>(
    package: &DistributionPackage,
    binaries: impl IntoIterator<Item = (&'p str, &'p [String])>,
) -> Result<(), Box<ScriptletsRefused>> {
    let (mut found, mut kinds) = (Vec::new(), Vec::new());
    for (binary, scriptlets) in binaries {
        for scriptlet in scriptlets {
            found.push(format!("{scriptlet} of {binary}"));
            kinds.push(scriptlet.as_str());
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    let text = package.files.read(&package.spec_file()).unwrap_or_default();
    let text: Arc<str> = String::from_utf8_lossy(text).into();
    Err(Box::new(ScriptletsRefused {
        places: places(&text, &kinds),
        spec: NamedSource::new(package.folder.spec(), text),
        found,
    }))
}

/// Returns the places of the lines that begin a scriptlet of one of the kinds.
fn places(spec: &str, kinds: &[&str]) -> Vec<LabeledSpan> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in spec.split_inclusive('\n') {
        let section = line.split_whitespace().next().filter(|_| line.starts_with('%'));
        if section.is_some_and(|section| kinds.iter().any(|kind| begins(section, kind))) {
            found.push(LabeledSpan::underline(start..start + line.trim_end().len()));
        }
        start += line.len();
    }
    found
}

/// Returns `true` if a section of a spec begins a scriptlet of a kind: `%triggerin` and `%triggerun` are of the kind
/// `%trigger`.
fn begins(section: &str, kind: &str) -> bool {
    match kind.ends_with("trigger") {
        true => section.starts_with(kind),
        false => section == kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_scriptlets_are_found() {
        let spec = "Name: x\n%description\n  %post\n%prep\n%post -n y -p /bin/true\n%postun\n%triggerin -- z\n";
        let lines = |kinds: &[&str]| -> Vec<String> {
            let places = places(spec, kinds).into_iter();
            places
                .map(|place| {
                    spec.get(place.offset()..place.offset() + place.len())
                        .expect("a line")
                        .to_owned()
                })
                .collect()
        };
        assert_eq!(lines(&["%post"]), ["%post -n y -p /bin/true"]);
        assert_eq!(lines(&["%pre"]), [""; 0]);
        assert_eq!(lines(&["%trigger", "%postun"]), ["%postun", "%triggerin -- z"]);
        assert_eq!(lines(&["%filetrigger"]), [""; 0]);
    }
}
