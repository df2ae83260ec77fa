//! Requirements on the kernel: `distro/kspp.toml`.

use basalt_document::problem::Problems;
use basalt_document::toml_file::TomlFile;
use serde::Deserialize;
use toml::Spanned;

use crate::settings::Fact;

/// The rules as they are written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRules {
    #[serde(default)]
    config: Vec<RawOption>,
    #[serde(default)]
    argument: Vec<RawArgument>,
    #[serde(default)]
    sysctl: Vec<RawSysctl>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOption {
    option: Spanned<String>,
    want: String,
    why: Spanned<String>,
    #[serde(default)]
    arch: Option<String>,
    #[serde(default)]
    or: Vec<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawArgument {
    argument: Spanned<String>,
    why: Spanned<String>,
    #[serde(default)]
    arch: Option<String>,
    #[serde(default)]
    or: Vec<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSysctl {
    key: Spanned<String>,
    want: String,
    why: Spanned<String>,
    #[serde(default)]
    or: Vec<Spanned<String>>,
}

/// Requirements on the kernel: build configuration, command line and sysctls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    pub(crate) rules: Vec<Rule>,
}

/// Requirement on one setting, with its alternatives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Setting that is required.
    pub(crate) want: Fact,
    /// Alternatives, each of which satisfies the requirement as well.
    pub(crate) or: Vec<Fact>,
    /// Purpose of the requirement, in one sentence.
    pub(crate) why: String,
    /// Architecture that the requirement is limited to, by the kernel's name; `None` for all.
    pub(crate) arch: Option<String>,
}

impl Rules {
    /// Reads the text of the file; `name` is for errors.
    ///
    /// # Errors
    /// With all places that are wrong.
    pub fn parse(name: &str, text: &str) -> Result<Self, Problems> {
        let file = TomlFile::new(name, text);
        let raw: RawRules = file.read()?;
        let mut faults = file.faults();
        let mut rules: Vec<Rule> = Vec::new();
        let mut add = |place: &Spanned<String>, want: Fact, why: &Spanned<String>, arch: Option<String>, or: &[_]| {
            let mut others = Vec::new();
            for other in or {
                let other: &Spanned<String> = other;
                match other.get_ref().parse() {
                    Ok(fact) => others.push(fact),
                    Err(message) => faults.wrong(other, message, FACTS),
                }
            }
            if let Fact::Config(option, _) = &want
                && !option.starts_with("CONFIG_")
            {
                let message = format!("`{option}` is not an option of the kernel");
                faults.wrong(place, message, "options begin with CONFIG_");
            }
            if why.get_ref().trim().is_empty() {
                faults.wrong(why, "it is not said why", "write a sentence");
            }
            if rules
                .iter()
                .any(|rule| rule.want.subject() == want.subject() && rule.arch == arch)
            {
                let message = format!("`{}` is asked for twice", want.subject());
                faults.wrong(place, message, "take one of them out");
            }
            rules.push(Rule {
                want,
                or: others,
                why: why.get_ref().clone(),
                arch,
            });
        };
        for rule in raw.config {
            let want = Fact::Config(rule.option.get_ref().clone(), rule.want);
            add(&rule.option, want, &rule.why, rule.arch, &rule.or);
        }
        for rule in raw.argument {
            let want = Fact::Argument(rule.argument.get_ref().clone());
            add(&rule.argument, want, &rule.why, rule.arch, &rule.or);
        }
        for rule in raw.sysctl {
            let want = Fact::Sysctl(rule.key.get_ref().clone(), rule.want);
            add(&rule.key, want, &rule.why, None, &rule.or);
        }
        faults.or(Self { rules })
    }
}

const FACTS: &str = "write `CONFIG_X=y`, `sysctl:key=value` or `argument:name=value`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_wrong_is_said_at_its_place() {
        let text = "[[config]]\noption = \"BUG\"\nwant = \"y\"\nwhy = \"\"\nor = [\"what?\"]\n\n\
                    [[sysctl]]\nkey = \"a.b\"\nwant = \"1\"\nwhy = \"x\"\n\n[[sysctl]]\nkey = \"a.b\"\nwant = \"2\"\nwhy = \"x\"\n";
        let problems = Rules::parse("kspp.toml", text).expect_err("wrong");
        insta::assert_snapshot!(problems.brief());
        let problems = Rules::parse("kspp.toml", "[[config]]\noption = 1\n").expect_err("wrong");
        assert!(
            problems.brief().starts_with("kspp.toml:2:10: error:"),
            "{}",
            problems.brief()
        );
    }
}
