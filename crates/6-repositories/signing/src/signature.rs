//! Verification of OpenPGP signatures, and conversion between armored and binary form.

use pgp::composed::{ArmorOptions, Deserializable as _, DetachedSignature};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType, SignatureVersion};
use pgp::ser::Serialize as _;
use pgp::types::KeyDetails as _;

use crate::certificate::Signer;
use crate::{Certificate, Timestamp, VerifyError};

/// Tolerated difference between clocks, in seconds.
const SKEW: u32 = 60 * 60;

/// Signer and creation time of a verified signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The fingerprint of the certificate whose key signed.
    pub key: String,
    /// Creation time, as the signature states it.
    pub made: Timestamp,
}

/// Reads a detached signature: a packet, or text in armor.
pub(crate) fn parse(signature: &[u8]) -> Result<Signature, VerifyError> {
    let wrong = |error: pgp::errors::Error| VerifyError::Malformed(error.to_string());
    let read = if signature.first().is_some_and(|byte| byte & 0x80 != 0) {
        DetachedSignature::from_bytes(signature).map_err(wrong)?
    } else {
        DetachedSignature::from_armor_single(signature).map_err(wrong)?.0
    };
    Ok(read.signature)
}

/// Converts a detached signature, armored or not, to a bare packet, which the header of an RPM holds.
///
/// # Errors
/// When it is no signature.
pub fn binary(signature: &[u8]) -> Result<Vec<u8>, VerifyError> {
    DetachedSignature::new(parse(signature)?)
        .to_bytes()
        .map_err(|error| VerifyError::Malformed(error.to_string()))
}

/// Converts a detached signature, armored or not, to ASCII armor, for a file beside the signed one.
///
/// # Errors
/// When it is no signature.
pub fn armored(signature: &[u8]) -> Result<String, VerifyError> {
    DetachedSignature::new(parse(signature)?)
        .to_armored_string(ArmorOptions::default())
        .map_err(|error| VerifyError::Malformed(error.to_string()))
}

/// Returns the issuers that a signature names: fingerprints or key ids, in upper case. Nothing is verified.
///
/// # Errors
/// When it is no signature.
pub fn issuers(signature: &[u8]) -> Result<Vec<String>, VerifyError> {
    Ok(said_issuers(&parse(signature)?))
}

fn said_issuers(signature: &Signature) -> Vec<String> {
    let fingerprints = signature.issuer_fingerprint().into_iter().map(ToString::to_string);
    let ids = signature.issuer_key_id().into_iter().map(ToString::to_string);
    fingerprints.chain(ids).map(|name| name.to_uppercase()).collect()
}

/// Verifies that `signature` is one of a trusted key over exactly `data`: made while the key counted, with a digest that
/// nobody can forge.
///
/// # Errors
/// When it is not; the error says why.
pub fn verify(data: &[u8], signature: &[u8], trusted: &[Certificate], now: Timestamp) -> Result<Verified, VerifyError> {
    let signature = parse(signature)?;
    let issuers = said_issuers(&signature);
    for certificate in trusted {
        for signer in certificate.signers() {
            let fingerprint = signer.fingerprint();
            // A key id is the end of a fingerprint.
            if issuers.iter().any(|issuer| fingerprint.ends_with(issuer.as_str())) {
                return verify_with(data, &signature, certificate, signer, now);
            }
        }
    }
    Err(VerifyError::UnknownSigner {
        issuer: issuers.into_iter().next().unwrap_or_else(|| "of nobody".to_owned()),
    })
}

/// Checks what kind of signature it is: one over a file, with a digest that nobody can forge.
fn check_kind(signature: &Signature) -> Result<(), String> {
    if signature.version() != SignatureVersion::V4 {
        return Err(format!("it is of version {:?}", signature.version()));
    }
    if signature.typ() != Some(SignatureType::Binary) {
        return Err("it is not one over a file".to_owned());
    }
    let strong = matches!(
        signature.hash_alg(),
        Some(
            HashAlgorithm::Sha256
                | HashAlgorithm::Sha384
                | HashAlgorithm::Sha512
                | HashAlgorithm::Sha3_256
                | HashAlgorithm::Sha3_512
        )
    );
    if strong {
        Ok(())
    } else {
        Err(format!("its digest is {:?}", signature.hash_alg()))
    }
}

fn verify_with(
    data: &[u8],
    signature: &Signature,
    certificate: &Certificate,
    signer: Signer<'_>,
    now: Timestamp,
) -> Result<Verified, VerifyError> {
    let key = certificate.fingerprint().to_owned();
    let invalid = |why: String| VerifyError::Invalid { key: key.clone(), why };
    check_kind(signature).map_err(invalid)?;
    let made = signature
        .created()
        .map(Timestamp::from)
        .ok_or_else(|| invalid("it does not say when it was made".to_owned()))?;
    if made > now.plus_secs(SKEW) {
        return Err(invalid(format!(
            "it was made on {}, which is still to come",
            made.date_and_time()
        )));
    }
    let (begin, end) = match signer {
        Signer::Primary(primary) => (primary.created_at().into(), certificate.expires()),
        Signer::Sub(sub) => {
            let ends = [certificate.expires(), certificate.subkey_end(sub)];
            (sub.created_at().into(), ends.into_iter().flatten().min())
        }
    };
    if made < begin || end.is_some_and(|end| made >= end) {
        return Err(invalid(format!("it was made on {made}, when the key did not count")));
    }
    if certificate.is_revoked() {
        return Err(invalid("the key was revoked by its owner".to_owned()));
    }
    if let Some(lifetime) = signature.signature_expiration_time()
        && lifetime.as_secs() > 0
        && made.plus_secs(lifetime.as_secs()) <= now
    {
        return Err(invalid("its own end has passed".to_owned()));
    }
    let fits = match signer {
        Signer::Primary(primary) => signature.verify(primary, data),
        Signer::Sub(sub) => signature.verify(sub, data),
    };
    match fits {
        Ok(()) => Ok(Verified { key, made }),
        Err(_) => Err(VerifyError::Bad { key }),
    }
}
