//! The build engine on small packages: what is built again when something changes, how failures are shown, and that
//! nothing is lost or left when a build is interrupted, killed, or finds its disk full; what is reported when a
//! package, built again elsewhere, comes out otherwise, and what is said of where it comes from.

#![cfg(test)]

#[path = "../../crates/3-store/cache/tests/buildgrid/server.rs"]
mod buildgrid;
mod cache_contents;
mod distro;
mod elsewhere;
mod failures;
mod interruptions;
mod keys;
mod rebuilds;
mod robustness;
mod sharing;
mod slow_servers;

use std::process::ExitCode;

use basalt_test_environment::TestCase;
use distro::Fixture;

const TESTS: &[TestCase<Fixture>] = &[
    (
        "what_is_built_is_not_built_again",
        rebuilds::what_is_built_is_not_built_again,
    ),
    ("a_leaf_is_rebuilt_alone", rebuilds::a_leaf_is_rebuilt_alone),
    (
        "what_comes_out_the_same_ends_the_rebuild",
        rebuilds::what_comes_out_the_same_ends_the_rebuild,
    ),
    (
        "a_change_reaches_what_is_made_of_it",
        rebuilds::a_change_reaches_what_is_made_of_it,
    ),
    (
        "a_build_tool_runs_and_is_in_no_sysroot",
        rebuilds::a_build_tool_runs_and_is_in_no_sysroot,
    ),
    (
        "a_package_that_is_lost_is_built_again",
        rebuilds::a_package_that_is_lost_is_built_again,
    ),
    (
        "an_edit_during_a_build_reaches_the_next_one",
        keys::an_edit_during_a_build_reaches_the_next_one,
    ),
    ("the_input_that_changed_is_named", keys::the_input_that_changed_is_named),
    (
        "an_executable_bit_counts_and_other_modes_do_not",
        keys::an_executable_bit_counts_and_other_modes_do_not,
    ),
    ("names_are_known_without_the_sdk", keys::names_are_known_without_the_sdk),
    (
        "a_package_is_not_named_like_an_option",
        keys::a_package_is_not_named_like_an_option,
    ),
    (
        "a_spec_sees_nothing_outside_of_its_folder",
        keys::a_spec_sees_nothing_outside_of_its_folder,
    ),
    (
        "a_limit_that_is_reached_is_named",
        keys::a_limit_that_is_reached_is_named,
    ),
    ("timings_are_written", keys::timings_are_written),
    (
        "what_one_has_built_another_need_not",
        sharing::what_one_has_built_another_need_not,
    ),
    (
        "a_key_that_is_no_longer_trusted_vouches_for_nothing",
        sharing::a_key_that_is_no_longer_trusted_vouches_for_nothing,
    ),
    (
        "what_is_published_comes_from_the_cache",
        sharing::what_is_published_comes_from_the_cache,
    ),
    (
        "a_result_of_an_unknown_signer_is_not_used",
        sharing::a_result_of_an_unknown_signer_is_not_used,
    ),
    (
        "a_damaged_cache_costs_time_only",
        sharing::a_damaged_cache_costs_time_only,
    ),
    (
        "a_cache_that_is_not_there_is_told",
        sharing::a_cache_that_is_not_there_is_told,
    ),
    (
        "what_up_needs_is_pushed_and_no_more",
        cache_contents::what_up_needs_is_pushed_and_no_more,
    ),
    (
        "a_package_comes_from_a_cache_without_the_sdk",
        cache_contents::a_package_comes_from_a_cache_without_the_sdk,
    ),
    (
        "what_a_cache_lacks_is_built_again",
        cache_contents::what_a_cache_lacks_is_built_again,
    ),
    (
        "modules_that_come_otherwise_than_said_make_another_key",
        cache_contents::modules_that_come_otherwise_than_said_make_another_key,
    ),
    (
        "a_payload_that_comes_otherwise_than_said_makes_another_key",
        cache_contents::a_payload_that_comes_otherwise_than_said_makes_another_key,
    ),
    (
        "the_command_works_with_buildgrid",
        cache_contents::the_command_works_with_buildgrid,
    ),
    ("a_failing_build_is_told", failures::a_failing_build_is_told),
    ("going_on_after_a_failure", failures::going_on_after_a_failure),
    ("a_spec_that_makes_nothing", failures::a_spec_that_makes_nothing),
    (
        "a_package_of_another_name_is_refused",
        failures::a_package_of_another_name_is_refused,
    ),
    (
        "a_spec_asks_for_an_unknown_package",
        failures::a_spec_asks_for_an_unknown_package,
    ),
    (
        "scriptlets_are_refused_at_their_lines",
        failures::scriptlets_are_refused_at_their_lines,
    ),
    (
        "scriptlets_of_generated_sections_are_refused",
        failures::scriptlets_of_generated_sections_are_refused,
    ),
    (
        "versions_of_build_requires_count",
        failures::versions_of_build_requires_count,
    ),
    ("packages_need_each_other", failures::packages_need_each_other),
    ("a_spec_that_cannot_be_read", failures::a_spec_that_cannot_be_read),
    (
        "a_spec_that_takes_too_much_is_told",
        failures::a_spec_that_takes_too_much_is_told,
    ),
    (
        "a_machine_without_namespaces_is_blamed",
        failures::a_machine_without_namespaces_is_blamed,
    ),
    ("a_source_of_another_digest", failures::a_source_of_another_digest),
    ("a_source_that_is_cut_short", failures::a_source_that_is_cut_short),
    ("no_network", failures::no_network),
    ("a_full_disk", failures::a_full_disk),
    (
        "builds_have_no_network_and_no_host",
        failures::builds_have_no_network_and_no_host,
    ),
    ("kill_and_build_again", interruptions::kill_and_build_again),
    (
        "an_interrupt_leaves_nothing",
        interruptions::an_interrupt_leaves_nothing,
    ),
    (
        "a_late_source_keeps_no_processor_idle",
        slow_servers::a_late_source_keeps_no_processor_idle,
    ),
    (
        "a_failure_waits_for_no_source",
        slow_servers::a_failure_waits_for_no_source,
    ),
    ("two_at_the_same_time", interruptions::two_at_the_same_time),
    (
        "a_build_marks_the_trees_that_it_runs_on",
        robustness::a_build_marks_the_trees_that_it_runs_on,
    ),
    (
        "a_flipped_bit_in_every_file_costs_time_only",
        robustness::a_flipped_bit_in_every_file_costs_time_only,
    ),
    (
        "an_image_is_composed_of_intact_packages",
        robustness::an_image_is_composed_of_intact_packages,
    ),
    (
        "kills_at_any_point_of_a_build",
        robustness::kills_at_any_point_of_a_build,
    ),
    (
        "a_clock_that_was_set_back_a_year",
        robustness::a_clock_that_was_set_back_a_year,
    ),
    (
        "a_read_only_store_serves_what_is_built",
        robustness::a_read_only_store_serves_what_is_built,
    ),
    (
        "what_a_full_disk_cannot_take_is_not_built_instead",
        robustness::what_a_full_disk_cannot_take_is_not_built_instead,
    ),
    (
        "what_is_pure_comes_out_the_same",
        elsewhere::what_is_pure_comes_out_the_same,
    ),
    (
        "what_depends_on_the_environment_is_told",
        elsewhere::what_depends_on_the_environment_is_told,
    ),
    (
        "a_time_in_a_library_is_told_by_its_section",
        elsewhere::a_time_in_a_library_is_told_by_its_section,
    ),
    (
        "what_cannot_be_built_elsewhere_is_told",
        elsewhere::what_cannot_be_built_elsewhere_is_told,
    ),
    (
        "a_statement_says_what_went_in",
        elsewhere::a_statement_says_what_went_in,
    ),
    (
        "a_statement_can_be_made_later",
        elsewhere::a_statement_can_be_made_later,
    ),
];

fn main() -> ExitCode {
    basalt_sandbox::enter_if_asked();
    basalt_test_environment::run_tests(TESTS, 2, Fixture::prepare)
}
