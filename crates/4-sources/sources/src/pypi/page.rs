//! Pages of the index: which files a project has.

use serde::Deserialize;

use super::normalized;
use crate::download::resolve;

/// Forms of source distributions, most wanted first.
const FORMS: [&str; 5] = [".tar.gz", ".tar.xz", ".tar.bz2", ".tgz", ".zip"];

/// A file of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct File {
    /// File name.
    pub(crate) name: String,
    /// Absolute URL.
    pub(crate) url: String,
}

#[derive(Debug, Deserialize)]
struct Page {
    meta: Meta,
    files: Vec<Listed>,
}

#[derive(Debug, Deserialize)]
struct Meta {
    #[serde(rename = "api-version")]
    api_version: String,
}

#[derive(Debug, Deserialize)]
struct Listed {
    filename: String,
    url: String,
}

/// Reads a page of that media type; `base` is its URL. Files whose URLs are none are left out.
///
/// # Errors
/// With what is wrong, when it is no page of an index.
pub(super) fn read(text: &[u8], content_type: &str, base: &str) -> Result<Vec<File>, String> {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let listed = match media_type {
        "application/vnd.pypi.simple.v1+json" | "application/json" => json(text)?,
        "application/vnd.pypi.simple.v1+html" | "text/html" => anchors(&String::from_utf8_lossy(text)),
        other => return Err(format!("it answers with `{other}`, which is no page of an index")),
    };
    let files = listed.into_iter().filter_map(|listed| {
        Some(File {
            url: resolve(base, &listed.url)?,
            name: listed.filename,
        })
    });
    Ok(files.collect())
}

fn json(text: &[u8]) -> Result<Vec<Listed>, String> {
    let page: Page = serde_json::from_slice(text).map_err(|error| format!("its page cannot be read: {error}"))?;
    if !page.meta.api_version.starts_with("1.") {
        return Err(format!("its API has version {}; 1 is expected", page.meta.api_version));
    }
    Ok(page.files)
}

/// The links of a page (PEP 503: a plain list of them). By hand: a parser of HTML would be larger than all of this crate.
fn anchors(page: &str) -> Vec<Listed> {
    let mut found = Vec::new();
    let mut rest = page;
    while let Some((_, begun)) = rest.split_once('<') {
        rest = begun;
        let Some(tag) = rest
            .strip_prefix(['a', 'A'])
            .filter(|tag| tag.starts_with(char::is_whitespace))
        else {
            continue;
        };
        let Some((url, after)) = href(tag) else { continue };
        let text = after.split('<').next().unwrap_or_default();
        found.push(Listed {
            filename: decoded(text.trim()),
            url: decoded(&url),
        });
        rest = after;
    }
    found
}

/// The attribute `href` of a tag, and what follows the tag.
fn href(tag: &str) -> Option<(String, &str)> {
    let mut rest = tag;
    let mut url = None;
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('>') {
            return Some((url?, after));
        }
        let end = rest.find(|letter: char| letter == '=' || letter == '>' || letter.is_whitespace())?;
        let (name, after) = rest.split_at(end);
        rest = after.trim_start();
        let Some(value) = rest.strip_prefix('=') else { continue };
        let value = value.trim_start();
        let mut letters = value.chars();
        let (text, after) = match letters.next()? {
            quote @ ('"' | '\'') => letters.as_str().split_once(quote)?,
            _ => value.split_at(value.find(|letter: char| letter == '>' || letter.is_whitespace())?),
        };
        if name.eq_ignore_ascii_case("href") {
            url = Some(text.to_owned());
        }
        rest = after;
    }
}

fn decoded(text: &str) -> String {
    [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// The source distribution of a version among the files of a project.
pub(super) fn source_distribution(files: Vec<File>, project: &str, version: &str) -> Option<File> {
    let form = |file: &File| {
        let (number, stem) =
            (FORMS.iter().enumerate()).find_map(|(number, form)| Some((number, file.name.strip_suffix(form)?)))?;
        let (name, found) = stem.rsplit_once('-')?;
        let same = normalized(name) == normalized(project) && found.eq_ignore_ascii_case(version);
        same.then_some(number)
    };
    let fitting = files.into_iter().filter_map(|file| Some((form(&file)?, file)));
    fitting.min_by_key(|(form, _)| *form).map(|(_, file)| file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_that_is_wanted_most_is_taken() {
        let files = |names: &[&str]| -> Vec<File> {
            names
                .iter()
                .map(|name| File {
                    name: (*name).to_owned(),
                    url: String::new(),
                })
                .collect()
        };
        let chosen = |names: &[&str]| source_distribution(files(names), "my-project", "1.0").map(|file| file.name);
        assert_eq!(
            chosen(&["my-project-1.0.zip", "My_Project-1.0.tar.gz", "my-project-1.0.1.tar.gz"]).as_deref(),
            Some("My_Project-1.0.tar.gz")
        );
        for none in [
            "my_project-1.0-py3-none-any.whl",
            "my-project-extra-1.0.tar.gz",
            "my-project-1.0.exe",
            "1.0.tar.gz",
        ] {
            assert_eq!(chosen(&[none]), None, "{none}");
        }
    }

    proptest::proptest! {
        #[test]
        fn hostile_pages_cause_no_panic(page in "(<a |<A\n|href|=|\"|'|>|</a>|x|&amp;|<|ä| ){0,40}") {
            for listed in anchors(&page) {
                proptest::prop_assert!(listed.url.len() + listed.filename.len() < page.len());
            }
        }
    }
}
