//! Requests without an answer.

use basalt_join::connection_defect::ConnectionDefect;

/// Request without an answer that can be used.
#[derive(Debug)]
pub(in crate::source) struct UnansweredRequest {
    /// Words of the client.
    pub(in crate::source) reason: String,
    /// Remedy.
    pub(in crate::source) help: &'static str,
}

impl UnansweredRequest {
    /// Request of which nothing more than the reason is known.
    pub(in crate::source) fn new(reason: String) -> Self {
        Self {
            reason,
            help: "does `kubectl --kubeconfig FILE get nodes` work from here?",
        }
    }

    /// Request that failed in the client.
    pub(super) fn of(error: &ureq::Error) -> Self {
        let unknown = Self::new(error.to_string());
        // The client has the name in the URL alone.
        let help = ConnectionDefect::of(error).and_then(|defect| defect.kubeconfig_help(false));
        Self {
            help: help.unwrap_or(unknown.help),
            ..unknown
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_a_connection_from_coming_about_is_told() {
        let refused = std::io::ErrorKind::ConnectionRefused;
        for (error, words) in [
            (ureq::Error::Io(refused.into()), "nothing listens"),
            (ureq::Error::HostNotFound, "not known here"),
            (ureq::Error::ConnectionFailed, "kubectl"),
        ] {
            let request = UnansweredRequest::of(&error);
            assert!(request.help.contains(words), "{request:?}");
        }
    }
}
