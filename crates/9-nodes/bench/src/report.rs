//! Report of a comparison: serialized for scripts, as Markdown for README.md and the terminal.

use std::fmt::Write as _;

use basalt_machine::AcceleratorChoice;
use serde::Serialize;

use crate::{MILESTONES, Summary, Times, summarize};

/// Measurements of one system.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// Name of the system.
    pub name: String,
    /// Release of the kernel.
    pub kernel: String,
    /// Number of installed packages.
    pub packages: usize,
    /// Seconds from power-on to each milestone, run by run.
    pub runs: Vec<Times>,
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
    /// Names of the milestones: the columns of `runs`.
    pub milestones: [&'static str; MILESTONES.len()],
    /// Measured systems; the others are compared with the first.
    pub systems: Vec<Measured>,
}

impl Measured {
    /// Summarizes the runs for one milestone, an index into [`MILESTONES`].
    pub fn summary(&self, milestone: usize) -> Summary {
        summarize(self.runs.iter().filter_map(|times| times.get(milestone).copied()))
    }
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

    /// Renders the comparison as a Markdown table, with medians and ranges in seconds.
    pub fn markdown(&self) -> String {
        let mut text = String::from("| seconds from power-on to |");
        for system in &self.systems {
            let _ = write!(text, " {} |", system.name);
        }
        text.push_str("\n| --- |");
        text.push_str(&" ---: |".repeat(self.systems.len()));
        for (index, milestone) in MILESTONES.iter().enumerate() {
            let _ = write!(text, "\n| {milestone} |");
            for system in &self.systems {
                let Summary { median, least, most } = system.summary(index);
                let _ = write!(text, " {median:.1} ({least:.1} – {most:.1}) |");
            }
        }
        text.push_str("\n| packages |");
        for system in &self.systems {
            let _ = write!(text, " {} |", system.packages);
        }
        text.push_str("\n| kernel |");
        for system in &self.systems {
            let _ = write!(text, " {} |", system.kernel);
        }
        let _ = write!(
            text,
            "\n\nMedian (quickest – slowest). {}. Repeat it: `./basalt bench boot`.\n",
            self.setting()
        );
        text
    }
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
                name: "Basalt".into(),
                kernel: "6.12.1".into(),
                packages: 60,
                runs: vec![[4.0, 5.0, 8.0, 20.0, 24.0], [4.2, 5.2, 8.4, 22.0, 26.0]],
            },
            Measured {
                name: "Debian 13".into(),
                kernel: "6.12.1+deb13-cloud-amd64".into(),
                packages: 140,
                runs: vec![[4.0, 8.0, 20.0, 60.0, 68.0]],
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
}
