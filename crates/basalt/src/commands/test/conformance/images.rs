//! Images that the suite's pods run: which of ours stand for them, and which there are not (`distro/conformance.toml`).

use basalt_document::problem::Problems;
use basalt_document::toml_file::TomlFile;
use basalt_oci::ImageReference;
use miette::Result;
use serde::Deserialize;

/// Images of the suite. Their versions are in the suite itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SuiteImages {
    /// Images that there are.
    #[serde(default, rename = "image")]
    pub(super) images: Vec<SuiteImage>,
    /// Images that there are not.
    #[serde(default)]
    pub(super) absent: Vec<AbsentImage>,
}

/// Image of ours under the name of one of upstream's.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SuiteImage {
    /// Name of upstream's image without its tag: `registry.k8s.io/pause`.
    pub(super) upstream: String,
    /// Name of ours, in distro/images.
    pub(super) ours: String,
    /// Differences between the two, as far as tests could notice; one sentence.
    pub(super) note: String,
}

/// Image that we do not have, and the tests that need it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AbsentImage {
    /// Name of upstream's image.
    pub(super) image: String,
    /// Reason why no image of ours stands for it.
    pub(super) reason: String,
    /// Parts of the tests' names.
    pub(super) tests: Vec<String>,
}

impl SuiteImages {
    /// Reads the text of a file, which is called `name` in problems.
    pub(super) fn parse(name: &str, text: &str) -> Result<Self, Problems> {
        TomlFile::new(name, text).read()
    }

    /// Returns the image that there is not for the test of this name.
    pub(super) fn absent_for(&self, name: &str) -> Option<&AbsentImage> {
        let needs = |image: &&AbsentImage| image.tests.iter().any(|part| name.contains(part));
        self.absent.iter().find(needs)
    }

    /// Returns the names of our images, each once.
    pub(super) fn ours(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.images.iter().map(|image| &*image.ours).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Returns, for the image of this name with its tag, our image.
    pub(super) fn stand_in(&self, name: &str) -> Result<Option<&str>> {
        let name: ImageReference = name.parse()?;
        let path = format!("{}/{}", name.host, name.path);
        let image = self.images.iter().find(|image| image.upstream == path);
        Ok(image.map(|image| &*image.ours))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_found_by_their_names_without_tags() {
        let text = "[[image]]\nupstream = \"registry.k8s.io/e2e/agnhost\"\nours = \"agnhost\"\nnote = \"\"\n\
                    [[absent]]\nimage = \"kitten\"\nreason = \"it is Alpine's\"\ntests = [\"ImageVolume\"]\n";
        let images = SuiteImages::parse("conformance.toml", text).expect("right");
        for (name, expected) in [
            ("registry.k8s.io/e2e/agnhost:2.66.1", Some("agnhost")),
            ("registry.k8s.io/e2e/agnhost:2.55", Some("agnhost")),
            ("gcr.io/private/agnhost:2.6", None),
        ] {
            assert_eq!(images.stand_in(name).expect("a name"), expected, "{name}");
        }
        assert_eq!(images.ours(), ["agnhost"]);
        assert_eq!(
            images
                .absent_for("[sig-node] ImageVolume should work")
                .map(|image| &*image.image),
            Some("kitten")
        );
        assert_eq!(images.absent_for("[sig-node] Pods"), None);
        SuiteImages::parse("conformance.toml", "[[image]]\nupstream = \"a\"\n").expect_err("no name of ours");
    }
}
