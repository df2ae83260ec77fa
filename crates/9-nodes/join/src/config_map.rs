//! ConfigMaps as an API server answers with them.

use std::collections::BTreeMap;

use miette::Diagnostic;
use serde::Deserialize;

/// An answer that is not the ConfigMap that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Diagnostic)]
#[error("the API server's answer is no ConfigMap `{name}`: {reason}")]
#[diagnostic(
    code(join::answer),
    help("the endpoint has to be a Kubernetes API server; ask it: `curl -k https://HOST:PORT/version`")
)]
pub struct ConfigMapError {
    /// Name of the ConfigMap.
    pub name: &'static str,
    /// Words of the reader.
    pub reason: String,
}

#[derive(Deserialize)]
struct ConfigMap {
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    data: Option<BTreeMap<String, String>>,
}

/// Data of a ConfigMap, from its JSON.
///
/// # Errors
/// When the answer is something else.
pub(crate) fn data(name: &'static str, answer: &[u8]) -> Result<BTreeMap<String, String>, ConfigMapError> {
    let wrong = |reason: String| ConfigMapError { name, reason };
    let map: ConfigMap = serde_json::from_slice(answer).map_err(|error| wrong(error.to_string()))?;
    match map.kind.as_deref() {
        Some("ConfigMap") => Ok(map.data.unwrap_or_default()),
        Some(kind) => Err(wrong(format!("it is of the kind {kind}"))),
        None => Err(wrong("it has no kind".to_owned())),
    }
}
