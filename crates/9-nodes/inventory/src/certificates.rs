//! Certificates of a host: authorities that people added, and certificates of Kubernetes. Keys are not read into the
//! inventory.

use basalt_digest::Digest;
use x509_cert::Certificate as X509;
use x509_cert::der::Encode as _;

use crate::host_files::HostFiles;
use crate::{HostCertificate, UnobservedReason};

/// Folders of authorities that people added, with endings of their files.
const FOLDERS: [(&str, &str); 4] = [
    ("/usr/local/share/ca-certificates", ".crt"),
    ("/etc/containerd/certs.d", ".crt"),
    ("/etc/docker/certs.d", ".crt"),
    ("/etc/kubernetes/pki", ".crt"),
];
/// Certificates of the kubelet, whose files have the key, too.
const FILES: [&str; 2] = [
    "/var/lib/kubelet/pki/kubelet-client-current.pem",
    "/var/lib/kubelet/pki/kubelet-server-current.pem",
];
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Reads the certificates.
pub(crate) fn read(files: &mut HostFiles<'_>) -> Vec<HostCertificate> {
    let mut paths = Vec::new();
    for (folder, ending) in FOLDERS {
        paths.extend(
            files
                .files_below(folder)
                .into_iter()
                .filter(|path| path.ends_with(ending)),
        );
    }
    paths.extend(FILES.map(str::to_owned));
    paths.push("/var/lib/kubelet/pki/kubelet.crt".to_owned());
    let mut found = Vec::new();
    for path in paths {
        let Some(text) = files.text(&path) else { continue };
        let certificates = certificates(&path, &text);
        match certificates {
            Some(certificates) => found.extend(certificates),
            None => files.miss(&path, UnobservedReason::Malformed),
        }
    }
    found
}

/// Certificates of a text in PEM; `None` if one cannot be read.
fn certificates(file: &str, text: &str) -> Option<Vec<HostCertificate>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, begun)) = rest.split_once(BEGIN) {
        let (body, after) = begun.split_once(END)?;
        // The block alone: what is around it may be a key.
        let pem = format!("{BEGIN}\n{}\n{END}\n", body.trim());
        let chain = X509::load_pem_chain(pem.as_bytes()).ok()?;
        found.push(certificate(file, chain.first()?)?);
        rest = after;
    }
    Some(found)
}

fn certificate(file: &str, x509: &X509) -> Option<HostCertificate> {
    let encoded = x509.to_der().ok()?;
    let body = x509.tbs_certificate();
    Some(HostCertificate {
        file: file.to_owned(),
        subject: body.subject().to_string(),
        issuer: body.issuer().to_string(),
        // In RFC 3339.
        not_before: body.validity().not_before.to_date_time().to_string(),
        not_after: body.validity().not_after.to_date_time().to_string(),
        sha256: Digest::of(&encoded).to_hex(),
        public_key_sha256: Digest::of(body.subject_public_key_info().to_der().ok()?).to_hex(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CA: &str = include_str!("../../node-config/tests/certificates/ca.pem");

    #[test]
    fn certificates_are_described_and_keys_are_not_kept() {
        let text = format!("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n{CA}");
        let found = certificates("/x.pem", &text).expect("certificates");
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].subject.as_str(), found[0].sha256.len()),
            ("CN=kubernetes-test", 64)
        );
        assert_eq!(found[0].not_after, "2056-11-16T02:25:31Z");
        assert!(!format!("{found:?}").contains("c2VjcmV0"));
        assert_eq!(
            certificates(
                "/x.pem",
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
            ),
            None
        );
        assert_eq!(certificates("/x.pem", "no PEM"), Some(Vec::new()));
    }
}
