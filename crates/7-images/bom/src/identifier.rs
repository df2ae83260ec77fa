//! Identifiers by which scanners know a component: package URLs and CPE names.

pub(crate) use basalt_release::{ID as VENDOR, VERSION as RELEASE};
use packageurl::PackageUrl;

use crate::BomError;

/// Returns the package URL of an RPM of this distribution:
/// `pkg:rpm/basalt/zlib@1.3.1-1.bs1?arch=x86_64&distro=basalt-1`. `evr` is its version and release, with the epoch if
/// there is one: `1:1.37.2-1.bs1`.
///
/// # Errors
/// When the name is none that a package URL can have.
pub fn rpm_purl(name: &str, evr: &str, arch: &str) -> Result<String, BomError> {
    let make = || {
        let (epoch, version) = match evr.split_once(':') {
            Some((epoch, version)) => (Some(epoch), version),
            None => (None, evr),
        };
        let mut purl = PackageUrl::new("rpm", name)?;
        purl.with_namespace(VENDOR)?
            .with_version(version)?
            .add_qualifier("arch", arch)?
            .add_qualifier("distro", format!("{VENDOR}-{RELEASE}"))?;
        if let Some(epoch) = epoch {
            purl.add_qualifier("epoch", epoch)?;
        }
        Ok(purl.to_string())
    };
    make().map_err(wrong(name))
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

/// Returns `true` if the text is a `part:vendor:product` of CPE 2.3: `a:gnu:glibc`, `o:linux:linux_kernel`.
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
            rpm_purl("a+b", "2:1^git-1", "noarch").expect("a name"),
            "pkg:rpm/basalt/a%2Bb@1%5Egit-1?arch=noarch&distro=basalt-1&epoch=2"
        );
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
