//! Kernel settings of files and commands, with their lines.

use basalt_document::problem::Problem;
use basalt_document::{Finding, Path};

use super::{Reader, files};

/// Most settings of commands: each `sysctl -p` has those of a file once more. Linux has some 1,000 in all.
const MOST: usize = 2000;

/// A kernel setting, and the place that it is from.
#[derive(Clone)]
pub(super) struct PlacedSysctl {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) place: Problem,
}

impl Reader<'_> {
    /// Takes the settings of a file over.
    pub(super) fn sysctl_file(&mut self, place: &Path, content: &str, file: files::SysctlFile) {
        let content = self.placed_content(place.key("content"), content);
        let placed = file.settings.into_iter().map(|setting| PlacedSysctl {
            place: self.at_line(&content, setting.place, Finding::warning("", "")),
            name: setting.name,
            value: setting.value,
        });
        let placed: Vec<_> = placed.collect();
        self.data.sysctl_files.entry(file.order).or_default().extend(placed);
    }

    /// Takes the settings of a command over.
    pub(super) fn sysctl_command(&mut self, place: &Path, settings: Vec<(String, String)>) {
        let place = self.findings.place(place);
        let placed = settings.into_iter().map(|(name, value)| PlacedSysctl {
            name,
            value,
            place: place.clone(),
        });
        self.data.sysctl_commands.extend(placed);
    }

    /// Takes the settings of a file over once more, after those of all files: `sysctl -p FILE`.
    pub(super) fn sysctl_load(&mut self, place: &Path, path: &str) {
        let order = files::absolute(path).ok().and_then(|path| files::sysctl_order(&path));
        let settings = order.as_ref().and_then(|order| self.data.sysctl_files.get(order));
        let (is_there, is_full) = (settings.is_some(), self.data.sysctl_commands.len() >= MOST);
        let message = match settings.filter(|_| !is_full).cloned() {
            Some(settings) => return self.data.sysctl_commands.extend(settings),
            None if is_there => "there are more kernel settings in commands than Linux has",
            // Machines have one without settings.
            None if order == Some(files::SysctlOrder::Last) => return,
            None => "the file that `sysctl -p` reads is not among those of this data",
        };
        let help = "write it by `write_files`, as /etc/sysctl.d/NAME.conf: the node reads it without a command";
        let finding = Finding::error(message, "not read").with_help(help);
        let problem = self.with_its_words(self.document.at(place, finding));
        self.findings.add(problem);
    }
}
