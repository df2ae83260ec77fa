//! Images, composed again and compared.

use basalt_digest::{Digest, Hasher};
use basalt_image::definition::ImageDefinition;
use basalt_image::{Composer, Image, ImagePackage};
use basalt_store::{Store, Workspace};
use camino::Utf8Path;
use rustix::fs::Mode;

use crate::compare::{Findings, compare_disks, compare_files, compare_trees};
use crate::verdict::DifferingFile;
use crate::{Checked, ProductKind, RebuildError, Varied, Verdict};

const UMASK: u32 = 0o077;
/// The folder of a store, with a path of another length than any user's.
const FOLDER: &str = "another/store/in/another/place";

/// Composes images again.
pub struct ImageRebuilder<'a> {
    /// Composer of the first image.
    pub composer: Composer<'a>,
    /// `true` to compose images again whose verdict is cached.
    pub again: bool,
}

impl ImageRebuilder<'_> {
    /// Returns the conditions that are varied when an image is composed again.
    pub fn varied() -> Vec<Varied> {
        let varied = |what, first: &str, second: &str| Varied {
            what,
            first: first.to_owned(),
            second: second.to_owned(),
        };
        vec![
            varied("store", "the user's", "an empty one, elsewhere"),
            varied("order of the packages", "by name", "reversed"),
            varied("umask", "the user's", &format!("{UMASK:03o}")),
            varied("clock", "now", "later"),
        ]
    }

    /// Composes an image again from the same packages, in an empty store, and compares it with the first one.
    ///
    /// It changes the umask of this process meanwhile, so nothing else may make files at that time.
    ///
    /// # Errors
    /// When it cannot be composed, when something cannot be read or written, and when interrupted.
    pub fn check(
        &self,
        definition: &ImageDefinition,
        payloads: &[ImagePackage<'_>],
        first: &Image,
    ) -> Result<Checked, RebuildError> {
        let mut conditions = Hasher::new();
        conditions.fact("an image's conditions", include_str!("image.rs"));
        let facts = serde_json::to_vec(&first.facts).unwrap_or_default();
        let key = Checked::key(&first.key, [Digest::of(facts)], &conditions.finish());
        if let Some(known) = Checked::recall(&key, self.composer.store).filter(|_| !self.again) {
            return Ok(known);
        }
        let started = std::time::Instant::now();
        let workspace = self.composer.store.workspace()?;
        let store = Store::open(&workspace.path().join(FOLDER))?;
        let payloads: Vec<_> = payloads.iter().rev().copied().collect();
        let composer = Composer {
            store: &store,
            ..self.composer
        };
        let second = {
            let _umask = Umask::set(UMASK);
            composer.compose(definition, &payloads)?
        };
        let checked = Checked {
            name: first.name.clone(),
            kind: ProductKind::Image,
            files: basalt_store::files_below(&first.folder)?.len(),
            seconds: started.elapsed().as_secs(),
            remembered: false,
            verdict: self.verdict(first, &second, &workspace)?,
        };
        checked.remember(&key, self.composer.store)?;
        Ok(checked)
    }

    fn verdict(&self, first: &Image, second: &Image, workspace: &Workspace) -> Result<Verdict, RebuildError> {
        let mut findings = Findings::default();
        findings.within(first.name.clone(), |findings| {
            self.compare(findings, first, second, workspace)
        })?;
        if findings.count() == 0 {
            return Ok(Verdict::Identical);
        }
        let (differences, more) = findings.finish();
        // The second image is kept by its content.
        let store = self.composer.store;
        let kept = store.adopt_directory(&second.folder)?;
        let second = store.directory_path(&kept.root.digest);
        Ok(Verdict::Different {
            differences,
            more,
            kept: vec![DifferingFile {
                file: first.name.clone(),
                first: first.folder.clone(),
                second,
            }],
        })
    }

    fn compare(
        &self,
        findings: &mut Findings,
        first: &Image,
        second: &Image,
        workspace: &Workspace,
    ) -> Result<(), RebuildError> {
        let disk = first.disk();
        let disk_name = disk.as_deref().and_then(Utf8Path::file_name);
        let is_container = first.facts.container.is_some();
        let skip =
            |path: &Utf8Path| disk_name.is_some_and(|name| path == name) || is_container && path.starts_with("blobs");
        compare_trees(findings, &first.folder, &second.folder, &skip)?;
        if let (Some(one), Some(other), Some(facts)) = (disk, second.disk(), &first.facts.disk) {
            compare_disks(
                findings,
                (&one, &other),
                &facts.partitions,
                self.composer.sdk,
                workspace,
            )?;
        }
        if let (Some(one), Some(other)) = (&first.facts.container, &second.facts.container) {
            let blob = |image: &Image, digest: &Digest| image.folder.join("blobs/sha256").join(digest.to_hex());
            for (what, one, other) in [
                ("manifest", &one.manifest, &other.manifest),
                ("configuration", &one.config, &other.config),
                ("layer", &one.layer, &other.layer),
            ] {
                findings.within(what, |findings| {
                    compare_files(findings, &blob(first, one), &blob(second, other))
                })?;
            }
        }
        Ok(())
    }
}

/// Another umask, until it is dropped.
struct Umask(Mode);

impl Umask {
    fn set(umask: u32) -> Self {
        Self(rustix::process::umask(Mode::from_raw_mode(umask)))
    }
}

impl Drop for Umask {
    fn drop(&mut self) {
        rustix::process::umask(self.0);
    }
}
