//! Payloads of RPMs as folders of the store, each unpacked once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use basalt_action::{Action, Blob, Directory, Node, OutputDirectory};
use basalt_model::digest::Digest;
use basalt_store::Store;
use camino::Utf8PathBuf;

use crate::BuildError;
use crate::built::BuiltRpm;

/// Digests of payloads' directories by the digests of their RPMs, cached for one run.
#[derive(Debug, Default)]
pub(crate) struct Payloads(Mutex<HashMap<Digest, Blob>>);

impl Payloads {
    /// Returns the digest of the directory of a payload. The RPM is unpacked only where that is not known.
    pub(crate) fn root(&self, rpm: &BuiltRpm, store: &Store) -> Result<Blob, BuildError> {
        if let Some(known) = self.lock().get(&rpm.digest) {
            return Ok(*known);
        }
        let result = store.action_result(&action(rpm)?.key());
        let root = match result.as_ref().and_then(|result| result.directory()) {
            Some(directory) => directory.root,
            None => unpack(rpm, store)?.root,
        };
        self.lock().insert(rpm.digest, root);
        Ok(root)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Blob>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the path of the directory of a payload; unpacks the RPM if need be.
pub(crate) fn path(rpm: &BuiltRpm, store: &Store) -> Result<Utf8PathBuf, BuildError> {
    let directory = unpack(rpm, store)?;
    Ok(store.directory_path(&directory.root.digest))
}

fn unpack(rpm: &BuiltRpm, store: &Store) -> Result<OutputDirectory, BuildError> {
    store.made_directory(&action(rpm)?, |folder| {
        let path = store.obtain(&rpm.blob())?.ok_or_else(|| BuildError::LostRpms {
            rpms: vec![rpm.clone()],
        })?;
        Ok(basalt_repo::unpack(&path, folder)?)
    })
}

fn action(rpm: &BuiltRpm) -> Result<Action, BuildError> {
    let mut inputs = Directory::new();
    let blob = rpm.blob();
    inputs
        .insert("rpm", Node::File { blob, mode: 0o644 })
        .map_err(BuildError::input(&rpm.file))?;
    Ok(Action::function("unpack-rpm", &basalt_repo::UNPACK_CODE, inputs))
}
