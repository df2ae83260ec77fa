//! Joins by an administrator's kubeconfig.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use basalt_join::access::{ClusterAccess, Credentials};
use basalt_join::administrator::{Administrator, new_token};
use basalt_join::authorities::ClusterAuthorities;
use basalt_join::client::ClientError;
use basalt_node_config::token::BootstrapToken;
use serde_json::{Value, json};

use crate::api_server::{Answer, Authority, cluster_info, serve};

/// Administrator with the token `admin`, and the requests that the server got.
fn administrator(
    answer: impl Fn(&str, SocketAddr) -> Answer + Send + Sync + 'static,
) -> (Administrator, Receiver<String>) {
    let authority = Authority::root("kubernetes");
    let (sender, requests): (Sender<String>, _) = channel();
    let sender = Arc::new(Mutex::new(sender));
    let server = serve(&authority, &["127.0.0.1"], "127.0.0.1", &[], move |_, head, own| {
        // The last of the tests' requests may come when nobody listens any more.
        let _ = sender.lock().unwrap().send(head.to_owned());
        answer(head, own)
    });
    let access = ClusterAccess {
        endpoint: format!("https://{server}").parse().unwrap(),
        authorities: Some(ClusterAuthorities::from_pem(&authority.pem).unwrap()),
        credentials: Credentials::Token("admin".to_owned()),
    };
    let administrator = Administrator::new(access).unwrap();
    assert!(!format!("{administrator:?}").contains("\"admin\""));
    (administrator, requests)
}

fn token() -> BootstrapToken {
    new_token().unwrap()
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

#[test]
fn a_token_is_made_as_kubeadm_makes_it() {
    let (administrator, requests) = administrator(|head, _| match head.starts_with("POST ") {
        true => (201, json!({ "kind": "Secret" })),
        false => (200, json!({ "gitVersion": "v1.37.2" })),
    });
    let token = token();
    administrator.create(&token, now(), Duration::ZERO).unwrap();
    let made = requests.recv_timeout(Duration::from_secs(10)).unwrap();
    assert!(
        made.starts_with("POST /api/v1/namespaces/kube-system/secrets "),
        "{made}"
    );
    assert!(made.contains("Bearer admin"), "{made}");
    let body: Value = serde_json::from_str(made.split_at(made.find('{').unwrap()).1).unwrap();
    assert_eq!(body["metadata"]["name"], format!("bootstrap-token-{}", token.id()));
    assert_eq!(body["stringData"]["expiration"], "2027-01-16T08:00:00Z");
    let asked = requests.recv_timeout(Duration::from_secs(10)).unwrap();
    assert!(asked.contains(&token.reveal()), "{asked}");
    administrator.delete(&token).unwrap();
    let deleted = requests.recv_timeout(Duration::from_secs(10)).unwrap();
    let path = format!(
        "DELETE /api/v1/namespaces/kube-system/secrets/bootstrap-token-{} ",
        token.id()
    );
    assert!(
        deleted.starts_with(&path) && deleted.contains("Bearer admin"),
        "{deleted}"
    );
}

#[test]
fn a_token_that_is_not_taken_is_deleted_again() {
    let (administrator, requests) = administrator(|head, _| match head.contains("Bearer admin") {
        true => (200, json!({})),
        false => (401, json!({ "message": "Unauthorized" })),
    });
    let error = administrator.create(&token(), now(), Duration::ZERO).unwrap_err();
    assert!(matches!(error, ClientError::TokenRefused), "{error:?}");
    let words: Vec<_> = requests
        .try_iter()
        .map(|head| head.split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(words, ["POST", "GET", "DELETE"]);
}

#[test]
fn nothing_is_deleted_where_nothing_was_made() {
    let (administrator, requests) = administrator(|_, _| (403, json!({ "message": "no" })));
    let error = administrator.create(&token(), now(), Duration::ZERO).unwrap_err();
    assert!(
        matches!(&error, ClientError::Status { status: 403, help, .. } if help.contains("`create` on secrets")),
        "{error:?}"
    );
    assert_eq!(requests.try_iter().count(), 1);
}

#[test]
fn a_token_that_may_have_been_made_is_deleted() {
    let (failing, requests) = administrator(|_, _| (504, json!({ "message": "Timeout" })));
    let error = failing.create(&token(), now(), Duration::ZERO).unwrap_err();
    assert!(matches!(error, ClientError::Status { status: 504, .. }), "{error:?}");
    let heads: Vec<_> = requests.try_iter().collect();
    assert!(
        heads.len() == 2 && heads[0].starts_with("POST ") && heads[1].starts_with("DELETE "),
        "{heads:?}"
    );
    // An answer without TLS, as of a balancer before its servers are there.
    let (server, connections) = crate::plain_server();
    let access = ClusterAccess {
        endpoint: format!("https://{server}").parse().unwrap(),
        authorities: Some(ClusterAuthorities::from_pem(&Authority::root("kubernetes").pem).unwrap()),
        credentials: Credentials::Token("admin".to_owned()),
    };
    let plain = Administrator::new(access).unwrap();
    let error = plain.create(&token(), now(), Duration::ZERO).unwrap_err();
    assert!(matches!(error, ClientError::Plain { .. }), "{error:?}");
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

#[test]
fn nodes_get_the_address_of_cluster_info() {
    let other = Authority::root("other");
    let pem = other.pem.clone();
    let (with, _) = administrator(move |_, _| (200, cluster_info(&pem, SocketAddr::from(([192, 0, 2, 10], 6443)))));
    let cluster = with.cluster_info(Duration::ZERO).unwrap().unwrap();
    assert_eq!(cluster.endpoint.to_string(), "https://192.0.2.10:6443");
    assert_eq!(
        cluster.authorities.pem(),
        ClusterAuthorities::from_pem(&other.pem).unwrap().pem()
    );
    assert_ne!(with.asked().endpoint, cluster.endpoint);
    for answer in [
        (404, json!({})),
        (403, json!({})),
        (200, json!({ "kind": "ConfigMap", "data": {} })),
    ] {
        let (without, _) = administrator(move |_, _| answer.clone());
        assert_eq!(without.cluster_info(Duration::ZERO).unwrap(), None);
    }
    let (expired, _) = administrator(|_, _| (401, json!({})));
    assert!(expired.cluster_info(Duration::ZERO).is_err());
}
