//! Lines of test programs for whoever runs them: tests that cannot run on a machine, and why.
//!
//! ```text
//! test --(skip, skip_this, skip_all)--> standard error, past the harness --(basalt test)--> counted as skipped, shown
//! ```
//!
//! A test that lacks something it needs and passes without a word would look like one that ran. For development only: no
//! crate of a stage depends on this one but in its tests.

use std::fmt::Display;
use std::io::Write as _;

/// Line that the test `name` cannot run here, with its reason, as `basalt test` counts it.
pub fn line(name: &str, reason: impl Display) -> String {
    format!("SKIPPED {name}: {}\n", one_line(reason))
}

/// Writes that the test `name` cannot run here. It has to return then.
pub fn skip(name: &str, reason: impl Display) {
    write(&line(name, reason));
}

/// Writes that the running test, which the standard harness has named its thread after, cannot run here. It has to return
/// then.
pub fn skip_this(reason: impl Display) {
    let thread = std::thread::current();
    // The harness runs tests on the main thread when it is to use one.
    let name = thread.name().filter(|name| *name != "main");
    skip(name.unwrap_or("a test"), reason);
}

/// Writes that a test program leaves tests out, which it reports as ignored.
pub fn skip_all(reason: impl Display) {
    write(&format!("SKIPPED: {}\n", one_line(reason)));
}

/// Puts the lines of a text, such as an error with the output of a command, into one.
fn one_line(text: impl Display) -> String {
    let text = text.to_string();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("; ")
}

/// Writes a line to standard error at once. The macros would not do: the harness captures what they print and shows it of
/// failed tests only.
fn write(line: &str) {
    // Nobody reads what a closed standard error is given.
    drop(std::io::stderr().write_all(line.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_of_several_lines_is_one() {
        let reason = "`unshare` failed:\n  not permitted\n\n";
        assert_eq!(
            line("a_full_disk", reason),
            "SKIPPED a_full_disk: `unshare` failed:; not permitted\n"
        );
    }

    #[test]
    fn lines_are_written_past_the_harness() {
        if std::env::var_os("BASALT_SKIPPED_HERE").is_some() {
            skip("named", "no tool");
            skip_this("no tool");
            skip_all("nothing is tried");
            return;
        }
        #[expect(clippy::disallowed_methods, reason = "a crate for tests has no dependencies")]
        let output = std::process::Command::new(std::env::current_exe().expect("this program"))
            .args(["lines_are_written_past_the_harness", "--test-threads=2"])
            .env("BASALT_SKIPPED_HERE", "")
            .output()
            .expect("runs");
        let written = String::from_utf8(output.stderr).expect("text");
        let expected = [
            "SKIPPED named: no tool",
            "SKIPPED tests::lines_are_written_past_the_harness: no tool",
            "SKIPPED: nothing is tried",
        ];
        assert_eq!(written.lines().collect::<Vec<_>>(), expected);
    }
}
