//! Connections to an API server that do not come about, by their causes.

use std::error::Error;
use std::io;
use std::iter::successors;

use crate::certificate_defect::CertificateDefect;

/// Cause for which a connection to an API server does not come about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionDefect {
    /// Certificate of the server that is not to be trusted.
    Certificate(CertificateDefect),
    /// Answer without TLS.
    Plain,
    /// Name of the server without an address.
    UnknownName,
    /// Address at which nothing listens.
    Refused,
}

impl ConnectionDefect {
    /// Defect that is among the causes of a client's error; `None` for causes of another kind.
    pub fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        successors(Some(error), |&cause| cause_of(cause)).find_map(Self::of_cause)
    }

    fn of_cause(cause: &(dyn Error + 'static)) -> Option<Self> {
        match cause.downcast_ref::<rustls::Error>() {
            Some(rustls::Error::InvalidCertificate(defect)) => {
                return Some(Self::Certificate(CertificateDefect::of(defect)));
            }
            Some(rustls::Error::InvalidMessage(_)) => return Some(Self::Plain),
            _ => {}
        }
        if matches!(cause.downcast_ref::<ureq::Error>(), Some(ureq::Error::HostNotFound)) {
            return Some(Self::UnknownName);
        }
        let error = cause.downcast_ref::<io::Error>()?;
        if error.kind() == io::ErrorKind::ConnectionRefused {
            return Some(Self::Refused);
        }
        // Words of the standard library; it has no kind of error for it.
        let is_lookup = error.to_string().contains("failed to lookup address");
        is_lookup.then_some(Self::UnknownName)
    }

    /// Remedy for a connection by a kubeconfig, one sentence without a full stop. A client that `has_server_name` heeds the
    /// kubeconfig's `tls-server-name`.
    pub fn kubeconfig_help(&self, has_server_name: bool) -> Option<&'static str> {
        Some(match self {
            Self::Certificate(CertificateDefect::Issuer) => {
                "it answers, with a certificate that the kubeconfig's certificate authority has not signed: the kubeconfig is of another \
                 cluster, or of this one before its authority was renewed"
            }
            Self::Certificate(CertificateDefect::Names) if has_server_name => {
                "it answers, with a certificate for other names: have the kubeconfig's `server` be one of those, or its `tls-server-name`"
            }
            Self::Certificate(CertificateDefect::Names) => {
                "it answers, with a certificate for other names: have the kubeconfig's `server` be one of those"
            }
            Self::Certificate(CertificateDefect::Expired | CertificateDefect::NotYetValid) => {
                "it answers, with a certificate that is not valid now: renew it (`kubeadm certs check-expiration` on the control plane), or \
                 set the clock here"
            }
            Self::Certificate(CertificateDefect::Other(_)) => return None,
            Self::Plain => {
                "something answers there without TLS: is it the port of the API server, and no proxy or `http://` in between?"
            }
            Self::UnknownName => {
                "the name in the kubeconfig's `server` is not known here: /etc/hosts and DNS have it elsewhere"
            }
            Self::Refused => "nothing listens there: is it the address and the port of the API server?",
        })
    }
}

/// Next cause of an error. Errors of the system and of the client do not give the error inside them as their source.
fn cause_of<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    match error.downcast_ref::<ureq::Error>() {
        Some(ureq::Error::Io(inside)) => return Some(inside),
        Some(ureq::Error::Rustls(inside)) => return Some(inside),
        _ => {}
    }
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inside) => Some(inside),
        None => error.source(),
    }
}

#[cfg(test)]
mod tests {
    use rustls::CertificateError;

    use super::*;

    /// Error as hyper-rustls gives it, within that of a client.
    #[derive(Debug, thiserror::Error)]
    #[error("client error (Connect)")]
    struct Outer(#[source] io::Error);

    fn of_tls(error: rustls::Error) -> ConnectionDefect {
        let inner = io::Error::new(io::ErrorKind::InvalidData, error.clone());
        let by_hyper = ConnectionDefect::of(&Outer(io::Error::other(inner)));
        let by_ureq = ConnectionDefect::of(&ureq::Error::Io(io::Error::other(error.clone())));
        assert_eq!(by_hyper, by_ureq);
        assert_eq!(by_ureq, ConnectionDefect::of(&ureq::Error::Rustls(error)));
        by_hyper.expect("a defect")
    }

    #[test]
    fn what_keeps_tls_from_working_is_told() {
        let certificate = rustls::Error::InvalidCertificate;
        for (error, words) in [
            (certificate(CertificateError::UnknownIssuer), "another cluster"),
            (certificate(CertificateError::BadSignature), "another cluster"),
            (certificate(CertificateError::NotValidForName), "other names"),
            (certificate(CertificateError::Expired), "set the clock"),
            (certificate(CertificateError::NotValidYet), "set the clock"),
            (
                rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType),
                "without TLS",
            ),
        ] {
            let help = of_tls(error).kubeconfig_help(false).expect("help");
            assert!(help.contains(words), "{help}");
        }
        let revoked = of_tls(certificate(CertificateError::Revoked));
        assert!(matches!(
            &revoked,
            ConnectionDefect::Certificate(CertificateDefect::Other(_))
        ));
        assert_eq!(revoked.kubeconfig_help(true), None);
        let names = ConnectionDefect::Certificate(CertificateDefect::Names);
        assert!(
            names
                .kubeconfig_help(true)
                .is_some_and(|help| help.contains("tls-server-name"))
        );
    }

    #[test]
    fn what_the_system_says_is_told_by_its_kind() {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let words = "failed to lookup address information: Name or service not known";
        let lookup = || io::Error::other(words);
        for (error, defect) in [
            (refused(), Some(ConnectionDefect::Refused)),
            (lookup(), Some(ConnectionDefect::UnknownName)),
            (io::ErrorKind::TimedOut.into(), None),
        ] {
            assert_eq!(ConnectionDefect::of(&error), defect);
            assert_eq!(ConnectionDefect::of(&Outer(error)), defect);
        }
        assert_eq!(
            ConnectionDefect::of(&ureq::Error::HostNotFound),
            Some(ConnectionDefect::UnknownName)
        );
        assert_eq!(
            ConnectionDefect::of(&ureq::Error::Io(refused())),
            Some(ConnectionDefect::Refused)
        );
    }
}
