//! `basalt bench`: measurements of Basalt and of other systems.

use std::process::ExitCode;

use basalt_bench::{
    BenchmarkReport, BootBenchmark, ComparedSystem, MILESTONES, MachineRun, Measured, ReportRow, SyntheticDistribution,
    SyntheticPlan, Times, WATCHED, svg, today,
};
use basalt_cluster::{ClusterSize, LocalCluster, Variant};
use basalt_machine::AcceleratorChoice;
use basalt_progress::{Outcome, Unit};
use basalt_store::write;
use camino::Utf8Path;
use miette::{Result, miette};

use super::{answer, answer_json, debian, images, up};
use crate::arguments::bench::{Bench, BenchBoot, BenchPlan};
use crate::checkout::Checkout;
use crate::table::Table;

mod repo;

/// Runs a benchmark.
pub fn run(checkout: &Checkout, what: &Bench, json: bool) -> Result<ExitCode> {
    match what {
        Bench::Boot(options) => boot(checkout, options, json),
        Bench::Plan(options) => plan(options, json),
        Bench::Repo(options) => repo::run(checkout, options, json),
    }
}

/// Measures time and memory of planning a synthetic distribution.
fn plan(options: &BenchPlan, json: bool) -> Result<ExitCode> {
    let synthetic = SyntheticDistribution::new(options.packages as usize, options.seed);
    let report = SyntheticPlan::make(&synthetic)?.report();
    if json {
        answer_json(&report);
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(["stage", "seconds"]);
    for (stage, seconds) in &report.stages {
        table.row([(*stage).to_owned(), format!("{seconds:.3}")]);
    }
    table.row(["all".to_owned(), format!("{:.3}", report.seconds)]);
    answer(table);
    answer(format!(
        "{} packages and {} RPMs; a package is built from {} others in the median, {} at most\npeak memory {} MiB, {}",
        report.packages,
        report.rpms,
        report.median_below,
        report.most_below,
        report.peak_memory_mib,
        host()
    ));
    Ok(ExitCode::SUCCESS)
}

/// Measures first and second boots from power-on to the first pod: a Basalt node and a Debian 13 node, alternating.
fn boot(checkout: &Checkout, options: &BenchBoot, json: bool) -> Result<ExitCode> {
    let context = checkout.build_context()?;
    let debian = debian::disk(checkout, &context, WATCHED)?;
    let inputs = up::inputs(checkout, &mut up::Clock::start(), &up::NodeChoice::default())?;
    let node = images::make_in(checkout, &context, &["node"])?;
    let facts = node
        .get("node")
        .and_then(|image| Some((image.facts.disk.as_ref()?, image.facts.packages.len())))
        .ok_or_else(|| miette!("the image `node` is not a disk, which it has to be"))?;
    let size = ClusterSize::default();
    let mut systems = [
        Measured::new("Basalt", facts.0.kernel.clone(), facts.1),
        Measured::new("Debian 13", debian.kernel.clone(), debian.packages),
    ];
    let variants = [
        Variant {
            kernel_arguments: WATCHED.iter().map(|&word| word.to_owned()).collect(),
            ..Variant::default()
        },
        Variant {
            disk: Some(debian.disk),
            ..Variant::default()
        },
    ];
    let bench = BootBenchmark {
        cluster: LocalCluster::open(checkout.store.root().join("bench"))?,
        inputs: &inputs,
        size,
        reporter: checkout.reporter(),
    };
    let accelerator = measure(&bench, &mut systems, &variants, options.runs)?;
    let report = BenchmarkReport {
        date: today(),
        host: host(),
        accelerator,
        vcpus: size.vcpus,
        memory_mib: size.memory_mib,
        milestones: MILESTONES,
        systems: systems.into(),
    };
    keep(&checkout.root.join("bench"), &report)?;
    if json {
        answer_json(&report);
    } else {
        show(&report);
    }
    Ok(ExitCode::SUCCESS)
}

/// Measures the systems in turn, each as often as asked for. Returns the accelerator of the machines.
fn measure(
    bench: &BootBenchmark<'_>,
    systems: &mut [Measured],
    variants: &[Variant],
    runs: u32,
) -> Result<Option<AcceleratorChoice>> {
    let mut accelerator = None;
    let total = u64::from(runs) * systems.len() as u64;
    let task = bench.reporter.task("machines", Unit::Items, Some(total));
    for _ in 0..runs {
        for (measured, variant) in systems.iter_mut().zip(variants) {
            task.detail(&measured.name);
            let system = ComparedSystem {
                name: measured.name.clone(),
                variant: variant.clone(),
            };
            let run = bench.run(&system)?;
            bench.reporter.note(&line(&measured.name, &run));
            measured.add(&run);
            accelerator = run.accelerator.or(accelerator);
            task.advance(1);
        }
    }
    task.finish(Outcome::Done);
    Ok(accelerator)
}

fn keep(folder: &Utf8Path, report: &BenchmarkReport) -> Result<()> {
    let json = serde_json::to_string_pretty(report).unwrap_or_default() + "\n";
    write::atomically(&folder.join("boot.json"), json)?;
    write::atomically(&folder.join("boot.md"), report.markdown())?;
    write::atomically(&folder.join("boot.svg"), svg(report))?;
    Ok(())
}

fn line(name: &str, run: &MachineRun) -> String {
    let boot = |times: Times| {
        let parts = MILESTONES.iter().zip(times);
        let parts: Vec<_> = parts.map(|(what, at)| format!("{what} {at:.1} s")).collect();
        parts.join(", ")
    };
    format!(
        "{name}: {}; second boot: {}; {:.0} MiB of memory in use at rest",
        boot(run.first),
        boot(run.second),
        run.idle.working_set_mib
    )
}

fn show(report: &BenchmarkReport) {
    let columns = report.columns();
    let [first, second, ratio] = [0, 1, 2].map(|index| columns.get(index).map(String::as_str).unwrap_or_default());
    let mut table = Table::new(["seconds from power-on to", first, second, ratio]);
    for ReportRow { label, cells } in report.rows() {
        let cell = |index: usize| cells.get(index).cloned().unwrap_or_default();
        table.row([label, cell(0), cell(1), cell(2)]);
    }
    answer(format!("\n{table}"));
    answer(format!(
        "{}\nkept in bench/boot.json, boot.md and boot.svg",
        report.setting()
    ));
}

/// Describes this machine: number and model of its processors.
fn host() -> String {
    let cores = basalt_schedule::cores();
    let text = fs_err::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("an unknown processor", |rest| rest.trim_start_matches([' ', '\t', ':']));
    format!("{cores} cores of {model}")
}
