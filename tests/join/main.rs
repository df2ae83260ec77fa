//! A cluster that kubeadm made, on a Debian machine, beside which Basalt's nodes are to stand.
//!
//! ```text
//! Debian's packages + containerd, kubelet, kubeadm of ours --(basalt-debian)--> a disk
//! basalt up --nodes 0 --> network and registry <--(basalt load)-- images under upstream's names
//! disk + init.sh --(a machine on that network)--> kubeadm init --(serial line)--> kubeconfig, join command
//! ```

#![cfg(test)]

mod basalt;
mod fixture;
mod kubeadm;

use std::process::ExitCode;

use basalt_tests::TestCase;
use fixture::Fixture;

const TESTS: &[TestCase<Fixture>] = &[
    ("the_kubeadm_cluster_is_ready", kubeadm::the_kubeadm_cluster_is_ready),
    (
        "its_control_plane_is_upstreams",
        kubeadm::its_control_plane_is_upstreams,
    ),
    (
        "its_configuration_is_where_joins_look_for_it",
        kubeadm::its_configuration_is_where_joins_look_for_it,
    ),
    (
        "its_join_command_makes_a_node_config",
        kubeadm::its_join_command_makes_a_node_config,
    ),
    (
        "a_basalt_node_joins_by_the_join_command",
        basalt::a_basalt_node_joins_by_the_join_command,
    ),
    (
        "it_has_the_clusters_kubelet_configuration",
        basalt::it_has_the_clusters_kubelet_configuration,
    ),
    ("pods_of_both_systems_answer", basalt::pods_of_both_systems_answer),
    ("no_image_contains_kubeadm", kubeadm::no_image_contains_kubeadm),
];

fn main() -> ExitCode {
    basalt_sandbox::enter_if_asked();
    basalt_tests::run_tests(TESTS, 1, Fixture::prepare)
}
