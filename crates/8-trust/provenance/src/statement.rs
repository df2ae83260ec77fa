//! The types of in-toto and SLSA, as far as Basalt fills them.

use std::collections::BTreeMap;

use basalt_digest::Digest;
use basalt_release::HOME;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Media type of a statement as the payload of a DSSE envelope.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// Predicate type of all statements of this toolkit.
pub const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";
const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// In-toto Statement v1: a predicate about files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Statement {
    /// Statement type, always `https://in-toto.io/Statement/v1`.
    #[serde(rename = "_type")]
    pub kind: String,
    /// Files that the statement is about.
    pub subject: Vec<ResourceDescriptor>,
    /// Type of the predicate, always [`PREDICATE_TYPE`].
    pub predicate_type: String,
    /// Predicate.
    pub predicate: Provenance,
}

/// A file, by name, place or digest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourceDescriptor {
    /// File name, if it means anything to the reader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A URI that identifies it: where it is published, or a package URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Digests by the name of their algorithm; ours are `sha256`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digest: BTreeMap<String, String>,
    /// Additional properties, such as the role of a dependency.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, Value>,
}

/// SLSA's provenance, version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Provenance {
    /// Inputs of the build.
    pub build_definition: BuildDefinition,
    /// Builder that ran the build.
    pub run_details: RunDetails,
}

/// Inputs of a build: its type, parameters and dependencies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BuildDefinition {
    /// URI of a document that defines the parameters.
    pub build_type: String,
    /// Parameters under the control of the user, such as the package's name.
    pub external_parameters: BTreeMap<String, Value>,
    /// Parameters under the control of the builder.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub internal_parameters: BTreeMap<String, Value>,
    /// Files that the build has read, with their digests.
    #[serde(default)]
    pub resolved_dependencies: Vec<ResourceDescriptor>,
}

/// Builder that ran a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunDetails {
    /// The builder.
    pub builder: Builder,
}

/// A builder that the reader trusts, or does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Builder {
    /// URI that identifies the builder.
    pub id: String,
    /// Versions of the builder's parts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub version: BTreeMap<String, String>,
}

impl ResourceDescriptor {
    /// A file of that name and SHA-256.
    pub fn file(name: impl Into<String>, sha256: &Digest) -> Self {
        Self {
            name: Some(name.into()),
            digest: BTreeMap::from([("sha256".to_owned(), sha256.to_hex())]),
            ..Self::default()
        }
    }

    /// The same, with a URI.
    pub fn at(mut self, uri: impl Into<String>) -> Self {
        self.uri = Some(uri.into());
        self
    }

    /// The same, with a remark.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.annotations.insert(name.to_owned(), value.into());
        self
    }

    /// The SHA-256, if it has one that can be read.
    pub fn sha256(&self) -> Option<Digest> {
        self.digest.get("sha256")?.parse().ok()
    }
}

impl Statement {
    /// Makes a statement by this toolkit, of version `toolkit`, about files.
    pub fn new(subject: Vec<ResourceDescriptor>, definition: BuildDefinition, toolkit: &str) -> Self {
        Self {
            kind: STATEMENT_TYPE.to_owned(),
            subject,
            predicate_type: PREDICATE_TYPE.to_owned(),
            predicate: Provenance {
                build_definition: definition,
                run_details: RunDetails {
                    builder: Builder {
                        id: HOME.to_owned(),
                        version: BTreeMap::from([("basalt".to_owned(), toolkit.to_owned())]),
                    },
                },
            },
        }
    }

    /// Reads one from JSON.
    ///
    /// # Errors
    /// When it is not JSON, is another kind of statement, or has fields that the specifications do not know.
    pub fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        use serde::de::Error as _;
        let statement: Self = serde_json::from_slice(json)?;
        for (found, expected) in [
            (&statement.kind, STATEMENT_TYPE),
            (&statement.predicate_type, PREDICATE_TYPE),
        ] {
            if found != expected {
                return Err(serde_json::Error::custom(format!("`{found}` is not `{expected}`")));
            }
        }
        Ok(statement)
    }

    /// Returns `true` if a file with that digest is among the subjects.
    pub fn is_about(&self, sha256: &Digest) -> bool {
        self.subject.iter().any(|file| file.sha256().as_ref() == Some(sha256))
    }
}
