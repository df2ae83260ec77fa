//! Runner of a test target.

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};

use crate::{EnvironmentError, Failed, TestDirectory, TestEnvironment, shown};

/// A test: its name, and the function that it runs on the fixture that all tests share.
pub type TestCase<P> = (&'static str, fn(&P) -> Result<(), Failed>);

/// Runs the tests on the fixture that `prepare` makes, so many at a time. Where the variables
/// that [`TestEnvironment`] reads are not set nothing is tested, and said so.
pub fn run_tests<P: Send + Sync + 'static>(
    tests: &[TestCase<P>],
    threads: usize,
    prepare: impl FnOnce(TestDirectory) -> Result<P, Failed>,
) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(threads);
    if arguments.list {
        return run(&arguments, tests, None);
    }
    let environment = match TestEnvironment::read() {
        Ok(environment) => environment,
        Err(reason @ EnvironmentError::Unset { .. }) => {
            basalt_test_output::skip_all(reason);
            return run(&arguments, tests, None);
        }
        Err(error) => {
            print_error(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    if let Err(error) = basalt_process::interrupt::install() {
        print_error(&format!("cannot listen for signals: {error}"));
        return ExitCode::FAILURE;
    }
    match TestDirectory::make(environment).map_err(shown).and_then(prepare) {
        Ok(fixture) => run(&arguments, tests, Some(Arc::new(fixture))),
        Err(error) => {
            print_error(error.message().unwrap_or("the directory of the tests cannot be made"));
            ExitCode::FAILURE
        }
    }
}

/// Runs the tests; without a fixture, all are left out.
fn run<P: Send + Sync + 'static>(arguments: &Arguments, tests: &[TestCase<P>], fixture: Option<Arc<P>>) -> ExitCode {
    let trials = tests.iter().map(|&(name, test)| {
        let fixture = fixture.clone();
        let left_out = fixture.is_none();
        Trial::test(name, move || fixture.map_or(Ok(()), |fixture| test(&fixture))).with_ignored_flag(left_out)
    });
    // The fixture is gone when the last of them has dropped it: this must not exit before.
    let conclusion = libtest_mimic::run(arguments, trials.collect());
    drop(fixture);
    conclusion.exit_code()
}

#[expect(clippy::print_stderr, reason = "a test that does not run must say so")]
fn print_error(text: &str) {
    eprintln!("{text}");
}
