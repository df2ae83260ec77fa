//! The configuration that a kernel was built with: the file `.config`, as the kernel package ships it.

use std::collections::BTreeMap;

/// Options and their values. An option that is not there, or `is not set`, is `n`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kconfig(BTreeMap<String, String>);

impl Kconfig {
    /// Parses the text of a `.config`. Lines that set no option are ignored, as the kernel's own tools do.
    pub fn parse(text: &str) -> Self {
        let options = text.lines().filter_map(|line| {
            let (option, value) = line.trim().split_once('=')?;
            let value = value
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'))
                .unwrap_or(value);
            option
                .starts_with("CONFIG_")
                .then(|| (option.to_owned(), value.to_owned()))
        });
        Self(options.collect())
    }

    /// The value of an option: `y`, `m`, `n`, a number, or a text without its quotes.
    pub fn get(&self, option: &str) -> &str {
        self.0.get(option).map_or("n", String::as_str)
    }

    /// Returns `true` if no option is set, so that the text is no kernel configuration.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in ".{0,200}") {
            let _ = Kconfig::parse(&text);
        }
    }
}
