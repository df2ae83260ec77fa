//! `basalt test --conformance`: tests of Kubernetes' end-to-end suite on a running cluster.
//!
//! ```text
//! packages ──▶ e2e.test, kubectl, images under upstream's names ──▶ the cluster's registry
//! e2e.test --list-tests ──▶ tests without a result ──▶ one e2e.test each ──▶ results (JSON) ──▶ page (Markdown)
//! ```
//!
//! Each test is a process of its own, several at a time; those that may have nothing beside them come at the end, one by one.
//! A result is written as soon as it is there, so that whatever ends a run, the next one goes on from it.

mod ginkgo;
mod images;
mod page;
mod results;
mod runner;
mod suite;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use basalt_cluster::LocalCluster;
use basalt_content::{ContentFile, DistributionContent};
use basalt_image::Image;
use basalt_store::{Lock, Store};
use camino::{Utf8Path, Utf8PathBuf};
use miette::{Result, WrapErr as _, miette};
use serde::Serialize;

use self::images::SuiteImages;
use self::results::Results;
use self::runner::Runner;
use self::suite::Suite;
use crate::arguments::cluster::Load;
use crate::arguments::test::{Conformance, ConformancePart};
use crate::checkout::{Checkout, read_text};
use crate::commands::{answer, answer_json, images as made_images, load};

/// Image with the suite and kubectl.
const SUITE: &str = "conformance";
/// Images of the suite's pods that have other uses, too.
const SHARED_IMAGES: [&str; 1] = ["pause"];
/// Results of the local cluster.
const RESULTS: &str = "docs/conformance.json";

/// Counts of a run's results, for scripts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
struct Summary {
    passed: usize,
    failed: usize,
    skipped: usize,
    /// Tests of the part that have not run, because the time was over.
    left: usize,
    /// Files of the results and of the page.
    results: Utf8PathBuf,
    page: Utf8PathBuf,
}

/// Runs the part of the suite that the options name, or writes its page alone.
pub(super) fn run(
    checkout: &Checkout,
    part: ConformancePart,
    options: &Conformance,
    filters: &[String],
    json: bool,
) -> Result<ExitCode> {
    let images = suite_images(&checkout.content())?;
    let path = options.results.clone().unwrap_or_else(|| checkout.root.join(RESULTS));
    let runs = part != ConformancePart::Report;
    let _alone = runs.then(|| only_run(&checkout.store)).transpose()?;
    let mut results = Results::read(&path)?;
    let (mut summary, mut outcome) = (Summary::default(), Ok(()));
    if runs {
        let suite = prepare(checkout, &images, options)?;
        results.adopt(suite.version()?, suite.tests()?);
        let cluster = suite.cluster()?;
        let selected = results.selected(part, filters, &images);
        if selected.is_empty() && !filters.is_empty() {
            return Err(miette!(
                help = format!("names are in {path}; `--conformance=all` runs tests again that have a result"),
                "no test of this part has a name that contains {}",
                filters.join(" or ")
            ));
        }
        results.write(&path)?;
        let suite = (suite, &*cluster);
        outcome = run_selected(checkout, suite, &selected, options, (&mut results, &path), &mut summary);
    }
    // Whatever ended the run, its results stay.
    summary.page = write_page(&path, &results, &images)?;
    summary.results = path;
    basalt_process::interrupt::check()?;
    if outcome.is_ok() || !json {
        show(part, &summary, json);
    }
    outcome?;
    Ok(if summary.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Takes the lock of runs: another one at the same time would write its results over these, and its tests would not leave
/// those alone that may have nothing beside them.
fn only_run(store: &Store) -> Result<Lock> {
    store.try_lock("conformance")?.ok_or_else(|| {
        miette!(
            code = "conformance::runs",
            help = "wait for its end, or end it with Ctrl-C: its results are kept",
            "another `basalt test --conformance` is running"
        )
    })
}

/// Reads which of our images stand for those of the suite.
fn suite_images(content: &DistributionContent) -> Result<SuiteImages> {
    let file = content.file(ContentFile::Conformance);
    Ok(SuiteImages::parse(file.name.as_str(), &read_text(&file.path)?)?)
}

/// Returns the names of the images that are made for the suite, and for nothing else.
pub(super) fn own_images(checkout: &Checkout) -> Result<Vec<String>> {
    Ok(names_of_own_images(&suite_images(&checkout.content())?))
}

fn names_of_own_images(images: &SuiteImages) -> Vec<String> {
    let own = images.ours().into_iter().filter(|name| !SHARED_IMAGES.contains(name));
    own.chain([SUITE]).map(str::to_owned).collect()
}

/// Builds the suite, and loads its images into the registry of the local cluster, where one runs.
fn prepare(checkout: &Checkout, images: &SuiteImages, options: &Conformance) -> Result<Suite> {
    let local = LocalCluster::open(checkout.cluster_state())?;
    let kubeconfig = match &options.kubeconfig {
        Some(path) => path.clone(),
        None => local.kubeconfig()?,
    };
    let is_running = local.registry().is_ok();
    let mut names = vec![SUITE];
    if is_running {
        names.extend(images.ours());
    }
    let made = made_images::make(checkout, &names)?;
    let tree = made.get(SUITE).and_then(Image::tree);
    let tree = tree.ok_or_else(|| miette!("the image `{SUITE}` is not a tree, which it has to be"))?;
    let suite = Suite {
        program: tree.join("usr/bin/e2e.test"),
        kubectl: tree.join("usr/bin/kubectl"),
        kubeconfig,
        deadline: Duration::from_secs(60 * u64::from(options.deadline.get())),
    };
    if is_running {
        load_images(checkout, &local, images, &made, &suite.images()?)?;
    } else {
        let note = "no local cluster is running: the cluster has to pull the suite's images from its own registry";
        checkout.reporter().note(note);
    }
    Ok(suite)
}

/// Loads our images under the names that the suite calls them.
fn load_images(
    checkout: &Checkout,
    cluster: &LocalCluster,
    images: &SuiteImages,
    made: &BTreeMap<String, Image>,
    names: &[String],
) -> Result<()> {
    for name in names {
        let Some(image) = images.stand_in(name)?.and_then(|ours| made.get(ours)) else {
            continue;
        };
        let options = Load {
            images: vec![image.folder.to_string()],
            name: Some(name.clone()),
            from: None,
        };
        let read = load::read(checkout, &options)?;
        load::push(checkout, cluster, &read).wrap_err_with(|| format!("cannot load {name}"))?;
    }
    Ok(())
}

fn run_selected(
    checkout: &Checkout,
    (suite, cluster): (Suite, &str),
    selected: &[String],
    options: &Conformance,
    (results, path): (&mut Results, &Utf8Path),
    summary: &mut Summary,
) -> Result<()> {
    let workspace = checkout.store.workspace()?;
    let runner = Runner {
        suite,
        reporter: checkout.reporter(),
        reports: workspace.path(),
        logs: &checkout.store.logs(),
        end: options
            .minutes
            .map(|minutes| Instant::now() + Duration::from_secs(60 * u64::from(minutes.get()))),
    };
    let version = results.version.clone();
    let outcome = runner.run(selected, options.parallel.get().into(), |name, verdict, seconds| {
        summary.count(verdict.outcome);
        let result = results::TestResult::now(verdict, seconds, &version, cluster);
        results.tests.insert(name.to_owned(), Some(result));
        results.write(path)
    });
    summary.left = selected
        .len()
        .saturating_sub(summary.passed + summary.failed + summary.skipped);
    outcome
}

/// Writes the page beside the file of the results, and returns its path.
fn write_page(path: &Utf8Path, results: &Results, images: &SuiteImages) -> Result<Utf8PathBuf> {
    let page = path.with_extension("md");
    let file = path.file_name().unwrap_or(RESULTS);
    basalt_store::write::atomically(&page, page::page(file, results, images))?;
    Ok(page)
}

impl Summary {
    fn count(&mut self, outcome: ginkgo::Outcome) {
        let count = match outcome {
            ginkgo::Outcome::Passed => &mut self.passed,
            ginkgo::Outcome::Failed => &mut self.failed,
            ginkgo::Outcome::Skipped => &mut self.skipped,
        };
        *count += 1;
    }
}

fn show(part: ConformancePart, summary: &Summary, json: bool) {
    if json {
        answer_json(summary);
        return;
    }
    let Summary {
        passed,
        failed,
        skipped,
        left,
        results,
        page,
    } = summary;
    if part != ConformancePart::Report {
        answer(format!(
            "{passed} passed, {failed} failed, {skipped} skipped, {left} left"
        ));
    }
    answer(format!("{results}\n{page}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packages that were made for the suite.
    const PACKAGES: [&str; 7] = [
        "agnhost",
        "busybox-full",
        "curl",
        "etcd-paths",
        "kubernetes-e2e",
        "nautilus-data",
        "sample-apiserver",
    ];

    #[test]
    fn two_runs_at_a_time_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = Utf8PathBuf::try_from(folder.path().join("store")).expect("UTF-8");
        let store = Store::open(&path).expect("a store");
        let first = only_run(&store).expect("no other");
        only_run(&store).expect_err("another");
        drop(first);
        drop(only_run(&store).expect("no other any more"));
    }

    #[test]
    fn no_other_image_has_packages_of_the_suite() {
        let root = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let content = DistributionContent::of_checkout(&root);
        let own = names_of_own_images(&suite_images(&content).expect("the suite's images"));
        let definitions = basalt_image::definitions(&content).expect("definitions");
        for name in &own {
            assert!(definitions.contains_key(name), "there is no image {name}");
        }
        for (name, definition) in definitions.iter().filter(|(name, _)| !own.contains(name)) {
            let made_for_tests = definition
                .packages
                .iter()
                .find(|package| PACKAGES.contains(&package.as_str()));
            assert_eq!(made_for_tests, None, "{name}");
        }
    }
}
