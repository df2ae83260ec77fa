//! First contact of a node with its cluster, by keys of the NodeConfig or by a kubeconfig.

use basalt_document::{Finding, Path};

use crate::address::Endpoint;
use crate::checked::ApiServerTrust;
use crate::finder::Finder;
use crate::token::BootstrapToken;

/// First contact of a node with its cluster, as far as it is right.
#[derive(Default)]
pub(super) struct FirstContact {
    pub(super) endpoint: Option<Endpoint>,
    pub(super) trust: Option<ApiServerTrust>,
    pub(super) bootstrap_token: Option<BootstrapToken>,
}

/// Refuses the address of an API server that no other machine reaches.
pub(super) fn check_reachable(finder: &mut Finder<'_>, place: &Path, endpoint: Option<&Endpoint>) {
    if let Some(reason) = endpoint.and_then(Endpoint::unreachable) {
        let finding = Finding::error(
            format!("no node reaches the API server at this address: {reason}"),
            "not there",
        );
        let help = "write the address or name under which other machines reach the API server";
        finder.say(place, finding.with_help(help));
    }
}
