//! The statement about a package.

use std::collections::BTreeMap;

use basalt_bom::{BomError, rpm_purl};
use basalt_build::{BUILD_TIME, BuildMaterials, Built};
use basalt_sources::Material;
use serde_json::json;

use crate::PACKAGE_BUILD;
use crate::statement::{BuildDefinition, ResourceDescriptor, Statement};

/// Returns the provenance of a package's RPMs.
///
/// # Errors
/// When an RPM has a name that no package URL can have.
pub fn of_package(built: &Built, materials: &BuildMaterials) -> Result<Statement, BomError> {
    let mut subject = Vec::new();
    for rpm in &built.rpms {
        let package = &rpm.package;
        let purl = rpm_purl(&package.name, &package.evr(), &package.arch)?;
        subject.push(ResourceDescriptor::file(&rpm.file, &rpm.digest).at(purl));
    }
    let mut dependencies: Vec<_> = materials.sources.iter().map(|file| material(file, "source")).collect();
    dependencies.extend(materials.folder.iter().map(|file| material(file, "recipe")));
    for rpm in &materials.sysroot {
        let file = ResourceDescriptor::file(&rpm.file, &rpm.sha256);
        let purl = rpm_purl(&rpm.name, &rpm.evr, &rpm.arch)?;
        dependencies.push(file.at(purl).with("role", "build-requires"));
    }
    dependencies.extend(materials.foundation.iter().map(|file| material(file, "foundation")));
    let definition = BuildDefinition {
        build_type: PACKAGE_BUILD.to_owned(),
        external_parameters: BTreeMap::from([
            ("package".to_owned(), json!(materials.name)),
            ("version".to_owned(), json!(materials.version)),
            ("arch".to_owned(), json!(materials.arch)),
        ]),
        internal_parameters: BTreeMap::from([
            (
                "base".to_owned(),
                json!(BTreeMap::from_iter(materials.base.iter().cloned())),
            ),
            ("key".to_owned(), json!(materials.key)),
            ("sourceDateEpoch".to_owned(), json!(BUILD_TIME)),
        ]),
        resolved_dependencies: dependencies,
    };
    Ok(Statement::new(subject, definition, &materials.toolkit))
}

fn material(file: &Material, role: &str) -> ResourceDescriptor {
    let mut descriptor = ResourceDescriptor::file(&file.name, &file.sha256).with("role", role);
    if let Some(url) = &file.url {
        descriptor = descriptor.at(url);
    }
    if let Some(upstream) = &file.repack_of {
        descriptor = descriptor.with("repackOf", upstream.as_str());
    }
    descriptor
}

#[cfg(test)]
mod tests {
    use basalt_build::{BuiltRpm, UsedRpm};
    use basalt_digest::Digest;
    use basalt_rpm::Package;

    use super::*;

    fn file(name: &str) -> Material {
        Material {
            name: name.to_owned(),
            url: None,
            repack_of: None,
            sha256: Digest::of(name),
        }
    }

    fn example() -> (Built, BuildMaterials) {
        let package: Package = serde_json::from_value(json!({
            "name": "zlib", "version": "1.3.1", "release": "1.bs1", "arch": "x86_64", "license": "Zlib",
            "summary": "Compression", "source": "zlib-1.3.1-1.bs1.src.rpm", "size": 7,
            "provides": [], "requires": [], "files": []
        }))
        .expect("a package");
        let built = Built {
            name: "zlib".to_owned(),
            key: Digest::of("key"),
            rpms: vec![BuiltRpm {
                package,
                file: "zlib-1.3.1-1.bs1.x86_64.rpm".to_owned(),
                digest: Digest::of("rpm"),
                size: 7,
            }],
            seconds: 5,
            cpu_seconds: 8.0,
        };
        let materials = BuildMaterials {
            name: "zlib".to_owned(),
            version: "1.3.1-1.bs1".to_owned(),
            arch: "x86_64".to_owned(),
            key: Digest::of("key"),
            toolkit: "0.1.0".to_owned(),
            base: vec![("sdk".to_owned(), Digest::of("sdk"))],
            foundation: vec![file("distro/sdk/sdk.lock")],
            folder: vec![file("distro/packages/zlib/zlib.spec")],
            sources: vec![Material {
                url: Some("debian:zlib/zlib_1.3.dfsg+really1.3.1.orig.tar.gz".to_owned()),
                repack_of: Some("https://zlib.net/zlib-1.3.1.tar.gz".to_owned()),
                ..file("zlib-1.3.1.tar.gz")
            }],
            sysroot: vec![UsedRpm {
                name: "glibc-devel".to_owned(),
                evr: "2.41-1.bs1".to_owned(),
                arch: "x86_64".to_owned(),
                file: "glibc-devel-2.41-1.bs1.x86_64.rpm".to_owned(),
                sha256: Digest::of("glibc-devel"),
            }],
        };
        (built, materials)
    }

    #[test]
    fn a_statement_says_what_went_in() {
        let (built, materials) = example();
        let statement = of_package(&built, &materials).expect("a statement");
        insta::assert_json_snapshot!(statement);
        assert!(statement.is_about(&Digest::of("rpm")));
        assert!(!statement.is_about(&Digest::of("another rpm")));
    }

    #[test]
    fn a_statement_is_read_as_it_was_written() {
        let (built, materials) = example();
        let statement = of_package(&built, &materials).expect("a statement");
        let json = serde_json::to_vec(&statement).expect("written");
        assert_eq!(Statement::parse(&json).expect("read"), statement);
        let other = String::from_utf8_lossy(&json).replace("in-toto.io/Statement/v1", "in-toto.io/Statement/v2");
        let error = Statement::parse(other.as_bytes()).expect_err("of another kind");
        assert!(error.to_string().contains("Statement/v2"), "{error}");
    }

    #[test]
    fn how_long_it_took_is_not_in_it() {
        let (built, materials) = example();
        let slow = Built {
            seconds: 9,
            ..built.clone()
        };
        let of = |built| of_package(built, &materials).expect("a statement");
        assert_eq!(of(&built), of(&slow));
    }
}
