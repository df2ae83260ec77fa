//! Variables of cloud-init's instance data in bootstrap data: `{{ ds.meta_data.local_hostname }}`.
//!
//! Nothing else of Jinja is known but the part of a value that `.split(".")[0]` takes, which templates of Cluster API for GCE
//! have: no filters, no statements. Values take the place of variables; the lines of a text stay what they are.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use basalt_document::Finding;

/// First line of a template.
pub(super) const HEADER: &str = "## template: jinja";

/// Variables that cloud-init gives a name of their own besides that of the metadata.
const STANDARD: [&str; 6] = [
    "availability_zone",
    "cloud_name",
    "instance_id",
    "local_hostname",
    "platform",
    "region",
];

/// Names of the variables that the name of a machine gives.
const OF_HOSTNAME: [&str; 5] = [
    "ds.meta_data.hostname",
    "ds.meta_data.local_hostname",
    "ds.meta_data.local-hostname",
    "local_hostname",
    "v1.local_hostname",
];

/// Instance data of a machine: values by their dotted names, such as `ds.meta_data.local_hostname`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstanceData(BTreeMap<String, String>);

impl InstanceData {
    /// Instance data of these values.
    pub fn new(values: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(values.into_iter().collect())
    }

    /// Instance data of a machine of which the name alone is known, under the names that providers use.
    pub fn of_hostname(name: &str) -> Self {
        Self::new(OF_HOSTNAME.map(|key| (key.to_owned(), name.to_owned())))
    }

    /// The same, with another value.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }

    /// The same, with a value that a user gives: a standard variable in one spelling gives it in all of them, and a key of
    /// metadata with both signs, as on a machine.
    #[must_use]
    pub fn with_given(mut self, name: &str, value: &str) -> Self {
        let of_metadata = name.strip_prefix("ds.meta_data.");
        let key = of_metadata
            .or_else(|| name.strip_prefix("v1."))
            .unwrap_or(name)
            .replace('-', "_");
        if STANDARD.contains(&key.as_str()) {
            self = self.with(key.as_str(), value).with(format!("v1.{key}"), value);
        }
        if of_metadata.is_some() || STANDARD.contains(&key.as_str()) {
            self = self
                .with(format!("ds.meta_data.{key}"), value)
                .with(format!("ds.meta_data.{}", key.replace('_', "-")), value);
        }
        self.with(name, value)
    }

    /// Names of the machine among the values.
    pub(super) fn hostnames(&self) -> impl Iterator<Item = &str> {
        let named = self.0.iter().filter(|(key, _)| key.ends_with("hostname"));
        named.map(|(_, value)| value.as_str())
    }
}

/// Finding about the line that would make a text a template if it were the first one, where the text has something for a template
/// to replace; with its place.
pub(super) fn misplaced_header(text: &str) -> Option<(Range<usize>, Finding)> {
    let mut start = 0;
    let mut comments = text.split_inclusive('\n').map_while(|line| {
        let place = start..start + line.trim_end().len();
        start += line.len();
        let is_before = line.starts_with('#') || line.trim().is_empty();
        is_before.then_some((place, line.trim_end()))
    });
    let (place, _) = comments.find(|(place, line)| place.start > 0 && *line == HEADER)?;
    is_left(text).then(|| {
        // Reports mask comments, and words of them.
        let message = "`template: jinja` is a comment here: cloud-init, too, takes a text for a template by its first line \
                       alone, and replaces no variable of this one";
        let finding = Finding::error(message, "not the first line");
        (place, finding.with_help("put it before `#cloud-config`"))
    })
}

/// Expression that stays in the text.
struct Unreplaced {
    finding: Finding,
    /// Name of a variable that has no value.
    missing: Option<String>,
}

impl From<Finding> for Unreplaced {
    fn from(finding: Finding) -> Self {
        Self { finding, missing: None }
    }
}

/// Text with values in place of variables, and what could not be replaced, with its place in the result. A variable without a value
/// is told once.
pub(super) fn render(text: &str, instance: &InstanceData) -> (String, Vec<(Range<usize>, Finding)>) {
    let (mut rendered, mut found) = (String::with_capacity(text.len()), Vec::new());
    let mut missing = HashSet::new();
    let mut rest = text;
    while let Some(start) = rest
        .find("{{")
        .into_iter()
        .chain(rest.find("{%"))
        .chain(rest.find("{#"))
        .min()
    {
        let (before, marked) = rest.split_at(start);
        rendered.push_str(before);
        let (expression, after) = marked.split_at(length(marked));
        let place = rendered.len()..rendered.len() + expression.len();
        match value(expression, instance) {
            Ok(value) => rendered.push_str(value),
            Err(unreplaced) => {
                if unreplaced.missing.is_none_or(|name| missing.insert(name)) {
                    found.push((place, unreplaced.finding));
                }
                rendered.push_str(expression);
            }
        }
        rest = after;
    }
    rendered.push_str(rest);
    (rendered, found)
}

/// Returns `true` for a line in which something is left of a template.
pub(super) fn is_left(line: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|sign| line.contains(sign))
}

/// Length of the expression that a text begins with: to its end, or to that of its line.
fn length(text: &str) -> usize {
    let line = text.find('\n').unwrap_or(text.len());
    let end = ["}}", "%}", "#}"].into_iter().filter_map(|end| text.find(end)).min();
    end.map(|end| end + 2).filter(|end| *end <= line).unwrap_or(line)
}

fn value<'i>(expression: &str, instance: &'i InstanceData) -> Result<&'i str, Unreplaced> {
    let inner = expression.strip_prefix("{{").and_then(|inner| inner.strip_suffix("}}"));
    let Some(name) = inner.map(|inner| inner.trim_matches(['-', ' ', '\t'])) else {
        let message = "of Jinja, variables are known, and no statements, comments or expressions over several lines";
        return Err(Finding::error(message, "not a variable")
            .with_help("write the text itself")
            .into());
    };
    let (name, part) = match split_call(name) {
        Some((name, separator, index)) => (name, Some((separator, index))),
        None => (name, None),
    };
    let name = name.strip_prefix("ds.meta_data[").map_or_else(
        || name.to_owned(),
        |key| format!("ds.meta_data.{}", key.trim_end_matches(']').trim_matches(['"', '\''])),
    );
    let is_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || !name.chars().all(is_name) {
        let message = format!("`{name}` is no variable: filters and expressions of Jinja are not evaluated");
        return Err(Finding::error(message, "not a variable")
            .with_help("write the text itself")
            .into());
    }
    match instance.0.get(&name) {
        Some(value) if value.contains(char::is_control) => {
            let message = format!("the value of `{name}` has several lines");
            Err(Finding::error(message, "not one line").into())
        }
        Some(value) => match part {
            None => Ok(value),
            Some((separator, index)) => value.split(separator).nth(index).ok_or_else(|| {
                let message = format!("the value of `{name}` has no part {index} between `{separator}`");
                Finding::error(message, "no such part")
                    .with_help("count parts from 0")
                    .into()
            }),
        },
        None => {
            let known: Vec<_> = instance.0.keys().map(String::as_str).collect();
            let message = format!("the instance data has no `{name}`");
            let known = match known.is_empty() {
                true => "there is no instance data at all".to_owned(),
                false => format!("it has {}", known.join(", ")),
            };
            let option = match OF_HOSTNAME.contains(&name.as_str()) {
                true => "--hostname NAME".to_owned(),
                false => format!("--instance-data {name}=VALUE"),
            };
            let help = format!("{known}; `basalt config from-join` is given it by `{option}`");
            Err(Unreplaced {
                finding: Finding::error(message, "no value").with_help(help),
                missing: Some(name),
            })
        }
    }
}

/// Variable, separator and index of `NAME.split("SEPARATOR")[INDEX]`.
fn split_call(expression: &str) -> Option<(&str, &str, usize)> {
    let (call, index) = expression.strip_suffix(']')?.rsplit_once(")[")?;
    let (name, separator) = call.rsplit_once(".split(")?;
    let quoted = |quote: char| separator.strip_prefix(quote)?.strip_suffix(quote);
    let separator = quoted('"')
        .or_else(|| quoted('\''))
        .filter(|separator| !separator.is_empty())?;
    Some((name, separator, index.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_value_that_a_user_gives_has_all_spellings_of_a_standard_variable() {
        let spellings = [
            "instance_id",
            "v1.instance_id",
            "ds.meta_data.instance_id",
            "ds.meta_data.instance-id",
        ];
        for given in spellings {
            let instance = InstanceData::default().with_given(given, "i-1");
            for name in spellings {
                let (text, found) = render(&format!("{{{{ {name} }}}}"), &instance);
                assert_eq!((text.as_str(), found.len()), ("i-1", 0), "{given} {name}");
            }
        }
        let own = InstanceData::default().with_given("ds.meta_data.my-key", "a");
        assert_eq!(render("{{ ds.meta_data.my_key }}", &own).0, "a");
        assert!(!render("{{ my_key }}", &own).1.is_empty());
        let (_, found) = render("{{ instance_id }}", &own);
        let help = found.first().and_then(|(_, finding)| finding.help.clone()).unwrap();
        assert!(help.contains("`--instance-data instance_id=VALUE`"), "{help}");
        let (_, found) = render("{{ local_hostname }}{{ local_hostname }}", &own);
        assert_eq!(found.len(), 1, "{found:?}");
        let help = found[0].1.help.as_deref().unwrap_or_default();
        assert!(help.ends_with("by `--hostname NAME`"), "{help}");
    }

    #[test]
    fn a_template_has_its_line_first() {
        let told = |text: &str| misplaced_header(text).map(|(place, _)| text.get(place).unwrap().to_owned());
        let header = Some(HEADER.to_owned());
        assert_eq!(told("#cloud-config\n## template: jinja\na: {{ b }}\n"), header);
        assert_eq!(
            told("#cloud-config\r\n\r\n# é\r\n## template: jinja \r\na: {{ b }}\r\n"),
            header
        );
        for text in [
            "## template: jinja\n#cloud-config\na: {{ b }}\n",
            // Nothing is to be replaced.
            "#cloud-config\n## template: jinja\na: b\n",
            // Below the head, it may be a part of anything.
            "#cloud-config\na: {{ b }}\n## template: jinja\n",
            "#cloud-config\n",
            "",
        ] {
            assert_eq!(told(text), None, "{text}");
        }
    }

    #[test]
    fn variables_are_replaced() {
        let instance = InstanceData::of_hostname("worker-1").with("ds.meta_data.instance_id", "i-1");
        let text = "name: '{{ ds.meta_data.local_hostname }}'\nid: {{ds.meta_data.instance_id}}\nx: {{- local_hostname -}}\ny: {{ ds.meta_data[\"local-hostname\"] }}\n";
        let (rendered, found) = render(text, &instance);
        assert!(found.is_empty(), "{found:?}");
        assert_eq!(rendered, "name: 'worker-1'\nid: i-1\nx: worker-1\ny: worker-1\n");
    }

    #[test]
    fn a_part_of_a_value() {
        let instance = InstanceData::of_hostname("pool-a.c.project.internal");
        for (text, expected) in [
            ("{{ ds.meta_data.local_hostname.split(\".\")[0] }}", "pool-a"),
            ("{{ds.meta_data['local-hostname'].split('.')[2]}}", "project"),
            ("{{ local_hostname.split('-')[0] }}", "pool"),
        ] {
            let (rendered, found) = render(text, &instance);
            assert!(found.is_empty(), "{found:?}");
            assert_eq!(rendered, expected, "{text}");
        }
        for (text, expected) in [
            ("{{ local_hostname.split('.')[4] }}", "has no part 4"),
            ("{{ local_hostname.split('')[0] }}", "no variable"),
            ("{{ local_hostname.split('.')[-1] }}", "no variable"),
            ("{{ local_hostname.split('.').upper()[0] }}", "no variable"),
        ] {
            let (_, found) = render(text, &instance);
            assert!(found[0].1.message.contains(expected), "{text}: {found:?}");
        }
    }

    #[test]
    fn everything_else_is_refused_at_its_place() {
        let instance = InstanceData::of_hostname("worker-1");
        for (text, expected) in [
            ("a {{ ds.meta_data.unknown }}", "ds.meta_data.unknown"),
            ("a {% if x %}", "no statements"),
            ("a {# x #}", "no statements"),
            ("a {{ local_hostname | upper }}", "local_hostname | upper"),
            ("a {{ local_hostname\n}}", "several lines"),
            ("a {{", "several lines"),
            ("a {{}}", "no variable"),
        ] {
            let (_, found) = render(text, &instance);
            assert!(found[0].1.message.contains(expected), "{text}: {found:?}");
            assert_eq!(found[0].0.start, 2, "{text}");
        }
        let lines = InstanceData::default().with("a", "b\nruncmd: [reboot]");
        assert_eq!(render("{{ a }}", &lines).1.len(), 1);
    }

    proptest! {
        #[test]
        fn lines_stay(text in "[a-z{}%# \n]{0,40}") {
            let (rendered, found) = render(&text, &InstanceData::of_hostname("a"));
            prop_assert_eq!(rendered.lines().count(), text.lines().count());
            for (place, _) in found {
                prop_assert!(rendered.get(place).is_some());
            }
        }

        #[test]
        fn nothing_panics(text in any::<String>()) {
            let _ = render(&text, &InstanceData::default());
            let _ = render(&format!("{{{{{text}}}}}{{%é"), &InstanceData::default());
        }
    }
}
