//! Nodes as they live: on the disks and networks that machines have, through faults, power cuts and long outages.
//!
//! ```text
//! Fixture: a local cluster without nodes <--(TCP)-- Lan: a network in this process <--(frames)-- a machine that joins it
//! ```
//!
//! Each test has machines and networks of its own, so that two run side by side where memory allows. They take more than an
//! hour: `./basalt test --long` runs them.

#![cfg(test)]

mod away;
mod changes;
mod fallback;
mod faults;
mod fixture;
mod hardware;
mod image;
mod iso;
mod network;
mod node;
mod power;
mod sizes;

use std::process::ExitCode;

use basalt_test_environment::TestCase;
use fixture::Fixture;

/// Memory for one test, in KiB: two machines and the control plane. The machine of 16 GiB does not use most of it.
const MEMORY: u64 = 6 << 20;

const TESTS: &[TestCase<Fixture>] = &[
    ("what_is_not_flushed_is_lost", power::what_is_not_flushed_is_lost),
    ("an_nvme_root_and_a_cd_on_sata", hardware::an_nvme_root_and_a_cd_on_sata),
    ("a_scsi_root_and_a_cd_on_scsi", hardware::a_scsi_root_and_a_cd_on_scsi),
    (
        "a_board_of_1996_with_root_and_cd_on_ide",
        hardware::a_board_of_1996_with_root_and_cd_on_ide,
    ),
    ("a_sata_root_and_a_usb_stick", hardware::a_sata_root_and_a_usb_stick),
    ("a_usb_stick_that_is_late", hardware::a_usb_stick_that_is_late),
    (
        "config_disks_that_are_none_are_told",
        hardware::config_disks_that_are_none_are_told,
    ),
    (
        "of_several_config_disks_the_most_trusted_counts",
        hardware::of_several_config_disks_the_most_trusted_counts,
    ),
    (
        "a_slot_that_does_not_boot_gives_way_to_the_other",
        fallback::a_slot_that_does_not_boot_gives_way_to_the_other,
    ),
    (
        "a_lease_is_renewed_changed_and_lost",
        network::a_lease_is_renewed_changed_and_lost,
    ),
    ("a_node_of_ipv6_alone_joins", network::a_node_of_ipv6_alone_joins),
    (
        "a_bond_of_two_cards_has_both_families",
        network::a_bond_of_two_cards_has_both_families,
    ),
    ("a_small_machine_starts_in_1970", sizes::a_small_machine_starts_in_1970),
    (
        "a_node_config_with_300_authorities_changes",
        changes::a_node_config_with_300_authorities_changes,
    ),
    (
        "a_first_boot_survives_power_cuts",
        power::a_first_boot_survives_power_cuts,
    ),
    (
        "an_image_pull_survives_power_cuts",
        power::an_image_pull_survives_power_cuts,
    ),
    ("a_full_var_is_told_and_ends", faults::a_full_var_is_told_and_ends),
    ("a_clock_jumps_by_an_hour", faults::a_clock_jumps_by_an_hour),
    (
        "a_damaged_database_of_containerd_is_left_behind",
        faults::a_damaged_database_of_containerd_is_left_behind,
    ),
    (
        "kubelets_that_exit_hang_and_eat_memory",
        faults::kubelets_that_exit_hang_and_eat_memory,
    ),
    (
        "the_api_server_is_away_for_ten_minutes",
        away::the_api_server_is_away_for_ten_minutes,
    ),
    ("three_hundred_pods_come_and_go", sizes::three_hundred_pods_come_and_go),
];

/// Tests side by side: two, where there is memory for them.
fn threads() -> usize {
    let text = fs_err::read_to_string("/proc/meminfo").unwrap_or_default();
    let available = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let available = available.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    usize::try_from(available.unwrap_or_default() / MEMORY)
        .unwrap_or(1)
        .clamp(1, 2)
}

fn main() -> ExitCode {
    basalt_sandbox::enter_if_asked();
    basalt_test_environment::run_tests(TESTS, threads(), Fixture::prepare)
}
