//! Logs of builds: phases, and the lines that show an error.

use camino::{Utf8Path, Utf8PathBuf};

/// Phases of rpmbuild, as the log names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildPhase {
    /// Start, before the first section of the spec.
    Start,
    /// `%prep`: sources are unpacked and patched.
    Prep,
    /// `%build`.
    Build,
    /// `%install`: files go into the build root.
    Install,
    /// `%check`.
    Check,
    /// Files are collected into packages.
    Package,
}

impl BuildPhase {
    /// Returns the name of the phase in specs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Prep => "%prep",
            Self::Build => "%build",
            Self::Install => "%install",
            Self::Check => "%check",
            Self::Package => "%files",
        }
    }

    /// Returns the phase that begins with a line of the log, if one does.
    pub(crate) fn begun_by(line: &str) -> Option<Self> {
        if line.starts_with("Processing files:") || line.starts_with("Checking for unpackaged file") {
            return Some(Self::Package);
        }
        match line.strip_prefix("Executing(")?.split(')').next()? {
            "%prep" | "%mkbuilddir" => Some(Self::Prep),
            "%build" | "%conf" => Some(Self::Build),
            "%install" => Some(Self::Install),
            "%check" => Some(Self::Check),
            _ => None,
        }
    }
}

/// Reader of a growing log: the current phase, and its last lines.
#[derive(Debug)]
pub(crate) struct LogReader {
    pub(crate) phase: BuildPhase,
    lines: Vec<String>,
}

/// Number of lines that are kept of a phase.
const KEPT: usize = 400;
/// Most characters that are kept of a line.
const LONGEST: usize = 4000;
/// Number of lines that an error shows.
const SHOWN: usize = 24;

impl LogReader {
    pub(crate) fn new() -> Self {
        Self {
            phase: BuildPhase::Start,
            lines: Vec::new(),
        }
    }

    /// Reads the next line; returns `true` if a phase begins with it.
    pub(crate) fn line(&mut self, line: &str) -> bool {
        let begun = BuildPhase::begun_by(line).filter(|phase| *phase != self.phase);
        if let Some(phase) = begun {
            self.phase = phase;
            self.lines.clear();
        }
        if self.lines.len() == KEPT {
            self.lines.drain(..KEPT / 2);
        }
        self.lines.push(line.chars().take(LONGEST).collect());
        begun.is_some()
    }

    /// Returns the lines that show why the phase failed.
    pub(crate) fn relevant_lines(&self) -> Vec<String> {
        relevant_lines(&self.lines)
    }
}

/// Selects the last lines of a log: from the first one that mentions an error on, without rpmbuild's own epilogue.
fn relevant_lines(lines: &[String]) -> Vec<String> {
    let epilogue = lines
        .iter()
        .rposition(|line| line.starts_with("RPM build errors:") || line.starts_with("error: Bad exit"));
    // rpmbuild's own findings (unpackaged files, missing files) are only in its epilogue.
    let own = lines
        .iter()
        .skip(epilogue.unwrap_or(lines.len()))
        .any(|line| line.contains("File not found") || line.contains("unpackaged") || line.contains("Bad file"));
    let body = if own {
        lines
    } else {
        epilogue.and_then(|epilogue| lines.get(..epilogue)).unwrap_or(lines)
    };
    let loud = |line: &String| {
        let line = line.to_ascii_lowercase();
        [
            "error:",
            "error ",
            "fatal",
            "undefined reference",
            "no such file",
            "failed",
            "not found",
            "cannot ",
        ]
        .iter()
        .any(|word| line.contains(word))
    };
    let end = body
        .iter()
        .rposition(loud)
        .map_or(body.len(), |last| (last + 3).min(body.len()));
    let start = body
        .iter()
        .take(end)
        .position(loud)
        .unwrap_or(0)
        .saturating_sub(2)
        .max(end.saturating_sub(SHOWN));
    body.iter().take(end).skip(start).map(|line| shorten(line)).collect()
}

/// Shortens a line: command lines of compilers are long, and their beginning matters.
fn shorten(line: &str) -> String {
    const WIDTH: usize = 240;
    let cut = line.char_indices().nth(WIDTH);
    match cut.and_then(|(end, _)| line.get(..end)) {
        Some(beginning) => format!("{beginning} ..."),
        None => line.to_owned(),
    }
}

/// Returns the path of the whole log of a package's last build, in the store's folder of logs.
pub fn path(logs: &Utf8Path, package: &str) -> Utf8PathBuf {
    logs.join(format!("{package}.log"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(text: &str) -> LogReader {
        let mut reader = LogReader::new();
        for line in text.lines() {
            reader.line(line);
        }
        reader
    }

    #[test]
    fn the_phase_and_the_error_are_found() {
        let reader = follow(
            "Executing(%prep): /bin/sh -e /var/tmp/a\nunpacking\nExecuting(%build): /bin/sh -e /var/tmp/b\n\
             gcc -c a.c\na.c:1:1: error: unknown type name 'foo'\nmake: *** [a.o] Error 1\n\
             error: Bad exit status from /var/tmp/b (%build)\n\nRPM build errors:\n    Bad exit status",
        );
        assert_eq!(reader.phase, BuildPhase::Build);
        let relevant_lines = reader.relevant_lines();
        assert!(
            relevant_lines.contains(&"a.c:1:1: error: unknown type name 'foo'".to_owned()),
            "{relevant_lines:?}"
        );
        assert!(!relevant_lines.iter().any(|line| line.contains("RPM build errors")));
    }

    #[test]
    fn findings_of_rpmbuild_itself_are_kept() {
        let reader = follow(
            "Processing files: a-1\nerror: File not found: /build/x/usr/bin/a\n\nRPM build errors:\n    File not found: \
             /build/x/usr/bin/a",
        );
        assert_eq!(reader.phase, BuildPhase::Package);
        assert!(
            reader
                .relevant_lines()
                .iter()
                .any(|line| line.contains("File not found"))
        );
    }

    #[test]
    fn a_quiet_failure_shows_the_last_lines() {
        let text: String = (0..100).map(|number| format!("line {number}\n")).collect();
        let relevant_lines = follow(&text).relevant_lines();
        assert_eq!(relevant_lines.len(), SHOWN);
        assert_eq!(relevant_lines.last().map(String::as_str), Some("line 99"));
    }
}
