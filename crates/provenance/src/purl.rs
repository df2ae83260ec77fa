//! Package URLs of our RPMs.

use std::fmt::Write as _;

/// The package URL of an RPM of ours: `pkg:rpm/basalt/zlib@1.3.1-1.bs1?arch=x86_64`.
///
/// After the specification of package URLs: of a version, all but letters, digits and `.-_~` is percent-encoded, and an
/// epoch is a qualifier.
pub fn rpm_purl(name: &str, evr: &str, arch: &str) -> String {
    let (epoch, version) = match evr.split_once(':') {
        Some((epoch, version)) => (Some(epoch), version),
        None => (None, evr),
    };
    let mut purl = format!(
        "pkg:rpm/basalt/{}@{}?arch={}",
        escape(name),
        escape(version),
        escape(arch)
    );
    if let Some(epoch) = epoch {
        // Writing to a string cannot fail.
        let _ = write!(purl, "&epoch={epoch}");
    }
    purl
}

fn escape(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b".-_~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_urls_are_as_specified() {
        assert_eq!(
            rpm_purl("zlib", "1.3.1-1.bs1", "x86_64"),
            "pkg:rpm/basalt/zlib@1.3.1-1.bs1?arch=x86_64"
        );
        assert_eq!(
            rpm_purl("a+b", "2:1^git-1", "noarch"),
            "pkg:rpm/basalt/a%2Bb@1%5Egit-1?arch=noarch&epoch=2"
        );
    }
}
