//! Joins of the agent, against an API server on loopback with TLS.

#![cfg(test)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use api_server::{Answer, Authority, TOKEN, cluster_info, kubeconfig, serve};
use basalt_join::existing_node::MachineIdentity;
use basalt_join::state::{JoinState, Refusal};
use basalt_node::facts::MachineFacts;
use basalt_node::join_plan::JoinPlan;
use basalt_node::join_record::JoinRecord;
use basalt_node::joining::{self, Join, JoinError};
use basalt_node::plan::plan;
use basalt_node::{apply, paths};
use basalt_node_config::{Clock, check};
use serde_json::{Value, json};

#[path = "../../join/tests/api_server/mod.rs"]
mod api_server;
mod clock;
mod rotation;

use clock::TestClock;

/// The least time of a run of the kubelet's unit, and one in which every refusal has been told.
const ONE_RUN: Duration = Duration::from_secs(45);
const LONG: Duration = Duration::from_secs(1000);

/// A machine with an applied NodeConfig.
struct Machine(tempfile::TempDir);

impl Machine {
    /// `cluster` is the rest of that part of the NodeConfig.
    fn new(server: SocketAddr, cluster: &str, rest: &str) -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        machine.apply(server, cluster, rest);
        machine
    }

    fn apply(&self, server: SocketAddr, cluster: &str, rest: &str) {
        let text = format!(
            "apiVersion: basalt.dev/v1\nkind: NodeConfig\nhostname: worker-1\ncluster:\n  endpoint: https://10.0.0.1:6443\n{cluster}{rest}"
        );
        let checked = check("node.yaml", &text, Clock::Unsure(SystemTime::now()));
        let (mut config, _) = checked.unwrap_or_else(|problems| panic!("{}\n{text}", problems.brief()));
        // A NodeConfig may not name the loopback, where the tests' server is.
        config.cluster.endpoint = format!("https://{server}").parse().unwrap();
        let facts = MachineFacts {
            machine_id: Some("0123456789abcdef0123456789abcdef".to_owned()),
            size: None,
            credential_providers: Vec::new(),
        };
        for file in plan(&config, &facts).files {
            apply::write(self.0.path(), &file).unwrap();
        }
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    fn plan(&self) -> JoinPlan {
        JoinPlan::read(self.root()).unwrap()
    }

    fn join(&self, patience: Duration) -> Result<JoinRecord, JoinState> {
        let plan = self.plan();
        let join = Join {
            root: self.root(),
            plan: &plan,
            kubelet: "v1.36.3".parse().unwrap(),
            machine: MachineIdentity {
                machine_id: "0123456789abcdef0123456789abcdef".to_owned(),
                ..MachineIdentity::default()
            },
        };
        let clock = TestClock::at(joined_until(self.root()));
        match join.run(&clock, patience) {
            Ok(record) => Ok(record),
            Err(JoinError::NotYet(state)) => {
                assert_eq!(joining::read_state(self.root()), Some(state.clone()));
                Err(state)
            }
            Err(error) => panic!("{error:?}"),
        }
    }

    fn read(&self, path: &str) -> String {
        fs_err::read_to_string(apply::below(self.root(), path)).unwrap()
    }

    /// All files below a folder.
    fn files(&self, folder: &str) -> Vec<PathBuf> {
        let (mut folders, mut files) = (vec![apply::below(self.root(), folder)], Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in fs_err::read_dir(folder).into_iter().flatten().flatten() {
                match entry.path().is_dir() {
                    true => folders.push(entry.path()),
                    false => files.push(entry.path()),
                }
            }
        }
        files
    }
}

/// Time since boot at which a state was left.
fn joined_until(root: &Path) -> Duration {
    match joining::read_state(root) {
        Some(JoinState::Refused { at, .. }) => at,
        Some(JoinState::Discovering(tries)) => tries.since,
        _ => Duration::ZERO,
    }
}

fn pins(authority: &Authority) -> String {
    let pins: Vec<_> = authority.pins().iter().map(ToString::to_string).collect();
    format!("  bootstrapToken: {TOKEN}\n  caCertHashes: ['{}']\n", pins.join("', '"))
}

/// `ca` of a NodeConfig, with settings from the cluster.
fn held(authority: &Authority) -> String {
    let pem: String = authority.pem.lines().map(|line| format!("    {line}\n")).collect();
    format!("  bootstrapToken: {TOKEN}\n  kubeletConfig: fromCluster\n  ca: |\n{pem}")
}

fn config_map(key: &str, text: &str) -> Answer {
    (200, json!({ "kind": "ConfigMap", "data": { key: text } }))
}

/// Answers of a cluster of kubeadm to a node with the token.
fn kubeadm(pem: &str, head: &str, own: SocketAddr) -> Answer {
    let path = head.split(' ').nth(1).unwrap_or_default();
    if path.ends_with("/cluster-info") {
        assert!(
            !head.contains("Bearer"),
            "a token was sent to a server that nobody vouches for"
        );
        return (200, cluster_info(pem, own));
    }
    if !head.contains(&format!("Bearer {TOKEN}")) {
        return (401, json!({ "message": "Unauthorized" }));
    }
    match path {
        "/version" => (200, json!({ "gitVersion": "v1.37.2" })),
        path if path.ends_with("/kubeadm-config") => config_map(
            "ClusterConfiguration",
            "networking: {serviceSubnet: 172.20.0.0/16, dnsDomain: k8s.example}",
        ),
        path if path.ends_with("/kubelet-config") => config_map(
            "kubelet",
            "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nclusterDNS: [172.20.0.53]\nmaxPods: 50\n\
             podPidsLimit: 4096\nshutdownGracePeriod: 0s\ncgroupDriver: cgroupfs\ndefaultPodSysctls: {a: b}\n\
             featureGates: {Nope: true, KubeletTracing: true, NodeSwap: false}\ncgroupRoot: /pods\n",
        ),
        _ => (404, json!({ "message": "nodes \"worker-1\" not found" })),
    }
}

/// Starts a cluster of kubeadm, some of whose answers are others.
fn cluster(
    authority: &Authority,
    other: impl Fn(usize, &str, SocketAddr) -> Option<Answer> + Send + Sync + 'static,
) -> SocketAddr {
    let pem = authority.pem.clone();
    serve(authority, &["127.0.0.1"], "127.0.0.1", &[], move |number, head, own| {
        other(number, head, own).unwrap_or_else(|| kubeadm(&pem, head, own))
    })
}

#[test]
fn a_node_joins_as_kubeadm_would() {
    let authority = Authority::root("kubernetes");
    let server = cluster(&authority, |_, _, _| None);
    let machine = Machine::new(
        server,
        &pins(&authority),
        "kubelet: { maxPods: 60, evictionSoftGracePeriod: { memory.available: 1m } }\nlabels: { a: b }\n",
    );
    let record = machine.join(ONE_RUN).unwrap();
    let plan = machine.plan();
    let outcome = plan.outcome(&record);
    for file in &outcome.files {
        apply::write(machine.root(), file).unwrap();
    }

    let told: Value = serde_json::from_str(&machine.read(paths::KUBELET_CONFIG)).unwrap();
    assert_eq!(told["clusterDNS"], json!(["172.20.0.53"]));
    assert_eq!(told["clusterDomain"], "k8s.example");
    assert_eq!((&told["maxPods"], &told["podPidsLimit"]), (&json!(60), &json!(4096)));
    assert_eq!(told["shutdownGracePeriod"], "30s");
    assert_eq!(told["cgroupDriver"], "systemd");
    assert_eq!(told["authentication"]["x509"]["clientCAFile"], paths::CLUSTER_CA);
    assert_eq!((told.get("defaultPodSysctls"), told.get("cgroupRoot")), (None, None));
    // The kubelet would not start with a gate that it does not have.
    assert_eq!(
        told["featureGates"],
        json!({ "KubeletTracing": true, "NodeLogQuery": true })
    );
    assert_eq!(machine.read(paths::KUBEADM_CONFIG), machine.read(paths::KUBELET_CONFIG));

    assert_eq!(machine.read(paths::CLUSTER_CA), record.authorities);
    assert_eq!(machine.read(paths::KUBEADM_CA), record.authorities);
    let flags = machine.read(paths::KUBEADM_FLAGS);
    assert_eq!(
        flags,
        "KUBELET_KUBEADM_ARGS=\"--hostname-override=worker-1 --node-labels=a=b\"\n"
    );
    let kubeconfig: Value = serde_json::from_str(&machine.read(paths::KUBEADM_KUBECONFIG)).unwrap();
    assert_eq!(
        kubeconfig["users"][0]["user"]["client-certificate"],
        paths::CLIENT_CERTIFICATE
    );
    let bootstrap: Value = serde_json::from_str(&machine.read(paths::BOOTSTRAP_KUBECONFIG)).unwrap();
    assert_eq!(bootstrap["users"][0]["user"]["token"], TOKEN);

    let warnings = outcome.warnings.join("\n");
    for field in [
        "`defaultPodSysctls` (since Kubernetes 1.37)",
        "this kubelet does not have it: `featureGates.Nope` (not a feature gate of the kubelet up to Kubernetes 1.37)",
        "it cannot be switched in this kubelet: `featureGates.NodeSwap` (locked to `true`)",
        "would not start with it on this node: `cgroupRoot` (the image has no control group `/pods`",
        "`evictionSoftGracePeriod` of memory.available has no effect",
        "`cgroupDriver` is \"cgroupfs\"",
        "`maxPods` is 50",
    ] {
        assert!(warnings.contains(field), "{field}: {warnings}");
    }
    // No secret is on a disk.
    let (_, secret) = TOKEN.split_once('.').unwrap();
    for path in ["/var", "/etc"].iter().flat_map(|folder| machine.files(folder)) {
        let text = fs_err::read_to_string(&path).unwrap();
        assert!(!text.contains(secret), "{}", path.display());
    }
    assert!(!machine.read(paths::JOIN_STATE).contains(secret));
    assert!(!format!("{plan:?} {:?}", plan.trust).contains(secret));
}

#[test]
fn an_authority_that_is_held_is_not_asked_for() {
    let authority = Authority::root("kubernetes");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let paths = asked.clone();
    let server = cluster(&authority, move |_, head, _| {
        paths
            .lock()
            .unwrap()
            .push(head.split(' ').nth(1).unwrap_or_default().to_owned());
        None
    });
    let machine = Machine::new(server, &held(&authority), "");
    let record = machine.join(ONE_RUN).unwrap();
    assert_eq!(record.settings.unwrap().cluster_dns(), ["172.20.0.53"]);
    let asked = asked.lock().unwrap();
    assert!(!asked.iter().any(|path| path.ends_with("/cluster-info")), "{asked:?}");
    // Without `kubeletConfig`, there is nothing to be asked at all.
    let machine = Machine::new(
        server,
        &held(&authority).replace("  kubeletConfig: fromCluster\n", ""),
        "",
    );
    assert_eq!(JoinPlan::read(machine.root()), None);
}

#[test]
fn pins_alone_ask_for_the_authority_alone() {
    let authority = Authority::root("kubernetes");
    let server = cluster(&authority, |_, head, _| {
        head.contains("/kube-system/")
            .then(|| (500, json!({ "message": "not to be asked" })))
    });
    let alone = pins(&authority) + "  kubeletConfig: fromNodeConfig\n";
    let machine = Machine::new(server, &alone, "kubelet: { maxPods: 60 }\n");
    let record = machine.join(ONE_RUN).unwrap();
    assert_eq!(record.settings, None);
    let files = machine.plan().outcome(&record).files;
    let config = files.iter().find(|file| file.path == paths::KUBELET_CONFIG).unwrap();
    let config: Value = serde_json::from_str(&config.content).unwrap();
    assert_eq!(
        (&config["maxPods"], &config["clusterDNS"]),
        (&json!(60), &json!(["10.96.0.10"]))
    );
}

#[test]
fn a_chain_through_an_intermediate_is_verified() {
    let root = Authority::root("root");
    let intermediate = root.intermediate("intermediate");
    let pem = root.pem.clone();
    let answer = move |_, head: &str, own| kubeadm(&pem, head, own);
    let server = serve(&intermediate, &["127.0.0.1"], "127.0.0.1", &[&intermediate], answer);
    Machine::new(server, &pins(&root), "").join(ONE_RUN).unwrap();
}

#[test]
fn a_cluster_that_signs_late_or_fails_meanwhile_is_waited_for() {
    let authority = Authority::root("kubernetes");
    let pem = authority.pem.clone();
    let server = cluster(&authority, move |number, _, own| match number {
        0 => Some((503, json!({ "message": "starting" }))),
        1 => Some((429, json!({}))),
        2 => Some(config_map("kubeconfig", &kubeconfig(&pem, own))),
        // The second answer, and the first question with the token.
        5 => Some((500, json!({}))),
        _ => None,
    });
    Machine::new(server, &pins(&authority), "").join(LONG).unwrap();
}

/// The kubelet of these tests is of 1.36.
#[test]
fn control_planes_of_the_skew_policy_are_joined() {
    for (version, is_joined) in [
        ("v1.36.0", true),
        ("v1.37.2", true),
        ("v1.38.0-rc.1", true),
        ("v1.39.9+vendor", true),
        ("v1.35.5", false),
        ("v1.32.1", false),
        ("v1.40.0", false),
        // Nothing is known of it, and so it is tried.
        ("a-vendors-own", true),
    ] {
        let authority = Authority::root("kubernetes");
        let server = cluster(&authority, move |_, head, _| {
            head.contains("/version")
                .then(|| (200, json!({ "gitVersion": version })))
        });
        let joined = Machine::new(server, &pins(&authority), "").join(ONE_RUN);
        assert_eq!(joined.is_ok(), is_joined, "{version}: {:?}", joined.err());
    }
}

#[test]
fn a_cluster_of_ipv6_is_joined() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        basalt_test_output::skip_this("this machine has no IPv6 on loopback");
        return;
    }
    let authority = Authority::root("kubernetes");
    let pem = authority.pem.clone();
    let answer = move |_, head: &str, own| kubeadm(&pem, head, own);
    let server = serve(&authority, &["::1"], "::1", &[], answer);
    let record = Machine::new(server, &pins(&authority), "").join(ONE_RUN).unwrap();
    assert_eq!(record.server, format!("https://{server}"));
}

/// A balancer passes connections on, and has another address than the API server. Its address is in the certificate, and
/// cluster-info names it, or not.
#[test]
fn a_cluster_behind_a_balancer_is_joined() {
    let authority = Authority::root("kubernetes");
    for is_named in [true, false] {
        let balancer = std::net::TcpListener::bind("127.0.0.2:0").unwrap();
        let address = balancer.local_addr().unwrap();
        let named = is_named.then_some(address);
        let pem = authority.pem.clone();
        let answer = move |_, head: &str, own| kubeadm(&pem, head, named.unwrap_or(own));
        let server = serve(&authority, &["127.0.0.1", "127.0.0.2"], "127.0.0.1", &[], answer);
        std::thread::spawn(move || {
            for incoming in balancer.incoming() {
                pass_on(incoming.unwrap(), std::net::TcpStream::connect(server).unwrap());
            }
        });
        let record = Machine::new(address, &pins(&authority), "").join(ONE_RUN).unwrap();
        assert_eq!(record.asked, format!("https://{address}"));
        assert_eq!(record.server, format!("https://{}", named.unwrap_or(server)));
    }
}

/// Copies what comes from either side of a balancer to the other, until both have ended.
fn pass_on(client: std::net::TcpStream, server: std::net::TcpStream) {
    for (mut from, mut to) in [
        (client.try_clone().unwrap(), server.try_clone().unwrap()),
        (server, client),
    ] {
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(std::net::Shutdown::Write);
        });
    }
}

/// The API server stops at each request of a join: it closes the connection without an answer, or in the middle of one.
#[test]
fn a_cluster_that_goes_away_in_the_middle_is_waited_for() {
    for broken in [api_server::NO_ANSWER, api_server::HALF_AN_ANSWER] {
        for gone in 0..6 {
            let authority = Authority::root("kubernetes");
            let back = Arc::new(AtomicUsize::new(usize::MAX));
            let end = back.clone();
            let server = cluster(&authority, move |number, _, _| {
                (gone..end.load(Ordering::SeqCst))
                    .contains(&number)
                    .then(|| (broken, json!({})))
            });
            let machine = Machine::new(server, &pins(&authority), "");
            let state = machine.join(ONE_RUN).unwrap_err();
            assert!(!matches!(state, JoinState::Refused { .. }), "request {gone}: {state:?}");
            // Half a join leaves nothing that would count as one.
            assert!(
                !apply::below(machine.root(), paths::JOIN_RECORD).exists(),
                "request {gone}"
            );
            back.store(0, Ordering::SeqCst);
            machine.join(ONE_RUN).unwrap();
        }
    }
}

#[test]
fn an_expired_token_is_refused_until_there_is_another() {
    let authority = Authority::root("kubernetes");
    let (requests, pem) = (Arc::new(AtomicUsize::new(0)), authority.pem.clone());
    let counter = requests.clone();
    let server = cluster(&authority, move |_, _, own| {
        counter.fetch_add(1, Ordering::SeqCst);
        Some(config_map("kubeconfig", &kubeconfig(&pem, own)))
    });
    let machine = Machine::new(server, &pins(&authority), "");
    // For the five minutes that kubeadm waits, it may be a token that is not known everywhere yet.
    assert!(matches!(machine.join(ONE_RUN), Err(JoinState::Discovering(_))));
    let refused = machine.join(LONG).unwrap_err();
    let is_token = |state: &JoinState| matches!(state, JoinState::Refused { refusal: Refusal::Token { id }, .. } if id == "abcdef");
    assert!(is_token(&refused), "{refused:?}");
    // Nobody is asked again with it.
    let before = requests.load(Ordering::SeqCst);
    assert!(is_token(&machine.join(LONG).unwrap_err()));
    assert_eq!(requests.load(Ordering::SeqCst), before);
    // Another one is a new try.
    machine.apply(server, &pins(&authority).replace("abcdef.", "ghijkl."), "");
    assert!(matches!(machine.join(ONE_RUN), Err(JoinState::Discovering(_))));
    assert!(requests.load(Ordering::SeqCst) > before);
}

/// Each way in which a join ends before it has begun, as the console shows it.
#[test]
fn each_refusal_says_what_to_do() {
    let (authority, stranger) = (Authority::root("kubernetes"), Authority::root("kubernetes"));
    let mut texts = Vec::new();
    let mut told = |name: &str, server: SocketAddr, cluster: &str| {
        let state = Machine::new(server, cluster, "").join(ONE_RUN).unwrap_err();
        let mut text = state.to_string().replace(&server.to_string(), "192.0.2.10:6443");
        for (authority, name) in [(&authority, "PIN"), (&stranger, "OTHER-PIN")] {
            let pin = authority.pins().iter().next().unwrap().to_string();
            text = text.replace(&pin, name);
        }
        texts.push(format!("{name}\n    {text}\n"));
    };
    let status = |at: &'static str, status: u16, message: &'static str| {
        cluster(&authority, move |_, head, _| {
            head.contains(at).then(|| (status, json!({ "message": message })))
        })
    };
    told(
        "the key of the authority is another one",
        cluster(&stranger, |_, _, _| None),
        &pins(&authority),
    );
    let wrong = pins(&authority).replace("0123456789abcdef\n", "0000000000000000\n");
    told(
        "the secret of the token is another one",
        cluster(&authority, |_, _, _| None),
        &wrong,
    );
    let pem = authority.pem.clone();
    let imposter = serve(&stranger, &["127.0.0.1"], "127.0.0.1", &[], move |_, head, own| {
        kubeadm(&pem, head, own)
    });
    told("another server names the right authority", imposter, &pins(&authority));
    let pem = authority.pem.clone();
    let by_name = serve(&authority, &["api.example"], "127.0.0.1", &[], move |_, head, own| {
        kubeadm(&pem, head, own)
    });
    told("the API server has a name only", by_name, &pins(&authority));
    told(
        "no cluster-info",
        status("/cluster-info", 404, "not found"),
        &pins(&authority),
    );
    told(
        "no anonymous requests",
        status("/cluster-info", 401, "Unauthorized"),
        &pins(&authority),
    );
    let no_map = cluster(&authority, |_, head, _| {
        head.contains("/cluster-info").then(|| (200, json!({})))
    });
    told("something else answers", no_map, &pins(&authority));
    told(
        "the API server is busy",
        status("/cluster-info", 429, "too many requests"),
        &pins(&authority),
    );
    told(
        "the token is not accepted",
        status("/version", 401, "Unauthorized"),
        &held(&authority),
    );
    told(
        "kubelet-config is not for nodes",
        status("/kubelet-config", 403, "forbidden: User \"x\""),
        &pins(&authority),
    );
    told(
        "no kubelet-config",
        status("/kubelet-config", 404, "not found"),
        &pins(&authority),
    );
    for (name, version) in [("newer by four minors", "v1.40.0"), ("older", "v1.35.9")] {
        let server = cluster(&authority, move |_, head, _| {
            head.contains("/version")
                .then(|| (200, json!({ "gitVersion": version })))
        });
        told(&format!("the control plane is {name}"), server, &pins(&authority));
    }
    let taken = cluster(&authority, |_, head, _| {
        let node = json!({ "status": {
            "conditions": [{ "type": "Ready", "status": "True" }],
            "nodeInfo": { "machineID": "ffffffffffffffffffffffffffffffff" },
        } });
        head.contains("/nodes/worker-1").then_some((200, node))
    });
    told("another machine has the name", taken, &pins(&authority));
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    told("nobody answers", nobody, &pins(&authority));
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn a_node_that_has_joined_needs_neither_its_token_nor_an_answer() {
    let authority = Authority::root("kubernetes");
    let other = Authority::root("kubernetes");
    let server = cluster(&authority, |_, _, _| None);
    let machine = Machine::new(server, &pins(&authority), "");
    let record = machine.join(ONE_RUN).unwrap();
    // Without a certificate, it has not joined.
    assert_eq!(JoinRecord::usable(machine.root(), &machine.plan()), None);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    let pem = certificate.self_signed(&key).unwrap().pem() + &key.serialize_pem();
    let path = apply::below(machine.root(), paths::CLIENT_CERTIFICATE);
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, pem).unwrap();
    assert_eq!(
        JoinRecord::usable(machine.root(), &machine.plan()),
        Some(record.clone())
    );
    machine.apply(server, &pins(&authority).replace("abcdef.", "ghijkl."), "");
    assert_eq!(
        JoinRecord::usable(machine.root(), &machine.plan()),
        Some(record.clone())
    );
    // Of another cluster it is of no use.
    machine.apply(server, &pins(&other), "");
    assert_eq!(JoinRecord::usable(machine.root(), &machine.plan()), None);
    machine.apply(server, &held(&authority), "");
    assert_eq!(
        JoinRecord::usable(machine.root(), &machine.plan()),
        Some(record.clone())
    );
    // It follows a move, and the authorities that a NodeConfig has.
    let elsewhere: SocketAddr = "127.0.0.1:1".parse().unwrap();
    machine.apply(elsewhere, &pins(&authority), "");
    let moved = JoinRecord::usable(machine.root(), &machine.plan()).unwrap();
    assert_eq!(
        (moved.asked.as_str(), moved.server.as_str()),
        ("https://127.0.0.1:1", "https://127.0.0.1:1")
    );
    let rotated = held(&authority) + held(&other).split_once("|\n").unwrap().1;
    machine.apply(elsewhere, &rotated, "");
    let moved = JoinRecord::usable(machine.root(), &machine.plan()).unwrap();
    assert!(moved.authorities.len() > record.authorities.len());
    machine.apply(elsewhere, &held(&other), "");
    assert_eq!(JoinRecord::usable(machine.root(), &machine.plan()), None);
    // The API server here wants the token: what a certificate asks is refused, and the record stays.
    let error = joining::refresh(machine.root(), &record, "v1.36.3".parse().unwrap()).unwrap_err();
    assert!(error.contains("401"), "{error}");
}
