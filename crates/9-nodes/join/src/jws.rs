//! Detached JSON Web Signatures (RFC 7515, appendix F) by which a bootstrap token signs the ConfigMap `cluster-info`.

use basalt_node_config::token::BootstrapToken;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use sha2::Sha256;

/// Signature that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not of the form `header..signature`.
    #[error("the signature is not a detached JWS (`header..signature`)")]
    Form,
    /// A header that cannot be read.
    #[error("the header of the signature is not JSON in base64url")]
    Header,
    /// Another algorithm than HMAC with SHA-256.
    #[error("the signature is made by `{algorithm}`, and only HS256 counts")]
    Algorithm {
        /// Name in the header.
        algorithm: String,
    },
    /// Header fields that change the meaning of the signature.
    #[error("the header of the signature has critical extensions")]
    Critical,
    /// Signature of another token.
    #[error("the signature is by the token `{found}`, not `{wanted}`")]
    KeyId {
        /// Key id in the header.
        found: String,
        /// Id of the token.
        wanted: String,
    },
    /// Not made with the token's secret, or over other content.
    #[error("the signature is not by this token over this content")]
    Mismatch,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: String,
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

/// Checks the signature of some content by a token. The comparison takes the same time wherever two signatures differ.
///
/// # Errors
/// When it is not a signature by this token over this content.
pub fn verify(signature: &str, content: &str, token: &BootstrapToken) -> Result<(), SignatureError> {
    let (header, signature) = signature.split_once("..").ok_or(SignatureError::Form)?;
    if signature.contains('.') {
        return Err(SignatureError::Form);
    }
    let decoded = URL_SAFE_NO_PAD.decode(header).map_err(|_| SignatureError::Header)?;
    let fields: Header = serde_json::from_slice(&decoded).map_err(|_| SignatureError::Header)?;
    if fields.alg != "HS256" {
        return Err(SignatureError::Algorithm { algorithm: fields.alg });
    }
    if fields.crit.is_some() {
        return Err(SignatureError::Critical);
    }
    if fields.kid != token.id() {
        return Err(SignatureError::KeyId {
            found: fields.kid,
            wanted: token.id().to_owned(),
        });
    }
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| SignatureError::Form)?;
    let mut mac = keyed(token).ok_or(SignatureError::Mismatch)?;
    mac.update(format!("{header}.{}", URL_SAFE_NO_PAD.encode(content)).as_bytes());
    mac.verify_slice(&signature).map_err(|_| SignatureError::Mismatch)
}

/// HMAC with the secret of a token: the part after its dot, as text.
fn keyed(token: &BootstrapToken) -> Option<Hmac<Sha256>> {
    let whole = token.reveal();
    let (_, secret) = whole.split_once('.')?;
    Hmac::new_from_slice(secret.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CONTENT: &str = include_str!("../tests/vectors/cluster-info.yaml");
    /// Made by `tests/vectors/sign.sh cluster-info.yaml abcdef.0123456789abcdef`, with openssl.
    const SIGNATURE: &str = include_str!("../tests/vectors/cluster-info.jws");

    fn token(text: &str) -> BootstrapToken {
        text.parse().unwrap()
    }

    fn check(signature: &str, content: &str, by: &str) -> Result<(), SignatureError> {
        verify(signature.trim(), content, &token(by))
    }

    /// The same signature under another header.
    fn with_header(header: &str) -> String {
        let (_, signature) = SIGNATURE.split_once("..").unwrap();
        format!("{}..{signature}", URL_SAFE_NO_PAD.encode(header))
    }

    #[test]
    fn a_signature_by_openssl_holds() {
        assert_eq!(check(SIGNATURE, CONTENT, "abcdef.0123456789abcdef"), Ok(()));
    }

    #[test]
    fn other_content_other_secrets_and_other_headers_do_not() {
        let good = "abcdef.0123456789abcdef";
        let other = CONTENT.replace("192.0.2.10", "192.0.2.11");
        assert_eq!(check(SIGNATURE, &other, good), Err(SignatureError::Mismatch));
        assert_eq!(
            check(SIGNATURE, CONTENT, "abcdef.0123456789abcdee"),
            Err(SignatureError::Mismatch)
        );
        assert!(matches!(
            check(SIGNATURE, CONTENT, "abcdeg.0123456789abcdef"),
            Err(SignatureError::KeyId { .. })
        ));
        for (header, expected) in [
            (
                r#"{"alg":"none","kid":"abcdef"}"#,
                SignatureError::Algorithm {
                    algorithm: "none".to_owned(),
                },
            ),
            (
                r#"{"alg":"HS256","kid":"abcdef","crit":["b64"]}"#,
                SignatureError::Critical,
            ),
            (r#"{"kid":"abcdef","alg":"HS256"}"#, SignatureError::Mismatch),
            ("not JSON", SignatureError::Header),
        ] {
            assert_eq!(check(&with_header(header), CONTENT, good), Err(expected), "{header}");
        }
        let truncated = SIGNATURE.trim().split_at(SIGNATURE.trim().len() - 4).0;
        assert_eq!(check(truncated, CONTENT, good), Err(SignatureError::Mismatch));
        for form in ["", ".", "..", "a.b.c", "a...b", "..a.b"] {
            assert!(check(form, CONTENT, good).is_err(), "{form}");
        }
        assert!(!format!("{:?}", check(SIGNATURE, &other, good)).contains("0123456789"));
    }

    proptest! {
        #[test]
        fn nothing_panics(signature in any::<String>(), content in any::<String>()) {
            prop_assert!(check(&signature, &content, "abcdef.0123456789abcdef").is_err());
        }
    }
}
