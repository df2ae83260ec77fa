//! Report of a comparison: serialized for scripts, as Markdown for README.md and the terminal.

use std::fmt::Write as _;

use basalt_machine::AcceleratorChoice;
use serde::Serialize;

use crate::{IdleMemory, MILESTONES, MachineRun, Summary, Times, summarize};

/// Measurements of one system.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// Name of the system.
    pub name: String,
    /// Release of the kernel.
    pub kernel: String,
    /// Number of installed packages.
    pub packages: usize,
    /// Seconds from power-on to each milestone of the first boot, run by run.
    pub runs: Vec<Times>,
    /// The same of the second boot.
    pub second_boots: Vec<Times>,
    /// Memory at rest, run by run.
    pub idle: Vec<IdleMemory>,
}

/// Comparison of several systems.
#[derive(Debug, Clone, Serialize)]
pub struct BenchmarkReport {
    /// Date of the measurement, as 2026-11-25.
    pub date: String,
    /// Description of the host on which the machines ran.
    pub host: String,
    /// Accelerator of the machines, with the reason for its choice.
    pub accelerator: Option<AcceleratorChoice>,
    /// Processors of each machine.
    pub vcpus: u32,
    /// Memory of each machine, in MiB.
    pub memory_mib: u32,
    /// Names of the milestones: the columns of `runs` and `second_boots`.
    pub milestones: [&'static str; MILESTONES.len()],
    /// Measured systems; the others are compared with the first.
    pub systems: Vec<Measured>,
}

/// Row of the report's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportRow {
    /// First cell.
    pub label: String,
    /// One cell for each column of [`BenchmarkReport::columns`]; none in a row that is the title of those after it.
    pub cells: Vec<String>,
}

impl Measured {
    /// Makes the description of a system that was not measured yet.
    pub fn new(name: impl Into<String>, kernel: impl Into<String>, packages: usize) -> Self {
        Self {
            name: name.into(),
            kernel: kernel.into(),
            packages,
            runs: Vec::new(),
            second_boots: Vec::new(),
            idle: Vec::new(),
        }
    }

    /// Adds a run.
    pub fn add(&mut self, run: &MachineRun) {
        self.runs.push(run.first);
        self.second_boots.push(run.second);
        self.idle.push(run.idle);
    }

    /// Summarizes the first boots for one milestone, an index into [`MILESTONES`].
    pub fn first_boot(&self, milestone: usize) -> Summary {
        summarize(milestone_of(&self.runs, milestone))
    }

    /// Summarizes the second boots for one milestone, an index into [`MILESTONES`].
    pub fn second_boot(&self, milestone: usize) -> Summary {
        summarize(milestone_of(&self.second_boots, milestone))
    }
}

fn milestone_of(runs: &[Times], milestone: usize) -> Vec<f64> {
    runs.iter().filter_map(|times| times.get(milestone).copied()).collect()
}

fn memory(system: &Measured, amount: fn(&IdleMemory) -> f64) -> Vec<f64> {
    system.idle.iter().map(amount).collect()
}

impl BenchmarkReport {
    /// Describes the measurement in one line: shape of the machines, accelerator, host, number of runs, date.
    pub fn setting(&self) -> String {
        let accelerator = match &self.accelerator {
            Some(verdict) => verdict.accelerator.to_string(),
            None => "an unknown accelerator".to_owned(),
        };
        let runs = self.systems.iter().map(|system| system.runs.len()).max().unwrap_or(0);
        format!(
            "{} vCPU, {} MiB, QEMU with {accelerator} on {}; {runs} runs of each, alternating; {}",
            self.vcpus, self.memory_mib, self.host, self.date
        )
    }

    /// Titles of the table's columns after the first: the systems, and a ratio for each system after the first one.
    pub fn columns(&self) -> Vec<String> {
        let names = self.systems.iter().map(|system| system.name.clone());
        let ratios = match &self.systems[..] {
            [_, _] => vec!["ratio".to_owned()],
            systems => systems
                .iter()
                .skip(1)
                .map(|other| format!("ratio to {}", other.name))
                .collect(),
        };
        names.chain(ratios).collect()
    }

    /// Rows of the table: medians with least and most. Ratios are those of the runs that were made one after the other.
    pub fn rows(&self) -> Vec<ReportRow> {
        let title = |label: &str| ReportRow {
            label: label.to_owned(),
            cells: Vec::new(),
        };
        let mut rows = vec![title("first boot")];
        for (index, milestone) in MILESTONES.iter().enumerate() {
            rows.push(self.row(milestone, 1, |system| milestone_of(&system.runs, index)));
        }
        rows.push(title("second boot, from the same disk"));
        for (index, milestone) in MILESTONES.iter().enumerate() {
            rows.push(self.row(milestone, 1, |system| milestone_of(&system.second_boots, index)));
        }
        rows.push(title("system"));
        rows.push(self.row("memory in use at rest, MiB", 0, |system| {
            memory(system, |idle| idle.working_set_mib)
        }));
        rows.push(self.row("anonymous memory at rest, MiB", 0, |system| {
            memory(system, |idle| idle.anonymous_mib)
        }));
        rows.push(self.fact("packages", |system| system.packages.to_string()));
        rows.push(self.fact("kernel", |system| system.kernel.clone()));
        rows
    }

    fn row(&self, label: &str, decimals: usize, values: impl Fn(&Measured) -> Vec<f64>) -> ReportRow {
        let all: Vec<Vec<f64>> = self.systems.iter().map(values).collect();
        let mut cells: Vec<_> = all
            .iter()
            .map(|values| cell(values.iter().copied(), decimals))
            .collect();
        if let Some((first, others)) = all.split_first() {
            let ratios = |other: &Vec<f64>| cell(first.iter().zip(other).map(|(one, other)| one / other), 2);
            cells.extend(others.iter().map(ratios));
        }
        ReportRow {
            label: label.to_owned(),
            cells,
        }
    }

    fn fact(&self, label: &str, fact: impl Fn(&Measured) -> String) -> ReportRow {
        let mut cells: Vec<_> = self.systems.iter().map(fact).collect();
        cells.resize(self.columns().len(), String::new());
        ReportRow {
            label: label.to_owned(),
            cells,
        }
    }

    /// Renders the comparison as a Markdown table, with medians and ranges.
    pub fn markdown(&self) -> String {
        let columns = self.columns();
        let mut text = format!("| seconds from power-on to | {} |\n| --- |", columns.join(" | "));
        text.push_str(&" ---: |".repeat(columns.len()));
        for ReportRow { label, cells } in self.rows() {
            if cells.is_empty() {
                let _ = write!(text, "\n| **{label}** |{}", " |".repeat(columns.len()));
                continue;
            }
            let _ = write!(text, "\n| {label} |");
            for cell in cells {
                let _ = write!(text, " {cell} |");
            }
        }
        let _ = write!(
            text,
            "\n\nMedian (least – most); a ratio is that of two runs one after the other. {}. Repeat it: `./basalt bench boot`.\n",
            self.setting()
        );
        text
    }
}

/// Median of values with their range.
fn cell(values: impl IntoIterator<Item = f64>, decimals: usize) -> String {
    let Summary { median, least, most } = summarize(values);
    format!("{median:.decimals$} ({least:.decimals$} – {most:.decimals$})")
}

/// Date of today (UTC), as 2026-11-25.
pub fn today() -> String {
    time::OffsetDateTime::from(std::time::SystemTime::now())
        .date()
        .to_string()
}

/// Example of a report for tests, with invented figures.
#[cfg(test)]
pub(crate) fn example() -> BenchmarkReport {
    use basalt_machine::Accelerator;
    let idle = |working_set_mib: f64| IdleMemory {
        working_set_mib,
        anonymous_mib: 200.0,
        available_mib: 1900.0 - working_set_mib,
    };
    BenchmarkReport {
        date: "2000-01-01".into(),
        host: "2 cores of a test".into(),
        accelerator: Some(AcceleratorChoice {
            accelerator: Accelerator::Tcg,
            reason: "there is no /dev/kvm here".into(),
        }),
        vcpus: 2,
        memory_mib: 2048,
        milestones: MILESTONES,
        systems: vec![
            Measured {
                runs: vec![
                    [4.0, 5.0, 8.0, 9.0, 10.0, 11.0, 15.0, 20.0, 24.0],
                    [4.2, 5.2, 8.4, 9.2, 10.2, 11.2, 16.0, 22.0, 26.0],
                ],
                second_boots: vec![
                    [4.0, 5.0, 7.0, 8.0, 9.0, 10.0, 12.0, 12.5, 18.0],
                    [4.2, 5.2, 7.4, 8.2, 9.2, 10.2, 12.0, 13.5, 19.0],
                ],
                idle: vec![idle(310.4), idle(320.0)],
                ..Measured::new("Basalt", "6.12.1", 60)
            },
            Measured {
                runs: vec![[4.0, 8.0, 20.0, 25.0, 30.0, 35.0, 50.0, 60.0, 68.0]],
                second_boots: vec![[4.0, 8.0, 18.0, 20.0, 22.0, 24.0, 30.0, 31.0, 40.0]],
                idle: vec![idle(500.0)],
                ..Measured::new("Debian 13", "6.12.1+deb13-cloud-amd64", 140)
            },
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_was_measured_and_how() {
        insta::assert_snapshot!(example().markdown());
    }

    #[test]
    fn every_row_has_a_cell_for_each_column() {
        for report in [1, 2, 3].map(|count| {
            let mut report = example();
            report.systems = std::iter::repeat_n(report.systems, count)
                .flatten()
                .take(count)
                .collect();
            report
        }) {
            let columns = report.columns().len();
            assert_eq!(columns, 2 * report.systems.len() - 1);
            let is_whole = |row: &ReportRow| row.cells.is_empty() || row.cells.len() == columns;
            assert!(report.rows().iter().all(is_whole), "{:?}", report.rows());
        }
    }

    #[test]
    fn scripts_find_all_runs() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&example()).expect("JSON"));
    }
}
