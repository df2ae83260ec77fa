//! Report on the hardening of an image.

use std::collections::BTreeMap;

use basalt_document::problem::Problems;
use serde::Serialize;

use crate::check::{Check, HardeningFinding};
use crate::contents::{Entry, ImageContents};
use crate::exceptions::Exceptions;
use crate::makers::AllowedCompilers;
use crate::rules::Rules;
use crate::settings::Kernel;
use crate::{linkage, programs};

/// Result of all checks on one image.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HardeningReport {
    /// The name of the image.
    pub image: String,
    /// Results by check, for the checks that had something to look at.
    pub groups: Vec<CheckResult>,
    /// Number of programs and libraries that declare branch tracking and shadow stacks. The hardware enforces
    /// control-flow integrity only where all of a process declares it; no check demands it.
    pub marked: ControlFlowIntegrity,
    /// Exceptions that cover no finding; `None` if there are none.
    #[serde(skip)]
    pub unused: Option<Problems>,
}

/// Number of programs and libraries that declare hardware control-flow integrity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ControlFlowIntegrity {
    /// Number of programs and libraries that were checked.
    pub programs: usize,
    /// Number of those that declare indirect branch tracking (x86) or BTI (AArch64).
    pub branch_tracking: usize,
    /// Number of those that declare shadow stacks (x86).
    pub shadow_stack: usize,
}

/// Result of one check on an image.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckResult {
    /// The check.
    pub check: Check,
    /// Number of subjects that pass.
    pub fine: usize,
    /// Violations that an exception covers.
    pub excepted: Vec<ExceptedFinding>,
    /// Violations that no exception covers.
    pub wrong: Vec<HardeningFinding>,
}

/// Violation that an exception covers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExceptedFinding {
    /// The violation.
    #[serde(flatten)]
    pub finding: HardeningFinding,
    /// Reason of the exception.
    pub reason: String,
}

impl HardeningReport {
    /// Returns the number of errors: violations without an exception, and exceptions that cover nothing.
    pub fn wrong(&self) -> usize {
        let unused = self.unused.as_ref().map_or(0, Problems::errors);
        self.groups.iter().map(|group| group.wrong.len()).sum::<usize>() + unused
    }
}

/// Requirements on an image, read from files of its distribution.
#[derive(Debug)]
pub struct HardeningRequirements {
    /// Compilers that may have produced the image's code.
    pub makers: AllowedCompilers,
    /// Requirements on the kernel.
    pub rules: Rules,
    /// Exceptions from the checks.
    pub exceptions: Exceptions,
}

/// Checks an image against a standard. `arch` is the kernel's name of the architecture, to which some rules are
/// limited.
pub fn inspect(image: &str, arch: &str, contents: &ImageContents, standard: &HardeningRequirements) -> HardeningReport {
    let exceptions = &standard.exceptions;
    let mut groups = Groups {
        exceptions,
        groups: BTreeMap::new(),
    };
    let marked = inspect_programs(&mut groups, contents, &standard.makers);
    for entry in &contents.entries {
        for (check, wrong) in rights(entry, contents) {
            let finding = |what| HardeningFinding {
                check,
                subject: entry.path.clone(),
                package: entry.package.clone(),
                language: None,
                what,
            };
            groups.add(check, wrong.map(finding));
        }
    }
    if let Some(kernel) = &contents.kernel {
        inspect_kernel(&mut groups, kernel, arch, &standard.rules);
    }
    let groups: Vec<CheckResult> = groups.groups.into_values().collect();
    let excused = groups.iter().flat_map(|group| &group.excepted);
    let unused = exceptions.unused(image, excused.map(|excepted| &excepted.finding));
    HardeningReport {
        image: image.to_owned(),
        groups,
        marked,
        unused,
    }
}

/// Checks programs and libraries, and counts those that are marked for control-flow integrity.
fn inspect_programs(
    groups: &mut Groups<'_>,
    contents: &ImageContents,
    makers: &AllowedCompilers,
) -> ControlFlowIntegrity {
    let mut marked = ControlFlowIntegrity::default();
    for program in &contents.programs {
        let mut verdicts = programs::check_elf(&program.elf);
        if !verdicts.is_empty() {
            marked.programs += 1;
            marked.branch_tracking += usize::from(program.elf.branch_tracking);
            marked.shadow_stack += usize::from(program.elf.shadow_stack);
        }
        if program.elf.dynamic {
            verdicts.push((
                Check::Linkage,
                linkage::unresolved(&program.elf, &program.path, |path| contents.paths.contains(path)),
            ));
        }
        verdicts.push((Check::Maker, makers.check(&program.elf)));
        for (check, wrong) in verdicts {
            let finding = |what| HardeningFinding {
                check,
                subject: program.path.clone(),
                package: program.package.clone(),
                language: Some(program.elf.language),
                what,
            };
            groups.add(check, wrong.map(finding));
        }
    }
    marked
}

/// Checks a kernel by the rules for its architecture.
fn inspect_kernel(groups: &mut Groups<'_>, kernel: &Kernel, arch: &str, rules: &Rules) {
    let fitting = rules.rules.iter();
    for rule in fitting.filter(|rule| rule.arch.as_ref().is_none_or(|wanted| wanted == arch)) {
        let check = rule.want.check();
        let finding = |what: String| HardeningFinding {
            check,
            subject: rule.want.subject().to_owned(),
            package: String::new(),
            language: None,
            what: format!("{what}: {}", rule.why),
        };
        groups.add(check, rule.violation(kernel).map(finding));
    }
}

struct Groups<'e> {
    exceptions: &'e Exceptions,
    groups: BTreeMap<Check, CheckResult>,
}

impl Groups<'_> {
    fn add(&mut self, check: Check, finding: Option<HardeningFinding>) {
        let group = self.groups.entry(check).or_insert_with(|| CheckResult {
            check,
            fine: 0,
            excepted: Vec::new(),
            wrong: Vec::new(),
        });
        let Some(finding) = finding else {
            group.fine += 1;
            return;
        };
        match self.exceptions.reason(&finding).map(str::to_owned) {
            Some(reason) => group.excepted.push(ExceptedFinding { finding, reason }),
            None => group.wrong.push(finding),
        }
    }
}

/// Checks the mode and the owner of a file or a folder (`setuid`, `world-writable`, `owner`).
fn rights(entry: &Entry, contents: &ImageContents) -> [(Check, Option<String>); 3] {
    let mode = entry.mode;
    let setuid = match mode & 0o6000 {
        0 => None,
        0o4000 => Some(format!(
            "runs as {} whoever starts it",
            name(&contents.users, entry.user)
        )),
        // On a folder, it only says which group new files are of.
        _ if entry.directory => None,
        _ => Some(format!(
            "runs with the group {} whoever starts it",
            name(&contents.groups, entry.group)
        )),
    };
    let shared = entry.directory && mode & 0o1000 != 0;
    let writable = (mode & 0o002 != 0 && !shared).then(|| format!("everybody may write to it (mode {mode:o})"));
    let known = contents.users.is_empty()
        || contents.users.contains_key(&entry.user) && contents.groups.contains_key(&entry.group);
    let owner = if !known {
        Some(format!("belongs to {}:{}, who is nobody", entry.user, entry.group))
    } else if (entry.user, entry.group) != (0, 0) {
        let (user, group) = (name(&contents.users, entry.user), name(&contents.groups, entry.group));
        Some(format!("belongs to {user}:{group}"))
    } else {
        None
    };
    [
        (Check::Setuid, setuid),
        (Check::WorldWritable, writable),
        (Check::Owner, owner),
    ]
}

fn name(names: &BTreeMap<u32, String>, number: u32) -> String {
    names.get(&number).cloned().unwrap_or_else(|| number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kconfig;

    fn entry(path: &str, directory: bool, mode: u32, user: u32) -> Entry {
        Entry {
            path: path.to_owned(),
            package: "example".to_owned(),
            directory,
            mode,
            user,
            group: user,
        }
    }

    fn contents() -> ImageContents {
        let names = BTreeMap::from([(0, "root".to_owned()), (190, "chrony".to_owned())]);
        ImageContents {
            entries: vec![
                entry("/tmp", true, 0o1777, 0),
                entry("/usr/bin/su", false, 0o4755, 0),
                entry("/usr/bin/write", false, 0o2755, 0),
                entry("/etc/open", false, 0o666, 0),
                entry("/srv/open", true, 0o777, 0),
                entry("/etc/chrony.keys", false, 0o640, 190),
                entry("/etc/lost", false, 0o644, 5),
                entry("/usr/bin/true", false, 0o755, 0),
            ],
            kernel: Some(Kernel {
                config: Kconfig::parse("CONFIG_BUG=y\n"),
                ..Kernel::default()
            }),
            users: names.clone(),
            groups: names,
            ..ImageContents::default()
        }
    }

    #[test]
    fn rights_and_options_are_told() {
        let rules = "[[config]]\noption = \"CONFIG_BUG\"\nwant = \"y\"\nwhy = \"Bugs end what has them.\"\n\
                     [[config]]\noption = \"CONFIG_KEXEC\"\nwant = \"y\"\nwhy = \"For this test.\"\n\
                     [[config]]\noption = \"CONFIG_ARM\"\nwant = \"y\"\nwhy = \"Elsewhere.\"\narch = \"aarch64\"\n";
        let rules = Rules::parse("kspp.toml", rules).expect("right");
        let text =
            "[[exception]]\nchecks = [\"owner\"]\nsubjects = [\"/etc/chrony.*\"]\nreason = \"The keys of chronyd.\"\n";
        let exceptions = Exceptions::parse("hardening.toml", text).expect("right");
        let standard = HardeningRequirements {
            makers: AllowedCompilers::parse("makers.toml", "").expect("right"),
            rules,
            exceptions,
        };
        let report = inspect("node", "x86_64", &contents(), &standard);
        assert!(report.unused.is_none());
        assert_eq!(report.wrong(), 6);
        insta::assert_snapshot!(serde_json::to_string_pretty(&report).expect("JSON"));
    }
}
