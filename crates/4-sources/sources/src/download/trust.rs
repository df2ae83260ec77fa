//! Certificate authorities that servers are verified with: the machine's, where it has a bundle of them, so that what an
//! administrator trusts is trusted here; else those that are compiled in (Mozilla's).

use std::sync::{Arc, OnceLock};

use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

/// Bundles where distributions keep them: Debian, Fedora, openSUSE, Alpine.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Settings of TLS, read once.
pub(super) fn settings() -> TlsConfig {
    static SETTINGS: OnceLock<TlsConfig> = OnceLock::new();
    SETTINGS
        .get_or_init(|| TlsConfig::builder().root_certs(authorities()).build())
        .clone()
}

fn authorities() -> RootCerts {
    let named = std::env::var("SSL_CERT_FILE").ok().filter(|path| !path.is_empty());
    let places = named.iter().map(String::as_str).chain(BUNDLES);
    for place in places {
        let Ok(bundle) = fs_err::read(place) else { continue };
        let found: Vec<_> = parse_pem(&bundle)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        if !found.is_empty() {
            tracing::debug!(place, count = found.len(), "certificate authorities");
            return RootCerts::Specific(Arc::new(found));
        }
    }
    RootCerts::WebPki
}
