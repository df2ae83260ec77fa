//! The names by which scanners know a component: package URLs and CPEs.

use basalt_repo::Package;
use packageurl::PackageUrl;

use crate::BomError;

/// The vendor of our packages in package URLs: the `ID` of `/usr/lib/os-release`.
const VENDOR: &str = "basalt";
/// The distribution in package URLs: `ID` and `VERSION_ID` of `/usr/lib/os-release`.
const DISTRO: &str = "basalt-1";

/// `pkg:rpm/basalt/zlib@1.3.1-1.bs1?arch=x86_64&distro=basalt-1`.
pub(crate) fn rpm(package: &Package) -> Result<String, BomError> {
    let make = || {
        let mut purl = PackageUrl::new("rpm", package.name.as_str())?;
        purl.with_namespace(VENDOR)?
            .with_version(format!("{}-{}", package.version, package.release))?
            .add_qualifier("arch", package.arch.as_str())?
            .add_qualifier("distro", DISTRO)?;
        if package.epoch > 0 {
            purl.add_qualifier("epoch", package.epoch.to_string())?;
        }
        Ok(purl.to_string())
    };
    make().map_err(wrong(&package.name))
}

/// `pkg:golang/golang.org/x/net@v0.50.0`. The specification has the namespace in lower case.
pub(crate) fn go(path: &str, version: &str) -> Result<String, BomError> {
    let make = || {
        let (namespace, name) = match path.rsplit_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, path),
        };
        let mut purl = PackageUrl::new("golang", name)?;
        if let Some(namespace) = namespace {
            purl.with_namespace(namespace)?;
        }
        purl.with_version(version)?;
        Ok(purl.to_string())
    };
    make().map_err(wrong(path))
}

/// `pkg:cargo/libc@0.2.191`.
pub(crate) fn cargo(name: &str, version: &str) -> Result<String, BomError> {
    let make = || {
        let mut purl = PackageUrl::new("cargo", name)?;
        purl.with_version(version)?;
        Ok(purl.to_string())
    };
    make().map_err(wrong(name))
}

fn wrong(name: &str) -> impl FnOnce(packageurl::Error) -> BomError + '_ {
    |error| BomError::Purl {
        name: name.to_owned(),
        why: error.to_string(),
    }
}

/// A CPE 2.3 formatted string (NISTIR 7695, section 6.2) of `part:vendor:product`, as the catalogue has it, and a
/// version. Everything but letters, digits, `.` and `_` is quoted; `-` too.
pub(crate) fn cpe(product: &str, version: &str) -> String {
    let quoted = version.chars().fold(String::new(), |mut quoted, letter| {
        if !letter.is_ascii_alphanumeric() && !matches!(letter, '.' | '_') {
            quoted.push('\\');
        }
        quoted.push(letter.to_ascii_lowercase());
        quoted
    });
    format!("cpe:2.3:{product}:{quoted}:*:*:*:*:*:*:*")
}

/// Whether the catalogue's `part:vendor:product` is one: `a:gnu:glibc`, `o:linux:linux_kernel`.
pub(crate) fn is_product(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    let name = |part: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "._-\\".contains(letter))
    };
    matches!(parts.as_slice(), ["a" | "o" | "h", vendor, product] if name(vendor) && name(product))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_specified() {
        assert_eq!(
            go("github.com/Microsoft/hcsshim", "v0.15.0-rc.4+incompatible").expect("a name"),
            "pkg:golang/github.com/microsoft/hcsshim@v0.15.0-rc.4%2Bincompatible"
        );
        assert_eq!(go("stdlib", "1.27.1").expect("a name"), "pkg:golang/stdlib@1.27.1");
        assert_eq!(cargo("fs-err", "3.3.2").expect("a name"), "pkg:cargo/fs-err@3.3.2");
        assert!(go("", "v1").is_err());
        assert_eq!(
            cpe("a:openbsd:openssh", "9.9P1-rc+2"),
            "cpe:2.3:a:openbsd:openssh:9.9p1\\-rc\\+2:*:*:*:*:*:*:*"
        );
        for (text, right) in [
            ("a:gnu:glibc", true),
            ("gnu:glibc", false),
            ("a:GNU:x", false),
            ("a::x", false),
        ] {
            assert_eq!(is_product(text), right, "{text}");
        }
    }
}
