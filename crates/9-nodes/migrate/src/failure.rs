//! Failures of requests, in words for people.

use std::error::Error;
use std::fmt;

/// Failure of a request to the API server. Its text has the causes, each once: kube repeats them, and shows its own structures.
#[derive(Debug)]
pub struct RequestFailure(kube::Error);

impl RequestFailure {
    /// Error of the client.
    pub(crate) fn new(error: kube::Error) -> Self {
        Self(error)
    }

    /// Error of the client.
    pub(crate) fn inner(&self) -> &kube::Error {
        &self.0
    }
}

impl fmt::Display for RequestFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            kube::Error::Api(status) if status.message.is_empty() => write!(f, "HTTP status {}", status.code),
            kube::Error::Api(status) => write!(f, "HTTP status {}: {}", status.code, status.message),
            kube::Error::HyperError(_) | kube::Error::Service(_) => f.write_str(&causes(&self.0).join(": ")),
            other => fmt::Display::fmt(other, f),
        }
    }
}

impl Error for RequestFailure {}

/// Texts of the causes of an error, without those that say what the one before said.
fn causes(error: &kube::Error) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    let mut cause = error.source();
    while let Some(one) = cause {
        let text = one.to_string();
        if !texts.last().is_some_and(|last| last.contains(&text)) {
            texts.push(text);
        }
        cause = one.source();
    }
    if texts.is_empty() {
        texts.push(error.to_string());
    }
    texts
}

/// Advice for a failed request, by its kind.
pub(crate) fn help(error: &kube::Error) -> &'static str {
    match error {
        kube::Error::Api(status) if status.code == 401 => {
            "the API server does not accept the credentials of the kubeconfig; renew them"
        }
        kube::Error::Api(status) if status.code == 403 => {
            "the user of the kubeconfig lacks a permission; docs/migrate/rbac.yaml has all that are needed"
        }
        kube::Error::Api(status) if status.code == 404 => "the cluster does not have this object or this API",
        kube::Error::Api(_) => "the message is the API server's own",
        kube::Error::RustlsTls(_) => {
            "TLS cannot use the client certificate or the authority of the kubeconfig: a client certificate has to be of X.509 version 3, \
             with its own key"
        }
        other => connection_help(&causes(other).join(": "))
            .unwrap_or("is the API server of the kubeconfig reachable from here?"),
    }
}

/// Advice for a connection that did not come about, by the words of TLS and the system.
fn connection_help(reason: &str) -> Option<&'static str> {
    let has = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    Some(match reason {
        _ if has(&["UnknownIssuer", "BadSignature"]) => {
            "it answers, with a certificate that the kubeconfig's certificate authority has not signed: the kubeconfig is of another cluster, or of \
             this one before its authority was renewed"
        }
        _ if has(&["not valid for name", "NotValidForName"]) => {
            "it answers, with a certificate for other names: have the kubeconfig's `server` be one of those, or its `tls-server-name`"
        }
        _ if has(&["certificate expired", "Expired", "not valid yet", "NotValidYet"]) => {
            "it answers, with a certificate that is not valid now: renew it (`kubeadm certs check-expiration` on the control plane), or set the clock here"
        }
        _ if has(&["corrupt message"]) => {
            "something answers there without TLS: is it the port of the API server, and no proxy or `http://` in between?"
        }
        _ if has(&["lookup address", "dns error"]) => {
            "the name in the kubeconfig's `server` is not known here: /etc/hosts and DNS have it elsewhere"
        }
        _ if has(&["Connection refused"]) => "nothing listens there: is it the address and the port of the API server?",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    /// Error of the client whose causes are errors of the system, as a connection has them.
    fn service(text: &str) -> kube::Error {
        kube::Error::Service(Box::new(std::io::Error::other(text.to_owned())))
    }

    #[test]
    fn answers_are_shown_without_structures_and_once() {
        let status = Status::failure("nodes is forbidden", "Forbidden").with_code(403);
        let failure = RequestFailure::new(kube::Error::Api(Box::new(status)));
        assert_eq!(failure.to_string(), "HTTP status 403: nodes is forbidden");
        assert!(failure.source().is_none());
        let failure = RequestFailure::new(service("no route"));
        assert_eq!(failure.to_string(), "no route");
    }

    #[test]
    fn what_keeps_tls_from_working_is_told() {
        for (text, word) in [
            ("invalid peer certificate: UnknownIssuer", "another cluster"),
            (
                "invalid peer certificate: certificate not valid for name \"a\"; certificate is only valid for b",
                "other names",
            ),
            (
                "invalid peer certificate: certificate expired: verification time 1 (UNIX)",
                "the clock",
            ),
            ("received corrupt message of type InvalidContentType", "without TLS"),
            (
                "dns error: failed to lookup address information: Name or service not known",
                "not known here",
            ),
            (
                "tcp connect error: Connection refused (os error 111)",
                "nothing listens",
            ),
            ("operation timed out", "reachable from here"),
        ] {
            assert!(help(&service(text)).contains(word), "{text}: {}", help(&service(text)));
        }
    }

    #[test]
    fn credentials_that_tls_cannot_use_are_told_from_a_server_that_is_not_there() {
        let missing = kube::Error::RustlsTls(kube::client::RustlsTlsError::MissingPrivateKey);
        assert!(help(&missing).contains("its own key"));
        assert!(help(&kube::Error::LinesCodecMaxLineLengthExceeded).contains("reachable"));
    }
}
