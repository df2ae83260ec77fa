//! Rotation of a cluster's certificate authority: the old one, both, the new one, on one node after the other.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use basalt_node::address::Wanted;
use basalt_node::apply::{self, Applied};
use basalt_node::join::settle_identity;
use basalt_node::join_record::JoinRecord;
use basalt_node::{joining, paths};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use serde_json::json;

use super::api_server::{Authority, TOKEN, serve};
use super::{Machine, ONE_RUN, held, kubeadm, pass_on};

/// Bootstrap token of the cluster, which expires once all nodes have joined.
#[derive(Clone, Default)]
struct Token {
    has_expired: Arc<AtomicBool>,
    /// Requests with it since then.
    uses: Arc<AtomicUsize>,
}

/// Starts an API server whose certificate an authority signs. It answers requests without a token, too: those of nodes that
/// have joined.
fn api_server(authority: &Authority, token: &Token) -> SocketAddr {
    let (pem, token) = (authority.pem.clone(), token.clone());
    let names = ["127.0.0.1", "127.0.0.2"];
    serve(authority, &names, "127.0.0.1", &[], move |_, head, own| {
        if !head.contains("Bearer") {
            return kubeadm(&pem, &format!("{head}Bearer {TOKEN}"), own);
        }
        if token.has_expired.load(Ordering::SeqCst) {
            token.uses.fetch_add(1, Ordering::SeqCst);
            return (401, json!({ "message": "Unauthorized" }));
        }
        kubeadm(&pem, head, own)
    })
}

/// Starts a balancer on an address, which passes connections on to the API server of the moment.
fn balancer(address: &str, server: &Arc<Mutex<SocketAddr>>) -> SocketAddr {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let (bound, server) = (listener.local_addr().unwrap(), server.clone());
    std::thread::spawn(move || {
        for incoming in listener.incoming() {
            let server = *server.lock().unwrap();
            pass_on(incoming.unwrap(), TcpStream::connect(server).unwrap());
        }
    });
    bound
}

/// `cluster` of a NodeConfig with these authorities.
fn trusting(authorities: &[&Authority]) -> String {
    let mut parts = authorities.iter().map(|authority| held(authority));
    let first = parts.next().unwrap();
    parts.fold(first, |text, part| text + part.split_once("|\n").unwrap().1)
}

/// Puts a client certificate that an authority signs where the kubelet keeps its own, and returns it.
fn sign(machine: &Machine, authority: &Authority) -> String {
    let mut parameters = CertificateParams::new(Vec::<String>::new()).unwrap();
    parameters.distinguished_name = DistinguishedName::new();
    parameters
        .distinguished_name
        .push(DnType::CommonName, "system:node:worker-1");
    parameters.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().unwrap();
    let pem = parameters.signed_by(&key, &authority.issuer).unwrap().pem() + &key.serialize_pem();
    let path = apply::below(machine.root(), paths::CLIENT_CERTIFICATE);
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, &pem).unwrap();
    pem
}

/// Writes what follows from a record, as `basalt-node join` does before the kubelet starts.
fn settle(machine: &Machine, record: &JoinRecord) {
    let plan = machine.plan();
    for file in plan.outcome(record).files {
        apply::write(machine.root(), &file).unwrap();
    }
    let applied = Applied {
        origin: "test".to_owned(),
        hostname: "worker-1".to_owned(),
        endpoint: plan.endpoint,
        wanted: Wanted::default(),
        files: Vec::new(),
        warnings: Vec::new(),
    };
    let told = settle_identity(machine.root(), &applied).unwrap();
    assert!(told.is_empty(), "{told:?}");
}

/// The record of the join as it is now, asked for at the API server with the node's own certificate.
fn asked(machine: &Machine) -> Result<JoinRecord, String> {
    let record = JoinRecord::usable(machine.root(), &machine.plan()).ok_or("it would have to join anew")?;
    joining::refresh(machine.root(), &record, "v1.36.3".parse().unwrap())
}

/// Starts a node with another NodeConfig.
fn restart(machine: &Machine, endpoint: SocketAddr, authorities: &[&Authority]) {
    machine.apply(endpoint, &trusting(authorities), "");
    let record = asked(machine).unwrap_or_else(|error| panic!("a node is lost: {error}"));
    record.write(machine.root()).unwrap();
    settle(machine, &record);
}

/// Holds that all nodes reach the API server, and that their kubelets trust the same authorities as the agent.
#[track_caller]
fn all_reach(machines: &[Machine], when: &str) {
    for (number, machine) in machines.iter().enumerate() {
        let record = asked(machine).unwrap_or_else(|error| panic!("node {number} is lost {when}: {error}"));
        assert_eq!(
            machine.read(paths::CLUSTER_CA),
            record.authorities,
            "node {number} {when}"
        );
    }
}

/// Rotates the authority of a cluster with three nodes; the API server moves to another address with its new certificate, or
/// stays.
fn rotate(moves: bool) {
    let [old, new, of_clients] = ["kubernetes", "kubernetes", "clients"].map(Authority::root);
    let token = Token::default();
    let server = Arc::new(Mutex::new(api_server(&old, &token)));
    let first = balancer("127.0.0.1", &server);
    let second = if moves { balancer("127.0.0.2", &server) } else { first };
    let machines = [(); 3].map(|()| Machine::new(first, &trusting(&[&old]), ""));
    // Some clusters sign certificates of clients with an authority of its own.
    let mut certificates = Vec::new();
    for (machine, signer) in machines.iter().zip([&old, &old, &of_clients]) {
        let record = machine.join(ONE_RUN).unwrap();
        certificates.push(sign(machine, signer));
        settle(machine, &record);
    }
    token.has_expired.store(true, Ordering::SeqCst);
    all_reach(&machines, "before the rotation");

    for machine in &machines {
        restart(machine, first, &[&old, &new]);
        all_reach(&machines, "while nodes learn of the new authority");
    }
    *server.lock().unwrap() = api_server(&new, &token);
    all_reach(&machines, "when the API server has its new certificate");
    // One kubelet has rotated its own since.
    certificates[1] = sign(&machines[1], &new);
    for machine in &machines {
        restart(machine, second, &[&new]);
        all_reach(&machines, "while nodes forget the old authority");
    }
    for (machine, certificate) in machines.iter().zip(&certificates) {
        assert_eq!(machine.read(paths::CLIENT_CERTIFICATE), *certificate);
    }
    assert_eq!(token.uses.load(Ordering::SeqCst), 0, "a node asked with its old token");
}

#[test]
fn a_rolling_rotation_of_the_authority_loses_no_node() {
    rotate(false);
}

#[test]
fn a_rolling_rotation_and_a_move_lose_no_node() {
    rotate(true);
}

/// The order matters: a node that never had both authorities does not trust the API server of the new one.
#[test]
fn a_node_that_knows_the_old_authority_alone_is_lost() {
    let [old, new] = ["kubernetes", "kubernetes"].map(Authority::root);
    let token = Token::default();
    let server = Arc::new(Mutex::new(api_server(&old, &token)));
    let machine = Machine::new(balancer("127.0.0.1", &server), &trusting(&[&old]), "");
    let record = machine.join(ONE_RUN).unwrap();
    sign(&machine, &old);
    settle(&machine, &record);
    asked(&machine).unwrap();
    *server.lock().unwrap() = api_server(&new, &token);
    let error = asked(&machine).unwrap_err();
    assert!(!error.contains("join anew"), "{error}");
}
