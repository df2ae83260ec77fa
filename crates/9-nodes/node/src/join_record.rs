//! Record of what a join found out about its cluster, on the state partition: a node that has joined starts again without
//! its token, and without an API server that answers.

use std::path::Path;

use basalt_join::authorities::ClusterAuthorities;
use basalt_join::cluster_info::TrustedCluster;
use basalt_join::kubelet_config::KubeletSettings;
use serde::{Deserialize, Serialize};

use crate::apply::{self, ApplyError, below};
use crate::identity;
use crate::join_plan::{JoinPlan, PlannedTrust, pin_set};
use crate::paths;
use crate::plan::PlannedFile;

/// Findings of a join.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JoinRecord {
    /// URL of the API server that was asked.
    pub asked: String,
    /// URL of the API server that the cluster names for its nodes.
    pub server: String,
    /// Authorities of the cluster in PEM.
    pub authorities: String,
    /// Configuration of the cluster's kubelets, if it was asked for.
    pub settings: Option<KubeletSettings>,
}

impl JoinRecord {
    /// The record of an earlier join, if it is of the cluster that a plan is for, and the node has a certificate to go on
    /// with: without one it has to be asked who it is, and the cluster who that is.
    ///
    /// Authorities and endpoint of the plan count where it has them: a rotation or a move costs no node its cluster.
    pub fn usable(root: &Path, plan: &JoinPlan) -> Option<Self> {
        let certificate = fs_err::read_to_string(below(root, paths::CLIENT_CERTIFICATE)).ok()?;
        let mut record: Self = serde_json::from_slice(&fs_err::read(below(root, paths::JOIN_RECORD)).ok()?).ok()?;
        let known = ClusterAuthorities::from_pem(&record.authorities).ok()?;
        let has_moved = record.asked != plan.endpoint;
        let is_same = match &plan.trust {
            PlannedTrust::Authorities(pem) => {
                let wanted = ClusterAuthorities::from_pem(pem).ok()?;
                let is_shared = wanted.iter().any(|one| known.iter().any(|other| other.pin == one.pin));
                wanted.pem().clone_into(&mut record.authorities);
                is_shared || !has_moved
            }
            PlannedTrust::Pins { pins, .. } => pin_set(pins).check(&known).is_ok(),
        };
        if has_moved {
            record.asked.clone_from(&plan.endpoint);
            record.server.clone_from(&plan.endpoint);
        }
        let is_complete = record.settings.is_some() || !plan.asks_for_settings();
        (identity::is_whole(&certificate) && is_complete && is_same).then_some(record)
    }

    /// The cluster of the record, if its values can be read.
    pub fn cluster(&self) -> Option<TrustedCluster> {
        Some(TrustedCluster {
            endpoint: self.server.parse().ok()?,
            authorities: ClusterAuthorities::from_pem(&self.authorities).ok()?,
            unpinned: Vec::new(),
        })
    }

    /// Writes the record.
    ///
    /// # Errors
    /// When the state partition does not take it.
    pub fn write(&self, root: &Path) -> Result<(), ApplyError> {
        let content = serde_json::to_string_pretty(self).unwrap_or_default() + "\n";
        apply::write(root, &PlannedFile::secret(paths::JOIN_RECORD, content))
    }
}
