//! Kernel options that add-ons document: `distro/kernel-requirements.toml`.

use std::collections::{BTreeMap, BTreeSet};

use basalt_document::problem::Problems;
use basalt_document::toml_file::{Faults, TomlFile};
use basalt_release::Arch;
use serde::{Deserialize, Serialize};
use toml::Spanned;

/// The table as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTable {
    #[serde(default)]
    addon: Vec<RawAddOn>,
    #[serde(default)]
    refusal: Vec<RawDeclined>,
    #[serde(default)]
    pending: Vec<RawDeclined>,
    #[serde(default)]
    obsolete: Vec<RawDeclined>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAddOn {
    name: Spanned<String>,
    source: Spanned<String>,
    #[serde(default)]
    why: Option<Spanned<String>>,
    #[serde(default)]
    required: Vec<Spanned<String>>,
    #[serde(default)]
    optional: Vec<Spanned<String>>,
    #[serde(default)]
    x86_64: RawArchOptions,
    #[serde(default)]
    aarch64: RawArchOptions,
    #[serde(default)]
    refused: Vec<Spanned<String>>,
    #[serde(default)]
    pending: Vec<Spanned<String>>,
    #[serde(default)]
    obsolete: Vec<Spanned<String>>,
}

/// Options that only one architecture has.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawArchOptions {
    #[serde(default)]
    required: Vec<Spanned<String>>,
    #[serde(default)]
    optional: Vec<Spanned<String>>,
}

/// `[[refusal]]`, `[[pending]]` or `[[obsolete]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDeclined {
    option: Spanned<String>,
    reason: Spanned<String>,
}

/// Kernel options that add-ons document, and those of them that Basalt's kernel does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddOnTable {
    /// Add-ons, in the order of the file.
    pub addons: Vec<AddOn>,
    /// Options that are off although an add-on documents them, in the order of the file.
    pub declined: Vec<DeclinedOption>,
}

/// Add-on, or another program or machine that documents kernel options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddOn {
    /// Name for users.
    pub name: String,
    /// URL of the document that names the options.
    pub source: String,
    /// Explanation, where the source does not give one.
    pub why: Option<String>,
    /// Options that have to be on.
    pub options: Vec<RequestedOption>,
    /// Names of options that it documents and that are off: entries of [`AddOnTable::declined`].
    pub declined: Vec<String>,
}

/// Option that an add-on documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedOption {
    /// Name, with `CONFIG_`.
    pub option: String,
    /// Importance for the add-on.
    pub need: Need,
    /// Architecture that has the option; `None` for all.
    pub arch: Option<Arch>,
}

/// Importance of an option for an add-on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// The add-on does not work without it.
    Required,
    /// A feature of the add-on does not work without it.
    Optional,
}

/// Option that is off, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclinedOption {
    /// Name, with `CONFIG_`.
    pub option: String,
    /// Cause of its absence.
    pub kind: DeclineKind,
    /// Reason, in sentences.
    pub reason: String,
}

/// Cause of an option's absence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeclineKind {
    /// Left off on purpose.
    Refused,
    /// Wanted, and to be turned on with the next change of the kernel's configuration.
    Pending,
    /// Name that this version of Linux does not have, so that only a checker of names misses it.
    Obsolete,
}

impl AddOnTable {
    /// Parses the text of the file; `name` is for errors.
    ///
    /// # Errors
    /// With all places that are wrong: unknown keys, names that are no options, options that are listed twice, refused
    /// options without a reason, and refused options that an add-on is said to have.
    pub fn parse(name: &str, text: &str) -> Result<Self, Problems> {
        let file = TomlFile::new(name, text);
        let raw: RawTable = file.read()?;
        let mut checker = Checker {
            faults: file.faults(),
            requested_by: requested_by(&raw),
            kinds: BTreeMap::new(),
        };
        let mut declined = Vec::new();
        for (list, kind) in raw.declined() {
            declined.extend(checker.declined(list, kind));
        }
        let addons = raw.addon.iter().map(|addon| checker.addon(addon)).collect();
        checker.distinct_names(&raw.addon);
        checker.declined_by_someone(&raw);
        checker.faults.or(Self { addons, declined })
    }

    /// The entry of a declined option.
    pub fn declined(&self, option: &str) -> Option<&DeclinedOption> {
        self.declined.iter().find(|declined| declined.option == option)
    }

    /// Names of the add-ons that document an option which is declined.
    pub fn declined_by(&self, option: &str) -> impl Iterator<Item = &str> {
        let addons = self.addons.iter();
        addons
            .filter(move |addon| addon.declined.iter().any(|declined| declined == option))
            .map(|addon| addon.name.as_str())
    }
}

impl AddOn {
    /// Options that the add-on documents for an architecture.
    pub fn options_on(&self, arch: Arch) -> impl Iterator<Item = &RequestedOption> {
        let options = self.options.iter();
        options.filter(move |requested| requested.arch.is_none_or(|only| only == arch))
    }
}

impl DeclineKind {
    /// Key of an add-on's list of such options, and word for them in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Pending => "pending",
            Self::Obsolete => "obsolete",
        }
    }

    /// Table with the reasons.
    fn table(self) -> &'static str {
        match self {
            Self::Refused => "[[refusal]]",
            Self::Pending => "[[pending]]",
            Self::Obsolete => "[[obsolete]]",
        }
    }
}

impl RawTable {
    /// Options that are off, with their reasons.
    fn declined(&self) -> [(&[RawDeclined], DeclineKind); 3] {
        [
            (&self.refusal, DeclineKind::Refused),
            (&self.pending, DeclineKind::Pending),
            (&self.obsolete, DeclineKind::Obsolete),
        ]
    }
}

impl RawAddOn {
    /// Lists of options that are off.
    fn declined(&self) -> [(&[Spanned<String>], DeclineKind); 3] {
        [
            (&self.refused, DeclineKind::Refused),
            (&self.pending, DeclineKind::Pending),
            (&self.obsolete, DeclineKind::Obsolete),
        ]
    }

    /// Lists of options that have to be on.
    fn requests(&self) -> [(&[Spanned<String>], Need, Option<Arch>); 6] {
        let (x86_64, aarch64) = (Some(Arch::X86_64), Some(Arch::Aarch64));
        [
            (&self.required, Need::Required, None),
            (&self.x86_64.required, Need::Required, x86_64),
            (&self.aarch64.required, Need::Required, aarch64),
            (&self.optional, Need::Optional, None),
            (&self.x86_64.optional, Need::Optional, x86_64),
            (&self.aarch64.optional, Need::Optional, aarch64),
        ]
    }
}

/// Name of the first add-on that wants an option on, by option.
fn requested_by(raw: &RawTable) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for addon in &raw.addon {
        for option in addon.requests().into_iter().flat_map(|(list, ..)| list) {
            let name = || addon.name.get_ref().clone();
            names.entry(option.get_ref().clone()).or_insert_with(name);
        }
    }
    names
}

/// Checks of one table.
struct Checker<'f> {
    faults: Faults<'f>,
    /// Name of an add-on that wants an option on, by option.
    requested_by: BTreeMap<String, String>,
    /// Kinds of the declined options.
    kinds: BTreeMap<String, DeclineKind>,
}

impl Checker<'_> {
    fn declined(&mut self, raw: &[RawDeclined], kind: DeclineKind) -> Vec<DeclinedOption> {
        let mut found = Vec::new();
        for declined in raw {
            let option = self.option(&declined.option);
            if declined.reason.get_ref().trim().len() < 10 {
                let help = "say why it is off, and what works all the same or instead";
                self.faults.wrong(&declined.reason, "this is no reason", help);
            }
            if self.kinds.insert(option.clone(), kind).is_some() {
                let message = format!("`{option}` has a reason already");
                self.faults.wrong(&declined.option, message, "take one of them out");
            }
            if let Some(name) = self.requested_by.get(&option) {
                let message = format!("`{option}` is to be off here, and on for the add-on `{name}`");
                let help = "take it out of one of the two; an add-on that would like it lists it as `refused`";
                self.faults.wrong(&declined.option, message, help);
            }
            found.push(DeclinedOption {
                option,
                kind,
                reason: declined.reason.get_ref().trim().to_owned(),
            });
        }
        found
    }

    fn addon(&mut self, raw: &RawAddOn) -> AddOn {
        if raw.name.get_ref().trim().is_empty() {
            self.faults.wrong(&raw.name, "the add-on has no name", "write one");
        }
        if !raw.source.get_ref().starts_with("https://") {
            let help = "write the URL of the page that names these options, with `https://`";
            self.faults.wrong(&raw.source, "this is no source", help);
        }
        if let Some(why) = &raw.why
            && why.get_ref().trim().is_empty()
        {
            self.faults
                .wrong(why, "it is not said why", "write a sentence, or leave it out");
        }
        let mut seen = BTreeSet::new();
        let mut options = Vec::new();
        for (list, need, arch) in raw.requests() {
            for option in list {
                let option = self.listed_once(option, &mut seen);
                options.push(RequestedOption { option, need, arch });
            }
        }
        if options.is_empty() {
            let help = "list its options as `required` or `optional`";
            self.faults.wrong(&raw.name, "the add-on asks for nothing", help);
        }
        let mut declined = Vec::new();
        for (list, kind) in raw.declined() {
            for option in list {
                declined.push(self.listed_once(option, &mut seen));
                self.has_reason(option, kind);
            }
        }
        AddOn {
            name: raw.name.get_ref().clone(),
            source: raw.source.get_ref().clone(),
            why: raw.why.as_ref().map(|why| why.get_ref().trim().to_owned()),
            options,
            declined,
        }
    }

    /// Checks the name of an option.
    fn option(&mut self, option: &Spanned<String>) -> String {
        let name = option.get_ref();
        let letters = name.strip_prefix("CONFIG_").unwrap_or_default();
        let is_word = |letters: &str| letters.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if letters.is_empty() || !is_word(letters) {
            let message = format!("`{name}` is not an option of the kernel");
            let help = "options begin with CONFIG_; values are not given";
            self.faults.wrong(option, message, help);
        }
        name.clone()
    }

    /// Checks that an option is in one list of an add-on, once.
    fn listed_once(&mut self, option: &Spanned<String>, seen: &mut BTreeSet<String>) -> String {
        let name = self.option(option);
        if !seen.insert(name.clone()) {
            let message = format!("`{name}` is listed twice for this add-on");
            self.faults.wrong(option, message, "take one of them out");
        }
        name
    }

    /// Checks that a list of the right kind has a declined option.
    fn has_reason(&mut self, option: &Spanned<String>, kind: DeclineKind) {
        let name = option.get_ref();
        if self.kinds.get(name) == Some(&kind) {
            return;
        }
        let table = kind.table();
        let message = format!("no {table} says why `{name}` is off");
        let help = format!("add {table} with this `option` and a `reason`");
        self.faults.wrong(option, message, &help);
    }

    fn distinct_names(&mut self, addons: &[RawAddOn]) {
        let mut seen = BTreeSet::new();
        for addon in addons {
            if !seen.insert(addon.name.get_ref().to_lowercase()) {
                let message = format!("there are two add-ons `{}`", addon.name.get_ref());
                self.faults.wrong(&addon.name, message, "give one of them another name");
            }
        }
    }

    /// Checks that some add-on documents each declined option: without one, nobody misses it.
    fn declined_by_someone(&mut self, raw: &RawTable) {
        let addons = raw.addon.iter().flat_map(RawAddOn::declined);
        let listed: BTreeSet<(DeclineKind, &str)> = addons
            .flat_map(|(list, kind)| list.iter().map(move |option| (kind, option.get_ref().as_str())))
            .collect();
        for (list, kind) in raw.declined() {
            for declined in list {
                let option = declined.option.get_ref();
                if !listed.contains(&(kind, option.as_str())) {
                    let message = format!("no add-on documents `{option}`");
                    let help = format!("list it as `{}` of the add-on that does, or take it out", kind.name());
                    self.faults.wrong(&declined.option, message, &help);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
[[addon]]
name = "Overlay"
source = "https://example.org/overlay"
why = "It says so."
required = ["CONFIG_VXLAN"]
optional = ["CONFIG_GENEVE"]
x86_64.required = ["CONFIG_KVM_INTEL"]
aarch64.optional = ["CONFIG_ARM_SMMU_V3"]
refused = ["CONFIG_BTRFS_FS"]
obsolete = ["CONFIG_NF_NAT_IPV4"]

[[refusal]]
option = "CONFIG_BTRFS_FS"
reason = "No image has its tools."

[[obsolete]]
option = "CONFIG_NF_NAT_IPV4"
reason = "Part of NF_NAT."
"#;

    fn mistakes(text: &str) -> String {
        AddOnTable::parse("kernel-requirements.toml", text)
            .expect_err("wrong")
            .brief()
    }

    #[test]
    fn options_of_other_architectures_do_not_count() {
        let table = AddOnTable::parse("kernel-requirements.toml", TEXT).expect("right");
        let options = |arch| -> Vec<&str> {
            table.addons[0]
                .options_on(arch)
                .map(|requested| requested.option.as_str())
                .collect()
        };
        assert_eq!(
            options(Arch::X86_64),
            ["CONFIG_VXLAN", "CONFIG_KVM_INTEL", "CONFIG_GENEVE"]
        );
        assert_eq!(
            options(Arch::Aarch64),
            ["CONFIG_VXLAN", "CONFIG_GENEVE", "CONFIG_ARM_SMMU_V3"]
        );
    }

    #[test]
    fn declined_options_have_reasons() {
        let table = AddOnTable::parse("kernel-requirements.toml", TEXT).expect("right");
        let refused = table.declined("CONFIG_BTRFS_FS").expect("refused");
        assert_eq!(
            (refused.kind, refused.reason.as_str()),
            (DeclineKind::Refused, "No image has its tools.")
        );
        assert_eq!(
            table.declined("CONFIG_NF_NAT_IPV4").map(|declined| declined.kind),
            Some(DeclineKind::Obsolete)
        );
        assert_eq!(table.declined("CONFIG_VXLAN"), None);
        assert_eq!(table.declined_by("CONFIG_BTRFS_FS").collect::<Vec<_>>(), ["Overlay"]);
    }

    #[test]
    fn everything_wrong_is_said_at_its_place() {
        let text = r#"
[[addon]]
name = "One"
source = "by hearsay"
why = " "
required = ["CONFIG_A", "VXLAN", "CONFIG_A"]
optional = ["CONFIG_B=y"]
refused = ["CONFIG_A", "CONFIG_C", "CONFIG_D"]

[[addon]]
name = "one"
source = "https://example.org/"

[[refusal]]
option = "CONFIG_A"
reason = "No."

[[refusal]]
option = "CONFIG_E"
reason = "Nobody needs it."

[[obsolete]]
option = "CONFIG_D"
reason = "Gone since Linux 2.6."

[[obsolete]]
option = "CONFIG_E"
reason = "Gone since Linux 2.4."
"#;
        insta::assert_snapshot!(mistakes(text));
    }

    #[test]
    fn unknown_keys_have_places() {
        let text = TEXT.replace("optional = [\"CONFIG_GENEVE\"]", "optinal = [\"CONFIG_GENEVE\"]");
        assert!(
            mistakes(&text).starts_with("kernel-requirements.toml:7:1: error: unknown field `optinal`"),
            "{}",
            mistakes(&text)
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in ".{0,200}") {
            let _ = AddOnTable::parse("kernel-requirements.toml", &text);
        }
    }
}
