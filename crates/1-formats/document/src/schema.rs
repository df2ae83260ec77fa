//! Validation of documents against the JSON schema of their type, and decoding.
//!
//! `schemars` generates the schema from the raw type. The same schema is published for editors, so that editors and
//! this module report the same problems. Unlike `serde`, validation does not stop at the first one.

use schemars::{JsonSchema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::document::{Document, DocumentNode, Finding, Kind, Path};
use crate::problem::{Problem, Problems};
use crate::secret::is_name;
use crate::spelling::{closest, did_you_mean, suggestion};

/// Returns the JSON schema of a type as published: pretty-printed, ending in a newline.
pub fn published<T: JsonSchema>() -> String {
    let schema = SchemaGenerator::default().into_root_schema_for::<T>();
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

/// Decodes a document.
///
/// # Errors
/// Everything in the document that its type does not allow.
pub fn decode<T: DeserializeOwned + JsonSchema>(document: &Document) -> Result<T, Problems> {
    match decode_what_fits(document) {
        (Some(decoded), found) if found.is_empty() => Ok(decoded),
        (_, found) => Err(document.problems(found)),
    }
}

/// Help on a key that the object at a path does not have, if there is better than a key with a similar name: the same
/// setting under the name that another program gives it.
pub type KeyAdvice = dyn Fn(&Path, &str) -> Option<String>;

/// Decodes those parts of a document that its type allows, and returns problems for all others.
///
/// Callers continue with checks of their own in spite of problems, so that the findings of both are reported together.
pub fn decode_what_fits<T: DeserializeOwned + JsonSchema>(document: &Document) -> (Option<T>, Vec<Problem>) {
    let Decoded { value, found, .. } = decode_with_advice(document, &|_, _| None);
    (value, found)
}

/// Value of the parts of a document that its type allows, and what is known of the others.
#[derive(Debug)]
pub struct Decoded<T> {
    /// Value of the type; `None` if a part is missing that it has to have.
    pub value: Option<T>,
    /// Problems of the other parts.
    pub found: Vec<Problem>,
    /// Keys that were left out.
    pub unfit: UnfitPaths,
}

/// Paths of keys whose values a type does not allow: to a decoded value, they are missing, and to a person they are not.
#[derive(Debug, Default)]
pub struct UnfitPaths(Vec<Path>);

impl UnfitPaths {
    /// Returns `true` if the value at a path was left out, alone or with what it is in: nobody knows what was meant.
    pub fn has(&self, path: &Path) -> bool {
        self.0.iter().any(|unfit| path.starts_with(unfit))
    }

    /// Returns `true` if the value at a path was left out, or one in it.
    pub fn has_part_of(&self, path: &Path) -> bool {
        self.has(path) || self.0.iter().any(|unfit| unfit.starts_with(path))
    }
}

/// Decodes as [`decode_what_fits`] does, with help on keys that are unknown.
pub fn decode_with_advice<T: DeserializeOwned + JsonSchema>(document: &Document, advice: &KeyAdvice) -> Decoded<T> {
    let schema = SchemaGenerator::default().into_root_schema_for::<T>().to_value();
    let mut walk = Walk {
        document,
        advice,
        root: &schema,
        found: Vec::new(),
        unfit: Vec::new(),
    };
    walk.value(&schema, document.root(), &Path::root());
    let Walk { mut found, unfit, .. } = walk;
    let value = match serde_json::from_value(document.json_without(&unfit)) {
        Ok(value) => Some(value),
        Err(error) => {
            if found.is_empty() {
                // Only reached by a type that its schema does not describe fully.
                found.push(document.at(&Path::root(), Finding::error(error.to_string(), "in this document")));
            }
            None
        }
    };
    let unfit = UnfitPaths(unfit);
    Decoded { value, found, unfit }
}

struct Walk<'a> {
    document: &'a Document,
    advice: &'a KeyAdvice,
    root: &'a Value,
    found: Vec<Problem>,
    /// Paths of the keys whose values the type does not allow.
    unfit: Vec<Path>,
}

impl<'a> Walk<'a> {
    fn value(&mut self, schema: &'a Value, node: &DocumentNode, path: &Path) {
        let schema = resolve(self.root, schema);
        if let Some(choices) = schema
            .get("anyOf")
            .or_else(|| schema.get("oneOf"))
            .and_then(Value::as_array)
        {
            return self.choice(choices, node, path);
        }
        if !self.type_fits(schema, node, path) {
            return;
        }
        match &node.kind {
            Kind::Object(_) => self.object(schema, node, path),
            Kind::List(items) => {
                if let Some(inner) = schema.get("items") {
                    for (index, item) in items.iter().enumerate() {
                        self.value(inner, item, &path.index(index));
                    }
                }
            }
            Kind::Text(text) => self.word(schema, text, path),
            Kind::Number(number, _) => self.range(schema, number.as_f64().unwrap_or(f64::NAN), path),
            Kind::Null | Kind::Bool(_) => {}
        }
    }

    /// Checks a value against several schemas: against the only one that is not `null`, or until one accepts the value.
    fn choice(&mut self, choices: &'a [Value], node: &DocumentNode, path: &Path) {
        let is_null = |schema: &&Value| schema.get("type").and_then(Value::as_str) == Some("null");
        if node.kind == Kind::Null && choices.iter().any(|schema| is_null(&schema)) {
            return;
        }
        let real: Vec<_> = choices.iter().filter(|schema| !is_null(schema)).collect();
        if let [only] = real[..] {
            return self.value(only, node, path);
        }
        for schema in &real {
            let mut attempt = Walk {
                document: self.document,
                advice: self.advice,
                root: self.root,
                found: Vec::new(),
                unfit: Vec::new(),
            };
            attempt.value(schema, node, path);
            if attempt.found.is_empty() {
                return;
            }
        }
        let words: Vec<_> = real.iter().flat_map(|schema| words_of(schema)).collect();
        let (message, help) = match (&node.kind, words.is_empty()) {
            (Kind::Text(text), false) => (format!("`{text}` is not one of the words for {}", named(path)), {
                let guess = closest(text, words.iter().copied());
                guess.map_or_else(
                    || format!("write one of {}", listed(&words)),
                    |word| format!("write `{word}`"),
                )
            }),
            (kind, _) => {
                let expected: Vec<_> = real.iter().map(|schema| expected(schema)).collect();
                (
                    format!("{} cannot be {}", named(path), kind.describe()),
                    format!("write {}", expected.join(" or ")),
                )
            }
        };
        self.say(path, Finding::error(message, "not this").with_help(help));
    }

    fn type_fits(&mut self, schema: &Value, node: &DocumentNode, path: &Path) -> bool {
        let allowed: Vec<&str> = match schema.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => return true,
        };
        let fits = allowed.iter().any(|allowed| match (*allowed, &node.kind) {
            ("integer", Kind::Number(number, _)) => number.is_i64() || number.is_u64(),
            (allowed, kind) => allowed == json_type(kind),
        });
        if fits {
            return true;
        }
        let expected = expected(schema);
        let (message, help) = match &node.kind {
            Kind::Null => (format!("{} has no value", named(path)), format!("write {expected}")),
            Kind::Number(_, text) if allowed.contains(&"string") => (
                format!("{} must be {expected}, not a number", named(path)),
                format!("put it in quotes: \"{text}\""),
            ),
            Kind::Bool(value) if allowed.contains(&"string") => (
                format!("{} must be {expected}, not `{value}` as a truth value", named(path)),
                format!("put it in quotes: \"{value}\""),
            ),
            Kind::Text(text)
                if allowed.contains(&"boolean") && matches!(text.as_str(), "yes" | "no" | "on" | "off") =>
            {
                let value = matches!(text.as_str(), "yes" | "on");
                (
                    format!("{} must be {expected}, not text", named(path)),
                    format!("write `{value}` without quotes"),
                )
            }
            kind => (
                format!("{} must be {expected}, not {}", named(path), kind.describe()),
                match kind {
                    Kind::Object(_) if allowed.contains(&"string") => format!(
                        "write {expected} here; of several lines, it begins with `|` after the key, and each line has the same \
                         indentation"
                    ),
                    _ => format!("write {expected} here"),
                },
            ),
        };
        self.say(
            path,
            Finding::error(message, format!("this is {}", node.kind.describe())).with_help(help),
        );
        false
    }

    fn object(&mut self, schema: &'a Value, node: &DocumentNode, path: &Path) {
        let Kind::Object(entries) = &node.kind else { return };
        let properties = schema.get("properties").and_then(Value::as_object);
        let other = schema.get("additionalProperties");
        for entry in entries.iter() {
            match (properties.and_then(|properties| properties.get(&entry.key)), other) {
                (Some(schema), _) => self.value(schema, &entry.value, &path.key(&entry.key)),
                (None, Some(Value::Bool(false))) => {
                    let known: Vec<_> = properties
                        .iter()
                        .flat_map(|map| map.keys())
                        .map(String::as_str)
                        .collect();
                    let message = if self.document.has_secrets() && !is_name(entry, &known) {
                        format!("unknown key in {}", named(path))
                    } else {
                        format!("unknown key `{}` in {}", entry.key, named(path))
                    };
                    let list = || format!("the keys here are {}", listed(&known));
                    let advice = (self.advice)(path, &entry.key);
                    let help = advice.unwrap_or_else(|| suggestion(&entry.key, known.iter().copied(), list));
                    let finding = Finding::error(message, "unknown").with_help(help);
                    self.found.push(self.document.at_span(entry.key_span.clone(), finding));
                    self.unfit.push(path.key(&entry.key));
                }
                (None, Some(schema @ Value::Object(_))) => self.value(schema, &entry.value, &path.key(&entry.key)),
                (None, _) => {}
            }
        }
        for required in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
            let Some(key) = required.as_str().filter(|key| node.get(key).is_none()) else {
                continue;
            };
            let help = match properties.and_then(|properties| properties.get(key)) {
                Some(property) => {
                    let property = resolve(self.root, property);
                    let what = property
                        .get("description")
                        .and_then(Value::as_str)
                        .and_then(|text| text.lines().next());
                    match only_word(property) {
                        Some(word) => format!("add `{key}: {word}`"),
                        None => format!(
                            "add `{key}:` with {}{}",
                            expected(property),
                            what.map(|w| format!(": {w}")).unwrap_or_default()
                        ),
                    }
                }
                None => format!("add `{key}:`"),
            };
            let finding = Finding::error(format!("`{key}` is missing in {}", named(path)), "in here").with_help(help);
            self.found.push(self.document.at(path, finding));
        }
    }

    fn word(&mut self, schema: &Value, text: &str, path: &Path) {
        let words = words_of(schema);
        if words.is_empty() || words.contains(&text) {
            return;
        }
        let message = format!("`{text}` is not a word for {}", named(path));
        let help = match (closest(text, words.iter().copied()), &words[..]) {
            (_, [only]) => format!("write `{only}`"),
            (Some(guess), _) => format!("{} The words are {}", did_you_mean(guess), listed(&words)),
            (None, _) => format!("write one of {}", listed(&words)),
        };
        self.say(path, Finding::error(message, "not this").with_help(help));
    }

    fn range(&mut self, schema: &Value, number: f64, path: &Path) {
        let bound = |key| schema.get(key).and_then(Value::as_f64);
        let (minimum, maximum) = (bound("minimum"), bound("maximum"));
        if minimum.is_some_and(|minimum| number < minimum) || maximum.is_some_and(|maximum| number > maximum) {
            let help = match (minimum, maximum) {
                (Some(minimum), Some(maximum)) => format!("write a number from {minimum} to {maximum}"),
                (Some(minimum), None) => format!("write a number from {minimum} on"),
                (None, Some(maximum)) => format!("write a number up to {maximum}"),
                (None, None) => String::new(),
            };
            let message = format!("{number} is out of range for {}", named(path));
            self.say(path, Finding::error(message, "out of range").with_help(help));
        }
    }

    fn say(&mut self, path: &Path, finding: Finding) {
        self.found.push(self.document.at(path, finding));
        self.unfit.push(path.nearest_key());
    }
}

/// Returns the schema that a reference names in its root; any other as it is.
pub(crate) fn resolve<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let target = schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|target| target.strip_prefix('#'));
    target.and_then(|pointer| root.pointer(pointer)).unwrap_or(schema)
}

/// Returns the name of a value's type in JSON Schema.
fn json_type(kind: &Kind) -> &'static str {
    match kind {
        Kind::Null => "null",
        Kind::Bool(_) => "boolean",
        Kind::Number(..) => "number",
        Kind::Text(_) => "string",
        Kind::List(_) => "array",
        Kind::Object(_) => "object",
    }
}

/// Returns a description of the values that a schema accepts, with an article: `a list`.
fn expected(schema: &Value) -> String {
    let words = words_of(schema);
    if !words.is_empty() {
        return if words.len() == 1 {
            listed(&words)
        } else {
            format!("one of {}", listed(&words))
        };
    }
    let one = match schema.get("type") {
        Some(Value::String(one)) => one.as_str(),
        Some(Value::Array(several)) => several
            .iter()
            .filter_map(Value::as_str)
            .find(|one| *one != "null")
            .unwrap_or(""),
        _ => "",
    };
    match one {
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "text",
        "boolean" => "`true` or `false`",
        "array" => "a list",
        "object" => "keys with values",
        _ => "a value",
    }
    .to_owned()
}

/// Returns the strings that a schema accepts (`const` or `enum`); none if it accepts others as well.
fn words_of(schema: &Value) -> Vec<&str> {
    if let Some(word) = schema.get("const").and_then(Value::as_str) {
        return vec![word];
    }
    schema
        .get("enum")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// Returns the string that a schema accepts, if there is only one.
fn only_word(schema: &Value) -> Option<&str> {
    let choices = schema.get("oneOf").and_then(Value::as_array);
    let words: Vec<&str> = match choices {
        Some(choices) => match choices.as_slice() {
            [only] => words_of(only),
            _ => return None,
        },
        None => words_of(schema),
    };
    match words.as_slice() {
        [only] => Some(*only),
        _ => None,
    }
}

fn named(path: &Path) -> String {
    match path.to_string() {
        name if name.is_empty() => "the file".to_owned(),
        name => format!("`{name}`"),
    }
}

fn listed(words: &[&str]) -> String {
    words
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only their schema and decoding are looked at")]
    struct House {
        version: Version,
        doors: Vec<Door>,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    enum Version {
        /// The first one.
        #[serde(rename = "house/v1")]
        V1,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only their schema and decoding are looked at")]
    struct Door {
        locked: bool,
    }

    fn said(text: &str) -> String {
        let document = Document::parse("house.yaml", text).unwrap_or_else(|problems| panic!("{}", problems.brief()));
        let advice = |path: &Path, key: &str| {
            let of_doors = path.keys().eq(["doors"]) && key == "lock";
            of_doors.then(|| format!("`{key}` is `locked` here"))
        };
        let found = decode_with_advice::<House>(&document, &advice).found;
        document.problems(found).brief()
    }

    #[test]
    fn advice_comes_before_similar_names() {
        let text = "version: house/v1\ndoors: [{ locked: true }, { locked: true, lock: 1, lockd: 1 }]\nlock: 1\n";
        let said = said(text);
        assert_eq!(said.matches("`lock` is `locked` here").count(), 1, "{said}");
        assert_eq!(said.matches("did you mean `locked`?").count(), 1, "{said}");
        assert!(said.contains("the keys here are `doors`, `version`"), "{said}");
    }

    #[test]
    fn a_missing_word_is_named() {
        let said = said("doors: []\n");
        assert!(said.contains("add `version: house/v1`"), "{said}");
    }
}
