//! A cluster that kubeadm made, with Debian machines as its first workers, and Basalt's nodes in it.
//!
//! ```text
//! basalt up --nodes 0 --> network, etcd and registry <--(basalt load)-- images under upstream's names
//! kubeadm init, phase by phase --> a control plane on this host --> kubeconfig, join command
//! Debian's packages + containerd, kubelet, kubeadm of ours --(basalt-debian)--> a disk
//! join command --> machines of that disk, by kubeadm join
//!             └--> nodes of Basalt: by itself, by bootstrap data of Cluster API
//! ```
//!
//! Machines are started by the first test that wants them, and stay for the others.

#![cfg(test)]

mod basalt;
mod certificates;
mod cluster;
mod cluster_network;
mod control_plane;
mod debian;
mod fixture;
mod joins;
mod kubeadm;
mod migration;
mod pool;
mod upgrade;

use std::process::ExitCode;

use basalt_test_environment::TestCase;
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
        "a_node_joins_by_the_join_command",
        joins::a_node_joins_by_the_join_command,
    ),
    (
        "it_has_the_clusters_kubelet_configuration",
        joins::it_has_the_clusters_kubelet_configuration,
    ),
    (
        "a_node_joins_by_bootstrap_data_of_cluster_api",
        joins::a_node_joins_by_bootstrap_data_of_cluster_api,
    ),
    ("pods_of_both_systems_answer", pool::pods_of_both_systems_answer),
    ("names_and_services_lead_to_both", pool::names_and_services_lead_to_both),
    ("kubectl_works_alike_on_both", pool::kubectl_works_alike_on_both),
    ("apparmor_confines_alike_on_both", pool::apparmor_confines_alike_on_both),
    (
        "workloads_move_without_a_lost_request",
        migration::workloads_move_without_a_lost_request,
    ),
    (
        "kubeadm_upgrades_beside_a_basalt_node",
        upgrade::kubeadm_upgrades_beside_a_basalt_node,
    ),
    ("certificates_rotate", certificates::certificates_rotate),
    ("no_image_contains_kubeadm", kubeadm::no_image_contains_kubeadm),
];

fn main() -> ExitCode {
    basalt_sandbox::enter_if_asked();
    basalt_test_environment::run_tests(TESTS, 1, Fixture::prepare)
}
