//! The configuration that a kernel was built with: the file `.config`, as the kernel package ships it.

use std::collections::BTreeMap;

use basalt_release::Arch;
use serde::Serialize;

/// Options and their values. An option that is not there, or `is not set`, is `n`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kconfig(BTreeMap<String, String>);

/// State of a boolean or tristate option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptionState {
    /// `=y`: part of the kernel's image.
    BuiltIn,
    /// `=m`: a module.
    Module,
    /// `is not set`, or a value that is neither `y` nor `m`.
    Off,
    /// Not mentioned: an option that it depends on is off, or this version of the kernel does not have it.
    Absent,
}

impl OptionState {
    /// Returns `true` for options that are built in or a module.
    pub fn is_on(self) -> bool {
        matches!(self, Self::BuiltIn | Self::Module)
    }
}

impl<'o> FromIterator<(&'o str, &'o str)> for Kconfig {
    fn from_iter<I: IntoIterator<Item = (&'o str, &'o str)>>(options: I) -> Self {
        let options = options.into_iter();
        Self(
            options
                .map(|(option, value)| (option.to_owned(), value.to_owned()))
                .collect(),
        )
    }
}

impl Kconfig {
    /// Parses the text of a `.config`. Lines that are about no option are ignored, as the kernel's own tools do; of
    /// several lines about one option, the last one counts.
    pub fn parse(text: &str) -> Self {
        let options = text.lines().filter_map(|line| {
            let line = line.trim();
            if let Some(off) = line
                .strip_prefix("# ")
                .and_then(|rest| rest.strip_suffix(" is not set"))
            {
                return Some((off, "n"));
            }
            let (option, value) = line.split_once('=')?;
            let value = value
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'))
                .unwrap_or(value);
            Some((option, value))
        });
        let options = options.filter(|(option, _)| option.starts_with("CONFIG_"));
        Self(
            options
                .map(|(option, value)| (option.to_owned(), value.to_owned()))
                .collect(),
        )
    }

    /// The value of an option: `y`, `m`, `n`, a number, or a text without its quotes.
    pub fn get(&self, option: &str) -> &str {
        self.0.get(option).map_or("n", String::as_str)
    }

    /// The state of a boolean or tristate option.
    pub fn state(&self, option: &str) -> OptionState {
        match self.0.get(option).map(String::as_str) {
            Some("y") => OptionState::BuiltIn,
            Some("m") => OptionState::Module,
            Some(_) => OptionState::Off,
            None => OptionState::Absent,
        }
    }

    /// Options that are set, with their values, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let set = self.0.iter().filter(|(_, value)| *value != "n");
        set.map(|(option, value)| (option.as_str(), value.as_str()))
    }

    /// The architecture of the kernel, if it is one that Basalt is built for.
    pub fn arch(&self) -> Option<Arch> {
        let archs = [("CONFIG_X86_64", Arch::X86_64), ("CONFIG_ARM64", Arch::Aarch64)];
        let found = archs.into_iter().find(|(option, _)| self.state(option).is_on());
        found.map(|(_, arch)| arch)
    }

    /// Returns `true` if no option is set, so that the text is no kernel configuration.
    pub fn is_empty(&self) -> bool {
        self.0.values().all(|value| value == "n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_is_off() {
        let config =
            Kconfig::parse("#\n# Linux\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=m\nCONFIG_L=\"a,b\"\nnoise\n");
        assert_eq!(
            ["A", "B", "C", "D", "L"].map(|name| config.get(&format!("CONFIG_{name}")).to_owned()),
            ["y", "n", "m", "n", "a,b"]
        );
        assert_eq!(
            ["A", "B", "C", "D", "L"].map(|name| config.state(&format!("CONFIG_{name}"))),
            [
                OptionState::BuiltIn,
                OptionState::Off,
                OptionState::Module,
                OptionState::Absent,
                OptionState::Off
            ]
        );
        assert!(!config.is_empty());
        assert!(Kconfig::parse("# CONFIG_B is not set\n").is_empty());
    }

    #[test]
    fn the_last_line_about_an_option_counts() {
        let config = Kconfig::parse("CONFIG_A=y\nCONFIG_A=n\nCONFIG_B=n\nCONFIG_B=m\n");
        assert_eq!(config.state("CONFIG_A"), OptionState::Off);
        assert_eq!(config.state("CONFIG_B"), OptionState::Module);
    }

    #[test]
    fn the_architecture_is_an_option() {
        let arch = |text| Kconfig::parse(text).arch();
        assert_eq!(arch("CONFIG_64BIT=y\nCONFIG_X86_64=y\n"), Some(Arch::X86_64));
        assert_eq!(
            arch("# CONFIG_X86_64 is not set\nCONFIG_ARM64=y\n"),
            Some(Arch::Aarch64)
        );
        assert_eq!(arch("CONFIG_RISCV=y\n"), None);
    }

    #[test]
    fn options_that_are_set_are_listed() {
        let config = Kconfig::parse("CONFIG_B=m\n# CONFIG_C is not set\nCONFIG_A=y\n");
        let set: Vec<_> = config.iter().collect();
        assert_eq!(set, [("CONFIG_A", "y"), ("CONFIG_B", "m")]);
        assert_eq!(set.into_iter().collect::<Kconfig>().get("CONFIG_B"), "m");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in ".{0,200}") {
            let _ = Kconfig::parse(&text);
        }
    }
}
