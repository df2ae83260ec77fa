//! Verification of existing certificates: their validity now, and their signatures.

use std::time::{SystemTime, UNIX_EPOCH};

use x509_parser::pem::parse_x509_pem;
use x509_parser::time::ASN1Time;

use super::{CertificateAuthority, LEAVES, Pki, PkiError};
use crate::ClusterError;

/// Checks that every certificate of the cluster can be read, is valid now, and is signed by its authority.
///
/// # Errors
/// The first problem found, usually a [`PkiError`].
pub fn check(pki: &Pki, now: SystemTime) -> Result<(), ClusterError> {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let now = ASN1Time::from_timestamp(i64::try_from(seconds).unwrap_or(i64::MAX)).unwrap_or_else(|_| ASN1Time::now());
    for authority in [CertificateAuthority::Cluster, CertificateAuthority::FrontProxy] {
        check_one(pki, authority.name(), authority, now)?;
    }
    for leaf in LEAVES {
        check_one(pki, leaf.name, leaf.authority, now)?;
    }
    Ok(())
}

fn check_one(pki: &Pki, file: &str, authority: CertificateAuthority, now: ASN1Time) -> Result<(), ClusterError> {
    let path = pki.certificate(file);
    let issuer_path = pki.certificate(authority.name());
    let unreadable = |path: &camino::Utf8PathBuf, reason: &dyn std::fmt::Display| PkiError::Unreadable {
        path: path.clone(),
        reason: reason.to_string(),
    };
    let (text, issuer_text) = (pki.read(&path)?, pki.read(&issuer_path)?);
    let (_, pem) = parse_x509_pem(text.as_bytes()).map_err(|error| unreadable(&path, &error))?;
    let certificate = pem.parse_x509().map_err(|error| unreadable(&path, &error))?;
    let (_, pem) = parse_x509_pem(issuer_text.as_bytes()).map_err(|error| unreadable(&issuer_path, &error))?;
    let issuer = pem.parse_x509().map_err(|error| unreadable(&issuer_path, &error))?;
    let name = certificate.subject().to_string();
    let validity = certificate.validity();
    if now > validity.not_after {
        return Err(PkiError::Expired {
            path,
            name,
            date: validity.not_after.to_string(),
        }
        .into());
    }
    if now < validity.not_before {
        return Err(PkiError::Early {
            path,
            name,
            date: validity.not_before.to_string(),
        }
        .into());
    }
    if certificate.verify_signature(Some(issuer.public_key())).is_err() {
        return Err(PkiError::WrongAuthority {
            path,
            name,
            authority: issuer_path,
        }
        .into());
    }
    Ok(())
}
