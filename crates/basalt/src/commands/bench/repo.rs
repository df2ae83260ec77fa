//! `basalt bench repo`: metadata of repositories beside createrepo_c, solving beside libsolv.

use std::process::ExitCode;

use basalt_bench::{
    MetadataBenchmark, MetadataReport, RunTime, SolvingReport, Summary, SyntheticRepository, write_rpms,
};
use basalt_progress::{Outcome, Unit};
use basalt_store::FileError;
use miette::Result;
use serde::Serialize;

use super::host;
use crate::arguments::bench::BenchRepo;
use crate::checkout::Checkout;
use crate::commands::{answer, answer_json, human};
use crate::table::Table;

/// Name of the tree with createrepo_c and libsolv.
const REFERENCE: &str = "reference";

#[derive(Serialize)]
struct RepoReport {
    metadata: MetadataReport,
    solving: SolvingReport,
}

/// Measures metadata and solving.
pub fn run(checkout: &Checkout, options: &BenchRepo, json: bool) -> Result<ExitCode> {
    let reference = checkout.tree(Some(REFERENCE))?;
    let workspace = checkout.store.workspace()?;
    let folder = match &options.folder {
        Some(folder) => folder
            .canonicalize_utf8()
            .map_err(FileError::new("cannot find", folder))?,
        None => {
            let folder = workspace.path().join("rpms");
            write_rpms(&folder, options.rpms as usize, options.seed)?;
            folder
        }
    };
    let workers = options
        .workers
        .map_or_else(basalt_schedule::cores, |workers| workers as usize);
    let benchmark = MetadataBenchmark::new(&folder, &workspace.path().join("metadata"), &reference, workers)?;
    let runs = u64::from(options.runs);
    let task = checkout.reporter().task("writing metadata", Unit::Items, Some(runs));
    let metadata = benchmark.run(options.runs as usize, || task.advance(1))?;
    task.finish(Outcome::Done);
    let repository = SyntheticRepository::new(options.packages as usize, options.seed);
    let solving = SolvingReport::measure(&repository, &reference.sandbox())?;
    if json {
        answer_json(&RepoReport { metadata, solving });
    } else {
        show_metadata(&metadata);
        show_solving(&solving);
        answer(host());
    }
    Ok(ExitCode::SUCCESS)
}

fn show_metadata(report: &MetadataReport) {
    let RunTime { wall, cpu } = report.speedup();
    answer(format!(
        "metadata of {} RPMs, {}, with {} files; {} workers; {} runs each, by turns\n",
        report.rpms,
        human(report.bytes),
        report.files,
        report.workers,
        report.ours.len()
    ));
    let mut table = Table::new(["", "seconds", "processor seconds", "size"]);
    let cells = |wall: Summary, runs: &[RunTime], size: u64| {
        let cpu = basalt_bench::summarize(runs.iter().map(|run| run.cpu));
        [range(wall), range(cpu), human(size)]
    };
    let [wall_cell, cpu_cell, size] = cells(report.our_wall(), &report.ours, report.our_size);
    table.row(["basalt".to_owned(), wall_cell, cpu_cell, size]);
    let [wall_cell, cpu_cell, size] = cells(report.createrepo_wall(), &report.createrepo, report.createrepo_size);
    table.row(["createrepo_c".to_owned(), wall_cell, cpu_cell, size]);
    table.row([
        "times faster".to_owned(),
        format!("{wall:.2}"),
        format!("{cpu:.2}"),
        String::new(),
    ]);
    answer(table);
    answer(format!(
        "createrepo_c without its start, which takes {:.3} s in its sandbox\n",
        report.start.wall
    ));
}

fn show_solving(report: &SolvingReport) {
    answer(format!(
        "solving among {} packages with {} files; {} requests\n",
        report.packages,
        report.files,
        report.requests.len()
    ));
    let mut table = Table::new(["", "index", "call", "slowest call"]);
    let row = |name: &str, index: f64, calls: Summary| {
        let times = [index, calls.median, calls.most].map(|seconds| format!("{:.1} ms", seconds * 1000.0));
        let [index, median, most] = times;
        [name.to_owned(), index, median, most]
    };
    table.row(row("basalt", report.index, report.calls()));
    table.row(row("libsolv", report.libsolv_index, report.libsolv_calls()));
    answer(table);
    let installed: usize = report.requests.iter().filter_map(|request| request.installed).sum();
    let is_different =
        |request: &&basalt_bench::SolvedRequest| !request.only_ours.is_empty() || !request.only_libsolv.is_empty();
    let different = report.requests.iter().filter(is_different).count();
    answer(format!(
        "{installed} packages installed, {} of them needless; {different} sets are not libsolv's, and have {} packages more\n",
        report.needless(),
        report.too_many()
    ));
}

fn range(of: Summary) -> String {
    format!("{:.3} ({:.3} - {:.3})", of.median, of.least, of.most)
}
