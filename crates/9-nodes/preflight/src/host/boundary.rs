//! Boundary of inventories: every value of one that is shown or written is a line of characters that a terminal shows as such.
//!
//! An inventory may come from a host that others write to. Its values must neither begin a line of a report or of a file, nor
//! reach a terminal as something else than text.

use basalt_inventory::{HostInventory, Unobserved, UnobservedReason, is_shown};
use serde_json::{Map, Value};

/// Sign in place of a character that is not shown. What has it is not written into a NodeConfig.
pub(super) const HIDDEN: char = char::REPLACEMENT_CHARACTER;

/// Length of a value in a sentence, in characters: in an inventory it is whole.
const LONGEST: usize = 300;

/// Inventory whose values are lines of characters that can be shown.
pub(super) fn printable(host: &HostInventory) -> HostInventory {
    let cleaned = serde_json::to_value(host).and_then(|value| serde_json::from_value(cleaned(value)));
    // Only texts have changed. If that were not so, nothing of it would be used, and not in silence.
    cleaned.unwrap_or_else(|_| HostInventory {
        unobserved: vec![Unobserved {
            path: "the inventory".to_owned(),
            reason: UnobservedReason::Malformed,
        }],
        ..HostInventory::default()
    })
}

/// Text as one line of characters that can be shown.
pub(crate) fn line(text: &str) -> String {
    let letters = text.chars().map(|letter| match letter {
        '\t' => ' ',
        _ if is_shown(letter) => letter,
        _ => HIDDEN,
    });
    letters.collect()
}

/// Value as a sentence has it: the beginning of a long one.
pub(super) fn shown(value: &str) -> String {
    shortened(value, LONGEST)
}

/// Beginning of a text that is longer than a number of characters; others are whole.
pub(super) fn shortened(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn cleaned(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(line(&text)),
        Value::Array(items) => items.into_iter().map(cleaned).collect(),
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(key, value)| (line(&key), cleaned(value)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_lines() {
        assert_eq!(line("a\tb"), "a b");
        assert_eq!(
            line("a\nb: c\r\u{1b}[31m\u{7}\u{85}"),
            "a\u{fffd}b: c\u{fffd}\u{fffd}[31m\u{fffd}\u{fffd}"
        );
        assert_eq!(line("a\u{2028}\u{202e}b\u{feff}"), "a\u{fffd}\u{fffd}b\u{fffd}");
        assert_eq!(line("größe: 1"), "größe: 1");
    }

    #[test]
    fn sentences_have_the_beginning_of_long_values() {
        let long = "ü".repeat(LONGEST + 1);
        assert_eq!(shown(&long).chars().count(), LONGEST + 1);
        assert!(shown(&long).ends_with("ü…"));
        let whole = "ü".repeat(LONGEST);
        assert_eq!(shown(&whole), whole);
    }

    #[test]
    fn all_values_of_an_inventory_are_cleaned() {
        let mut host = HostInventory::default();
        host.system.hostname = "w1\nregistries: []".to_owned();
        host.kubelet.config = Some(serde_json::json!({ "a\nb": ["c\u{1b}"] }));
        host.confinement
            .profiles
            .insert("/etc/a\n".to_owned(), vec!["x\ny".to_owned()]);
        let cleaned = printable(&host);
        assert!(
            !format!("{cleaned:?}").contains("\\n") && !format!("{cleaned:?}").contains("\\u{1b}"),
            "{cleaned:?}"
        );
        assert_eq!(cleaned.system.hostname, "w1\u{fffd}registries: []");
        assert_eq!(printable(&cleaned), cleaned);
    }
}
