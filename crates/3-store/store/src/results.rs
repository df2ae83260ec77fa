//! Results: small JSON files, named by the digest of their inputs.

use basalt_digest::Digest;
use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Store, StoreError};

impl Store {
    fn result_path(&self, key: &Digest) -> Utf8PathBuf {
        self.root().join("results").join(format!("{key}.json"))
    }

    /// Reads the result of a key, if there is one. A result that cannot be read counts as missing: it is made again.
    pub fn result<T: DeserializeOwned>(&self, key: &Digest) -> Option<T> {
        let path = self.hit(self.result_path(key), Utf8Path::is_file)?;
        let text = std::fs::read(&path).ok()?;
        match serde_json::from_slice(&text) {
            Ok(result) => Some(result),
            Err(error) => {
                tracing::debug!(%path, %error, "a result from another time");
                None
            }
        }
    }

    /// Returns `true` if there is a result of a key, and records its use.
    pub fn has_result(&self, key: &Digest) -> bool {
        self.hit(self.result_path(key), Utf8Path::is_file).is_some()
    }

    /// Writes a result as JSON.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn set_result<T: Serialize>(&self, key: &Digest, result: &T) -> Result<(), StoreError> {
        let path = self.result_path(key);
        let text = serde_json::to_vec_pretty(result)
            .map_err(|error| StoreError::io("cannot write", &path)(std::io::Error::other(error)))?;
        self.put(&path, &text)
    }
}
