//! Rules about hosts, by subject. A rule is silent where the node has what the host has.

use super::HostRule;

mod kernel;
mod kubernetes;
mod left_out;
mod network;
mod runtime;
mod services;
mod storage;
mod trust;

pub(super) use trust::is_added;

/// All rules, in the order of the documentation.
static RULES: [&[HostRule]; 8] = [
    &kernel::RULES,
    &storage::RULES,
    &network::RULES,
    &runtime::RULES,
    &kubernetes::RULES,
    &services::RULES,
    &trust::RULES,
    &left_out::RULES,
];

/// All rules about hosts, in their order.
pub fn all() -> impl Iterator<Item = &'static HostRule> {
    RULES.iter().flat_map(|rules| rules.iter())
}
