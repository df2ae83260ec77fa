//! Places in a text that settings of a NodeConfig come from.
//!
//! A NodeConfig that was made of a join passes the check that every NodeConfig passes. Its findings are about a text that
//! nobody wrote; here they are told at the lines that somebody did.

use std::fmt;
use std::sync::Arc;

use basalt_document::problem::{Problem, Problems};
use basalt_document::{Document, Step};
use miette::NamedSource;

use crate::redaction::{redact, without_secrets};

/// Origins of settings, all in one text.
#[derive(Clone, Default, PartialEq)]
pub struct Origins {
    name: String,
    /// Text without the secrets of tokens.
    text: Arc<str>,
    /// Settings, and the places of what they come from. Their messages, often empty, end those of findings.
    places: Vec<(Vec<Step>, Problem)>,
}

/// Shows no text: it may hold credentials.
impl fmt::Debug for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origins({}, {} settings)", self.name, self.places.len())
    }
}

/// Steps to a setting by its keys.
pub(crate) fn setting(keys: &[&str]) -> Vec<Step> {
    keys.iter().map(|key| Step::Key((*key).to_owned())).collect()
}

impl Origins {
    /// Origins in a text, of which nothing is known yet.
    pub(crate) fn new(name: &str, text: &str) -> Self {
        Self {
            name: name.to_owned(),
            text: redact(text).into(),
            places: Vec::new(),
        }
    }

    /// Adds the place that a setting comes from. Of two, the later one counts.
    pub(crate) fn add(&mut self, setting: Vec<Step>, place: Problem) {
        self.places.push((setting, place));
    }

    /// Settings with their places.
    pub(crate) fn into_places(self) -> impl Iterator<Item = (Vec<Step>, Problem)> {
        self.places.into_iter()
    }

    /// Place of the setting that a path leads to or through.
    fn place(&self, path: &[Step]) -> Option<&Problem> {
        let around = self.places.iter().filter(|(setting, _)| path.starts_with(setting));
        around.max_by_key(|(setting, _)| setting.len()).map(|(_, place)| place)
    }

    /// Tells findings of the check of a NodeConfig at the places that its settings come from. The second part are those
    /// whose settings have no place here; their text is as the check has masked it. Neither shows a token. `made` is the
    /// text of the NodeConfig.
    pub fn tell(&self, made: &str, problems: &Problems) -> (Problems, Problems) {
        let made = Document::parse(problems.name(), made).ok();
        let (mut told, mut rest) = (Vec::new(), Vec::new());
        for problem in problems.iter() {
            let path = made.as_ref().map(|made| made.steps_to(problem));
            match self.place(&path.unwrap_or_default()) {
                Some(place) => told.push(Problem {
                    message: format!("{}{}", problem.message, place.message),
                    span: place.span,
                    line: place.line,
                    column: place.column,
                    ..problem.clone()
                }),
                None => rest.push(Problem {
                    message: redact(&problem.message),
                    ..problem.clone()
                }),
            }
        }
        let source = NamedSource::new(&self.name, self.text.clone()).with_language("yaml");
        let shown: Arc<str> = redact(problems.source().text()).into();
        let rest = Problems::new(NamedSource::new(problems.name(), shown).with_language("yaml"), rest);
        (without_secrets(&Problems::new(source, told)), rest)
    }

    /// Tells the errors of the check of a NodeConfig, which has some, as [`Self::tell`] does.
    #[cfg(test)]
    pub(crate) fn tell_errors(&self, config: &basalt_node_config::raw::NodeConfig) -> (Problems, Problems) {
        let made = serde_json::to_string_pretty(config).expect("JSON");
        let clock = basalt_node_config::Clock::Unsure(std::time::SystemTime::now());
        let problems = basalt_node_config::check("made", &made, clock).expect_err("a wrong NodeConfig");
        self.tell(&made, &problems)
    }
}

#[cfg(test)]
mod tests {
    use basalt_document::{Finding, Path};

    use super::*;

    const MADE: &str = "cluster:\n  bootstrapToken: abcdef.0123456789abcdef\nregistries:\n- host: a\n  mirrors:\n  - url: b\n- host: c\n";

    #[test]
    fn findings_are_told_where_their_settings_come_from() {
        let text = "x abcdef.0123456789abcdef\nhosts.toml\nmirror\n";
        let mut origins = Origins::new("user-data", text);
        let place = |part: &str| {
            let start = text.find(part).unwrap();
            Problem::at(text, start..start + part.len(), Finding::error("", ""))
        };
        let mut first = setting(&["registries"]);
        first.push(Step::Index(0));
        origins.add(first.clone(), place("hosts.toml"));
        first.extend(setting(&["mirrors"]));
        origins.add(first, place("mirror"));
        let made = Document::parse("made", MADE).unwrap();
        let of = |path: Path, message: &str| made.at(&path, Finding::error(message, "here"));
        let registries = Path::root().key("registries");
        let problems = made.problems(vec![
            of(Path::from("cluster.bootstrapToken"), "token"),
            of(registries.index(0).key("host"), "host"),
            of(registries.index(0).key("mirrors").index(0).key("url"), "url"),
            of(registries.index(1).key("host"), "other"),
        ]);
        let (told, rest) = origins.tell(MADE, &problems);
        assert_eq!(told.brief(), "user-data:2:1: error: host\nuser-data:3:1: error: url\n");
        assert_eq!(rest.brief(), "made:2:19: error: token\nmade:7:9: error: other\n");
        let shown = format!("{told:?}{rest:?}{origins:?}");
        assert!(!shown.contains("0123456789abcdef"), "{shown}");
        // What is not secret is there to be read.
        assert!(rest.source().text().contains("\n- host: c\n"), "{rest:?}");
        // Without any origin, all of it is of the NodeConfig.
        assert_eq!(Origins::default().tell(MADE, &problems).1.iter().count(), 4);
    }

    #[test]
    fn the_later_of_two_places_counts() {
        let text = "a\nb\n";
        let mut origins = Origins::new("x", text);
        for at in [0, 2] {
            origins.add(
                setting(&["registries"]),
                Problem::at(text, at..at + 1, Finding::error("", "")),
            );
        }
        let made = Document::parse("made", MADE).unwrap();
        let problems = made.problems(vec![made.at(&Path::from("registries"), Finding::error("all", "here"))]);
        assert_eq!(origins.tell(MADE, &problems).0.brief(), "x:2:1: error: all\n");
    }
}
