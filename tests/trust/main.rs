//! Whether what is built can be trusted and traced: what a security reviewer asks of a distribution, answered by commands.
//!
//! A module for each question. They share the user's store, where everything is built, and change nothing in it.

mod origin;

use std::process::ExitCode;

use basalt_tests::{Place, Story};

const STORIES: &[Story<Place>] = &[
    ("origin_all_code_is_compiled_here", origin::all_code_is_compiled_here),
    ("origin_the_compiler_is_our_own", origin::the_compiler_is_our_own),
];

fn main() -> ExitCode {
    basalt_sandbox::enter_if_asked();
    basalt_tests::tell(STORIES, 1, Ok)
}
