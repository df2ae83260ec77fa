//! What the tests of the whole share: what they work with, their runner, networks between machines, serial consoles.
//!
//! Those tests are the programs of `basalt-tests`, in the folder above. They want the machine to themselves and are run by
//! `./basalt test`, which tells them in variables what they work with: see [`TestEnvironment`].
//!
//! ```text
//! TestEnvironment (SDK, basalt, checkout) --> TestDirectory (a folder on the store's disk, gone afterwards)
//!                                               └── Cli: the real command, on a checkout and a store of the test's own
//! ```

mod cli;
mod environment;
pub mod lan;
mod recorder;
mod runner;
mod serial;
mod shell;

pub use cli::{Cli, Ran, Started, marked_processes, pause, until, until_every};
pub use environment::{EnvironmentError, TestDirectory, TestEnvironment};
pub use recorder::Recorder;
pub use runner::{TestCase, run_tests};
pub use serial::{console_end, console_text};
pub use shell::Shell;

use camino::Utf8Path;

/// Returns `true` in `./basalt test --long`, where tests that count cases have more of them.
pub fn is_long() -> bool {
    std::env::var_os("BASALT_TEST_LONG").is_some()
}

/// Failure of a test: its message.
pub type Failed = libtest_mimic::Failed;

/// An error with its causes and what helps, in one text.
pub fn shown(error: impl Into<miette::Report>) -> Failed {
    let report: miette::Report = error.into();
    rendered(&report).into()
}

/// The same as text, for comparing.
pub fn rendered(report: &miette::Report) -> String {
    let mut text = String::new();
    let handler = miette::NarratableReportHandler::new();
    match handler.render_report(&mut text, report.as_ref()) {
        Ok(()) => text,
        Err(_) => report.to_string(),
    }
}

/// Fails unless a text has all the pieces in it.
pub fn has_all(text: &str, pieces: &[&str]) -> Result<(), Failed> {
    let missing: Vec<_> = pieces.iter().filter(|piece| !text.contains(**piece)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!("{missing:?} are not in this text:\n{text}").into())
}

/// Fails with a text unless a condition holds.
pub fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(otherwise().into()) }
}

/// Links in `copy`, which is made, to everything in a folder but what is left out.
pub fn link_all(folder: &Utf8Path, copy: &Utf8Path, left_out: &[&str]) -> Result<(), Failed> {
    fs_err::create_dir_all(copy)?;
    for entry in folder.read_dir_utf8()? {
        let entry = entry?;
        if !left_out.contains(&entry.file_name()) {
            fs_err::os::unix::fs::symlink(entry.path(), copy.join(entry.file_name()))?;
        }
    }
    Ok(())
}
