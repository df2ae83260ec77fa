//! The registries part as it is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Access to one registry and its mirrors.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Registry {
    /// The registry as image names write it, `registry.example:5000`; `*` means every registry that has no entry.
    pub host: String,
    /// Places to ask first, in this order. `[]` says that this registry has none, not even those of `*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirrors: Option<Vec<Mirror>>,
    /// Only the mirrors are asked, never the registry itself.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub mirrors_only: bool,
    /// The registry speaks HTTP without TLS.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub plain_http: bool,
    /// The certificate authority of the registry, in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// The registry's certificate is not looked at.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub skip_verify: bool,
    /// The certificate that the node shows to the registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<ClientCertificate>,
    /// Name and password, or a token, for the registry and the token server that it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<RegistryAuth>,
}

/// A place that holds the same images as a registry.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Mirror {
    /// Address: `https://mirror.example` or `http://10.0.0.1:5000`.
    pub url: String,
    /// The certificate authority of the mirror, in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// The mirror's certificate is not looked at.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub skip_verify: bool,
    /// The certificate that the node shows to the mirror.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<ClientCertificate>,
    /// Name and password, or a token, for the mirror and the token server that it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<RegistryAuth>,
    /// The address already contains the path of the API, and `/v2` must not be added.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub override_path: bool,
}

/// A certificate that a node shows, and its key.
#[derive(Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ClientCertificate {
    /// The certificate, with those between it and its authority, in PEM.
    pub certificate: String,
    /// Private key of the certificate, in PEM.
    #[schemars(extend("writeOnly" = true))]
    pub key: String,
}

/// A key is never shown.
impl std::fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientCertificate").finish_non_exhaustive()
    }
}

/// Credentials for a registry: `username` and `password`, or `identityToken`.
#[derive(Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RegistryAuth {
    /// The name.
    // In a line that went wrong, the password is often part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("writeOnly" = true))]
    pub username: Option<String>,
    /// The password, or an access token in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("writeOnly" = true))]
    pub password: Option<String>,
    /// A refresh token that the registry's token server trades for access tokens, as Azure's does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("writeOnly" = true))]
    pub identity_token: Option<String>,
}

/// A password is never shown, not even in a debugging aid, nor a name that may be one.
impl std::fmt::Debug for RegistryAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegistryAuth").finish_non_exhaustive()
    }
}
