//! Comparison of the RPMs that a build left with those that its spec declares.
//!
//! A build script can write any file into the folder of RPMs. An RPM under the name of another package would enter the
//! build roots and images that ask for that one, so that each RPM has to be one that the spec declares, once, with the
//! identity that rpmbuild gives it.

use std::collections::BTreeSet;

use basalt_release::Arch;
use basalt_rpm::Package;

use crate::spec::SourcePackage;

/// Architecture of RPMs that fit any machine.
const NO_ARCH: &str = "noarch";

/// Checks the RPMs of a build, each with the name of its file.
///
/// # Errors
/// The first difference, as a clause that follows "the package was built, but": an RPM that the spec does not declare,
/// one with another identity than the spec's, two of one name, or RPMs that were not made.
pub(crate) fn check<'a>(
    spec: &SourcePackage,
    arch: Arch,
    made: impl IntoIterator<Item = (&'a str, &'a Package)>,
) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for (file, package) in made {
        check_one(spec, arch, file, package)?;
        if !names.insert(package.name.as_str()) {
            return Err(format!("it left two packages of the name {}", package.name));
        }
    }
    if names.is_empty() {
        return Err("it made no package (a spec without a %files section makes none)".to_owned());
    }
    let declared = spec.binaries.iter().map(|binary| binary.name.as_str());
    let missing: Vec<_> = declared.filter(|name| !names.contains(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the packages {} that its spec declares were not made (have they a %files section?)",
        missing.join(", ")
    ))
}

/// Checks the identity of one RPM.
fn check_one(spec: &SourcePackage, arch: Arch, file: &str, package: &Package) -> Result<(), String> {
    let Package {
        name,
        version,
        release,
        arch: built_for,
        source,
        ..
    } = package;
    if !spec.binaries.iter().any(|binary| binary.name == *name) {
        let declared: Vec<_> = spec.binaries.iter().map(|binary| binary.name.as_str()).collect();
        return Err(format!(
            "it left `{}`, whose name `{}` its spec does not declare (it declares {})",
            file.escape_debug(),
            name.escape_debug(),
            declared.join(", ")
        ));
    }
    let source_rpm = format!("{}-{}-{}.src.rpm", spec.name, spec.version, spec.release);
    let file_name = format!("{name}-{}-{}.{built_for}.rpm", spec.version, spec.release);
    let archs = [arch.name(), NO_ARCH];
    let differs = |what: &str, is: &str, expected: &str| {
        Err(format!(
            "`{}` has the {what} `{}`, and its spec makes `{expected}`",
            file.escape_debug(),
            is.escape_debug()
        ))
    };
    if *version != spec.version {
        differs("version", version, &spec.version)
    } else if *release != spec.release {
        differs("release", release, &spec.release)
    } else if !archs.contains(&built_for.as_str()) {
        differs("architecture", built_for, &archs.join("` or `"))
    } else if *source != source_rpm {
        differs("source package", source, &source_rpm)
    } else if file != file_name {
        differs("file name", file, &file_name)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "name\tzlib\nversion\t1.3\nrelease\t2.bs1\n";

    fn spec() -> SourcePackage {
        SourcePackage::parse(SOURCE, "binary\tzlib\nbinary\tzlib-devel\n").expect("understood")
    }

    /// RPM of the spec, and the name of its file.
    fn rpm(name: &str) -> (String, Package) {
        let package = serde_json::json!({
            "name": name, "version": "1.3", "release": "2.bs1", "arch": "x86_64", "license": "Zlib",
            "summary": "A library", "source": "zlib-1.3-2.bs1.src.rpm", "size": 1,
            "provides": [], "requires": [], "files": [],
        });
        let package = serde_json::from_value(package).expect("a package");
        (format!("{name}-1.3-2.bs1.x86_64.rpm"), package)
    }

    fn checked(made: &[(String, Package)]) -> Result<(), String> {
        let made = made.iter().map(|(file, package)| (file.as_str(), package));
        check(&spec(), Arch::X86_64, made)
    }

    #[test]
    fn the_packages_of_the_spec_are_taken() {
        assert_eq!(checked(&[rpm("zlib"), rpm("zlib-devel")]), Ok(()));
        let (_, mut noarch) = rpm("zlib-devel");
        noarch.arch = "noarch".to_owned();
        let noarch = ("zlib-devel-1.3-2.bs1.noarch.rpm".to_owned(), noarch);
        assert_eq!(checked(&[rpm("zlib"), noarch]), Ok(()));
    }

    #[test]
    fn missing_packages_are_named() {
        let error = checked(&[rpm("zlib")]).expect_err("one is missing");
        assert!(
            error.contains("the packages zlib-devel that its spec declares"),
            "{error}"
        );
        assert!(checked(&[]).expect_err("none").contains("it made no package"));
    }

    #[test]
    fn a_package_of_another_name_is_refused() {
        let error = checked(&[rpm("zlib"), rpm("zlib-devel"), rpm("glibc")]).expect_err("not declared");
        assert!(error.contains("`glibc-1.3-2.bs1.x86_64.rpm`"), "{error}");
        assert!(error.contains("it declares zlib, zlib-devel"), "{error}");
    }

    #[test]
    fn two_packages_of_one_name_are_refused() {
        let (_, mut noarch) = rpm("zlib");
        noarch.arch = "noarch".to_owned();
        let second = ("zlib-1.3-2.bs1.noarch.rpm".to_owned(), noarch);
        let error = checked(&[rpm("zlib"), second, rpm("zlib-devel")]).expect_err("twice");
        assert!(error.contains("two packages of the name zlib"), "{error}");
    }

    #[test]
    fn another_identity_is_refused() {
        type Change = fn(&mut (String, Package));
        let changes: [(&str, Change); 5] = [
            ("version", |rpm| "99".clone_into(&mut rpm.1.version)),
            ("release", |rpm| "9.bs1".clone_into(&mut rpm.1.release)),
            ("architecture", |rpm| "aarch64".clone_into(&mut rpm.1.arch)),
            ("source package", |rpm| {
                "glibc-1-1.src.rpm".clone_into(&mut rpm.1.source)
            }),
            ("file name", |rpm| "zlib.rpm".clone_into(&mut rpm.0)),
        ];
        for (what, change) in changes {
            let mut changed = rpm("zlib");
            change(&mut changed);
            let error = checked(&[changed, rpm("zlib-devel")]).expect_err(what);
            assert!(error.contains(&format!("has the {what} `")), "{what}: {error}");
        }
    }

    #[test]
    fn control_characters_of_a_name_are_escaped() {
        let (_, mut hostile) = rpm("zlib");
        hostile.name = "a\x1b[2J".to_owned();
        let error = checked(&[("a.rpm".to_owned(), hostile)]).expect_err("not declared");
        assert!(!error.contains('\x1b'), "{error:?}");
    }
}
