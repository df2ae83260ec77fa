//! Default gateways against one another: of two with one metric, networkd and the kernel follow whichever came up last.

use std::collections::HashMap;

use crate::address::{Address, Cidr};
use crate::finder::Finder;
use crate::raw;
use basalt_document::{Finding, Path};

/// Metric that the kernel gives to routes of IPv6 without one, and with 0.
const OF_IPV6: u32 = 1024;

/// Way out, as it is written.
struct WayOut {
    place: Path,
    router: Address,
    metric: Option<u32>,
}

/// Checks the ways out by interfaces with fixed addresses. `path` is that of the interfaces.
pub(super) fn check(finder: &mut Finder<'_>, path: &Path, entries: &[raw::Interface]) {
    let mut known: HashMap<(bool, u32), Address> = HashMap::new();
    for (index, entry) in entries.iter().enumerate() {
        for way in ways_out(&path.index(index), entry) {
            let router = way.router;
            let is_ipv4 = router.0.is_ipv4();
            let Some(other) = known.insert((is_ipv4, effective(way.metric, is_ipv4)), router) else {
                continue;
            };
            let family = if is_ipv4 { "IPv4" } else { "IPv6" };
            let message =
                format!("`{router}` is a default gateway of {family} beside `{other}`, and has the same metric");
            let finding = Finding::error(message, "one of two ways out");
            let help = "keep one of them; or give one a `metric` that says which is preferred: lower is";
            finder.say(&way.place, finding.with_help(help));
        }
    }
}

/// Ways out of an entry; none for one whose addresses are not fixed.
fn ways_out(path: &Path, entry: &raw::Interface) -> Vec<WayOut> {
    if entry.unmanaged || entry.asks_dhcp() {
        return Vec::new();
    }
    // What cannot be read is told already.
    let router: Option<Address> = entry.gateway.as_deref().and_then(|gateway| gateway.parse().ok());
    let of_gateway = router.map(|router| WayOut {
        place: path.key("gateway"),
        router,
        metric: entry.metric,
    });
    let routes = entry.routes.iter().enumerate();
    let of_routes = routes.filter_map(|(index, route)| {
        let to: Cidr = route.to.parse().ok()?;
        let router: Address = route.via.parse().ok()?;
        (to.prefix == 0).then(|| WayOut {
            place: path.key("routes").index(index).key("via"),
            router,
            metric: route.metric,
        })
    });
    of_gateway.into_iter().chain(of_routes).collect()
}

/// Metric that the kernel counts with.
fn effective(metric: Option<u32>, is_ipv4: bool) -> u32 {
    match metric.unwrap_or_default() {
        0 if !is_ipv4 => OF_IPV6,
        metric => metric,
    }
}
