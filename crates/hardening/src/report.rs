//! What came of looking.

use std::collections::BTreeMap;

use basalt_model::problem::Problems;
use serde::Serialize;

use crate::check::{Check, Finding};
use crate::contents::{Contents, Entry};
use crate::exceptions::Exceptions;
use crate::makers::Makers;
use crate::rules::Rules;
use crate::{linkage, programs};

/// What came of looking at an image.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The name of the image.
    pub image: String,
    /// Check by check, those that there was something to look at for.
    pub groups: Vec<Group>,
    /// How many programs and libraries are marked for branch tracking and for shadow stacks. The hardware's part of
    /// control-flow integrity works where all of a process is marked; nothing is asked here.
    pub marked: Marked,
    /// Exceptions that nothing needs.
    #[serde(skip)]
    pub unused: Option<Problems>,
}

/// What is marked for the hardware's control-flow integrity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Marked {
    /// All programs and libraries.
    pub programs: usize,
    /// For indirect branch tracking.
    pub branch_tracking: usize,
    /// For shadow stacks.
    pub shadow_stack: usize,
}

/// What came of one check.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// The check.
    pub check: Check,
    /// How many were as they should be.
    pub fine: usize,
    /// What is otherwise, for a reason.
    pub excepted: Vec<Excepted>,
    /// What is wrong.
    pub wrong: Vec<Finding>,
}

/// What is otherwise than it should be, and the reason.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Excepted {
    /// What it is.
    #[serde(flatten)]
    pub finding: Finding,
    /// Why it may be so.
    pub reason: String,
}

impl Report {
    /// How many things are wrong, exceptions without need among them.
    pub fn wrong(&self) -> usize {
        let unused = self.unused.as_ref().map_or(0, Problems::errors);
        self.groups.iter().map(|group| group.wrong.len()).sum::<usize>() + unused
    }
}

/// What an image is held against: what its distribution says in files of its own.
#[derive(Debug)]
pub struct Standard {
    /// Who may have made what is compiled.
    pub makers: Makers,
    /// What is asked of a kernel.
    pub rules: Rules,
    /// What may be otherwise.
    pub exceptions: Exceptions,
}

/// Holds an image of that name against a standard. `arch` is the kernel's name of the architecture, which some rules are
/// about.
pub fn inspect(image: &str, arch: &str, contents: &Contents, standard: &Standard) -> Report {
    let Standard {
        makers,
        rules,
        exceptions,
    } = standard;
    let mut groups = Groups {
        exceptions,
        groups: BTreeMap::new(),
    };
    let mut marked = Marked::default();
    for program in &contents.programs {
        let mut verdicts = programs::judge(&program.elf);
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
        verdicts.push((Check::Maker, makers.judge(&program.elf)));
        for (check, wrong) in verdicts {
            let finding = |what| Finding {
                check,
                subject: program.path.clone(),
                package: program.package.clone(),
                language: Some(program.elf.language),
                what,
            };
            groups.add(check, wrong.map(finding));
        }
    }
    for entry in &contents.entries {
        for (check, wrong) in rights(entry, contents) {
            let finding = |what| Finding {
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
        let fitting = rules.rules.iter();
        for rule in fitting.filter(|rule| rule.arch.as_ref().is_none_or(|wanted| wanted == arch)) {
            let check = rule.want.check();
            let finding = |what: String| Finding {
                check,
                subject: rule.want.subject().to_owned(),
                package: String::new(),
                language: None,
                what: format!("{what}: {}", rule.why),
            };
            groups.add(check, kernel.lacks(rule).map(finding));
        }
    }
    let groups: Vec<Group> = groups.groups.into_values().collect();
    let excused = groups.iter().flat_map(|group| &group.excepted);
    let unused = exceptions.unused(image, excused.map(|excepted| &excepted.finding));
    Report {
        image: image.to_owned(),
        groups,
        marked,
        unused,
    }
}

struct Groups<'e> {
    exceptions: &'e Exceptions,
    groups: BTreeMap<Check, Group>,
}

impl Groups<'_> {
    fn add(&mut self, check: Check, finding: Option<Finding>) {
        let group = self.groups.entry(check).or_insert_with(|| Group {
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
            Some(reason) => group.excepted.push(Excepted { finding, reason }),
            None => group.wrong.push(finding),
        }
    }
}

/// What is wrong with the rights of a file or a folder.
fn rights(entry: &Entry, contents: &Contents) -> [(Check, Option<String>); 3] {
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
    use crate::settings::Kernel;
    use crate::{Kconfig, Rules};

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

    fn contents() -> Contents {
        let names = BTreeMap::from([(0, "root".to_owned()), (190, "chrony".to_owned())]);
        Contents {
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
            ..Contents::default()
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
        let standard = Standard {
            makers: Makers::parse("makers.toml", "").expect("right"),
            rules,
            exceptions,
        };
        let report = inspect("node", "x86_64", &contents(), &standard);
        assert!(report.unused.is_none());
        assert_eq!(report.wrong(), 6);
        insta::assert_snapshot!(serde_json::to_string_pretty(&report).expect("JSON"));
    }
}
