//! Names of packages in vulnerability databases: `distro/upstreams.toml`.

use std::collections::BTreeMap;

use basalt_document::problem::Problems;
use basalt_document::toml_file::TomlFile;
use serde::Deserialize;
use toml::Spanned;

use crate::database::ECOSYSTEMS;
use crate::record::{GIT, repository};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawUpstreams {
    #[serde(default)]
    package: Vec<RawUpstream>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawUpstream {
    name: Spanned<String>,
    #[serde(default)]
    known_as: Vec<Spanned<String>>,
    #[serde(default)]
    repositories: Vec<String>,
    #[serde(default)]
    tags: Vec<Spanned<String>>,
    #[serde(default)]
    unmatched: Option<Spanned<String>>,
}

/// Names of packages in vulnerability databases, by source package.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upstreams(BTreeMap<String, Upstream>);

/// Names of one package in vulnerability databases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Upstream {
    /// Ecosystems and names in them.
    pub(crate) names: Vec<(String, String)>,
    /// Templates of the repository's tag names, with `{version}` and, with underscores in place of dots, `{version_}`.
    tags: Vec<String>,
    /// Reason for which no database is queried about the package.
    pub(crate) unmatched: Option<String>,
}

impl Upstreams {
    /// Reads the text of the file; `name` is for errors.
    ///
    /// # Errors
    /// With all places that are wrong.
    pub fn parse(name: &str, text: &str) -> Result<Self, Problems> {
        let file = TomlFile::new(name, text);
        let raw: RawUpstreams = file.read()?;
        let mut faults = file.faults();
        let mut all = BTreeMap::new();
        for package in raw.package {
            let mut upstream = Upstream::default();
            for known in package.known_as {
                match known.get_ref().split_once('/') {
                    Some((ecosystem, name)) if ECOSYSTEMS.contains(&ecosystem) && !name.is_empty() => {
                        upstream.names.push((ecosystem.to_owned(), name.to_owned()));
                    }
                    _ => {
                        let help =
                            "write `OSS-Fuzz/zlib`: an ecosystem whose versions are upstream's, and the name there";
                        let message = format!("`{}` is no name in an ecosystem that is matched", known.get_ref());
                        faults.wrong(&known, message, help);
                    }
                }
            }
            let repositories = package
                .repositories
                .iter()
                .map(|address| (GIT.to_owned(), repository(address)));
            upstream.names.extend(repositories);
            for tag in package.tags {
                if !tag.get_ref().contains("{version}") && !tag.get_ref().contains("{version_}") {
                    let help = "for example `v{version}`, or `R_{version_}` with underscores in place of dots";
                    faults.wrong(&tag, "the tag has no version in it", help);
                }
                upstream.tags.push(tag.into_inner());
            }
            upstream.unmatched = package.unmatched.map(|why| why.get_ref().trim().to_owned());
            let said = upstream.unmatched.as_ref().is_some_and(|why| !why.is_empty());
            if said != upstream.names.is_empty() {
                let help =
                    "name it as databases do (`known_as`, `repositories`), or say why none knows it (`unmatched`)";
                faults.wrong(&package.name, "it says either too little or too much", help);
            }
            let name = package.name.get_ref().clone();
            if all.insert(name, upstream).is_some() {
                faults.wrong(&package.name, "the package is there twice", "take one out");
            }
        }
        faults.or(Self(all))
    }

    /// The names of all packages in the file.
    pub fn packages(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(crate) fn of(&self, package: &str) -> Option<&Upstream> {
        self.0.get(package)
    }
}

impl Upstream {
    /// Returns the names that lists of versions, which are often tags, may have a version under.
    pub(crate) fn tags(&self, version: &str) -> Vec<String> {
        let underscores = version.replace('.', "_");
        let tag = |template: &String| {
            template
                .replace("{version}", version)
                .replace("{version_}", &underscores)
        };
        self.tags.iter().map(tag).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_has_its_names_and_tags() {
        let text = "[[package]]\nname = \"expat\"\nknown_as = [\"OSS-Fuzz/expat\"]\n\
                    repositories = [\"https://github.com/libexpat/libexpat.git\"]\ntags = [\"R_{version_}\"]\n";
        let upstreams = Upstreams::parse("upstreams.toml", text).expect("right");
        let expat = upstreams.of("expat").expect("there");
        assert_eq!(expat.tags("2.8.3"), ["R_2_8_3"]);
        assert_eq!(
            expat.names,
            [
                ("OSS-Fuzz".to_owned(), "expat".to_owned()),
                ("GIT".to_owned(), "github.com/libexpat/libexpat".to_owned())
            ]
        );
    }

    #[test]
    fn mistakes_have_places() {
        let text = "[[package]]\nname = \"a\"\n\n[[package]]\nname = \"b\"\nknown_as = [\"Debian/b\"]\ntags = [\"v1\"]\n\
                    unmatched = \"\"\n\n[[package]]\nname = \"b\"\nunmatched = \"made here\"\n";
        insta::assert_snapshot!(Upstreams::parse("upstreams.toml", text).expect_err("wrong").brief());
    }
}
