//! Whether what is built can be trusted and traced: real packages, built again elsewhere, and what is said of them.

mod verify;

use std::process::ExitCode;

use basalt_tests::{Place, Story};

const STORIES: &[Story<Place>] = &[
    (
        "small_packages_come_out_the_same",
        verify::small_packages_come_out_the_same,
    ),
    ("an_image_comes_out_the_same", verify::an_image_comes_out_the_same),
    ("a_package_says_what_went_in", verify::a_package_says_what_went_in),
    ("an_image_says_what_went_in", verify::an_image_says_what_went_in),
];

fn main() -> ExitCode {
    basalt_sandbox::enter_if_asked();
    basalt_tests::tell(STORIES, 1, Ok)
}
