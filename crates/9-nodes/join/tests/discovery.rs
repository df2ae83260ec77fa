//! Discovery against an API server on loopback, with TLS.

#![cfg(test)]
#![cfg(feature = "command")]

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use api_server::{Authority, TOKEN, cluster_info, kubeconfig, serve};
use basalt_join::access::Credentials;
use basalt_join::authorities::ClusterAuthorities;
use basalt_join::certificate_defect::CertificateDefect;
use basalt_join::client::{self, ApiClient, ClientError};
use basalt_join::cluster_info::{DiscoveryError, TrustedCluster};
use basalt_join::kubelet_config::KubeletSettings;
use basalt_join::pin::PinSet;
use basalt_join::request::TokenDiscovery;
use serde_json::{Value, json};

mod administrator;
mod api_server;

fn discovery(endpoint: &str, pins: PinSet) -> TokenDiscovery {
    TokenDiscovery {
        endpoint: format!("https://{endpoint}").parse().unwrap(),
        token: TOKEN.parse().unwrap(),
        pins,
    }
}

fn found(endpoint: &str, pins: PinSet) -> Result<(), ClientError> {
    client::discover(&discovery(endpoint, pins), Duration::ZERO).map(drop)
}

#[test]
fn a_signed_cluster_is_found_by_address_and_by_name() {
    let authority = Authority::root("kubernetes");
    let pem = authority.pem.clone();
    let server = serve(
        &authority,
        &["127.0.0.1", "localhost"],
        "127.0.0.1",
        &[],
        move |_, _, own| (200, cluster_info(&pem, own)),
    );
    found(&server.to_string(), authority.pins()).unwrap();
    found(&format!("localhost:{}", server.port()), authority.pins()).unwrap();
}

#[test]
fn a_cluster_is_found_over_ipv6() {
    if TcpListener::bind(("::1", 0)).is_err() {
        basalt_test_output::skip_this("this machine has no IPv6 on loopback");
        return;
    }
    let authority = Authority::root("kubernetes");
    let pem = authority.pem.clone();
    let server = serve(&authority, &["::1"], "::1", &[], move |_, _, own| {
        (200, cluster_info(&pem, own))
    });
    found(&server.to_string(), authority.pins()).unwrap();
}

#[test]
fn a_chain_through_an_intermediate_is_verified() {
    let root = Authority::root("root");
    let intermediate = root.intermediate("intermediate");
    let both = format!("{}{}", intermediate.pem, root.pem);
    for (pem, pins) in [
        (root.pem.clone(), root.pins()),
        (both.clone(), root.pins()),
        (both, intermediate.pins()),
    ] {
        let server = serve(
            &intermediate,
            &["127.0.0.1"],
            "127.0.0.1",
            &[&intermediate],
            move |_, _, own| (200, cluster_info(&pem, own)),
        );
        found(&server.to_string(), pins).unwrap();
    }
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::root("kubernetes");
    let pem = authority.pem.clone();
    let server = serve(&authority, &["api.example.com"], "127.0.0.1", &[], move |_, _, own| {
        (200, cluster_info(&pem, own))
    });
    let error = found(&server.to_string(), authority.pins()).unwrap_err();
    assert!(
        matches!(
            &error,
            ClientError::Untrusted {
                defect: CertificateDefect::Names,
                ..
            }
        ),
        "{error:?}"
    );
}

/// Starts a server without TLS; its address, and how many connections it took.
fn plain_server() -> (SocketAddr, Arc<AtomicUsize>) {
    use std::io::{Read as _, Write as _};
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let bound = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            counted.fetch_add(1, Ordering::SeqCst);
            // A connection that is closed with something unread in it is reset.
            let mut greeting = [0; 4096];
            let _ = stream.read(&mut greeting);
            let _ = stream.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\nno\n");
            let _ = stream.read(&mut greeting);
        }
    });
    (bound, connections)
}

#[test]
fn a_server_that_is_no_api_server_is_told_from_none() {
    let (plain, _) = plain_server();
    let authority = Authority::root("kubernetes");
    let error = found(&plain.to_string(), authority.pins()).unwrap_err();
    assert!(matches!(error, ClientError::Plain { .. }), "{error:?}");
    let unused = {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.local_addr().unwrap()
    };
    let error = found(&unused.to_string(), authority.pins()).unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error:?}");
}

/// Somebody between node and API server, who knows the token: everything is signed, and the pin is what keeps it out.
#[test]
fn whoever_has_the_token_cannot_pass_for_the_cluster() {
    let (authority, other) = (Authority::root("kubernetes"), Authority::root("kubernetes"));
    let pem = other.pem.clone();
    let server = serve(&other, &["127.0.0.1"], "127.0.0.1", &[], move |_, _, own| {
        (200, cluster_info(&pem, own))
    });
    let error = found(&server.to_string(), authority.pins()).unwrap_err();
    assert!(
        matches!(error, ClientError::Discovery(DiscoveryError::Pin(_))),
        "{error:?}"
    );
    // It names the right authority, whose certificate it does not have.
    let pem = authority.pem.clone();
    let server = serve(&other, &["127.0.0.1"], "127.0.0.1", &[], move |_, _, own| {
        (200, cluster_info(&pem, own))
    });
    let error = found(&server.to_string(), authority.pins()).unwrap_err();
    assert!(
        matches!(
            &error,
            ClientError::Untrusted {
                defect: CertificateDefect::Issuer,
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn half_an_answer_is_none() {
    for broken in [api_server::NO_ANSWER, api_server::HALF_AN_ANSWER] {
        let authority = Authority::root("kubernetes");
        let server = serve(&authority, &["127.0.0.1"], "127.0.0.1", &[], move |_, _, _| {
            (broken, json!({}))
        });
        let error = found(&server.to_string(), authority.pins()).unwrap_err();
        assert!(matches!(error, ClientError::Unreachable { .. }), "{broken}: {error:?}");
    }
}

#[test]
fn two_different_answers_are_refused() {
    let authority = Authority::root("kubernetes");
    let pem = authority.pem.clone();
    let server = serve(&authority, &["127.0.0.1"], "127.0.0.1", &[], move |number, _, own| {
        let own = SocketAddr::new(own.ip(), own.port() - u16::from(number > 0));
        (200, cluster_info(&pem, own))
    });
    let error = found(&server.to_string(), authority.pins()).unwrap_err();
    assert!(
        matches!(error, ClientError::Discovery(DiscoveryError::Changed)),
        "{error:?}"
    );
}

#[test]
fn unsigned_clusters_and_refusals_are_told_apart() {
    let authority = Authority::root("kubernetes");
    for (status, code) in [(404, 404), (403, 403), (429, 429), (503, 503)] {
        let server = serve(&authority, &["127.0.0.1"], "127.0.0.1", &[], move |_, _, _| {
            (status, json!({ "kind": "Status", "message": "because" }))
        });
        let error = found(&server.to_string(), authority.pins()).unwrap_err();
        assert!(
            matches!(&error, ClientError::Status { status, message, .. } if *status == code && message == "because"),
            "{error:?}"
        );
    }
    let pem = authority.pem.clone();
    let server = serve(&authority, &["127.0.0.1"], "127.0.0.1", &[], move |_, _, own| {
        (
            200,
            json!({ "kind": "ConfigMap", "data": { "kubeconfig": kubeconfig(&pem, own) } }),
        )
    });
    let error = found(&server.to_string(), authority.pins()).unwrap_err();
    assert!(
        matches!(error, ClientError::Discovery(DiscoveryError::Unsigned { .. })),
        "{error:?}"
    );
}

#[test]
fn a_cluster_that_signs_late_is_waited_for() {
    let authority = Authority::root("kubernetes");
    let pem = authority.pem.clone();
    let server = serve(&authority, &["127.0.0.1"], "127.0.0.1", &[], move |number, _, own| {
        if number == 0 {
            (503, json!({}))
        } else {
            (200, cluster_info(&pem, own))
        }
    });
    client::discover(
        &discovery(&server.to_string(), authority.pins()),
        Duration::from_secs(30),
    )
    .unwrap();
}

#[test]
fn settings_are_read_with_the_token_and_the_skew_policy_is_checked() {
    let authority = Authority::root("kubernetes");
    let answer = |version: &'static str| {
        move |_, head: &str, _: SocketAddr| {
            if !head.contains(&format!("Bearer {TOKEN}")) {
                return (401, json!({ "message": "Unauthorized" }));
            }
            let map = |key: &str, text: &str| (200, json!({ "kind": "ConfigMap", "data": { key: text } }));
            match head.split(' ').nth(1).unwrap_or_default() {
                "/version" => (200, json!({ "gitVersion": version })),
                path if path.ends_with("/kubeadm-config") => map(
                    "ClusterConfiguration",
                    "networking: {serviceSubnet: 172.20.0.0/16, dnsDomain: k8s.example}",
                ),
                path if path.ends_with("/kubelet-config") => map(
                    "kubelet",
                    "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nmaxPods: 50\ndefaultPodSysctls: {a: b}\n",
                ),
                _ => (404, json!({})),
            }
        }
    };
    let settings = |version: &'static str| {
        let server = serve(&authority, &["127.0.0.1"], "127.0.0.1", &[], answer(version));
        read_settings(&trusted(&authority, server), Duration::ZERO)
    };
    let found = settings("v1.37.2").unwrap();
    assert_eq!(found.cluster_dns(), ["172.20.0.10"]);
    assert_eq!(found.dropped.len(), 1);
    for (version, supported) in [
        ("v1.36.0", true),
        ("v1.39.1", true),
        ("v1.40.0", false),
        ("v1.35.9", false),
    ] {
        match settings(version) {
            Ok(_) => assert!(supported, "{version}"),
            Err(ClientError::Skew(skew)) => assert!(!supported && skew.0.contains(version), "{skew}"),
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// ureq would panic with it at the first request.
#[test]
fn a_client_certificate_that_tls_does_not_take_is_refused_before_any_request() {
    let authority = Authority::root("kubernetes");
    let credentials = Credentials::Certificate {
        certificate: include_str!("vectors/client-v1.pem").to_owned(),
        key: rcgen::KeyPair::generate().unwrap().serialize_pem(),
    };
    let server = serve(&authority, &["127.0.0.1"], "127.0.0.1", &[], |_, _, _| {
        panic!("nothing is to be asked")
    });
    let cluster = trusted(&authority, server);
    let error = ApiClient::new(&cluster.endpoint, &cluster.authorities, &credentials).unwrap_err();
    assert!(matches!(error, ClientError::ClientCertificate(_)), "{error:?}");
}

fn trusted(authority: &Authority, server: SocketAddr) -> TrustedCluster {
    TrustedCluster {
        endpoint: format!("https://{server}").parse().unwrap(),
        authorities: ClusterAuthorities::from_pem(&authority.pem).unwrap(),
        unpinned: Vec::new(),
    }
}

/// Credentials of a node that joins.
fn node() -> Credentials {
    Credentials::Token(TOKEN.to_owned())
}

/// Settings for a kubelet of 1.36, in the order in which the command asks.
fn read_settings(cluster: &TrustedCluster, patience: Duration) -> Result<KubeletSettings, ClientError> {
    let kubelet = "v1.36.3".parse().unwrap();
    client::check_skew(cluster, &node(), kubelet, patience)?;
    client::settings(cluster, &node(), kubelet, patience)
}

/// After discovery, only an answer that there is nothing to be read leaves a NodeConfig that can be used.
#[test]
fn a_token_that_is_refused_and_settings_that_cannot_be_used_are_errors() {
    let authority = Authority::root("kubernetes");
    let map = |data: Value| (200, json!({ "kind": "ConfigMap", "data": data }));
    let ask = |version: (u16, Value), config: (u16, Value)| {
        let server = serve(
            &authority,
            &["127.0.0.1"],
            "127.0.0.1",
            &[],
            move |_, head, _| match head.split(' ').nth(1).unwrap_or_default() {
                "/version" => version.clone(),
                path if path.ends_with("/kubelet-config") => config.clone(),
                _ => (404, json!({})),
            },
        );
        read_settings(&trusted(&authority, server), Duration::ZERO).unwrap_err()
    };
    let version = || (200, json!({ "gitVersion": "v1.37.2" }));
    let error = ask((401, json!({ "message": "Unauthorized" })), map(json!({})));
    assert!(
        matches!(error, ClientError::Status { status: 401, .. }) && !error.is_missing(),
        "{error:?}"
    );
    for data in [json!({}), json!({ "kubelet": "a: [" })] {
        let error = ask(version(), map(data));
        assert!(
            matches!(error, ClientError::KubeletConfig(_)) && !error.is_missing(),
            "{error:?}"
        );
    }
    for status in [403, 404] {
        assert!(ask(version(), (status, json!({}))).is_missing());
    }
}

#[test]
fn a_version_that_cannot_be_read_is_told_from_one_that_goes_with_the_kubelet() {
    let authority = Authority::root("kubernetes");
    for (said, expected) in [("v1.37.2", Some("v1.37.2")), ("foo", None)] {
        let server = serve(&authority, &["127.0.0.1"], "127.0.0.1", &[], move |_, _, _| {
            (200, json!({ "gitVersion": said }))
        });
        let cluster = trusted(&authority, server);
        let found = client::check_skew(&cluster, &node(), "v1.36.3".parse().unwrap(), Duration::ZERO);
        assert_eq!(found.unwrap().map(|version| version.to_string()).as_deref(), expected);
    }
}

#[test]
fn settings_are_waited_for_as_discovery_is() {
    let authority = Authority::root("kubernetes");
    let server = serve(&authority, &["127.0.0.1"], "127.0.0.1", &[], move |number, _, _| {
        if number == 0 {
            (503, json!({}))
        } else {
            (200, json!({ "gitVersion": "v1.37.2" }))
        }
    });
    let cluster = trusted(&authority, server);
    let patience = Duration::from_secs(30);
    client::check_skew(&cluster, &node(), "v1.36.3".parse().unwrap(), patience).unwrap();
}
