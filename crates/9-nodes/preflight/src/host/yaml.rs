//! Values as YAML.

use basalt_document::Document;
use serde::Serialize;

use crate::PreflightError;

/// Text of a value in YAML, which is read as that value again.
pub(super) fn yaml(value: &impl Serialize) -> Result<String, PreflightError> {
    let options = serde_saphyr::ser_options! { prefer_block_scalars: true };
    let text = serde_saphyr::to_string_with_options(value, options);
    let text = text.map_err(|error| PreflightError::Yaml(error.to_string()))?;
    let wrong = |error: serde_json::Error| PreflightError::Yaml(error.to_string());
    let wanted = serde_json::to_value(value).map_err(wrong)?;
    match Document::parse("node.yaml", &text) {
        Ok(document) if document.root().to_json() == wanted => Ok(text),
        // JSON is YAML as well, and has every text in quotes.
        _ => Ok(serde_json::to_string_pretty(value).map_err(wrong)? + "\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_as_it_was_written() {
        for text in ["a # b", "a: b", "- a", "no", "0x1f", "1e3", "~", "", " a", "a\nb: c\n"] {
            let value = serde_json::json!({ "a": text, "b": [text, 1] });
            let written = yaml(&value).expect("YAML");
            let read = Document::parse("a.yaml", &written).expect("a document");
            assert_eq!(read.root().to_json(), value, "{written}");
        }
    }
}
