//! The proxy part.

use crate::checked::Proxy;
use crate::finder::Finder;
use crate::raw;
use basalt_document::{Finding, Path};

pub(super) fn proxy(finder: &mut Finder<'_>, path: &Path, raw: &raw::Proxy) -> Proxy {
    if raw.http.is_none() && raw.https.is_none() {
        let finding = Finding::error("no proxy is named", "without effect");
        finder.say(
            path,
            finding.with_help("add `http: http://proxy.example:3128`, or remove `proxy`"),
        );
    }
    for (index, entry) in raw.no_proxy.iter().enumerate() {
        let good = |c: char| c.is_ascii_alphanumeric() || ".-:*/[]_".contains(c);
        if entry.is_empty() || !entry.chars().all(good) {
            let finding = Finding::error(
                format!("`{entry}` is neither a domain nor an address nor a network"),
                "not a destination",
            );
            finder.say(
                &path.key("noProxy").index(index),
                finding.with_help("write one destination per entry: `.example.com`, `10.0.0.0/8`, `host.example:8443`"),
            );
        }
    }
    let http = finder.parse_given(&path.key("http"), raw.http.as_ref());
    let https = match &raw.https {
        Some(https) => finder.parse(&path.key("https"), https),
        None => http.clone(),
    };
    Proxy {
        http,
        https,
        direct: raw.no_proxy.clone(),
    }
}
