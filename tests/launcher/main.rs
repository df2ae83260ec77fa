//! The launcher on machines of many kinds: something is missing, cargo is set up otherwise, the checkout is read-only.
//!
//! ```text
//! CASES x shells of this machine x users ──▶ Machine: a folder with a checkout, and fake programs as its PATH
//!                                              └── the launcher, with its real text ──▶ code, words, calls of fakes
//! ```
//!
//! Nothing is compiled or installed: cargo, cc, apt-get and unshare are scripts of `fixtures/launcher`, which write down
//! how they were called. Where the tests run as root, an ordinary user is `nobody`, by setpriv; elsewhere root is who
//! `id` says.

#![cfg(test)]

mod checkout;
mod machine;
mod packages;
mod settings;
mod sub_ids;

use std::process::ExitCode;

use basalt_test_environment::Failed;
use basalt_test_output::skip_all;
use libtest_mimic::{Arguments, Trial};
use machine::{Machine, SHELLS, Shell, User};

/// Test case: its name, the users that it is about, and the test.
type Case = (&'static str, &'static [User], fn(&Machine) -> Result<(), Failed>);

const BOTH: &[User] = &[User::Root, User::Ordinary];
const ROOT: &[User] = &[User::Root];
const ORDINARY: &[User] = &[User::Ordinary];

const CASES: &[Case] = &[
    ("command_is_built_and_run", BOTH, checkout::command_is_built_and_run),
    (
        "symbolic_links_are_followed",
        BOTH,
        checkout::symbolic_links_are_followed,
    ),
    (
        "current_folder_is_left_alone",
        BOTH,
        checkout::current_folder_is_left_alone,
    ),
    (
        "unchanged_command_runs_offline",
        BOTH,
        checkout::unchanged_command_runs_offline,
    ),
    ("path_is_not_utf_8", BOTH, checkout::path_is_not_utf_8),
    ("disk_is_full", BOTH, checkout::disk_is_full),
    ("torn_note_is_written_again", BOTH, checkout::torn_note_is_written_again),
    ("read_only_checkout", ORDINARY, checkout::read_only_checkout),
    ("ci_script_runs_the_tests", ROOT, checkout::ci_script_runs_the_tests),
    (
        "missing_packages_are_named",
        ORDINARY,
        packages::missing_packages_are_named,
    ),
    (
        "missing_packages_are_installed",
        ROOT,
        packages::missing_packages_are_installed,
    ),
    ("failed_link_is_shown", BOTH, packages::failed_link_is_shown),
    (
        "temporary_folder_is_missing",
        BOTH,
        packages::temporary_folder_is_missing,
    ),
    ("temporary_folder_is_full", BOTH, packages::temporary_folder_is_full),
    (
        "built_command_needs_no_compiler",
        BOTH,
        packages::built_command_needs_no_compiler,
    ),
    (
        "built_command_says_what_is_missing_itself",
        ORDINARY,
        packages::built_command_says_what_is_missing_itself,
    ),
    ("target_folder_of_the_user", BOTH, settings::target_folder_of_the_user),
    ("target_of_the_user", BOTH, settings::target_of_the_user),
    ("home_is_unset", BOTH, settings::home_is_unset),
    (
        "cargo_is_found_where_rustup_puts_it",
        BOTH,
        settings::cargo_is_found_where_rustup_puts_it,
    ),
    ("sub_ids_that_suffice", ORDINARY, sub_ids::sub_ids_that_suffice),
    ("sub_ids_that_are_missing", ORDINARY, sub_ids::sub_ids_that_are_missing),
    ("sub_ids_cannot_be_mapped", ORDINARY, sub_ids::sub_ids_cannot_be_mapped),
    ("root_needs_no_sub_ids", ROOT, sub_ids::root_needs_no_sub_ids),
    ("user_without_an_entry", ORDINARY, sub_ids::user_without_an_entry),
    ("no_new_privileges", ORDINARY, sub_ids::no_new_privileges),
    ("no_user_namespaces", BOTH, sub_ids::no_user_namespaces),
    (
        "everything_is_said_at_once",
        ORDINARY,
        sub_ids::everything_is_said_at_once,
    ),
];

/// Name and function of a test that needs no machine.
type PlainCase = (&'static str, fn() -> Result<(), Failed>);

/// Tests that need no machine.
const PLAIN: &[PlainCase] = &[
    ("line_ends_are_kept", checkout::line_ends_are_kept),
    ("packages_are_named_alike", packages::packages_are_named_alike),
];

/// Trials of all cases that are about a user, with one shell.
fn trials(shell: &Shell, user: User) -> impl Iterator<Item = Trial> {
    let cases = CASES.iter().filter(move |(_, users, _)| users.contains(&user));
    cases.map(move |&(name, _, case)| {
        let of_shell = shell.clone();
        let test = move || -> Result<(), Failed> { case(&Machine::new(of_shell, user)?) };
        Trial::test(format!("{}::{}::{name}", shell.name, user.label()), test)
    })
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut users = vec![User::Root];
    match User::Ordinary.id("-un") {
        Ok(_) => users.push(User::Ordinary),
        Err(error) => skip_all(format!("the launcher is not run by an ordinary user: {error}")),
    }
    let mut all: Vec<_> = PLAIN.iter().map(|&(name, test)| Trial::test(name, test)).collect();
    for &(name, words) in SHELLS {
        match Shell::find(name, words) {
            Ok(shell) => all.extend(users.iter().flat_map(|&user| trials(&shell, user))),
            Err(reason) => skip_all(format!("the launcher is not run by {name}: {reason}")),
        }
    }
    libtest_mimic::run(&arguments, all).exit_code()
}
