//! What a security reviewer asks of a distribution, answered by commands, on the real packages and images.

mod bom;

use std::process::ExitCode;

use basalt_tests::{Place, Story};

const STORIES: &[Story<Place>] = &[
    ("bom_lists_packages_and_modules", bom::packages_and_modules_are_listed),
    (
        "bom_in_the_image_is_the_commands",
        bom::the_image_carries_what_the_command_says,
    ),
    ("bom_licences_are_known", bom::licences_are_known),
    ("bom_why_traces", bom::why_traces),
];

fn main() -> ExitCode {
    basalt_sandbox::enter_if_asked();
    basalt_tests::tell(STORIES, 1, Ok)
}
