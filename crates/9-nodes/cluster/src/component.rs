//! Components of the control plane: one table of their programs, arguments, visible files and readiness probes.

use std::net::{Ipv4Addr, SocketAddr};

use basalt_sandbox::{Network, Root, Sandbox};
use camino::Utf8PathBuf;

use crate::layout::Layout;
use crate::pki::{self, CertificateAuthority, Pki};
use crate::plan::ClusterPlan;
use crate::topology::{
    API_PORT, CONTROL_PLANE, DOMAIN, KUBERNETES_SERVICE, POD_NETWORK, REGISTRY_LISTEN, SERVICE_NETWORK,
};

/// Name of the API server in the table.
pub const API_SERVER: &str = "kube-apiserver";
/// Client port of etcd. It is bound to the namespace's loopback device, which only the control plane shares, and
/// therefore speaks plain HTTP.
const ETCD_PORT: u16 = 2379;
const CONTROLLER_MANAGER_PORT: u16 = 10257;
const SCHEDULER_PORT: u16 = 10259;

/// Environment of all programs of the control plane.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("PATH", "/usr/bin"),
    // Their heaps are small beside the host's memory, and garbage collection takes time from the nodes' processors.
    ("GOGC", "400"),
    // The registry would send traces to a collector that is not there.
    ("OTEL_TRACES_EXPORTER", "none"),
];

/// Readiness probe of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// Ready when the address accepts a TCP connection.
    Connect(SocketAddr),
    /// Ready when the API server's `/readyz` says so.
    ApiServer,
}

/// Program of the control plane that the supervisor keeps running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlPlaneComponent {
    /// Name of the component and of its log.
    pub name: &'static str,
    /// File name of the program in the control plane's tree.
    pub program: &'static str,
    /// Command-line arguments of the program.
    pub arguments: Vec<String>,
    /// Files and folders of the host that the program reads.
    pub reads: Vec<Utf8PathBuf>,
    /// Folders of the host that the program writes to.
    pub writes: Vec<Utf8PathBuf>,
    /// Name of the component that must be ready before this one is started.
    pub after: Option<&'static str>,
    /// Readiness probe of the component.
    pub probe: Probe,
}

impl ControlPlaneComponent {
    /// Command that runs the component, in a sandbox with the control plane's tree and the network of the cluster.
    pub(crate) fn command(&self, plan: &ClusterPlan) -> basalt_process::Command {
        let root = Root {
            layers: vec![plan.inputs.control_plane.clone()],
            scratch: None,
        };
        let mut sandbox = Sandbox::new(root).network(Network::Inherited).hostname("control-plane");
        for path in &self.reads {
            sandbox = sandbox.show(path);
        }
        for path in &self.writes {
            sandbox = sandbox.show_writable(path);
        }
        for (name, value) in ENVIRONMENT {
            sandbox = sandbox.env(*name, *value);
        }
        sandbox.command(&format!("/usr/bin/{}", self.program), &self.arguments)
    }
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Lists all components; each stands after the one that it waits for.
pub fn all(layout: &Layout) -> Vec<ControlPlaneComponent> {
    let pki = Pki::new(layout.pki());
    vec![
        etcd(layout),
        api_server(&pki),
        controller_manager(layout, &pki),
        scheduler(layout),
        registry(layout),
    ]
}

fn etcd(layout: &Layout) -> ControlPlaneComponent {
    let url = format!("http://{}", local(ETCD_PORT));
    let peer = format!("http://{}", local(ETCD_PORT + 1));
    ControlPlaneComponent {
        name: "etcd",
        program: "etcd",
        arguments: vec![
            "--name=basalt".into(),
            format!("--data-dir={}", layout.etcd()),
            format!("--listen-client-urls={url}"),
            format!("--advertise-client-urls={url}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=basalt={peer}"),
            // A cluster that ends with its supervisor has nothing to save from a power cut, and fsync is most of what
            // etcd waits for.
            "--unsafe-no-fsync".into(),
            "--log-level=warn".into(),
        ],
        reads: Vec::new(),
        writes: vec![layout.etcd()],
        after: None,
        probe: Probe::Connect(local(ETCD_PORT)),
    }
}

fn api_server(pki: &Pki) -> ControlPlaneComponent {
    let authority = pki.certificate(CertificateAuthority::Cluster.name());
    ControlPlaneComponent {
        name: API_SERVER,
        program: "kube-apiserver",
        arguments: vec![
            format!("--etcd-servers=http://{}", local(ETCD_PORT)),
            format!("--advertise-address={CONTROL_PLANE}"),
            "--bind-address=0.0.0.0".into(),
            format!("--secure-port={API_PORT}"),
            format!("--service-cluster-ip-range={SERVICE_NETWORK}"),
            "--authorization-mode=Node,RBAC".into(),
            "--enable-admission-plugins=NodeRestriction".into(),
            "--allow-privileged=true".into(),
            "--enable-bootstrap-token-auth=true".into(),
            format!("--client-ca-file={authority}"),
            format!("--tls-cert-file={}", pki.certificate(pki::API_SERVER)),
            format!("--tls-private-key-file={}", pki.key(pki::API_SERVER)),
            // Kubelets serve with self-signed certificates, which are not verified: only this cluster's nodes are on
            // the bridge.
            format!("--kubelet-client-certificate={}", pki.certificate(pki::KUBELET_CLIENT)),
            format!("--kubelet-client-key={}", pki.key(pki::KUBELET_CLIENT)),
            "--kubelet-preferred-address-types=InternalIP".into(),
            format!("--service-account-issuer=https://kubernetes.default.svc.{DOMAIN}"),
            format!("--service-account-key-file={}", pki.public_key(pki::SERVICE_ACCOUNTS)),
            format!("--service-account-signing-key-file={}", pki.key(pki::SERVICE_ACCOUNTS)),
            format!(
                "--requestheader-client-ca-file={}",
                pki.certificate(CertificateAuthority::FrontProxy.name())
            ),
            "--requestheader-allowed-names=front-proxy-client".into(),
            "--requestheader-username-headers=X-Remote-User".into(),
            "--requestheader-group-headers=X-Remote-Group".into(),
            "--requestheader-extra-headers-prefix=X-Remote-Extra-".into(),
            format!("--proxy-client-cert-file={}", pki.certificate(pki::FRONT_PROXY_CLIENT)),
            format!("--proxy-client-key-file={}", pki.key(pki::FRONT_PROXY_CLIENT)),
            "--profiling=false".into(),
        ],
        reads: vec![pki.folder().to_owned()],
        writes: Vec::new(),
        after: Some("etcd"),
        probe: Probe::ApiServer,
    }
}

fn controller_manager(layout: &Layout, pki: &Pki) -> ControlPlaneComponent {
    let kubeconfig = layout.kubeconfig(pki::CONTROLLER_MANAGER);
    let authority = pki.certificate(CertificateAuthority::Cluster.name());
    let mut arguments = as_user(&kubeconfig);
    arguments.extend([
        format!("--cluster-cidr={POD_NETWORK}"),
        "--allocate-node-cidrs=true".into(),
        format!("--service-cluster-ip-range={SERVICE_NETWORK}"),
        format!("--cluster-signing-cert-file={authority}"),
        format!(
            "--cluster-signing-key-file={}",
            pki.key(CertificateAuthority::Cluster.name())
        ),
        format!("--root-ca-file={authority}"),
        format!("--service-account-private-key-file={}", pki.key(pki::SERVICE_ACCOUNTS)),
        format!(
            "--requestheader-client-ca-file={}",
            pki.certificate(CertificateAuthority::FrontProxy.name())
        ),
        "--use-service-account-credentials=true".into(),
        format!("--secure-port={CONTROLLER_MANAGER_PORT}"),
    ]);
    ControlPlaneComponent {
        name: "kube-controller-manager",
        program: "kube-controller-manager",
        arguments,
        reads: vec![kubeconfig, pki.folder().to_owned()],
        writes: Vec::new(),
        after: Some(API_SERVER),
        probe: Probe::Connect(local(CONTROLLER_MANAGER_PORT)),
    }
}

fn scheduler(layout: &Layout) -> ControlPlaneComponent {
    let kubeconfig = layout.kubeconfig(pki::SCHEDULER);
    let mut arguments = as_user(&kubeconfig);
    arguments.push(format!("--secure-port={SCHEDULER_PORT}"));
    ControlPlaneComponent {
        name: "kube-scheduler",
        program: "kube-scheduler",
        arguments,
        reads: vec![kubeconfig],
        writes: Vec::new(),
        after: Some(API_SERVER),
        probe: Probe::Connect(local(SCHEDULER_PORT)),
    }
}

/// Arguments that the controller manager and the scheduler have in common. There is one instance of each, so that
/// leader election is off.
fn as_user(kubeconfig: &Utf8PathBuf) -> Vec<String> {
    vec![
        format!("--kubeconfig={kubeconfig}"),
        format!("--authentication-kubeconfig={kubeconfig}"),
        format!("--authorization-kubeconfig={kubeconfig}"),
        "--leader-elect=false".into(),
        format!("--bind-address={}", Ipv4Addr::LOCALHOST),
        "--profiling=false".into(),
    ]
}

fn registry(layout: &Layout) -> ControlPlaneComponent {
    ControlPlaneComponent {
        name: "registry",
        program: "registry",
        arguments: vec!["serve".into(), layout.registry_config().into_string()],
        reads: vec![layout.registry_config()],
        writes: vec![layout.registry()],
        after: None,
        probe: Probe::Connect(REGISTRY_LISTEN.into()),
    }
}

/// The API server's certificate names the first address of the Service network, which Kubernetes gives to its Service.
const _: () = assert!(KUBERNETES_SERVICE.octets()[3] == 1);

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Vec<ControlPlaneComponent> {
        all(&Layout::new("/state"))
    }

    #[test]
    fn every_predecessor_is_in_the_table_before() {
        let table = table();
        for (place, component) in table.iter().enumerate() {
            let before = |name| table[..place].iter().any(|earlier| earlier.name == name);
            assert!(component.after.is_none_or(before), "{}", component.name);
            assert!(crate::plan::PROGRAMS.contains(&component.program), "{}", component.name);
        }
    }

    #[test]
    fn every_file_that_is_named_is_shown() {
        for component in table() {
            for argument in &component.arguments {
                let path = argument.split_once('=').map_or(argument.as_str(), |(_, value)| value);
                if !path.starts_with("/state") {
                    continue;
                }
                let shown = component
                    .reads
                    .iter()
                    .chain(&component.writes)
                    .any(|shown| path.starts_with(shown.as_str()));
                assert!(shown, "{}: {argument}", component.name);
            }
        }
    }

    #[test]
    fn the_keys_of_the_authorities_are_seen_by_those_who_need_them_only() {
        let readers: Vec<_> = table()
            .into_iter()
            .filter(|component| component.reads.iter().any(|path| path == "/state/pki"))
            .collect();
        let names: Vec<_> = readers.iter().map(|component| component.name).collect();
        assert_eq!(names, [API_SERVER, "kube-controller-manager"]);
    }
}
