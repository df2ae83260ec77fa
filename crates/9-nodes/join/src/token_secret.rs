//! Bootstrap tokens as Secrets of a cluster: what `kubeadm token create` makes.

use serde_json::{Value, json};

/// Path of the Secrets of a cluster's own namespace.
pub const PATH: &str = "/api/v1/namespaces/kube-system/secrets";

/// Group that kubeadm's rules let ask for certificates, and for the kubelets' configuration.
const GROUP: &str = "system:bootstrappers:kubeadm:default-node-token";

/// Letters of tokens.
const LETTERS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// Bytes of randomness that a token is made of.
pub const RANDOM_BYTES: usize = 64;

/// Token of random bytes: 6 letters, a dot, 16 letters. `None` when too many of the bytes cannot be used, which happens
/// less than once in 10^20 times.
pub fn token(random: &[u8; RANDOM_BYTES]) -> Option<String> {
    // Bytes from 252 on are left out: the others stand for each letter equally often.
    let letters = random.iter().filter(|byte| **byte < 252);
    let letters = letters.filter_map(|byte| LETTERS.get(usize::from(byte % 36)).copied().map(char::from));
    let letters: String = letters.take(22).collect();
    let (id, secret) = letters.split_at_checked(6)?;
    (secret.len() == 16).then(|| format!("{id}.{secret}"))
}

/// Name of the Secret of a token, by the token's id.
pub fn name(id: &str) -> String {
    format!("bootstrap-token-{id}")
}

/// Secret of a token that ends at a time, in RFC 3339. `None` when the token has no dot.
pub fn secret(token: &str, expiration: &str) -> Option<Value> {
    let (id, secret) = token.split_once('.')?;
    Some(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": name(id), "namespace": "kube-system" },
        "type": "bootstrap.kubernetes.io/token",
        "stringData": {
            "auth-extra-groups": GROUP,
            "description": "For one Basalt node, by `basalt config from-join`.",
            "expiration": expiration,
            "token-id": id,
            "token-secret": secret,
            "usage-bootstrap-authentication": "true",
            "usage-bootstrap-signing": "true",
        },
    }))
}

#[cfg(test)]
mod tests {
    use basalt_node_config::token::BootstrapToken;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_secret_is_what_kubeadm_makes() {
        let secret = secret("abcdef.0123456789abcdef", "2026-11-30T12:00:00Z").unwrap();
        assert_eq!(secret["metadata"]["name"], "bootstrap-token-abcdef");
        assert_eq!(secret["stringData"]["token-secret"], "0123456789abcdef");
        assert!(super::secret("abcdef", "").is_none());
        assert_eq!(token(&[255; RANDOM_BYTES]), None);
    }

    proptest! {
        #[test]
        fn tokens_are_of_the_form(random in proptest::array::uniform32(0u8..252)) {
            let mut bytes = [0; RANDOM_BYTES];
            bytes[..32].copy_from_slice(&random);
            let token = token(&bytes).unwrap();
            prop_assert_eq!(token.parse::<BootstrapToken>().unwrap().reveal(), token);
        }
    }
}
