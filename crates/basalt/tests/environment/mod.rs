//! Environments that any user's command meets, and what it does in them: closed pipes, full disks, values that are not UTF-8,
//! variables for colours.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Output, Stdio};

/// Exit code after a write to a closed pipe: 128 + SIGPIPE.
pub const CLOSED_PIPE: i32 = 141;
/// Variables, and whether errors are coloured with them where standard error is no terminal.
pub const COLOURS: [(&[(&str, &str)], bool); 4] = [
    (&[], false),
    (&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")], false),
    (&[("CLICOLOR_FORCE", "1")], true),
    (&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
];

/// Run of the command with some arguments, after a change of its environment.
pub type Run<'r> = &'r dyn Fn(&[&str], &dyn Fn(&mut Command)) -> Output;

/// Write end of a pipe that nobody reads.
pub fn closed_pipe() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

/// File that takes nothing.
pub fn full_disk() -> Stdio {
    let file = fs_err::File::options().write(true).open("/dev/full");
    file.expect("opened").into_file().into()
}

/// Name that is not UTF-8.
pub fn not_utf8() -> &'static OsStr {
    OsStr::from_bytes(b"caf\xe9")
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

pub fn ends_silently_with_a_closed_pipe(run: Run<'_>, arguments: &[&str]) {
    let output = run(arguments, &|command| {
        command.stdout(closed_pipe());
    });
    assert_eq!(stderr(&output), "", "{arguments:?}");
    assert_eq!(output.status.code(), Some(CLOSED_PIPE), "{arguments:?}");
}

pub fn fails_on_a_full_disk(run: Run<'_>, arguments: &[&str]) {
    let output = run(arguments, &|command| {
        command.stdout(full_disk());
    });
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {text}");
    assert!(
        text.contains("cannot write to standard output"),
        "{arguments:?}: {text}"
    );
}

pub fn names_variables_that_are_not_utf8(run: Run<'_>) {
    for variable in ["BASALT_STORE", "BASALT_ROOT", "BASALT_CACHE"] {
        let output = run(&["status"], &|command| {
            command.env(variable, not_utf8());
        });
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{variable}: {text}");
        for words in [variable, "not UTF-8"] {
            assert!(text.contains(words), "{variable}: `{words}` is not in: {text}");
        }
    }
}
