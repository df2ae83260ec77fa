//! Paths and addresses on a node. Units and other packages name the same ones.

/// Program of the kubelet.
pub const KUBELET: &str = "/usr/bin/kubelet";

/// Program of containerd.
pub const CONTAINERD: &str = "/usr/bin/containerd";

/// Program that containerd has beside each pod.
pub const CONTAINERD_SHIM: &str = "/usr/bin/containerd-shim-runc-v2";

/// Program that starts containers.
pub const RUNC: &str = "/usr/bin/runc";

/// Record of what the agent did; the kubelet and containerd start only when it is there.
pub const APPLIED: &str = "/run/basalt/applied.json";

/// State of the question to a cloud's metadata service; its unit starts only when it is there.
pub const METADATA_STATE: &str = "/run/basalt/metadata-state.json";

/// Mark of a machine of Azure, which has to report that it has come up.
pub const AZURE: &str = "/run/basalt/azure";

/// The machine id; `/etc/machine-id` is a link to it.
pub const MACHINE_ID: &str = "/run/machine-id";

/// Mark that this boot is good, and in which way.
pub const BOOT_GOOD: &str = "/run/basalt/boot-good";

/// The number of boots in a row that missed their deadline.
pub const MISSED_DEADLINES: &str = "/var/lib/basalt/missed-deadlines";

/// Records that the kernel's firmware backend kept over the reset.
pub const PSTORE: &str = "/sys/fs/pstore";

/// Records of kernels that died.
pub const PANICS: &str = "/var/lib/basalt/panics";

/// A file that takes space, to be given up when the state partition is full.
pub const RESERVE: &str = "/var/lib/basalt/reserve";

/// Folder of containerd: images, snapshots, its database.
pub const CONTAINERD_STATE: &str = "/var/lib/containerd";

/// Mark that containerd shall start from nothing at the next boot.
pub const RESET_RUNTIME: &str = "/var/lib/basalt/reset-containerd";

/// Folder of containerd from before that, until it is removed.
pub const DISCARDED_RUNTIME: &str = "/var/lib/basalt/discarded-containerd";

/// EFI variable that is there while the boot loader counts the tries of this boot's slot (systemd-boot's
/// `LoaderBootCountPath`).
pub const BOOT_ON_TRIAL: &str = "/sys/firmware/efi/efivars/LoaderBootCountPath-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

/// Processes of the kubelet's unit.
pub const KUBELET_PROCESSES: &str = "/sys/fs/cgroup/system.slice/kubelet.service/cgroup.procs";

/// The state partition; the link is made for the partition on the root's disk only (61-basalt-root-disk.rules).
pub const STATE_DEVICE: &str = "/dev/basalt/state";

/// Treatment of the state partition's file system at this boot; absent when there was none.
pub const STATE_REPORT: &str = "/run/basalt/state.json";

/// containerd's configuration.
pub const CONTAINERD_CONFIG: &str = "/run/basalt/containerd/config.toml";

/// Environment variables of containerd, as an environment file.
pub const CONTAINERD_ENVIRONMENT: &str = "/run/basalt/containerd/environment";

/// Images to pull early: an environment file for each, by number, and `units` with the units that pull them.
pub const PREPULL: &str = "/run/basalt/prepull";

/// Hosts and certificates of each registry, in containerd's format.
pub const REGISTRIES: &str = "/run/basalt/containerd/certs.d";

/// More certificate authorities. containerd's unit has it in `SSL_CERT_DIR`.
pub const CA_CERTIFICATES: &str = "/run/basalt/ca-certificates";

/// The kubelet's configuration.
pub const KUBELET_CONFIG: &str = "/run/basalt/kubelet/config.json";

/// Arguments of the kubelet, as an environment file.
pub const KUBELET_ARGUMENTS: &str = "/run/basalt/kubelet/arguments";

/// Environment variables of the kubelet, as an environment file.
pub const KUBELET_ENVIRONMENT: &str = "/run/basalt/kubelet/environment";

/// Programs that the kubelet asks for credentials of registries.
pub const CREDENTIAL_PROVIDERS: &str = "/usr/libexec/credential-providers";

/// Configuration of the credential providers, in the kubelet's format.
pub const CREDENTIAL_PROVIDERS_CONFIG: &str = "/run/basalt/kubelet/credential-providers.json";

/// The address that the kubelet registers with, as an environment file.
pub const KUBELET_ADDRESS: &str = "/run/basalt/kubelet/address";

/// Network cards that were there when the kubelet was first told an address: an empty file for each hardware address.
pub const CARDS: &str = "/run/basalt/cards";

/// The name servers that pods are given.
pub const KUBELET_RESOLV_CONF: &str = "/run/basalt/kubelet/resolv.conf";

/// The name servers of the network, as resolved writes them.
pub const RESOLV_CONF: &str = "/run/systemd/resolve/resolv.conf";

/// State of the network, as networkd writes it.
pub const NETWORK_STATE: &str = "/run/systemd/netif/state";

/// Time servers that the NodeConfig names, in the place of the image's pool: chrony.conf knows it by this name.
pub const TIME_SERVERS: &str = "/run/chrony.d/default.sources";

/// Time servers that DHCP names.
pub const TIME_SERVERS_OF_DHCP: &str = "/run/chrony.d/dhcp.sources";

/// Kubeconfig of the kubelet's first contact with its cluster.
pub const BOOTSTRAP_KUBECONFIG: &str = "/run/basalt/kubelet/bootstrap.kubeconfig";

/// Request for the kubelet's first certificate that nobody had signed in time, with its key.
pub const PENDING_REQUEST: &str = "/run/basalt/kubelet/first-request.json";

/// The certificate that the kubelet serves with, unless its cluster gives it one.
pub const SERVING_CERTIFICATE: &str = "/run/basalt/kubelet/serving.crt";

/// Key of the certificate that the kubelet serves with.
pub const SERVING_KEY: &str = "/run/basalt/kubelet/serving.key";

/// The certificate authority of the cluster.
pub const CLUSTER_CA: &str = "/run/basalt/kubelet/ca.crt";

/// Kubeconfig of the kubelet from then on; the kubelet writes this file itself.
pub const KUBECONFIG: &str = "/var/lib/kubelet/kubeconfig";

/// The kubelet's own certificates.
pub const KUBELET_PKI: &str = "/var/lib/kubelet/pki";

/// The kubelet's present client certificate and its key.
pub const CLIENT_CERTIFICATE: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";

/// The certificate that the kubelet serves with when its cluster gives it one (`serverTLSBootstrap`).
pub const SERVER_CERTIFICATE: &str = "/var/lib/kubelet/pki/kubelet-server-current.pem";

/// The kubelet's folder.
pub const KUBELET_STATE: &str = "/var/lib/kubelet";

/// Mark that allocations of earlier boots were taken away in this one.
pub const ALLOCATIONS_FORGOTTEN: &str = "/run/basalt/kubelet/allocations-forgotten";

/// Plan of a join that asks the cluster for more than a certificate: tokens, pins, settings of the node.
pub const JOIN_PLAN: &str = "/run/basalt/kubelet/join.json";

/// Files of bootstrap data, for `/etc/kubernetes`, until the state partition is there.
pub const BOOTSTRAP_FILES: &str = "/run/basalt/kubelet/bootstrap-files.json";

/// Record of the files below `/etc/kubernetes` that bootstrap data has brought. It has no secrets.
pub const BOOTSTRAP_RECORD: &str = "/var/lib/basalt/bootstrap-files.json";

/// Mark that the machine was given bootstrap data of Cluster API, which expects to be told of success.
pub const CLUSTER_API: &str = "/run/basalt/cluster-api";

/// State of such a join.
pub const JOIN_STATE: &str = "/run/basalt/join-state.json";

/// Record of what such a join found: the cluster's authorities and the configuration of its kubelets. It has no secrets.
pub const JOIN_RECORD: &str = "/var/lib/kubelet/basalt-join.json";

/// The kubelet's configuration at the place where `kubeadm join` leaves it.
pub const KUBEADM_CONFIG: &str = "/var/lib/kubelet/config.yaml";

/// Settings of the node alone at the place where `kubeadm join` leaves them.
pub const KUBEADM_INSTANCE_CONFIG: &str = "/var/lib/kubelet/instance-config.yaml";

/// Arguments of the kubelet at the place where `kubeadm join` leaves them.
pub const KUBEADM_FLAGS: &str = "/var/lib/kubelet/kubeadm-flags.env";

/// The cluster's certificate authorities at the place where `kubeadm join` leaves them.
pub const KUBEADM_CA: &str = "/etc/kubernetes/pki/ca.crt";

/// The kubelet's kubeconfig at the place where `kubeadm join` leaves it.
pub const KUBEADM_KUBECONFIG: &str = "/etc/kubernetes/kubelet.conf";

/// Record of the cluster that those certificates are of.
pub const JOINED: &str = "/var/lib/kubelet/basalt-cluster.json";

/// Folder in which network add-ons put their configuration.
pub const CNI_CONFIG: &str = "/etc/cni/net.d";

/// Folder for plugins of network add-ons: one of the state partition, by the link `/opt`.
pub const CNI_ADD_ONS: &str = "/opt/cni/bin";

/// The plugins of the image (package cni-plugins).
pub const CNI_PLUGINS: &str = "/usr/libexec/cni";

/// Pods that the kubelet runs from files, without a cluster: a folder of the state partition, by the link
/// `/etc/kubernetes`.
pub const STATIC_PODS: &str = "/etc/kubernetes/manifests";

/// Socket of containerd.
pub const CONTAINERD_SOCKET: &str = "/run/containerd/containerd.sock";

/// OCI archives that are part of the image.
pub const IMAGES: &str = "/usr/share/basalt/images";

pub use basalt_node_config::defaults::IMAGES_HOST;

/// Address of that registry (`basalt-images.socket`): on loopback, away from the ports of Kubernetes.
pub const IMAGES_ADDRESS: &str = "127.0.0.1:10239";
