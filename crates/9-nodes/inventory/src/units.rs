//! Units of systemd that somebody added, and additions to those of packages.

use std::collections::BTreeMap;

use crate::HostUnit;
use crate::host_files::{HostFiles, PathKind};
use crate::programs::program;
use crate::syntax::{setting_name, settings};

/// Folders of units that people write to.
const FOLDERS: [&str; 2] = ["/etc/systemd/system", "/usr/local/lib/systemd/system"];
/// Kinds of units.
const KINDS: [&str; 8] = [
    ".service",
    ".timer",
    ".mount",
    ".automount",
    ".socket",
    ".path",
    ".swap",
    ".target",
];

/// Settings of timers that have times.
const TIMES: [&str; 8] = [
    "OnActiveSec",
    "OnBootSec",
    "OnCalendar",
    "OnClockChange",
    "OnStartupSec",
    "OnTimezoneChange",
    "OnUnitActiveSec",
    "OnUnitInactiveSec",
];

/// Reads the units.
pub(crate) fn read(files: &mut HostFiles<'_>) -> Vec<HostUnit> {
    let mut found: BTreeMap<String, HostUnit> = BTreeMap::new();
    for folder in FOLDERS {
        for name in files.names(folder) {
            let path = format!("{folder}/{name}");
            let is_link = files.link(&path).is_some();
            match files.kind(&path) {
                Some(PathKind::Folder) if !is_link => read_folder(files, &mut found, &path, &name),
                // Links are names of other units, or units that are masked.
                Some(PathKind::File) if !is_link && KINDS.iter().any(|kind| name.ends_with(kind)) => {
                    let Some(text) = files.text(&path) else { continue };
                    let unit = found.entry(name).or_default();
                    unit.files.push(path);
                    unit.is_own = true;
                    describe(files, unit, &text);
                }
                _ => {}
            }
        }
    }
    let named = found.into_iter().map(|(name, unit)| HostUnit { name, ..unit });
    // A link that starts a unit of a package is that package's.
    let named = named.filter(|unit| !unit.files.is_empty());
    named.collect()
}

/// Reads a folder beside units: additions to one, or links to those that are started.
fn read_folder(files: &mut HostFiles<'_>, found: &mut BTreeMap<String, HostUnit>, path: &str, name: &str) {
    if let Some(unit) = name.strip_suffix(".d") {
        for path in files.paths(path, ".conf") {
            let Some(text) = files.text(&path) else { continue };
            let unit = found.entry(unit.to_owned()).or_default();
            for setting in settings(&text) {
                let setting = setting_name(&setting);
                if !unit.settings.contains(&setting) {
                    unit.settings.push(setting);
                }
            }
            unit.files.push(path);
        }
    } else if name.ends_with(".wants") || name.ends_with(".requires") {
        for unit in files.names(path) {
            found.entry(unit).or_default().is_enabled = true;
        }
    }
}

/// Keeps the program and the times of a unit.
fn describe(files: &HostFiles<'_>, unit: &mut HostUnit, text: &str) {
    for setting in settings(text) {
        match (setting.section.as_str(), setting.key.as_str()) {
            ("Service", "ExecStart") if unit.program.is_none() => unit.program = program(files, &setting.value),
            ("Mount", "Where") if setting.value.starts_with('/') => unit.program = Some(setting.value.clone()),
            ("Timer", key) if TIMES.contains(&key) => unit.schedule.push(format!("{key}={}", setting.value)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_have_no_arguments() {
        let root = tempfile::tempdir().expect("a folder");
        let mut unit = HostUnit::default();
        describe(
            &HostFiles::new(root.path()),
            &mut unit,
            "[Service]\nExecStart=/usr/bin/x --token abc\n[Timer]\nOnCalendar=daily\nPersistent=true\nOnHunter2=x\n",
        );
        assert_eq!(unit.program.as_deref(), Some("/usr/bin/x"));
        assert_eq!(unit.schedule, ["OnCalendar=daily"]);
    }
}
