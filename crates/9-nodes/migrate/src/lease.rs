//! Lease by which two migrations of a cluster refuse one another.
//!
//! As leader election of Kubernetes does it: a Lease counts as held until it was seen unchanged for its whole duration, by the
//! clock of who looks. Times that are written in it are for people, so clocks of machines may differ.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Api;
use kube::api::PostParams;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::api::{ClusterApi, MANAGER, failed};
use crate::clock::MigrationClock;
use crate::error::MigrateError;
use crate::model::NamespacedName;
use crate::outage::Outage;

mod tenure;

pub(crate) use tenure::{LeaseGuard, LeaseWatch};
use tenure::{Renewal, Tenure};

/// Time after which a Lease that is not renewed can be taken.
pub(crate) const DURATION: Duration = Duration::from_secs(30);

/// Longest time of one renewal: another one is tried after it, over another connection.
const RENEWAL_LIMIT: Duration = Duration::from_secs(15);

/// Time between two looks at a Lease that another holds.
const LOOK: Duration = Duration::from_secs(2);

/// Lease that this run holds.
pub(crate) struct HeldLease {
    api: ClusterApi,
    clock: MigrationClock,
    name: NamespacedName,
    identity: String,
    /// The Lease as this run wrote it last; nothing if somebody else may have written it since.
    written: Option<Lease>,
    tenure: watch::Sender<Tenure>,
}

/// Decision about a Lease that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
enum LeaseLook {
    /// A Lease of nobody, of this run, or of a run that is no more.
    Free,
    /// Another run holds it, and may be no more.
    Left { holder: String },
    /// Another run renews it.
    Held { holder: String },
}

impl LeaseLook {
    /// Decides about a Lease, of which another version may have been seen before, and that since some time.
    fn of(present: Option<&Lease>, first: Option<&Lease>, watched: Duration, identity: &str) -> Self {
        match present.and_then(holder).filter(|holder| holder != identity) {
            None => Self::Free,
            Some(holder) if version(present) != version(first) => Self::Held { holder },
            Some(_) if watched >= DURATION => Self::Free,
            Some(holder) => Self::Left { holder },
        }
    }
}

impl HeldLease {
    /// Takes the Lease. One that another run left behind is taken after it stayed unchanged for [`DURATION`]. Failures that
    /// may pass are waited out.
    pub(crate) async fn acquire(
        api: &ClusterApi,
        clock: &MigrationClock,
        namespace: &str,
        identity: &str,
        waiting: impl Fn(&str),
    ) -> Result<Self, MigrateError> {
        let mut lease = Self {
            api: api.clone(),
            clock: clock.clone(),
            name: NamespacedName::new(namespace, MANAGER),
            identity: identity.to_owned(),
            written: None,
            tenure: watch::Sender::new(Tenure::begin(Instant::now())),
        };
        let mut first = None;
        let mut outage = Outage::default();
        loop {
            match lease.take(&mut first, &waiting).await {
                Ok(true) => return Ok(lease),
                Ok(false) => outage.end(),
                Err(error) if error.is_conflict() => outage.end(),
                Err(error) if error.is_transient() => outage.endure(error)?,
                Err(error) => return Err(error),
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Looks at the Lease, and takes it if it is free. `first` is how it was seen first, and when.
    async fn take(
        &mut self,
        first: &mut Option<(Option<Lease>, Instant)>,
        waiting: &impl Fn(&str),
    ) -> Result<bool, MigrateError> {
        let present = self.read().await?;
        let (before, since) = first.get_or_insert_with(|| (present.clone(), Instant::now()));
        match LeaseLook::of(present.as_ref(), before.as_ref(), since.elapsed(), &self.identity) {
            LeaseLook::Free => {
                let asked = Instant::now();
                self.write(present).await?;
                self.tenure.send_replace(Tenure::begin(asked));
                Ok(true)
            }
            LeaseLook::Left { holder } => {
                waiting(&holder);
                Ok(false)
            }
            LeaseLook::Held { holder } => Err(MigrateError::Held {
                holder,
                lease: self.name.name.clone(),
                namespace: self.name.namespace.clone(),
            }),
        }
    }

    /// View of the tenure, for those who write.
    pub(crate) fn watch(&self) -> LeaseWatch {
        LeaseWatch(self.tenure.subscribe())
    }

    /// Does work with the Lease renewed beside it. The work is dropped when the Lease is lost.
    pub(crate) async fn during<T>(
        &mut self,
        work: impl Future<Output = Result<T, MigrateError>>,
    ) -> Result<T, MigrateError> {
        tokio::select! {
            biased;
            error = self.keep() => Err(error),
            result = work => result,
        }
    }

    /// Renews the Lease again and again, however slow other requests are. Returns when it is lost, or cannot be renewed at
    /// all; failures that may pass are tried again.
    async fn keep(&mut self) -> MigrateError {
        loop {
            let next = self.tenure.borrow().next_renewal();
            tokio::time::sleep_until(next).await;
            let asked = Instant::now();
            let renewal = match tokio::time::timeout(RENEWAL_LIMIT, self.renew()).await {
                Ok(Ok(renewal)) => renewal,
                Ok(Err(error)) if error.is_conflict() || error.is_transient() => Renewal::Failed,
                Ok(Err(error)) => return error,
                Err(_) => Renewal::Failed,
            };
            if renewal == Renewal::Failed {
                // It may have been written after all: it is read before it is written again.
                self.written = None;
            }
            let ended = Instant::now();
            let lost = match &renewal {
                Renewal::Taken { holder } => Some(holder.clone()),
                Renewal::Renewed | Renewal::Retaken | Renewal::Failed => None,
            };
            self.tenure
                .send_modify(|tenure| *tenure = tenure.clone().after(renewal, asked, ended));
            if let Some(holder) = lost {
                return MigrateError::LeaseLost { holder };
            }
        }
    }

    /// Renews the Lease once: as this run wrote it, and if that is not how it is, as it is read.
    async fn renew(&mut self) -> Result<Renewal, MigrateError> {
        if let Some(written) = self.written.clone() {
            match self.write(Some(written)).await {
                Err(error) if error.is_code(&[404, 409]) => {}
                other => return other.map(|()| Renewal::Renewed),
            }
        }
        let present = self.read().await?;
        match present.as_ref().and_then(holder) {
            Some(holder) if holder != self.identity => Ok(Renewal::Taken { holder }),
            Some(_) => self.write(present).await.map(|()| Renewal::Renewed),
            // Somebody deleted it, or took it and gave it back.
            None => self.write(present).await.map(|()| Renewal::Retaken),
        }
    }

    /// Gives the Lease back, so that the next run need not wait.
    pub(crate) async fn release(self) -> Result<(), MigrateError> {
        let Some(mut lease) = self.read().await? else {
            return Ok(());
        };
        if holder(&lease).as_ref() != Some(&self.identity) {
            return Ok(());
        }
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = None;
            spec.renew_time = Some(self.now());
        }
        self.replace(&lease).await.map(drop)
    }

    async fn read(&self) -> Result<Option<Lease>, MigrateError> {
        self.api.get::<Lease>(&self.name).await
    }

    /// Writes the Lease with this run as its holder; fails with a conflict when somebody else wrote it.
    async fn write(&mut self, present: Option<Lease>) -> Result<(), MigrateError> {
        let now = self.now();
        let spec = |before: Option<LeaseSpec>| {
            let before = before.unwrap_or_default();
            let same = before.holder_identity.as_ref() == Some(&self.identity);
            LeaseSpec {
                acquire_time: before.acquire_time.filter(|_| same).or_else(|| Some(now.clone())),
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
                lease_transitions: Some(before.lease_transitions.unwrap_or_default() + i32::from(!same)),
                renew_time: Some(now.clone()),
                ..LeaseSpec::default()
            }
        };
        let written = match present {
            Some(mut lease) => {
                lease.spec = Some(spec(lease.spec));
                self.replace(&lease).await?
            }
            None => {
                let lease = Lease {
                    metadata: ObjectMeta {
                        name: Some(self.name.name.clone()),
                        ..ObjectMeta::default()
                    },
                    spec: Some(spec(None)),
                };
                let action = format!("create lease {}", self.name);
                let created = self.leases().create(&PostParams::default(), &lease).await;
                created.map_err(failed(action))?
            }
        };
        self.written = Some(written);
        Ok(())
    }

    async fn replace(&self, lease: &Lease) -> Result<Lease, MigrateError> {
        let leases = self.leases();
        let replaced = leases.replace(&self.name.name, &PostParams::default(), lease).await;
        replaced.map_err(failed(format!("update lease {}", self.name)))
    }

    fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.api.client(), &self.name.namespace)
    }

    fn now(&self) -> MicroTime {
        MicroTime(self.clock.now())
    }
}

/// Holder of a Lease; nothing if it was given back.
fn holder(lease: &Lease) -> Option<String> {
    let holder = lease.spec.as_ref()?.holder_identity.clone()?;
    (!holder.is_empty()).then_some(holder)
}

fn version(lease: Option<&Lease>) -> Option<String> {
    lease?.metadata.resource_version.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(version: &str, holder: Option<&str>) -> Lease {
        Lease {
            metadata: ObjectMeta {
                resource_version: Some(version.to_owned()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: holder.map(str::to_owned),
                ..LeaseSpec::default()
            }),
        }
    }

    #[test]
    fn a_lease_is_free_that_nobody_renews() {
        let left = || LeaseLook::Left {
            holder: "other".to_owned(),
        };
        let held = || LeaseLook::Held {
            holder: "other".to_owned(),
        };
        let other = |version: &str| Some(lease(version, Some("other")));
        // The Lease now, as it was seen first, the seconds since, and the decision.
        let cases = [
            (None, None, 0, LeaseLook::Free),
            (Some(lease("1", None)), Some(lease("1", None)), 0, LeaseLook::Free),
            (Some(lease("1", Some(""))), None, 0, LeaseLook::Free),
            (other("1"), other("1"), 0, left()),
            (other("1"), other("1"), 29, left()),
            (other("1"), other("1"), 30, LeaseLook::Free),
            (other("2"), other("1"), 2, held()),
            (other("2"), other("1"), 30, held()),
            (other("1"), None, 2, held()),
            (Some(lease("2", None)), other("1"), 2, LeaseLook::Free),
            // The answer to its taking was lost.
            (Some(lease("2", Some("me"))), other("1"), 2, LeaseLook::Free),
        ];
        for (present, first, seconds, expected) in cases {
            let watched = Duration::from_secs(seconds);
            let look = LeaseLook::of(present.as_ref(), first.as_ref(), watched, "me");
            assert_eq!(look, expected, "{present:?}, first {first:?}, for {seconds} s");
        }
    }
}
