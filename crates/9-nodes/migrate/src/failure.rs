//! Failures of requests, in words for people.

use std::error::Error;
use std::fmt;

use basalt_join::connection_defect::ConnectionDefect;

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
        other => ConnectionDefect::of(other)
            .and_then(|defect| defect.kubeconfig_help(true))
            .unwrap_or("is the API server of the kubeconfig reachable from here?"),
    }
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
    fn what_keeps_a_connection_from_coming_about_is_told() {
        let of = |error: std::io::Error| help(&kube::Error::Service(Box::new(error)));
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        assert!(of(refused).contains("nothing listens"));
        let lookup = "failed to lookup address information: Name or service not known";
        assert!(help(&service(lookup)).contains("not known here"));
        assert!(help(&service("operation timed out")).contains("reachable from here"));
    }

    #[test]
    fn credentials_that_tls_cannot_use_are_told_from_a_server_that_is_not_there() {
        let missing = kube::Error::RustlsTls(kube::client::RustlsTlsError::MissingPrivateKey);
        assert!(help(&missing).contains("its own key"));
        assert!(help(&kube::Error::LinesCodecMaxLineLengthExceeded).contains("reachable"));
    }
}
