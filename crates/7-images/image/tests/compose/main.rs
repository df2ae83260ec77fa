//! Composition of whole images of small packages. Tests that need tools of the SDK use the tree that `BASALT_SDK`
//! names; without it, they are skipped with a message.

#![cfg(test)]

use camino::Utf8PathBuf;
use libtest_mimic::{Arguments, Failed, Trial};

mod containers;
mod disks;
mod efi;
mod fixture;
mod merging;

type Test = fn() -> Result<(), Failed>;
type SdkTest = fn(&Utf8PathBuf) -> Result<(), Failed>;

const TESTS: &[(&str, Test)] = &[
    (
        "a_conflict_names_both_packages",
        merging::a_conflict_names_both_packages,
    ),
    (
        "what_is_the_same_may_be_there_twice",
        merging::what_is_the_same_may_be_there_twice,
    ),
    ("files_land_where_links_lead", merging::files_land_where_links_lead),
    (
        "what_cannot_be_in_an_image_is_refused",
        merging::what_cannot_be_in_an_image_is_refused,
    ),
    ("excluded_files_are_not_there", merging::excluded_files_are_not_there),
    ("nothing_leaves_the_root", merging::nothing_leaves_the_root),
    (
        "content_that_is_not_the_headers_is_refused",
        merging::content_that_is_not_the_headers_is_refused,
    ),
    ("file_capabilities_are_refused", merging::file_capabilities_are_refused),
    (
        "what_is_in_an_image_can_be_looked_at",
        merging::what_is_in_an_image_can_be_looked_at,
    ),
    (
        "a_container_is_as_oci_describes_it",
        containers::a_container_is_as_oci_describes_it,
    ),
    ("twice_gives_the_same_bytes", containers::twice_gives_the_same_bytes),
    (
        "a_registry_has_names_tags_and_blobs",
        containers::a_registry_has_names_tags_and_blobs,
    ),
];

const SDK_TESTS: &[(&str, SdkTest)] = &[
    ("the_root_file_system_is_sound", disks::the_root_file_system_is_sound),
    (
        "veritysetup_agrees_with_the_hash_tree",
        disks::veritysetup_agrees_with_the_hash_tree,
    ),
    (
        "the_kernel_finds_its_root_by_the_partition_table",
        disks::the_kernel_finds_its_root_by_the_partition_table,
    ),
    (
        "the_firmware_finds_loader_and_kernel",
        disks::the_firmware_finds_loader_and_kernel,
    ),
    (
        "two_disks_of_the_same_inputs_are_the_same",
        disks::two_disks_of_the_same_inputs_are_the_same,
    ),
    ("rpm_reads_the_database", disks::rpm_reads_the_database),
    ("os_release_names_the_image", disks::os_release_names_the_image),
];

fn main() {
    basalt_sandbox::enter_if_asked();
    let sdk = std::env::var("BASALT_SDK")
        .ok()
        .map(Utf8PathBuf::from)
        .filter(|sdk| sdk.is_dir());
    let mut trials: Vec<_> = TESTS.iter().map(|(name, test)| Trial::test(*name, *test)).collect();
    for (name, test) in SDK_TESTS {
        let tree = sdk.clone();
        let trial = Trial::test(*name, move || tree.map_or(Ok(()), |tree| test(&tree)));
        trials.push(trial.with_ignored_flag(sdk.is_none()));
    }
    if sdk.is_none() {
        basalt_test_output::skip_all("no disk is composed, because BASALT_SDK does not name the tree of an SDK");
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
