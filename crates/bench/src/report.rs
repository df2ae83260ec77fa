//! What a comparison came to: for scripts, for README.md, for people.

use std::fmt::Write as _;

use basalt_machine::Verdict;
use serde::Serialize;

use crate::{MILESTONES, Summary, Times, summarize};

/// What was measured of one system.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// Its name.
    pub name: String,
    /// The release of its kernel.
    pub kernel: String,
    /// How many packages it has.
    pub packages: usize,
    /// Seconds from power-on to each milestone, run by run.
    pub runs: Vec<Times>,
}

/// A comparison.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The day, as 2026-11-25.
    pub date: String,
    /// The machine on which it was made.
    pub host: String,
    /// How the processors of the machines were run.
    pub accelerator: Option<Verdict>,
    /// Processors of each machine.
    pub vcpus: u32,
    /// Memory of each machine, in MiB.
    pub memory_mib: u32,
    /// What the columns of `runs` are.
    pub milestones: [&'static str; MILESTONES.len()],
    /// The systems: the first is the one that others are compared with.
    pub systems: Vec<Measured>,
}

impl Measured {
    /// What its runs come to for one milestone.
    pub fn summary(&self, milestone: usize) -> Summary {
        summarize(self.runs.iter().map(|times| times[milestone]))
    }
}

impl Report {
    /// How the machines were run, in a few words.
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

    /// A table for people and for README.md.
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

/// The day, as 2026-11-25.
pub fn today() -> String {
    time::OffsetDateTime::from(std::time::SystemTime::now())
        .date()
        .to_string()
}

/// A report for tests: what it says was never measured.
#[cfg(test)]
pub(crate) fn example() -> Report {
    use basalt_machine::Accelerator;
    Report {
        date: "2000-01-01".into(),
        host: "2 cores of a test".into(),
        accelerator: Some(Verdict {
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
