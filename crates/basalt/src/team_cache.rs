//! Shared cache of a team beneath the store, and its settings.
//!
//! ```text
//! --cache, else $BASALT_CACHE                      locations: folders and servers, in their order
//! $BASALT_CACHE_KEYS, else <config>/cache-keys     trusted signers of results: public keys
//! $BASALT_CACHE_SECRET, else <config>/cache-secret signer of what is written: a secret key
//! ```
//!
//! `<config>` is `basalt` in the configuration folder of the XDG Base Directory Specification (`~/.config`).

use std::fs::File;
use std::sync::Arc;

use basalt_action::{ActionResult, Blob};
use basalt_cache::location::VARIABLE;
use basalt_cache::{Cache, Location, SecretKey, Settings, TrustedKeys};
use basalt_progress::Reporter;
use basalt_store::{SharedCache, place};
use camino::Utf8PathBuf;
use miette::{IntoDiagnostic as _, Result};

use crate::environment::variable;

/// Adapter of a cache to the store's interface.
pub struct TeamCache(pub Cache);

impl std::fmt::Debug for TeamCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TeamCache")
    }
}

impl SharedCache for TeamCache {
    fn action_result(&self, key: &Blob) -> Option<ActionResult> {
        let hit = self.0.action_result(key)?;
        let result = ActionResult::from_proto(&hit.result).ok()?;
        Some(ActionResult {
            signer: Some(hit.key.to_string()),
            ..result
        })
    }

    fn fetch(&self, blob: &Blob, into: &mut File) -> std::io::Result<bool> {
        self.0.fetch(blob, into)
    }
}

/// Opens the cache of the option, or of the environment; none when neither names one.
///
/// # Errors
/// When a location is malformed, or a key cannot be read.
pub fn open(option: Option<&str>, reporter: Arc<dyn Reporter>) -> Result<Option<Arc<TeamCache>>> {
    let text = match option {
        Some(option) => Some(option.to_owned()),
        None => variable(VARIABLE)?,
    };
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else {
        return Ok(None);
    };
    let settings = Settings {
        locations: Location::parse_list(&text).into_diagnostic()?,
        trusted: trusted()?,
        signer: signer()?,
        ..Settings::default()
    };
    Ok(Some(Arc::new(TeamCache(Cache::new(settings, reporter)))))
}

/// Reads the keys of trusted signers. The signer's own key is trusted, too.
///
/// # Errors
/// When a key cannot be read, or two different ones have one name.
pub fn trusted() -> Result<TrustedKeys> {
    let named = match keys_path()? {
        Some(path) if path.exists() => TrustedKeys::load(&path)?,
        _ => TrustedKeys::default(),
    };
    match signer()? {
        Some(key) => Ok(TrustedKeys::new([key.public()])?.merge(named)?),
        None => Ok(named),
    }
}

fn signer() -> Result<Option<SecretKey>> {
    match secret_path()? {
        Some(path) if path.exists() => Ok(Some(SecretKey::load(&path)?)),
        _ => Ok(None),
    }
}

/// Returns the path of the list of public keys.
pub fn keys_path() -> Result<Option<Utf8PathBuf>> {
    setting("BASALT_CACHE_KEYS", "basalt/cache-keys")
}

/// Returns the path of the secret key.
pub fn secret_path() -> Result<Option<Utf8PathBuf>> {
    setting("BASALT_CACHE_SECRET", "basalt/cache-secret")
}

fn setting(variable: &'static str, name: &'static str) -> Result<Option<Utf8PathBuf>> {
    Ok(place(variable, ("XDG_CONFIG_HOME", ".config"), name)?)
}
