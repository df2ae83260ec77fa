//! Comparison of a cluster's certificate authorities with the pins that were given.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

pub use basalt_node_config::pin::CaPin;

use crate::authorities::ClusterAuthorities;

/// Pin of a public key, from its SubjectPublicKeyInfo in DER.
pub fn pin_of(public_key: &[u8]) -> CaPin {
    CaPin::new(Sha256::digest(public_key).into())
}

/// Pins of which one has to match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PinSet(Vec<CaPin>);

/// Mismatch of a cluster's authorities and the pins that were given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no certificate authority of the cluster has a pinned public key: it has {}, and {} is pinned", listed(.found), listed(.wanted))]
pub struct PinMismatch {
    /// Pins of the authorities that the cluster names.
    pub found: Vec<CaPin>,
    /// Pins that were given.
    pub wanted: Vec<CaPin>,
}

fn listed(pins: &[CaPin]) -> String {
    let mut text = String::new();
    for (index, pin) in pins.iter().enumerate() {
        let between = if index == 0 { "" } else { ", " };
        // Writing to a string does not fail.
        let _ = write!(text, "{between}{pin}");
    }
    if text.is_empty() { "none".to_owned() } else { text }
}

impl PinSet {
    /// Set of these pins. One that is given twice counts once.
    pub fn new(pins: Vec<CaPin>) -> Self {
        let mut set = Vec::with_capacity(pins.len());
        for pin in pins {
            if !set.contains(&pin) {
                set.push(pin);
            }
        }
        Self(set)
    }

    /// `true` if there is no pin: nothing would vouch for the API server but the token.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Pins in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = &CaPin> {
        self.0.iter()
    }

    /// Compares authorities with the pins, as kubeadm does: one certificate, of a root or of an intermediate, with a
    /// pinned key is enough.
    ///
    /// Returns the subjects of those whose key is not pinned: they are trusted by nothing but the signature of the token.
    ///
    /// # Errors
    /// When no key is pinned.
    pub fn check(&self, authorities: &ClusterAuthorities) -> Result<Vec<String>, PinMismatch> {
        let is_pinned = |pin: &CaPin| self.0.contains(pin);
        if !authorities.iter().any(|authority| is_pinned(&authority.pin)) {
            return Err(PinMismatch {
                found: authorities.iter().map(|authority| authority.pin).collect(),
                wanted: self.0.clone(),
            });
        }
        let others = authorities.iter().filter(|authority| !is_pinned(&authority.pin));
        Ok(others.map(|authority| authority.subject.clone()).collect())
    }
}
