//! Settings of a kernel: its build configuration, its command line and its sysctls.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::Kconfig;
use crate::check::Check;
use crate::rules::Rule;

/// Setting of a kernel that a rule asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fact {
    /// Value of a build option; `n` means that it is off.
    Config(String, String),
    /// A word on the command line: `init_on_alloc=1`, `slab_nomerge`.
    Argument(String),
    /// Value of a sysctl key.
    Sysctl(String, String),
}

/// Settings of the kernel in an image.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kernel {
    pub(crate) config: Kconfig,
    pub(crate) command_line: String,
    pub(crate) sysctls: BTreeMap<String, String>,
}

impl Fact {
    /// The option, the word's name or the key.
    pub(crate) fn subject(&self) -> &str {
        match self {
            Self::Config(name, _) | Self::Sysctl(name, _) => name,
            Self::Argument(word) => word.split_once('=').map_or(word, |(name, _)| name),
        }
    }

    pub(crate) fn check(&self) -> Check {
        match self {
            Self::Config(..) => Check::KernelConfig,
            Self::Argument(_) => Check::KernelArgument,
            Self::Sysctl(..) => Check::Sysctl,
        }
    }
}

impl FromStr for Fact {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` does not say what has to hold");
        if let Some(word) = text.strip_prefix("argument:") {
            return Ok(Self::Argument(word.to_owned()));
        }
        let (name, value) = text.split_once('=').ok_or_else(wrong)?;
        match name.strip_prefix("sysctl:") {
            Some(key) => Ok(Self::Sysctl(key.to_owned(), value.to_owned())),
            None if name.starts_with("CONFIG_") => Ok(Self::Config(name.to_owned(), value.to_owned())),
            None => Err(wrong()),
        }
    }
}

impl Kernel {
    /// Takes the settings of a file of `sysctl.d`: those that are read later win. A minus before a key means that it
    /// is no error when the kernel does not have it.
    pub(crate) fn read_sysctl(&mut self, text: &str) {
        for line in text.lines().map(str::trim) {
            if line.starts_with(['#', ';']) {
                continue;
            }
            if let Some((key, value)) = line.split_once('=') {
                let key = key.trim().trim_start_matches('-').replace('/', ".");
                self.sysctls.insert(key, value.trim().to_owned());
            }
        }
    }

    /// Describes the difference between the kernel and what a rule requires; `None` if the rule or an alternative
    /// holds.
    pub(crate) fn violation(&self, rule: &Rule) -> Option<String> {
        let met = self.holds(&rule.want) || rule.or.iter().any(|fact| self.holds(fact));
        (!met).then(|| match &rule.want {
            Fact::Config(option, want) => {
                let is = self.config.get(option);
                let word = |value: &str| match value {
                    "n" => "off".to_owned(),
                    "y" => "on".to_owned(),
                    "m" => "a module".to_owned(),
                    other => format!("`{other}`"),
                };
                format!("is {}, should be {}", word(is), word(want))
            }
            Fact::Argument(word) => format!("should be `{word}` on the command line"),
            Fact::Sysctl(key, want) => match self.sysctls.get(key) {
                Some(value) => format!("is {value}, should be {want}"),
                None => format!("is not set, should be {want}"),
            },
        })
    }

    fn holds(&self, fact: &Fact) -> bool {
        match fact {
            Fact::Config(option, want) => self.config.get(option) == want,
            Fact::Argument(word) => self.command_line.split_whitespace().any(|other| other == word),
            Fact::Sysctl(key, want) => self.sysctls.get(key) == Some(want),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel() -> Kernel {
        let mut kernel = Kernel {
            config: Kconfig::parse("CONFIG_A=y\n"),
            command_line: "quiet pti=on".to_owned(),
            ..Kernel::default()
        };
        kernel.read_sysctl("# one\nkernel.a = 1\n-net/b=2\n; other\nkernel.a=3\nnonsense\n");
        kernel
    }

    fn violation(want: &str, or: &[&str]) -> Option<String> {
        let fact = |text: &str| text.parse().expect("a fact");
        kernel().violation(&Rule {
            want: fact(want),
            or: or.iter().map(|text| fact(text)).collect(),
            why: String::new(),
            arch: None,
        })
    }

    #[test]
    fn facts_hold_or_are_missed() {
        assert_eq!(violation("CONFIG_A=y", &[]), None);
        assert_eq!(violation("CONFIG_A=n", &[]).as_deref(), Some("is on, should be off"));
        assert_eq!(violation("CONFIG_B=y", &[]).as_deref(), Some("is off, should be on"));
        assert_eq!(violation("CONFIG_B=y", &["CONFIG_A=y"]), None);
        assert_eq!(violation("argument:pti=on", &[]), None);
        assert!(violation("argument:nosmt", &["argument:pti"]).is_some());
        assert_eq!(violation("sysctl:kernel.a=3", &[]), None);
        assert_eq!(violation("sysctl:net.b=1", &[]).as_deref(), Some("is 2, should be 1"));
        assert_eq!(
            violation("sysctl:net.c=1", &[]).as_deref(),
            Some("is not set, should be 1")
        );
        assert!("A=y".parse::<Fact>().is_err() && "CONFIG_A".parse::<Fact>().is_err());
    }
}
