//! Trust and traceability: the questions of a security reviewer to a distribution, answered by commands.
//!
//! A module for each question. They share the user's store, where everything is built, and change nothing in it.

#![cfg(test)]

mod addons;
mod audit;
mod bom;
mod dnf;
mod firmware;
mod fixture;
mod harden;
mod origin;
mod preflight;
mod repo;
mod solver;
mod verify;

use std::process::ExitCode;

use basalt_test_environment::{TestCase, TestDirectory};

const TESTS: &[TestCase<TestDirectory>] = &[
    ("origin_all_code_is_compiled_here", origin::all_code_is_compiled_here),
    ("origin_the_compiler_is_our_own", origin::the_compiler_is_our_own),
    (
        "origin_another_compiler_is_noticed",
        origin::another_compiler_is_noticed,
    ),
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
    (
        "addons_the_kernel_has_what_is_listed",
        addons::the_kernel_has_what_is_listed,
    ),
    (
        "addons_are_shown_in_short_and_in_full",
        addons::it_is_shown_in_short_and_in_full,
    ),
    ("addons_what_is_off_fails", addons::what_is_off_fails),
    ("addons_a_wrong_table_is_told", addons::a_wrong_table_is_told),
    (
        "firmware_what_modules_ask_for_is_packaged",
        firmware::what_modules_ask_for_is_packaged,
    ),
    (
        "preflight_examples_hold_for_the_image",
        preflight::examples_hold_for_the_image,
    ),
    (
        "preflight_facts_are_those_of_the_image",
        preflight::facts_are_those_of_the_image,
    ),
    (
        "preflight_exit_codes_tell_findings_from_failures",
        preflight::exit_codes_tell_findings_from_failures,
    ),
    ("bom_lists_packages_and_modules", bom::packages_and_modules_are_listed),
    (
        "bom_in_the_image_is_the_commands",
        bom::the_image_carries_what_the_command_says,
    ),
    ("bom_licences_are_known", bom::licences_are_known),
    ("bom_why_traces", bom::why_traces),
    ("solver_agrees_with_libsolv", solver::agrees_with_libsolv),
    (
        "verify_small_packages_come_out_the_same",
        verify::small_packages_come_out_the_same,
    ),
    (
        "verify_an_image_comes_out_the_same",
        verify::an_image_comes_out_the_same,
    ),
    (
        "verify_the_node_comes_out_the_same",
        verify::the_node_comes_out_the_same,
    ),
    (
        "provenance_a_package_says_what_went_in",
        verify::a_package_says_what_went_in,
    ),
    (
        "provenance_an_image_says_what_went_in",
        verify::an_image_says_what_went_in,
    ),
];

fn main() -> ExitCode {
    basalt_sandbox::enter_if_asked();
    basalt_test_environment::run_tests(TESTS, 2, Ok)
}
