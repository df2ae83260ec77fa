//! Pulls of the real containerd, with what the agent makes of a NodeConfig, from registries that ask for credentials.
//!
//! ```text
//! NodeConfig with credentials --(plan)--> configuration of containerd
//! crictl --> containerd --(HTTP)--> registry: 401, the address of its token server
//!                          └──────> token server, with the credentials in one of the forms that are in use
//! ```
//!
//! `./basalt test` names containerd and crictl in `BASALT_CONTAINERD` and `BASALT_CRICTL`.

#![cfg(test)]

#[path = "../http_server/mod.rs"]
mod http_server;
#[path = "../node_config/mod.rs"]
mod node_config;
mod registry;
mod run;

use registry::{Challenge, PASSWORD, Registry, USER};
use run::containerd;

/// Credentials of a registry, as a NodeConfig has them.
fn auth(user: &str, password: &str) -> String {
    format!("username: {user}, password: '{password}'")
}

#[test]
fn the_real_containerd_pulls_with_credentials() {
    let Some(containerd) = containerd("the_real_containerd_pulls_with_credentials") else {
        return;
    };
    for (challenge, auth, requests) in [
        // Without a token server, as a registry behind a proxy does.
        (Challenge::Basic, auth(USER, PASSWORD), &[][..]),
        // Docker Hub.
        (Challenge::PasswordGrant, auth(USER, PASSWORD), &["POST /token"]),
        // Harbor and GitHub's registry refuse the form of OAuth 2, and containerd asks again.
        (
            Challenge::BasicToken,
            auth(USER, PASSWORD),
            &[
                "POST /token",
                "GET /token?scope=repository%3Aapp%3Apull&service=registry",
            ],
        ),
        // Azure's registry, by the token that `az acr login --expose-token` shows.
        (
            Challenge::RefreshToken,
            format!("identityToken: {PASSWORD}"),
            &["POST /token"],
        ),
    ] {
        let registry = Registry::new(challenge);
        let pulled = containerd.pull(&registry, &auth);
        assert!(
            pulled.is_ok(),
            "{challenge:?}: {pulled:?}\n{:?}",
            registry.token_requests()
        );
        let asked = registry.token_requests();
        for request in requests {
            assert!(asked.iter().any(|known| known == request), "{challenge:?}: {asked:?}");
        }
        assert_eq!(asked.is_empty(), requests.is_empty(), "{challenge:?}: {asked:?}");
    }
}

#[test]
fn the_real_containerd_is_refused_with_wrong_credentials() {
    let Some(containerd) = containerd("the_real_containerd_is_refused_with_wrong_credentials") else {
        return;
    };
    for challenge in [
        Challenge::Basic,
        Challenge::PasswordGrant,
        Challenge::BasicToken,
        Challenge::RefreshToken,
    ] {
        let registry = Registry::new(challenge);
        for auth in [auth(USER, "another"), "identityToken: another".to_owned()] {
            let said = containerd.pull(&registry, &auth).unwrap_err();
            let refused = ["401", "authoriz"].iter().any(|words| said.contains(words));
            assert!(refused, "{challenge:?}: {said}");
        }
    }
}
