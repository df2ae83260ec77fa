//! Payloads of RPMs as folders of the store, each unpacked once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use basalt_action::{Action, Blob, Directory, Node, OutputDirectory};
use basalt_digest::Digest;
use basalt_store::Store;

use crate::BuildError;
use crate::built::BuiltRpm;
use crate::plan::ResolvedBuild;

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

    /// Unpacks RPMs as far as need be, and returns `true` if their directories are those that the key of a build was
    /// made with. What was unpacked counts from now on: a known result of unpacking whose content is nowhere may be
    /// wrong.
    pub(crate) fn are_those_of(&self, build: &ResolvedBuild, store: &Store) -> Result<bool, BuildError> {
        let rpms: Vec<&BuiltRpm> = build.rpms().collect();
        let roots = unpack_all(&rpms, store)?;
        let mut known = self.lock();
        let mut same = true;
        for (rpm, root) in rpms.into_iter().zip(roots) {
            same &= build.is_made_with_payload(&rpm.digest, &root);
            known.insert(rpm.digest, root);
        }
        Ok(same)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Blob>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Unpacks RPMs as far as need be, and returns the digests of their directories. RPMs whose content is missing are
/// reported all at once.
pub(crate) fn unpack_all(rpms: &[&BuiltRpm], store: &Store) -> Result<Vec<Blob>, BuildError> {
    let (mut roots, mut lost) = (Vec::new(), Vec::new());
    for rpm in rpms {
        match unpack(rpm, store) {
            Ok(directory) => roots.push(directory.root),
            Err(BuildError::LostRpms { rpms }) => lost.extend(rpms),
            Err(error) => return Err(error),
        }
    }
    if lost.is_empty() {
        Ok(roots)
    } else {
        Err(BuildError::LostRpms { rpms: lost })
    }
}

fn unpack(rpm: &BuiltRpm, store: &Store) -> Result<OutputDirectory, BuildError> {
    store.made_directory(&action(rpm)?, |folder| {
        let path = store.obtain(&rpm.blob())?.ok_or_else(|| BuildError::LostRpms {
            rpms: vec![rpm.clone()],
        })?;
        basalt_rpm::unpack(&path, folder).map_err(BuildError::unpack(&rpm.file))
    })
}

fn action(rpm: &BuiltRpm) -> Result<Action, BuildError> {
    let mut inputs = Directory::new();
    let blob = rpm.blob();
    inputs
        .insert("rpm", Node::File { blob, mode: 0o644 })
        .map_err(BuildError::input(&rpm.file))?;
    Ok(Action::function("unpack-rpm", &basalt_rpm::UNPACK_CODE, inputs))
}
