//! Our solver and libsolv, the solver of dnf and zypper, asked about the same random repositories.
//!
//! ```text
//! seed --generate--> packages --PackageIndex::solve--> verdict, set ─┐
//!                       │──primary.xml──▶ libsolv ───▶ verdict, set ─┼─▶ compared
//!                       └──enumerate: all sets of packages ──────────┘
//! ```
//!
//! Every repository is small enough to try all sets of its packages. So it is known which sets are solutions, which of them
//! have no needless package, and whether the policy (nothing needless, newest versions) leaves one set only.

mod enumerate;
mod generate;

use basalt_bench::ask_libsolv;
use basalt_rpm::{Dependency, Package};
use basalt_solver::{PackageIndex, SolveError};
use basalt_test_environment::{Failed, TestDirectory, ensure, is_long, shown};
use enumerate::Enumeration;
use generate::{REQUEST, repository};

use crate::dnf::User;

/// Number of repositories of every run.
const CASES: u64 = 2_000;
/// Number of repositories that `./basalt test --long` adds.
const LONG_CASES: u64 = 20_000;

/// Counts of a run, so that the generator is seen to make more than trivial repositories.
#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    cases: u64,
    unsolvable: u64,
    /// Solvable, and the policy leaves one set.
    determined: u64,
    /// As before, and libsolv has chosen another one: it keeps a few needless packages and old versions after it has taken
    /// decisions back (2 of 6,137 sets in 20,000 repositories).
    libsolv_differs: u64,
    /// As before, and ours is another one: an older version, through the cases of a nested condition (2 of 6,754 sets in
    /// 22,000 repositories).
    ours_differs: u64,
    /// Solvable, and both have chosen the same set.
    same: u64,
}

/// The verdict is the same for every repository, and the set, too, where the policy leaves one only.
pub fn agrees_with_libsolv(directory: &TestDirectory) -> Result<(), Failed> {
    let user = User::new(directory, "solver")?;
    let cases = if is_long() { CASES + LONG_CASES } else { CASES };
    let repositories: Vec<Vec<Package>> = (0..cases).map(repository).collect();
    let answers = libsolv(&user, &repositories)?;
    let mut counts = Counts::default();
    for (seed, (packages, theirs)) in repositories.iter().zip(&answers).enumerate() {
        compare(packages, theirs.as_deref(), &mut counts)
            .map_err(|what| format!("seed {seed}: {what}\n{}", listing(packages)))?;
    }
    ensure(counts.unsolvable * 10 > cases, || {
        format!("too few contradictions: {counts:?}")
    })?;
    // Among the 2,000 repositories of every run there is none.
    ensure(
        counts.libsolv_differs.max(counts.ours_differs) * 1000 <= counts.determined,
        || format!("sets differ from the policy's: {counts:?}"),
    )?;
    ensure(counts.determined * 4 > cases, || {
        format!("too few comparable sets: {counts:?}")
    })
}

/// Asks libsolv about all repositories in one process; an answer is `None` where it finds no solution.
fn libsolv(user: &User, repositories: &[Vec<Package>]) -> Result<Vec<Option<Vec<String>>>, Failed> {
    let requests = [REQUEST.to_owned()];
    let questions: Vec<_> = repositories
        .iter()
        .map(|packages| (packages.as_slice(), requests.as_slice()))
        .collect();
    let answers = ask_libsolv(&user.sandbox(), &questions).map_err(shown)?;
    let solutions = answers.into_iter().flat_map(|answer| answer.solutions);
    Ok(solutions.map(|solution| solution.packages).collect())
}

fn compare(packages: &[Package], theirs: Option<&[String]>, counts: &mut Counts) -> Result<(), String> {
    let index: PackageIndex<&Package> = packages.iter().collect();
    let ours = match index.solve(&[Dependency::any(REQUEST)], |_| true) {
        Ok(chosen) => Some(sorted(chosen.into_iter().map(|package| package.nevra()))),
        Err(SolveError::Missing { .. } | SolveError::Conflict { .. }) => None,
        Err(other) => return Err(other.to_string()),
    };
    let theirs = theirs.map(|names| sorted(names.iter().cloned()));
    let all = Enumeration::of(packages);
    counts.cases += 1;
    if ours.is_some() != all.is_solvable() || theirs.is_some() != all.is_solvable() {
        return Err(format!(
            "the verdict differs: ours {ours:?}, libsolv {theirs:?}, there is a solution: {}",
            all.is_solvable()
        ));
    }
    let (Some(ours), Some(theirs)) = (ours, theirs) else {
        counts.unsolvable += 1;
        return Ok(());
    };
    counts.same += u64::from(ours == theirs);
    if !all.is_minimal(&ours) {
        return Err(format!(
            "{ours:?} is no solution, or has a needless package; libsolv: {theirs:?}"
        ));
    }
    if !all.is_solution(&theirs) {
        return Err(format!(
            "libsolv's answer {theirs:?} is no solution by our reading; ours: {ours:?}"
        ));
    }
    if let Some(best) = all.determined() {
        counts.determined += 1;
        counts.libsolv_differs += u64::from(theirs != best);
        counts.ours_differs += u64::from(ours != best);
    }
    Ok(())
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// Lists a repository, as it would be written in specs.
fn listing(packages: &[Package]) -> String {
    let mut text = String::new();
    for package in packages {
        text += &format!("{}\n", package.nevra());
        for (tag, values) in generate::tags(package) {
            for value in values {
                text += &format!("  {tag}: {value}\n");
            }
        }
    }
    text
}
