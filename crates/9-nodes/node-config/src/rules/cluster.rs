//! The cluster part.

use super::first_contact::{FirstContact, check_reachable};
use super::{authorities, kubeconfig};
use crate::address::Endpoint;
use crate::checked::{ApiServerTrust, Cluster};
use crate::finder::Finder;
use crate::pin::CaPin;
use crate::raw::KubeletConfigSource;
use crate::token::BootstrapToken;
use crate::{defaults, raw};
use basalt_document::{Finding, Path};

/// Commands by which a control-plane node shows what a NodeConfig needs.
const SHOW: &str = "on a control-plane node, `kubeadm token create --print-join-command` shows a hash, and \
                    /etc/kubernetes/pki/ca.crt is the certificate";

pub(super) fn cluster(finder: &mut Finder<'_>, path: &Path, raw: &raw::Cluster) -> Option<Cluster> {
    let contact = match &raw.kubeconfig {
        Some(text) => kubeconfig::contact(finder, path, raw, text),
        // It is no text, which is told; what it would give is not missing.
        None if finder.is_unfit(&path.key("kubeconfig")) => FirstContact::default(),
        None => contact(finder, path, raw),
    };
    let is_discovery = !raw.ca_cert_hashes.is_empty() || raw.kubeconfig.is_some();
    let usual = if is_discovery {
        KubeletConfigSource::FromCluster
    } else {
        KubeletConfigSource::FromNodeConfig
    };
    let names = raw.dns.as_ref();
    let dns = path.key("dns");
    let given_domain = names.and_then(|names| names.domain.as_deref());
    let domain = finder.parse(&dns.key("domain"), given_domain.unwrap_or(defaults::DOMAIN));
    let given_addresses = names.and_then(|names| names.addresses.clone());
    let dns_is_given = given_addresses.is_some();
    let addresses = given_addresses.unwrap_or_else(|| vec![defaults::NAME_SERVICE.to_string()]);
    let addresses = finder.parse_all(&dns.key("addresses"), &addresses);
    Some(Cluster {
        endpoint: contact.endpoint?,
        trust: contact.trust?,
        bootstrap_token: contact.bootstrap_token?,
        kubelet_config: raw.kubelet_config.unwrap_or(usual),
        domain: domain?,
        domain_is_given: given_domain.is_some(),
        dns: addresses,
        dns_is_given,
    })
}

/// First contact by keys of the NodeConfig.
fn contact(finder: &mut Finder<'_>, path: &Path, raw: &raw::Cluster) -> FirstContact {
    let endpoint: Option<Endpoint> = finder.parse_given(&path.key("endpoint"), raw.endpoint.as_ref());
    check_reachable(finder, &path.key("endpoint"), endpoint.as_ref());
    let bootstrap_token = finder.parse_given(&path.key("bootstrapToken"), raw.bootstrap_token.as_ref());
    for (key, is_given, value) in [
        (
            "endpoint",
            raw.endpoint.is_some(),
            "the address of the API server, such as `https://10.0.0.1:6443`",
        ),
        (
            "bootstrapToken",
            raw.bootstrap_token.is_some(),
            "the token that `kubeadm token create` makes",
        ),
    ] {
        if !is_given {
            let finding = Finding::error(format!("`{key}` is missing in `cluster`"), "in here");
            let help = format!("add `{key}:` with {value}; or give all of it as the text of a `kubeconfig`");
            finder.say_missing(path, &[path.key(key)], finding.with_help(help));
        }
    }
    FirstContact {
        trust: trust(finder, path, raw, bootstrap_token.as_ref()),
        endpoint,
        bootstrap_token,
    }
}

/// Certificate authorities, or pins of them: one of both.
fn trust(
    finder: &mut Finder<'_>,
    path: &Path,
    raw: &raw::Cluster,
    bootstrap_token: Option<&BootstrapToken>,
) -> Option<ApiServerTrust> {
    let ca = authorities(finder, &path.key("ca"), raw.ca.as_ref());
    let place = path.key("caCertHashes");
    let pins: Vec<CaPin> = finder.parse_all(&place, &raw.ca_cert_hashes);
    let token: Option<BootstrapToken> = finder.parse_given(&path.key("discoveryToken"), raw.discovery_token.as_ref());
    match (&raw.ca, raw.ca_cert_hashes.is_empty()) {
        (None, true) => {
            let finding = Finding::error("nothing vouches for the API server", "neither `ca` nor `caCertHashes`");
            let finding = finding.with_help(format!("add one of them; {SHOW}"));
            finder.say_missing(path, &[path.key("ca"), place.clone()], finding);
        }
        (Some(_), false) => {
            let finding = Finding::error("both `ca` and `caCertHashes` are given", "not needed beside `ca`");
            let help = "keep `ca` if the authority is to be this one; keep the hashes if the node shall find it";
            finder.say(&place, finding.with_help(help));
        }
        _ => {}
    }
    if raw.discovery_token.is_some() && raw.ca_cert_hashes.is_empty() {
        let finding = Finding::warning("`discoveryToken` has no effect without `caCertHashes`", "not used");
        let help = "remove it: with `ca`, the node does not read `cluster-info`";
        finder.say_missing(&path.key("discoveryToken"), &[place], finding.with_help(help));
    }
    match ca {
        Some(authorities) => Some(ApiServerTrust::Authorities(authorities)),
        None if raw.ca.is_some() || pins.len() < raw.ca_cert_hashes.len().max(1) => None,
        None => Some(ApiServerTrust::Pins {
            pins,
            token: token.or_else(|| bootstrap_token.cloned())?,
        }),
    }
}
