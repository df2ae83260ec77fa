//! Life cycle of a cluster, with fakes of the control plane's programs and of QEMU: order of starts and ends, and that
//! nothing is left.
//!
//! The executable has several parts: the test, `up`, the supervisor, the sandboxes, and (see [`fakes`]) the fake
//! programs. Network devices are real, made by `ip` from the tree that `BASALT_SDK` names, or else from this machine.

#![cfg(test)]

mod cases;
mod fakes;
mod fixture;

use camino::Utf8PathBuf;
use libtest_mimic::{Arguments, Failed, Trial};

/// Test case, run with a fixture of its own.
type Case = fn(&fixture::Fixture) -> Result<(), Failed>;

fn main() {
    basalt_sandbox::enter_if_asked();
    fakes::run_if_asked();
    basalt_cluster::supervisor::run_if_asked(|plan| {
        tracing_subscriber::fmt()
            .with_env_filter("info")
            .with_writer(std::io::stderr)
            .init();
        Box::new(fakes::Machines {
            variables: plan.inputs.node_image.clone(),
        })
    });
    fixture::run_up_if_asked();

    let sdk = fixture::tree_with_ip();
    if sdk.is_none() {
        basalt_test_output::skip_all(
            "no cluster is started: there is no `ip` on this machine, and BASALT_SDK does not name a tree",
        );
    }
    let cases: [(&str, Case); 17] = [
        (
            "a_cluster_comes_up_and_goes_without_a_trace",
            cases::a_cluster_comes_up_and_goes_without_a_trace,
        ),
        (
            "images_are_pushed_from_the_host_and_pulled_under_their_names",
            cases::images_are_pushed_from_the_host_and_pulled_under_their_names,
        ),
        (
            "a_cluster_that_ends_breaks_off_a_push",
            cases::a_cluster_that_ends_breaks_off_a_push,
        ),
        (
            "the_control_plane_has_routes_to_pods",
            cases::the_control_plane_has_routes_to_pods,
        ),
        ("nodes_come_and_go", cases::nodes_come_and_go),
        (
            "nodes_are_connected_without_tap_devices",
            cases::nodes_are_connected_without_tap_devices,
        ),
        ("up_is_said_to_be_up", cases::up_is_said_to_be_up),
        ("an_interrupt_leaves_nothing", cases::an_interrupt_leaves_nothing),
        ("a_closed_pipe_leaves_nothing", cases::a_closed_pipe_leaves_nothing),
        (
            "up_that_is_killed_leaves_no_process_and_works_again",
            cases::up_that_is_killed_leaves_no_process_and_works_again,
        ),
        (
            "a_supervisor_that_is_killed_takes_all_with_it",
            cases::a_supervisor_that_is_killed_takes_all_with_it,
        ),
        ("two_at_the_same_time", cases::two_at_the_same_time),
        (
            "a_component_that_does_not_stay_up_is_shown",
            cases::a_component_that_does_not_stay_up_is_shown,
        ),
        ("a_machine_that_ends_is_shown", cases::a_machine_that_ends_is_shown),
        (
            "a_machine_that_ends_while_objects_are_applied_is_shown",
            cases::a_machine_that_ends_while_objects_are_applied_is_shown,
        ),
        (
            "a_node_that_is_off_is_not_waited_for",
            cases::a_node_that_is_off_is_not_waited_for,
        ),
        (
            "a_full_disk_is_said_and_leaves_no_process",
            cases::a_full_disk_is_said_and_leaves_no_process,
        ),
    ];
    let trials = cases.into_iter().map(|(name, case)| {
        let tree = sdk.clone();
        let run = move || tree.map_or(Ok(()), |tree| case(&fixture::Fixture::new(tree)?));
        Trial::test(name, run).with_ignored_flag(sdk.is_none())
    });
    let mut arguments = Arguments::from_args();
    // Each test case has several dozen processes.
    arguments.test_threads.get_or_insert(2);
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

/// Path of this executable.
fn ourselves() -> Result<Utf8PathBuf, Failed> {
    Ok(Utf8PathBuf::try_from(std::env::current_exe()?)?)
}
