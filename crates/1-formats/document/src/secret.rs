//! Secrets of a document: the values that its type says are secret, and those of which nobody can say that they are not.
//!
//! A type marks a field by `#[schemars(extend("writeOnly" = true))]`, as JSON Schema has it for passwords. That is the one
//! place which decides: reports about a document mask these values, whatever was found, and wherever it was.

use std::collections::HashSet;

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;

use crate::document::{Document, DocumentNode, Entry, Kind, Path, Span};
use crate::problem::Problems;
use crate::schema::resolve;
use crate::spelling::closest;

/// Keyword of JSON Schema that marks a secret.
const KEYWORD: &str = "writeOnly";

/// Parses the text of a document that has secrets, whose type is known: what [`Document::problems`] reports shows none.
///
/// # Errors
/// Those of [`Document::parse`]. They show the structure of the text and the keys that the type has, no value.
pub fn parse<T: JsonSchema>(name: &str, text: &str) -> Result<Document, Problems> {
    let schema = SchemaGenerator::default().into_root_schema_for::<T>().to_value();
    let document = Document::parse(name, text).map_err(|problems| {
        let mut known = HashSet::new();
        keys(&schema, &mut known);
        problems.outlined(|word| known.contains(word))
    })?;
    let mut search = Search {
        root: &schema,
        found: comments(text),
    };
    search.value(&schema, document.root());
    Ok(document.with_secrets(&search.found))
}

/// Returns a document of which reports show the values at public paths, and no others. A path is public if `is_public` says
/// so of it or of one above it.
pub fn with_public(document: Document, is_public: impl Fn(&Path) -> bool) -> Document {
    fn visit(node: &DocumentNode, path: &Path, is_public: &dyn Fn(&Path) -> bool, found: &mut Vec<Span>) {
        if is_public(path) {
            return;
        }
        match &node.kind {
            Kind::Object(entries) => {
                for entry in entries.iter() {
                    // What has no value may be one: `{ correct horse }`.
                    let is_alone = entry.value.kind == Kind::Null && !is_public(&path.key(&entry.key));
                    found.extend(is_alone.then(|| entry.key_span.clone()));
                    visit(&entry.value, &path.key(&entry.key), is_public, found);
                }
            }
            Kind::List(items) => items
                .iter()
                .enumerate()
                .for_each(|(index, item)| visit(item, &path.index(index), is_public, found)),
            _ => found.push(node.span.clone()),
        }
    }
    let mut found = comments(document.text());
    visit(document.root(), &Path::root(), &is_public, &mut found);
    document.with_secrets(&found)
}

/// Returns `true` if a key that a document may not have is a name, and can be repeated in a message. What has no value may
/// be one, in braces: `auth: { correct horse }`, or `{ password:correct }` without a space.
pub(crate) fn is_name(entry: &Entry, known: &[&str]) -> bool {
    let good = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    let is_word = entry.key.len() <= 63 && entry.key.chars().all(good);
    let guess = closest(&entry.key, known.iter().copied());
    let is_close = guess.is_some_and(|guess| guess.len().abs_diff(entry.key.len()) <= 2);
    is_word && (entry.value.kind != Kind::Null || is_close)
}

/// Collects the keys of all objects in a schema.
fn keys<'s>(schema: &'s Value, found: &mut HashSet<&'s str>) {
    match schema {
        Value::Object(members) => {
            let properties = members.get("properties").and_then(Value::as_object);
            found.extend(properties.into_iter().flatten().map(|(key, _)| key.as_str()));
            members.values().for_each(|member| keys(member, found));
        }
        Value::Array(members) => members.iter().for_each(|member| keys(member, found)),
        _ => {}
    }
}

/// Returns `true` if a schema marks its value as a secret.
fn is_secret(schema: &Value) -> bool {
    schema.get(KEYWORD).and_then(Value::as_bool) == Some(true)
}

/// Ranges of what may be comments, to the ends of their lines: a password that was, or one with a `#` that nobody quoted.
fn comments(text: &str) -> Vec<Span> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let sign = line.find('#');
        found.extend(sign.map(|sign| start + sign + 1..start + line.len()));
        start += line.len();
    }
    found
}

struct Search<'s> {
    root: &'s Value,
    found: Vec<Span>,
}

impl<'s> Search<'s> {
    fn value(&mut self, schema: &'s Value, node: &DocumentNode) {
        if is_secret(schema) {
            return self.found.push(node.span.clone());
        }
        let schema = resolve(self.root, schema);
        let choices = schema.get("anyOf").or_else(|| schema.get("oneOf"));
        if let Some(choices) = choices.and_then(Value::as_array) {
            return choices.iter().for_each(|choice| self.choice(choice, node));
        }
        // A text where keys with secrets belong may be one of them, and so may be what stands below a text.
        if has_parts(schema).is_some_and(|parts| parts != is_collection(&node.kind)) && node.kind != Kind::Null {
            return self.found.push(node.span.clone());
        }
        // A list where an object belongs, or the other way round: nobody knows which of its parts are secrets.
        let is_other = match &node.kind {
            Kind::Object(_) => has_type(schema, "array"),
            Kind::List(_) => has_type(schema, "object"),
            _ => false,
        };
        if is_other {
            return self.found.push(node.span.clone());
        }
        match &node.kind {
            Kind::Object(entries) => entries.iter().for_each(|entry| self.entry(schema, entry)),
            Kind::List(items) => {
                if let Some(inner) = schema.get("items") {
                    items.iter().for_each(|item| self.value(inner, item));
                }
            }
            _ => {}
        }
    }

    /// One of several schemas, of which `null` is often one.
    fn choice(&mut self, schema: &'s Value, node: &DocumentNode) {
        let resolved = resolve(self.root, schema);
        let is_null = resolved.get("type").and_then(Value::as_str) == Some("null");
        if !is_null && (is_secret(schema) || has_parts(resolved) != Some(false) || is_collection(&node.kind)) {
            self.value(schema, node);
        }
    }

    fn entry(&mut self, schema: &'s Value, entry: &Entry) {
        let properties = schema.get("properties").and_then(Value::as_object);
        if let Some(property) = properties.and_then(|properties| properties.get(&entry.key)) {
            return self.value(property, &entry.value);
        }
        match schema.get("additionalProperties") {
            // A misspelt `password`, or what should be elsewhere.
            Some(Value::Bool(false)) => {
                self.found.push(entry.value.span.clone());
                let known: Vec<_> = properties
                    .iter()
                    .flat_map(|map| map.keys())
                    .map(String::as_str)
                    .collect();
                if !is_name(entry, &known) {
                    self.found.push(entry.key_span.clone());
                }
            }
            Some(schema @ Value::Object(_)) => self.value(schema, &entry.value),
            _ => {}
        }
    }
}

fn is_collection(kind: &Kind) -> bool {
    matches!(kind, Kind::Object(_) | Kind::List(_))
}

/// Returns `true` if a schema has a type, alone or beside others.
fn has_type(schema: &Value, name: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(only)) => only == name,
        Some(Value::Array(names)) => names.iter().any(|one| one == name),
        _ => false,
    }
}

/// `true` for a schema of objects or lists, `false` for one of values without parts, and `None` if it says neither.
fn has_parts(schema: &Value) -> Option<bool> {
    let is_of_parts = |name: &str| matches!(name, "object" | "array");
    match schema.get("type")? {
        Value::String(name) => Some(is_of_parts(name)),
        Value::Array(names) => {
            let mut names = names.iter().filter_map(Value::as_str).filter(|name| *name != "null");
            names.next().map(is_of_parts)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;
    use crate::Finding;
    use crate::schema::decode_what_fits;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only their schema and decoding are looked at")]
    struct Door {
        name: String,
        auth: Option<Auth>,
        keys: Option<Vec<Auth>>,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only their schema and decoding are looked at")]
    struct Auth {
        user: Option<String>,
        #[schemars(extend("writeOnly" = true))]
        password: Option<String>,
    }

    /// All that is reported about a text: the problems of its schema, and one at each line.
    fn reported(text: &str) -> String {
        let problems = match parse::<Door>("door.yaml", text) {
            Err(problems) => problems,
            Ok(document) => {
                let (_, mut found) = decode_what_fits::<Door>(&document);
                let ends = text.match_indices('\n').map(|(end, _)| end);
                found.extend(ends.map(|end| document.at_span(end..end, Finding::error("here", "here"))));
                document.problems(found)
            }
        };
        let mut shown = format!("{}{problems:?}", problems.brief());
        for problem in problems.iter() {
            shown += &format!("{problem:?}");
        }
        shown + problems.source().text()
    }

    #[test]
    fn secrets_are_masked_wherever_they_stand() {
        for text in [
            "name: a\nauth: { user: b, password: hunter22 }\n",
            "name: a\nauth: { user: b, 'password': \"hunter22\" } # x\n",
            "name: 1\nkeys:\n  - password: |\n      hunter22\n  - { password: hunter22 }\n",
            "name: a\nauth:\n  password: >-\n\n    x\n    hunter22\n  user: b\n",
            "auth:\n  password: 'x\n    hunter22'\n",
            "auth: { password: [hunter22] }\n",
            "auth: { password: { hunter22: hunter22 } }\n",
            // At a wrong place, or with a wrong name.
            "auth: hunter22\n",
            "auth: [hunter22]\n",
            "auth: { pasword: hunter22 }\n",
            "pass: hunter22\n",
            "name: { password: hunter22 }\n",
            "auth: { hunter22 }\n",
            "auth: { password:hunter22 }\n",
            "auth: { password hunter22: a b }\n",
            // Not YAML.
            "auth: { password: hunter22\n",
            "auth:\n  password: \"hunter22\n",
            "auth:\n  user: a\n password: hunter22\n",
            "auth:\n\tpassword: hunter22\n",
            "auth: { password: !x hunter22 }\n",
            "auth: { password: &a hunter22 }\n",
            "auth: { password: *hunter22 }\n",
            "a: 1\n---\npassword: hunter22\n",
            // In a comment.
            "name: a\n# password: hunter22\n",
            "auth:\n  password:\n    #hunter22\n",
        ] {
            let shown = reported(text);
            assert!(!shown.contains("hunter22"), "{text}\n{shown}");
        }
    }

    #[test]
    fn numbers_that_should_be_text_are_not_repeated() {
        let shown = reported("auth: { password: 12345678 }\n");
        assert!(
            shown.contains("must be text, not a number") && !shown.contains("12345678"),
            "{shown}"
        );
    }

    #[test]
    fn the_rest_is_shown() {
        let shown = reported("name: front\nauth: { user: bob, password: hunter22 }\nlock: shut # mine\n");
        for part in [
            "name: front",
            "user: bob, password: ********",
            "lock: **** # ****",
            "unknown key `lock`",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let shown = reported("name: front\n\tauth: { user: bob, password: hunter22 }\n");
        assert!(
            shown.contains("name: *****\n\tauth: { user: ***, password: ******** }"),
            "{shown}"
        );
    }

    proptest! {
        #[test]
        fn no_damage_shows_a_secret(
            form in 0usize..6, secret in "[a-z0-9]{8,12}", at in 0usize..120, put in "[\\-:{}\\[\\], \n\t'\"a#|>]{0,3}", take in 0usize..5,
        ) {
            let text = [
                format!("name: a\nauth: {{ user: b, password: {secret} }}\nkeys: []\n"),
                format!("name: a\nauth:\n  user: b\n  password: {secret}\nkeys: []\n"),
                format!("name: a\nauth:\n  password: |\n    {secret}\n  user: b\n"),
                format!("name: a\nkeys:\n  - user: a\n    password: '{secret}'\n  - password: b\n"),
                format!("name: a\nkeys: [{{ password: \"{secret}\" }}]\n"),
                format!("{{\"name\": \"a\", \"auth\": {{\"password\": \"{secret}\", \"user\": \"b\"}}}}\n"),
            ];
            let mut text: Vec<char> = text[form].chars().collect();
            let at = at.min(text.len());
            let end = (at + take).min(text.len());
            text.splice(at..end, put.chars());
            let text: String = text.into_iter().collect();
            let shown = reported(&text);
            prop_assert!(!shown.contains(&secret), "{}\n{}", text, shown);
        }
    }
}
