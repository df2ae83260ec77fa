//! The real thing: the image of a node is looked into, booted, broken; a cluster of it is started, used, and ended.
//!
//! The order matters for the time it takes, not for the result: each test brings about what it needs.

#![cfg(test)]

mod access;
mod boots;
mod cluster;
mod content;
mod disk;
mod fixture;
mod images;
mod recovery;

use std::process::ExitCode;

use basalt_test_environment::TestCase;
use fixture::Fixture;

const TESTS: &[TestCase<Fixture>] = &[
    ("the_partition_table_is_sound", disk::the_partition_table_is_sound),
    ("the_root_is_sound_and_verified", disk::the_root_is_sound_and_verified),
    ("composed_again_it_is_the_same", disk::composed_again_it_is_the_same),
    (
        "an_image_that_was_killed_is_composed_again",
        disk::an_image_that_was_killed_is_composed_again,
    ),
    ("it_is_small", content::it_is_small),
    ("scanners_find_its_packages", content::scanners_find_its_packages),
    ("nothing_in_it_interprets", content::nothing_in_it_interprets),
    (
        "accounts_have_numbers_that_stay",
        content::accounts_have_numbers_that_stay,
    ),
    (
        "files_of_root_alone_are_readable_by_nobody_else",
        content::files_of_root_alone_are_readable_by_nobody_else,
    ),
    (
        "the_first_module_comes_from_the_root",
        content::the_first_module_comes_from_the_root,
    ),
    (
        "programs_are_of_this_distribution",
        content::programs_are_of_this_distribution,
    ),
    ("a_corrupt_block_ends_the_boot", boots::a_corrupt_block_ends_the_boot),
    (
        "a_wrong_config_is_told_on_the_console",
        boots::a_wrong_config_is_told_on_the_console,
    ),
    (
        "disks_beside_its_own_change_nothing",
        recovery::disks_beside_its_own_change_nothing,
    ),
    (
        "a_damaged_state_is_repaired_and_a_lost_one_made_anew",
        recovery::a_damaged_state_is_repaired_and_a_lost_one_made_anew,
    ),
    (
        "a_panic_is_told_at_the_next_boot",
        recovery::a_panic_is_told_at_the_next_boot,
    ),
    (
        "up_works_after_one_that_was_killed",
        cluster::up_works_after_one_that_was_killed,
    ),
    ("a_pod_answers", cluster::a_pod_answers),
    ("the_node_is_ready", cluster::the_node_is_ready),
    (
        "the_node_knows_that_it_is_ready",
        cluster::the_node_knows_that_it_is_ready,
    ),
    (
        "exec_logs_and_port_forward_work",
        cluster::exec_logs_and_port_forward_work,
    ),
    (
        "a_node_comes_back_after_a_reset",
        cluster::a_node_comes_back_after_a_reset,
    ),
    (
        "logs_and_usage_come_without_a_shell",
        access::logs_and_usage_come_without_a_shell,
    ),
    ("a_shell_sees_the_node", access::a_shell_sees_the_node),
    ("files_come_out_of_a_node", access::files_come_out_of_a_node),
    ("a_bundle_holds_no_secret", access::a_bundle_holds_no_secret),
    (
        "a_node_restarts_itself_and_is_reset",
        access::a_node_restarts_itself_and_is_reset,
    ),
    (
        "a_loaded_image_runs_under_the_name_of_its_upstream",
        images::a_loaded_image_runs_under_the_name_of_its_upstream,
    ),
    (
        "an_archive_that_was_changed_is_refused",
        images::an_archive_that_was_changed_is_refused,
    ),
    ("the_kubeconfig_is_merged", images::the_kubeconfig_is_merged),
    (
        "an_added_node_comes_back_after_a_power_cut",
        images::an_added_node_comes_back_after_a_power_cut,
    ),
    (
        "the_api_server_reaches_pods_of_every_node",
        images::the_api_server_reaches_pods_of_every_node,
    ),
    (
        "pods_of_two_nodes_reach_each_other",
        cluster::pods_of_two_nodes_reach_each_other,
    ),
    ("a_node_is_removed", images::a_node_is_removed),
    ("down_leaves_nothing", cluster::down_leaves_nothing),
    (
        "up_takes_a_node_config_and_images",
        images::up_takes_a_node_config_and_images,
    ),
];

fn main() -> ExitCode {
    basalt_sandbox::enter_if_asked();
    basalt_test_environment::run_tests(TESTS, 1, Fixture::prepare)
}
