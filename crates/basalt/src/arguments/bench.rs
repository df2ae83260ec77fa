//! Arguments of `basalt bench`.

use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

/// Verbs of `basalt bench`.
#[derive(Debug, Subcommand)]
pub enum Bench {
    /// Measure the first and the second boot from power-on to the first pod, and the memory at rest: a Basalt node and a
    /// Debian 13 node, by turns. Writes bench/boot.*.
    Boot(BenchBoot),
    /// Measure time and peak memory of planning a synthetic distribution, from the answers of rpmspec to the list of
    /// jobs.
    Plan(BenchPlan),
    /// Measure writing a repository's metadata beside createrepo_c, by turns, and solving in a large repository beside
    /// libsolv.
    Repo(BenchRepo),
}

/// Options of `bench repo`.
#[derive(Debug, Args)]
pub struct BenchRepo {
    /// Number of RPMs whose metadata is written.
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub rpms: u32,
    /// Write metadata of the RPMs in a folder, in place of synthetic ones.
    #[arg(long, value_name = "FOLDER", conflicts_with = "rpms")]
    pub folder: Option<Utf8PathBuf>,
    /// Number of workers of both programs [default: the number of cores]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub workers: Option<u32>,
    /// Number of runs of each program.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub runs: u32,
    /// Number of packages of the repository to solve in.
    #[arg(long, default_value_t = 20_086, value_parser = clap::value_parser!(u32).range(200..=100_000))]
    pub packages: u32,
    /// Seed of RPMs and repository: the same ones for the same seed.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Options of `bench plan`.
#[derive(Debug, Args)]
pub struct BenchPlan {
    /// Number of packages.
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub packages: u32,
    /// Seed of the distribution: the same packages for the same seed.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Options of `bench boot`.
#[derive(Debug, Args)]
pub struct BenchBoot {
    /// Number of machines of each system; each boots twice.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub runs: u32,
}
