//! Time of solving in a large repository, and the sets that come out, beside libsolv's.

use std::time::Instant;

use basalt_rpm::Package;
use basalt_sandbox::Sandbox;
use basalt_solver::{PackageIndex, SolveError};
use serde::Serialize;

use crate::libsolv::{LibsolvSolution, ask_libsolv};
use crate::summary::{Summary, summarize};
use crate::{BenchError, SyntheticRepository};

/// Figures of solving every request of a repository.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SolvingReport {
    /// Number of packages.
    pub packages: usize,
    /// Number of files in them.
    pub files: usize,
    /// Seconds for our index of what packages provide, which is made once.
    pub index: f64,
    /// Seconds for libsolv's index.
    pub libsolv_index: f64,
    /// Each request.
    pub requests: Vec<SolvedRequest>,
}

/// Figures of a request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SolvedRequest {
    /// Name of the package.
    pub name: String,
    /// Seconds of our call.
    pub seconds: f64,
    /// Seconds of libsolv's.
    pub libsolv_seconds: f64,
    /// Number of packages that we install; none where there is no solution.
    pub installed: Option<usize>,
    /// Packages of our set without which the rest is a solution, too.
    pub needless: Vec<String>,
    /// Packages that we install and libsolv does not.
    pub only_ours: Vec<String>,
    /// Packages that libsolv installs and we do not.
    pub only_libsolv: Vec<String>,
}

impl SolvingReport {
    /// Solves all requests of a repository, with our solver and with libsolv.
    ///
    /// # Errors
    /// When libsolv cannot be run, or one of the two finds a solution and the other does not.
    pub fn measure(repository: &SyntheticRepository, reference: &Sandbox) -> Result<Self, BenchError> {
        let begin = Instant::now();
        let index: PackageIndex<&Package> = repository.packages.iter().collect();
        let seconds = begin.elapsed().as_secs_f64();
        let solved: Vec<Solved> = repository
            .requests
            .iter()
            .map(|name| Solved::of(&index, name))
            .collect();
        let answers = ask_libsolv(reference, &[(&repository.packages, &repository.requests)])?;
        let answer = answers.into_iter().next();
        let (libsolv_index, theirs) = answer.map_or((0.0, Vec::new()), |answer| (answer.index, answer.solutions));
        let requests = solved.into_iter().zip(theirs);
        let requests = requests.map(|(ours, theirs)| ours.compared(theirs));
        Ok(Self {
            packages: repository.packages.len(),
            files: repository.packages.iter().map(|package| package.files.len()).sum(),
            index: seconds,
            libsolv_index,
            requests: requests.collect::<Result<_, _>>()?,
        })
    }

    /// Seconds of our calls.
    pub fn calls(&self) -> Summary {
        summarize(self.requests.iter().map(|request| request.seconds))
    }

    /// Seconds of libsolv's calls.
    pub fn libsolv_calls(&self) -> Summary {
        summarize(self.requests.iter().map(|request| request.libsolv_seconds))
    }

    /// Number of needless packages in all our sets.
    pub fn needless(&self) -> usize {
        self.requests.iter().map(|request| request.needless.len()).sum()
    }

    /// Sum of the packages by which our sets are larger than libsolv's.
    pub fn too_many(&self) -> usize {
        let more = |request: &SolvedRequest| request.only_ours.len().saturating_sub(request.only_libsolv.len());
        self.requests.iter().map(more).sum()
    }
}

/// Our answer to a request.
struct Solved {
    name: String,
    seconds: f64,
    /// Packages to install.
    packages: Result<Vec<String>, SolveError>,
    needless: Vec<String>,
}

impl Solved {
    fn of(index: &PackageIndex<&Package>, name: &str) -> Self {
        let request = [name.to_owned()];
        let begin = Instant::now();
        let solution = index.install(&request, |_| true);
        let seconds = begin.elapsed().as_secs_f64();
        let chosen: Vec<&Package> = solution.iter().flatten().map(|package| **package).collect();
        let is_solution_without = |package: &&Package| {
            let among =
                |other: &&Package| chosen.iter().any(|it| std::ptr::eq(*it, *other)) && !std::ptr::eq(*other, *package);
            index.install(&request, among).is_ok()
        };
        let needless = chosen.iter().copied().filter(is_solution_without);
        Self {
            name: name.to_owned(),
            seconds,
            needless: needless.map(Package::nevra).collect(),
            packages: solution.map(|chosen| chosen.into_iter().map(|package| package.nevra()).collect()),
        }
    }

    /// Compares the answer with libsolv's; an error if one of the two found a solution and the other did not.
    fn compared(self, theirs: LibsolvSolution) -> Result<SolvedRequest, BenchError> {
        let different = |what: String| BenchError::Different {
            tool: "libsolv",
            what: format!("{}: {what}", self.name),
        };
        let (installed, only_ours, only_libsolv) = match (self.packages, theirs.packages) {
            (Ok(ours), Some(theirs)) => (Some(ours.len()), lacking(&ours, &theirs), lacking(&theirs, &ours)),
            (Err(SolveError::Missing { .. } | SolveError::Conflict { .. }), None) => (None, Vec::new(), Vec::new()),
            (Ok(ours), None) => return Err(different(format!("no solution in place of {} packages", ours.len()))),
            (Err(error), Some(theirs)) => {
                return Err(different(format!("{} packages in place of: {error}", theirs.len())));
            }
            (Err(error), None) => return Err(different(format!("no solution in place of: {error}"))),
        };
        Ok(SolvedRequest {
            name: self.name,
            seconds: self.seconds,
            libsolv_seconds: theirs.seconds,
            installed,
            needless: self.needless,
            only_ours,
            only_libsolv,
        })
    }
}

/// Returns what is in one list and not in the other.
fn lacking(from: &[String], other: &[String]) -> Vec<String> {
    from.iter()
        .filter(|package| !other.contains(package))
        .cloned()
        .collect()
}
