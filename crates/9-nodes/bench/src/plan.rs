//! Time and memory of planning a synthetic distribution.
//!
//! Measured is what the engine does between rpmspec's answers and the first build: texts are parsed, the graph is made,
//! every package is resolved and gets its key, images are solved, the rest is scheduled. Results are looked up in
//! memory, so that no disk is measured.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use basalt_action::Blob;
use basalt_build::{
    BuildBase, BuildError, Built, BuiltIndex, BuiltPackages, BuiltRpm, Distribution, DistributionPackage, Layer,
    Lookup, PackageFolder, PackageId, Planner, ResolvedBuild, ResourceEstimates, SourcePackage,
};
use basalt_content::DistributionContent;
use basalt_release::Arch;
use basalt_schedule::JobGraph;
use basalt_sdk::SdkTree;
use basalt_sources::{Modules, SourceSet, Tools};
use basalt_store::FolderSnapshot;
use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

use crate::BenchError;
use crate::synthetic::{SyntheticDistribution, SyntheticPackage};

/// Nominal folder of the packages, from which nothing is read.
const FOLDER: &str = "/synthetic/distro/packages";

/// Plan for all packages of a distribution, with all results present: the case with the most planning work.
#[derive(Debug)]
pub struct SyntheticPlan {
    /// The packages and their graph.
    pub distribution: Distribution,
    /// Results of all packages.
    pub built: BuiltPackages,
    /// The packages as jobs.
    pub jobs: JobGraph,
    /// File names of the RPMs in each image.
    pub images: BTreeMap<String, Vec<String>>,
    /// Time of each stage, in the order in which they were gone through.
    pub stages: Vec<(&'static str, Duration)>,
}

/// Figures of a measured plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlanReport {
    /// Number of packages.
    pub packages: usize,
    /// Number of RPMs that they make.
    pub rpms: usize,
    /// Number of RPMs in all images together.
    pub installed: usize,
    /// Median number of packages that a package is built from, directly or not.
    pub median_below: usize,
    /// Greatest number of packages that a package is built from, directly or not.
    pub most_below: usize,
    /// Seconds by stage.
    pub stages: Vec<(&'static str, f64)>,
    /// Seconds of all stages.
    pub seconds: f64,
    /// Peak of this process's resident memory, in MiB; with the texts that the plan is made from.
    pub peak_memory_mib: u64,
}

impl SyntheticPlan {
    /// Plans a distribution.
    ///
    /// # Errors
    /// When it cannot be planned: a bug of the planning or of the generator.
    pub fn make(synthetic: &SyntheticDistribution) -> Result<Self, BenchError> {
        let mut stages = Stages::start();
        let estimates = ResourceEstimates::parse(&synthetic.resources).map_err(|error| BenchError::Definition {
            path: FOLDER.into(),
            message: error.to_string(),
        })?;
        let packages = basalt_schedule::each(&synthetic.packages, |package| parse(package, &estimates))
            .map_err(basalt_schedule::EachError::into_first)?;
        stages.passed("texts parsed");
        let distribution = Distribution::new(packages)?;
        stages.passed("graph made");
        let base = base();
        let tools = Tools::new(Utf8Path::new("/synthetic"), &SdkTree::outside("/synthetic".into()));
        let planner = Planner {
            distribution: &distribution,
            base: &base,
            tools: &tools,
        };
        let all: BTreeSet<PackageId> = distribution.graph.ids().collect();
        let lookup = MemoryLookup::new(synthetic, &distribution);
        let built = planner.known(&all, &lookup)?;
        stages.passed("packages resolved");
        let jobs = planner.jobs()?;
        stages.passed("jobs made");
        let index = BuiltIndex::of(&built);
        let mut images = BTreeMap::new();
        for (image, requests) in &synthetic.images {
            let makers = distribution
                .graph
                .makers_of(requests, image)
                .map_err(BuildError::from)?;
            let sources = distribution.graph.closure(makers);
            let rpms = index.install(requests, |maker| sources.contains(&maker));
            let rpms = rpms.map_err(|source| BuildError::Unsolvable {
                package: image.clone(),
                source,
            })?;
            images.insert(image.clone(), rpms.iter().map(|rpm| rpm.file.clone()).collect());
        }
        stages.passed("images solved");
        Ok(Self {
            built,
            jobs,
            images,
            stages: stages.0,
            distribution,
        })
    }

    /// Computes the figures of the plan.
    pub fn report(&self) -> PlanReport {
        let graph = &self.distribution.graph;
        let mut below: Vec<usize> = graph.ids().map(|id| graph.below(id).len()).collect();
        below.sort_unstable();
        let seconds = |time: Duration| (time.as_secs_f64() * 1000.0).round() / 1000.0;
        PlanReport {
            packages: self.built.len(),
            rpms: self.built.values().map(|built| built.rpms.len()).sum(),
            installed: self.images.values().map(Vec::len).sum(),
            median_below: below.get(below.len() / 2).copied().unwrap_or(0),
            most_below: below.last().copied().unwrap_or(0),
            stages: self
                .stages
                .iter()
                .map(|(stage, time)| (*stage, seconds(*time)))
                .collect(),
            seconds: seconds(self.stages.iter().map(|(_, time)| *time).sum()),
            peak_memory_mib: peak_memory_mib(),
        }
    }
}

fn parse(package: &SyntheticPackage, estimates: &ResourceEstimates) -> Result<DistributionPackage, BenchError> {
    let folder = PackageFolder {
        name: package.name.clone(),
        path: Utf8Path::new(FOLDER).join(&package.name),
        place: Utf8Path::new(FOLDER).join(&package.name),
    };
    let files = FolderSnapshot::of_files(package.files.iter().cloned());
    let spec = SourcePackage::parse(&package.source, &package.binaries);
    let spec = spec.map_err(|message| BenchError::Definition {
        path: folder.spec(),
        message,
    })?;
    Ok(DistributionPackage {
        sources: SourceSet::of_snapshot(&folder.path, &files).map_err(BuildError::from)?,
        estimate: estimates.estimate(&folder.name),
        limits: estimates.limits(&folder.name),
        folder,
        files,
        spec,
    })
}

fn base() -> BuildBase {
    let layer = |name: &str| Layer {
        name: name.to_owned(),
        root: Blob::of(name),
        path: Utf8PathBuf::from("/synthetic").join(name),
    };
    let layers = ["macros", "toolchain", "sdk"].map(layer);
    BuildBase::of_layers(
        DistributionContent::of_checkout("/synthetic".into()),
        layers.into(),
        Arch::X86_64,
    )
}

/// Results of all packages, in memory; the key is not compared.
struct MemoryLookup<'a> {
    packages: Vec<&'a SyntheticPackage>,
}

impl<'a> MemoryLookup<'a> {
    fn new(synthetic: &'a SyntheticDistribution, distribution: &Distribution) -> Self {
        let by_name: BTreeMap<&str, &SyntheticPackage> = (synthetic.packages.iter())
            .map(|package| (package.name.as_str(), package))
            .collect();
        let named = distribution
            .packages()
            .filter_map(|(_, package)| by_name.get(package.name()));
        Self {
            packages: named.copied().collect(),
        }
    }
}

impl Lookup for MemoryLookup<'_> {
    fn modules(&self, _: PackageId, _: &Modules<'_>) -> Result<Option<Blob>, BuildError> {
        Ok(None)
    }

    fn payload(&self, rpm: &BuiltRpm) -> Result<Blob, BuildError> {
        Ok(rpm.blob())
    }

    fn result(&self, build: &ResolvedBuild) -> Result<Option<Built>, BuildError> {
        let Some(package) = self.packages.get(build.package.index()) else {
            return Ok(None);
        };
        let rpms = serde_json::from_slice(&package.built).map_err(|_| BuildError::Lost {
            file: package.name.clone(),
        })?;
        Ok(Some(Built {
            name: package.name.clone(),
            key: build.key(),
            rpms,
            seconds: 10,
            cpu_seconds: 10.0,
        }))
    }
}

struct Stages(Vec<(&'static str, Duration)>, Instant);

impl Stages {
    fn start() -> Self {
        Self(Vec::new(), Instant::now())
    }

    fn passed(&mut self, stage: &'static str) {
        let now = Instant::now();
        self.0.push((stage, now - self.1));
        self.1 = now;
    }
}

/// `VmHWM` of `/proc/self/status`, in MiB; 0 where it cannot be read.
fn peak_memory_mib() -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}
