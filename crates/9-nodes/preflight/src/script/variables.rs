//! Variables of a container and of its scripts, with the values that they may have: those of the container's environment, of
//! assignments, and those that a loop runs through.

use std::collections::BTreeMap;

use crate::place::Placed;

use super::{BEFORE_PROGRAMS, is_assignment};

/// Longest text that takes the place of a variable, in bytes: a value made of itself would grow without end.
const LONGEST: usize = 4096;
/// Most bytes that a text grows by when its variables are replaced.
const MOST_GROWTH: usize = 1 << 20;
/// Most values of one variable that are followed.
const MOST_VALUES: usize = 1000;
/// Words of a shell before assignments.
const BEFORE_ASSIGNMENTS: [&str; 5] = ["declare", "export", "local", "readonly", "typeset"];

/// Variables with their values.
#[derive(Debug, Default)]
pub(crate) struct Variables<'o> {
    /// Those of the shell or the container around.
    outer: Option<&'o Variables<'o>>,
    values: BTreeMap<String, Vec<String>>,
}

/// Part of a word of a shell.
#[derive(Debug, Clone, Copy)]
enum Part<'t> {
    Text(&'t str),
    Variable { name: &'t str, written: &'t str },
}

impl<'o> Variables<'o> {
    /// Variables of a container that have a value in its manifest. The kubelet replaces `$(NAME)` in a value by what stands
    /// above it.
    pub(crate) fn of_environment(environment: &[(String, Placed<String>)]) -> Self {
        let mut variables = Self::default();
        for (name, value) in environment {
            let value = variables.by_kubelet(&value.value);
            variables.put(name, vec![value]);
        }
        variables
    }

    /// Variables of a script that is run where others are set.
    pub(super) fn within(outer: &'o Variables<'o>) -> Self {
        Self {
            outer: Some(outer),
            values: BTreeMap::new(),
        }
    }

    fn get(&self, name: &str) -> Option<&Vec<String>> {
        self.values.get(name).or_else(|| self.outer?.get(name))
    }

    /// Sets a variable. Values that are too long are not followed.
    fn put(&mut self, name: &str, values: Vec<String>) {
        let is_known = !values.is_empty()
            && values
                .iter()
                .all(|value| value.len() <= LONGEST && !value.ends_with('$'));
        let values = match is_known {
            true => values,
            // As it is written, so that it is no variable of the same name around.
            false => vec![format!("${{{name}}}")],
        };
        self.values.insert(name.to_owned(), values);
    }

    /// Word of a command as the kubelet hands it over: `$(NAME)` is replaced, and `$$` is a dollar sign.
    pub(super) fn by_kubelet(&self, text: &str) -> String {
        let mut result = String::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('$') {
            result.push_str(before);
            let reference = behind.strip_prefix('(').and_then(|inner| inner.split_once(')'));
            let known = reference.and_then(|(name, rest)| Some((self.get(name)?.first()?, rest)));
            rest = match known {
                Some((value, rest)) => {
                    result.push_str(value);
                    rest
                }
                None => {
                    result.push('$');
                    behind.strip_prefix('$').unwrap_or(behind)
                }
            };
            if result.len() > text.len() + MOST_GROWTH {
                return text.to_owned();
            }
        }
        result + rest
    }

    /// Takes the values of assignments or of the head of a loop. Returns `false` for any other command.
    pub(super) fn set(&mut self, command: &[String]) -> bool {
        if let [first, name, second, values @ ..] = command
            && first == "for"
            && second == "in"
        {
            let known = &*self;
            let values = values.iter().flat_map(|value| {
                let choices = known.choices(value).unwrap_or(1);
                (0..choices).flat_map(move |choice| known.words(value, choice))
            });
            let values: Vec<String> = values.take(MOST_VALUES).collect();
            self.put(name, values);
            return true;
        }
        let is_before =
            |word: &&String| BEFORE_PROGRAMS.contains(&word.as_str()) || BEFORE_ASSIGNMENTS.contains(&word.as_str());
        let skipped = command.iter().take_while(is_before).count();
        let assignments = command.get(skipped..).unwrap_or_default();
        if assignments.is_empty() || !assignments.iter().all(|word| is_assignment(word)) {
            return false;
        }
        for (name, value) in assignments.iter().filter_map(|word| word.split_once('=')) {
            let choices = self.choices(value).unwrap_or(1).min(MOST_VALUES);
            let parts = parts(value);
            let values = (0..choices).map(|choice| self.replace(&parts, choice)).collect();
            self.put(name, values);
        }
        true
    }

    /// Replaces variables of known values: one command for each value of the variable that has the most. A word that is
    /// nothing but a variable becomes the words of its value. Words of several words are scripts, and stay as they are:
    /// variables in them are replaced when they are read.
    pub(super) fn expand(&self, command: &[String]) -> impl Iterator<Item = Vec<String>> {
        let choices = command.iter().filter_map(|word| self.choices(word)).max().unwrap_or(1);
        (0..choices).map(move |choice| {
            let words = command.iter().flat_map(|word| self.words(word, choice));
            words.collect::<Vec<_>>()
        })
    }

    /// Number of values of the variables of a word, the most; `None` if none is known.
    fn choices(&self, word: &str) -> Option<usize> {
        let values = parts(word).into_iter().filter_map(|part| match part {
            Part::Variable { name, .. } => self.get(name),
            Part::Text(_) => None,
        });
        values.map(Vec::len).max()
    }

    /// Words that a shell makes of a word.
    fn words(&self, word: &str, choice: usize) -> Vec<String> {
        let parts = parts(word);
        match parts.as_slice() {
            [Part::Variable { .. }] => {
                let value = self.replace(&parts, choice);
                value.split_whitespace().map(str::to_owned).collect()
            }
            _ if word.len() > LONGEST || word.contains(char::is_whitespace) => vec![word.to_owned()],
            _ => {
                let value = self.replace(&parts, choice);
                vec![if value.len() > LONGEST { word.to_owned() } else { value }]
            }
        }
    }

    /// Text of parts with the values of a choice; what has fewer values has its first.
    fn replace(&self, parts: &[Part<'_>], choice: usize) -> String {
        let mut text = String::new();
        for part in parts.iter().copied() {
            let part = match part {
                Part::Text(text) => text,
                Part::Variable { name, written } => {
                    let values = self.get(name);
                    let value = values.and_then(|values| values.get(choice).or_else(|| values.first()));
                    value.map_or(written, String::as_str)
                }
            };
            text.push_str(part);
            // Too long to be followed, whatever comes.
            if text.len() > MOST_GROWTH {
                break;
            }
        }
        text
    }
}

/// Parts of a word: `${NAME}` and `$NAME` are variables, other forms are texts.
fn parts(word: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = word;
    while let Some((before, from)) = rest.find('$').map(|start| rest.split_at(start)) {
        let variable = variable(from);
        let length = variable.map_or(1, |(_, length)| length);
        let (written, behind) = from.split_at(length);
        if !before.is_empty() {
            parts.push(Part::Text(before));
        }
        parts.push(match variable {
            Some((name, _)) => Part::Variable { name, written },
            None => Part::Text(written),
        });
        rest = behind;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    parts
}

/// Name of the variable that a text begins with, and the length of what it is written as.
fn variable(text: &str) -> Option<(&str, usize)> {
    let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let inner = text.strip_prefix('$')?;
    let (name, around) = match inner.strip_prefix('{') {
        Some(inner) => (inner.split_once('}')?.0, 3),
        None => {
            let end = inner.find(|letter: char| !is_of_name(letter)).unwrap_or(inner.len());
            (inner.get(..end)?, 1)
        }
    };
    let is_name = !name.starts_with(|letter: char| letter.is_ascii_digit()) && name.chars().all(is_of_name);
    (is_name && !name.is_empty()).then_some((name, name.len() + around))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::Place;

    fn environment(pairs: &[(&str, &str)]) -> Vec<(String, Placed<String>)> {
        let placed = |value: &str| Placed {
            value: value.to_owned(),
            place: Place::default(),
        };
        let pairs = pairs.iter();
        pairs.map(|(name, value)| ((*name).to_owned(), placed(value))).collect()
    }

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_kubelet_replaces_names_in_parentheses() {
        let variables = Variables::of_environment(&environment(&[("ROOT", "/opt"), ("BIN", "$(ROOT)/cni/bin")]));
        for (text, expected) in [
            ("$(BIN)/x", "/opt/cni/bin/x"),
            ("a$(ROOT)$(ROOT)b", "a/opt/optb"),
            ("$(OTHER)/x", "$(OTHER)/x"),
            ("$$(ROOT)", "$(ROOT)"),
            ("$ROOT $", "$ROOT $"),
        ] {
            assert_eq!(variables.by_kubelet(text), expected);
        }
    }

    #[test]
    fn variables_within_words_are_replaced() {
        let outer = Variables::of_environment(&environment(&[("BIN", "/opt/bin"), ("TOOL", "x -v")]));
        let mut variables = Variables::within(&outer);
        assert!(variables.set(&words("export A=$BIN/a B=${A}b")));
        assert!(variables.set(&words("for c in 1 2")));
        assert!(variables.set(&words("BIN=$")));
        let expand = |text: &str| variables.expand(&words(text)).collect::<Vec<_>>();
        assert_eq!(
            expand("$A/$c $TOOL"),
            [words("/opt/bin/a/1 x -v"), words("/opt/bin/a/2 x -v")]
        );
        // What a command prints is not known, also where the variable had a value before.
        assert_eq!(
            expand("$BIN/x ${OTHER}/y $1 ${A:-b}"),
            [words("${BIN}/x ${OTHER}/y $1 ${A:-b}")]
        );
        assert_eq!(expand("$B"), [words("/opt/bin/ab")]);
    }

    #[test]
    fn values_do_not_grow_without_end() {
        let mut variables = Variables::default();
        variables.set(&words("x=0123456789"));
        variables.set(&words("for y in a b"));
        for _ in 0..60 {
            variables.set(&words("x=$x$x"));
            variables.set(&words("for y in $y $y"));
        }
        assert!(
            variables
                .get("x")
                .is_some_and(|values| values.concat().len() <= LONGEST)
        );
        assert_eq!(variables.get("y").map(Vec::len), Some(MOST_VALUES));
    }
}
