//! Rule about settings that a NodeConfig made from the host would not have.

use super::super::{HostFound, HostRule, HostSubject};
use crate::WorkloadVerdict::RunsOtherwise;

pub(super) const RULES: [HostRule; 1] = [HostRule {
    id: "host-left-out",
    title: "A setting of the host is left out of the NodeConfig that is made from it",
    verdict: RunsOtherwise,
    reason: "`--write-config` leaves out what `basalt check` would refuse, entry by entry, and what a NodeConfig has no field for. The comments at the top of the file have the same list.",
    check: left_out,
}];

fn left_out(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    for setting in subject.left_out {
        found.add(
            "the NodeConfig",
            setting.to_string(),
            "write it otherwise by hand, or do without",
        );
    }
}
