//! Rules, one file each. The order counts for host paths: of several rules that report one path, the first one stays.

use crate::rule::PreflightRule;

mod account_file;
mod addon_kernel_option;
mod apparmor_off;
mod apparmor_profile;
mod boot_folder;
mod ca_bundle;
mod cgroup_v1_path;
mod cgroup_v1_runtime;
mod device;
mod device_nodes;
mod distribution_file;
mod docker_data;
mod docker_socket;
mod driver_container;
mod flex_volume;
mod gpu_resource;
mod host_path_in_memory;
mod host_path_missing;
mod host_path_read_only;
mod host_path_unmade;
mod host_port;
mod host_program;
mod host_program_unknown;
mod host_resolver;
mod huge_pages;
mod image_i386;
mod iptables_backend;
mod iscsi_initiator;
mod java_limits;
mod journal_folder;
mod kernel_headers;
mod kernel_module;
mod kubeadm_file;
mod kubelet_root;
mod local_volume;
mod mount_helper;
mod nfs_lock;
mod node_configuration;
mod node_name;
mod os_label;
mod package_manager;
mod program_folder;
mod read_only_written;
mod reboot_sentinel;
mod rootless_builder;
mod runtime_class;
mod runtime_config;
mod runtime_socket;
mod seccomp_profile;
mod selinux_options;
mod ssh_folder;
mod static_pod;
mod swap;
mod sysctl_protected;
mod sysctl_unsafe;
mod syslog_file;
mod systemd_unit;
mod time_daemon;
mod time_zone;
mod tolerates_all;
mod user_namespace;
mod volume_kernel_option;
mod vsyscall;

/// All rules, specific ones before general ones.
static RULES: [PreflightRule; 63] = [
    docker_socket::RULE,
    runtime_socket::RULE,
    docker_data::RULE,
    runtime_config::RULE,
    kubelet_root::RULE,
    flex_volume::RULE,
    kubeadm_file::RULE,
    ca_bundle::RULE,
    syslog_file::RULE,
    journal_folder::RULE,
    distribution_file::RULE,
    time_zone::RULE,
    host_resolver::RULE,
    ssh_folder::RULE,
    node_configuration::RULE,
    kernel_headers::RULE,
    boot_folder::RULE,
    account_file::RULE,
    cgroup_v1_path::RULE,
    device::RULE,
    host_path_missing::RULE,
    host_path_read_only::RULE,
    program_folder::RULE,
    host_path_in_memory::RULE,
    read_only_written::RULE,
    host_path_unmade::RULE,
    package_manager::RULE,
    host_program::RULE,
    host_program_unknown::RULE,
    kernel_module::RULE,
    driver_container::RULE,
    systemd_unit::RULE,
    reboot_sentinel::RULE,
    swap::RULE,
    time_daemon::RULE,
    device_nodes::RULE,
    apparmor_profile::RULE,
    apparmor_off::RULE,
    seccomp_profile::RULE,
    selinux_options::RULE,
    sysctl_unsafe::RULE,
    sysctl_protected::RULE,
    user_namespace::RULE,
    rootless_builder::RULE,
    addon_kernel_option::RULE,
    iptables_backend::RULE,
    volume_kernel_option::RULE,
    mount_helper::RULE,
    iscsi_initiator::RULE,
    nfs_lock::RULE,
    local_volume::RULE,
    os_label::RULE,
    runtime_class::RULE,
    huge_pages::RULE,
    gpu_resource::RULE,
    tolerates_all::RULE,
    host_port::RULE,
    node_name::RULE,
    static_pod::RULE,
    java_limits::RULE,
    cgroup_v1_runtime::RULE,
    image_i386::RULE,
    vsyscall::RULE,
];

/// All rules, in their order.
pub fn all() -> &'static [PreflightRule] {
    &RULES
}
