//! Results of actions by their keys: the store's action cache.

use basalt_action::{Action, ActionResult, Blob, Encoded, OutputDirectory};
use basalt_model::digest::Digest;
use camino::{Utf8Path, Utf8PathBuf};

use crate::{Store, StoreError};

impl Store {
    fn action_path(&self, key: &Digest) -> Utf8PathBuf {
        self.root().join("actions").join(key.to_hex())
    }

    /// Returns the result of an action, if the store or the shared cache has it. The outputs of the action may be
    /// missing from the store.
    pub fn action_result(&self, key: &Blob) -> Option<ActionResult> {
        let result = self.own_action_result(&key.digest).or_else(|| {
            let shared = self.shared()?.action_result(key)?;
            // The result is kept in the store; where that cannot be written, the cache is asked again the next time.
            let kept = self.put(&self.action_path(&key.digest), &shared.encode());
            kept.inspect_err(|error| tracing::debug!(%error, "a shared result is not kept"))
                .ok();
            Some(shared)
        });
        if result.is_some() {
            self.used().insert(*key);
        }
        result
    }

    /// Returns the result of an action, if the store has it, unless a key has signed it that is [not
    /// trusted](Store::with_trusted_signers). A result that cannot be read counts as missing.
    pub fn own_action_result(&self, key: &Digest) -> Option<ActionResult> {
        let path = self.hit(self.action_path(key), Utf8Path::is_file)?;
        let decoded = std::fs::read(&path).map_err(|error| error.to_string());
        let decoded = decoded.and_then(|bytes| ActionResult::decode(&bytes).map_err(|error| error.to_string()));
        decoded
            .inspect_err(|error| tracing::warn!(%path, %error, "an action result cannot be read"))
            .ok()
            .filter(|result| self.trusts(result.signer.as_deref()))
    }

    /// Keeps the result of an action, and the messages that the action consists of: they record its inputs. Its outputs
    /// must be in the store.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn put_action_result(&self, action: &Encoded, result: &ActionResult) -> Result<(), StoreError> {
        for message in action.messages.values() {
            self.insert_bytes(message)?;
        }
        self.put(&self.action_path(&action.key.digest), &result.encode())?;
        self.used().insert(action.key);
        Ok(())
    }

    /// Returns the directory that an action makes: the known one, or a folder that `make` fills.
    ///
    /// Two processes that make the same directory at the same time both succeed: the first one's is kept.
    ///
    /// # Errors
    /// When `make` fails or the store cannot be written; nothing is left behind then.
    pub fn made_directory<E: From<StoreError>>(
        &self,
        action: &Action,
        make: impl FnOnce(&Utf8Path) -> Result<(), E>,
    ) -> Result<OutputDirectory, E> {
        let encoded = action.encode();
        if let Some(directory) = self.known_directory(&encoded.key)? {
            return Ok(directory);
        }
        let workspace = self.workspace()?;
        let folder = workspace.path().join("made");
        fs_err::create_dir(&folder).map_err(StoreError::io("cannot create", &folder))?;
        make(&folder)?;
        let directory = self.adopt_directory(&folder)?;
        let result = ActionResult {
            directories: vec![directory.clone()],
            ..ActionResult::default()
        };
        self.put_action_result(&encoded, &result)?;
        Ok(directory)
    }

    /// Returns the directory that an action made, if its content is in the store or can be fetched from the shared
    /// cache. In a store of [digests only](Store::digests_only), the content may be missing.
    ///
    /// # Errors
    /// When it has to be fetched, and the store cannot be written.
    pub fn known_directory(&self, key: &Blob) -> Result<Option<OutputDirectory>, StoreError> {
        let known = self
            .action_result(key)
            .and_then(|result| result.directories.into_iter().next());
        let Some(directory) = known else { return Ok(None) };
        if self.is_digests_only() {
            return Ok(Some(directory));
        }
        let path = self.obtain_directory(&directory)?;
        Ok(path.map(|_| directory))
    }
}
