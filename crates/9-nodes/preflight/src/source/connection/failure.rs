//! Connections that do not come about: what it is, by the words of TLS and the system.

/// Words of a failure, and advice.
const KNOWN: [(&[&str], &str); 6] = [
    (
        &["UnknownIssuer", "BadSignature"],
        "it answers, with a certificate that the kubeconfig's certificate authority has not signed: the kubeconfig is of another cluster, or of this \
         one before its authority was renewed",
    ),
    (
        &["not valid for name", "NotValidForName"],
        "it answers, with a certificate for other names: have the kubeconfig's `server` be one of those",
    ),
    (
        &["certificate expired", "Expired", "not valid yet", "NotValidYet"],
        "it answers, with a certificate that is not valid now: renew it (`kubeadm certs check-expiration` on the control plane), or set the clock here",
    ),
    (
        &["corrupt message"],
        "something answers there without TLS: is it the port of the API server, and no proxy or `http://` in between?",
    ),
    (
        &["lookup address", "host not found"],
        "the name in the kubeconfig's `server` is not known here: /etc/hosts and DNS have it elsewhere",
    ),
    (
        &["Connection refused", "connection refused"],
        "nothing listens there: is it the address and the port of the API server?",
    ),
];

/// Advice for a request without an answer, by the words of the client.
pub(in crate::source) fn help(reason: &str) -> &'static str {
    let known = KNOWN
        .iter()
        .find(|(words, _)| words.iter().any(|word| reason.contains(word)));
    known.map_or(
        "does `kubectl --kubeconfig FILE get nodes` work from here?",
        |(_, help)| *help,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_tls_from_working_is_told() {
        for (reason, word) in [
            ("io: invalid peer certificate: UnknownIssuer", "another cluster"),
            (
                "io: invalid peer certificate: certificate not valid for name \"a\"; certificate is only valid for b",
                "other names",
            ),
            ("io: received corrupt message of type InvalidContentType", "without TLS"),
            (
                "io: failed to lookup address information: Name or service not known",
                "not known here",
            ),
            ("io: Connection refused (os error 111)", "nothing listens"),
            ("timeout: global", "kubectl"),
        ] {
            assert!(help(reason).contains(word), "{reason}: {}", help(reason));
        }
    }
}
