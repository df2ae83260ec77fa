//! Client certificates of kubeconfigs, tried before the HTTPS client gets them: `ureq` panics with one that rustls does not
//! take.

use miette::Diagnostic;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use ureq::tls::{Certificate, ClientCert, PrivateKey};
use x509_cert::Version;
use x509_cert::der::Decode as _;

/// Client certificate that TLS cannot use; the reason in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Diagnostic)]
#[error("the client certificate cannot be used: {0}")]
#[diagnostic(
    code(join::client::certificate),
    help(
        "make another one for this user, of X.509 version 3 and with its own key: on a control-plane node, `kubeadm kubeconfig user \
         --client-name NAME` writes a kubeconfig"
    )
)]
pub struct UnusableClientCertificate(pub String);

/// Client certificate with its chain and its key, each in PEM, for the HTTPS client.
///
/// # Errors
/// When TLS cannot use them: another version of X.509, the key of another certificate, no PEM.
pub fn read(certificate: &[u8], key: &[u8]) -> Result<ClientCert, UnusableClientCertificate> {
    let unusable = |reason: &str| UnusableClientCertificate(reason.to_owned());
    let chain = CertificateDer::pem_slice_iter(certificate)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| UnusableClientCertificate(error.to_string()))?;
    let first = chain.first().ok_or_else(|| unusable("it is no certificate in PEM"))?;
    match version(first) {
        Some(Version::V1) => return Err(unusable("it is of X.509 version 1, and TLS takes version 3")),
        Some(Version::V2) => return Err(unusable("it is of X.509 version 2, and TLS takes version 3")),
        Some(Version::V3) | None => {}
    }
    let no_key = "its key is no private key in PEM, or has a passphrase";
    let signing = PrivateKeyDer::from_pem_slice(key).map_err(|_| unusable(no_key))?;
    CertifiedKey::from_der(chain.clone(), signing, &ring::default_provider())
        .map_err(|error| UnusableClientCertificate(reason(&error)))?;
    let certificates: Vec<_> = chain.iter().map(|one| Certificate::from_der(one).to_owned()).collect();
    let key = PrivateKey::from_pem(key).map_err(|_| unusable(no_key))?;
    Ok(ClientCert::new_with_certs(&certificates, key))
}

/// Version of X.509; none for a certificate that only rustls may understand.
fn version(certificate: &[u8]) -> Option<Version> {
    let certificate = x509_cert::Certificate::from_der(certificate).ok()?;
    Some(certificate.tbs_certificate().version())
}

/// Refusal by rustls in words.
fn reason(error: &Error) -> String {
    match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => "its key is that of another certificate".to_owned(),
        Error::InvalidCertificate(defect) => format!("it is damaged, or of another kind: {defect}"),
        Error::General(words) => words.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    /// `openssl req -new -key u.key -subj /O=system:masters/CN=admin -out u.csr; openssl x509 -req -in u.csr -CA ca.pem -CAkey
    /// ca.key -days 10950`: without extensions, it is of version 1.
    const VERSION_1: &str = include_str!("../tests/vectors/client-v1.pem");

    fn made() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(Vec::<String>::new()).unwrap().self_signed(&key);
        (certificate.unwrap().pem(), key.serialize_pem())
    }

    fn refused(certificate: &str, key: &str) -> String {
        let error = read(certificate.as_bytes(), key.as_bytes()).unwrap_err();
        assert!(!key.contains("PRIVATE") || !error.to_string().contains(key));
        error.to_string()
    }

    #[test]
    fn a_certificate_with_its_key_is_taken() {
        let (certificate, key) = made();
        let read = read(format!("text\n{certificate}").as_bytes(), key.as_bytes()).unwrap();
        assert_eq!(read.certs().len(), 1);
    }

    #[test]
    fn what_tls_does_not_take_is_told_and_ends_no_process() {
        let ((certificate, key), (other, other_key)) = (made(), made());
        assert!(refused(VERSION_1, &key).contains("X.509 version 1"));
        assert!(refused(&certificate, &other_key).contains("that of another certificate"));
        assert!(refused(&format!("{other}{certificate}"), &key).contains("that of another certificate"));
        assert!(refused("", &key).contains("no certificate in PEM"));
        assert!(refused(&certificate, "").contains("no private key in PEM"));
        assert!(refused(&certificate, &certificate).contains("no private key in PEM"));
        let torn = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(refused(torn, &key).contains("damaged"), "{}", refused(torn, &key));
        let torn = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert!(refused(&certificate, torn).contains("cannot be used: "));
    }

    proptest! {
        #[test]
        fn nothing_panics(text in any::<String>(), bytes in any::<Vec<u8>>()) {
            let (certificate, key) = made();
            let _ = read(text.as_bytes(), key.as_bytes());
            let _ = read(certificate.as_bytes(), &bytes);
            let _ = version(&bytes);
        }
    }
}
