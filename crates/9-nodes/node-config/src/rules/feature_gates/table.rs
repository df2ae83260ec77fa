//! Feature gates of the kubelets of Kubernetes 1.35.5, 1.36.3 and 1.37.2.
//!
//! Written by `tests/feature-gates/main.go` of this crate from the modules of each version. The test of the real kubelets
//! (`crates/9-nodes/node/tests/kubelet`) holds each line against its kubelet.

mod v1_35;
mod v1_36;
mod v1_37;

use crate::minor::KubeletMinor;

use super::FeatureGate;

const fn gate(name: &'static str, stage: super::GateStage, default: bool) -> FeatureGate {
    FeatureGate {
        name,
        stage,
        default,
        locked: false,
        needs: &[],
    }
}

impl FeatureGate {
    /// The gate, with a value that cannot be changed.
    const fn locked(mut self) -> Self {
        self.locked = true;
        self
    }

    /// The gate, which can only be on while these are on.
    const fn needs(mut self, gates: &'static [&'static str]) -> Self {
        self.needs = gates;
        self
    }
}

/// All gates of a kubelet, sorted by name.
pub(super) fn gates(kubelet: KubeletMinor) -> &'static [FeatureGate] {
    match kubelet {
        KubeletMinor::V1_35 => v1_35::GATES,
        KubeletMinor::V1_36 => v1_36::GATES,
        KubeletMinor::V1_37 => v1_37::GATES,
    }
}
