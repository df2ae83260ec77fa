//! Running of a test target.

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};

use crate::{Failed, Place, Surroundings, shown};

/// A test: its name, and what it does in the place that it shares with the others.
pub type Story<P> = (&'static str, fn(&P) -> Result<(), Failed>);

/// Runs the tests in the place that `prepare` makes, so many at a time. Without the variables that [`Surroundings`]
/// reads nothing is tested, and said so.
pub fn tell<P: Send + Sync + 'static>(
    stories: &[Story<P>],
    threads: usize,
    prepare: impl FnOnce(Place) -> Result<P, Failed>,
) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(threads);
    if arguments.list {
        return run(&arguments, stories, None);
    }
    let surroundings = match Surroundings::read() {
        Ok(surroundings) => surroundings,
        Err(reason) => {
            complain(&format!("SKIPPED: {reason}"));
            return run(&arguments, stories, None);
        }
    };
    if let Err(error) = basalt_process::interrupt::install() {
        complain(&format!("cannot listen for signals: {error}"));
        return ExitCode::FAILURE;
    }
    match Place::make(surroundings).map_err(shown).and_then(prepare) {
        Ok(place) => run(&arguments, stories, Some(Arc::new(place))),
        Err(error) => {
            complain(error.message().unwrap_or("the place of the tests cannot be made"));
            ExitCode::FAILURE
        }
    }
}

/// Without a place, all tests are left out.
fn run<P: Send + Sync + 'static>(arguments: &Arguments, stories: &[Story<P>], place: Option<Arc<P>>) -> ExitCode {
    let trials = stories.iter().map(|&(name, story)| {
        let place = place.clone();
        let left_out = place.is_none();
        Trial::test(name, move || place.map_or(Ok(()), |place| story(&place))).with_ignored_flag(left_out)
    });
    // The place is gone when the last of them has dropped it: this must not exit before.
    let conclusion = libtest_mimic::run(arguments, trials.collect());
    drop(place);
    conclusion.exit_code()
}

#[expect(clippy::print_stderr, reason = "a test that does not run must say so")]
fn complain(text: &str) {
    eprintln!("{text}");
}
