//! Signatures of action results, carried inside the `ActionResult` itself.
//!
//! ```text
//! ActionResult
//!   output_files, output_directories, ...            what servers look at: which blobs have to be kept; not all
//!                                                    outputs of the payload need be among them
//!   execution_metadata.auxiliary_metadata[]: Any
//!     type_url  type.googleapis.com/basalt.cache.v1.SignedActionResult
//!     value     SignedActionResult
//!                 1: payload     the ActionResult in canonical encoding, without this Any
//!                 2: signatures  1: key's name   2: Ed25519 over the statement
//! statement = "basalt-cache-v1\n" <SHA-256 of the Action, hexadecimal> "\n" <payload>
//! ```
//!
//! `auxiliary_metadata` is where REAPI lets clients put what servers do not interpret. A blob of its own would be
//! collected by servers that keep only what a result names as output, and `stdout_raw` is moved into the CAS by some.
//!
//! The payload is signed and carried as bytes: servers fill in `worker`, inline small outputs and encode the message
//! anew, which neither breaks the signature nor gets around it. Nothing outside of the payload is used. The action's
//! digest is part of the statement, so that a result is valid for its action only.

use basalt_digest::Digest;
use bazel_remote_apis::build::bazel::remote::execution::v2::{ActionResult, ExecutedActionMetadata};
use bazel_remote_apis::google::protobuf::Any;
use prost::Message;

use crate::canonical;
use crate::key::{PublicKey, SecretKey, TrustedKeys};

/// Type of the `Any` in `auxiliary_metadata`.
pub const TYPE_URL: &str = "type.googleapis.com/basalt.cache.v1.SignedActionResult";

/// Signatures that are looked at, at most; more are ignored.
const MOST_SIGNATURES: usize = 16;

/// Wire form of what was signed.
#[derive(Clone, PartialEq, Message)]
struct SignedActionResult {
    #[prost(bytes = "vec", tag = "1")]
    payload: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    signatures: Vec<KeySignature>,
}

#[derive(Clone, PartialEq, Message)]
struct KeySignature {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(bytes = "vec", tag = "2")]
    signature: Vec<u8>,
}

/// Result of verifying the signature on a result.
#[derive(Debug, Clone, PartialEq)]
pub enum SignatureVerdict {
    /// Signed for this action by a trusted key: the result as it was signed, and the key.
    Trusted(Box<ActionResult>, PublicKey),
    /// The result has no signature in this format.
    Unsigned,
    /// Signed by keys that are not trusted only; holds the first one's name, sanitized for display.
    UnknownSigner(String),
    /// A signature under the name of a trusted key that is wrong: damaged, of another action, or forged.
    Forged(String),
}

/// Returns the message for servers, with the result signed for `action` in it. The message names the outputs of
/// `named`: those whose content the cache has to keep. Signatures that the result had are replaced.
pub fn sign(action: &Digest, result: &ActionResult, named: &ActionResult, key: &SecretKey) -> ActionResult {
    let payload = canonical::encode(&without_signatures(result));
    let mut signed = without_signatures(named);
    let envelope = SignedActionResult {
        signatures: vec![KeySignature {
            key: key.name().to_owned(),
            signature: key.sign(&statement(action, &payload)),
        }],
        payload,
    };
    let metadata = signed.execution_metadata.get_or_insert_default();
    metadata.auxiliary_metadata.push(Any {
        type_url: TYPE_URL.to_owned(),
        value: envelope.encode_to_vec(),
    });
    signed
}

/// Verifies the result that a cache has returned for `action`.
pub fn verify(action: &Digest, result: &ActionResult, trusted: &TrustedKeys) -> SignatureVerdict {
    let mut worst = SignatureVerdict::Unsigned;
    for SignedActionResult { payload, signatures } in envelopes(result) {
        let statement = statement(action, &payload);
        for KeySignature { key, signature } in signatures.into_iter().take(MOST_SIGNATURES) {
            let Some(public) = trusted.get(&key) else {
                if worst == SignatureVerdict::Unsigned {
                    worst = SignatureVerdict::UnknownSigner(crate::error::sanitize(&key));
                }
                continue;
            };
            match ActionResult::decode(&*payload) {
                Ok(result) if public.verify(&statement, &signature) => {
                    return SignatureVerdict::Trusted(Box::new(result), public);
                }
                _ => worst = SignatureVerdict::Forged(key),
            }
        }
    }
    worst
}

fn statement(action: &Digest, payload: &[u8]) -> Vec<u8> {
    let mut statement = format!("basalt-cache-v1\n{action}\n").into_bytes();
    statement.extend_from_slice(payload);
    statement
}

fn envelopes(result: &ActionResult) -> impl Iterator<Item = SignedActionResult> {
    let metadata = result.execution_metadata.iter();
    let ours = metadata.flat_map(|metadata| &metadata.auxiliary_metadata);
    ours.filter(|any| any.type_url == TYPE_URL)
        .take(MOST_SIGNATURES)
        .filter_map(|any| SignedActionResult::decode(&*any.value).ok())
}

fn without_signatures(result: &ActionResult) -> ActionResult {
    let mut result = result.clone();
    if let Some(metadata) = &mut result.execution_metadata {
        metadata.auxiliary_metadata.retain(|any| any.type_url != TYPE_URL);
        if *metadata == ExecutedActionMetadata::default() {
            result.execution_metadata = None;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use bazel_remote_apis::build::bazel::remote::execution::v2::OutputFile;
    use proptest::prelude::*;

    use super::*;
    use basalt_action::Blob;

    fn result() -> ActionResult {
        let file = |path: &str| OutputFile {
            path: path.to_owned(),
            digest: Some(Blob::of(path).to_proto()),
            ..Default::default()
        };
        ActionResult {
            output_files: vec![file("b.rpm"), file("a.rpm")],
            exit_code: 0,
            ..Default::default()
        }
    }

    fn keys() -> (SecretKey, TrustedKeys) {
        let key = SecretKey::generate("team").expect("a name");
        let trusted = TrustedKeys::new([key.public()]).expect("one key");
        (key, trusted)
    }

    fn files(verdict: &SignatureVerdict) -> Vec<&str> {
        match verdict {
            SignatureVerdict::Trusted(result, _) => result.output_files.iter().map(|file| file.path.as_str()).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_signed_is_what_comes_back() {
        let (key, trusted) = keys();
        let action = Digest::of("action");
        let signed = sign(&action, &result(), &result(), &key);
        assert_eq!(files(&verify(&action, &signed, &trusted)), ["a.rpm", "b.rpm"]);
        assert_eq!(
            sign(&action, &signed, &signed, &key),
            sign(&action, &result(), &result(), &key),
            "signed anew, not twice"
        );
    }

    #[test]
    fn servers_may_fill_in_what_they_like() {
        let (key, trusted) = keys();
        let action = Digest::of("action");
        let mut signed = sign(&action, &result(), &result(), &key);
        signed.execution_metadata.get_or_insert_default().worker = "10.0.0.1".to_owned();
        signed.output_files[0].contents = b"inlined".to_vec();
        signed.output_files[0].digest = Some(Blob::of("malware").to_proto());
        let SignatureVerdict::Trusted(read, name) = verify(&action, &signed, &trusted) else {
            panic!("trusted")
        };
        assert_eq!(name, key.public());
        assert_eq!(
            *read,
            ActionResult::decode(&*canonical::encode(&result())).expect("decodes")
        );
    }

    #[test]
    fn another_actions_result_is_forged_and_an_unknown_signers_is_no_result() {
        let (key, trusted) = keys();
        let action = Digest::of("action");
        let signed = sign(&Digest::of("another"), &result(), &result(), &key);
        assert_eq!(
            verify(&action, &signed, &trusted),
            SignatureVerdict::Forged("team".to_owned())
        );
        let unknown_signer = SecretKey::generate("mallory").expect("a name");
        let signed = sign(&action, &result(), &result(), &unknown_signer);
        assert_eq!(
            verify(&action, &signed, &trusted),
            SignatureVerdict::UnknownSigner("mallory".to_owned())
        );
        let impostor = SecretKey::generate("team").expect("a name");
        let signed = sign(&action, &result(), &result(), &impostor);
        assert_eq!(
            verify(&action, &signed, &trusted),
            SignatureVerdict::Forged("team".to_owned())
        );
        assert_eq!(verify(&action, &result(), &trusted), SignatureVerdict::Unsigned);
    }

    #[test]
    fn outputs_that_the_message_does_not_name_are_signed_all_the_same() {
        let key = SecretKey::generate("one").expect("a name");
        let trusted = TrustedKeys::new([key.public()]).expect("one");
        let action = Digest::of("action");
        let signed = sign(&action, &result(), &ActionResult::default(), &key);
        assert!(signed.output_files.is_empty());
        let SignatureVerdict::Trusted(verified, _) = verify(&action, &signed, &trusted) else {
            panic!("it is signed")
        };
        assert_eq!(verified.output_files.len(), result().output_files.len());
    }

    proptest! {
        #[test]
        fn no_changed_byte_of_the_envelope_is_trusted_with_other_content(at: prop::sample::Index, bit in 0u8..8) {
            let (key, trusted) = keys();
            let action = Digest::of("action");
            let mut signed = sign(&action, &result(), &result(), &key);
            let original = verify(&action, &signed, &trusted);
            let value = &mut signed.execution_metadata.as_mut().expect("metadata").auxiliary_metadata[0].value;
            let at = at.index(value.len());
            value[at] ^= 1 << bit;
            // Unknown fields may appear beside what was signed; what comes back is what was signed, or nothing.
            let verdict = verify(&action, &signed, &trusted);
            prop_assert!(verdict == original || !matches!(verdict, SignatureVerdict::Trusted(..)));
        }

        #[test]
        fn no_envelope_panics(value: Vec<u8>) {
            let (_, trusted) = keys();
            let any = Any { type_url: TYPE_URL.to_owned(), value };
            let metadata = ExecutedActionMetadata { auxiliary_metadata: vec![any], ..Default::default() };
            let result = ActionResult { execution_metadata: Some(metadata), ..Default::default() };
            prop_assert!(!matches!(verify(&Digest::of("a"), &result, &trusted), SignatureVerdict::Trusted(..)));
        }
    }
}
