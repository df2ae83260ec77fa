//! Results of actions by their keys: the store's action cache.
//!
//! The file of a result is the `ActionResult` message with its SHA-256 digest at the end, as a field that the message
//! does not define. So other readers of the message skip it, and files of earlier versions, which have none, can be
//! read.

use basalt_action::{Action, ActionResult, Blob, Encoded, OutputDirectory};
use basalt_digest::Digest;
use camino::{Utf8Path, Utf8PathBuf};

use crate::{Store, StoreError};

/// Head of the field with the digest: field 1000, of 32 bytes.
const CHECKSUM: [u8; 3] = [0xc2, 0x3e, 32];

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
            let kept = self.put(&self.action_path(&key.digest), &with_checksum(&shared));
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
        let decoded = decoded.and_then(|bytes| read_checked(&bytes));
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
        self.put(&self.action_path(&action.key.digest), &with_checksum(result))?;
        self.used().insert(action.key);
        Ok(())
    }

    /// Returns the directory that an action makes: the known one, or a folder that `make` fills.
    ///
    /// Two processes that make the same directory at the same time both succeed: the first one's is kept. When the
    /// result of the action is known and the content is not to be had, the directory is made, and may differ from the
    /// known result; it counts from then on. Callers that made a key with the known result must compare.
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
    /// cache. In a store of [digests only](Store::digests_only), the content may be missing; where it is there, its use
    /// is recorded all the same.
    ///
    /// # Errors
    /// When it has to be fetched, and the store cannot be written.
    pub fn known_directory(&self, key: &Blob) -> Result<Option<OutputDirectory>, StoreError> {
        let known = self
            .action_result(key)
            .and_then(|result| result.directories.into_iter().next());
        let Some(directory) = known else { return Ok(None) };
        if self.is_digests_only() {
            // Whoever knows it by its digest uses it later without another lookup.
            self.directory(&directory.root.digest);
            return Ok(Some(directory));
        }
        let path = self.obtain_directory(&directory)?;
        Ok(path.map(|_| directory))
    }
}

/// Encodes a result with its checksum.
fn with_checksum(result: &ActionResult) -> Vec<u8> {
    let mut bytes = result.encode();
    let digest = Digest::of(&bytes);
    bytes.extend(CHECKSUM);
    bytes.extend(digest.as_bytes());
    bytes
}

/// Decodes a result, and compares it with its checksum if it has one; an error says what is wrong.
pub(crate) fn read_checked(bytes: &[u8]) -> Result<ActionResult, String> {
    let message = match bytes.split_last_chunk::<32>() {
        Some((rest, digest)) if rest.ends_with(&CHECKSUM) => {
            let message = rest.get(..rest.len() - CHECKSUM.len()).unwrap_or_default();
            if Digest::of(message).as_bytes() != digest {
                return Err("it does not match its checksum".to_owned());
            }
            message
        }
        _ => bytes,
    };
    ActionResult::decode(message).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use basalt_action::OutputFile;

    use super::*;

    fn result() -> ActionResult {
        let file = OutputFile {
            path: "build/RPMS/zlib-1-1.x86_64.rpm".to_owned(),
            blob: Blob::of("zlib"),
            is_executable: false,
        };
        ActionResult {
            files: vec![file],
            stdout: b"BuildRequires: gcc".to_vec(),
            ..ActionResult::default()
        }
    }

    #[test]
    fn results_of_earlier_versions_have_no_checksum() {
        assert_eq!(read_checked(&result().encode()), Ok(result()));
        assert_eq!(read_checked(&with_checksum(&result())), Ok(result()));
        // And they can read what is written now.
        assert_eq!(ActionResult::decode(&with_checksum(&result())), Ok(result()));
    }

    #[test]
    fn a_flipped_bit_never_makes_another_result() {
        let bytes = with_checksum(&result());
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            if let Ok(read) = read_checked(&changed) {
                assert_eq!(read, result(), "bit {bit}");
            }
        }
        assert!(read_checked(&bytes[..bytes.len() - 1]).is_err(), "cut off");
    }
}
