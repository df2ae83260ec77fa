//! A kubeconfig in the place of address, authority and token.

use basalt_document::{Finding, Path};

use super::first_contact::{FirstContact, check_reachable};
use crate::certificate::Authorities;
use crate::checked::ApiServerTrust;
use crate::finder::Finder;
use crate::kubeconfig::{self, AuthorityData, Credentials};
use crate::raw;
use crate::token::BootstrapToken;

/// Command that writes a kubeconfig with all that it needs.
const WRITE: &str = "write one with `kubectl config view --raw --minify --flatten`";

/// First contact by a kubeconfig.
pub(super) fn contact(finder: &mut Finder<'_>, path: &Path, raw: &raw::Cluster, text: &str) -> FirstContact {
    let place = path.key("kubeconfig");
    for (key, is_given) in [
        ("endpoint", raw.endpoint.is_some()),
        ("ca", raw.ca.is_some()),
        ("caCertHashes", !raw.ca_cert_hashes.is_empty()),
        ("discoveryToken", raw.discovery_token.is_some()),
    ] {
        if is_given {
            let finding = Finding::error(format!("both `kubeconfig` and `{key}` are given"), "one too many");
            let help = format!("keep `{key}` and its like, or the kubeconfig, which has all of it");
            finder.say(&path.key(key), finding.with_help(help));
        }
    }
    let given = finder.parse_given::<BootstrapToken>(&path.key("bootstrapToken"), raw.bootstrap_token.as_ref());
    let (access, findings) = kubeconfig::read_embedded(text);
    for finding in findings {
        finder.say(&place, finding);
    }
    let Some(access) = access else {
        return FirstContact {
            bootstrap_token: given,
            ..FirstContact::default()
        };
    };
    check_reachable(finder, &place, Some(&access.endpoint));
    let bootstrap_token = match (&raw.bootstrap_token, access.credentials) {
        (Some(_), _) => given,
        (None, Credentials::Token(token)) => token_of(finder, &place, &token),
        (None, credentials) => {
            let message = match credentials {
                Credentials::Certificate { .. } => "the kubeconfig has a client certificate and no bootstrap token",
                Credentials::None | Credentials::Token(_) => {
                    "the kubeconfig has no credentials for its current context"
                }
            };
            let help = "add `bootstrapToken:` beside it; `kubeadm token create` makes one";
            finder.say(&place, Finding::error(message, "no token").with_help(help));
            None
        }
    };
    FirstContact {
        endpoint: Some(access.endpoint),
        trust: authorities(finder, &place, access.authorities.as_ref()).map(ApiServerTrust::Authorities),
        bootstrap_token,
    }
}

fn token_of(finder: &mut Finder<'_>, place: &Path, token: &str) -> Option<BootstrapToken> {
    let parsed = token.parse::<BootstrapToken>();
    if parsed.is_err() {
        let message = "the token in the kubeconfig is no bootstrap token: six characters, a dot, sixteen characters";
        let help = "a node trades bootstrap tokens for its certificate: make one with `kubeadm token create`";
        finder.say(place, Finding::error(message, "another token").with_help(help));
    }
    parsed.ok()
}

fn authorities(finder: &mut Finder<'_>, place: &Path, data: Option<&AuthorityData>) -> Option<Authorities> {
    let Some(data) = data else {
        let message = "the kubeconfig has no `certificate-authority-data`: nothing vouches for the API server";
        finder.say(place, Finding::error(message, "no authority").with_help(WRITE));
        return None;
    };
    let Some(pem) = data.pem() else {
        let message = "`certificate-authority-data` of the kubeconfig is not text in base64";
        finder.say(place, Finding::error(message, "not base64").with_help(WRITE));
        return None;
    };
    let named = |mut finding: Finding| {
        finding.message = format!("`certificate-authority-data` of the kubeconfig: {}", finding.message);
        finding
    };
    match pem.parse::<Authorities>() {
        Ok(authorities) => {
            if let Some(finding) = authorities.at(finder.now()) {
                finder.say_by_clock(place, named(finding));
            }
            Some(authorities)
        }
        Err(finding) => {
            finder.say(place, named(finding));
            None
        }
    }
}
