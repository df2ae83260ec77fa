//! Whether what is built can be trusted and traced: what a security reviewer asks of a distribution, answered by commands.
//!
//! A module for each question. They share the user's store, where everything is built, and change nothing in it.

mod dnf;
mod repo;

use std::process::ExitCode;

use basalt_tests::{Place, Story};

const STORIES: &[Story<Place>] = &[
    ("repo_dnf_installs_from_it", repo::dnf_installs_from_it),
    ("repo_dnf_refuses_what_was_changed", repo::dnf_refuses_what_was_changed),
    (
        "repo_dnf_refuses_who_is_not_trusted",
        repo::dnf_refuses_who_is_not_trusted,
    ),
    (
        "repo_keys_change_and_clients_go_on",
        repo::keys_change_and_clients_go_on,
    ),
    ("repo_others_make_the_same_facts", repo::others_make_the_same_facts),
    ("repo_advisories_reach_dnf", repo::advisories_reach_dnf),
    ("repo_signed_elsewhere_by_gpg", repo::signed_elsewhere_by_gpg),
    ("repo_killed_it_is_invisible", repo::killed_it_is_invisible),
    ("repo_keys_that_do_not_count", repo::keys_that_do_not_count),
    (
        "repo_served_until_it_is_interrupted",
        repo::served_until_it_is_interrupted,
    ),
];

fn main() -> ExitCode {
    basalt_sandbox::enter_if_asked();
    basalt_tests::tell(STORIES, 1, Ok)
}
