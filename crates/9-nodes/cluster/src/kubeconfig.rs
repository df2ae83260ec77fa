//! kubeconfig files: address of the API server, and credentials of a user.
//!
//! Their format is JSON, which every reader of YAML reads, so that nothing in them needs escaping by hand.

use camino::Utf8PathBuf;
use serde_json::json;

use crate::ClusterError;
use crate::pki::{CertificateAuthority, Pki};

/// Name of the cluster and of the context in kubeconfigs.
pub const CONTEXT: &str = "basalt";

/// Renders a self-contained kubeconfig, which includes certificates and key.
///
/// # Errors
/// When the certificate or the key of that name cannot be read.
pub fn render(pki: &Pki, user: &str, server: &str) -> Result<String, ClusterError> {
    let encoded = |path: Utf8PathBuf| -> Result<String, ClusterError> { Ok(base64(pki.read(&path)?.as_bytes())) };
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": CONTEXT,
            "cluster": {
                "server": server,
                "certificate-authority-data": encoded(pki.certificate(CertificateAuthority::Cluster.name()))?,
            },
        }],
        "users": [{
            "name": user,
            "user": {
                "client-certificate-data": encoded(pki.certificate(user))?,
                "client-key-data": encoded(pki.key(user))?,
            },
        }],
        "contexts": [{ "name": CONTEXT, "context": { "cluster": CONTEXT, "user": user } }],
        "current-context": CONTEXT,
    });
    Ok(format!("{config:#}\n"))
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use camino::Utf8Path;

    use super::*;

    #[test]
    fn everything_is_inside() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = Utf8Path::from_path(folder.path()).expect("UTF-8");
        let pki = crate::pki::make(folder, SystemTime::now()).expect("made");
        let text = render(&pki, crate::pki::ADMIN, "https://127.0.0.1:16443").expect("rendered");
        let config: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(config["clusters"][0]["cluster"]["server"], "https://127.0.0.1:16443");
        assert_eq!(config["contexts"][0]["context"]["user"], "admin");
        let data = config["users"][0]["user"]["client-certificate-data"]
            .as_str()
            .expect("text");
        assert!(
            data.starts_with(&format!("{:.32}", base64(b"-----BEGIN CERTIFICATE-----\n"))),
            "{data}"
        );
    }
}
