//! Where things are on a node. Units and other packages name the same places.

/// What the agent did; the kubelet and containerd start only when it is there.
pub const APPLIED: &str = "/run/basalt/applied.json";

/// containerd's configuration.
pub const CONTAINERD_CONFIG: &str = "/run/basalt/containerd/config.toml";

/// Environment variables of containerd, as an environment file.
pub const CONTAINERD_ENVIRONMENT: &str = "/run/basalt/containerd/environment";

/// Images to pull early: an environment file for each, by number, and `units` with the units that pull them.
pub const PREPULL: &str = "/run/basalt/prepull";

/// How images of each registry are fetched, in containerd's format.
pub const REGISTRIES: &str = "/run/basalt/containerd/certs.d";

/// More certificate authorities. containerd's unit has it in `SSL_CERT_DIR`.
pub const CA_CERTIFICATES: &str = "/run/basalt/ca-certificates";

/// The kubelet's configuration.
pub const KUBELET_CONFIG: &str = "/run/basalt/kubelet/config.json";

/// What the kubelet takes as arguments only, as an environment file.
pub const KUBELET_ARGUMENTS: &str = "/run/basalt/kubelet/arguments";

/// Environment variables of the kubelet, as an environment file.
pub const KUBELET_ENVIRONMENT: &str = "/run/basalt/kubelet/environment";

/// Programs that the kubelet asks for credentials of registries.
pub const CREDENTIAL_PROVIDERS: &str = "/usr/libexec/credential-providers";

/// Which of them it asks for which images.
pub const CREDENTIAL_PROVIDERS_CONFIG: &str = "/run/basalt/kubelet/credential-providers.json";

/// The address that the kubelet registers with, as an environment file.
pub const KUBELET_ADDRESS: &str = "/run/basalt/kubelet/address";

/// The name servers that pods are given.
pub const KUBELET_RESOLV_CONF: &str = "/run/basalt/kubelet/resolv.conf";

/// The name servers of the network, as resolved writes them.
pub const RESOLV_CONF: &str = "/run/systemd/resolve/resolv.conf";

/// What networkd knows of the network.
pub const NETWORK_STATE: &str = "/run/systemd/netif/state";

/// Time servers that the NodeConfig names, in the place of the image's pool: chrony.conf knows it by this name.
pub const TIME_SERVERS: &str = "/run/chrony.d/default.sources";

/// Time servers that DHCP names.
pub const TIME_SERVERS_OF_DHCP: &str = "/run/chrony.d/dhcp.sources";

/// How the kubelet first speaks to its cluster.
pub const BOOTSTRAP_KUBECONFIG: &str = "/run/basalt/kubelet/bootstrap.kubeconfig";

/// The certificate that the kubelet serves with, unless its cluster gives it one.
pub const SERVING_CERTIFICATE: &str = "/run/basalt/kubelet/serving.crt";

/// Its key.
pub const SERVING_KEY: &str = "/run/basalt/kubelet/serving.key";

/// The certificate authority of the cluster.
pub const CLUSTER_CA: &str = "/run/basalt/kubelet/ca.crt";

/// How the kubelet speaks to its cluster from then on; it writes this file itself.
pub const KUBECONFIG: &str = "/var/lib/kubelet/kubeconfig";

/// The kubelet's own certificates.
pub const KUBELET_PKI: &str = "/var/lib/kubelet/pki";

/// Which cluster those certificates are of.
pub const JOINED: &str = "/var/lib/kubelet/basalt-cluster.json";

/// Where network add-ons put their configuration.
pub const CNI_CONFIG: &str = "/etc/cni/net.d";

/// Where network add-ons put plugins of their own: a folder of the state partition, by the link `/opt`.
pub const CNI_ADD_ONS: &str = "/opt/cni/bin";

/// The plugins of the image (package cni-plugins).
pub const CNI_PLUGINS: &str = "/usr/libexec/cni";

/// Pods that the kubelet runs from files, without a cluster: a folder of the state partition, by the link
/// `/etc/kubernetes`.
pub const STATIC_PODS: &str = "/etc/kubernetes/manifests";

/// Where containerd listens.
pub const CONTAINERD_SOCKET: &str = "/run/containerd/containerd.sock";

/// OCI archives that are part of the image.
pub const IMAGES: &str = "/usr/share/basalt/images";

/// The registry whose images they are.
pub const IMAGES_HOST: &str = "basalt.local";

/// Where that registry listens (`basalt-images.socket`): on loopback, away from the ports of Kubernetes.
pub const IMAGES_ADDRESS: &str = "127.0.0.1:10239";
