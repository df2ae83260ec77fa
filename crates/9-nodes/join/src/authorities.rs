//! Certificate authorities of a cluster, with the pins of their public keys.

use basalt_node_config::encoding::decode_base64;
use miette::Diagnostic;
use x509_cert::Certificate;
use x509_cert::der::{Encode as _, EncodePem as _, pem::LineEnding};

use crate::pin::{CaPin, pin_of};

/// Certificates of a cluster's authorities: at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterAuthorities {
    pem: String,
    certificates: Vec<PinnableAuthority>,
}

/// Certificate of one authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnableAuthority {
    /// Distinguished name: `CN=kubernetes`.
    pub subject: String,
    /// Pin of its public key.
    pub pin: CaPin,
}

/// Certificates that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Diagnostic)]
pub enum AuthorityError {
    /// Not base64.
    #[error("the certificate authority is not in base64")]
    #[diagnostic(code(join::authority::base64), help("compare it with `kubectl config view --raw`"))]
    Base64,
    /// Not certificates in PEM.
    #[error("the certificate authority is not a certificate in PEM: {reason}")]
    #[diagnostic(
        code(join::authority::pem),
        help("compare it with /etc/kubernetes/pki/ca.crt of a control-plane node")
    )]
    Pem {
        /// Words of the decoder.
        reason: String,
    },
    /// No certificate.
    #[error("there is no certificate authority")]
    #[diagnostic(
        code(join::authority::none),
        help("the kubeconfig has to have `certificate-authority-data`; without it nothing vouches for the API server")
    )]
    None,
}

impl ClusterAuthorities {
    /// Reads PEM: one certificate or more, with any text around them.
    ///
    /// # Errors
    /// When a certificate cannot be read, or there is none.
    pub fn from_pem(text: &str) -> Result<Self, AuthorityError> {
        let wrong = |reason: &dyn std::fmt::Display| AuthorityError::Pem {
            reason: reason.to_string(),
        };
        // The decoder takes nothing between the certificates; `openssl x509 -text` writes something there.
        let blocks: String = blocks(text).collect();
        if blocks.is_empty() {
            return Err(AuthorityError::None);
        }
        let decoded = Certificate::load_pem_chain(blocks.as_bytes()).map_err(|error| wrong(&error))?;
        let (mut pem, mut certificates) = (String::new(), Vec::new());
        for certificate in decoded {
            let key = certificate.tbs_certificate().subject_public_key_info().to_der();
            certificates.push(PinnableAuthority {
                subject: certificate.tbs_certificate().subject().to_string(),
                pin: pin_of(&key.map_err(|error| wrong(&error))?),
            });
            pem.push_str(&certificate.to_pem(LineEnding::LF).map_err(|error| wrong(&error))?);
        }
        Ok(Self { pem, certificates })
    }

    /// Reads PEM in base64, as a kubeconfig has it.
    ///
    /// # Errors
    /// When it is not base64, or [`ClusterAuthorities::from_pem`] fails.
    pub fn from_base64(text: &str) -> Result<Self, AuthorityError> {
        let bytes = decode_base64(text.as_bytes()).ok_or(AuthorityError::Base64)?;
        let text = String::from_utf8(bytes).map_err(|error| AuthorityError::Pem {
            reason: error.to_string(),
        })?;
        Self::from_pem(&text)
    }

    /// All certificates in PEM, with nothing between them.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Certificates in their order.
    pub fn iter(&self) -> impl Iterator<Item = &PinnableAuthority> {
        self.certificates.iter()
    }
}

/// Blocks of certificates in a text, each with its markers.
fn blocks(text: &str) -> impl Iterator<Item = String> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    text.split(BEGIN).skip(1).map(|rest| {
        let body = rest.split(END).next().unwrap_or_default();
        let lines: String = body.split_ascii_whitespace().map(|line| format!("{line}\n")).collect();
        format!("{BEGIN}\n{lines}{END}\n")
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `openssl ecparam -name prime256v1 -genkey -noout -out ca.key; openssl req -x509 -new -key ca.key -days 10950 -subj
    /// /CN=kubernetes -addext keyUsage=critical,digitalSignature,keyEncipherment,keyCertSign -out ca.pem`
    const CA: &str = include_str!("../tests/vectors/ca.pem");
    /// `openssl x509 -pubkey -noout -in ca.pem | openssl pkey -pubin -outform der | sha256sum`
    const PIN: &str = include_str!("../tests/vectors/ca.pin");

    #[test]
    fn the_pin_is_that_of_openssl() {
        let authorities = ClusterAuthorities::from_pem(CA).unwrap();
        let found: Vec<_> = authorities.iter().map(|authority| authority.pin.to_string()).collect();
        assert_eq!(found, [format!("sha256:{}", PIN.trim())]);
        assert_eq!(authorities.iter().next().unwrap().subject, "CN=kubernetes");
    }

    #[test]
    fn text_around_certificates_is_left_out() {
        let text = format!("Certificate:\n  Data:\n{CA}\nmore\n{CA}");
        let authorities = ClusterAuthorities::from_pem(&text).unwrap();
        assert_eq!(authorities.iter().count(), 2);
        assert_eq!(authorities.pem(), format!("{CA}{CA}"));
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        assert_eq!(ClusterAuthorities::from_pem(""), Err(AuthorityError::None));
        assert_eq!(ClusterAuthorities::from_base64("%"), Err(AuthorityError::Base64));
        let broken = CA.replace("MII", "MIJ");
        assert!(matches!(
            ClusterAuthorities::from_pem(&broken),
            Err(AuthorityError::Pem { .. })
        ));
        let open = CA.replace("-----END CERTIFICATE-----", "");
        // What is there is complete, but for its end.
        assert!(ClusterAuthorities::from_pem(&open).is_ok());
        assert!(ClusterAuthorities::from_pem(CA.get(..200).unwrap()).is_err());
    }

    proptest! {
        #[test]
        fn nothing_panics(text in any::<String>()) {
            let _ = ClusterAuthorities::from_pem(&text);
            let _ = ClusterAuthorities::from_base64(&text);
            let _ = ClusterAuthorities::from_pem(&format!("-----BEGIN CERTIFICATE-----{text}"));
        }
    }
}
