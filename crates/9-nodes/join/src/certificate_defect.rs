//! Defects of the certificates of servers.

use std::fmt;

use rustls::CertificateError;

/// Defect of a server's certificate. As a sentence, it has no subject but `it`, and no full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateDefect {
    /// Signature of another authority than the one that is known.
    Issuer,
    /// Other names and addresses than that of the server.
    Names,
    /// End of its validity, by the clock of this machine.
    Expired,
    /// Begin of its validity in the future, by the clock of this machine.
    NotYetValid,
    /// Another defect, in words of the library.
    Other(String),
}

impl CertificateDefect {
    /// Defect by the verdict of the library. A certificate that names an authority and has the signature of another one is of the
    /// latter.
    pub fn of(error: &CertificateError) -> Self {
        match error {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::Issuer,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Self::Names,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
            other => Self::Other(other.to_string()),
        }
    }

    /// Remedy, one sentence without a full stop.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Issuer => {
                "another cluster has this address, its authority was replaced, or something between here and the API server answers in \
                 its place; take the kubeconfig or the join command from this cluster: `kubeadm token create --print-join-command`"
            }
            Self::Names => {
                "use one that it has: `openssl s_client -connect HOST:PORT </dev/null | openssl x509 -noout -ext subjectAltName`; \
                 `certSANs` of kubeadm's ClusterConfiguration adds more"
            }
            Self::Expired | Self::NotYetValid => {
                "compare the clock of this machine with the true time; on a control-plane node, `kubeadm certs check-expiration` shows \
                 the dates, and `kubeadm certs renew apiserver` makes a new certificate"
            }
            Self::Other(_) => {
                "look at it: `openssl s_client -connect HOST:PORT </dev/null | openssl x509 -noout -text`"
            }
        }
    }
}

impl fmt::Display for CertificateDefect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Issuer => "it is not of the authority that is known here",
            Self::Names => "it is for other names and addresses than this one",
            Self::Expired => "it has expired, by the clock of this machine",
            Self::NotYetValid => "it is not valid yet, by the clock of this machine",
            Self::Other(words) => words,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_of_the_library_are_told() {
        for (error, words) in [
            (CertificateError::UnknownIssuer, "not of the authority"),
            (CertificateError::BadSignature, "not of the authority"),
            (CertificateError::NotValidForName, "other names"),
            (CertificateError::Expired, "has expired"),
            (CertificateError::NotValidYet, "not valid yet"),
        ] {
            let told = CertificateDefect::of(&error).to_string();
            assert!(told.contains(words), "{told}");
        }
        let revoked = CertificateDefect::of(&CertificateError::Revoked);
        assert_eq!(revoked, CertificateDefect::Other(CertificateError::Revoked.to_string()));
    }
}
