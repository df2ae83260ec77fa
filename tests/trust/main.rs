//! Whether what is built can be trusted and traced: what a security reviewer asks of a distribution, answered by commands.
//!
//! A module for each question. They share the user's store, where everything is built, and change nothing in it.

mod audit;
mod bom;
mod harden;
mod world;

use std::process::ExitCode;

use basalt_tests::{Place, Story};

const STORIES: &[Story<Place>] = &[
    ("audit_finds_what_is_known", audit::what_is_known_is_found),
    ("audit_levels_decide", audit::levels_decide),
    ("audit_reads_archives", audit::archives_are_read),
    ("audit_answers_count", audit::answers_count),
    ("audit_a_wrong_answer_is_told", audit::a_wrong_answer_is_told),
    ("audit_hostile_databases_fail", audit::hostile_databases_fail),
    ("audit_writes_documents", audit::documents_are_written),
    ("audit_every_package_is_listed", audit::every_package_is_listed),
    ("harden_the_node_is_defended", harden::the_node_is_defended),
    ("harden_other_images_are_looked_at", harden::other_images_are_looked_at),
    (
        "harden_an_exception_without_need_is_told",
        harden::an_exception_without_need_is_told,
    ),
    (
        "harden_what_lacks_its_exception_fails",
        harden::what_lacks_its_exception_fails,
    ),
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
