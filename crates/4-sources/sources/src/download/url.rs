//! URLs: references against a base, and which redirects are followed.
//!
//! By hand on top of [`Uri`], which ureq has anyway: the `url` crate brings the tables of internationalized names with
//! it, twelve crates, for host names that no registry has.

use ureq::http::Uri;

use super::DownloadError;

/// Absolute form of a reference found in a document or a `Location` header at `base` (RFC 3986, section 5.2). None when
/// either is not a URL with a host.
pub(crate) fn resolve(base: &str, reference: &str) -> Option<String> {
    let reference = reference.split('#').next().unwrap_or_default().trim();
    if reference.chars().any(|letter| letter.is_control() || letter == ' ') {
        return None;
    }
    let uri: Uri = base.split('#').next()?.parse().ok()?;
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
    let absolute = if has_scheme(reference) {
        reference.to_owned()
    } else if let Some(rest) = reference.strip_prefix("//") {
        format!("{scheme}://{rest}")
    } else {
        let (path, query) = match reference.split_once('?') {
            Some((path, query)) => (path, format!("?{query}")),
            None => (reference, String::new()),
        };
        let path = match path {
            "" => uri.path().to_owned(),
            path if path.starts_with('/') => without_dots(path),
            path => {
                let folder = uri.path().rsplit_once('/').map_or("", |(folder, _)| folder);
                without_dots(&format!("{folder}/{path}"))
            }
        };
        format!("{scheme}://{authority}{path}{query}")
    };
    let parsed: Uri = absolute.parse().ok()?;
    parsed.host().filter(|host| !host.is_empty())?;
    Some(absolute)
}

fn has_scheme(reference: &str) -> bool {
    reference.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|letter: char| letter.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter))
    })
}

/// A path without `.` and `..` (RFC 3986, section 5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut parts = path.split('/').skip(1).peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        match part {
            "." | ".." => {
                if part == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            part => kept.push(part),
        }
    }
    format!("/{}", kept.join("/"))
}

/// Scheme of a URL, in lower case.
pub(super) fn scheme(url: &str) -> String {
    url.split(':').next().unwrap_or_default().to_ascii_lowercase()
}

/// Target of a redirect; an error unless it leads to http or https. From https to http is refused: anybody on the way
/// could replace the content.
pub(super) fn redirect(from: &str, location: Option<&str>) -> Result<String, DownloadError> {
    let location = location.unwrap_or_default();
    let to = resolve(from, location).filter(|_| !location.is_empty());
    let to = to.ok_or_else(|| DownloadError::Redirect {
        from: from.to_owned(),
        reason: format!("its target `{}` is not a URL", location.escape_debug()),
    })?;
    match (scheme(from).as_str(), scheme(&to).as_str()) {
        ("https", "http") => Err(DownloadError::Redirect {
            from: from.to_owned(),
            reason: format!("it leads from https to http: {to}"),
        }),
        (_, "http" | "https") => Ok(to),
        (_, other) => Err(DownloadError::Redirect {
            from: from.to_owned(),
            reason: format!("it leads to `{other}`, neither http nor https"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_resolved() {
        let base = "https://index.example/simple/six/?x=1";
        for (reference, absolute) in [
            ("https://other.example/a", "https://other.example/a"),
            ("//other.example/a", "https://other.example/a"),
            ("/a/b.tar.gz#sha256=00", "https://index.example/a/b.tar.gz"),
            ("../../packages/./a.tar.gz", "https://index.example/packages/a.tar.gz"),
            ("a.tar.gz?y=2", "https://index.example/simple/six/a.tar.gz?y=2"),
            ("../../../../a", "https://index.example/a"),
            ("..", "https://index.example/simple/"),
        ] {
            assert_eq!(resolve(base, reference).as_deref(), Some(absolute), "{reference}");
        }
        assert_eq!(resolve(base, "a b"), None);
        assert_eq!(resolve("nothing", "a"), None);
    }

    #[test]
    fn https_is_never_left() {
        let to = |from, location| redirect(from, Some(location));
        assert_eq!(
            to("http://a.example/", "https://a.example/b").expect("upgraded"),
            "https://a.example/b"
        );
        assert_eq!(
            to("https://a.example/x/y", "z").expect("followed"),
            "https://a.example/x/z"
        );
        for (from, location, words) in [
            ("https://a.example/", "http://a.example/b", "from https to http"),
            ("HTTPS://a.example/", "HTTP://a.example/b", "from https to http"),
            (
                "https://a.example/",
                "file://localhost/etc/passwd",
                "neither http nor https",
            ),
            ("https://a.example/", "http://", "not a URL"),
        ] {
            let error = to(from, location).expect_err(location).to_string();
            assert!(error.contains(words), "{error}");
        }
        assert!(redirect("https://a.example/", None).is_err());
    }
}
