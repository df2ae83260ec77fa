//! Arguments of `basalt bench`.

use clap::{Args, Subcommand};

/// Verbs of `basalt bench`.
#[derive(Debug, Subcommand)]
pub enum Bench {
    /// Measure the boot from power-on to the first pod: a Basalt node and a Debian 13 node, by turns. Writes
    /// bench/boot.*.
    Boot(BenchBoot),
    /// Measure time and peak memory of planning a synthetic distribution, from the answers of rpmspec to the list of
    /// jobs.
    Plan(BenchPlan),
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
    /// Number of boots of each node.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub runs: u32,
}
