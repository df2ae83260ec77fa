//! Comparison of a kernel's configuration with the options that add-ons document.

use std::fmt;

use basalt_release::Arch;
use serde::Serialize;

use super::table::{AddOn, AddOnTable, DeclineKind, Need};
use crate::kconfig::{Kconfig, OptionState};

/// Options of an add-on, as a kernel has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AddOnReport {
    /// Name of the add-on.
    pub name: String,
    /// URL of the document that names the options.
    pub source: String,
    /// Explanation, where the source does not give one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Summary.
    pub status: AddOnStatus,
    /// Options that have to be on.
    pub options: Vec<OptionReport>,
    /// Options that the add-on documents and that have to be off.
    pub declined: Vec<DeclinedReport>,
}

/// Summary of an add-on's options. The worst one that applies is given: the last in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddOnStatus {
    /// All options are on.
    Complete,
    /// Optional options are off, or options are refused or pending.
    Reduced,
    /// An option is on although the table has it as refused, pending or obsolete: the table is wrong.
    Contradicted,
    /// A required option is off.
    Lacking,
}

/// Option that has to be on, and its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OptionReport {
    /// Name, with `CONFIG_`.
    pub option: String,
    /// Importance for the add-on.
    pub need: Need,
    /// State in the configuration.
    pub state: OptionState,
}

/// Option that has to be off, and its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeclinedReport {
    /// Name, with `CONFIG_`.
    pub option: String,
    /// Cause of its absence.
    pub kind: DeclineKind,
    /// Reason, in sentences.
    pub reason: String,
    /// State in the configuration.
    pub state: OptionState,
}

impl AddOnStatus {
    /// Name of the status in reports, in kebab case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Reduced => "reduced",
            Self::Contradicted => "contradicted",
            Self::Lacking => "lacking",
        }
    }

    /// Returns `true` if the kernel or the table has to be changed.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Contradicted | Self::Lacking)
    }
}

impl fmt::Display for AddOnStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl AddOnReport {
    /// Options that are off and should be on.
    pub fn missing(&self) -> impl Iterator<Item = &OptionReport> {
        self.options.iter().filter(|option| !option.state.is_on())
    }

    /// Options that the add-on would use, and that are refused or pending.
    pub fn withheld(&self) -> impl Iterator<Item = &DeclinedReport> {
        let declined = self.declined.iter();
        declined.filter(|declined| declined.kind != DeclineKind::Obsolete && !declined.state.is_on())
    }

    /// Options that are on although the table says that they are off.
    pub fn contradictions(&self) -> impl Iterator<Item = &DeclinedReport> {
        self.declined.iter().filter(|declined| declined.state.is_on())
    }

    fn status(&self) -> AddOnStatus {
        let lacks = |need| self.missing().any(|option| option.need == need);
        if lacks(Need::Required) {
            AddOnStatus::Lacking
        } else if self.contradictions().next().is_some() {
            AddOnStatus::Contradicted
        } else if lacks(Need::Optional) || self.withheld().next().is_some() {
            AddOnStatus::Reduced
        } else {
            AddOnStatus::Complete
        }
    }
}

/// Compares a kernel's configuration with the options of all add-ons, in the order of the table. Options of other
/// architectures than `arch` are left out.
pub fn compare_addons(table: &AddOnTable, config: &Kconfig, arch: Arch) -> Vec<AddOnReport> {
    let addons = table.addons.iter();
    addons.map(|addon| compare_addon(table, addon, config, arch)).collect()
}

fn compare_addon(table: &AddOnTable, addon: &AddOn, config: &Kconfig, arch: Arch) -> AddOnReport {
    let options = addon.options_on(arch).map(|requested| OptionReport {
        option: requested.option.clone(),
        need: requested.need,
        state: config.state(&requested.option),
    });
    let declined = addon.declined.iter().filter_map(|option| table.declined(option));
    let declined = declined.map(|declined| DeclinedReport {
        option: declined.option.clone(),
        kind: declined.kind,
        reason: declined.reason.clone(),
        state: config.state(&declined.option),
    });
    let mut report = AddOnReport {
        name: addon.name.clone(),
        source: addon.source.clone(),
        why: addon.why.clone(),
        status: AddOnStatus::Complete,
        options: options.collect(),
        declined: declined.collect(),
    };
    report.status = report.status();
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = r#"
[[addon]]
name = "Example"
source = "https://example.org/"
required = ["CONFIG_A", "CONFIG_B"]
optional = ["CONFIG_C"]
x86_64.required = ["CONFIG_KVM_INTEL"]
refused = ["CONFIG_R"]
obsolete = ["CONFIG_O"]

[[addon]]
name = "Plain"
source = "https://example.org/"
required = ["CONFIG_A"]
obsolete = ["CONFIG_O"]

[[refusal]]
option = "CONFIG_R"
reason = "For this test."

[[obsolete]]
option = "CONFIG_O"
reason = "For this test."
"#;

    fn reports(config: &str, arch: Arch) -> Vec<AddOnReport> {
        let table = AddOnTable::parse("kernel-requirements.toml", TABLE).expect("right");
        compare_addons(&table, &Kconfig::parse(config), arch)
    }

    #[test]
    fn the_status_is_the_worst_that_applies() {
        let status = |config, arch| reports(config, arch)[0].status;
        let (x86, arm) = (Arch::X86_64, Arch::Aarch64);
        for (config, arch, expected) in [
            ("CONFIG_A=y\nCONFIG_B=m\nCONFIG_C=y\n", arm, AddOnStatus::Reduced),
            ("CONFIG_A=y\nCONFIG_B=m\n", arm, AddOnStatus::Reduced),
            (
                "CONFIG_A=y\nCONFIG_B=y\nCONFIG_C=y\nCONFIG_R=m\n",
                arm,
                AddOnStatus::Contradicted,
            ),
            (
                "CONFIG_A=y\nCONFIG_B=y\nCONFIG_C=y\nCONFIG_O=y\n",
                arm,
                AddOnStatus::Contradicted,
            ),
            ("CONFIG_A=y\nCONFIG_C=y\nCONFIG_R=y\n", arm, AddOnStatus::Lacking),
            ("CONFIG_A=y\nCONFIG_B=8\nCONFIG_C=y\n", arm, AddOnStatus::Lacking),
            ("CONFIG_A=y\nCONFIG_B=y\nCONFIG_C=y\n", x86, AddOnStatus::Lacking),
            (
                "CONFIG_A=y\nCONFIG_B=y\nCONFIG_C=y\nCONFIG_KVM_INTEL=m\n",
                x86,
                AddOnStatus::Reduced,
            ),
        ] {
            assert_eq!(status(config, arch), expected, "{config} {arch}");
        }
        // An obsolete name takes nothing away.
        assert_eq!(reports("CONFIG_A=y\n", arm)[1].status, AddOnStatus::Complete);
        assert!(AddOnStatus::Lacking.is_failure() && AddOnStatus::Contradicted.is_failure());
        assert!(!AddOnStatus::Reduced.is_failure() && !AddOnStatus::Complete.is_failure());
    }

    #[test]
    fn each_option_has_its_state() {
        let config = "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_R=y\n";
        let reports = reports(config, Arch::X86_64);
        insta::assert_snapshot!(serde_json::to_string_pretty(&reports[0]).expect("JSON"));
    }
}
