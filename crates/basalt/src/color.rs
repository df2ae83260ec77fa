//! Colours of standard error: whether messages carry ANSI escape sequences.
//!
//! By hand, and as `anstream` decides for the text of `--help`, which writes it itself: miette and tracing-subscriber
//! take a decision and follow other variables when left to their own.

use std::ffi::OsString;
use std::io::IsTerminal as _;

/// Returns `true` if messages on standard error are to be coloured.
pub fn on_stderr() -> bool {
    decide(|name| std::env::var_os(name), std::io::stderr().is_terminal())
}

/// Decides by NO_COLOR (no-color.org), CLICOLOR_FORCE and CLICOLOR (bixense.com/clicolors), in this order, and
/// otherwise by the terminal.
fn decide(variable: impl Fn(&str) -> Option<OsString>, is_terminal: bool) -> bool {
    let is_set = |name| variable(name).is_some_and(|value| !value.is_empty());
    let is = |name, expected: &str| variable(name).is_some_and(|value| value == expected);
    if is_set("NO_COLOR") {
        false
    } else if is_set("CLICOLOR_FORCE") && !is("CLICOLOR_FORCE", "0") {
        true
    } else {
        is_terminal && !is("CLICOLOR", "0") && !is("TERM", "dumb")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_come_before_the_terminal() {
        /// Variables, and the decision with and without a terminal.
        type Case = (&'static [(&'static str, &'static str)], bool, bool);
        let cases: [Case; 9] = [
            (&[], true, false),
            (&[("TERM", "xterm-256color")], true, false),
            (&[("TERM", "dumb")], false, false),
            (&[("NO_COLOR", "1")], false, false),
            (&[("NO_COLOR", "")], true, false),
            (&[("CLICOLOR", "0")], false, false),
            (&[("CLICOLOR_FORCE", "1")], true, true),
            (&[("CLICOLOR_FORCE", "0")], true, false),
            (&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false, false),
        ];
        for (variables, on_terminal, in_file) in cases {
            let variable = |name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| OsString::from(value))
            };
            assert_eq!(decide(variable, true), on_terminal, "{variables:?} on a terminal");
            assert_eq!(decide(variable, false), in_file, "{variables:?} in a file");
        }
    }
}
