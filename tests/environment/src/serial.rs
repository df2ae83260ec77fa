//! A machine's serial line: its text.

use camino::Utf8Path;

/// Text of a console's log as far as it was written, in plain lines.
pub fn console_text(log: &Utf8Path) -> String {
    basalt_machine::plain_lines(&fs_err::read(log).unwrap_or_default()).join("\n")
}

/// Last lines of a console's log, for messages.
pub fn console_end(log: &Utf8Path) -> String {
    let text = console_text(log);
    let lines: Vec<_> = text.lines().collect();
    let (_, last) = lines.split_at(lines.len().saturating_sub(60));
    last.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_console_is_its_last_plain_lines() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = Utf8Path::from_path(folder.path()).expect("UTF-8").join("console.log");
        let started = "\u{1b}[0;32m[  OK  ]\u{1b}[0m Started kubelet.\r\n";
        fs_err::write(&log, ["noise\r\n".repeat(100), started.to_owned()].concat()).expect("written");
        let end = console_end(&log);
        assert!(end.ends_with("\n[  OK  ] Started kubelet."), "{end}");
        assert_eq!(end.lines().count(), 60);
    }
}
